"""Rows that say the same as an earlier one, letter by letter or but for white space and Unicode form.

The first in order stays. Memory: one dictionary entry a kept row, about 250 bytes; the rows themselves are not kept.
What this module does not do: near copies (:mod:`groundtune.dataset.quality.near`).
"""

from __future__ import annotations

from groundtune.dataset.quality.reasons import Reason, left_out
from groundtune.dataset.quality.texts import row_keys
from groundtune.types import Conversation, LeftOut

_KEY_BYTES = 16


class ExactDuplicates:
    """Call it with one row after the other."""

    def __init__(self) -> None:
        self._seen: dict[bytes, bytes] = {}
        """Folded hash to plain hash and id; in one value, because a million tuples would take 60 MB more."""

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        """Why the row is left out; None for one that says something new, which is remembered."""
        plain, folded = row_keys(conversation)
        earlier = self._seen.get(folded)
        if earlier is None:
            self._seen[folded] = plain + conversation.conversation_id.encode("utf-8", "surrogatepass")
            return None
        reason = Reason.EXACT_COPY if earlier[:_KEY_BYTES] == plain else Reason.SAME_PROMPT_AND_ANSWER
        name = earlier[_KEY_BYTES:].decode("utf-8", "surrogatepass")
        return left_out(conversation, reason, found=f"as {name}")
