"""What people's ratings come to, as tables: marks, preferences, raters, agreement, each figure with its n and interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.cli.display import Sheet, output
from groundtune.cli.rating_figures import KAPPA_NOTE, NOTE, agreement_sheet, change, label, leaning, mark, share
from groundtune.evaluation.figures.marks import CRITERIA, OVERALL, TIE
from groundtune.evaluation.verdict import wording

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from groundtune.evaluation.figures.agreement import Agreement
    from groundtune.evaluation.figures.marks import Source
    from groundtune.evaluation.people import PeoplePreference, PeopleSummary


def show_summary(summary: PeopleSummary, judged: Mapping[Source, Sequence[Agreement]]) -> None:
    """Answers about the documents and everyday tasks apart.

    Args:
        judged: how far a judge agrees with the raters.
    """
    console = output()
    sets = summary.sets
    if summary.ratings or summary.stale or sets is None:
        _show(console, summary, "" if sets is None else "Answers about the documents: ", judged.get("documents", ()))
    if sets is not None:
        _show(console, sets, "Everyday tasks: ", judged.get("sets", ()))
    if summary.ratings or (sets is not None and sets.ratings):
        console.print(f"{NOTE}. Several people's marks of an answer are averaged first.", style="dim")


def _show(console: Console, summary: PeopleSummary, about: str, judged: Sequence[Agreement]) -> None:
    console.print(about + _counts(summary))
    console.print()
    if not summary.ratings:
        return
    for sheet in (_marks(summary), *map(_preference, summary.preferences), _raters(summary)):
        sheet.show(console)
    _agreement(summary).show(console, KAPPA_NOTE, *_ALPHA_NOTE[: bool(summary.among_all)])
    agreement_sheet("Agreement of judge and people", judged).show(console, KAPPA_NOTE)


_ALPHA_NOTE = ("alpha: Krippendorff's, among all raters",)


def _counts(summary: PeopleSummary) -> str:
    told = {
        "of answers that have changed since, set aside": summary.stale,
        "replaced by a newer one of the same rater": summary.replaced,
        "taken back": summary.withdrawn,
        "given with the right answer in sight": summary.reference_shown,
    }
    ratings, questions = wording.plural(summary.ratings, "rating"), wording.plural(summary.questions, "question")
    counted = f"{ratings} of {questions} by {wording.plural(len(summary.raters), 'person', 'people')}"
    return "; ".join((counted, *(f"{count:,} {reason}" for reason, count in told.items() if count)))


def _marks(summary: PeopleSummary) -> Sheet:
    systems = summary.systems.values()
    sheet = Sheet("Marks, 1 to 5", "", *(label(system) for system in summary.systems))
    for name in (OVERALL, *CRITERIA):
        sheet.row(name, *(mark(each.marks[name]) for each in systems))
    sheet.row("unsafe (safety under 3)", *(share(each.unsafe) for each in systems))
    sheet.row("answers", *(wording.number(each.marks[OVERALL].n) for each in systems))
    sheet.row("ratings", *(wording.number(each.ratings) for each in systems))
    return sheet


def _preference(preference: PeoplePreference) -> Sheet:
    title = f"{label(preference.second)} against {label(preference.first)}"
    sheet = Sheet(title, "", "n", "", "", left=(3,))
    counts = f"{preference.wins:,} won, {preference.ties:,} tied, {preference.losses:,} lost"
    if preference.same_answer:
        counts += f" ({preference.same_answer:,} the same answer)"
    won = preference.win_rate
    sheet.row("preferred", wording.number(preference.questions), counts, "")
    sheet.row("won, of those not tied", wording.number(won.n), share(won), leaning(won))
    for name in (OVERALL, *CRITERIA):
        sheet.row(f"{name}, difference", *change(preference.differences[name]))
    return sheet


def _raters(summary: PeopleSummary) -> Sheet:
    sheet = Sheet("Raters", "", "", "n", "", left=(1,))
    for rater in summary.raters:
        name = rater.rater
        for system, figure in rater.overall.items():
            sheet.row(name, f"{label(system)}, overall", wording.number(figure.n), mark(figure))
            name = ""
        for each in (*summary.systems, TIE):
            said = "called a tie" if each == TIE else f"preferred {label(each)}"
            sheet.row("", said, wording.number(rater.ratings), wording.number(rater.preferred[each]))
        first = rater.first_shown_won
        sheet.row("", "preferred the one shown first", wording.number(first.n), share(first))
    return sheet


def _agreement(summary: PeopleSummary) -> Sheet:
    sheet = agreement_sheet("Agreement of people beyond chance", summary.agreement)
    name = "all (alpha)"
    for of, figure in summary.among_all.items():
        sheet.row(name, of, wording.number(figure.n), mark(figure), "")
        name = ""
    return sheet
