"""The work behind :func:`groundtune.chat.render_many`: conversations in batches, each the fastest way that is proven for it.

What this module does not do: share the work out to processes, or put the columns together.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.chat.generation_marks import check_generation_marks
from groundtune.chat.layouts import Layout, Outline, allows_stand_ins, lay_out, outline_of, stand_ins
from groundtune.chat.modes import writer_for
from groundtune.chat.outline import only_places_contents
from groundtune.chat.render import Rendered, TrainOn, render_examples, trained_turns
from groundtune.chat.shares import Columns
from groundtune.chat.tokens import ControlTokens, control_tokens, joins
from groundtune.chat.turns import cut_at_turns
from groundtune.chat.words import ID_BYTES, WordEncoder
from groundtune.chat.writing import Transcript, Writer
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_CONVERSATIONS = 2048
"""Conversations whose texts are in memory at a time; the result does not depend on it."""

_UNSETTLED = re.compile("[^\0-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20b9]")
"""Finds characters outside those whose normal form every version of Unicode since 6.0 agrees on."""


_Segments = tuple[Sequence[bytes], Sequence[float]]
"""Ids and weight of each segment of an example."""


@dataclass(frozen=True, slots=True)
class Task:
    """What :func:`groundtune.chat.render_many` was asked for."""

    tokenizer: PreTrainedTokenizerBase
    conversations: Sequence[Sequence[Message]]
    tools: Sequence[Sequence[str]] | None
    train_on: TrainOn
    thinking: Sequence[bool | None] | None
    collect: bool


def render_share(task: Task, first: int, end: int) -> Columns:
    """Conversations from number `first` up to, and without, `end`."""
    work = _Work(task)
    with _no_cycle_search():
        for begin in range(first, end, BATCH_CONVERSATIONS):
            work.take(range(begin, min(begin + BATCH_CONVERSATIONS, end)))
    return work.result()


@contextmanager
def _no_cycle_search() -> Iterator[None]:
    """No cycles are made here, and looking for them among millions of words takes a quarter of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _Work:
    """What has been rendered so far, as bytes of int32, and what is known about tokenizer and template."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.tokenizer = task.tokenizer
        self.control: ControlTokens = control_tokens(task.tokenizer)
        self.words = WordEncoder.of(task.tokenizer, self.control)
        self.writer: Writer | None = None
        self.outlines: dict[tuple[str, ...], Outline | None] = {}
        self.joined: list[bytes] = []
        self.weights: list[NDArray[np.float32]] = []
        self.sizes: list[int] = []
        self.owners: list[int] = []
        self.refused: dict[int, str] = {}

    def take(self, batch: range) -> None:
        """The next conversations."""
        layouts = self.lay_out(batch)
        encoded: Iterator[bytes | None] = iter(())
        if self.words:
            texts = [text for each in layouts for one in each for text in chain(one.texts, one.over_borders())]
            encoded = iter(self.words.encode(texts))
        parts: list[bytes] = []
        lengths: list[int] = []
        weights: list[float] = []
        for index, laid_out in zip(batch, layouts, strict=True):
            examples = self.examples(index, laid_out, encoded)
            for segments, marks in self.plainly(index) if examples is None else examples:
                parts += segments
                sizes = list(map(len, segments))
                lengths += sizes
                weights += marks
                self.sizes.append(sum(sizes))
                self.owners.append(index)
        self.joined.append(b"".join(parts))
        repeated = np.repeat(np.array(weights, dtype=np.float32), np.array(lengths, dtype=np.int64) // ID_BYTES)
        self.weights.append(repeated)

    def examples(
        self, index: int, layouts: Sequence[Layout], encoded: Iterator[bytes | None]
    ) -> list[_Segments] | None:
        """Ids and weights of each example of conversation `index`, segment by segment. None where it is not sure of them."""
        found = [
            (
                [next(encoded) if ids is None else ids for ids in each.known],
                [next(encoded) for _ in (*each.borders, *each.borders)],
            )
            for each in layouts
        ]
        if not layouts or not all(
            self.is_sure(each, ids) and None not in over for each, (ids, over) in zip(layouts, found, strict=True)
        ):
            return None
        made: list[_Segments] = []
        for layout, (ids, over) in zip(layouts, found, strict=True):
            weights = self.weighted(layout, index)
            sure: list[bytes] = ids  # type: ignore[assignment]
            together = _over_borders(layout, sure, over)  # type: ignore[arg-type]
            if together:
                made += _apart(layout, sure, together, weights)
            else:
                made.append((sure, weights))
        return made

    def result(self) -> Columns:
        return Columns(
            b"".join(self.joined),
            np.concatenate([*self.weights, np.zeros(0, np.float32)]),
            np.array(self.sizes, dtype=np.int64) // ID_BYTES,
            np.array(self.owners, dtype=np.int64),
            self.refused,
        )

    def weighted(self, layout: Layout, index: int) -> Sequence[float]:
        """The weight of each segment."""
        messages = self.task.conversations[index]
        if all(message.weight == 1.0 for message in messages):
            return layout.flags
        return [messages[turn].weight if turn >= 0 else 0.0 for turn in layout.turns]

    def lay_out(self, batch: range) -> list[list[Layout]]:
        """Each conversation's examples, none where `render_examples` has to take it."""
        if self.words is None:
            return [[] for _ in batch]
        layouts = [self.by_outline(index) for index in batch]
        # one search over all texts, as nearly always none of them holds an added token
        everything = "\0".join(text for each in layouts if each for text in each.texts)
        if self.words.added.search(everything) or not _is_encodable(everything):
            layouts = [each if each and self.is_plain(each) else None for each in layouts]
        return [
            [each] if each else self.by_rendering(index, self.words) for each, index in zip(layouts, batch, strict=True)
        ]

    def is_plain(self, layout: Layout) -> bool:
        assert self.words is not None
        return not any(self.words.added.search(text) for text in layout.texts) and _is_encodable("".join(layout.texts))

    def takes_contents_only(self, index: int) -> bool:
        """Whether the template is given nothing but roles and contents, and every answer's training is the default."""
        task = self.task
        if (task.tools is not None and task.tools[index]) or (
            task.thinking is not None and task.thinking[index] is not None
        ):
            return False
        return not any(
            message.thinking
            or message.tool_calls
            or message.tool_call_id
            or message.name
            or message.train is not None
            or message.weight != 1.0
            for message in task.conversations[index]
        )

    def by_outline(self, index: int) -> Layout | None:
        messages = self.task.conversations[index]
        if not self.takes_contents_only(index):
            return None
        roles = tuple([message.role for message in messages])
        if roles not in self.outlines:
            self.outlines[roles] = self.outline(roles)
        outline = self.outlines[roles]
        return outline.filled(messages) if outline else None

    def outline(self, roles: tuple[str, ...]) -> Outline | None:
        """None where the template is not proven to place contents only, or its outline is refused by `render`'s checks."""
        from transformers import PreTrainedTokenizerBase

        template = self.tokenizer.chat_template
        if (
            self.words is None
            or "assistant" not in roles
            or not isinstance(template, str)
            or not allows_stand_ins(template)
            or type(self.tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template
            or not only_places_contents(template)
        ):
            return None
        told = stand_ins(roles)
        try:
            transcript = Transcript(self.plain_writer(), told)
            examples = cut_at_turns(transcript, trained_turns(told, self.task.train_on))
            check_generation_marks(transcript, examples)
        except TemplateError:
            return None
        return outline_of(lay_out(examples[0], self.words), roles, self.words) if len(examples) == 1 else None

    def by_rendering(self, index: int, words: WordEncoder) -> list[Layout]:
        """The template rendered for this conversation. Empty where `render_examples` has to take it."""
        messages, tools, thinking = self.given(index)
        try:
            trained = trained_turns(messages, self.task.train_on)
            if not trained:
                return []
            if tools or thinking is not None:
                writer = writer_for(self.tokenizer, with_tools=bool(tools), thinking=thinking, control=self.control)
            else:
                writer = self.plain_writer()
            transcript = Transcript(writer, messages, tools)
            if transcript.guard:
                return []
            examples = cut_at_turns(transcript, trained)
            check_generation_marks(transcript, examples)
        except TemplateError:
            return []
        return [lay_out(pieces, words) for pieces in examples]

    def plain_writer(self) -> Writer:
        if self.writer is None:
            self.writer = writer_for(self.tokenizer, control=self.control)
        return self.writer

    def given(self, index: int) -> tuple[Sequence[Message], Sequence[str], bool | None]:
        """A conversation with its tools and whether it thinks."""
        task = self.task
        tools = task.tools[index] if task.tools is not None else ()
        return task.conversations[index], tools, task.thinking[index] if task.thinking is not None else None

    def plainly(self, index: int) -> list[_Segments]:
        """By `render_examples` itself: every token a segment."""
        messages, tools, thinking = self.given(index)
        try:
            examples = render_examples(
                self.tokenizer, messages, tools=tools, train_on=self.task.train_on, thinking=thinking
            )
        except TemplateError as error:
            if not self.task.collect:
                raise TemplateError(f"conversation {index + 1}: {error}") from error
            self.refused[index] = str(error)
            return []
        return [(_token_bytes(rendered), rendered.weights) for rendered in examples]

    def is_sure(self, layout: Layout, found: Sequence[bytes | None]) -> bool:
        """Whether all of it could be encoded, and each piece reads behind the one before as `render` asks."""
        if None in found:
            return False
        if self.words is None or self.words.keeps_text or not _UNSETTLED.search("".join(layout.texts)):
            return True
        sources = layout.filled()
        before: list[int] = []
        begin = 0
        for end in layout.ends:
            ids = np.frombuffer(b"".join(found[begin:end]), dtype=np.int32).tolist()  # type: ignore[arg-type]
            if before and not joins(self.tokenizer, before, ids, "".join(sources[begin:end])):
                return False
            before += ids
            begin = end
        return True


def _over_borders(layout: Layout, found: Sequence[bytes], over: Sequence[bytes]) -> dict[int, bytes]:
    """Ids of both sides of each border, encoded together; none where that changes nothing anywhere."""
    if all(over[2 * number] == found[place] + over[2 * number + 1] for number, place in enumerate(layout.borders)):
        return {}
    return {
        place: over[2 * number] + found[place + 1][len(over[2 * number + 1]) :]
        for number, place in enumerate(layout.borders)
    }


def _apart(
    layout: Layout, found: Sequence[bytes], over: Mapping[int, bytes], weights: Sequence[float]
) -> list[_Segments]:
    """An example for each trained turn, the turns before it as they are encoded in its prompt."""
    examples: list[_Segments] = []
    for turn in sorted(set(layout.turns) - {-1}):
        begin = layout.turns.index(turn)
        end = begin + layout.turns.count(turn)
        segments: list[bytes] = []
        place = 0
        while place < begin:
            together = over.get(place) if place + 1 < begin else None
            segments.append(found[place] if together is None else together)
            place += 1 if together is None else 2
        examples.append(([*segments, *found[begin:end]], [0.0] * len(segments) + list(weights[begin:end])))
    return examples


def _token_bytes(rendered: Rendered) -> list[bytes]:
    ids = np.asarray(rendered.token_ids, dtype=np.int32).tobytes()
    return [ids[place : place + ID_BYTES] for place in range(0, len(ids), ID_BYTES)]


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
