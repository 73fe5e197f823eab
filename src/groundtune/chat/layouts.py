"""A conversation as segments: fixed ones whose ids are known, and texts still to be encoded.

An outline is the layout of every conversation with the same roles, found by rendering stand-ins in place of contents. What
this module does not do: prove that a template allows it (:mod:`groundtune.chat.outline`), or encode contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundtune.chat.words import WordEncoder
from groundtune.types import Message

_EDGE, _OPEN, _CLOSE = "\u2005\u2003\u2004", "\ue000", "\ue001"
"""What stands for a content in an outline: white space that a template may trim, and a number between brackets."""
_PLACE = re.compile(f"((?:{_EDGE})?){_OPEN}([0-9]+){_CLOSE}((?:{_EDGE})?)")
_ESCAPE = re.compile(r"\\[uUN]")
"""What could write a stand-in's marks without their standing in the template's source."""

Slot = Sequence[str | tuple[int, bool]]
"""Fixed text and contents in turn; a content is the index of its message and whether it is trimmed."""


@dataclass(frozen=True, slots=True)
class Layout:
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
class Outline:
    """The layout of every conversation with these roles; ``slots`` make its texts, ``answers`` must not be blank."""

    layout: Layout
    slots: Sequence[Slot]
    answers: Sequence[int]

    def filled(self, messages: Sequence[Message]) -> Layout | None:
        """The layout of `messages`; None where an answer is blank."""
        if not all(messages[index].content.strip() for index in self.answers):
            return None
        texts = []
        for slot in self.slots:
            text = ""
            for part in slot:
                if isinstance(part, str):
                    text += part
                else:
                    content = messages[part[0]].content
                    text += content.strip() if part[1] else content
            texts.append(text)
        fixed = self.layout
        return Layout(fixed.known, fixed.sources, fixed.trained, fixed.ends, texts)


def stand_ins(roles: Sequence[str]) -> tuple[Message, ...]:
    """Messages whose contents are recognised again by :func:`outline_of`."""
    return tuple(
        Message(role, f"{_EDGE}{_OPEN}{index}{_CLOSE}{_EDGE}")  # type: ignore[arg-type]
        for index, role in enumerate(roles)
    )


def allows_stand_ins(template: str) -> bool:
    """Whether `template` cannot write a stand-in's marks itself."""
    return not any(mark in template for mark in (*_EDGE, _OPEN, _CLOSE)) and not _ESCAPE.search(template)


def lay_out(pieces: Iterable[tuple[str, bool]], words: WordEncoder) -> Layout:
    """Rendered text and whether it is trained, piece by piece, cut around added tokens."""
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
    return Layout(known, sources, trained, ends, texts)


def outline_of(layout: Layout, roles: Sequence[str], words: WordEncoder) -> Outline | None:
    """The layout of stand-ins as an outline; None where a content is lost, half trimmed, or not the whole answer."""
    known: list[bytes | None] = []
    sources: list[str] = []
    trained: list[bool] = []
    ends: list[int] = []
    slots: list[Slot] = []
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
    return Outline(Layout(known, sources, trained, ends, []), slots, answers)


def _slot(source: str) -> Slot | None:
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


def _is_answer(slot: Slot | None) -> bool:
    """Whether an answer begins with its content and nothing else but white space."""
    if slot is None:
        return False
    fixed = "".join(part for part in slot if isinstance(part, str))
    return not fixed.strip() and sum(isinstance(part, tuple) for part in slot) == 1
