"""The trainer of preference pairs: what a step and a validation are differs from supervised training, nothing else.

Legend: P pairs, M their examples (chosen and rejected in turn), E edges of a batch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from typing_extensions import override

from groundtune.config import PreferenceConfig
from groundtune.progress import ProgressBar
from groundtune.training.precision import autocast
from groundtune.training.preference.losses import WITHOUT_REFERENCE, Answers, preference_loss
from groundtune.training.preference.pairs import members_of, place_targets, tree_blocks
from groundtune.training.steps import Indices, LoadedStep, Packer, Tensors, own_batches
from groundtune.training.trainer import SupervisedTrainer


class PreferenceTrainer(SupervisedTrainer):
    """Trains on `PreferenceSteps`. The model is the reference as it is when this is made, before any checkpoint is loaded."""

    def __init__(self, *args: Any, preference: PreferenceConfig, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        valid: Packer | None = kwargs["valid"]
        self._preference = preference
        self._train_reference = self._measure_reference(self.steps.packer, self._pairs_met())
        self._valid_reference = torch.zeros(0)
        if valid is not None:
            self._valid_reference = self._measure_reference(valid, np.arange(len(valid.examples) // 2))

    @property
    def preferred_note(self) -> str | None:
        if self.journal.preferred is None:
            return None
        return f"validation: {self.journal.preferred:.0%} of the pairs preferred as they should be, when last measured"

    def _pairs_met(self) -> Indices:
        """The pairs of every step there will be."""
        steps, most = self.steps, self._occasions.max_steps
        if 0 < most < len(steps):
            return np.concatenate([steps.indices(number) for number in range(most)])
        return np.arange(len(steps.packer.examples) // 2)

    def _measure_reference(self, packer: Packer, pairs: Indices) -> torch.Tensor:
        """[all M] summed log-probabilities by the model as it is; not a number for pairs that are not among `pairs`."""
        if self._preference.loss in WITHOUT_REFERENCE:
            return torch.zeros(len(packer.examples), dtype=torch.float64)
        found = torch.full((len(packer.examples),), torch.nan, dtype=torch.float64)
        members = members_of(pairs)
        with ProgressBar("measuring the reference", total=len(members), unit="answers") as bar:
            found[torch.from_numpy(members)] = self._log_probabilities(packer, members, bar)
        return found

    def _log_probabilities(self, packer: Packer, members: Indices, bar: ProgressBar | None = None) -> torch.Tensor:
        """[M] of `members`, in float64, over all processes."""
        found = torch.zeros(len(members), dtype=torch.float64)
        doing = self._validating if bar is None else "while the reference was measured"
        for block in tree_blocks(packer.tree, members):
            some = members[block]

            def compute(_again: bool, some: Indices = some) -> torch.Tensor:
                return self._block_log_probabilities(packer, some, bar)

            found[torch.from_numpy(block)] = self.within_memory(compute, packer, doing)
        return self._over_processes(found)

    def _block_log_probabilities(self, packer: Packer, members: Indices, bar: ProgressBar | None) -> torch.Tensor:
        """[M] of `members`, as far as they are this process's."""
        found = torch.zeros(len(members), dtype=torch.float64)
        shown = bar if self.processes.first else None
        done = 0
        try:
            for batch in own_batches(packer.pack(members), self.processes):
                edges, places = place_targets(batch, members)
                self._add(found, self._edge_losses(batch.make()), edges, places)
                if shown is not None:
                    count = len(places.unique())
                    shown.advance(count)
                    done += count
        except BaseException:
            if shown is not None:
                # it may be done again
                shown.advance(-done)
            raise
        if shown is not None:
            # the work of other processes
            shown.advance(len(members) - done)
        return found

    def _edge_losses(self, batch: Tensors) -> torch.Tensor:
        """[E] in float64, on the CPU."""
        was_training = self.prepared.model.training
        self.prepared.model.eval()
        on_device = {name: tensor.to(self.args.device) for name, tensor in batch.items()}
        with torch.no_grad(), autocast(self.args.device, bfloat16=self.bfloat16):
            losses = self.prepared.edge_losses(on_device)
        self.prepared.model.train(was_training)
        return losses.to("cpu", torch.float64)

    @staticmethod
    def _add(found: torch.Tensor, losses: torch.Tensor, edges: torch.Tensor, places: torch.Tensor) -> None:
        found.index_add_(0, places, -losses[edges])

    def _over_processes(self, values: torch.Tensor) -> torch.Tensor:
        return self.processes.summed(values)

    @override
    def _compute_step(self, model: nn.Module, step: LoadedStep) -> torch.Tensor:
        """Without gradients first, for what each pair weighs, then batch by batch."""
        preference = step["preference"]
        members = members_of(preference["pairs"])
        sums = torch.zeros(len(members), dtype=torch.float64)
        for batch, edges, places in zip(step["batches"], preference["edges"], preference["members"], strict=True):
            self._add(sums, self._edge_losses(batch), edges, places)
        sums = self._over_processes(sums).requires_grad_()
        loss = self._pair_losses(self.steps.packer, sums, members, self._train_reference).mean()
        # minus: a cross entropy is a negative log-probability
        weights = -torch.autograd.grad(loss, sums)[0]
        model.train()
        last = len(step["batches"]) - 1
        for number, batch in enumerate(step["batches"]):
            edges, places = preference["edges"][number], preference["members"][number]
            weights_E = torch.zeros(len(batch["edge_weights"]), dtype=torch.float64)
            weights_E.index_add_(0, edges, weights[places])
            wide = torch.float32 if self.args.device.type == "mps" else torch.float64
            weighted = {**batch, "edge_weights": weights_E.to(wide)}
            with self._exchanging(model, number == last):
                # gradients of all processes are averaged
                self.accelerator.backward(self._summed_loss(model, weighted) * self.processes.count)
        self._step_loss, self._step = loss.detach(), {**step, "batches": []}
        return self._step_loss.to(torch.float32)

    def _pair_losses(
        self, packer: Packer, sums: torch.Tensor, members: Indices, reference: torch.Tensor
    ) -> torch.Tensor:
        tokens = torch.from_numpy(packer.examples.total_weights[members])
        before = reference[torch.from_numpy(members)]
        answers = Answers(sums[0::2], sums[1::2], before[0::2], before[1::2], tokens[0::2], tokens[1::2])
        return preference_loss(answers, self._preference)

    @override
    def evaluate(self, *_args: Any, **_kwargs: Any) -> dict[str, float]:
        """Mean loss over the validation pairs."""
        packer = self._valid_packer
        assert packer is not None, "Trainer asks only where there is something to validate on"
        members = np.arange(len(packer.examples))
        sums = self._log_probabilities(packer, members)
        losses = self._pair_losses(packer, sums, members, self._valid_reference)
        gains = sums - self._valid_reference
        if self._preference.loss in WITHOUT_REFERENCE:
            gains = sums / torch.from_numpy(packer.examples.total_weights)
        # the chosen answer gained more than the other against the model before training, or is the likelier one a token
        self.journal.preferred = float((gains[0::2] > gains[1::2]).double().mean())
        metrics = {"eval_loss": float(losses.mean())}
        self.control = self.callback_handler.on_log(self.args, self.state, self.control, dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics
