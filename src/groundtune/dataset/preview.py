"""An example as the trainer sees it, cut where training begins and ends. What this module does not do: colour, print."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from groundtune.chat import decode, render
from groundtune.types import Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def preview(example: Example, tokenizer: PreTrainedTokenizerBase) -> list[tuple[str, bool]]:
    """``(text, trained)`` segments, decoded from the very ids; joined, the texts are the decoded example.

    Raises:
        TemplateError: as :func:`groundtune.chat.render`.
    """
    rendered = render(tokenizer, example.messages)
    segments: list[tuple[str, bool]] = []
    end = 0
    so_far = ""
    for trained, run in groupby(rendered.trained):
        end += sum(1 for _ in run)
        # the growth of the decoded text, because some tokenizers decode a stretch on its own differently
        text = decode(tokenizer, rendered.token_ids[:end])
        segments.append((text[len(so_far) :], trained))
        so_far = text
    return segments
