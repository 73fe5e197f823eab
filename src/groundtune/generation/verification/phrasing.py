"""How a question and an answer are put: there, whole, of the right length, and standing on their own.

Each check gives a fault or None. What this module does not do: compare with the chunks, or judge style.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from groundtune.config import GenerationConfig
from groundtune.generation.verification.reasons import Fault, Reason
from groundtune.language import lower_case
from groundtune.types import Difficulty, Language

MAX_QUESTION_WORDS = 60
"""A question of more holds a story, or its own answer."""

SENTENCES: Mapping[Difficulty, tuple[int, int]] = {
    Difficulty.EASY: (1, 2),
    Difficulty.MEDIUM: (2, 4),
    Difficulty.HARD: (4, 6),
}
"""Of an answer of profile ``v1``, as its prompt asks for."""

_LONGEST_WORD = 200
"""Characters; beyond it is what a model writes that has lost its way, and it is slow to look through."""

_BROKEN = re.compile("[\\0-\\x08\\x0b-\\x1f\\x7f\ufffd]")
_QUESTION_MARKS = ("?", "？", "؟")
_SENTENCE_END = re.compile(r"(?<=[.!?…])[\"”’)\]*_`]*\s+(?=[\"“‘(\[*_`]*[^\W_a-zçğıöşü])|\n+")
_ABBREVIATION = re.compile(
    r"\b(?:vb|vs|örn|bkz|no|sn|dk|st|mr|ms|dr|e\.g|i\.e|etc|approx|fig|ör|yak|maks|min|max)\.$", re.IGNORECASE
)
_ITEM_SIGN = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s*")

_POINTING = {
    "tr": re.compile(
        r"(?:yukarıda|aşağıda|verilen|sağlanan|sunulan)(?:ki)? (?:bağlam|metin|metn|parça|bölüm|belge|doküman|bilgi|pasaj|alıntı)\w*"
        r"|(?:bağlam|metn|metin|parça|pasaj)(?:a|e|ya|ye) göre|(?:bağlam|metin|parça|pasaj)(?:da|de|ta|te) (?:belirt|verilen|geç|anlat|yer al)"
        r"|bu (?:bağlam|metin|parça|bölüm|belge|doküman|pasaj)(?:da|de|e|ye|a|ya|ta|te|deki|daki|taki|teki)\b|\bbu metne\b"
        r"|\b(?:parça|pasaj) (?:no|numarası)? ?\[\d+\]|\[\d{1,2}\] ?(?:numaralı|no'lu|nolu)"
    ),
    "en": re.compile(
        r"(?:according to|based on|as per) (?:the|this|these) (?:given |provided |above )?(?:context|passages?|text|excerpts?|documentation|document|section)\b"
        r"|\bin (?:the|this) (?:given |provided |above )?(?:context|passage|text|excerpt)(?: above| below| provided| given)?(?=[\s,.?]|$)"
        r"|(?:context|passages?|text|information|section|table|list) (?:above|below|provided)\b"
        r"|\bthe (?:above|following|provided|given) (?:context|passage|text|excerpt|information)\b"
        r"|as (?:mentioned|stated|described|noted) (?:above|in the (?:context|passage|text))"
        r"|\b(?:the|this) (?:passage|excerpt) (?:says|states|mentions|describes|explains)|\b(?:passage|excerpt) \[?\d+\]?"
    ),
}  # fmt: skip


_NO_ANSWER = {
    "tr": re.compile(
        r"\bbilgim yok\b|bilgi (?:verilmemiş|bulunmamakta|yer almamakta|paylaşılmamış)|(?:belge|doküman|kılavuz|metin|bağlam|parça)\w* "
        r"(?:[^.\n]{0,60} )?(?:belirtilmemiş|açıklanmamış|bulunmamakta|yer almamakta|geçmemekte|bilgi yok)\w*"
    ),
    "en": re.compile(
        r"\bi (?:have no information|do not know|don't know)\b|\bno information (?:is|was) (?:given|provided|available)\b"
        r"|\b(?:documentation|document|context|text|passages?|guide) (?:does|do) not (?:say|mention|specify|state|provide|contain|explain)"
        r"|\bnot (?:specified|mentioned|stated|described|explained) in the (?:documentation|document|context|text|passages?|guide)\b"
    ),
}  # fmt: skip


def check_phrasing(
    question: str, answer: str, language: Language, difficulty: Difficulty, config: GenerationConfig
) -> Fault | None:
    """The first thing wrong with a question and its answer, both stripped."""
    if not question or not answer:
        return Fault(Reason.EMPTY, "answer" if question else "question")
    broken = _BROKEN.search(f"{question}\n{answer}")
    if broken is not None:
        return Fault(Reason.BROKEN_CHARACTERS, f"U+{ord(broken[0]):04X}")
    if not question.endswith(_QUESTION_MARKS):
        return Fault(Reason.NOT_A_QUESTION, f"ends with {question[-20:]!r}")
    if too_long := _too_long(question, MAX_QUESTION_WORDS):
        return Fault(Reason.QUESTION_TOO_LONG, too_long)
    return check_length(answer, difficulty, config) or _check_standing(question, answer, language)


def check_length(answer: str, difficulty: Difficulty, config: GenerationConfig) -> Fault | None:
    """Words for every profile; for ``v1`` also the sentences that the difficulty asks for."""
    if too_long := _too_long(answer, config.max_answer_words):
        return Fault(Reason.TOO_LONG, too_long)
    if config.profile == "v1":
        least, most = SENTENCES[difficulty]
        found = num_sentences(answer)
        if not least <= found <= most:
            reason = Reason.TOO_SHORT if found < least else Reason.TOO_LONG
            return Fault(reason, f"{found} sentences, {least} to {most} for {difficulty.value}")
    return None


def _too_long(text: str, most: int) -> str:
    words = text.split()
    if len(words) > most:
        return f"{len(words)} words, at most {most}"
    longest = max(map(len, words))
    return f"a word of {longest} characters, at most {_LONGEST_WORD}" if longest > _LONGEST_WORD else ""


def num_sentences(text: str) -> int:
    """Sentences; a line of a list counts as one.

    >>> num_sentences("Süre 2.5 gündür, örn. Salı. Sonra kapanır!"), num_sentences("Two steps:\\n1. Open it.\\n2. Close it.")
    (2, 3)
    """
    count, place = 0, 0
    for match in (*_SENTENCE_END.finditer(text), None):
        piece = text[place : match.start() if match else len(text)]
        if match and _ABBREVIATION.search(piece):
            continue
        count += any(map(str.isalnum, _ITEM_SIGN.sub("", piece)))
        place = match.end() if match else len(text)
    return count


def _check_standing(question: str, answer: str, language: Language) -> Fault | None:
    """Whether the pair can be understood without the text it came from, and answers at all."""
    if language not in _POINTING:
        return None
    said = lower_case(answer, language)
    refused = _NO_ANSWER[language].search(said)
    if refused is not None:
        return Fault(Reason.NO_ANSWER, refused[0])
    found = _POINTING[language].search(f"{lower_case(question, language)} {said}")
    return Fault(Reason.POINTS_AT_CONTEXT, found[0]) if found else None
