"""Sections of a model card on where the model is from: training data, licences, training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from groundtune.evaluation.card.facts import NOT_STATED, CardFacts
from groundtune.evaluation.card.markdown import line, table
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData

TRAIN_SETTINGS = (
    "epochs",
    "max_steps",
    "learning_rate",
    "schedule",
    "examples_per_step",
    "max_pack_tokens",
    "sharing",
    "precision",
    "keep",
    "drills",
)
"""Shown of ``train``; the whole configuration is in report.json."""


def training_data(data: ReportData, facts: CardFacts) -> list[str]:
    """How many of each thing there are from documents to examples, who wrote the pairs, what was left out; and instruction data."""
    lines: list[str] = []
    flow, pairs = data.flow, data.pairs
    if facts.documents:
        steps = (
            (f"files read from `{line(facts.documents)}`", flow.documents),
            ("chunks", flow.chunks),
            ("groups of chunks", flow.groups),
            ("question-answer pairs accepted", flow.pairs),
            ("of these unanswerable from their passages", pairs.unanswerable),
        )
        lines += table(("From the documents", "number"), [(name, wording.number(value)) for name, value in steps])
        lines += ["", *table(("Pairs written by", "pairs"), _counts(pairs.by_writer))]
        if pairs.rejected:
            lines += ["", *table(("Left out on the way, by reason", "number"), _counts(pairs.rejected))]
    if data.splits:
        rows = [(row.split, f"{row.examples:,}", f"{row.unanswerable:,}") for row in data.splits]
        lines += ["", *table(("Split", "examples", "unanswerable"), rows)]
        lines += ["", "No passage that answers a question of one split answers a question of another."]
    if facts.sources:
        rows = [
            (each.hub_id or each.name, wording.number(each.rows), each.licence or NOT_STATED) for each in facts.sources
        ]
        lines += ["", *table(("Instruction data", "rows read", "licence"), rows)]
    return lines[1:] if lines and not lines[0] else lines


def _counts(counted: Mapping[str, int]) -> list[tuple[str, str]]:
    return [(name, f"{count:,}") for name, count in sorted(counted.items(), key=lambda each: (-each[1], each[0]))]


def licences(facts: CardFacts) -> list[str]:
    """Of the model, its base and its data, as far as a file or the configuration states them."""
    base = facts.base_licence or NOT_STATED
    rows = [("This model", NOT_STATED)]
    rows.append((f"Base: {facts.base}", base) if facts.base else ("Base", "none: the weights were made from scratch"))
    if facts.documents:
        rows.append((f"Documents: {facts.documents}", facts.documents_licence or NOT_STATED))
    rows += [(f"Instruction data: {each.hub_id or each.name}", each.licence or NOT_STATED) for each in facts.sources]
    return [
        *table(("What", "licence"), rows),
        "",
        "A licence is told only where a file or the configuration states it. Whether this model may be passed on follows from all of them.",
    ]


def procedure(data: ReportData, facts: CardFacts) -> list[str]:
    """Settings, and the losses of each training; no seconds, which differ on every run."""
    train: Mapping[str, Any] = data.config.get("train", {})
    shown = [(f"`train.{name}`", str(train[name])) for name in TRAIN_SETTINGS if name in train]
    if facts.is_adapter and isinstance(train.get("adapter"), dict):
        shown += [(f"`train.adapter.{name}`", str(value)) for name, value in train["adapter"].items()]
    lines = table(("Setting", "value"), [*shown, ("`seed`", str(data.seed))]) if shown else []
    for phase in data.training:
        rows = [
            (
                f"{row.epoch:g}" + (" (kept)" if row.best else ""),
                wording.decimal(row.train_loss, 3),
                wording.decimal(row.valid_loss, 3),
            )
            for row in phase.epochs
        ]
        steps = max((point.step for point in phase.steps), default=0)
        lines += ["", f"{line(phase.name)}" + (f", {steps:,} steps" if steps else "") + ":", ""]
        lines += table(("Epoch", "training loss", "validation loss"), rows)
    unit = "" if facts.method == "preference" else "Losses are means over the assistant's tokens, in nats. "
    lines += ["", f"{unit}The whole configuration is in `report.json`."]
    return lines
