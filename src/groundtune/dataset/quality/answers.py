"""Answers that are too short, too long, or say the same over and over.

A row has as many answers as assistant turns. It is too short when its longest answer is, so that "Sure!" in a long
conversation does no harm, and too long or repetitive when any of them is. What this module does not do: count tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.dataset.quality.reasons import Reason, left_out
from groundtune.dataset.quality.texts import answers_of, words_of
from groundtune.types import Conversation, LeftOut

GRAM_WORDS = 4


class AnswerLengths:
    """Bounds in characters, tool calls included; 0 sets no upper one."""

    def __init__(self, *, least: int, most: int) -> None:
        self._least, self._most = least, most

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        place, longest = max(answers_of(conversation), key=lambda answer: len(answer[1]))
        size = len(longest)
        if size < self._least:
            found = f"{size} characters, at least {self._least} asked"
            return left_out(conversation, Reason.ANSWER_TOO_SHORT, field=place, found=found)
        if self._most and size > self._most:
            found = f"{size} characters, at most {self._most} asked"
            return left_out(conversation, Reason.ANSWER_TOO_LONG, field=place, found=found)
        return None


class Repetition:
    """At most so large a share of an answer's words may stand in a 4-gram said before.

    A word form of the repetition filters of Rae and others, *Scaling Language Models: Methods, Analysis & Insights from
    Training Gopher* (2021), A1.1.
    """

    def __init__(self, most: float) -> None:
        self._most = most

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        for place, answer in answers_of(conversation):
            share = repeated_share(words_of(answer))
            if share > self._most:
                found = f"{share:.3f} of the words, at most {self._most:g} asked"
                return left_out(conversation, Reason.ANSWER_REPEATS_ITSELF, field=place, found=found)
        return None


def repeated_share(words: Sequence[str]) -> float:
    """Share of `words` that stand in a run of four that was said before.

    >>> repeated_share("a b c d e f".split()), repeated_share("a b c d a b c d".split())
    (0.0, 0.5)
    """
    if len(words) <= GRAM_WORDS:
        return 0.0
    seen: set[tuple[str, ...]] = set()
    repeated = 0
    counted_to = 0
    for start in range(len(words) - GRAM_WORDS + 1):
        gram = tuple(words[start : start + GRAM_WORDS])
        if gram in seen:
            repeated += start + GRAM_WORDS - max(start, counted_to)
            counted_to = start + GRAM_WORDS
        seen.add(gram)
    return repeated / len(words)
