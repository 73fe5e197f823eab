"""Finds out, on a few tokens, whether a model answers the same when prompts share their prefixes, or when they are padded.

A model whose layers carry state along the sequence (Mamba, gated delta nets), that counts positions itself or keeps an
attention of its own computes something else there than alone. Each way is tried on prompts that share a prefix and go
on, and its logits are compared with the model's own of each prompt alone. The verdict is kept with the model.

Legend: N tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import torch
from transformers import PreTrainedModel

from groundtune.architecture import rotates_otherwise_beyond
from groundtune.models.answering.answers import AnsweringWork, Limits, Way
from groundtune.models.answering.attention import ATTENTION, UnsharableError, implementations
from groundtune.models.answering.plain import PaddedBatch
from groundtune.models.answering.shared import Question, SharedAnswering
from groundtune.models.answering.tree import Prompt
from groundtune.models.quiet import quiet_transformers

REACHED = {torch.float64: 1e-6, torch.float32: 1e-4, torch.float16: 2e-2, torch.bfloat16: 5e-2}
"""Largest difference, relative to the largest logit, that is rounding."""

TRUNK, BRANCHES, STEPS = 11, (5, 9, 7), 2
"""Tokens that the trial's prompts share, tokens of each that are its own, and tokens of an answer."""

FAILURES = (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError, UnsharableError)
"""How a model says that it was not made for this."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a model can do."""

    sharing: str
    """Why it cannot share prefixes; empty where it can."""
    padding: str
    """Why it cannot be padded; empty where it can."""
    column_bytes: int
    """Of the cache, for a token."""
    window_told: bool
    """Whether some layer tells its attention its sliding window."""


_verdicts: WeakKeyDictionary[PreTrainedModel, Verdict] = WeakKeyDictionary()


def judge(model: PreTrainedModel) -> Verdict:
    """The verdict of a model in evaluation mode; the trial takes about ten short passes, once for each model."""
    if model not in _verdicts:
        _verdicts[model] = _try(model)
    return _verdicts[model]


def choose_way(model: PreTrainedModel, longest: int) -> tuple[Way, str]:
    """The fastest way that is right for sequences of up to `longest` tokens, and why prefixes are not shared."""
    verdict = judge(model)
    config = model.config.get_text_config()
    limit = rotates_otherwise_beyond(config)
    if limit is not None and longest > limit:
        # padding too would change what the others of a batch are rotated by
        return "single", f"it rotates all tokens of a call by the longest sequence once that is beyond {limit} tokens"
    reason = verdict.sharing
    window = getattr(config, "sliding_window", None)
    slides = isinstance(window, int) and longest > window and getattr(config, "use_sliding_window", True)
    chunk = getattr(config, "attention_chunk_size", None)
    if not reason and slides and not verdict.window_told:
        reason = f"it slides over {window} tokens and does not tell its attention so"
    elif not reason and isinstance(chunk, int) and longest > chunk:
        reason = f"it attends in chunks of {chunk} tokens"
    return ("shared", "") if not reason else ("single" if verdict.padding else "padded", reason)


@torch.inference_mode()
def _try(model: PreTrainedModel) -> Verdict:
    vocabulary = model.config.get_text_config().vocab_size
    drawn = np.random.default_rng(0)
    trunk = drawn.integers(0, vocabulary, TRUNK).tolist()
    # the step's tokens stand behind each prompt: what the model itself would say does not matter
    forced = {}
    for own in BRANCHES:
        prompt = (*trunk, *drawn.integers(0, vocabulary, own).tolist())
        forced[prompt] = drawn.integers(0, vocabulary, STEPS).tolist()
    alone = {prompt: _logits_alone(model, prompt, tokens) for prompt, tokens in forced.items()}
    trial = _Trial(model, forced)
    try:
        _require_interface(model)
        list(trial.run(list(forced)))
        sharing = _compare({prompt: torch.stack(rows) for prompt, rows in trial.logits.items()}, alone)
    except FAILURES as error:
        sharing = _in_one_line(error)
    try:
        padding = _compare(_logits_padded(model, forced), alone)
    except FAILURES as error:
        padding = _in_one_line(error)
    return Verdict(sharing, padding, trial.store.column_bytes, bool(trial.store.windows))


class _Trial(SharedAnswering):
    """Answers whose tokens are given, and whose logits are kept."""

    def __init__(self, model: PreTrainedModel, forced: dict[Prompt, list[int]]) -> None:
        super().__init__(model, Limits(len(forced), 0, STEPS), frozenset(), AnsweringWork())
        self._forced = forced
        self.logits: dict[Prompt, list[torch.Tensor]] = {prompt: [] for prompt in forced}

    def _choose(self, asked: Sequence[Question], logits_NV: torch.Tensor) -> list[int]:
        for question, logits_V in zip(asked, logits_NV, strict=True):
            self.logits[question.prompt].append(logits_V)
        return [self._forced[question.prompt][len(question.answer)] for question in asked]


def _require_interface(model: PreTrainedModel) -> None:
    """Raises `UnsharableError`: the model does not take its attention from transformers' interface."""
    before = implementations(model)
    try:
        with quiet_transformers():
            model.set_attn_implementation(ATTENTION)
        kept = model.config.get_text_config()._attn_implementation
    except (ValueError, ImportError) as error:
        raise UnsharableError("it does not take its attention from transformers' interface") from error
    finally:
        with quiet_transformers():
            model.set_attn_implementation(before)
    if kept != ATTENTION:
        raise UnsharableError("it keeps an attention of its own")


def _logits_alone(model: PreTrainedModel, prompt: Prompt, tokens: list[int]) -> torch.Tensor:
    """[STEPS, V], by the model's own forward pass over the whole."""
    whole = torch.tensor([[*prompt, *tokens[:-1]]], device=model.device)
    logits: torch.Tensor = model(input_ids=whole).logits[0, len(prompt) - 1 :]
    return logits


def _logits_padded(model: PreTrainedModel, forced: dict[Prompt, list[int]]) -> dict[Prompt, torch.Tensor]:
    """By prompt [STEPS, V]."""
    batch = PaddedBatch(model, [list(prompt) for prompt in forced])
    steps = []
    for step in range(STEPS):
        steps.append(batch.next_logits())
        batch.append([tokens[step] for tokens in forced.values()])
    return dict(zip(forced, torch.stack(steps, dim=1), strict=True))


def _compare(found: dict[Prompt, torch.Tensor], alone: dict[Prompt, torch.Tensor]) -> str:
    """Why logits are not the same; empty where they are, but for rounding."""
    for prompt, expected in alone.items():
        apart = float((found[prompt] - expected).abs().max() / expected.abs().max().clamp_min(1e-30))
        if not apart <= REACHED.get(expected.dtype, 1e-4):
            return f"its logits differ from those of each prompt alone (by {apart:.1e} of the largest)"
    return ""


def _in_one_line(error: Exception) -> str:
    if isinstance(error, UnsharableError):
        return str(error)
    return f"it cannot compute the trial ({str(error).strip().partition(chr(10))[0][:200] or type(error).__name__})"
