"""What happens to batches, for the person who waits: the event and its words.

What this module does not do: show them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NoticeKind = Literal[
    "submitted", "adopted", "collected", "uncertain", "never submitted", "lost", "refused", "form", "unreachable"
]
"""``form``: refused for the way its answers were to be held to JSON, which says nothing about its requests."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that happened to a batch, for the person who waits."""

    kind: NoticeKind
    batch_id: str
    requests: int
    detail: str = ""


def told(notice: Notice) -> str:
    """For the person who waits; empty for what goes as it should."""
    batch = f"batch {notice.batch_id or 'not confirmed yet'} of {notice.requests} requests"
    if notice.kind == "refused":
        return (
            f"a batch was refused, and handed in again in halves until the request at fault is found ({notice.detail})"
        )
    if notice.kind == "form":
        return (
            f"a batch was refused as a whole, for the way in which its requests are put ({notice.detail}); one request is asked by "
            "itself first, at the full price, and the others as it was answered"
        )
    if notice.kind == "lost":
        return f"{batch} is lost: {notice.detail}"
    if notice.kind in ("uncertain", "unreachable"):
        return f"{batch}: {notice.detail}; the same command looks for it again"
    return ""
