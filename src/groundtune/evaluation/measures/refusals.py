"""Refusals in other words than the configured one, in Turkish and English.

Only the first sentence is looked at, and only for what says so of the documents or of the one who answers: "the context does
not mention it", "I do not know". A sentence of the documents themselves ("the invoice holds no price") must not be taken for
one, so each pattern asks for a first person, for the question, or for the context by a name that documents do not use of
themselves. An answer that refuses and then answers after all ("I do not know, but usually 30 days") is no refusal.

What this module does not do: know the configured refusal (:func:`groundtune.evaluation.measures.words.is_refusal`).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from groundtune.language import lower_case

_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_MARKS = re.compile(r"[*_`#>\"“”„«»]+")
_MOST_WORDS = 40
"""A first sentence longer than this says something."""

_TR_SORRY = r"(?:(?:çok )?üzgünüm|maalesef|ne yazık ki|özür dilerim|kusura bakmayın)[,.!]? ?(?:ama |ancak |fakat )?"
_TR_GIVEN = (
    r"(?:(?:bana )?(?:verilen|sağlanan|sunulan|mevcut|eldeki|elimdeki|paylaşılan|yukarıdaki|verdiğiniz|ilettiğiniz) )"
)
_TR_IN = r"(?:im|ım|imiz|ımız)?(?:d[ae]n?|t[ae]n?|nd[ae]n?|ind[ae]n?|ınd[ae]n?| arasında| içinde)"
_TR_PLACE = (
    rf"(?:{_TR_GIVEN}+(?:bağlam|metin|metn|belge|doküman|dokümantasyon|kaynak|pasaj|içerik|içeriğ|parça|bilgi)(?:ler|lar)?{_TR_IN}"
    rf"|(?:bağlam|metin|metn|pasaj|dokümantasyon)(?:ler|lar)?{_TR_IN}|(?:belgeler|dokümanlar|kaynaklar|metinler){_TR_IN})"
)
"""A document is something that documents speak of too; the context, and the documents in general, are not."""
_TR_WORD = r"(?:bilgi|cevap|cevab|yanıt|açıklama|ifade|ayrıntı|detay)\w*"
_TR_NO = (
    r"(?:yok(?:tur)?|bulunmuyor|bulunmamaktadır|bulunamadı|bulamadım|rastlamadım|rastlanmadı|ulaşılamıyor|ulaşamadım|paylaşılmamış(?:tır)?|paylaşılmıyor|bulamıyorum|bulunmamış(?:tır)?|yer almıyor|yer almamaktadır|"
    r"yer verilmemiş(?:tir)?|verilmemiş(?:tir)?|verilmiyor|verilmemektedir|mevcut değil(?:dir)?|geçmiyor|geçmemektedir|"
    r"belirtilmemiş(?:tir)?|belirtilmiyor|belirtilmemektedir|açıklanmamış(?:tır)?|açıklanmıyor|"
    r"değinilmemiş(?:tir)?|değinilmiyor|bahsedilmiyor|bahsedilmemiş(?:tir)?|söz edilmiyor)"
)
_TR_ABOUT = r"(?:bu|şu|o|sorulan|sorduğunuz|söz konusu) (?:konu|soru|husus)\w*|soru\w*|cevab\w*|cevap\w*|yanıt\w*|bun(?:u|a|un|unla|dan)\b"
_TR_ABLE = r"(?:yanıtla|cevapla|söyle|bil|belirle|açıkla|yardımcı ol|yanıt ver|cevap ver|bilgi ver)[yea]{0,2}(?:m[ıi]yorum|mam|m[ae]m|memekteyim|mamaktayım)"

_TR_GIVES = r"(?:içer|ver|sun|sağla|barındır)\w*(?:m[ıiuü]yor|m[ae]mektedir|m[ae]maktadır)"

_TURKISH = (
    rf"(?:{_TR_ABOUT}).*\b(?:{_TR_WORD}|veri) (?:.*\b)?{_TR_NO}",
    rf"(?:{_TR_GIVEN}*)(?:bağlam|metin|belgeler|metinler|dokümanlar|kaynaklar|bilgiler) (?:.*\b)?soru\w* (?:.*\b)?"
    r"(?:yanıtlamıyor|cevaplamıyor|yanıt vermiyor|cevap vermiyor|yeterli değil(?:dir)?)",
    rf"(?:{_TR_GIVEN}*)bağlam(?:lar)?{_TR_IN} .*\b{_TR_NO}",
    rf"(?:elimde|elimizde|bende) (?:.*\b)?{_TR_WORD}(?: \w+)? {_TR_NO}",
    r"(?:bilgi|cevap|yanıt) (?:bulunamadı|bulamadım|bulunmuyor|yok)",
    r".*\bbilgim (?:yok(?:tur)?|bulunmuyor|bulunmamaktadır|değil)",
    r".*\bbilgi(?:ye)? sahi(?:p|bi) değilim",
    r"(?:.*\b)?(?:bilmiyorum|bilemiyorum|bilgi bulamadım|cevap bulamadım|yanıt bulamadım|emin değilim)",
    rf"(?:.*\b)?(?:{_TR_ABOUT}).*\b{_TR_ABLE}",
    rf"{_TR_ABLE}",
    r"(?:.*\b)?(?:yardımcı|yardım) (?:olamıyorum|olamam|olamayacağım|edemem|edemiyorum)",
    rf"(?:.*\b)?{_TR_PLACE} (?:.*\b)?{_TR_WORD} (?:.*\b)?{_TR_NO}",
    rf"(?:.*\b)?{_TR_PLACE} (?:bu|söz konusu|sorulan|sorduğunuz) (?:\w+ ){{1,3}}{_TR_NO}",
    rf"(?:{_TR_GIVEN}*)(?:bağlam|metin|dokümantasyon)(?:lar|ler)? (?:.*\b)?{_TR_WORD} {_TR_GIVES}",
    rf"(?:{_TR_GIVEN}*)(?:belgeler|dokümanlar|kaynaklar|bilgiler) (?:.*\b)?(?:{_TR_ABOUT}|yeterli|hakkında|ilgili)(?:.*\b)? {_TR_WORD} {_TR_GIVES}",
    rf"(?:.*\b)?(?:{_TR_ABOUT}) (?:.*\b)?(?:yanıtlamak|cevaplamak|yanıt vermek|cevap vermek|söylemek|bilmek) mümkün (?:değil(?:dir)?|görünmüyor)",
    r"(?:bu|bu konudaki|istenen|istediğiniz|sorulan|sorduğunuz) bilgi(?:ler)? (?:mevcut değil(?:dir)?|bulunmuyor|bulunmamaktadır|bulunamadı|verilmemiş(?:tir)?|yok(?:tur)?)",
    rf"(?:bu|cevap|yanıt|sorunun cevabı|bu bilgi|bu konu)(?: bilgi| konu)? {_TR_PLACE} {_TR_NO}",
    rf".*\b(?:bağlam|metin|metn)(?:d[ae]|t[ae]|in?d[ae]) (?:hiç |açıkça |doğrudan )?{_TR_NO}",
    rf".*\b(?:hakkında|ilgili|ilişkin|dair|konusunda)(?: \w+){{0,3}} (?:bilgi|bilgim|veri|açıklama)\w*(?: \w+)? {_TR_NO}",
    r"(?:yeterli|hiçbir|herhangi bir) bilgi(?:m|ye)? (?:yok(?:tur)?|bulunmuyor|bulunmamaktadır|bulunamadı|mevcut değil(?:dir)?|verilmemiş(?:tir)?)",
)
"""Of the whole first sentence: in Turkish the verb, and with it the no, stands at the end."""

_EN_SORRY = r"(?:(?:i am |i'm |we're )?(?:very |so )?(?:sorry|afraid)|unfortunately|apologies|i apologi[sz]e)(?: that)?[,.!:;]? ?(?:but )?"
_EN_CONTEXT = (
    r"(?:the|this|these|that|your|any of the)? ?(?:(?:provided|given|available|supplied|above|retrieved) (?:\w+ )?"
    r"(?:context|contexts|documents?|documentation|passages?|texts?|sources?|information|materials?|content|excerpts?)"
    r"|(?:context|documentation|passages?|excerpts?|knowledge base|source material)(?: (?:provided|given|above|i have))?"
    r"|(?:documents?|texts?|sources?|information|materials?|content) (?:provided|given|above|i have|i was given|available to me))"
)
_EN_NOT = r"(?:does not|do not|doesn't|don't|did not|didn't)(?: (?:directly|explicitly|actually|seem to|appear to|specifically))?"
_EN_SAY = (
    r"(?:contain|include|provide|mention|say|specify|state|answer|have|give|cover|describe|explain|address|discuss|tell|offer|"
    r"define|indicate|list|refer|detail|clarify|disclose)\b"
)
_EN_SAYS = _EN_SAY.replace(r")\b", r")(?:s|es)?\b")
_EN_IN_IT = rf"(?:in|by|from|within|anywhere in) {_EN_CONTEXT}"
_EN_IN_TEXTS = (
    rf"(?:{_EN_IN_IT}|(?:in|by|from|within) (?:the|these|any of the) (?:documents?|texts?|sources?|articles?))"
)
"""A document may be what documents speak of: only for sentences that speak of information, an answer, a mention."""

_ENGLISH = (
    r"i (?:do not|don't|did not|didn't|currently do not|really don't) (?:currently |actually |really )?(?:have|know|find|possess)\b",
    r"i (?:have not|haven't) (?:found|seen) (?:any|an answer|the answer|information)\b",
    r"i(?: have|'ve)? (?:have no|no|got no|found no|could find no|see no|lack(?: the)?|am not aware|have not been given|haven't been given)\b",
    r"i(?: am|'m) (?:not sure|not certain|not familiar|not aware)\b",
    r"i(?: am|'m)? (?:cannot|can't|can not|could not|couldn't|won't|will not|unable to|not able to|not allowed to|not in a position to) "
    r"(?:\w+ )?(?:answer|find|help|determine|say|tell|provide|give|assist|locate|confirm|respond|comment|perform)\b",
    rf"{_EN_CONTEXT} {_EN_NOT} {_EN_SAY}",
    rf"{_EN_CONTEXT} (?:contains?|includes?|provides?|has|have|gives?|makes?|offers?) no (?:\w+ )?(?:information|answer|mention|details?|reference|indication)",
    rf"(?:based on|according to|from|in) {_EN_CONTEXT},? (?:i (?:cannot|can't|could not|do not|don't|am unable)|it is not (?:clear|possible|stated|specified|mentioned)"
    r"|there (?:is|are) no|no )",
    rf"there(?: is| are| was| were|'s) (?:no|not any|not enough|insufficient) (?:\w+ ){{0,2}}(?:information|details?|mention|answer|reference|indication|evidence)"
    rf"(?: (?:about|on|regarding|for|of|concerning|as to|to answer|that) .*)? {_EN_IN_IT}",
    r"there(?: is|'s) (?:no|not enough|insufficient|not sufficient) information (?:available |provided |given )?(?:about this|on this|to answer|to determine|regarding this|for this)",
    r"(?:there is )?no (?:relevant )?information (?:is |was )?(?:available|provided|given|found)(?: (?:about|on|regarding|for) (?:this|that|it|the question|your question|the topic).*)?[.!]?$",
    rf"no (?:\w+ )?(?:information|answer|mention) .*{_EN_IN_TEXTS}",
    rf"(?:it is |that is |this is |it's |that's )?not (?:\w+ )?(?:mentioned|specified|stated|given|found|covered|provided|answered|described|available) {_EN_IN_IT}",
    rf"(?:none|neither) of {_EN_CONTEXT} {_EN_SAYS}",
    rf"(?:the|these|this) (?:texts?|documents?|sources?|articles?|page) {_EN_NOT} (?:say\b|tell (?:us|me|you)\b|answer\b"
    r"|(?:contain|provide|include|give|have|offer) (?:any |enough |sufficient |the |an )?(?:information|details|answer|mention))",
    rf"(?:this|that|it|the answer|the question|this information|that information|this question|this topic|the requested information)(?: \w+)? "
    rf"(?:is|was|are|has|have|does|can|could)(?: not|n't|not)(?: \w+){{0,3}} {_EN_IN_IT}",
    r"(?:the|this|that|your) (?:answer|question) (?:cannot|can't|can not|could not|is not able to) be (?:found|answered|determined|given|inferred)",
    r"(?:not enough|insufficient) (?:information|context|details?)",
    r"(?:i was|i've been|i have been) (?:unable|not able) to (?:answer|find|help|determine|say|tell|locate)\b",
    r"we (?:do not|don't) have (?:any |enough )?information (?:about|on|regarding)\b",
    rf"nothing in {_EN_CONTEXT} {_EN_SAYS}",
    rf"{_EN_CONTEXT} (?:is|are) (?:silent|not clear|unclear|insufficient|not sufficient|not enough)\b",
    rf"(?:based on|according to|from) {_EN_CONTEXT},? the answer (?:is|cannot|can't) (?:unknown|unclear|not|be)\b",
    rf"there(?: is|'s) nothing (?:about|on|regarding) .*{_EN_IN_IT}",
    r"it(?: is|'s) (?:not possible|impossible) to (?:answer|determine|say|tell)\b",
    rf"(?:this|that|it|your question|the question|this question) (?:is|falls|lies) (?:outside|beyond) (?:the scope of )?{_EN_CONTEXT}",
    rf"(?:as|since|because) {_EN_CONTEXT} {_EN_NOT} {_EN_SAY}",
    r"(?:unanswerable|not answerable|cannot be answered|no answer)[.!]?$",
)
"""Of the beginning of the first sentence."""

_SAYS_TURKISH = re.compile(rf"(?:{_TR_SORRY})?(?:{'|'.join(_TURKISH)})")
_SAYS_ENGLISH = re.compile(rf"(?:{_EN_SORRY})?(?:{'|'.join(_ENGLISH)})")
_GOES_ON = re.compile(
    r"(?:[,;:–—]\s*|^)(?:ama|ancak|fakat|yine de|bununla birlikte|buna rağmen|genellikle|genelde|tahminimce|"
    r"but|however|nevertheless|that said|still|generally|usually|typically|in general|based on general)\b"
)
_OFFERS = re.compile(
    r"\b(?:help|assist|contact|ask|reach|consult|rephrase|refer|check|more (?:context|information)|yardım|danış|başvur|iletişim|sor|kontrol|bakın|"
    r"inceley|paylaş)\w*"
)
"""What follows a refusal out of courtesy."""


@lru_cache(maxsize=4096)
def refuses_in_other_words(text: str) -> bool:
    """Whether `text` says that it has no answer.

    >>> refuses_in_other_words("Belgelerde bu konuda bilgi bulunmuyor."), refuses_in_other_words("Makarada etiket yok.")
    (True, False)
    >>> refuses_in_other_words("I do not have information about that."), refuses_in_other_words("The form has no date.")
    (True, False)
    >>> refuses_in_other_words("I do not know, but usually it is 30 days.")
    False
    """
    plain = unicodedata.normalize("NFC", _MARKS.sub("", text)).replace("’", "'").strip()
    sentences = [each.strip() for each in _SENTENCE_END.split(plain) if each.strip()]
    if not sentences:
        return False
    first, *others = sentences
    if others and _is_apology(first):
        first, *others = others
    if len(first.split()) > _MOST_WORDS or not _says_no(first):
        return False
    return not any(_goes_on(each) for each in others)


def _says_no(sentence: str) -> bool:
    turkish = " ".join(lower_case(sentence, "tr").split()).rstrip(" .!?…")
    english = " ".join(lower_case(sentence, "en").split())
    if _SAYS_TURKISH.fullmatch(turkish):
        return True
    # in English the no stands in front, and an answer may follow in the same sentence
    return _SAYS_ENGLISH.match(english) is not None and not _answers_after_all(english)


def _answers_after_all(sentence: str) -> bool:
    parts = re.split(
        r"[,;:–—]\s*(?=(?:but|however|although|though)\b)", re.sub(rf"^{_EN_SORRY}", "", sentence), maxsplit=1
    )
    return len(parts) == 2 and not _OFFERS.search(parts[1]) and not _SAYS_ENGLISH.match(parts[1].split(" ", 1)[-1])


def _is_apology(sentence: str) -> bool:
    return any(
        re.fullmatch(rf"(?:{pattern})", lower_case(sentence, language).rstrip(" .!,") + tail)
        for language, pattern in (("tr", _TR_SORRY), ("en", _EN_SORRY))
        for tail in ("", ".")
    )


def _goes_on(sentence: str) -> bool:
    """A later sentence that turns round ("However, ...") and is no offer of help."""
    return any(
        _GOES_ON.match(lowered) is not None and not _OFFERS.search(lowered)
        for lowered in (lower_case(sentence, "tr"), lower_case(sentence, "en"))
    )
