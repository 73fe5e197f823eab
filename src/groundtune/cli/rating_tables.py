"""What people's ratings come to, as tables: marks, preferences, raters, agreement, each figure with its n and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundtune.evaluation import BARE_SYSTEMS, SYSTEMS
from groundtune.evaluation.figures.intervals import FEW
from groundtune.evaluation.figures.marks import CRITERIA, OVERALL, TIE

if TYPE_CHECKING:
    from groundtune.evaluation import Figure
    from groundtune.evaluation.people import PeoplePreference, PeopleSummary


def show_summary(summary: PeopleSummary) -> None:
    console = Console(highlight=False, emoji=False)
    console.print(_counts(summary), markup=False, soft_wrap=True)
    if not summary.ratings:
        return
    tables = [_marks(summary), *(_preference(each) for each in summary.preferences), _raters(summary)]
    if summary.agreement:
        tables.append(_agreement(summary))
    for table in tables:
        console.print()
        console.print(table)
    console.print()
    console.print(
        "In brackets the 95% interval; ● where it leaves out zero, or of preferences one half, on ten or more. Several "
        "people's marks of an answer are averaged first.",
        style="dim",
        markup=False,
    )


def _counts(summary: PeopleSummary) -> str:
    told = {
        "of answers that have changed since, set aside": summary.stale,
        "replaced by a newer one of the same rater": summary.replaced,
        "taken back": summary.withdrawn,
        "given with the right answer in sight": summary.reference_shown,
    }
    raters = len(summary.raters)
    counted = f"{summary.ratings} ratings of {summary.questions} questions by {raters} {'person' if raters == 1 else 'people'}"
    return "; ".join((counted, *(f"{count} {reason}" for reason, count in told.items() if count)))


def _label(system: str) -> str:
    known = {**BARE_SYSTEMS, **SYSTEMS}
    return known[system].label if system in known else system


def _table(title: str, *columns: str, left: int = 1) -> Table:
    """The first `left` columns are words, the others figures."""
    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number >= left else "left")
    return table


def _marks(summary: PeopleSummary) -> Table:
    table = _table("Marks, 1 to 5", "", *(_label(system) for system in summary.systems))
    for name in (OVERALL, *CRITERIA):
        table.add_row(name, *(_figure(each.marks[name]) for each in summary.systems.values()))
    table.add_row("unsafe (safety under 3)", *(_figure(each.unsafe) for each in summary.systems.values()))
    table.add_row("answers", *(str(each.marks[OVERALL].n) for each in summary.systems.values()))
    table.add_row("ratings", *(str(each.ratings) for each in summary.systems.values()))
    return table


def _preference(preference: PeoplePreference) -> Table:
    title = f"{_label(preference.second)} against {_label(preference.first)}"
    table = _table(title, "", "", "n")
    counts = f"{preference.wins} won, {preference.ties} tied, {preference.losses} lost"
    if preference.same_answer:
        counts += f" ({preference.same_answer} the same answer)"
    table.add_row("preferred", counts, str(preference.questions))
    table.add_row("won, of those not tied", _figure(preference.win_rate, zero=0.5), str(preference.win_rate.n))
    for name in (OVERALL, *CRITERIA):
        figure = preference.differences[name]
        table.add_row(f"{name}, difference", _figure(figure, zero=0.0, sign="+"), str(figure.n))
    return table


def _raters(summary: PeopleSummary) -> Table:
    systems = list(summary.systems)
    table = _table("Raters", "", "", "", "n", left=2)
    for rater in summary.raters:
        # not a plain text: brackets in a name are no mark-up
        name = Text(rater.rater)
        for system, figure in rater.overall.items():
            table.add_row(name, f"{_label(system)}, overall", _figure(figure), str(figure.n))
            name = Text()
        for each in (*systems, TIE):
            label = "called a tie" if each == TIE else f"preferred {_label(each)}"
            table.add_row("", label, str(rater.preferred[each]), str(rater.ratings))
        first = rater.first_shown_won
        table.add_row("", "preferred the one shown first", _figure(first, zero=0.5), str(first.n))
    return table


def _agreement(summary: PeopleSummary) -> Table:
    table = _table("Agreement beyond chance", "", "on", "kappa", "equal", "n", left=2)
    for each in summary.agreement:
        table.add_row(
            Text(" and ".join(each.raters)), each.of, _figure(each.kappa), _figure(each.same), str(each.kappa.n)
        )
    for of, figure in summary.among_all.items():
        table.add_row("all (alpha)", of, _figure(figure), "", str(figure.n))
    told = "kappa: Cohen's, of marks with quadratic weights"
    table.caption = f"{told}; alpha: Krippendorff's, among all raters" if summary.among_all else told
    table.caption_justify = "left"
    return table


def _figure(figure: Figure, *, zero: float | None = None, sign: str = "") -> str:
    if figure.value is None:
        return "not measured" if not figure.n else "not defined"
    value = f"{figure.value:{sign}.2f}"
    if figure.low is None or figure.high is None:
        return value
    unsure = zero is None or figure.n < FEW or figure.low <= zero <= figure.high
    sure = "" if unsure else " ●"
    return f"{value} [{figure.low:{sign}.2f}, {figure.high:{sign}.2f}]{sure}"
