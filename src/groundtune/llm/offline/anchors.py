"""Whether a sentence still says what it is about when it stands alone, as the question made of it must."""

from __future__ import annotations

import re

from groundtune.language import lower_case
from groundtune.llm.offline.drafts import stems
from groundtune.llm.offline.topics import Topic
from groundtune.llm.offline.word_lists import BARE_SUBJECTS, LEANING_STARTS
from groundtune.types import Language

_LEANING_WORDS = {
    "tr": re.compile(
        r"\b(bu|bunu|buna|bunun|bunlar\w*|bundan|bununla|şu|şunlar\w*|onun|onlar\w*|söz konusu|yukarıda\w*|aşağıda\w*|böyle\w*|diğer|öteki|örneğin|adı geçen|burada\w*|şöyle\w*|ayrıca|ikisi\w*|ilgili)\b"
    ),
    "en": re.compile(
        r"\b(this|that one|these|those|it|its|they|them|their|above|below|following|aforementioned|such|here|there|latter|former|the (?:screen|records?|table|system|list|request|response|query|example|value|field|result|results|following|page|form|user|number|code|button)(?= (?:is|are|can|may|must|will|has|have|does|do|was)\b)|new one|you|your|we|our|us|he|she|his|her|same)\b"
    ),
}
_NAMED = re.compile(
    r"`[^`]+`|\b[A-ZÇĞİÖŞÜ]{2,}[\w-]*\d|\b[A-ZÇĞİÖŞÜ]{2,}_[A-Z_]+|\b[A-Z]{2,4}-\d+|\b[A-Z][a-z]+[A-Z]\w+"
)


def leans(text: str, language: Language) -> bool:
    """Whether `text` points at something outside itself: "Bu kayıt ...", "It is ...".

    >>> leans("Bu sınır 5'tir.", "tr"), leans("Lot bölme sınırı 12'dir.", "tr"), leans("It is kept.", "en")
    (True, False, True)
    """
    words = text.split() or [""]
    first = lower_case(words[0].strip("*_\"'(,.:;"), language) if words else ""
    if first in LEANING_STARTS.get(language, frozenset()):
        return True
    second = words[1] if len(words) > 1 else ""
    stands_alone = words[0].endswith(",") or second == "için" or not re.search(r"[ıiuü]n?[ıiuü]?[,;]?$", second)
    if language == "tr" and first in BARE_SUBJECTS and stands_alone:
        return True
    if first == "aynı" and re.match(r"(?:bilgi|değer|veri|kayıt|kural|ekran|tablo|işlem|yöntem|sorgu|istek)", second):
        return True
    pattern = _LEANING_WORDS.get(language)
    return pattern is not None and pattern.search(lower_case(text, language)) is not None


_WORDS_OF_A_WHOLE_SENTENCE = 6


def is_anchored(text: str, topic: Topic) -> bool:
    """Whether `text` names its subject: a word of the titles above it, a code or identifier, or enough words of its own."""
    if leans(text, topic.language):
        return False
    if len(text.split()) >= _WORDS_OF_A_WHOLE_SENTENCE:
        return True
    return bool(stems(text, topic.language) & topic.stems) or _NAMED.search(text) is not None
