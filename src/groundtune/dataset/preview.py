"""An example as the trainer sees it: every token with its text, id and weight. What this module does not do: colour, print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from groundtune.chat import decode, render_examples
from groundtune.config import DataConfig
from groundtune.dataset.prepared.rendering import place_of, render_block
from groundtune.errors import DataError
from groundtune.types import Conversation, Example, LeftOut

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WINDOW_TOKENS = 16
"""Ids decoded together to see what the last of them adds."""

_HALF_A_CHARACTER = "\ufffd"


@dataclass(frozen=True, slots=True)
class PreviewToken:
    text: str
    """What the token adds to the decoded text; nothing where it is only a part of a character that the next ones end."""
    token_id: int
    weight: float
    """Of the token as a target; 0: not trained."""


@dataclass(frozen=True, slots=True)
class Preview:
    """One example; joined, the texts of its tokens are the decoded example."""

    example_id: str
    part: int
    """From 1, of those that a conversation is told in."""
    parts: int
    tokens: tuple[PreviewToken, ...]

    @property
    def segments(self) -> list[tuple[str, float]]:
        """``(text, weight)`` of neighbouring tokens of one weight."""
        runs = groupby(self.tokens, key=lambda token: token.weight)
        return [("".join(token.text for token in run), weight) for weight, run in runs]

    @property
    def other_weights(self) -> dict[float, int]:
        """Weights besides 0 and 1, and how many tokens have them."""
        weights = sorted(token.weight for token in self.tokens if token.weight not in (0.0, 1.0))
        return {weight: sum(1 for _ in run) for weight, run in groupby(weights)}

    def as_json(self, *, ids: bool = False) -> dict[str, Any]:
        """JSON-able; with `ids` every token, else the segments alone."""
        record: dict[str, Any] = {
            "example_id": self.example_id,
            "part": self.part,
            "parts": self.parts,
            "segments": [
                {"text": text, "trained": weight > 0, **({"weight": weight} if weight not in (0.0, 1.0) else {})}
                for text, weight in self.segments
            ],
        }
        if ids:
            record["tokens"] = [
                {"text": token.text, "id": token.token_id, "weight": token.weight} for token in self.tokens
            ]
        return record


def preview_tokens(
    subject: Example | Conversation, tokenizer: PreTrainedTokenizerBase, config: DataConfig | None = None
) -> list[Preview]:
    """What is trained of a grounded example, or of a conversation under the settings `config`; mostly one example.

    Raises:
        TemplateError: the template does not render the example.
        DataError: the conversation is left out; says where it stands and why.
    """
    if isinstance(subject, Example):
        rendered = render_examples(tokenizer, subject.messages)
        parts = [(each.token_ids, each.weights) for each in rendered]
        return _previews(subject.example_id, parts, tokenizer)
    [rows] = render_block(tokenizer, [subject], config or DataConfig())
    if isinstance(rows, LeftOut):
        raise DataError(f"{place_of(subject)}: left out, {rows.reason} ({rows.field}: {rows.found})")
    parts, end = [], 0
    for size in rows.sizes:
        end += size
        parts.append((rows.token_ids[end - size : end].tolist(), rows.weights[end - size : end].tolist()))
    return _previews(subject.conversation_id, parts, tokenizer)


def _previews(
    example_id: str, parts: Sequence[tuple[list[int], list[float]]], tokenizer: PreTrainedTokenizerBase
) -> list[Preview]:
    return [
        Preview(
            example_id,
            number,
            len(parts),
            tuple(map(PreviewToken, token_texts(tokenizer, ids), ids, weights)),
        )
        for number, (ids, weights) in enumerate(parts, start=1)
    ]


def token_texts(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> list[str]:
    """What each token adds to the decoded text. A character of several tokens is added by the last of them."""
    texts = []
    begin, shown = 0, ""
    for end in range(1, len(token_ids) + 1):
        text = decode(tokenizer, token_ids[begin:end])
        if text.endswith(_HALF_A_CHARACTER) and end < len(token_ids):
            texts.append("")
            continue
        texts.append(text[len(shown) :])
        shown = text
        if end - begin >= 2 * WINDOW_TOKENS:
            begin = end - WINDOW_TOKENS
            shown = decode(tokenizer, token_ids[begin:end])
    return texts
