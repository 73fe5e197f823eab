"""From easy to hard: the phase of every row, by a column or by a computed complexity.

Rows are ranked by difficulty and cut at the quantiles of the phases, so phases have exactly the sizes asked for; among rows
of equal difficulty a hash of the id decides. What this module does not do: order training (it only numbers phases).
"""

from __future__ import annotations

import math
import zlib
from array import array
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from typing import Any

from groundtune.config import CurriculumConfig
from groundtune.dataset.quality.texts import answers_of, words_of
from groundtune.errors import DataError
from groundtune.types import DIFFICULTY_LABELS, Conversation, Difficulty

COMPLEXITY = "complexity"
WEIGHTS = {"words": 0.5, "rarity": 0.3, "turns": 0.2}
"""Of the three parts of complexity. A choice, not a measurement: length is what costs a small model most."""

_WORD_SLOTS = 2**20
"""Words are counted by hash, 4 MB whatever the vocabulary; two words in one slot only look more common than they are."""

_LEVELS: Mapping[str, float] = {
    label: float(order)
    for labels in DIFFICULTY_LABELS.values()
    for order, level in enumerate(Difficulty)
    for label in (level.value, labels[level])
}


def phases_of(conversations: Sequence[Conversation], config: CurriculumConfig) -> list[int]:
    """Number of the phase of each row, in the order of ``config.phases``.

    Raises:
        DataError: ``config.by`` names a column that a row lacks, or that is neither a number nor easy, medium or hard (kolay,
            orta, zor); the message names the first such row.
    """
    if config.by == COMPLEXITY:
        difficulty = complexity_of(conversations)
    else:
        difficulty = [_difficulty(conversation, config.by) for conversation in conversations]
    order = sorted(range(len(conversations)), key=lambda index: (difficulty[index], _tie(conversations[index]), index))
    ends = [round(phase.until * len(order)) for phase in config.phases]
    phases = [0] * len(order)
    phase = 0
    for rank, index in enumerate(order):
        while rank >= ends[phase]:
            phase += 1
        phases[index] = phase
    return phases


def complexity_of(conversations: Sequence[Conversation]) -> list[float]:
    """Between 0 and 1 for each row: half its rank by words of all answers, three tenths its rank by rarity of their
    words, two tenths its rank by number of answers (`WEIGHTS`).

    Rarity is the mean over the distinct words of the answers of ``-log2(rows with the word / rows)``, the information of
    meeting the word in a row. A rank is the share of rows that are below, those that are equal counting half.
    """
    rows_with = array("L", bytes(array("L").itemsize * _WORD_SLOTS))
    for row in conversations:
        for slot in set(map(_slot, _answer_words(row))):
            rows_with[slot] += 1
    counts: list[int] = []
    rarity: list[float] = []
    # read twice rather than kept: the words of a million rows take more memory than the rows
    for row in conversations:
        words = _answer_words(row)
        distinct = set(map(_slot, words))
        information = math.fsum(math.log2(len(conversations) / rows_with[slot]) for slot in distinct)
        counts.append(len(words))
        rarity.append(information / max(1, len(distinct)))
    ranks = {
        "words": ranks_of(counts),
        "rarity": ranks_of(rarity),
        "turns": ranks_of([len(answers_of(row)) for row in conversations]),
    }
    return [sum(WEIGHTS[part] * ranks[part][index] for part in WEIGHTS) for index in range(len(counts))]


def ranks_of(values: Sequence[float]) -> list[float]:
    """The share of `values` below each, equal ones counting half.

    >>> ranks_of([5, 1, 5, 9])
    [0.5, 0.125, 0.5, 0.875]
    """
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0.0] * len(values)
    below = 0
    for _, same in groupby(order, key=lambda index: values[index]):
        equal = list(same)
        for index in equal:
            ranks[index] = (below + len(equal) / 2) / len(values)
        below += len(equal)
    return ranks


def _difficulty(conversation: Conversation, column: str) -> float:
    value: Any = conversation.fields.get(column)
    if isinstance(value, str) and value.strip().lower() in _LEVELS:
        return _LEVELS[value.strip().lower()]
    if isinstance(value, (int, float, str)) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isnan(number):
            return number
    origin = conversation.origin
    found = f"found {value!r:.80}" if column in conversation.fields else "found no such column"
    raise DataError(
        f"{origin.file}:{origin.row}: data.curriculum.by is {column!r}: {found}; expected a number, or easy, medium or hard; "
        f"fill the column in every row, or set data.curriculum.by to {COMPLEXITY!r}"
    )


def _answer_words(conversation: Conversation) -> list[str]:
    return [word for _, answer in answers_of(conversation) for word in words_of(answer)]


def _slot(word: str) -> int:
    return zlib.crc32(word.encode("utf-8", "surrogatepass")) % _WORD_SLOTS


def _tie(conversation: Conversation) -> bytes:
    return sha256(conversation.conversation_id.encode("utf-8", "surrogatepass")).digest()
