"""Fills the page: the template, its styles and its script, with everything escaped.

What this module does not do: decide what the figures mean (:mod:`groundtune.evaluation.verdict.verdict`).
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import FEW
from groundtune.evaluation.report import answers, tables
from groundtune.evaluation.report.charts import training_charts
from groundtune.evaluation.report.plots import change_plot, gains_plot, recall_chart, trade_off
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.costs import costs
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.labels import KINDS, has_passages
from groundtune.evaluation.verdict.measuring import how_measured
from groundtune.evaluation.verdict.verdict import give_verdict

SHOWN_FAILURES = 3
"""Of each kind, with the way back to their sources; all of them are in ``errors.json``."""


def render_report(data: ReportData) -> str:
    """The whole page as text, ready to be written as UTF-8; the same for the same `data`."""
    script = _part("report.js")
    page = _environment().get_template("report.html.jinja")
    return page.render(
        data=data,
        summary=data.evaluation,
        verdict=give_verdict(data),
        costs=costs(data),
        flow=_flow(data),
        phases=[(phase, training_charts(phase, f"chart-{index}")) for index, phase in enumerate(data.training)],
        skips=[(stage.name, reason, count) for stage in data.stages for reason, count in stage.skips.items() if count],
        config=yaml.safe_dump(data.config, allow_unicode=True, sort_keys=False, width=100) if data.config else "",
        labels=LABELS,
        kinds=KINDS,
        few=FEW,
        examples=SHOWN_FAILURES,
        **_of_figures(data.evaluation),
        **_of_answers(data),
        styles=Markup(_part("report.css")),  # ours, from the package
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _of_figures(summary: EvaluationSummary | None) -> dict[str, Any]:
    """Tables and drawings of the evaluation; empty ones where there was none."""
    asked = summary if summary is not None and summary.questions.asked else None
    of_key = {
        key: {name: figures.get(key, tables.NOTHING) for name, figures in asked.figures.items()} if asked else {}
        for key in ("false_answer_rate", "over_refusal_rate")
    }
    return {
        "groups": tables.measure_groups(asked),
        "unmeasured": tables.unmeasured(asked),
        "key_rows": tables.key_rows(asked),
        "slices": tables.slice_rows(asked),
        "losses": tables.loss_rows(summary),
        "loss_slices": tables.loss_slices(summary),
        "systems": list(summary.figures) if summary else [],
        "grounded": has_passages(summary) if summary else False,
        "told": how_measured(asked) if asked else [],
        "trade_off": trade_off(of_key["false_answer_rate"], of_key["over_refusal_rate"], "trade-off"),
        "recall": recall_chart(asked.retrieval, "recall") if asked else None,
    }


def _of_answers(data: ReportData) -> dict[str, Any]:
    summary = data.evaluation
    compared = summary.comparisons[0] if summary is not None and summary.comparisons else None
    gains = [record.gain(compared.first, compared.second) for record in data.records] if compared else []
    return {
        "compared": compared,
        "shown": answers.chosen(data),
        "changed": answers.pick(data, compared.most_changed) if compared else [],
        "gains": gains_plot(gains, "gains"),
        "explorer": answers.explorer_data(data),
        "passages_of": lambda record, system: answers.passages_of(data, record, system),
        "evidence_missing": lambda record, system: answers.evidence_missing(data, record, system),
        "first_rank": answers.first_rank,
        "error_kinds": [kind.kind for kind in data.errors.kinds] if data.errors else [],
    }


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
        size=wording.size,
        span=wording.span,
        share_span=wording.share_span,
        signed_decimal=wording.signed_decimal,
        signed_span=wording.signed_span,
        signed_percent=wording.signed_percent,
        percent_span=wording.percent_span,
        signed_points=wording.signed_points,
        points_span=wording.points_span,
        short_seconds=wording.short_seconds,
        marked=answers.marked,
        coded=wording.coded,
    )
    environment.globals.update(change_plot=change_plot, mark_change=tables.mark_change, loss_change=tables.loss_change)
    return environment


def _part(name: str) -> str:
    return resources.files("groundtune.evaluation.report").joinpath("page", name).read_text(encoding="utf-8")


@dataclass(frozen=True, slots=True)
class FlowStep:
    """One station on the way from documents to answers."""

    count: str
    label: str
    note: str


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
        "questions": wording.plural(len(data.evaluation.figures), "system") if data.evaluation else "",
    }
    labels = {"parameters": "model parameters", "questions": "questions answered"}
    steps = []
    for name, note in notes.items():
        count = getattr(flow, name)
        if count is not None:
            text = wording.compact(count) if name == "parameters" else wording.number(count)
            steps.append(FlowStep(text, labels.get(name, name), note))
    return steps
