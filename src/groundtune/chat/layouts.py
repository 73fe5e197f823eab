"""A conversation as segments: fixed ones whose ids are known, and texts still to be encoded.

An outline is the layout of every conversation with the same roles, found by rendering stand-ins in place of contents. What
this module does not do: prove that a template allows it (:mod:`groundtune.chat.outline`), or encode contents.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from groundtune.chat.turns import Piece
from groundtune.chat.words import LONE_SPACE, WordEncoder
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

    ``known``, ``sources`` (the text of a known segment), ``turns`` (index of the message whose trained turn it is, or -1) and
    ``flags`` (1.0 where trained) have one entry a segment; ``ends`` are the places where a piece ends: an answer, or what
    stands before or behind one. ``borders`` are texts right in front of a trained turn that are encoded together with its
    first text when later turns are asked for; the last turn has none.
    """

    known: Sequence[bytes | None]
    sources: Sequence[str]
    turns: Sequence[int]
    flags: Sequence[float]
    ends: Sequence[int]
    borders: Sequence[int]
    texts: list[str]

    def filled(self) -> list[str]:
        """The text of every segment."""
        texts = iter(self.texts)
        return [next(texts) if ids is None else source for ids, source in zip(self.known, self.sources, strict=True)]

    def over_borders(self) -> list[str]:
        """For each border the text from before it to the first lone space behind it, and the part of it that is behind."""
        if not self.borders:
            return []
        filled = self.filled()
        texts = []
        for place in self.borders:
            # what stands behind a lone space is encoded alike, whatever is in front
            head = LONE_SPACE.split(filled[place + 1], 1)[0]
            texts += [filled[place] + head, head]
        return texts


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
        return Layout(fixed.known, fixed.sources, fixed.turns, fixed.flags, fixed.ends, fixed.borders, texts)


def stand_ins(roles: Sequence[str]) -> tuple[Message, ...]:
    """Messages whose contents are recognised again by :func:`outline_of`."""
    return tuple(
        Message(role, f"{_EDGE}{_OPEN}{index}{_CLOSE}{_EDGE}")  # type: ignore[arg-type]
        for index, role in enumerate(roles)
    )


def allows_stand_ins(template: str) -> bool:
    """Whether `template` cannot write a stand-in's marks itself."""
    return not any(mark in template for mark in (*_EDGE, _OPEN, _CLOSE)) and not _ESCAPE.search(template)


def lay_out(pieces: Iterable[Piece], words: WordEncoder) -> Layout:
    """Rendered text, piece by piece, cut around added tokens."""
    known: list[bytes | None] = []
    sources: list[str] = []
    turns: list[int] = []
    ends: list[int] = []
    texts: list[str] = []
    plain: list[bool] = []
    for piece in pieces:
        for place, part in enumerate(words.cut(piece.text)):
            if not part:
                continue
            known.append(words.ids[part] if place % 2 else None)
            sources.append(part)
            turns.append(piece.turn)
            plain.append(place % 2 == 0)
            if place % 2 == 0:
                texts.append(part)
        ends.append(len(known))
    return Layout(known, sources, turns, _flags(turns), ends, _borders(turns, plain), texts)


def outline_of(layout: Layout, roles: Sequence[str], words: WordEncoder) -> Outline | None:
    """The layout of stand-ins as an outline; None where a content is lost, half trimmed, or not the whole answer."""
    known: list[bytes | None] = []
    sources: list[str] = []
    turns: list[int] = []
    ends: list[int] = []
    slots: list[Slot] = []
    kept_borders: list[int] = []
    begin = 0
    for end in layout.ends:
        piece = [_slot(source) for source in layout.sources[begin:end]]
        if layout.turns[begin] >= 0 and not _is_answer(piece[0]):
            return None
        opens = True
        borders = [place + 1 for place in layout.borders]
        for place, (slot, ids, source) in enumerate(
            zip(piece, layout.known[begin:end], layout.sources[begin:end], strict=True), start=begin
        ):
            if slot is None:
                return None
            holds_contents = any(isinstance(part, tuple) for part in slot)
            if holds_contents:
                slots.append(slot)
            elif ids is None and (ids := words.encode([source])[0]) is None:
                return None
            if not opens and ids is not None and known[-1] is not None and place + 1 not in borders:
                # fixed text behind fixed text: one segment
                known[-1] += ids
                sources[-1] += source
                continue
            if place in borders:
                kept_borders.append(len(known) - 1)
            known.append(ids)
            sources.append(source)
            turns.append(layout.turns[begin])
            opens = False
        ends.append(len(known))
        begin = end
    placed = {part[0] for slot in slots for part in slot if isinstance(part, tuple)}
    if placed != set(range(len(roles))):
        return None
    answers = [index for index, role in enumerate(roles) if role == "assistant"]
    return Outline(Layout(known, sources, turns, _flags(turns), ends, kept_borders, []), slots, answers)


def _flags(turns: Sequence[int]) -> list[float]:
    return [1.0 if turn >= 0 else 0.0 for turn in turns]


def _borders(turns: Sequence[int], plain: Sequence[bool]) -> list[int]:
    """Where plain text meets the plain text that a trained turn begins with, but for the last turn."""
    last = max(turns, default=-1)
    return [
        place
        for place in range(len(turns) - 1)
        if turns[place] != turns[place + 1] and 0 <= turns[place + 1] < last and plain[place] and plain[place + 1]
    ]


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
