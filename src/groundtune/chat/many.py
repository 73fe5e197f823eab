"""Many conversations at once: token for token what :func:`groundtune.chat.render` gives for each, in a fraction of the time.

Two things make it fast, each used only where it is proven to change nothing. A template that merely places contents is
rendered once for each order of roles (:mod:`groundtune.chat.outline`); words that were met before are looked up
(:mod:`groundtune.chat.words`). A conversation that either proof does not cover goes through `render` itself.

What this module does not do: cutting to a length, packing, prompts without an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.chat.outline import only_places_contents
from groundtune.chat.render import Rendered, cut_at_turns, render
from groundtune.chat.tokens import ControlTokens, control_tokens, guard_contents, joins
from groundtune.chat.words import ID_BYTES, WordEncoder
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_CONVERSATIONS = 2048
"""Conversations whose texts are in memory at a time; the result does not depend on it."""

_EDGE, _OPEN, _CLOSE = "\u2005\u2003\u2004", "\ue000", "\ue001"
"""What stands for a content in an outline: white space that a template may trim, and a number between brackets."""
_PLACE = re.compile(f"((?:{_EDGE})?){_OPEN}([0-9]+){_CLOSE}((?:{_EDGE})?)")
_ESCAPE = re.compile(r"\\[uUN]")
"""What could write a stand-in's marks without their standing in the template's source."""
_SETTLED = re.compile("[^\0-\u02ff\u2010-\u2027\u2030-\u205e\u20a0-\u20b9]")
"""Finds characters outside those whose normal form every version of Unicode since 6.0 agrees on."""


_Slot = Sequence[str | tuple[int, bool]]
"""Fixed text and contents in turn; a content is the index of its message and whether it is trimmed."""


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


@dataclass(frozen=True, slots=True)
class _Layout:
    """A conversation on its way to ids: segments whose ids are known, and texts to be encoded where they are None.

    ``known``, ``sources`` (the text of a known segment) and ``trained`` have one entry a segment; ``ends`` are the places
    where a piece ends: an answer, or what stands before or behind one.
    """

    known: Sequence[bytes | None]
    sources: Sequence[str]
    trained: Sequence[bool]
    ends: Sequence[int]
    texts: list[str]


@dataclass(frozen=True, slots=True)
class _Outline:
    """The layout of every conversation with these roles; ``slots`` make its texts, ``answers`` must not be blank."""

    layout: _Layout
    slots: Sequence[_Slot]
    answers: Sequence[int]


def render_many(tokenizer: PreTrainedTokenizerBase, conversations: Iterable[Sequence[Message]]) -> RenderedMany:
    """Every conversation as :func:`groundtune.chat.render` gives it, in columns.

    Raises:
        TemplateError: as `render`, for the first conversation that cannot be rendered; names its number, from 1.
    """
    work = _Work(tokenizer)
    remaining = iter(conversations)
    while batch := list(islice(remaining, BATCH_CONVERSATIONS)):
        work.take(batch)
    return work.result()


class _Work:
    """What has been rendered so far, as bytes of int32, and what is known about tokenizer and template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.control: ControlTokens = control_tokens(tokenizer)
        self.words = WordEncoder.of(tokenizer, self.control)
        self.outlines: dict[tuple[str, ...], _Outline | None] = {}
        self.joined: list[bytes] = []
        self.trained: list[NDArray[np.bool_]] = []
        self.sizes: list[int] = []

    def take(self, batch: Sequence[Sequence[Message]]) -> None:
        """The next conversations."""
        first = len(self.sizes)
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

    def result(self) -> RenderedMany:
        offsets = np.zeros(len(self.sizes) + 1, dtype=np.int64)
        np.cumsum(np.array(self.sizes, dtype=np.int64) // ID_BYTES, out=offsets[1:])
        token_ids = np.frombuffer(b"".join(self.joined), dtype="<i4").astype(np.int32)
        return RenderedMany(token_ids, np.concatenate([*self.trained, np.zeros(0, np.bool_)]), offsets)

    def lay_out(self, batch: Sequence[Sequence[Message]]) -> list[_Layout | None]:
        assert self.words is not None
        layouts = [self.by_outline(messages) for messages in batch]
        # one search over all texts, as nearly always none of them holds an added token
        everything = "\0".join(text for each in layouts if each for text in each.texts)
        if self.words.added.search(everything) or not _is_encodable(everything):
            layouts = [each if each and self.is_plain(each) else None for each in layouts]
        return [each or self.by_rendering(messages, self.words) for each, messages in zip(layouts, batch, strict=True)]

    def is_plain(self, layout: _Layout) -> bool:
        assert self.words is not None
        return not any(self.words.added.search(text) for text in layout.texts) and _is_encodable("".join(layout.texts))

    def by_outline(self, messages: Sequence[Message]) -> _Layout | None:
        roles = tuple([message.role for message in messages])
        if roles not in self.outlines:
            self.outlines[roles] = self.outline(roles)
        outline = self.outlines[roles]
        if outline is None or not all(messages[index].content.strip() for index in outline.answers):
            return None
        texts = []
        for slot in outline.slots:
            filled = ""
            for part in slot:
                if isinstance(part, str):
                    filled += part
                else:
                    content = messages[part[0]].content
                    filled += content.strip() if part[1] else content
            texts.append(filled)
        fixed = outline.layout
        return _Layout(fixed.known, fixed.sources, fixed.trained, fixed.ends, texts)

    def outline(self, roles: tuple[str, ...]) -> _Outline | None:
        """None where the template is not proven to place contents only, or its outline is refused by `render`'s checks."""
        from transformers import PreTrainedTokenizerBase

        template = self.tokenizer.chat_template
        if (
            self.words is None
            or "assistant" not in roles
            or not isinstance(template, str)
            or any(mark in template for mark in (*_EDGE, _OPEN, _CLOSE))
            or _ESCAPE.search(template)
            or type(self.tokenizer).apply_chat_template is not PreTrainedTokenizerBase.apply_chat_template
            or not only_places_contents(template)
        ):
            return None
        stand_ins = [
            Message(role, f"{_EDGE}{_OPEN}{index}{_CLOSE}{_EDGE}")  # type: ignore[arg-type]
            for index, role in enumerate(roles)
        ]
        try:
            pieces = cut_at_turns(self.tokenizer, tuple(stand_ins), self.control, add_generation_prompt=False)
        except TemplateError:
            return None
        layout = _lay_out([(piece.text, piece.trained) for piece in pieces], self.words)
        return _outline(layout, roles, self.words)

    def by_rendering(self, messages: Sequence[Message], words: WordEncoder) -> _Layout | None:
        """The template rendered for this conversation. None where `render` has to take it."""
        try:
            guarded = guard_contents(messages, self.control, str(self.tokenizer.chat_template or ""))
            if guarded.guard or not any(message.role == "assistant" for message in messages):
                return None
            pieces = cut_at_turns(self.tokenizer, guarded.messages, self.control, add_generation_prompt=False)
        except TemplateError:
            return None
        return _lay_out([(piece.text, piece.trained) for piece in pieces], words)

    def is_sure(self, layout: _Layout, found: Sequence[bytes | None]) -> bool:
        """Whether all of it could be encoded, and each piece reads behind the one before as `render` asks."""
        if None in found:
            return False
        if self.words is None or self.words.keeps_text or not _SETTLED.search("".join(layout.texts)):
            return True
        texts = iter(layout.texts)
        sources = [
            next(texts) if ids is None else source for ids, source in zip(layout.known, layout.sources, strict=True)
        ]
        before: list[int] = []
        begin = 0
        for end in layout.ends:
            ids = np.frombuffer(b"".join(found[begin:end]), dtype="<i4").tolist()  # type: ignore[arg-type]
            if before and not joins(self.tokenizer, before, ids, "".join(sources[begin:end])):
                return False
            before += ids
            begin = end
        return True


def _lay_out(pieces: Iterable[tuple[str, bool]], words: WordEncoder) -> _Layout:
    known: list[bytes | None] = []
    sources: list[str] = []
    trained: list[bool] = []
    ends: list[int] = []
    texts: list[str] = []
    for text, flag in pieces:
        for place, part in enumerate(words.cut(text)):
            if not part:
                continue
            known.append(words.ids[part] if place % 2 else None)
            sources.append(part)
            trained.append(flag)
            if place % 2 == 0:
                texts.append(part)
        ends.append(len(known))
    return _Layout(known, sources, trained, ends, texts)


def _outline(layout: _Layout, roles: Sequence[str], words: WordEncoder) -> _Outline | None:
    """The layout of stand-ins as an outline; None where a content is lost, half trimmed, or not the whole answer."""
    known: list[bytes | None] = []
    sources: list[str] = []
    trained: list[bool] = []
    ends: list[int] = []
    slots: list[_Slot] = []
    begin = 0
    for end in layout.ends:
        piece = [_slot(source) for source in layout.sources[begin:end]]
        if layout.trained[begin] and not _is_answer(piece[0]):
            return None
        opens = True
        for slot, ids, source in zip(piece, layout.known[begin:end], layout.sources[begin:end], strict=True):
            if slot is None:
                return None
            holds_contents = any(isinstance(part, tuple) for part in slot)
            if holds_contents:
                slots.append(slot)
            elif ids is None and (ids := words.encode([source])[0]) is None:
                return None
            if not opens and ids is not None and known[-1] is not None:
                # fixed text behind fixed text: one segment
                known[-1] += ids
                sources[-1] += source
                continue
            known.append(ids)
            sources.append(source)
            trained.append(layout.trained[begin])
            opens = False
        ends.append(len(known))
        begin = end
    placed = {part[0] for slot in slots for part in slot if isinstance(part, tuple)}
    if placed != set(range(len(roles))):
        return None
    answers = [index for index, role in enumerate(roles) if role == "assistant"]
    return _Outline(_Layout(known, sources, trained, ends, []), slots, answers)


def _slot(source: str) -> _Slot | None:
    """Fixed text and stand-ins in turn; None where a stand-in was changed."""
    pieces = _PLACE.split(source)
    slot: list[str | tuple[int, bool]] = []
    for fixed, before, index, after in zip(pieces[::4], pieces[1::4], pieces[2::4], pieces[3::4], strict=False):
        if before != after:
            return None
        slot += [fixed, (int(index), not before)] if fixed else [(int(index), not before)]
    slot += [pieces[-1]] if pieces[-1] else []
    fixed_text = "".join(part for part in slot if isinstance(part, str))
    return None if any(mark in fixed_text for mark in (*_EDGE, _OPEN, _CLOSE)) else slot


def _is_answer(slot: _Slot | None) -> bool:
    """Whether an answer begins with its content and nothing else but white space."""
    if slot is None:
        return False
    fixed = "".join(part for part in slot if isinstance(part, str))
    return not fixed.strip() and sum(isinstance(part, tuple) for part in slot) == 1


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
    ids = np.asarray(rendered.token_ids, dtype="<i4").tobytes()
    return [ids[place : place + ID_BYTES] for place in range(0, len(ids), ID_BYTES)], rendered.trained
