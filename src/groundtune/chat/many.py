"""Many conversations at once: token for token what :func:`groundtune.chat.render_examples` gives for each, much faster.

Two things make it fast, each used only where it is proven to change nothing. A template that merely places contents is
rendered once for each order of roles (:mod:`groundtune.chat.outline`); words that were met before are looked up
(:mod:`groundtune.chat.words`). A conversation that either proof does not cover goes through `render_examples` itself.

What this module does not do: cutting to a length, packing, prompts without an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from groundtune.chat.render import Rendered, TrainOn
from groundtune.chat.shares import render_in_shares
from groundtune.chat.work import Task, render_share
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARE_CONVERSATIONS = 1000
"""Fewer are done before a process has been started."""


@dataclass(frozen=True, slots=True)
class RenderedMany:
    """Tokenised conversations, one behind the other.

    ``token_ids`` int32 [N], ``trained`` bool [N] and ``weights`` float32 [N] hold all tokens; example ``i`` is
    ``offsets[i]:offsets[i + 1]`` (``offsets`` int64 [n + 1]) and comes from conversation ``owners[i]`` (int64 [n], rising).
    ``refused``: for each conversation that could not be rendered, why not.
    """

    token_ids: NDArray[np.int32]
    trained: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    weights: NDArray[np.float32]
    owners: NDArray[np.int64]
    refused: dict[int, str]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Rendered:
        """Example `index` as :func:`groundtune.chat.render_examples` gives it, weights rounded to float32."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"example {index} of {len(self)}")
        index %= len(self)
        place = slice(int(self.offsets[index]), int(self.offsets[index + 1]))
        return Rendered(self.token_ids[place].tolist(), self.trained[place].tolist(), self.weights[place].tolist())


def render_many(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Iterable[Sequence[Message]],
    *,
    tools: Sequence[Sequence[str]] | None = None,
    train_on: TrainOn = "all",
    thinking: Sequence[bool | None] | None = None,
    processes: int = 1,
    refusals: Literal["raise", "collect"] = "raise",
) -> RenderedMany:
    """Every conversation as :func:`groundtune.chat.render_examples` gives it, in columns.

    `tools` and `thinking` have one entry a conversation. With several `processes` the conversations are shared out to forked
    copies of this one, at least ``SHARE_CONVERSATIONS`` each; where the system cannot fork, it is done here. The result does
    not depend on it.

    Raises:
        TemplateError: as `render_examples`, for the first conversation that cannot be rendered, with its number from 1;
            unless `refusals` is ``"collect"``.
        ValueError: `tools` or `thinking` has not one entry a conversation.
    """
    everything = list(conversations)
    for name, each in (("tools", tools), ("thinking", thinking)):
        if each is not None and len(each) != len(everything):
            raise ValueError(f"{name} has {len(each)} entries for {len(everything)} conversations; expected one each")
    task = Task(tokenizer, everything, tools, train_on, thinking, collect=refusals == "collect")
    processes = min(processes, len(everything) // SHARE_CONVERSATIONS)
    if processes > 1:
        columns = render_in_shares(lambda first, end: render_share(task, first, end), len(everything), processes)
    else:
        columns = [render_share(task, 0, len(everything))]
    sizes = np.concatenate([each.sizes for each in columns])
    offsets = np.zeros(len(sizes) + 1, dtype=np.int64)
    np.cumsum(sizes, out=offsets[1:])
    weights = np.concatenate([each.weights for each in columns])
    return RenderedMany(
        np.frombuffer(bytearray().join(each.token_ids for each in columns), dtype=np.int32),
        weights > 0,
        offsets,
        weights,
        np.concatenate([each.owners for each in columns]),
        {index: reason for each in columns for index, reason in each.refused.items()},
    )
