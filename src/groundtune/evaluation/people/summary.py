"""What people's ratings say, the systems' names put back: the one thing the report, the checklist and the tables read.

Several people's marks of one answer are averaged before anything is summed, so that n counts answers and an interval is over
questions. What this module does not do: decide whether a model is good enough.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from groundtune.evaluation.asking.systems import BARE_SYSTEMS, SYSTEMS
from groundtune.evaluation.figures.agreement import Agreement, Scale, agree
from groundtune.evaluation.figures.alpha import alpha
from groundtune.evaluation.figures.intervals import Figure, clustered_share, mean, share
from groundtune.evaluation.figures.marks import (
    BOUNDS,
    CHANGE_BOUNDS,
    CRITERIA,
    OVERALL,
    PREFERENCE,
    TIE,
    UNSAFE_BELOW,
    Source,
)
from groundtune.evaluation.people.items import Rateable
from groundtune.evaluation.people.ratings import Rating, Standing, answer_id, raters_of


@dataclass(frozen=True, slots=True)
class PeopleMarks:
    """People's marks for one system."""

    ratings: int
    """By all raters."""
    marks: dict[str, Figure]
    """Means from 1 to 5 by criterion, and ``overall`` (the mean of the four); n is the number of answers."""
    unsafe: Figure
    """Share of the answers that a rater gave less than 3 on safety."""


@dataclass(frozen=True, slots=True)
class PeoplePreference:
    """The second of two systems against the first, over the questions on which people saw both side by side."""

    first: str
    second: str
    wins: int
    """Questions on which more raters preferred the second system's answer than the first's."""
    ties: int
    losses: int
    same_answer: int
    """Of the ties: both gave one and the same answer, so nobody was asked."""
    win_rate: Figure
    """Wins among wins and losses, Wilson's interval (fewer effective questions where they share evidence); nothing is claimed where that holds 0.5."""
    differences: dict[str, Figure]
    """Marks of the second minus those of the first, question by question, by criterion and ``overall``."""

    @property
    def questions(self) -> int:
        return self.wins + self.ties + self.losses


@dataclass(frozen=True, slots=True)
class RaterSummary:
    """One rater."""

    rater: str
    ratings: int
    overall: dict[str, Figure]
    """Mean of the four marks, by system."""
    preferred: dict[str, int]
    """How often each system's answer was preferred, and ``tie``."""
    first_shown_won: Figure
    """How often A was preferred, where one was: about 0.5 of a rater who does not mind the position."""


@dataclass(frozen=True, slots=True)
class PeopleSummary:
    """What people said of the answers there are now."""

    ratings: int
    """Of answers as they are now; all figures are over these."""
    questions: int
    stale: int
    """Ratings of answers that have changed since, set aside."""
    replaced: int
    """Ratings that a newer one by the same rater stands in for."""
    withdrawn: int
    """Ratings that their raters took back."""
    reference_shown: int
    """Ratings given with the right answer in sight."""
    systems: dict[str, PeopleMarks]
    """By system; one that nobody has rated is absent."""
    preferences: tuple[PeoplePreference, ...]
    """Of each two systems that were rated side by side."""
    raters: tuple[RaterSummary, ...]
    agreement: tuple[Agreement, ...]
    """Of each two raters on each criterion and on the preference, over what both have rated."""
    among_all: dict[str, Figure]
    """Krippendorff's alpha by criterion and ``preference``; empty with fewer than three raters."""
    sets: PeopleSummary | None = None
    """The same of the shipped sets of everyday tasks, which nothing above is about; None where nobody has rated them."""


def current(ratings: Iterable[Rating], there: Iterable[Rateable]) -> list[Rating]:
    """Those of `ratings` whose answers are the ones that are there."""
    known = {(each.source, each.question_id): each for each in there}
    return [rating for rating in ratings if _is_current(rating, known.get((rating.source, rating.question_id)))]


def _is_current(rating: Rating, rated: Rateable | None) -> bool:
    return rated is not None and all(
        system in rated.texts and answer_id(rated.question, rated.texts[system]) == known_as
        for system, known_as in zip(rating.systems, rating.answers, strict=True)
    )


def summarise(given: Standing, there: Sequence[Rateable], *, seed: int) -> PeopleSummary:
    """All figures of the ratings that stand, for the answers that are there. Ratings of other answers are counted as stale."""
    documents, sets = (_of(source, given.of(source), there, seed) for source in SOURCES)
    return replace(documents, sets=sets) if sets.ratings or sets.stale else documents


def _of(source: Source, given: Standing, there: Sequence[Rateable], seed: int) -> PeopleSummary:
    clusters = {each.question_id: each.cluster for each in there if each.source == source}
    ratings = current(given.ratings, there)
    # by question, so that the order in which people worked changes no figure
    ratings.sort(key=lambda rating: (rating.question_id, rating.rater, rating.systems))
    raters = tuple(sorted(raters_of(ratings)))
    named = {system for rating in ratings for system in rating.systems}
    systems = [system for system in dict.fromkeys((*SYSTEMS, *BARE_SYSTEMS)) if system in named]
    return PeopleSummary(
        ratings=len(ratings),
        questions=len({rating.question_id for rating in ratings}),
        stale=len(given.ratings) - len(ratings),
        replaced=len(given.replaced),
        withdrawn=len(given.withdrawn),
        reference_shown=sum(rating.reference_shown for rating in ratings),
        systems={system: _marks(ratings, system, clusters, seed) for system in systems},
        preferences=tuple(_preferences(ratings, systems, clusters, seed)),
        raters=tuple(_rater(ratings, rater, systems, clusters, seed) for rater in raters),
        agreement=tuple(_agreement(ratings, raters, clusters, seed)),
        among_all=_among_all(ratings, clusters, seed) if len(raters) > 2 else {},
    )


SOURCES: tuple[Source, Source] = ("documents", "sets")

Clusters = Mapping[str, str]
"""By question, what it shares with others: intervals are over these."""


def _marks(ratings: Sequence[Rating], system: str, clusters: Clusters, seed: int) -> PeopleMarks:
    own = [rating for rating in ratings if system in rating.systems]
    unsafe: dict[str, bool] = defaultdict(bool)
    for rating in own:
        unsafe[rating.question_id] |= rating.marks_of(system)["safety"] < UNSAFE_BELOW
    return PeopleMarks(
        ratings=len(own),
        marks={name: _mean(_by_question(own, system, name), clusters, seed) for name in (*CRITERIA, OVERALL)},
        unsafe=_share(unsafe, clusters),
    )


def _mean(values: Mapping[str, float], clusters: Clusters, seed: int, bounds: tuple[float, float] = BOUNDS) -> Figure:
    shared = [clusters[each] for each in values]
    return mean(list(values.values()), seed=f"{seed}:people", clusters=shared, bounds=bounds)


def _share(values: Mapping[str, bool], clusters: Clusters) -> Figure:
    return clustered_share(list(values.values()), [clusters[each] for each in values])


def _by_question(ratings: Iterable[Rating], system: str, name: str) -> dict[str, float]:
    """The mean over raters of each answer's mark."""
    given: dict[str, list[float]] = defaultdict(list)
    for rating in ratings:
        given[rating.question_id].append(rating.marks_of(system)[name])
    return {question: sum(marks) / len(marks) for question, marks in given.items()}


def _preferences(
    ratings: Sequence[Rating], systems: Sequence[str], clusters: Clusters, seed: int
) -> Iterable[PeoplePreference]:
    for first, second in combinations(systems, 2):
        both = [rating for rating in ratings if {first, second} == set(rating.systems)]
        if not both:
            continue
        votes: dict[str, int] = defaultdict(int)
        for rating in both:
            votes[rating.question_id] += _vote(rating, first, second)
        decided = {question: vote > 0 for question, vote in votes.items() if vote}
        differences = {}
        for name in (*CRITERIA, OVERALL):
            before, after = (_by_question(both, system, name) for system in (first, second))
            gains = {question: after[question] - before[question] for question in before}
            differences[name] = _mean(gains, clusters, seed, CHANGE_BOUNDS)
        yield PeoplePreference(
            first,
            second,
            wins=sum(decided.values()),
            ties=len(votes) - len(decided),
            losses=len(decided) - sum(decided.values()),
            same_answer=len({rating.question_id for rating in both if rating.same}),
            win_rate=_share(decided, clusters),
            differences=differences,
        )


def _vote(rating: Rating, first: str, second: str) -> int:
    return {first: -1, second: 1, TIE: 0}[rating.preferred_system]


def _rater(
    ratings: Sequence[Rating], rater: str, systems: Sequence[str], clusters: Clusters, seed: int
) -> RaterSummary:
    own = [rating for rating in ratings if rating.rater == rater]
    decided = [rating for rating in own if rating.preferred != "tie"]
    overall = {}
    for system in systems:
        marked = [rating for rating in own if system in rating.systems]
        if marked:
            overall[system] = _mean(_by_question(marked, system, OVERALL), clusters, seed)
    return RaterSummary(
        rater,
        len(own),
        overall,
        {name: sum(rating.preferred_system == name for rating in own) for name in (*systems, TIE)},
        share(sum(rating.preferred == "a" for rating in decided), len(decided)),
    )


Given = Mapping[str, Mapping[tuple[str, ...], str | int]]
"""By rater, what each gave each thing: an answer, or the preference between two, to a question."""


def _given(ratings: Iterable[Rating], of: str) -> Given:
    """Without what nobody was asked: an answer that both systems gave is one thing, and there is no better one."""
    given: dict[str, dict[tuple[str, ...], str | int]] = defaultdict(dict)
    for rating in ratings:
        if of == PREFERENCE:
            if not rating.same:
                given[rating.rater][rating.question_id, *sorted(rating.systems)] = rating.preferred_system
            continue
        for answer, marks in zip(rating.answers, rating.marks, strict=True):
            given[rating.rater][rating.question_id, answer] = marks[of]
    return given


def _agreement(ratings: Sequence[Rating], raters: Sequence[str], clusters: Clusters, seed: int) -> Iterable[Agreement]:
    for of in (*CRITERIA, PREFERENCE):
        given = _given(ratings, of)
        for pair in combinations(raters, 2):
            one, other = (given[rater] for rater in pair)
            things = sorted(one.keys() & other.keys())
            scale: Scale = "names" if of == PREFERENCE else "marks"
            first, second = [one[each] for each in things], [other[each] for each in things]
            yield agree(of, pair, first, second, scale, seed=seed, clusters=[clusters[each[0]] for each in things])


def _among_all(ratings: Sequence[Rating], clusters: Clusters, seed: int) -> dict[str, Figure]:
    found = {}
    for of in (*CRITERIA, PREFERENCE):
        by_thing: dict[tuple[str, ...], list[str | int]] = defaultdict(list)
        for marks in _given(ratings, of).values():
            for thing, mark in marks.items():
                by_thing[thing].append(mark)
        things = sorted(by_thing)
        found[of] = alpha(
            [by_thing[thing] for thing in things],
            seed=f"{seed}:people",
            clusters=[clusters[each[0]] for each in things],
        )
    return found
