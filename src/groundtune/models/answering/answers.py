"""An answer, its text, and the count of what answering took."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.errors import EvaluationError
from groundtune.models.loading import position_limit


@dataclass(frozen=True, slots=True)
class Generated:
    """One answer."""

    text: str
    """Without the stop token and other special tokens; a character cut off in the middle is left out."""
    token_ids: tuple[int, ...]
    """Without the stop token."""
    stopped: bool
    """Whether the model ended by a stop token rather than by the limit."""
    new_tokens: int
    """Tokens computed, the stop token included."""

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, ids: Sequence[int], *, stopped: bool) -> Generated:
        """The answer of these tokens, the stop token not among them."""
        return cls(decode_answer(tokenizer, ids), tuple(ids), stopped, len(ids) + stopped)


Way = Literal["shared", "padded", "single"]
"""How a model is asked: see :mod:`groundtune.models.answering`."""


@dataclass(slots=True)
class AnsweringWork:
    """What answering took; counted up while answers come."""

    way: Way | None = None
    """None before the first answer."""
    reason: str = ""
    """Why prefixes were not shared."""
    prompts: int = 0
    """Answered, those asked several times included."""
    prompt_tokens: int = 0
    """Of these prompts."""
    computed_prompt_tokens: int = 0
    """Of these run through the model; padding is not counted."""
    prompt_passes: int = 0
    """Calls of the model that computed prompts."""
    decode_steps: int = 0
    """Calls of the model that computed one more token of several answers."""
    new_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of what is in flight: answers, bytes of their keys and values, and tokens of each."""

    questions: int
    cache_bytes: int
    new_tokens: int


def decode_answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of answer tokens: no special tokens, and no replacement mark at the end for a character cut in half."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).rstrip("\ufffd")


def check_prompts(model: PreTrainedModel, prompts: Sequence[Sequence[int]], max_new_tokens: int) -> None:
    """Raises `EvaluationError`: a prompt is empty, or has no room for its answer; answers have no tokens."""
    if max_new_tokens < 1:
        raise EvaluationError(f"max_new_tokens is {max_new_tokens}; an answer has at least one token")
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise EvaluationError(f"prompt {place} has no tokens; a rendered prompt has at least its begin token")
    limit = position_limit(model)
    needed = max((len(prompt) for prompt in prompts), default=0) + max_new_tokens
    if limit is not None and needed > limit:
        raise EvaluationError(
            f"the model takes {limit} tokens, and a prompt with its answer may have {needed}; lower dataset.max_tokens or "
            "evaluation.max_new_tokens"
        )
