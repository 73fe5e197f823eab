"""The largest batch of a training, computed once before its first step: too little memory shows now, not in an hour.

It is computed as in the middle of the training, forward and backward, with room taken for the optimizer's moments, and
then undone: gradients, random numbers, buffers. What is learnt is the same with and without it, to the last bit. A
continued run is tried again only if device or settings are others than those its checkpoint was tried with.

A GPU's allocator refuses what it does not have. Linux grants it, and kills who touches it; so on a CPU what is needed is
first held against what is available (gradients and moments exactly, activations by the formula of
:mod:`groundtune.models.inspecting.memory`, which is right to a fourth), and what is left is measured in front of every
layer while the batch is computed, with room taken for the gradients too: they come when the last layer is done.

"Largest" is that of the first epoch, by its places and its supervised sources. Later epochs deal examples to steps anew,
and where one of their rows is larger by so much that it does not fit, :mod:`.memory` cuts it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.config import ComputingConfig
from groundtune.errors import TrainingError
from groundtune.models.inspecting.memory import Precision, activation_bytes
from groundtune.models.inspecting.structure import shape_of, sizes_of
from groundtune.prefix.causal import body_of
from groundtune.training.memory import (
    CONTROL_GROUPS,
    RandomState,
    Remedies,
    available_bytes,
    free_again,
    in_words,
    is_out_of_memory,
    what_was_asked,
)
from groundtune.training.steps import OptimizerSteps, Tensors

if TYPE_CHECKING:
    from groundtune.training.trainer import SupervisedTrainer

CANDIDATES = 16
"""Steps that are laid out to find the largest batch: those that could hold it."""

MOMENTS = 2
"""Of AdamW, for each trained weight."""

OFF_BY = 0.25
"""How wrong the formula for activations may be."""

RESERVE_BYTES = 64 * 2**20
"""What has to be left in front of every layer besides what the layer is estimated to take."""

SHORT_SHARE = 0.05
"""Of the memory that was available, that is too little to have left without a word."""


@dataclass(frozen=True, slots=True)
class LargestBatch:
    tensors: Tensors
    places: int
    sources: int
    """Places that something is predicted from."""


def largest_batch(steps: OptimizerSteps, *, processes: int, source_places: float) -> LargestBatch:
    """Of the current epoch; exact where few steps fill a row, else one of those that do.

    Args:
        source_places: what a supervised source costs, in places.
    """
    packer = steps.packer
    batches = [
        batch for number in _largest_steps(steps) for batch in packer.pack(steps.members(number), at_least=processes)
    ]
    batches.sort(key=lambda batch: -batch.places)
    largest: LargestBatch | None = None
    cost = -1.0
    for batch in batches[:CANDIDATES]:
        tensors = batch.make()
        sources = len(tensors["edge_sources"].unique())
        if batch.places + source_places * sources > cost:
            largest, cost = LargestBatch(tensors, batch.places, sources), batch.places + source_places * sources
    assert largest is not None, "a training has steps, and a step a batch"
    return largest


def _largest_steps(steps: OptimizerSteps) -> list[int]:
    """Numbers of the `CANDIDATES` steps with the most tokens in a batch, or of as many that fill one."""
    unshared = steps.unshared_tokens()
    found: list[tuple[int, int]] = []
    for number in np.argsort(-unshared, kind="stable").tolist():
        # sharing makes no step larger, and a batch holds no more than it may
        if len(found) == CANDIDATES and min(unshared[number], steps.packer.max_pack_tokens) <= -found[-1][0]:
            break
        most = steps.packer.most_tokens(steps.members(number))
        found = sorted([*found, (-most, number)])[:CANDIDATES]
    return [number for _, number in found]


class Preflight(TrainerCallback):
    """Tries the largest batch when a training begins."""

    def __init__(
        self, trainer: SupervisedTrainer, computing: ComputingConfig, remedies: Remedies, say: Callable[[str], None]
    ) -> None:
        self._trainer = trainer
        self._computing = computing
        self._remedies = remedies
        self._say = say

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        trainer = self._trainer
        tried_with = trainer.processes.of_first(self._tried_with(args.device))
        if state.global_step >= state.max_steps or trainer.journal.tried_with == tried_with:
            return
        batch = largest_batch(trainer.steps, processes=trainer.processes.count, source_places=self._source_places())
        if args.device.type == "cpu":
            self._expect(batch)
        self._try(batch)
        trainer.journal.tried_with = tried_with

    def _tried_with(self, device: torch.device) -> str:
        name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        asked = self._computing
        return f"{name}, {asked.max_pack_tokens}, {asked.gradient_checkpointing}, {asked.precision}, {asked.compile}"

    def _source_places(self) -> float:
        """About what the logits of a source cost, or its way through the last feed-forward block where they are made in chunks."""
        config = self._trainer.prepared.causal.config.get_text_config()
        layers: int = config.num_hidden_layers
        if self._trainer.prepared.chunked:
            return 1 / layers
        # logits, their softmax and their gradients; a layer keeps about twenty widths a token
        vocabulary, width = int(config.vocab_size), int(config.hidden_size)
        return 3 * vocabulary / (20 * layers * width)

    def _trained(self) -> list[nn.Parameter]:
        return [weight for weight in self._trainer.model_wrapped.parameters() if weight.requires_grad]

    def _has_moments(self) -> bool:
        """Of a continued run they are loaded already."""
        optimizer = self._trainer.optimizer
        assert optimizer is not None, "made before a training begins"
        return bool(optimizer.state)

    def _states_bytes(self) -> int:
        """Gradients and moments that are not there yet."""
        kinds = 1 if self._has_moments() else 1 + MOMENTS
        return sum(weight.nbytes for weight in self._trained()) * kinds

    def _activations(self, batch: LargestBatch) -> tuple[int, int]:
        """Estimated bytes of all layers, and of one; 0 where the configuration does not name its sizes."""
        causal = self._trainer.prepared.causal
        shape = shape_of(causal, sizes_of(causal, rank=1))
        if shape is None:
            return 0, 0
        precision: Precision = "bfloat16" if self._trainer.bfloat16 else "float32"
        checkpointing = self._computing.gradient_checkpointing
        whole = activation_bytes(shape, batch.places, precision, checkpointing=checkpointing)
        return whole, activation_bytes(shape, batch.places, precision) // shape.layers

    def _expect(self, batch: LargestBatch) -> None:
        """On a CPU, before anything is computed. Raises `TrainingError` where it cannot fit even if the estimate is too high."""
        available, states = available_bytes(), self._states_bytes()
        activations, _ = self._activations(batch)
        if states + activations * (1 - OFF_BY) > available:
            figures = (
                f"gradients and optimizer take {in_words(states)} and activations about {in_words(activations)} "
                f"(estimated) beside the weights, and {in_words(available)} are available"
            )
            raise self._too_large(batch, figures, "; to try it all the same, set train.preflight: false")
        if states + activations * (1 + OFF_BY) > available:
            self._say(
                f"memory may become short: beside the weights about {in_words(states + activations)} are needed (estimated), "
                f"and {in_words(available)} are available"
            )

    def _try(self, batch: LargestBatch) -> None:
        trainer = self._trainer
        model: nn.Module = trainer.model_wrapped
        failed: str | None = None
        with _undone(model, trainer.args.device):
            try:
                with ExitStack() as stack:
                    held = self._held(model, stack, batch)
                    trainer.try_batch(model, batch.tensors)
                    del held
            except (RuntimeError, MemoryError, OSError) as error:
                if not is_out_of_memory(error):
                    raise
                failed = self._figures(trainer.args.device, error)
        if failed is not None:
            free_again()
            raise self._too_large(batch, failed)

    def _held(self, model: nn.Module, stack: ExitStack, batch: LargestBatch) -> list[torch.Tensor]:
        """Room for what the optimizer will hold, written to: untouched memory is not taken."""
        trained = self._trained()
        moments = [_filled(weight) for weight in trained for _ in range(0 if self._has_moments() else MOMENTS)]
        if self._trainer.args.device.type == "cpu":
            gradients = [_filled(weight) for weight in trained]
            # they are in the place of those that the backward pass makes
            handle = model.register_forward_hook(lambda *_: gradients.clear())
            stack.callback(handle.remove)
            _, layer = self._activations(batch)
            watch = _MemoryWatch(layer + RESERVE_BYTES)
            stack.enter_context(watch.over(self._trainer.prepared.causal))
            stack.callback(self._say_if_short, watch)
        return moments

    def _say_if_short(self, watch: _MemoryWatch) -> None:
        if watch.least < SHORT_SHARE * watch.before:
            self._say(
                f"memory is short: of {in_words(watch.before)} only {in_words(watch.least)} were left (measured) while the "
                "largest batch was computed"
            )

    def _figures(self, device: torch.device, error: BaseException) -> str:
        asked = what_was_asked(error)
        if device.type != "cuda":
            return (
                str(error)
                if isinstance(error, _TooLittleLeftError)
                else f"this machine has no more memory to give{asked}"
            )
        free, total = torch.cuda.mem_get_info(device)
        taken = torch.cuda.max_memory_allocated(device)
        return (
            f"{torch.cuda.get_device_name(device)} has {in_words(total)}, this training had taken {in_words(taken)} of them and "
            f"{in_words(free)} were free{asked}"
        )

    def _too_large(self, batch: LargestBatch, figures: str, more: str = "") -> TrainingError:
        longest = self._trainer.steps.packer.longest
        return TrainingError(
            f"the largest batch of this training ({batch.places} tokens, {batch.sources} of them supervised) does not fit into "
            f"memory: {figures}; {self._remedies.text(row=batch.places, longest=longest)}{more}"
        )


def _filled(weight: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(weight, requires_grad=False).fill_(1.0)


@contextmanager
def _undone(model: nn.Module, device: torch.device) -> Iterator[None]:
    """What the block does to gradients, random numbers, buffers and training mode is undone after it."""
    random = RandomState(device)
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        model.zero_grad()
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
        for module, training in modes:
            module.training = training
        random.restore()


class _TooLittleLeftError(MemoryError):
    """Raised by us, before the system kills the process."""


class _MemoryWatch:
    """Measures in front of every layer how much memory the process could still take."""

    def __init__(self, needed: int, control_groups: Path = CONTROL_GROUPS) -> None:
        self._needed = needed
        self._control_groups = control_groups
        self.before = self.least = available_bytes(control_groups)

    @contextmanager
    def over(self, model: Any) -> Iterator[None]:
        layers = next((each for each in body_of(model).modules() if isinstance(each, nn.ModuleList) and len(each)), ())
        handles = [layer.register_forward_pre_hook(self._look) for layer in layers]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _look(self, *_: object) -> None:
        left = available_bytes(self._control_groups)
        self.least = min(self.least, left)
        if left < min(self._needed, self.before):
            raise _TooLittleLeftError(
                f"{in_words(self.before)} were available, and only {in_words(left)} were left (measured) in front of a layer, "
                f"for which {in_words(self._needed)} are needed (estimated)"
            )
