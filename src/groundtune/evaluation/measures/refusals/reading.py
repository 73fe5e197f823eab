"""An answer as parts to look at: plain words, sentences, clauses; and what its question asks for.

What this module does not do: know what any word means for a refusal (:mod:`.english`, :mod:`.turkish`).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from groundtune.evaluation.measures.function_words import FUNCTION_WORDS

Asks = Literal["whether", "what", "meaning", "what is not", "unknown"]
"""A yes or no; a fact; what a code or a difference means; what something not being there may answer (why it failed, which message is shown); cannot be told."""

FEWEST_LETTERS = 2
BEGINNING_LETTERS = 4
"""Two words are taken for one that begin alike for so many letters: Turkish endings, English plurals."""

_LETTERS = str.maketrans("çğıöşüâîûéÇĞİIÖŞÜ", "cgiosuaiuecgiiosu")
_MARKS = re.compile(r"[*_`#>\[\]]+|^\s*(?:[-•–]|\d{1,2}[.)])\s+", re.MULTILINE)
_QUOTED = re.compile(r"\"[^\"\n]{2,80}\"|(?<!\w)'[^'\n]{2,80}'(?!\w)")
_LABEL = re.compile(r"^\s*(?:answer|response|final answer|cevap|yanit|sonuc)\s*:\s*")
_CONTRACTED = re.compile(r"\b(do|does|doesn|dos|did|is|are|was|were|has|have|had|could|would|should|wo|ca|ai)n'?t\b")
_FULL = {"wo": "will", "ca": "can", "ai": "is", "dos": "does", "doesn": "does"}
_SHORTENED = re.compile(
    r"\b(?:(i)'?m|(i|you|we|they)'ve|(we|you|they)'re|(that|it|there|here|what|which|who)'s|(i|we|you)'d|(i|we|you)'ll)\b"
)
_AUXILIARIES = ("am", "have", "are", "is", "would", "will")
_SENTENCES = re.compile(r"(?<=[.!?…])\s+|\n+|(?<=[a-z]{3}[.!?])(?=[a-z])")
_CLAUSES = re.compile(
    r"\s*(?:[;:()]|,(?=\s)| [–—-] |…|\.\.\.)\s*|\s+(?=(?:but|however|though|ama|fakat|ancak|lakin|so (?:i|we)) )"
)
_OPENS = re.compile(
    r"^\s*(however|but|still|nevertheless|nonetheless|generally|usually|typically|in general|that said|ancak|ama|fakat|yine de|genellikle|genelde|bununla birlikte), "
)
"""A word that turns round stays with what it turns to."""
_TYPED = {
    "dosent": "does not",
    "doesent": "does not",
    "dosnt": "does not",
    "cannt": "can not",
    "knwo": "know",
    "konw": "know",
    "infromation": "information",
    "infomation": "information",
    "mentoined": "mentioned",
    "metioned": "mentioned",
    "menton": "mention",
    "anyting": "anything",
    "specifed": "specified",
    "spesified": "specified",
    "provded": "provided",
    "anwser": "answer",
    "awnser": "answer",
    "docment": "document",
    "bulamdim": "bulamadim",
    "bulamadm": "bulamadim",
    "bilmiyrum": "bilmiyorum",
    "bilmiom": "bilmiyorum",
}
"""Slips of the fingers in the words that refusals are made of."""
_TYPED_WRONG = re.compile(rf"\b(?:{'|'.join(_TYPED)})\b")
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_WHETHER_TR = re.compile(r"\bm[iu](?:d[iu]r|y[iu]m|y[iu]z|s[iu]n(?:[iu]z)?|yd[iu]|ymis)?\b")
_WHETHER_EN = re.compile(
    r"^(?:(?:and|so|but|hi|hello|please)[, ]+)?(?:is|are|was|were|am|do|does|did|can|could|will|would|may|might|must|should|shall|has|have|had)\b"
)
_WHAT = re.compile(
    r"\b(?:what|which|who|whom|whose|when|where|how|why|ne|nedir|neler|nelerdir|neyi|neye|neden|nicin|kac\w*|kim\w*|hangi\w*|"
    r"nasil\w*|nere\w*|neresi|miktari)\b"
)
_MEANS = re.compile(r"\b(?:mean|means|meaning|stand for|difference|anlam\w*|demek\w*|fark\w*)\b")
_HAPPENS = re.compile(
    r"\b(?:what (?:happens|will happen|do i see|is shown|message|error)|(?:error|message|warning)\b|ne (?:olur|yapar|gorunur|cikar|der)|"
    r"hata\w*|mesaj\w*|uyari\w*|neden|nicin|niye|sebebi|why|not|no|without|missing|unavailable|excluded|unknown|fail\w*|yok\w*|degil\w*|haric|disinda|eksik|"
    r"^(?:do|does|did|is|are|was|were|has|have|any)\b.*(?:mention\w*|given|stated?|specified|said|listed|described)|"
    r"(?:bahse[dt]|bahsi gec|soz ed|degin|yazi?|yazar|yazili|belirtil)\w* m[iu])\b"
)
_EMPTY_WORDS = frozenset(word.translate(_LETTERS) for words in FUNCTION_WORDS.values() for word in words) | frozenset(
    [
        "many",
        "much",
        "long",
        "mu",
        "midir",
        "mudur",
        "neler",
        "kac",
        "benim",
        "bizim",
        "biri",
        "ilgili",
        "bilgi",
        "hakkinda",
        "konusunda",
        "information",
        "quoted",
    ]
)


@dataclass(frozen=True, slots=True)
class Clause:
    """`text` is folded: lower case, no letter beyond a to z, no contraction, quoted words gone."""

    text: str
    sentence: int
    is_first: bool
    """Of its sentence."""
    asks: bool
    """Its sentence ends with a question mark."""

    @property
    def beginnings(self) -> frozenset[str]:
        return beginnings(self.text)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is left of a question: what kind of thing it asks for and how its content words begin."""

    kind: Asks
    beginnings: frozenset[str]
    text: str


def fold(text: str) -> str:
    """Lower case without diacritics, contractions written out, marks gone, what stands in quotation marks a placeholder.

    >>> fold("**Metinde** BELİRTİLMEMİŞ, it doesn't say 'Not found'.")
    'metinde belirtilmemis, it does not say quoted.'
    """
    plain = unicodedata.normalize("NFC", text).replace("’", "'").replace("‘", "'").strip()
    plain = re.sub("[“”„«»]", '"', _MARKS.sub("", plain)).strip()
    if plain.count('"') == 2 and plain[0] == plain[-1] == '"':
        plain = plain[1:-1]
    plain = plain.translate(_LETTERS).lower()
    plain = _QUOTED.sub("quoted", _LABEL.sub("", plain))
    plain = _CONTRACTED.sub(lambda match: f"{_FULL.get(match[1], match[1])} not", plain)
    plain = _SHORTENED.sub(_in_full, plain)
    plain = _TYPED_WRONG.sub(lambda match: _TYPED[match[0]], plain)
    return re.sub(r"[ \t]+", " ", plain.replace("cannot", "can not"))


def _in_full(shortened: re.Match[str]) -> str:
    kind = shortened.lastindex or 1
    return f"{shortened[kind]} {_AUXILIARIES[kind - 1]}"


def clauses(text: str) -> tuple[Clause, ...]:
    """The clauses of a whole answer, in their order.

    >>> [each.text for each in clauses("Süre yazıyor, ama ücret belirtilmemiş. I can't say.")]
    ['sure yaziyor', 'ama ucret belirtilmemis', 'i can not say']
    """
    found: list[Clause] = []
    for number, sentence in enumerate(each for each in _SENTENCES.split(fold(text)) if each.strip()):
        whole = _OPENS.sub(r"\1 ", sentence)
        asks = sentence.rstrip().endswith("?")
        is_first = True
        for part in _CLAUSES.split(whole):
            words = " ".join(_WORD.findall(part)) if part else ""
            if words:
                found.append(Clause(words, number, is_first, asks))
                is_first = False
    return tuple(found)


@lru_cache(maxsize=4096)
def asked(question: str) -> Asked:
    """
    >>> [asked(each).kind for each in ("Is it covered?", "Kaç gün?", "Neden?", "?")]
    ['whether', 'what', 'what is not', 'unknown']
    """
    text = fold(question)
    kind: Asks = "unknown"
    if _HAPPENS.search(text):
        kind = "what is not"
    elif _MEANS.search(text):
        kind = "meaning"
    elif asks_whether(text):
        kind = "whether"
    elif _WHAT.search(text) and len(_WORD.findall(text)) > 1:
        kind = "what"
    return Asked(kind, beginnings(text), text)


def asks_whether(question: str) -> bool:
    """Whether a folded question has the form of one for a yes or no."""
    return bool(_WHETHER_TR.search(question) or _WHETHER_EN.search(question.strip()))


def beginnings(text: str) -> frozenset[str]:
    """Of the content words of a folded text."""
    return frozenset(beginning(word) for word in content_words(text))


def beginning(word: str) -> str:
    """What of a word is compared.

    >>> beginning("says"), beginning("sayfada"), beginning("lots")
    ('say', 'sayf', 'lot')
    """
    return word[:BEGINNING_LETTERS].rstrip("s") or word


def content_words(text: str) -> tuple[str, ...]:
    """Of a folded text: those that say what it is about, endings behind an apostrophe left off."""
    words = (word.partition("'")[0] for word in _WORD.findall(text))
    return tuple(word for word in words if len(word) >= FEWEST_LETTERS and word not in _EMPTY_WORDS)
