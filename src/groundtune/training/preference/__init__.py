"""Preference tuning: pairs of a better and a worse answer, through the same prefix tree and trainer as everything else.

An optimizer step is computed in two passes. The first adds up, without gradients, the log-probability of every answer; the
loss is a function of those sums alone, so its derivative by each of them is a number, and the second pass is the ordinary
weighted cross entropy with these numbers as weights. Its gradient is that of the loss, exactly; prompts are computed once for
both answers and for every other pair that shares them. The reference's log-probabilities are those of the model before the
first step, measured once. This package does not read data or render conversations.
"""

from groundtune.training.preference.losses import Answers, preference_loss
from groundtune.training.preference.pairs import PreferenceSteps, interleave
from groundtune.training.preference.trainer import PreferenceTrainer

__all__ = ["Answers", "PreferenceSteps", "PreferenceTrainer", "interleave", "preference_loss"]
