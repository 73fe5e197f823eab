"""The two sides of preference rows as conversations: the same prompt with the better answer, and with the worse one.

Only what follows the last user turn and the turns that both answers begin with (calls of tools, say) is trained, whatever
`data.train_on` says: that is what the two are compared by.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from groundtune.dataset.prepared.store import Prepared
from groundtune.types import Conversation, Message

if TYPE_CHECKING:
    from groundtune.prefix import TokenisedExamples

Side = Literal["chosen", "rejected"]
SIDES: tuple[Side, ...] = ("chosen", "rejected")


def side_of(conversations: Iterable[Conversation], side: Side) -> Iterator[Conversation]:
    """One side of every preference row, in order; other rows have none."""
    for row in conversations:
        if row.kind != "preference":
            continue
        start = _answers_begin(row.messages)
        chosen = row.messages[start:]
        shared = _shared_turns(chosen, row.rejected)
        prompt = tuple(_trained(turn, False) for turn in (*row.messages[:start], *chosen[:shared]))
        answer = (chosen if side == "chosen" else row.rejected)[shared:]
        yield replace(row, messages=(*prompt, *(_trained(turn, True) for turn in answer)), rejected=())


def _answers_begin(turns: Sequence[Message]) -> int:
    """Where reading has cut off the rejected answer: behind the last user turn; without one behind the system prompt."""
    users = [at for at, turn in enumerate(turns) if turn.role == "user"]
    if users:
        return users[-1] + 1
    return next((at for at, turn in enumerate(turns) if turn.role != "system"), len(turns))


def _shared_turns(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many turns both begin with; each keeps an answer of its own behind them."""
    shared = 0
    for one, other in zip(chosen, rejected, strict=False):
        behind = chosen[shared + 1 :], rejected[shared + 1 :]
        if one != other or not all(any(turn.role == "assistant" for turn in rest) for rest in behind):
            break
        shared += 1
    return shared


def _trained(turn: Message, trained: bool) -> Message:
    return replace(turn, train=trained) if turn.role == "assistant" else turn


@dataclass(frozen=True, slots=True)
class PreferencePairs:
    """Rows whose two sides are one example each; the others are counted."""

    chosen: TokenisedExamples
    rejected: TokenisedExamples
    in_parts: int
    """Rows of which a side is several examples, because the template tells history otherwise than it was written."""
    one_sided: int
    """Rows of which one side was left out: too long, or refused by the template."""


def pair_up(chosen: Prepared, rejected: Prepared) -> PreferencePairs:
    """The two sides of the same rows."""
    owners = chosen.owners, rejected.owners
    rows, counts = zip(*(np.unique(each, return_counts=True) for each in owners), strict=True)
    both = np.intersect1d(rows[0], rows[1])
    single = np.intersect1d(rows[0][counts[0] == 1], rows[1][counts[1] == 1])
    kept = [
        each.examples().subset(np.flatnonzero(np.isin(who, single)))
        for each, who in zip((chosen, rejected), owners, strict=True)
    ]
    one_sided = len(np.union1d(rows[0], rows[1])) - len(both)
    return PreferencePairs(kept[0], kept[1], in_parts=len(both) - len(single), one_sided=one_sided)
