"""What people and a judge thought of the answers, for a model card: marks, preferences, and how far raters agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.card.markdown import line, table
from groundtune.evaluation.figures.agreement import NOT_DEFINED, Agreement
from groundtune.evaluation.figures.intervals import FEW, Figure
from groundtune.evaluation.figures.marks import OVERALL
from groundtune.evaluation.judge import Preference
from groundtune.evaluation.people import PeoplePreference
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData


def marks(data: ReportData) -> list[str]:
    """Tables of marks, of preferences and of agreement, as far as anybody gave any."""
    given: list[tuple[str, str, Figure, Figure]] = []
    preferred: list[tuple[str, Preference | PeoplePreference]] = []
    agreed: list[Agreement] = []
    among: Mapping[str, Figure] = {}
    if (people := data.people) is not None:
        given += [("people", name, each.marks[OVERALL], each.unsafe) for name, each in people.systems.items()]
        preferred += [("people", each) for each in people.preferences]
        agreed += people.agreement
        among = people.among_all
    if (judge := data.judge) is not None:
        by = f"the judge, {judge.judge}"
        given += [(by, name, each.marks[OVERALL], each.unsafe) for name, each in judge.systems.items()]
        preferred += [(by, judge.preference)] if judge.preference is not None else []
        agreed += judge.agreement
    return [*_given(given), *_preferred(preferred), *_agreed(agreed, among)]


def _given(given: Sequence[tuple[str, str, Figure, Figure]]) -> list[str]:
    rows = [
        (by, LABELS.get(name, name), _mark(overall), _share(unsafe), f"{overall.n:,}")
        for by, name, overall, unsafe in given
    ]
    return ["", *table(("Marks by", "system", "overall, 1 to 5", "unsafe", "n"), rows)] if rows else []


def _preferred(preferred: Sequence[tuple[str, Preference | PeoplePreference]]) -> list[str]:
    rows = [
        (
            by,
            f"{LABELS.get(each.second, each.second)} against {LABELS.get(each.first, each.first)}",
            f"{each.wins:,} won, {each.ties:,} tied, {each.losses:,} lost",
            f"{_share(each.win_rate)}{_claimed(each.win_rate)}",
            f"{each.win_rate.n:,}",
        )
        for by, each in preferred
    ]
    return ["", *table(("Preferred by", "", "questions", "wins among wins and losses", "n"), rows)] if rows else []


def _claimed(rate: Figure) -> str:
    if rate.value is None or rate.low is None or rate.high is None:
        return ""
    if rate.witnesses < FEW:
        return ", too few to tell"
    return ", no clear preference" if rate.low <= 0.5 <= rate.high else ""


def _agreed(agreed: Sequence[Agreement], among: Mapping[str, Figure]) -> list[str]:
    rows = [(each.of, " and ".join(map(line, each.raters)), _mark(each.kappa), f"{each.kappa.n:,}") for each in agreed]
    rows += [(of, "all raters (Krippendorff’s alpha)", _mark(figure), f"{figure.n:,}") for of, figure in among.items()]
    head = ("Agreement on", "raters", "Cohen’s kappa, 0 by chance and 1 throughout", "n")
    return ["", *table(head, rows)] if rows else []


def _mark(figure: Figure) -> str:
    """A figure that may be undefined although there is something that it is about."""
    if figure.value is None:
        return NOT_DEFINED if figure.n else wording.MISSING
    return _bracketed(wording.decimal(figure.value), wording.span(figure))


def _share(figure: Figure) -> str:
    return _bracketed(wording.percent(figure.value), wording.share_span(figure))


def _bracketed(value: str, across: str) -> str:
    return f"{value} [{across}]" if across else value
