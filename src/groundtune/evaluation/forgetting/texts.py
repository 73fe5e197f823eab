"""Perplexity of general text before and after tuning, over the same tokens.

What this module does not do: read files, tokenise by itself, or compute losses.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from groundtune.errors import EvaluationError
from groundtune.evaluation.figures.intervals import RESAMPLES, Figure
from groundtune.evaluation.forgetting.scoring import Scored, check_losses
from groundtune.evaluation.forgetting.summary import TextFigures, TextsSummary

LEAST_TEXTS = 20
"""With fewer texts than this the intervals resample windows: an interval of a handful of texts says nothing."""

LEAST_ROOM = 512
"""Tokens for each file that is read: rather fewer files than the first lines of all."""

SCRAP = 64
"""Tokens of room that no further file is opened for."""

_CELLS = 1_000_000
"""Counts of a resampling held at once (8 MB)."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GeneralText:
    """One text, or as much of it as there was room for."""

    token_ids: tuple[int, ...]
    bytes: int
    """Of what was tokenised, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Windows:
    """What a model reads of the texts, in order."""

    sequences: list[Scored]
    owners: list[int]
    """The text of each."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What is measured of general text, and what there was no room for."""

    texts: list[GeneralText]
    cut: int
    """Texts of which only the beginning is measured."""
    unread: int
    """Files that nothing was read of."""


def take_texts(
    sources: Sequence[Iterable[Iterable[str]]], encode: Callable[[str], Sequence[int]], *, max_tokens: int
) -> Taken:
    """Texts of at most `max_tokens` in all: as much from every file, but `LEAST_ROOM` or more from each that is read.

    What one file leaves is shared by those after it. Files come in an order drawn by lot, always the same one, so that those
    that are read stand for all. Nothing behind a file's room is read.

    Args:
        sources: of each file its texts, each in pieces.
    """
    texts: list[GeneralText] = []
    left, cut = max_tokens, 0
    order = list(range(len(sources)))
    random.Random("general text").shuffle(order)
    for done, place in enumerate(order):
        if left <= 0 or (texts and left < SCRAP):
            return Taken(texts, cut, len(order) - done)
        room = min(left, max(LEAST_ROOM, left // (len(order) - done)))
        for pieces in sources[place]:
            text, whole = _fitting(pieces, encode, room)
            cut += not whole
            if text.token_ids:
                texts.append(text)
            room -= len(text.token_ids)
            left -= len(text.token_ids)
            if not whole or room <= 0:
                break
    return Taken(texts, cut, 0)


def _fitting(pieces: Iterable[str], encode: Callable[[str], Sequence[int]], room: int) -> tuple[GeneralText, bool]:
    """As much of a text as `room` tokens hold, cut at a blank; and whether that is all of it."""
    text, tokens = "", 0
    more: Iterator[str] = iter(pieces)
    for piece in more:
        text += piece
        tokens += len(encode(piece))
        if tokens > room:
            break
    # pieces by themselves may take a token more or less than the text
    ids = encode(text)
    if len(ids) <= room and next(more, None) is None:
        return _text(text, ids), True
    blanks = [place for place, letter in enumerate(text) if letter.isspace()]
    # some languages have none
    kept = _longest(text, blanks, encode, room) or _longest(text, range(len(text)), encode, room)
    return _text(kept, encode(kept)), False


def _longest(text: str, ends: Sequence[int], encode: Callable[[str], Sequence[int]], room: int) -> str:
    """The beginning of `text` up to the last of `ends` that `room` tokens hold; empty where none is."""
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if len(encode(text[: ends[middle - 1]])) <= room:
            low = middle
        else:
            high = middle - 1
    return text[: ends[low - 1]] if low else ""


def _text(text: str, ids: Sequence[int]) -> GeneralText:
    return GeneralText(tuple(ids), len(text.encode()))


def cut_windows(texts: Sequence[GeneralText], before: Sequence[int], *, window_tokens: int) -> Windows:
    """Each text in windows of at most `window_tokens`; every token of it is scored in exactly one of them.

    A window after the first begins with the last token of the one before it, as lm-evaluation-harness does it. Where
    nothing can stand in front, a text's very first token has nothing that tells of it and is not scored.

    Args:
        before: ids that stand in front of every window.

    >>> cut_windows([GeneralText((5, 6, 7, 8), 4)], [1], window_tokens=3).sequences
    [Scored(input_ids=(1, 5, 6), start=1), Scored(input_ids=(1, 6, 7), start=2), Scored(input_ids=(1, 7, 8), start=2)]
    """
    front = tuple(before)
    sequences, owners = [], []
    for owner, text in enumerate(texts):
        ids = text.token_ids
        done = 0 if front else 1
        while done < len(ids):
            lead = (*front, *ids[max(done - 1, 0) : done])
            taken = ids[done : done + window_tokens - len(lead)]
            sequences.append(Scored((*lead, *taken), len(lead)))
            owners.append(owner)
            done += len(taken)
    return Windows(sequences, owners)


def compare_texts(
    texts: Sequence[GeneralText],
    windows: Windows,
    before: Sequence[float],
    after: Sequence[float],
    *,
    window_tokens: int,
    seed: int,
) -> TextsSummary:
    """Figures of both models with 95% bootstrap intervals, and their paired differences.

    Args:
        before: summed loss in nats of each window, of the model before tuning.
        after: likewise, after it.

    Raises:
        EvaluationError: a loss that is not a finite number, or no text.
    """
    if not windows.sequences:
        raise EvaluationError(
            "the general text has no token to measure; give other files in evaluation.forgetting.texts"
        )
    check_losses(before, after, "general text")
    units, unit = _units(texts, windows, before, after)
    sums = _Sums(units.sum(axis=0)[None, :], _resampled(units, f"{seed}:general text"), len(units))
    difference = sums.figure(lambda rows: (rows[:, 1] - rows[:, 0]) / rows[:, 2])
    return TextsSummary(
        texts=len(texts),
        tokens=sum(len(each.input_ids) - each.start for each in windows.sequences),
        bytes=sum(text.bytes for text in texts),
        window_tokens=window_tokens,
        unit=unit,
        before=_figures(sums, 0),
        after=_figures(sums, 1),
        loss_difference=difference,
        bits_per_byte_difference=sums.figure(lambda rows: (rows[:, 1] - rows[:, 0]) / rows[:, 3] / math.log(2)),
        rise=_mapped(difference, math.expm1),
    )


def _units(
    texts: Sequence[GeneralText], windows: Windows, before: Sequence[float], after: Sequence[float]
) -> tuple[Numbers, Literal["texts", "windows"]]:
    """[units, 4]: nats before, nats after, tokens, bytes."""
    tokens = [len(each.input_ids) - each.start for each in windows.sequences]
    whole = np.bincount(windows.owners, weights=tokens, minlength=len(texts))
    # a window has its text's bytes by its share of the tokens
    bytes_ = [texts[owner].bytes * each / whole[owner] for owner, each in zip(windows.owners, tokens, strict=True)]
    rows = np.array([before, after, tokens, bytes_], dtype=np.float64).T
    if len(texts) < LEAST_TEXTS:
        return rows, "windows"
    by_text = np.zeros((len(texts), rows.shape[1]))
    np.add.at(by_text, windows.owners, rows)
    return by_text[by_text[:, 2] > 0], "texts"


def _resampled(units: Numbers, seed: str) -> Numbers:
    """[resamples, 4]: the sums over as many units as there are, drawn with replacement."""
    lots = np.random.default_rng(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"))
    number = len(units)
    at_once = max(1, _CELLS // number)
    parts = []
    for start in range(0, RESAMPLES, at_once):
        counts = lots.multinomial(number, np.full(number, 1 / number), size=min(at_once, RESAMPLES - start))
        parts.append(counts @ units)
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True)
class _Sums:
    whole: Numbers
    """[1, 4]"""
    resampled: Numbers
    """[resamples, 4]"""
    units: int

    def figure(self, value: Callable[[Numbers], Numbers]) -> Figure:
        """Of a single unit no interval is known."""
        found = float(value(self.whole)[0])
        if self.units < 2:
            return Figure(found, self.units)
        low, high = np.quantile(value(self.resampled), [0.025, 0.975])
        return Figure(found, self.units, float(low), float(high))


def _figures(sums: _Sums, column: int) -> TextFigures:
    loss = sums.figure(lambda rows: rows[:, column] / rows[:, 2])
    return TextFigures(
        loss=loss,
        perplexity=_mapped(loss, math.exp),
        bits_per_byte=sums.figure(lambda rows: rows[:, column] / rows[:, 3] / math.log(2)),
    )


def _mapped(figure: Figure, function: Callable[[float], float]) -> Figure:
    """A rising function keeps an interval an interval; what no float holds stays at its largest."""
    value, low, high = (
        None if each is None else function(min(each, 700.0)) for each in (figure.value, figure.low, figure.high)
    )
    return Figure(value, figure.n, low, high)
