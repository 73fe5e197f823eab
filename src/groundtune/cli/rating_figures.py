"""How marks, preferences and agreement, by people or by a judge, stand in tables.

What this module does not do: decide what a difference means (the report's verdict does, and the same words are said here).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text

from groundtune.cli.display import Sheet
from groundtune.cli.evaluation_tables import reading_of
from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.verdict import read_difference

if TYPE_CHECKING:
    from groundtune.evaluation.figures.agreement import Agreement

NOTE = "in brackets intervals of 95%; better and worse only where they leave out zero, or of preferences one half, over 10 independent ones or more"
KAPPA_NOTE = "kappa: Cohen's, of marks with quadratic weights; 0 by chance, 1 throughout"


def label(system: str) -> str:
    return LABELS.get(system, system)


def mark(figure: Figure) -> str:
    """A mean mark or a kappa, or why there is none."""
    if figure.value is None:
        return figure.caution or "–"
    return wording.told(wording.decimal(figure.value), wording.span(figure))


def share(figure: Figure) -> str:
    return wording.told(wording.percent(figure.value), wording.share_span(figure)) if figure.value is not None else "–"


def change(figure: Figure) -> tuple[str, str, Text]:
    """Of marks: n, the difference, and what it allows to be said."""
    if figure.value is None:
        return "–", "–", Text()
    told = wording.told(wording.signed_decimal(figure.value), wording.signed_span(figure))
    return wording.number(figure.n), told, reading_of(read_difference(figure, higher_is_better=True))


def leaning(figure: Figure) -> Text:
    """What a share of wins, 0.5 without a preference, allows to be said."""
    if figure.value is None or figure.low is None or figure.high is None:
        return Text()
    from_half = replace(figure, value=figure.value - 0.5, low=figure.low - 0.5, high=figure.high - 0.5)
    return reading_of(read_difference(from_half, higher_is_better=True))


def agreement_sheet(title: str, agreement: Iterable[Agreement]) -> Sheet:
    """A row for each two raters and what they rated."""
    sheet = Sheet(title, "", "on", "n", "kappa", "equal", left=(1,))
    before = ""
    for each in agreement:
        raters = " and ".join(each.raters)
        sheet.row(
            "" if raters == before else raters,
            each.of,
            wording.number(each.kappa.n),
            mark(each.kappa),
            share(each.same),
        )
        before = raters
    return sheet
