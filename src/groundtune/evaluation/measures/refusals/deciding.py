"""Whether an answer as a whole refuses: what its clauses deny, what was asked, and what comes before and after."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from groundtune.evaluation.measures.refusals import english, turkish
from groundtune.evaluation.measures.refusals.denial import Denial
from groundtune.evaluation.measures.refusals.novelty import makeup
from groundtune.evaluation.measures.refusals.outright import HOW_MUCH, answers_outright, names_texts
from groundtune.evaluation.measures.refusals.reading import Asked, Clause, asked, beginnings, clauses

MOST_WORDS_BEFORE = 70
"""An answer that tells more than this before it says that something is not told has answered."""

MOST_WORDS_AFTER = 90
"""An answer that tells more than this after it has answered something after all."""

MOST_WORDS = 30
"""A clause longer than this says something."""

_EVASIVE = re.compile(
    r"\b(?:explicitly|directly|literally|in so many words|verbatim|acikca|dogrudan|birebir|tam olarak|tam|kesin|spell|spelled|exact|exactly|precise|precisely|outright|as such)\b"
)
_YES_OR_NO = re.compile(r"^(?:yes|no|nope|yeah|evet|hayir|sure|none|only|sadece|yalnizca|not at all|correct|dogru)\b")

_SHORT = 4
"""Words of a clause that is too short to name what was asked."""
_WE = re.compile(r"(?:\w+ )*?(?:we|no one|nobody|kimse)\b|(?:our|you|users?|customers?|if|when)\b")
"""Who does or does not do something, which is no matter of texts."""
_STEPS = re.compile(r"^\s*1[.)]\s.*\n(?:.*\n)*?\s*2[.)]\s", re.MULTILINE)
_EMBEDS = re.compile(
    r"\b(?:whether|if|how|when|what|why|who|which|where|kac|ne|kim\w*|hangi|nasil|nere\w*|neden\w*|gerekce\w*|sebe[bp]\w*|reasons?|olup|\w+[iu]p \w+m[ae]\w+)\b"
)
_NUMBER = re.compile(r"\d")
_BUT = re.compile(r"(?:but|however|though|yet)\b")
_ONLY_TELLS = re.compile(
    r"^(?!.*(?:\d|\b(?:one|two|three|four|five|six|seven|eight|nine|ten|half|once|twice|daily|bir|iki|uc|dort|bes|alti|yedi|sekiz|dokuz|on|yarim)\b))"
    r".*\b(?:only|just|solely|sadece|yalnizca)\b.*\b(?:given|mentioned|stated|mentions?|states?|says?|talks?|describes?|covers?|named|listed|verilmis|veriliyor|vermekle|yaziyor|yazilmis|anlatiyor|"
    r"anlatilmis|anlatiliyor|belirtilmis|belirtiliyor|geciyor|soz ed\w+|bahsed\w+)\b"
)
"""Of an answer to "how much" that has no number and tells what is told instead."""
_CONTRASTS = re.compile(r"\b(?:ise|ama|ancak|fakat|ne var ki|however|but|though|its|their)\b")
_NOUNS_ASKED = re.compile(
    r"\b(?:number|amount|size|figure|quantity|count|limit|date|day|year|time|duration|cost|price|fee|name|height|length|weight|depth|speed|temperature|place|location|steps?|procedure|"
    r"sayi|miktar|sure|tarih|yil|gun|ucret|fiyat|tutar|bedel|ad|isim|ism|oran|boy|agirlik|yukseklik|derece|sicaklik|yer|adim|yontem|sinir|deger|olcu)(?:s?[iu]\w*|l\w+|s)?\b"
)
"""What "how many", "when" and the like ask for without naming it."""
_REFERS = re.compile(
    r"\b(?:i|me|it|its|they|this|that|one|question|answer|information|them|bu|bunu|buna|bunun|bundan|soru\w*|cevap\w*|cevab\w*|yanit\w*|konu\w*|bilgi\w*|kesin\w*|net)\b|"
    r"m(?:iyor|uyor|ad|ed|ay|ey)\w*m$|m[ae]m$"
)
_CONDITION = re.compile(
    r"^(?:if|when|whenever|unless|where|wherever|in case|once|until|should|provided that|as long as|eger|sayet)\b"
)
_GRANTS = re.compile(r"^(?:although|though|even though|even if|while|whereas|despite|(?:her )?ne kadar)\b")


@lru_cache(maxsize=8192)
def refuses_in_other_words(text: str, question: str = "") -> bool:
    """Whether `text` says that it has no answer to `question`; without a question, only what says so of itself.

    >>> refuses_in_other_words("Belgelerde bu konuda bilgi bulunmuyor."), refuses_in_other_words("Makarada etiket yok.")
    (True, False)
    >>> refuses_in_other_words("I do not know."), refuses_in_other_words("I do not know, but usually it is 30 days.")
    (True, False)
    >>> [refuses_in_other_words("No price is given.", asked) for asked in ("What is the price?", "Why was it refused?")]
    [True, False]
    """
    parts, wanted = clauses(text), asked(question)
    denied = [_denies(parts, index, wanted) for index in range(len(parts))]
    if parts and answers_outright(text, parts, wanted, first_denies=denied[0]):
        return False
    if not any(denied):
        return (
            HOW_MUCH.search(wanted.text) is not None
            and _ONLY_TELLS.search(" ".join(each.text for each in parts)) is not None
        )
    first = denied.index(True)
    last = len(denied) - 1 - denied[::-1].index(True)
    return not (_STEPS.search(text) or _answers_before(parts, first, wanted) or _answers_after(parts, last))


def _denies(parts: Sequence[Clause], index: int, wanted: Asked) -> bool:
    """Whether one clause says of what was asked that there is no answer."""
    part = parts[index]
    if part.asks:
        return bool(english.ASKS_BACK.search(part.text) or turkish.ASKS_BACK.search(part.text))
    if len(part.text.split()) > MOST_WORDS:
        return False
    level = max(english.denial(part.text), turkish.denial(part.text))
    if level is not Denial.CERTAIN and _says_nothing_new(parts, index, wanted):
        level = Denial.CERTAIN
    if level is Denial.NONE or _supposes(parts, index):
        return False
    if level is Denial.CERTAIN:
        return True
    if wanted.kind == "unknown":
        return False
    return _is_meant(parts, index, wanted, level)


def _is_meant(parts: Sequence[Clause], index: int, wanted: Asked, level: Denial) -> bool:
    """Whether what is denied less surely is what was asked for."""
    part = parts[index]
    told = any(
        names_texts(each.text) or english.TELLS.match(each.text) or turkish.TELLS.search(each.text)
        for each in parts[:index]
    )
    may_be = wanted.kind == "what" or level is Denial.IF_ASKED or _BUT.match(part.text) is not None
    if told and may_be and _CONTRASTS.search(part.text):
        return True
    if wanted.kind == "what is not":
        return level is Denial.IF_ASKED and _EMBEDS.search(part.text) is not None
    about = _is_about(parts, index, wanted)
    if level is Denial.IF_ASKED:
        return about or told
    return wanted.kind == "what" and about


def _says_nothing_new(parts: Sequence[Clause], index: int, wanted: Asked) -> bool:
    """A no, talk of texts or of knowing, and otherwise the words of the question."""
    if wanted.kind in ("unknown", "what is not") or _WE.match(parts[index].text):
        return False
    part = makeup(parts[index].text, wanted)
    if part is None:
        return False
    if part.texts and _is_about(parts, index, wanted):
        return True
    if part.talk and part.new <= min(2 if wanted.kind == "what" else 1, part.talk - 1 + part.asked):
        return True
    if wanted.kind != "what" or part.new > 0:
        return False
    sentence = [each.text for each in parts if each.sentence == parts[index].sentence]
    whole = makeup(" ".join(sentence), wanted)
    return part.asked > 0 and whole is not None and whole.talk > 0


def _supposes(parts: Sequence[Clause], index: int) -> bool:
    """A condition or a concession: "if it is not stated, ...", "although it is not stated, ..."."""
    part = parts[index]
    goes_on = index + 1 < len(parts) and parts[index + 1].sentence == part.sentence
    if _CONDITION.match(part.text):
        return goes_on or not part.is_first
    return goes_on and part.is_first and _GRANTS.match(part.text) is not None


def _is_about(parts: Sequence[Clause], index: int, wanted: Asked) -> bool:
    """Whether a clause, or its sentence, speaks of what was asked or of the question itself."""
    part = parts[index]
    sentence = " ".join(each.text for each in parts if each.sentence == part.sentence)
    return (
        wanted.kind == "unknown"
        or not wanted.beginnings.isdisjoint(beginnings(sentence))
        or _NOUNS_ASKED.search(sentence) is not None
        or len(part.text.split()) <= _SHORT
        or _EMBEDS.search(sentence) is not None
        or _REFERS.search(sentence) is not None
    )


def _offers(text: str) -> bool:
    return bool(english.OFFERS.search(text) or turkish.OFFERS.search(text))


def _answers_before(parts: Sequence[Clause], first: int, wanted: Asked) -> bool:
    """Whether the first denial only limits an answer given before it: something else, something more, something not asked."""
    before = [each for each in parts[:first] if not each.asks]
    if not before:
        return False
    if sum(len(each.text.split()) for each in before) > MOST_WORDS_BEFORE:
        return True
    limits = english.MORE.search(parts[first].text) or turkish.MORE.search(parts[first].text)
    if (
        HOW_MUCH.search(wanted.text)
        and _NUMBER.search(before[0].text)
        and not names_texts(before[0].text)
        and parts[first].is_first
    ):
        own = " ".join(each.text for each in parts if each.sentence == parts[first].sentence)
        if wanted.beginnings.isdisjoint(beginnings(own)) and _CONTRASTS.search(own) is None:
            return True
    if parts[first].sentence > 0 and not _is_about(parts, first, wanted):
        return True
    if limits and not english.MORE.search(wanted.text) and not turkish.MORE.search(wanted.text):
        return True
    return _YES_OR_NO.match(before[0].text) is not None and len(before) > 1


def _answers_after(parts: Sequence[Clause], last: int) -> bool:
    """Whether what follows the last denial turns round to an answer, and is neither courtesy nor what the texts tell instead."""
    after = parts[last + 1 :]
    if sum(len(each.text.split()) for each in after) > MOST_WORDS_AFTER:
        return True
    evades = _EVASIVE.search(parts[last].text) is not None
    for part in after:
        if _offers(part.text):
            continue
        concludes = english.CONCLUDES.match(part.text) or turkish.CONCLUDES.match(part.text)
        turns = english.TURNS.match(part.text) or turkish.TURNS.match(part.text)
        tells = english.TELLS.match(part.text) or turkish.TELLS.search(part.text)
        if concludes or (turns and (evades or not tells)):
            return True
    return False
