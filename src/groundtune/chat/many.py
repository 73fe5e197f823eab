"""Many conversations at once: token for token what :func:`groundtune.chat.render` gives for each, in a fraction of the time.

Two things make it fast, each used only where it is proven to change nothing. A template that merely places contents is
rendered once for each order of roles (:mod:`groundtune.chat.outline`); words that were met before are looked up
(:mod:`groundtune.chat.words`). A conversation that either proof does not cover goes through `render` itself.

What this module does not do: cutting to a length, packing, prompts without an answer.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.chat.layouts import Layout, Outline, allows_stand_ins, lay_out, outline_of, stand_ins
from groundtune.chat.outline import only_places_contents
from groundtune.chat.render import Rendered, cut_at_turns, render
from groundtune.chat.shares import Columns, render_in_shares
from groundtune.chat.tokens import ControlTokens, control_tokens, guard_contents, joins
from groundtune.chat.words import ID_BYTES, WordEncoder
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_CONVERSATIONS = 2048
"""Conversations whose texts are in memory at a time; the result does not depend on it."""

SHARE_CONVERSATIONS = 1000
"""Fewer are done before a process has been started."""

_UNSETTLED = re.compile("[^\0-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20b9]")
"""Finds characters outside those whose normal form every version of Unicode since 6.0 agrees on."""


@dataclass(frozen=True, slots=True)
class RenderedMany:
    """Tokenised conversations, one behind the other.

    ``token_ids`` int32 [N] and ``trained`` bool [N] hold all tokens; conversation ``i`` is
    ``offsets[i]:offsets[i + 1]`` (``offsets`` int64 [n + 1]).
    """

    token_ids: NDArray[np.int32]
    trained: NDArray[np.bool_]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Rendered:
        """Conversation `index` as :func:`groundtune.chat.render` gives it."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"conversation {index} of {len(self)}")
        index %= len(self)
        place = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return Rendered(self.token_ids[place].tolist(), self.trained[place].tolist())


def render_many(
    tokenizer: PreTrainedTokenizerBase, conversations: Iterable[Sequence[Message]], *, processes: int = 1
) -> RenderedMany:
    """Every conversation as :func:`groundtune.chat.render` gives it, in columns.

    With several `processes` the conversations are shared out to forked copies of this one, at least
    ``SHARE_CONVERSATIONS`` each; where the system cannot fork, it is done here. The result does not depend on it.

    Raises:
        TemplateError: as `render`, for the first conversation that cannot be rendered; names its number, from 1.
    """
    everything = list(conversations)
    processes = min(processes, len(everything) // SHARE_CONVERSATIONS)
    if processes > 1:
        columns = render_in_shares(
            lambda first, end: _render(tokenizer, everything, first, end), len(everything), processes
        )
    else:
        columns = [_render(tokenizer, everything, 0, len(everything))]
    sizes = np.concatenate([each.sizes for each in columns])
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    return RenderedMany(
        np.frombuffer(bytearray().join(each.token_ids for each in columns), dtype=np.int32),
        np.concatenate([each.trained for each in columns]),
        offsets,
    )


def _render(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]], first: int, end: int
) -> Columns:
    work = _Work(tokenizer, first)
    with _no_cycle_search():
        for begin in range(first, end, BATCH_CONVERSATIONS):
            work.take(conversations[begin : min(begin + BATCH_CONVERSATIONS, end)])
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

    def __init__(self, tokenizer: PreTrainedTokenizerBase, first: int) -> None:
        self.first = first
        self.tokenizer = tokenizer
        self.control: ControlTokens = control_tokens(tokenizer)
        self.words = WordEncoder.of(tokenizer, self.control)
        self.outlines: dict[tuple[str, ...], Outline | None] = {}
        self.joined: list[bytes] = []
        self.trained: list[NDArray[np.bool_]] = []
        self.sizes: list[int] = []

    def take(self, batch: Sequence[Sequence[Message]]) -> None:
        """The next conversations."""
        first = self.first + len(self.sizes)
        layouts = self.lay_out(batch) if self.words else [None] * len(batch)
        encoded = iter(
            self.words.encode([text for each in layouts if each for text in each.texts]) if self.words else ()
        )
        parts: list[bytes] = []
        lengths: list[int] = []
        flags: list[bool] = []
        for index, (messages, layout) in enumerate(zip(batch, layouts, strict=True), start=first + 1):
            found = [next(encoded) if ids is None else ids for ids in layout.known] if layout else [None]
            if layout and self.is_sure(layout, found):
                segments: Sequence[bytes] = found  # type: ignore[assignment]
                marks = layout.trained
            else:
                segments, marks = _plainly(self.tokenizer, messages, index)
            parts += segments
            sizes = list(map(len, segments))
            lengths += sizes
            flags += marks
            self.sizes.append(sum(sizes))
        self.joined.append(b"".join(parts))
        self.trained.append(np.repeat(np.array(flags, dtype=np.bool_), np.array(lengths, dtype=np.int64) // ID_BYTES))

    def result(self) -> Columns:
        sizes = np.array(self.sizes, dtype=np.int64) // ID_BYTES
        return Columns(b"".join(self.joined), np.concatenate([*self.trained, np.zeros(0, np.bool_)]), sizes)

    def lay_out(self, batch: Sequence[Sequence[Message]]) -> list[Layout | None]:
        assert self.words is not None
        layouts = [self.by_outline(messages) for messages in batch]
        # one search over all texts, as nearly always none of them holds an added token
        everything = "\0".join(text for each in layouts if each for text in each.texts)
        if self.words.added.search(everything) or not _is_encodable(everything):
            layouts = [each if each and self.is_plain(each) else None for each in layouts]
        return [each or self.by_rendering(messages, self.words) for each, messages in zip(layouts, batch, strict=True)]

    def is_plain(self, layout: Layout) -> bool:
        assert self.words is not None
        return not any(self.words.added.search(text) for text in layout.texts) and _is_encodable("".join(layout.texts))

    def by_outline(self, messages: Sequence[Message]) -> Layout | None:
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
        try:
            pieces = cut_at_turns(self.tokenizer, stand_ins(roles), self.control, add_generation_prompt=False)
        except TemplateError:
            return None
        layout = lay_out([(piece.text, piece.trained) for piece in pieces], self.words)
        return outline_of(layout, roles, self.words)

    def by_rendering(self, messages: Sequence[Message], words: WordEncoder) -> Layout | None:
        """The template rendered for this conversation. None where `render` has to take it."""
        try:
            guarded = guard_contents(messages, self.control, str(self.tokenizer.chat_template or ""))
            if guarded.guard or not any(message.role == "assistant" for message in messages):
                return None
            pieces = cut_at_turns(self.tokenizer, guarded.messages, self.control, add_generation_prompt=False)
        except TemplateError:
            return None
        return lay_out([(piece.text, piece.trained) for piece in pieces], words)

    def is_sure(self, layout: Layout, found: Sequence[bytes | None]) -> bool:
        """Whether all of it could be encoded, and each piece reads behind the one before as `render` asks."""
        if None in found:
            return False
        if self.words is None or self.words.keeps_text or not _UNSETTLED.search("".join(layout.texts)):
            return True
        texts = iter(layout.texts)
        sources = [
            next(texts) if ids is None else source for ids, source in zip(layout.known, layout.sources, strict=True)
        ]
        before: list[int] = []
        begin = 0
        for end in layout.ends:
            ids = np.frombuffer(b"".join(found[begin:end]), dtype=np.int32).tolist()  # type: ignore[arg-type]
            if before and not joins(self.tokenizer, before, ids, "".join(sources[begin:end])):
                return False
            before += ids
            begin = end
        return True


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _plainly(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], number: int
) -> tuple[list[bytes], list[bool]]:
    """By `render` itself: every token a segment."""
    try:
        rendered = render(tokenizer, messages)
    except TemplateError as error:
        raise TemplateError(f"conversation {number}: {error}") from error
    ids = np.asarray(rendered.token_ids, dtype=np.int32).tobytes()
    return [ids[place : place + ID_BYTES] for place in range(0, len(ids), ID_BYTES)], rendered.trained
