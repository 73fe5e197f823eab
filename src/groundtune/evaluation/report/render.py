"""Fills the page: the template, its styles and its script, with everything escaped.

What this module does not do: decide what the figures mean (:mod:`groundtune.evaluation.report.verdict`).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from groundtune.evaluation.intervals import Figure
from groundtune.evaluation.losses import Loss
from groundtune.evaluation.measures import BY_KEY, MEASURES
from groundtune.evaluation.records import AnswerRecord
from groundtune.evaluation.report import wording
from groundtune.evaluation.report.charts import interval_plot, training_charts
from groundtune.evaluation.report.data import ReportData
from groundtune.evaluation.report.verdict import FEW, READINGS, give_verdict, read
from groundtune.types import Split

SIDES = ("base_context", "tuned_context")
"""The systems that stand beside each other."""

KEY_MEASURES = ("token_f1", "false_answer_rate", "over_refusal_rate")


def render_report(data: ReportData) -> str:
    """The whole page as text, ready to be written as UTF-8; the same for the same `data`."""
    script = _part("report.js")
    return (
        _environment()
        .get_template("report.html.jinja")
        .render(
            data=data,
            verdict=give_verdict(data),
            flow=_flow(data),
            keys=_key_figures(data),
            measures=_measure_rows(data),
            losses=_loss_rows(data),
            phases=[(phase, training_charts(phase, f"chart-{index}")) for index, phase in enumerate(data.training)],
            slices=_slices(data),
            shown=_shown(data),
            skips=[
                (stage.name, reason, count) for stage in data.stages for reason, count in stage.skips.items() if count
            ],
            config=yaml.safe_dump(data.config, allow_unicode=True, sort_keys=False, width=100) if data.config else "",
            few=FEW,
            styles=Markup(_part("report.css")),  # ours, from the package
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("groundtune.evaluation.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        number=wording.number,
        compact=wording.compact,
        percent=wording.percent,
        decimal=wording.decimal,
        plural=wording.plural,
        seconds=wording.seconds,
        words=wording.words,
    )
    return environment


def _part(name: str) -> str:
    return resources.files("groundtune.evaluation.report").joinpath("page", name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One station on the way from documents to answers."""

    count: str
    label: str
    note: str


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """One figure of both models; ``n`` questions stand behind it."""

    label: str
    base: str
    tuned: str
    n: int | None


def _flow(data: ReportData) -> list[FlowStep]:
    flow, pairs = data.flow, data.pairs
    rejected = sum(pairs.rejected.values())
    refused = sum(row.unanswerable for row in data.splits)
    notes = {
        "documents": f"{len({row.module for row in data.modules})} modules" if data.modules else "",
        "chunks": f"{wording.compact(sum(row.tokens for row in data.modules))} tokens" if data.modules else "",
        "groups": f"{sum(row.groups > 0 for row in data.rules)} rules" if data.rules else "",
        "pairs": f"{rejected:,} rejected" if pairs.by_rule or rejected else "",
        "examples": f"{refused:,} unanswerable" if data.splits else "",
        "parameters": f"run {data.run}" if data.run else "",
        "questions": "base and tuned",
    }
    labels = {"parameters": "model parameters", "questions": "questions answered"}
    steps = []
    for name, note in notes.items():
        count = getattr(flow, name)
        if count is not None:
            text = wording.compact(count) if name == "parameters" else wording.number(count)
            steps.append(FlowStep(text, labels.get(name, name), note))
    return steps


def _key_figures(data: ReportData) -> list[KeyFigure]:
    """The few that stand beside the verdict; none where nothing was asked."""
    if data.evaluation is None or not data.evaluation.questions.asked:
        return []
    of_base, of_tuned = (data.evaluation.figures[system] for system in SIDES)
    keys = [
        KeyFigure(measure.label, wording.figure(of_base[measure.key], measure), wording.figure(tuned, measure), tuned.n)
        for measure in MEASURES
        if measure.key in KEY_MEASURES and (tuned := of_tuned[measure.key]).value is not None
    ]
    base_loss, tuned_loss = (_whole_loss(data, model, "test") for model in ("base", "tuned"))
    if base_loss and tuned_loss:
        keys.append(KeyFigure("Test loss", wording.decimal(base_loss.mean), wording.decimal(tuned_loss.mean), None))
    return keys


def _measure_rows(data: ReportData) -> list[dict[str, object]]:
    """One row for each measure, formatted; empty without an evaluation."""
    if data.evaluation is None:
        return []
    of_base, of_tuned = (data.evaluation.figures[system] for system in SIDES)
    differences = data.evaluation.comparisons[0].differences
    rows: list[dict[str, object]] = []
    for measure in MEASURES:
        base, tuned, difference = (
            figures.get(measure.key, Figure(None, 0)) for figures in (of_base, of_tuned, differences)
        )
        reading = read(measure, difference)
        rows.append(
            {
                "measure": measure,
                "n": tuned.n,
                "base": wording.figure(base, measure),
                "base_interval": wording.interval(base, measure),
                "tuned": wording.figure(tuned, measure),
                "tuned_interval": wording.interval(tuned, measure),
                "difference": wording.difference(difference, measure),
                "difference_interval": wording.difference_interval(difference, measure),
                "reading": reading,
                "reading_text": READINGS[reading],
                "plot": interval_plot(base, tuned, measure.label),
            }
        )
    return rows


def _loss_rows(data: ReportData) -> list[tuple[str, Loss | None, Loss | None]]:
    if data.evaluation is None:
        return []
    names: dict[Split, str] = {"valid": "Validation", "test": "Test"}
    return [
        (name, _whole_loss(data, "base", split), _whole_loss(data, "tuned", split)) for split, name in names.items()
    ]


def _whole_loss(data: ReportData, model: str, split: Split) -> Loss | None:
    losses = data.evaluation.losses if data.evaluation is not None else {}
    found = losses.get(model, {}).get(split)
    return found.whole if found is not None else None


def _slices(data: ReportData) -> list[dict[str, object]]:
    if data.evaluation is None:
        return []
    f1 = BY_KEY["token_f1"]
    return [
        {
            "field": part.field,
            "name": part.name,
            "n": part.second.n,
            "base": part.first.value,
            "tuned": part.second.value,
            "difference": wording.difference(part.difference, f1),
            "interval": wording.difference_interval(part.difference, f1),
            "reading": READINGS[read(f1, part.difference)],
        }
        for part in data.evaluation.comparisons[0].slices
    ]


def _shown(data: ReportData) -> list[AnswerRecord]:
    """The samples chosen before answering; the first ten records where the summary names none."""
    by_id: Mapping[str, AnswerRecord] = {record.question_id: record for record in data.records}
    chosen = data.evaluation.shown if data.evaluation is not None else ()
    return [by_id[each] for each in chosen if each in by_id] or list(data.records[:10])
