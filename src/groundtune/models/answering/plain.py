"""Answers prompts in batches padded on the left, or one at a time by the model's own `generate`.

For models that cannot share prefixes, and for a single answer that is shown as it comes. Positions of a padded batch are
counted from each prompt's own first token and the padding is masked; that a model heeds both is found out by :mod:`.check`.

Legend: B rows of a batch, T longest prompt, K keys in the cache, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from groundtune.models.answering.answers import AnsweringWork, Limits
from groundtune.models.answering.tree import Prompt


def answer_padded(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    limits: Limits,
    stop_ids: frozenset[int],
    work: AnsweringWork,
) -> Iterator[tuple[Prompt, list[int], bool]]:
    """Each prompt with its answer's tokens and whether it stopped; neighbours in length share a batch."""
    order = sorted(prompts, key=lambda prompt: (-len(prompt), prompt))
    for start in range(0, len(order), limits.questions):
        yield from _answer_batch(model, order[start : start + limits.questions], limits.new_tokens, stop_ids, work)


def answer_singly(
    model: PreTrainedModel,
    prompts: Sequence[Prompt],
    limits: Limits,
    stop_ids: frozenset[int],
    work: AnsweringWork,
) -> Iterator[tuple[Prompt, list[int], bool]]:
    """Each prompt by ``model.generate``: right for every model there is, and slow."""
    settings = GenerationConfig(
        do_sample=False,
        max_new_tokens=limits.new_tokens,
        eos_token_id=sorted(stop_ids) or None,
        pad_token_id=min(stop_ids, default=0),
    )
    ask: Any = model.generate  # its type is that of any module's attribute
    for prompt in prompts:
        asked = torch.tensor([prompt], device=model.device)
        made = ask(asked, attention_mask=torch.ones_like(asked), generation_config=settings)
        ids: list[int] = made[0, len(prompt) :].tolist()
        stopped = bool(ids) and ids[-1] in stop_ids
        work.computed_prompt_tokens += len(prompt)
        work.prompt_passes += 1
        work.decode_steps += len(ids) - 1
        yield prompt, ids[:-1] if stopped else ids, stopped


def _answer_batch(
    model: PreTrainedModel, batch: Sequence[Prompt], new_tokens: int, stop_ids: frozenset[int], work: AnsweringWork
) -> list[tuple[Prompt, list[int], bool]]:
    answers: list[list[int]] = [[] for _ in batch]
    stopped = [False] * len(batch)
    rows = list(range(len(batch)))
    """The prompt that each row still in the computation belongs to."""
    padded = PaddedBatch(model, [list(prompt) for prompt in batch])
    work.computed_prompt_tokens += sum(map(len, batch))
    work.prompt_passes += 1
    for step in range(new_tokens):
        work.decode_steps += step > 0
        tokens: list[int] = padded.next_logits().argmax(dim=-1).tolist()
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
            padded.keep(going)
            rows = [rows[place] for place in going]
            tokens = [tokens[place] for place in going]
        padded.append(tokens)
    return list(zip(batch, answers, stopped, strict=True))


class PaddedBatch:
    """A batch of prompts and its cache. Computes lazily: the token that is appended last is only run through the model
    when the logits behind it are asked for."""

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
    def next_logits(self) -> torch.Tensor:
        """Behind the last token of every row, [B, V]."""
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
        logits: torch.Tensor = output.logits[:, -1]
        return logits

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
