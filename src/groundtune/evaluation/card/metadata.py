"""The YAML in front of a model card, as the hub reads it: https://huggingface.co/docs/hub/model-cards.

What is not known is left out, all but the licence, for which the hub has a word of its own: ``unknown``.
"""

from __future__ import annotations

from typing import Any

import yaml

from groundtune.evaluation.card.facts import CardFacts
from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.measures import MEASURES, Measure
from groundtune.evaluation.verdict.data import ReportData

HUB_METRICS = {"token_f1": "f1", "exact_match": "exact_match", "chrf": "chrf", "rouge_l": "rouge"}
"""What the hub calls a measure; the others go under our own name."""


def front_matter(data: ReportData, facts: CardFacts) -> str:
    """Between the two lines of dashes, those included."""
    return f"---\n{yaml.safe_dump(_metadata(data, facts), sort_keys=False, allow_unicode=True, width=120)}---\n"


def _metadata(data: ReportData, facts: CardFacts) -> dict[str, Any]:
    """Of this model itself nobody has stated a licence; those of its base and its data stand in the text."""
    found: dict[str, Any] = {
        "language": list(facts.languages),
        "license": "unknown",
        "library_name": "peft" if facts.is_adapter else "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["groundtune", "question-answering", *(["grounded"] if facts.documents else [])],
    }
    if facts.base_hub_id:
        found |= {
            "base_model": facts.base_hub_id,
            "base_model_relation": "adapter" if facts.is_adapter else "finetune",
        }
    if datasets := list(dict.fromkeys(source.hub_id for source in facts.sources if source.hub_id)):
        found["datasets"] = datasets
    if data.evaluation is not None and (metrics := _metrics(data.evaluation)):
        found["model-index"] = [{"name": _name(data), "results": [_result(data, data.evaluation, metrics)]}]
    return found


def _name(data: ReportData) -> str:
    return f"{data.project}-{data.run}" if data.run else data.project


def _result(data: ReportData, summary: EvaluationSummary, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    asked = summary.questions_file or f"held-out questions of {data.project}"
    return {
        "task": {"type": "question-answering", "name": "Question answering"},
        "dataset": {"type": "groundtune-questions", "name": asked}
        | ({} if summary.questions_file else {"split": "test"}),
        "metrics": metrics,
    }


def _metrics(summary: EvaluationSummary) -> list[dict[str, Any]]:
    """Of the tuned model, those that applied to something."""
    figures = summary.figures[summary.comparisons[0].second]
    return [
        _metric(measure, figure)
        for measure in MEASURES
        if (figure := figures.get(measure.key, Figure(None, 0))).value is not None
    ]


def _metric(measure: Measure, figure: Figure) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": HUB_METRICS.get(measure.key, measure.key),
        "name": measure.label,
        "value": round(figure.value or 0.0, 4),
        "args": {"n": figure.n},
    }
    if figure.is_wide and figure.low is not None and figure.high is not None:
        found["args"] |= {"ci95_low": round(figure.low, 4), "ci95_high": round(figure.high, 4)}
    return found
