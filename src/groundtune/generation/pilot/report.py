"""All models of a pilot side by side, each figure with its interval and its difference to the best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from groundtune.errors import GenerationError
from groundtune.files import as_plain
from groundtune.generation.pilot.measures import MEASURES, Sampled, measure_all
from groundtune.generation.pilot.recommending import Recommendation, recommend
from groundtune.generation.pilot.resampling import Interval, bounds, draw_weights, interval
from groundtune.generation.pilot.results import Difference, ModelResult
from groundtune.generation.statistics import GroupOutcome, total_usage
from groundtune.types import Difficulty, QuestionType


@dataclass(frozen=True, slots=True)
class PilotReport:
    """Models in the order given. `as_json` for a file; tables are made by :mod:`groundtune.cli.generation_tables`."""

    groups: tuple[str, ...]
    seed: int
    models: tuple[ModelResult, ...]
    recommendation: Recommendation

    def as_json(self) -> dict[str, Any]:
        value: dict[str, Any] = as_plain(self)
        for plain, model in zip(value["models"], self.models, strict=True):
            plain["usage"] = asdict(model.usage) | {"prompt_tokens": model.usage.prompt_tokens}
        return value


def compare_models(results: Mapping[str, Sequence[GroupOutcome]], *, seed: int) -> PilotReport:
    """Measure every model on the same groups.

    Args:
        results: by model, an outcome for each group, the same groups in the same order for all.

    Raises:
        GenerationError: no model or no group, or models that were asked about different groups.
    """
    groups = _same_groups(results)
    weights = draw_weights(len(groups), seed=seed)
    sampled = {model: measure_all(outcomes, weights) for model, outcomes in results.items()}
    figures = {
        model: {key: interval(each.value, each.samples, len(groups)) for key, each in found.items()}
        for model, found in sampled.items()
    }
    differences = _differences_to_best(sampled, len(groups))
    models = tuple(_result(model, outcomes, figures[model], differences[model]) for model, outcomes in results.items())
    return PilotReport(groups, seed, models, recommend(models, sampled, num_groups=len(groups)))


def _same_groups(results: Mapping[str, Sequence[GroupOutcome]]) -> tuple[str, ...]:
    asked = {model: tuple(each.group.group_id for each in outcomes) for model, outcomes in results.items()}
    if not asked or not next(iter(asked.values())):
        raise GenerationError("pilot: found no models or no groups to compare; name at least one of each")
    first_model, first = next(iter(asked.items()))
    for model, groups in asked.items():
        if groups != first:
            raise GenerationError(
                f"pilot: {model} was asked about {len(groups)} groups and {first_model} about {len(first)}, or about others; "
                "models are compared on the same groups only"
            )
    return first


def _differences_to_best(
    sampled: Mapping[str, Mapping[str, Sampled]], num_groups: int
) -> dict[str, dict[str, Difference]]:
    found: dict[str, dict[str, Difference]] = {model: {} for model in sampled}
    for measure in MEASURES:
        each = {model: values[measure.key] for model, values in sampled.items()}
        known = [model for model, value in each.items() if not np.isnan(value.value)]
        if measure.better is None or not known:
            continue
        sign = 1 if measure.better == "higher" else -1
        best = max(known, key=lambda model: sign * each[model].value)
        for model in known:
            if model != best:
                gap = each[model].value - each[best].value
                ends = bounds(each[model].samples - each[best].samples, num_groups)
                found[model][measure.key] = Difference(best, gap, *(ends or (None, None)))
    return found


def _result(
    model: str,
    outcomes: Sequence[GroupOutcome],
    figures: dict[str, Interval],
    differences: dict[str, Difference],
) -> ModelResult:
    pairs = [pair for outcome in outcomes for pair in outcome.pairs]
    rejections: Counter[str] = Counter()
    for outcome in outcomes:
        rejections.update(outcome.rejections)
    unanswered = Counter(outcome.unanswered for outcome in outcomes if outcome.unanswered)
    types, levels = Counter(pair.type for pair in pairs), Counter(pair.difficulty for pair in pairs)
    return ModelResult(
        model=model,
        groups_answered=len(outcomes) - unanswered.total(),
        pairs=len(pairs),
        rejected=rejections.total(),
        rejections=dict(sorted(rejections.items(), key=lambda item: (-item[1], item[0]))),
        unanswered=dict(sorted(unanswered.items())),
        types={kind.value: types[kind] for kind in QuestionType},
        difficulties={level.value: levels[level] for level in Difficulty},
        usage=total_usage(outcome.usage for outcome in outcomes),
        figures=figures,
        differences=differences,
    )
