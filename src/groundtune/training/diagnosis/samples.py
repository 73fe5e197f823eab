"""Sample answers that say the same again and again, or the same to every question. Turkish, English and tables alike: what
is compared are words and signs, not meanings."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from groundtune.training.diagnosis.findings import Finding, Sample, Watched

LONGEST_PERIOD = 40
"""Words and signs of the longest passage whose repetition is looked for: about two sentences."""

LEAST_LOOP = 12
"""Words and signs; "yavaş yavaş" and "very, very" are shorter."""

LEAST_TIMES = 3
"""A sentence said twice may be meant so."""

REPETITIVE_SHARE = 0.5
"""Of an answer: a table's rule of dashes, or a list with equal lines, covers less."""

REPETITIVE_ANSWERS = 0.5
"""Of the samples of one step; and two at least."""

SAME_ANSWERS, SAME_SHARE = 4, 0.75
"""Different questions and the share of them that get one answer. Refusals may be equal, and are not the rule."""

_PARTS = re.compile(r"\w+|[^\w\s]")
_SHOWN = 6


def repeated_share(text: str) -> float:
    """The share of a text's words and signs that stand in its largest loop: a passage said three times or more without a
    break. Numbers count as equal, so that a numbered list of one sentence is a loop too.

    >>> repeated_share("Kaydet düğmesine basın. " * 5), repeated_share("Open the purchase order, then press Save.")
    (1.0, 0.0)
    """
    parts = _parts_of(text)
    return _largest_loop(parts)[0] / len(parts) if parts else 0.0


def _parts_of(text: str) -> list[str]:
    text = unicodedata.normalize("NFC", text)
    return ["0" if part.isdecimal() else part for part in _PARTS.findall(text)]


def _largest_loop(parts: Sequence[str]) -> tuple[int, int, int]:
    """Parts in the largest loop, where it begins, and its period."""
    largest = (0, 0, 0)
    for period in range(1, min(LONGEST_PERIOD, len(parts) // LEAST_TIMES) + 1):
        run = 0
        for place in range(period, len(parts)):
            run = run + 1 if parts[place] == parts[place - period] else 0
            covered = run + period
            if covered > largest[0] and covered >= max(LEAST_LOOP, LEAST_TIMES * period):
                largest = (covered, place - covered + 1, period)
    return largest


def repetitive_samples(samples: Sequence[Sample], epoch: float, run: Watched) -> Iterator[Finding]:
    """What is wrong with the answers of one step."""
    loops = [_loop(sample.answer) for sample in samples]
    looping = [loop for loop in loops if loop]
    if len(looping) >= max(2, REPETITIVE_ANSWERS * len(samples)) or (len(samples) == 1 and looping):
        share = len(looping) / len(samples)
        yield Finding(
            "repetitive_samples", "warning", samples[0].step, epoch, share,
            f"{len(looping)} of {len(samples)} sample answers repeat themselves, one of them {looping[0]}",
            f"train longer where the loss still falls ({run.key('epochs')}), otherwise lower {run.key('learning_rate')}; and look "
            "whether the token that ends an answer is trained (groundtune dataset preview)",
        )  # fmt: skip
        return
    yield from _same_to_all(samples, epoch, run)


def _loop(answer: str) -> str:
    """What an answer repeats, in a few words; empty where it does not."""
    parts = _parts_of(answer)
    covered, start, period = _largest_loop(parts)
    if not parts or covered < REPETITIVE_SHARE * len(parts):
        return ""
    passage = " ".join(parts[start : start + min(period, _SHOWN)]) + (" …" if period > _SHOWN else "")
    return f"{covered // period} times {passage!r}"


def _same_to_all(samples: Sequence[Sample], epoch: float, run: Watched) -> Iterator[Finding]:
    if len({sample.question for sample in samples}) < SAME_ANSWERS:
        return
    answer, times = Counter(" ".join(sample.answer.split()) for sample in samples).most_common(1)[0]
    if times >= SAME_SHARE * len(samples):
        passage = " ".join(answer.split()[:_SHOWN])
        yield Finding(
            "repetitive_samples", "note", samples[0].step, epoch, times / len(samples),
            f"{times} of {len(samples)} different questions got one and the same answer ({passage!r})",
            f"look at the share of such answers among the examples (groundtune dataset stats), or lower {run.key('learning_rate')}",
        )  # fmt: skip
