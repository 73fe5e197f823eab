"""The panel: nine lines or so, each cut to the width of the terminal by leaving out what matters least."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from groundtune.progress import format_seconds
from groundtune.training.live.figures import RunFigures
from groundtune.training.live.sparkline import sparkline

WIDEST = 100
"""Columns: a wider one is harder to read, not easier."""

FRAME = 4
"""Columns of border and padding."""

LABEL = 10
LEAST_SPARKLINE, MOST_SPARKLINE = 8, 40
FINDING_LINES = 2


def render_panel(figures: RunFigures, width: int, *, ascii_only: bool = False) -> RenderableType:
    """A panel at most `width` columns wide."""
    width = min(width, WIDEST)
    inner = max(width - FRAME, 10)
    rows: list[RenderableType] = [_progress(figures, inner, ascii_only), *_figures(figures, inner, ascii_only)]
    rows += _finding(figures, inner)
    title = Text(figures.label, style="bold")
    if figures.epoch_text:
        title.append(f" · {figures.epoch_text}" if not ascii_only else f", {figures.epoch_text}", style="not bold")
    title.truncate(max(inner - 2, 1), overflow="ellipsis")
    return Panel(
        Group(*rows),
        title=title,
        title_align="left",
        box=box.ASCII if ascii_only else box.ROUNDED,
        border_style="cyan",
        width=width,
        padding=(0, 1),
    )


def _progress(figures: RunFigures, inner: int, ascii_only: bool) -> RenderableType:
    """The bar with what is done, how long it took and how long it will."""
    done = f"{figures.step:,}/{figures.total_steps:,} steps"
    elapsed = format_seconds(figures.elapsed_seconds)
    left = f"{format_seconds(figures.left_seconds)} left" if figures.left_seconds is not None else ""
    told = _fitted([done, left, elapsed], max(inner - 9, 1), between=2)
    if inner - told.cell_len < 10:
        return told
    grid = Table.grid(padding=(0, 2), expand=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    room = inner - told.cell_len - 2
    drawn: RenderableType = ProgressBar(total=figures.total_steps or 1, completed=figures.step, width=room)
    if ascii_only:
        full = room * figures.step // max(figures.total_steps, 1)
        drawn = Text("#" * full + "-" * (room - full))
    grid.add_row(drawn, told)
    return grid


def _figures(figures: RunFigures, inner: int, ascii_only: bool) -> Iterable[Text]:
    room = inner - LABEL - 1
    if figures.train_loss is not None and figures.smoothed_loss is not None:
        told = _fitted([f"{figures.smoothed_loss:.3f}", f"last {figures.train_loss:.3f}"], room)
        left = room - told.cell_len - 3
        if left >= LEAST_SPARKLINE:
            curve = sparkline(figures.losses, min(left, MOST_SPARKLINE), ascii_only=ascii_only)
            told = Text.assemble(told, "   ", (curve, "cyan"))
        yield _row("train loss", told)
    if figures.valid_loss is not None:
        best = f"best {figures.best_loss:.3f} {figures.best_place}" if figures.best_loss is not None else ""
        yield _row("valid loss", _fitted([f"{figures.valid_loss:.3f}", best.strip()], room))
    if figures.learning_rate is not None and figures.grad_norm is not None:
        clipped = figures.max_grad_norm and figures.grad_norm > figures.max_grad_norm
        norm = f"gradient norm {figures.grad_norm:.3g}" + (f", clipped to {figures.max_grad_norm:g}" if clipped else "")
        yield _row("rate", _fitted([f"{figures.learning_rate:.2e}", norm], room))
    yield from _speed(figures, room)
    if figures.memory_bytes:
        parts = [f"{_gib(figures.memory_bytes)} GiB", f"peak {_gib(figures.peak_memory_bytes)}"]
        if figures.peak_gpu_bytes:
            parts.append(f"GPU {_gib(figures.gpu_bytes)} GiB, peak {_gib(figures.peak_gpu_bytes)}")
        yield _row("memory", _fitted(parts, room))
    if figures.phase:
        yield _row("phase", _fitted([figures.phase], room))


def _speed(figures: RunFigures, room: int) -> Iterable[Text]:
    if figures.tokens_per_second is None or figures.unique_tokens_per_second is None:
        return
    parts = [f"{figures.tokens_per_second:,.0f} tokens/s", f"{figures.unique_tokens_per_second:,.0f} computed/s"]
    yield _row("speed", _fitted([*parts, f"{_count(figures.supervised_tokens)} supervised so far"], room))


def _finding(figures: RunFigures, inner: int) -> Iterable[Text]:
    """The last one, in two lines at most."""
    if not figures.finding:
        return
    text = Text(f"! {figures.finding}", style=figures.finding_style)
    text.truncate(max(FINDING_LINES * inner - 8, 4), overflow="ellipsis")
    yield text


def _row(label: str, told: Text) -> Text:
    return Text.assemble((f"{label:<{LABEL}} ", "dim"), told, no_wrap=True, overflow="ellipsis")


def _fitted(parts: Sequence[str], room: int, *, between: int = 3) -> Text:
    """As many of `parts` as there is room for, from the first on; the first always."""
    shown = ""
    for part in parts:
        longer = f"{shown}{' ' * between}{part}" if shown and part else shown or part
        if shown and len(longer) > room:
            break
        shown = longer
    return Text(shown, no_wrap=True, overflow="ellipsis")


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"


def _count(number: int) -> str:
    """
    >>> _count(950), _count(12_300), _count(4_560_000), _count(7_100_000_000)
    ('950', '12.3K', '4.56M', '7.1G')
    """
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "K")):
        if number >= size:
            return f"{number / (1000 if letter == 'K' else size):.3g}{letter}"
    return f"{number:,}"
