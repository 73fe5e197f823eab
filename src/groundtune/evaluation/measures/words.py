"""Words, refusals and loops: pure functions of texts and token ids.

What this module does not do: average, compare models, or judge meaning. Token F1 and exact match see words, so a good
answer in other words scores low, and a fluent wrong one may score middling.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

from groundtune.config import PromptConfig
from groundtune.language import lower_case
from groundtune.types import Language

GRAM_TOKENS = 4
"""Length of the token runs whose return is counted as repetition."""

LOOP_TIMES = 3
"""A block must stand this often back to back to be a loop."""

LOOP_TOKENS = GRAM_TOKENS * LOOP_TIMES
"""Shorter answers and shorter loops are not called repetitive: a table rule is many equal tokens too."""

_NUMBERED = re.compile(r"^[ \t]*(\d{1,2})[.)][ \t]+(?=\S)", re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*[-*•–][ \t]+(?=\S)", re.MULTILINE)
_APOSTROPHE = re.compile(r"(?<=\w)['’ʼ‘`´](?=\w)")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
_TOKEN = re.compile(
    r"(?:(?<!\w)-(?=\d))?"  # the sign of a number
    r"\w+(?:(?:-|(?<=\d)[.,:/](?=\d))\w+)*"  # a word, code, date or number
    r"|[%‰<>=≤≥±+×€$₺£°]"  # marks that change what a number says
)


@lru_cache(maxsize=8192)
def normalise_answer(text: str, language: Language) -> str:
    """The words of `text`, lower-cased by the rules of `language`, one space between them.

    Punctuation, Markdown marks, bullets and the numbers of a numbered list go; an apostrophe inside a word goes without
    splitting it; suffixes stay, nothing is stemmed. What changes a meaning stays: decimal marks, dates, codes with
    hyphens or underscores, a minus before a digit, comparison, percent and currency signs, and a lone ordinal
    (``3. gün``). A text without any word is returned as it is, stripped.

    >>> normalise_answer("**LOT'un** Giriş kaydı, IŞIK!", "tr")
    'lotun giriş kaydı ışık'
    >>> normalise_answer("1. Open HM-001.\\n2. Enter -2,5 °C.", "en")
    'open hm-001 enter -2,5 ° c'
    >>> normalise_answer("3. gün", "tr"), normalise_answer(" ... ", "en")
    ('3 gün', '...')
    """
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFC", text)).replace("\u2212", "-")
    if _NUMBERED.findall(plain)[:2] == ["1", "2"]:
        plain = _NUMBERED.sub("", plain)
    plain = _APOSTROPHE.sub("", lower_case(_BULLET.sub("", plain), language))
    words = [word.strip("_") for word in _TOKEN.findall(plain)]
    return " ".join(word for word in words if word) or plain.strip()


def exact_match(answer: str, reference: str, language: Language) -> bool:
    """Whether both say the same words in the same order, after `normalise_answer`."""
    return normalise_answer(answer, language) == normalise_answer(reference, language)


def token_f1(answer: str, reference: str, language: Language) -> float:
    """Harmonic mean of the shares of words that `answer` and `reference` have in common, counted with repeats; 0 to 1.

    The measure of SQuAD (Rajpurkar and others 2016), over `normalise_answer` and without dropping articles.

    >>> token_f1("lot numarası zorunludur", "Lot numarası girilir.", "tr")  # 2 shared of 3 and of 3
    0.6666666666666666
    """
    found = normalise_answer(answer, language).split()
    wanted = normalise_answer(reference, language).split()
    if not found or not wanted:
        return float(found == wanted)
    shared = (Counter(found) & Counter(wanted)).total()
    return 2 * shared / (len(found) + len(wanted))


def repetition_rate(token_ids: Sequence[int]) -> float:
    """Share of runs of four tokens that stood earlier in the same answer; 0 for fewer than two runs.

    >>> repetition_rate([1, 2, 3, 4, 1, 2, 3, 4])  # 5 runs, the last returns
    0.2
    """
    grams = [tuple(token_ids[start : start + GRAM_TOKENS]) for start in range(len(token_ids) - GRAM_TOKENS + 1)]
    return (len(grams) - len(set(grams))) / len(grams) if grams else 0.0


def is_repetitive(token_ids: Sequence[int]) -> bool:
    """Whether an answer runs in circles.

    True when some block of tokens stands at least three times back to back over at least twelve tokens, or when an
    answer of at least twelve tokens has more than half of its runs of four standing earlier in it (a loop with a
    counter in it).

    >>> is_repetitive([7, 8, 9, 5] * 3), is_repetitive([7, 8, 9, 5] * 2), is_repetitive(range(50))
    (True, False, False)
    """
    if len(token_ids) < LOOP_TOKENS:
        return False
    return repetition_rate(token_ids) > 0.5 or _has_loop(token_ids)


def _has_loop(token_ids: Sequence[int]) -> bool:
    for period in range(1, len(token_ids) // LOOP_TIMES + 1):
        needed = max(LOOP_TIMES * period, LOOP_TOKENS) - period
        matching = 0
        for index in range(period, len(token_ids)):
            matching = matching + 1 if token_ids[index] == token_ids[index - period] else 0
            if matching >= needed:
                return True
    return False


def is_refusal(answer: str, prompt: PromptConfig, language: Language) -> bool:
    """Whether `answer` is, or begins with, the configured refusal, after `normalise_answer`.

    >>> from groundtune.config import TURKISH_PROMPT
    >>> is_refusal("bu konuda bilgim yok", TURKISH_PROMPT, "tr"), is_refusal("", TURKISH_PROMPT, "tr")
    (True, False)
    """
    refusal = normalise_answer(prompt.refusal, language)
    return (normalise_answer(answer, language) + " ").startswith(refusal + " ")
