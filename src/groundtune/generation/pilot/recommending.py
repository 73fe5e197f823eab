"""Which model to take, and why, said so that a pilot too small to tell says so.

The rule, in this order:

1. A model without one accepted pair is out.
2. For each of `GUARDS` in turn, a model is out that is surely worse than the best of those still in: the interval of the difference
   leaves out zero (all these intervals together at 95%), and the difference is at least `SMALLEST_GAP` of the best figure, because
   with many groups trifles become sure.
3. Of the others the one with the fewest dollars for an accepted pair is taken; where no price is known, the one with the highest
   acceptance.

It is sure when the differences in cost to all others that are left exclude zero, or none is left, and its acceptance cannot be
more than `MOST_UNSEEN` below that of the best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from groundtune.generation.pilot.measures import Sampled
from groundtune.generation.pilot.resampling import FEWEST_GROUPS, bounds
from groundtune.generation.pilot.results import ModelResult
from groundtune.generation.statistics import format_dollars

GUARDS: Mapping[str, str] = {
    "answered": "groups answered",
    "acceptance": "acceptance",
    "statements": "statements an answer",
    "inference_share": "inference share",
}
"""What a cheap model must not be worse in, by `Measure.key`."""

SMALLEST_GAP = 0.05
MOST_UNSEEN = 0.1
COST = "dollars_per_pair"
ROUNDING = 1e-9
"""Differences below this share of a figure are of the arithmetic."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    model: str | None
    """None: no model wrote a pair that was accepted."""
    reason: str
    sure: bool
    """Whether other groups would most likely have led to the same model."""
    out: dict[str, str]
    """Models that were not considered, with the reason."""


def recommend(
    models: Sequence[ModelResult], sampled: Mapping[str, Mapping[str, Sampled]], *, num_groups: int
) -> Recommendation:
    """Apply the rule above. `sampled`: by model and measure."""
    out = _why_out(models, sampled, num_groups)
    left = [each for each in models if each.model not in out]
    if not left:
        return Recommendation(None, "No model wrote a pair that passed the checks.", True, out)
    priced = [each for each in left if each.figures[COST].value is not None]
    if not priced:
        return _by_acceptance(left, out, num_groups)
    out |= {each.model: "no price is known" for each in left if each not in priced}
    taken, *others = sorted(priced, key=_cost)
    ties = [
        each
        for each in others
        if not _surely_below(sampled[taken.model][COST], sampled[each.model][COST], num_groups, len(others))
    ]
    unseen = _unseen(taken, out)
    enough = num_groups >= FEWEST_GROUPS or len(models) == 1
    sure = enough and not ties and len(priced) == len(left) and unseen <= MOST_UNSEEN
    reason = _reason(taken, others, ties, out, num_groups)
    if num_groups < FEWEST_GROUPS:
        reason += f" With {num_groups} group{'s' * (num_groups > 1)} nothing is sure."
    elif unseen >= 0.005:
        best = taken.differences["acceptance"].best
        reason += f" Its acceptance may be up to {unseen * 100:.0f} points below that of {best}."
    return Recommendation(taken.model, reason, sure, out)


def _why_out(
    models: Sequence[ModelResult], sampled: Mapping[str, Mapping[str, Sampled]], num_groups: int
) -> dict[str, str]:
    out = {each.model: "no accepted pair" for each in models if not each.pairs}
    comparisons = max(1, len(GUARDS) * (len(models) - len(out) - 1))
    for key, label in GUARDS.items():
        known = {
            each.model: sampled[each.model][key]
            for each in models
            if each.model not in out and not np.isnan(sampled[each.model][key].value)
        }
        if not known:
            continue
        best = max(known, key=lambda model: known[model].value)
        for model, figure in known.items():
            gap = known[best].value - figure.value
            if gap >= SMALLEST_GAP * known[best].value and _surely_below(figure, known[best], num_groups, comparisons):
                shown = f"{_shown(key, figure.value)} against {_shown(key, known[best].value)}"
                out[model] = f"{label} {shown} of {best}"
    return out


def _surely_below(one: Sampled, other: Sampled, num_groups: int, comparisons: int) -> bool:
    ends = bounds(one.samples - other.samples, num_groups, comparisons=comparisons)
    return ends is not None and ends[1] < -ROUNDING * abs(other.value)


def _cost(each: ModelResult) -> float:
    value = each.figures[COST].value
    return np.inf if value is None else value


def _shown(key: str, value: float) -> str:
    return f"{value:.1f}" if key == "statements" else f"{value:.0%}"


def _by_acceptance(left: Sequence[ModelResult], out: dict[str, str], num_groups: int) -> Recommendation:
    taken = max(left, key=lambda each: each.figures["acceptance"].value or 0.0)
    reason = (
        f"{taken.model} has the highest acceptance ({taken.figures['acceptance'].value or 0:.0%}); no price is known."
    )
    if len(left) > 1:
        reason += f" {num_groups} groups do not show that the others are worse: {_names(left, but=taken)}."
    return Recommendation(taken.model, reason, len(left) == 1 and num_groups >= FEWEST_GROUPS, out)


def _reason(
    taken: ModelResult,
    others: Sequence[ModelResult],
    ties: Sequence[ModelResult],
    out: Mapping[str, str],
    num_groups: int,
) -> str:
    price = f"{format_dollars(_cost(taken))} for an accepted pair"
    if not others:
        beside = "the only model asked" if not out else "the only model left"
        reason = f"{taken.model}: {price}, {beside}."
    elif ties:
        reason = (
            f"{taken.model} is the cheapest here, {price}, but {num_groups} groups cannot tell its cost from that of "
            f"{_names(ties)}; ask more groups before you rely on it."
        )
    else:
        reason = (
            f"{taken.model}: {price}, surely less than {_names(others)} (next {format_dollars(_cost(others[0]))}), and not shown to be "
            "worse in acceptance or depth."
        )
    left_out = [f"{model} ({why})" for model, why in out.items()]
    return reason + (f" Not considered: {'; '.join(left_out)}." if left_out else "")


def _names(models: Sequence[ModelResult], but: ModelResult | None = None) -> str:
    return ", ".join(each.model for each in models if each is not but)


def _unseen(taken: ModelResult, out: Mapping[str, str]) -> float:
    """How far below the best in acceptance the model may be all the same."""
    gap = taken.differences.get("acceptance")
    return 0.0 if gap is None or gap.low is None or gap.best in out else max(0.0, -gap.low)
