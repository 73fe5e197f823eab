"""Answers many prompts greedily, in batches, with the key-value cache.

Prompts of a batch are padded on the left, with positions counted from each prompt's own first token and the padding
masked, so that the batch a prompt lands in does not change its answer (beyond the rounding of float sums). It is a loop
of our own on transformers' cache because `model.generate` spends more time around a small model than in it.

Legend: B rows of a batch, T longest prompt, K keys in the cache, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
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


def generate_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_questions: int,
    stop_ids: Collection[int],
    progress: Callable[[int], object] | None = None,
) -> list[Generated]:
    """The greedy answer to each prompt (token ids), in the order given.

    Args:
        batch_questions: prompts computed together; neighbours in length share a batch.
        stop_ids: tokens that end an answer.
        progress: told how many more questions are done after each batch; `ProgressBar.advance` fits.

    Raises:
        EvaluationError: a prompt is empty.
    """
    for place, prompt in enumerate(prompts):
        if not len(prompt):
            raise EvaluationError(f"prompt {place} has no tokens; a rendered prompt has at least its begin token")
    order = sorted(range(len(prompts)), key=lambda place: (-len(prompts[place]), place))
    _check_room(model, max((len(prompt) for prompt in prompts), default=0) + max_new_tokens)
    answers: dict[int, Generated] = {}
    was_training = model.training
    model.eval()
    for start in range(0, len(order), batch_questions):
        places = order[start : start + batch_questions]
        batch = [list(prompts[place]) for place in places]
        for place, (ids, stopped) in zip(
            places, _answer_batch(model, batch, max_new_tokens, frozenset(stop_ids)), strict=True
        ):
            answers[place] = Generated(decode_answer(tokenizer, ids), tuple(ids), stopped, len(ids) + stopped)
        if progress is not None:
            progress(len(places))
    model.train(was_training)
    return [answers[place] for place in range(len(prompts))]


def stream_answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
) -> Iterator[str]:
    """The same greedy answer as `generate_answers`, in pieces of text as they come; never half a character.

    Joined, the pieces are `Generated.text`.
    """
    _check_room(model, len(prompt) + max_new_tokens)
    if not len(prompt):
        raise EvaluationError("the prompt has no tokens; a rendered prompt has at least its begin token")
    model.eval()
    ids: list[int] = []
    shown = 0
    decoding = _Decoding(model, [list(prompt)])
    while len(ids) < max_new_tokens:
        [token] = decoding.next_tokens()
        if token in stop_ids:
            break
        ids.append(token)
        decoding.append([token])
        # the whole answer each time: an answer is short, and only the whole decodes right with every tokenizer
        text = decode_answer(tokenizer, ids)
        if len(text) > shown:
            yield text[shown:]
            shown = len(text)


def _check_room(model: PreTrainedModel, needed: int) -> None:
    limit = position_limit(model)
    if limit is not None and needed > limit:
        raise EvaluationError(
            f"the model takes {limit} tokens, and a prompt with its answer may have {needed}; lower dataset.max_tokens or "
            "evaluation.max_new_tokens"
        )


def decode_answer(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    """The text of answer tokens: no special tokens, and no replacement mark at the end for a character cut in half."""
    text = tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text).rstrip("\ufffd")


def _answer_batch(
    model: PreTrainedModel, batch: list[list[int]], max_new_tokens: int, stop_ids: frozenset[int]
) -> list[tuple[list[int], bool]]:
    """Token ids of each answer without the stop token, and whether it stopped."""
    answers: list[list[int]] = [[] for _ in batch]
    stopped = [False] * len(batch)
    rows = list(range(len(batch)))
    """The prompt that each row still in the computation belongs to."""
    decoding = _Decoding(model, batch)
    for _ in range(max_new_tokens):
        tokens = decoding.next_tokens()
        for row, token in zip(rows, tokens, strict=True):
            if stopped[row]:
                continue
            if token in stop_ids:
                stopped[row] = True
            else:
                answers[row].append(token)
        going = [place for place, row in enumerate(rows) if not stopped[row]]
        if not going:
            break
        # finished rows are computed on until half of them are: copying the cache costs as much as several steps
        if len(going) <= len(rows) // 2:
            decoding.keep(going)
            rows = [rows[place] for place in going]
            tokens = [tokens[place] for place in going]
        decoding.append(tokens)
    return list(zip(answers, stopped, strict=True))


class _Decoding:
    """A batch of prompts, its cache, and the logits behind the last token of each row. Computes lazily: the token that
    is appended last is only run through the model when the next one is asked for."""

    def __init__(self, model: PreTrainedModel, batch: list[list[int]]) -> None:
        self._model = model
        self._accepted = set(inspect.signature(model.forward).parameters)
        self._cache: Any = None
        longest = max(map(len, batch))
        filler = model.config.get_text_config().pad_token_id or 0
        device = model.device
        self._input_BT = torch.tensor([[filler] * (longest - len(ids)) + ids for ids in batch], device=device)
        self._mask_BK = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids in batch], device=device)
        self._positions_BT = (self._mask_BK.cumsum(dim=1) - 1).clamp(min=0)
        self._padded = any(len(ids) < longest for ids in batch)

    @torch.no_grad()
    def next_tokens(self) -> list[int]:
        """The likeliest next token of every row."""
        arguments: dict[str, Any] = {
            "input_ids": self._input_BT,
            "past_key_values": self._cache,
            "use_cache": True,
            # without padding there is nothing to mask but the future, and attention has a faster kernel for that
            "attention_mask": self._mask_BK if self._padded else None,
            "position_ids": self._positions_BT,
            "logits_to_keep": 1,
        }
        output = self._model(**{name: value for name, value in arguments.items() if name in self._accepted})
        self._cache = output.past_key_values
        tokens: list[int] = output.logits[:, -1].argmax(dim=-1).tolist()
        return tokens

    def append(self, tokens: list[int]) -> None:
        """Put one token behind every row."""
        self._input_BT = torch.tensor(tokens, device=self._input_BT.device)[:, None]
        self._positions_BT = self._positions_BT[:, -1:] + 1
        self._mask_BK = torch.nn.functional.pad(self._mask_BK, (0, 1), value=1)

    def keep(self, places: list[int]) -> None:
        """Go on with these rows only."""
        index = torch.tensor(places, device=self._mask_BK.device)
        self._cache.batch_select_indices(index)
        self._mask_BK = self._mask_BK[index]
        self._positions_BT = self._positions_BT[index]
        self._padded = bool((self._mask_BK == 0).any())
