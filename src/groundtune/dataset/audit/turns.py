"""One conversation held against what was prepared of it: every token accounted for.

What this module does not do: know where rows come from, or compare rows with one another.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from groundtune.chat.writing import Transcript
from groundtune.config import DataConfig
from groundtune.dataset.audit.oracle import Asked, Expected, Oracle, agrees, expect, plain_form, same_text
from groundtune.dataset.audit.report import Failure, Tally
from groundtune.dataset.audit.shortened import told_as
from groundtune.errors import TemplateError

TRAINED = "at least one token is trained"
SPANS = "the trained tokens are the assistant's text, as the template writes it"
STOP = "the stop token of each trained turn is trained"
PROMPT = "the tokens before each trained turn are those that inference sends"
WEIGHTS = "every trained token has its turn's weight"
LENGTH = "nothing is longer than the limit"
TEXT = "raw text is trained whole"

CONVERSATION_CHECKS = (TRAINED, SPANS, STOP, PROMPT, WEIGHTS, LENGTH, TEXT)

MOST_CHARACTERS_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Held:
    """A conversation, and the examples that were prepared of it: ids and weights of each."""

    conversation_id: str
    place: str
    asked: Asked
    text: str
    rows: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]
    shortened: bool = False
    """Whether something was taken out of the conversation to make it fit."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where a turn stands in an example, from `first` to `end`."""

    turn: int
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Auditor:
    """Asks every check of one conversation at a time."""

    oracle: Oracle
    config: DataConfig
    tally: Tally

    def look_at(self, held: Held) -> None:
        for ids, weights in held.rows:
            self.tally.ask(LENGTH)
            if len(ids) > self.config.max_tokens:
                self._fail(LENGTH, held, f"{len(ids)} tokens, over {self.config.max_tokens}")
            self.tally.ask(TRAINED)
            if not (weights[1:] > 0).any():
                self._fail(TRAINED, held, f"none of its {len(ids)} tokens is trained")
        if held.text:
            self._text(held)
        else:
            self._turns(held)

    def _fail(self, check: str, held: Held, what: str) -> None:
        self.tally.fail(check, Failure(held.conversation_id, held.place, what))

    def _turns(self, held: Held) -> None:
        turns = held.asked.trained_turns(self.config.train_on)
        if held.shortened:
            for ids, weights in held.rows:
                self._shortened(held, turns, ids, weights)
        elif len(held.rows) == 1:
            self._row(held, turns, *held.rows[0])
        elif len(held.rows) == len(turns):
            # history reads otherwise than it was written, so every turn has an example of its own
            for turn, (ids, weights) in zip(turns, held.rows, strict=True):
                self._row(held, [turn], ids, weights)
        else:
            self.tally.ask(SPANS)
            self._fail(SPANS, held, f"{len(held.rows)} examples of {len(turns)} trained turns")

    def _row(self, held: Held, turns: Sequence[int], ids: NDArray[np.int32], weights: NDArray[np.float32]) -> None:
        """One example, in which `turns` are to be trained."""
        numbers = ids.tolist()
        try:
            transcript = self.oracle.transcript(held.asked)
            prompts = [self.oracle.prompt_ids(held.asked, turn) for turn in turns]
            expected = [expect(transcript, turn) for turn in turns]
        except TemplateError as error:
            self.tally.ask(PROMPT)
            self._fail(PROMPT, held, str(error))
            return
        spans = list(_spans(turns, prompts, weights))
        self.tally.ask(SPANS)
        if len(spans) != len(turns):
            self._fail(SPANS, held, f"{len(spans)} trained stretches for {len(turns)} trained turns")
        elif outside := int(np.count_nonzero(weights > 0)) - sum(span.end - span.first for span in spans):
            self._fail(SPANS, held, f"{outside} trained tokens outside the assistant's turns")
        for span, prompt, wanted in zip(spans, prompts, expected, strict=False):
            self._prompt(held, span, prompt, wanted, numbers)
            self._span(held, span, wanted, numbers, transcript, begins=span.first == len(prompt))
            self._stop(held, span, numbers)
            self._weights(held, span, weights)

    def _shortened(
        self, held: Held, turns: Sequence[int], ids: NDArray[np.int32], weights: NDArray[np.float32]
    ) -> None:
        first = [begin for begin, _ in _stretches(weights)]
        found = told_as(self.oracle, held.asked, turns, ids.tolist(), first, self.config.overlong)
        if found is None:
            self.tally.ask(PROMPT)
            self._fail(
                PROMPT, held, f"no form that data.overlong ({self.config.overlong}) allows begins like this example"
            )
            return
        asked, turns = found
        self._row(replace(held, asked=asked), turns, ids, weights)

    def _prompt(self, held: Held, span: Span, prompt: list[int], wanted: Expected, ids: list[int]) -> None:
        self.tally.ask(PROMPT)
        if ids[: span.first] != prompt:
            at = next((at for at, (a, b) in enumerate(zip(ids[: span.first], prompt, strict=False)) if a != b), None)
            differs = f"from token {at}" if at is not None else f"{span.first} tokens here, {len(prompt)} there"
            self._fail(PROMPT, held, f"message {span.turn + 1}: inference sends another prompt ({differs})")
            return
        found = self.oracle.read(ids, 0, span.first)
        if not same_text(found.lstrip(), wanted.prompt.lstrip()) and not self.oracle.encodes(wanted.prompt, prompt):
            self._fail(PROMPT, held, f"message {span.turn + 1}: the prompt {_difference(found, wanted.prompt)}")

    def _span(
        self, held: Held, span: Span, wanted: Expected, ids: list[int], transcript: Transcript, *, begins: bool
    ) -> None:
        """`begins`: whether it starts where the prompt that inference sends ends."""
        where = f"message {span.turn + 1}"
        found = self.oracle.read(ids, span.first, span.end)
        if not agrees(self.oracle, transcript, span.turn, wanted, found) and not (
            begins and self.oracle.encodes(wanted.prompt + wanted.turn, ids[: span.end])
        ):
            self._fail(SPANS, held, f"{where}: the trained text {_difference(found, wanted.turn)}")
            return
        for part in wanted.said:
            # what the template leaves out of the turn, the model would never learn to say
            if part not in wanted.turn and plain_form(part) not in plain_form(wanted.turn):
                self._fail(SPANS, held, f"{where}: {part[:MOST_CHARACTERS_SHOWN]!r} is not among what is trained")

    def _stop(self, held: Held, span: Span, ids: list[int]) -> None:
        self.tally.ask(STOP)
        if ids[span.end - 1] not in self.oracle.control_ids:
            last = self.oracle.read(ids, span.end - 1, span.end)
            self._fail(STOP, held, f"message {span.turn + 1}: its last trained token is {last!r}")

    def _weights(self, held: Held, span: Span, weights: NDArray[np.float32]) -> None:
        self.tally.ask(WEIGHTS)
        wanted = np.float32(held.asked.messages[span.turn].weight)
        given = weights[span.first : span.end]
        if (given != wanted).any():
            found = float(given[given != wanted][0])
            self._fail(WEIGHTS, held, f"message {span.turn + 1}: found {found}, expected {float(wanted)}")

    def _text(self, held: Held) -> None:
        """Windows put together again are the text, and each token of it but the first is trained in exactly one of them."""
        self.tally.ask(TEXT)
        (first_ids, first_weights), *others = held.rows
        joined = first_ids.tolist()
        for ids, weights in others:
            if ids[:1].tolist() != joined[-1:] or (weights[:1] > 0).any():
                self._fail(TEXT, held, "a window does not begin with the last token of the one before")
                return
            joined += ids[1:].tolist()
        if not all((weights[1:] == 1).all() for weights in (first_weights, *(weights for _, weights in others))):
            self._fail(TEXT, held, "not every token is trained")
            return
        tokenizer = self.oracle.tokenizer
        begin = 1 if joined[:1] == [tokenizer.bos_token_id] else 0
        end = len(joined) - (1 if joined[-1:] == [tokenizer.eos_token_id] else 0)
        plain = tokenizer(held.text, add_special_tokens=False, split_special_tokens=True, verbose=False)["input_ids"]
        if joined[begin:end] != plain:
            self._fail(TEXT, held, f"{end - begin} tokens that are not the text's {len(plain)}")


def _spans(turns: Sequence[int], prompts: Sequence[list[int]], weights: NDArray[np.float32]) -> Iterator[Span]:
    """The trained stretches, one for each turn; turns that touch are told apart by where the next prompt ends."""
    stretches = iter(_stretches(weights))
    first, end = next(stretches, (0, 0))
    for turn, following in pairwise([*range(len(turns)), None]):
        if first == end:
            return
        cut = end
        if following is not None and first < len(prompts[following]) < end:
            cut = len(prompts[following])
        yield Span(turns[turn or 0], first, cut)
        first = cut
        if first == end:
            first, end = next(stretches, (0, 0))


def _stretches(weights: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Where trained tokens begin and end."""
    trained = np.concatenate([[False], weights > 0, [False]])
    borders = np.flatnonzero(trained[1:] != trained[:-1]).tolist()
    return list(zip(borders[::2], borders[1::2], strict=True))


def _difference(found: str, wanted: str) -> str:
    at = next(
        (at for at, (a, b) in enumerate(zip(found, wanted, strict=False)) if a != b), min(len(found), len(wanted))
    )
    shown = slice(max(0, at - 10), at + MOST_CHARACTERS_SHOWN - 10)
    return f"reads {found[shown]!r} at character {at}; the template writes {wanted[shown]!r}"
