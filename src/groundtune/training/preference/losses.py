"""Losses of a pair, as functions of the summed log-probabilities of its two answers.

Sources: DPO (sigmoid) arXiv 2305.18290, with label smoothing as in cDPO (its authors' note of 2023); hinge 2305.10425; IPO
2310.12036, averaged over tokens as its authors do; robust 2403.00409; SimPO 2405.14734; ORPO 2403.07691; APO-zero 2408.06266.

Legend: P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from groundtune.config import PreferenceConfig

SUREST = 1e-9
"""Least mean cross entropy of an answer whose odds are taken."""


@dataclass(frozen=True, slots=True)
class Answers:
    """All [P], in float64: log-probabilities summed over the tokens of each answer, and how many those are."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    chosen_reference: torch.Tensor
    """By the model before training; zeros for losses without a reference."""
    rejected_reference: torch.Tensor
    chosen_tokens: torch.Tensor
    rejected_tokens: torch.Tensor

    @property
    def chosen_ratio(self) -> torch.Tensor:
        return self.chosen - self.chosen_reference

    @property
    def rejected_ratio(self) -> torch.Tensor:
        return self.rejected - self.rejected_reference

    @property
    def chosen_mean(self) -> torch.Tensor:
        return self.chosen / self.chosen_tokens

    @property
    def rejected_mean(self) -> torch.Tensor:
        return self.rejected / self.rejected_tokens


def preference_loss(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    """[P] the loss of each pair, with `config.sft_weight` times the mean cross entropy of the chosen answer.

    >>> one = torch.ones(1, dtype=torch.float64)
    >>> even = Answers(-9 * one, -4 * one, -9 * one, -4 * one, 3 * one, 2 * one)
    >>> round(float(preference_loss(even, PreferenceConfig())), 4)  # ln 2: neither better nor worse than the reference
    0.6931
    """
    loss = _LOSSES[config.loss](answers, config)
    return loss - config.sft_weight * answers.chosen_mean if config.sft_weight else loss


def _margin(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    return config.beta * (answers.chosen_ratio - answers.rejected_ratio)


def _sigmoid(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    margin, smoothing = _margin(answers, config), config.label_smoothing
    return -(1 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)


def _robust(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    margin, smoothing = _margin(answers, config), config.label_smoothing
    return (-(1 - smoothing) * logsigmoid(margin) + smoothing * logsigmoid(-margin)) / (1 - 2 * smoothing)


def _hinge(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    return torch.relu(1 - _margin(answers, config))


def _ipo(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    means = answers.chosen_ratio / answers.chosen_tokens - answers.rejected_ratio / answers.rejected_tokens
    return (means - 1 / (2 * config.beta)) ** 2


def _apo_zero(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    return 1 - torch.sigmoid(config.beta * answers.chosen_ratio) + torch.sigmoid(config.beta * answers.rejected_ratio)


def _simpo(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    return -logsigmoid(config.beta * (answers.chosen_mean - answers.rejected_mean) - config.margin)


def _orpo(answers: Answers, config: PreferenceConfig) -> torch.Tensor:
    def odds(mean: torch.Tensor) -> torch.Tensor:
        # of a certain answer they have no bound, and the difference of two such would be no number
        unsure = mean.clamp(max=-SUREST)
        return unsure - torch.log1p(-torch.exp(unsure))

    likelier = logsigmoid(odds(answers.chosen_mean) - odds(answers.rejected_mean))
    return -answers.chosen_mean - config.beta * likelier


_LOSSES: Mapping[str, Callable[[Answers, PreferenceConfig], torch.Tensor]] = {
    "sigmoid": _sigmoid,
    "hinge": _hinge,
    "ipo": _ipo,
    "robust": _robust,
    "apo_zero": _apo_zero,
    "simpo": _simpo,
    "orpo": _orpo,
}
WITHOUT_REFERENCE = ("simpo", "orpo")
