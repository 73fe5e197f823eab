"""The curves of a finished training as a picture: losses, learning rate and gradient norm over its optimizer steps.

Drawn from ``metrics.jsonl`` alone, with nothing of the day in it: the same figures give the same bytes with the same
matplotlib. It is loaded only when something is drawn, and never asks for a screen.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from groundtune.files import atomic_file, read_text
from groundtune.training.live.figures import SMOOTHING
from groundtune.training.records import METRICS_NAME

CURVES_NAME = "curves.png"

# of Okabe and Ito's palette, told apart by every kind of eye and in grey
TRAIN, VALID, RATE, NORM = "#0072B2", "#D55E00", "#009E73", "#5A5A5A"
INK, GRID = "#333333", "#E3E3E3"

DOTS_PER_INCH = 130
LEAST_SMOOTHED = 8
"""Rows: a moving average of fewer says nothing."""

Metrics = Sequence[Mapping[str, Any]]


def draw_curves(
    folder: Path, *, name: str, max_grad_norm: float | None = None, loss_per: str = "supervised token"
) -> Path | None:
    """Draw ``folder/curves.png`` from the folder's ``metrics.jsonl``; None where there are not two steps to draw.

    Args:
        name: of the run, for the title.
        max_grad_norm: where gradients were clipped; without, no line is drawn there.
        loss_per: what the loss is a mean over.
    """
    lines = [json.loads(line) for line in read_text(folder / METRICS_NAME).splitlines() if line]
    steps = [line for line in lines if line["kind"] == "step"]
    if len(steps) < 2:
        return None
    measured = [line for line in lines if line["kind"] != "step" and line["valid_loss"] is not None]
    path = folder / CURVES_NAME
    with atomic_file(path) as temporary:
        temporary.write_bytes(_picture(steps, measured, name, max_grad_norm, loss_per))
    return path


def _picture(steps: Metrics, measured: Metrics, name: str, max_grad_norm: float | None, loss_per: str) -> bytes:
    # a figure of its own, without pyplot: nothing is registered, and no screen is looked for
    from matplotlib import rc_context, rcdefaults, rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.family": "DejaVu Sans", "font.size": 9, "axes.edgecolor": "#AAAAAA", "axes.labelcolor": INK, "text.color": INK,
        "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
        "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.8, "path.simplify": True, "axes.formatter.use_mathtext": True,
    }  # fmt: skip
    with rc_context():
        # not as this machine's own settings have it
        rcdefaults()
        rcParams.update(style)
        figure = Figure(figsize=(8.5, 8.0), dpi=DOTS_PER_INCH, layout="constrained", facecolor="white")
        FigureCanvasAgg(figure)
        losses, rates, norms = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1.3))
        _draw_losses(losses, steps, measured, loss_per)
        _draw_rates(rates, steps)
        _draw_norms(norms, steps, max_grad_norm)
        norms.set_xlabel("optimizer step")
        norms.set_xlim(0, steps[-1]["step"])
        losses.set_title(_title(steps, measured, name), loc="left", fontsize=11, fontweight="bold", pad=10)
        figure.align_ylabels()
        drawn = BytesIO()
        # Software would name the version of matplotlib
        figure.savefig(drawn, format="png", metadata={"Software": None})
    return drawn.getvalue()


def _draw_losses(axes: Any, steps: Metrics, measured: Metrics, loss_per: str) -> None:
    places, values = _column(steps, "train_loss")
    smooth = smoothed(values)
    shown = len(values) >= LEAST_SMOOTHED
    axes.plot(
        places, values, color=TRAIN, linewidth=0.7 if shown else 1.8, alpha=0.35 if shown else 1.0,
        label="training, as noted" if shown else "training",
    )  # fmt: skip
    if shown:
        axes.plot(places, smooth, color=TRAIN, linewidth=2.0, label="training, smoothed")
    finite = [row for row in measured if math.isfinite(row["valid_loss"])]
    if finite:
        at, losses = _column(finite, "valid_loss")
        axes.plot(at, losses, color=VALID, linewidth=1.6, marker="o", markersize=4.5, label="validation", clip_on=False)
        best = min(finite, key=lambda row: (row["valid_loss"], row["step"]))
        axes.plot(
            [best["step"]], [best["valid_loss"]], color=VALID, marker="*", markersize=15, markeredgecolor="white",
            linestyle="none", label=f"best validation: {best['valid_loss']:.3f} at step {best['step']:,}", clip_on=False, zorder=5,
        )  # fmt: skip
    axes.set_ylabel(f"loss\n(nats per {loss_per})")
    _set_limits(axes, values, [row["valid_loss"] for row in finite])
    axes.legend(frameon=False, loc="upper right")


def _set_limits(axes: Any, train: Sequence[float], valid: Sequence[float]) -> None:
    """Room for everything but single losses far above the rest: the highest hundredth of the rows may stand out at the top."""
    finite = sorted(value for value in train if math.isfinite(value))
    if not finite:
        return
    usual = finite[min(math.ceil(len(finite) * 0.99), len(finite)) - 1]
    # the first losses of a training are high and belong to it
    high = max([usual, *train[: max(len(train) // 50, 1)], *valid])
    low = min([finite[0], *valid])
    room = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    axes.set_ylim(low - room, high + room)


def _draw_rates(axes: Any, steps: Metrics) -> None:
    places, values = _column(steps, "learning_rate")
    axes.plot(places, values, color=RATE, linewidth=1.8)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.set_ylim(bottom=0)
    axes.set_ylabel("learning rate")


def _draw_norms(axes: Any, steps: Metrics, max_grad_norm: float | None) -> None:
    places, values = _column(steps, "grad_norm")
    axes.plot(places, values, color=NORM, linewidth=0.8)
    positive = [value for value in values if math.isfinite(value) and value > 0]
    if positive and max(positive) > 50 * min(positive):
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    if max_grad_norm is not None:
        axes.axhline(max_grad_norm, color=VALID, linewidth=1.2, linestyle="--", label=f"clipped to {max_grad_norm:g}")
        axes.legend(frameon=False, loc="upper right")
    axes.set_ylabel("gradient norm\n(before clipping)")


def _title(steps: Metrics, measured: Metrics, name: str) -> str:
    last = steps[-1]
    losses = [row["valid_loss"] for row in measured if math.isfinite(row["valid_loss"])]
    told = f"best validation loss {min(losses):.3f}" if losses else f"last training loss {last['train_loss']:.3f}"
    return f"{name}: {last['step']:,} steps, {last['epoch']:.3g} epochs, {told}"


def _column(rows: Metrics, name: str) -> tuple[list[int], list[float]]:
    return [row["step"] for row in rows], [row[name] for row in rows]


def smoothed(values: Sequence[float]) -> list[float]:
    """The moving average that the terminal shows while training, of each row and those before it.

    >>> [round(value, 2) for value in smoothed([4.0, 2.0, 2.0])]
    [4.0, 2.95, 2.6]
    """
    total = weight = 0.0
    means = []
    for value in values:
        total = SMOOTHING * total + (1 - SMOOTHING) * value
        weight = SMOOTHING * weight + (1 - SMOOTHING)
        means.append(total / weight)
    return means
