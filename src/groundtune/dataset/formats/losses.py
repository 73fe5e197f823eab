"""What a format could not hold, found by reading back what was written.

Nothing is predicted: a row is read again, and every part that comes back otherwise is named. So nothing is lost silently,
whatever the format. What this module does not do: write.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.types import Conversation, Message


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a format could not hold."""

    what: str
    """``"weights of turns"``, or why a row is not there: ``"not written: raw text"``."""
    count: int
    """Rows it is about."""
    first: str
    """`conversation_id` of the first of them."""


_PARTS = {
    "tools": "tool descriptions",
    "desired": "whether the answer is a good one",
    "text": "raw text",
    "language": "language",
}
_MESSAGE_PARTS = {
    "content": "text of turns",
    "thinking": "thoughts apart from the text",
    "tool_call_id": "ids of tool calls",
    "name": "names in turns",
    "train": "which turns are trained",
    "weight": "weights of turns",
}


def differences(original: Conversation, back: Conversation) -> list[str]:
    """What `back`, read from what was written of `original`, does not say as `original` does. Its id and origin do not count.

    >>> from groundtune.types import Origin
    >>> turns = (Message("user", "Hi"), Message("assistant", "Hello", weight=0.5))
    >>> one = Conversation("x:1", Origin("x", "x.json", 1), turns)
    >>> differences(one, replace(one, messages=(turns[0], replace(turns[1], weight=1.0))))
    ['weights of turns']
    """
    found = _between_turns(original.messages, back.messages)
    if original.rejected != back.rejected:
        found += ["the worse answer"] if not back.rejected else _between_turns(original.rejected, back.rejected)
    found += [what for name, what in _PARTS.items() if getattr(original, name) != getattr(back, name)]
    if dict(original.fields) != dict(back.fields):
        found.append("other columns")
    return list(dict.fromkeys(found))


def _between_turns(original: Sequence[Message], back: Sequence[Message]) -> list[str]:
    if tuple(original) == tuple(back):
        return []
    if [turn.role for turn in original] != [turn.role for turn in back]:
        return ["text and tool calls in one turn" if any(turn.tool_calls for turn in original) else "order of turns"]
    found = []
    for was, now in zip(original, back, strict=True):
        found += [what for name, what in _MESSAGE_PARTS.items() if getattr(was, name) != getattr(now, name)]
        if was.tool_calls != now.tool_calls:
            bare = [[replace(call, call_id="") for call in turn.tool_calls] for turn in (was, now)]
            names = [[call.name for call in calls] for calls in bare]
            if bare[0] == bare[1]:
                found.append("ids of tool calls")
            else:
                found.append("spelling of tool arguments" if names[0] == names[1] else "tool calls")
    return found
