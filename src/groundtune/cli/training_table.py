"""The table of a finished training: before it, each epoch, and each validation inside one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from groundtune.cli.display import Sheet
from groundtune.evaluation.verdict.wording import seconds
from groundtune.files import read_json

COLUMNS = ("epoch", "step", "train loss", "valid loss", "perplexity", "best", "time")


def training_table(folder: Path, title: str, details: Mapping[str, Any]) -> Sheet:
    """`details` are those of the stage's manifest; the clock is read from the timings in the run's `folder`.

    A validation inside an epoch is a row too. Perplexity is that of the validation loss, or of the training loss where
    nothing was held out; the loss of preference pairs has none.
    """
    clock = {row["epoch"]: row["seconds"] for row in read_json(folder / "timings.json")["epochs"]}
    rows = _rows(details)
    left_out = {"perplexity"} if details.get("loss_per") == "pair" else set()
    if not any(row.get("step") is not None for row in rows):
        left_out.add("step")
    shown = [name for name in COLUMNS if name not in left_out]
    sheet = Sheet(title, *shown, figures=True)
    for row in rows:
        cells = _cells(row, clock)
        sheet.row(*(cells[name] for name in shown), style="" if row["whole"] else "dim")
    return sheet


def _rows(details: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Epochs and what was measured inside them, in the order of their steps."""
    inside = [{**row, "train_loss": None, "whole": False} for row in details.get("evaluations", ())]
    whole = [{**row, "whole": True} for row in details["epochs"]]
    # a validation inside an epoch belongs before the row of that epoch
    return sorted([*inside, *whole], key=lambda row: (row["epoch"], row["whole"]))


def _cells(row: Mapping[str, Any], clock: Mapping[int, float]) -> dict[str, str]:
    loss = row["valid_loss"] if row["valid_loss"] is not None else row["train_loss"]
    took = clock.get(row["epoch"]) if row["whole"] else None
    return {
        "epoch": "before" if not row["epoch"] else f"{row['epoch']:.4g}",
        "step": f"{row['step']:,}" if row.get("step") is not None else "–",
        "train loss": _loss(row["train_loss"]),
        "valid loss": _loss(row["valid_loss"]),
        "perplexity": perplexity(loss),
        "best": "★" if row["best"] else "",
        "time": "" if took is None else seconds(took),
    }


def _loss(value: float | None) -> str:
    return "–" if value is None else f"{value:,.3f}"


def perplexity(loss: float | None) -> str:
    """Of a mean loss in nats.

    >>> perplexity(3.1), perplexity(0.05), perplexity(11.0), perplexity(None)
    ('22.2', '1.05', '59,874', '–')
    """
    if loss is None or not math.isfinite(loss):
        return "–"
    value = math.exp(min(loss, 700.0))
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
