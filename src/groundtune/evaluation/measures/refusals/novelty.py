"""Whether a clause adds anything to its question beyond talk about texts, telling and knowing.

Ways of refusing are without number; but what a refusal is made of is not. It has a no in it, it speaks of a text, of telling or of
knowing, and for the rest it has the words of the question: nothing is left that could be an answer. Words of the question itself
never count as such talk: where the question is about a text ("is the guide free?"), its answer speaks of the text too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from groundtune.evaluation.measures.refusals.reading import Asked, beginning, content_words

_TALK = re.compile(
    r"(?:"
    # English: texts, telling, knowing, searching
    r"texts?|passages?|contexts?|documents?|documentation|docs?|articles?|excerpts?|extracts?|sections?|manuals?|guides?|guidebook|handbooks?|leaflets?|brochures?|pages?|chapters?|"
    r"sources?|materials?|paragraphs?|snippets?|biograph\w+|blurb|recipe|entry|literature|"
    r"relat(?:e|es|ed)|narrat\w*|cit(?:e|es|ed)|enumerat\w*|itemi[sz]\w*|quantif\w*|pinpoint\w*|broach\w*|delv\w*|dwell\w*|expand\w*|imply|implies|implied|suggest\w*|allud\w*|divulg\w*|furnish\w*|volunteer\w*|comment\w*|trace|booklet|pamphlet|handout|bulletin|"
    r"mention\w*|states?|stated|stating|specif(?:y|ies|ied|ying)|say|says|said|saying|tell|tells|told|telling|describ\w*|explain\w*|discuss\w*|address(?:es|ed|ing)?|clarif\w*|elaborat\w*|"
    r"indicat\w*|reveal\w*|disclos\w*|refer|refers|referred|referenc\w*|spell\w*|touch\w*|document\w*|"
    r"idea|clue|guess\w*|speculat\w*|infer\w*|deduc\w*|determin\w*|confirm\w*|conclud\w*|establish\w*|ascertain\w*|verif\w*|learn|learned|"
    r"answer\w*|unanswer\w*|question\w*|info|information|details?|data|hint\w*|indication|evidence|scope|"
    r"search\w*|look|looked|looking|scan(?:ned)?|combed|read|reading|checked|went|elsewhere|inventing|invented|mystery|stumped|"
    # Turkish, by the beginnings of words
    r"(?:metin|metn|baglam|belge|dokuman|kilavuz|rehber|pasaj|paragraf|alinti|kaynak|kaynag|brosur|makale|yazi|yazar|yazm|yazil|yazd|sayfa|bolum|icerik|icerig|tarif|madde|"
    r"zikr|irdel|betiml|ozet|aktar|bildir|deginm|dokunm|netles|kayda|isaret|emare|bulten|prospektus|kitapc|eser(?!l)|"
    r"belirt|bahs|bahis|degin|acikla|anlat|soyle|soylu|ifade|ibare|cumle|satir|kelime|ele|gec(?:m|iy)|an[iı]l|dile|demi|denm|deni|diy|"
    r"bilgi(?!sayar)|malumat|fikr|fikir|tahmin|cikar[ai]m|anlas|anlay|cevap|cevab|yanit|soru|ayrinti|detay|veri(?!l)|ipucu|dayana|karsilig|emin|"
    r"rastla|arat|ara(?:d|y)|oku|tara(?:d|y)|bakt|inceledi|gordu|gorm|gorem|gorebil|ogren|sapta|tespit|teyit|uydur|mechul|muamma)\w*"
    r")"
)
"""Of texts and telling, of knowing and searching: the talk of one who has no answer."""
_TEXT = re.compile(
    r"texts?|passages?|contexts?|documentation|docs|articles?|excerpts?|extracts?|manuals?|guides?|guidebook|handbooks?|leaflets?|brochures?|booklets?|pamphlets?|paragraphs?|snippets?|biography|faqs?|"
    r"chapters?|write ?up|blurb|handout|"
    r"(?:metin|metn|baglam|dokuman|dokumantasyon|kilavuz|rehber|pasaj|paragraf|alinti|brosur|makale|yazida|prospektus|kitapcik|kitapcig|belgeler|kaynaklar|bulten)\w*"
)
_FILLER = re.compile(
    r"(?:"
    r"giv(?:e|es|en|ing)|gave|provid\w*|cover\w*|contain\w*|includ\w*|find|found|see|seen|show\w*|list\w*|availab\w*|anywhere|nowhere|here|there|appear\w*|basis|definite\w*|exact\w*|specific\w*|particular\w*|"
    r"whatsoever|topic|subject|matter|part|thing|things|something|anything|nothing|none|nobody|anyone|anybody|way|far|sorry|afraid|unfortunately|sadly|regrettably|apolog\w*|thank\w*|help\w*|please|able|unable|"
    r"possib\w*|impossib\w*|leav\w*|left|remain\w*|keep\w*|skip\w*|stop\w*|go|goes|going|get|gets|getting|come|comes|came|limit\w*|concern\w*|regard\w*|value|number|figure|amount|size|date|time|name|quantity|"
    r"point|let|make|made|making|have|received|pasted|sent|shared|supplied|front|simply|just|really|actually|honestly|clearly|explicit\w*|direct\w*|current\w*|any|one|never|nope|nor|neither|lack\w*|omit\w*|"
    r"fail\w*|silent|quiet|mum|blank|empty|beyond|outside|elsewhere|absent|missing|without|un\w+|zero|hits|gap|dark|short|seem\w*|think|believe|would|need|want|like|wish|must|say|reliabl\w*|"
    r"relevant|related|based|basis|according|given|present\w*|whether|yes|definitive|up|down|twice|whole|entire|all|either|sentence|word|words|line|bearing|use|further|"
    r"know|knows|known|knowing|knowledge|sure|certain|certainty|author|writer|write|writes|written|height|length|weight|depth|temperature|dimensions?|measure\w*|tell|place|reason|"
    r"ignor\w*|either|good|mine|yours|simple|full|reach\w*|attached|pasted|uploaded|chose|included|ends?|gave|"
    r"(?:bil|kesin|yuksekli|uzunlu|agirli|derece|sicakli|adim|yontem|neden|sebep|ayril|acil|karsila|"
    r"yok|var|degil|bulun|bulam|bulma|yer|al(?:m|iyor|an)|ver(?:m|il|en)|sun|icer|barindir|paylas|mevcut|maalesef|uzgun|kusur|ozur|dile|malesef|yazik|ilgili|iliskin|dair|hakkinda|konu|husus|acik|net|"
    r"mumkun|imkan|olanak|guc|zor|hic|tek|herhangi|sey|bisey|bisi|yardim|yeterli|kisim|kismi|bahs|iz|kayit|kayd|rakam|deger|taraf|gore|uzerinden|bos|eksik|atla|sessiz|suskun|disinda|otesi|"
    r"sinirli|yalnizca|sadece|ver|gelince|burada|orada|buradan|goz|gorun|cik(?:m|t|iy)|ulas|eris|sag(?:la)|eld?[ie]|elimde|bende|bana|dogru|aciklik|girm|giril|kal(?:m|iy)|birak|kadariyla|bile|boyle|oyle|"
    r"degin|sonuc|olmu|olmak|et(?:m|ti)|edil|yap(?:m|il)|nokta|karsi|miktar|sayi|tarih|isim|ad[iı]?|sure|oran|olcu|kim)\w*"
    r")"
)
"""Words that are neither such talk by themselves nor an answer."""
_NO = re.compile(
    r"(?:no|not|nothing|none|never|nope|nobody|nowhere|neither|nor|without|lacks?|lacking|omit\w*|skip\w*|absent|missing|silent|quiet|mum|blank|empty|beyond|outside|elsewhere|ignor\w*|"
    r"nil|zilch|nada|nary|devoid|bereft|dead|undefined|undisclosed|unlisted|undetermined|indeterminate|unspoken|unsaid|unaddressed|unexplored|unresolved|undocumented|unstated|dunno|hardly|barely|scarcely|eludes?|escapes?|"
    r"isnt|arent|doesnt|dont|didnt|wasnt|cant|couldnt|hasnt|havent|wont|noksan\w*|namevcut|yoksun\w*|mahrum\w*|muphem\w*|muallak\w*|havada|askida|\w{2,}m[ae]yi[pn]\w*|"
    r"unknown|unclear|unanswer\w*|unable|unmention\w*|unspecif\w*|unstated|uncertain|stumped|mystery|guess\w*|invent\w*|zero|gap|fails?|impossible|"
    r"yok(?!sa)\w*|degil(?!se)\w*|hic\w*|mechul\w*|muamma\w*|muglak\w*|suskun\w*|sessiz\w*|susuyor|bos\w*|eksik\w*|disinda\w*|otesi\w*|sifir|guc|zor|uydur\w*|keske|atla\w*|belirsiz\w*|cevapsiz\w*|yanitsiz\w*|imkansiz|olanaksiz|"
    r"\w{2,}m[iu]yo(?!rsa)\w*|\w{2,}m[ae]d[iu]\w*|\w{2,}m[ae]m[iu]s\w*|\w{2,}m[ae]m[ae]kt\w+|\w{2,}[ae]m[ae]m|\w{2,}m[ae]y[ae]n)"
)


@dataclass(frozen=True, slots=True)
class Makeup:
    """How many words of a clause are of which sort; those of the question count in `asked` alone."""

    asked: int
    texts: int
    """Names of texts, of the talk."""
    talk: int
    new: int


def makeup(text: str, wanted: Asked) -> Makeup | None:
    """Of one folded clause or sentence; None where it has no no in it."""
    if not any(_says_no(word) for word in text.split()):
        return None
    shared = texts = talk = new = 0
    for word in content_words(text):
        if beginning(word) in wanted.beginnings:
            shared += 1
        elif _is_talk(word):
            talk += 1
            texts += _is_text(word)
        elif not _is_filler(word):
            new += 1
    return Makeup(shared, texts, talk, new)


@lru_cache(maxsize=16384)
def _is_text(word: str) -> bool:
    return _TEXT.fullmatch(word) is not None


@lru_cache(maxsize=16384)
def _is_talk(word: str) -> bool:
    return _TALK.fullmatch(word) is not None


@lru_cache(maxsize=16384)
def _is_filler(word: str) -> bool:
    return _FILLER.fullmatch(word) is not None


@lru_cache(maxsize=16384)
def _says_no(word: str) -> bool:
    return _NO.fullmatch(word) is not None
