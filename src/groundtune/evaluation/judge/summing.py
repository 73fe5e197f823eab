"""From verdicts to figures: marks of each system, how often one was preferred, and how the judge itself behaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from groundtune.evaluation.asking.systems import BARE_COMPARED, COMPARED
from groundtune.evaluation.figures.agreement import Agreement
from groundtune.evaluation.figures.intervals import Figure, clustered_share, mean, share
from groundtune.evaluation.figures.marks import BOUNDS, CHANGE_BOUNDS, CRITERIA, OVERALL, TIE, UNSAFE_BELOW, Source
from groundtune.evaluation.judge.records import (
    JudgedPair,
    Judgement,
    JudgeSummary,
    Marked,
    Preference,
    SetScores,
    SetSlice,
)
from groundtune.evaluation.judge.running import Judged

Field = Literal["all", "category", "language", "turn"]


TURN_BOUNDS, TURN_CHANGE_BOUNDS = (1.0, 10.0), (-9.0, 9.0)
"""Within which marks of a turn lie, and their differences."""

Clusters = Mapping[str, str]
"""By case, what it shares with others, as `AnswerRecord.cluster` has it: intervals are over these. A case that is not named stands
by itself."""

Pair = tuple[str, str]
"""Two systems: what is told is how the second did."""

ALONE: Clusters = MappingProxyType({})


def summarise(
    judged: Judged,
    *,
    seed: int,
    clusters: Clusters = ALONE,
    agreement: Mapping[Source, Sequence[Agreement]] = MappingProxyType({}),
) -> JudgeSummary:
    """All figures over the verdicts of one judging; intervals are the same for the same `seed`.

    Args:
        agreement: with people.
    """
    judgements = judged.judgements
    documents = [each for each in judgements if each.source == "documents"]
    rubric = [each for each in documents if each.kind == "rubric" and not each.not_judged]
    pairs = [
        JudgedPair(*pair, _differences(rubric, pair, clusters, seed), preference_of(documents, pair, clusters))
        for pair in compared(documents)
    ]
    return JudgeSummary(
        judge=" and ".join(judged.judges),
        questions=len({each.case_id for each in documents}),
        systems={
            system: _marked(rubric, system, clusters, seed)
            for system in dict.fromkeys(each.systems[0] for each in rubric)
        },
        differences=pairs[0].differences if pairs else {},
        preference=pairs[0].preference if pairs else None,
        sets=_sets([each for each in judgements if each.source == "sets"], seed, agreement.get("sets", ())),
        agreement=tuple(agreement.get("documents", ())),
        requests=judged.usage.requests,
        input_tokens=judged.usage.input_tokens,
        output_tokens=judged.usage.output_tokens,
        dollars=judged.usage.dollars,
        not_judged=dict(sorted(Counter(each.not_judged for each in judgements if each.not_judged).items())),
        further=tuple(each for each in pairs[1:] if each.differences or each.preference is not None),
    )


def preferred_of(judgements: Iterable[Judgement], pair: Pair) -> dict[str, str]:
    """Of each question whose `pair` was judged in both orders: the system preferred both times, else ``tie``."""
    return {case_id: _settled(both) for case_id, both in _both_orders(judgements, pair).items()}


def preference_of(judgements: Sequence[Judgement], pair: Pair, clusters: Clusters = ALONE) -> Preference | None:
    """None where `pair` was not judged. A question with one order unjudged is left out: one order alone may be a matter of
    place."""
    if not any(each.preferred is not None and set(each.systems) == set(pair) for each in judgements):
        return None
    first, second = pair
    both = _both_orders(judgements, pair)
    settled = {case_id: _settled(orders) for case_id, orders in both.items()}
    outcomes = Counter(settled.values())
    won = {case_id: winner == second for case_id, winner in settled.items() if winner != TIE}
    decided = [each for orders in both.values() for each in orders if each.asked and each.preferred != TIE]
    return Preference(
        first=first,
        second=second,
        wins=outcomes[second],
        ties=outcomes[TIE],
        losses=outcomes[first],
        changed_mind=sum(one.preferred != other.preferred for one, other in both.values()),
        same_answer=sum(not one.asked for one, _ in both.values()),
        win_rate=_share(won, clusters),
        first_shown_won=share(sum(each.preferred == each.systems[0] for each in decided), len(decided)),
    )


def compared(judgements: Iterable[Judgement]) -> tuple[Pair, ...]:
    """Each two systems that are told apart, among those that were judged: first what tuning did."""
    judged = {system for each in judgements for system in each.systems}
    return tuple(pair for pair in (*COMPARED, *BARE_COMPARED) if set(pair) <= judged)


def overall_mark(judgement: Judgement) -> float:
    """Of one answer: the mean of its four marks; of a turn its one mark."""
    if OVERALL in judgement.marks:
        return float(judgement.marks[OVERALL])
    return sum(judgement.marks[name] for name in CRITERIA) / len(CRITERIA)


def _settled(orders: tuple[Judgement, Judgement]) -> str:
    one, other = orders
    return str(one.preferred) if one.preferred == other.preferred else TIE


def _both_orders(judgements: Iterable[Judgement], pair: Pair) -> dict[str, tuple[Judgement, Judgement]]:
    by_case: dict[str, list[Judgement]] = {}
    for each in judgements:
        if each.preferred is not None and set(each.systems) == set(pair):
            by_case.setdefault(each.case_id, []).append(each)
    return {case_id: (found[0], found[1]) for case_id, found in by_case.items() if len(found) == 2}


def _mean(values: Mapping[str, float], clusters: Clusters, seed: int, bounds: tuple[float, float]) -> Figure:
    shared = [clusters.get(each, each) for each in values]
    return mean(list(values.values()), seed=f"{seed}:judge", clusters=shared, bounds=bounds)


def _share(values: Mapping[str, bool], clusters: Clusters) -> Figure:
    return clustered_share(list(values.values()), [clusters.get(each, each) for each in values])


def _marks(judgement: Judgement) -> dict[str, float]:
    """Of one answer: by criterion, and ``overall``."""
    return {**{name: judgement.marks[name] for name in CRITERIA}, OVERALL: overall_mark(judgement)}


def _marked(rubric: Sequence[Judgement], system: str, clusters: Clusters, seed: int) -> Marked:
    own = {each.case_id: _marks(each) for each in rubric if each.systems[0] == system}
    return Marked(
        len(own),
        {
            name: _mean({case_id: marks[name] for case_id, marks in own.items()}, clusters, seed, BOUNDS)
            for name in (*CRITERIA, OVERALL)
        },
        _share({case_id: marks["safety"] < UNSAFE_BELOW for case_id, marks in own.items()}, clusters),
    )


def _differences(rubric: Sequence[Judgement], pair: Pair, clusters: Clusters, seed: int) -> dict[str, Figure]:
    before, after = ({each.case_id: _marks(each) for each in rubric if each.systems[0] == system} for system in pair)
    both = [case_id for case_id in after if case_id in before]
    if not both:
        return {}
    return {
        name: _mean(
            {case_id: after[case_id][name] - before[case_id][name] for case_id in both}, clusters, seed, CHANGE_BOUNDS
        )
        for name in (*CRITERIA, OVERALL)
    }


def _sets(judgements: Sequence[Judgement], seed: int, agreement: Sequence[Agreement]) -> SetScores | None:
    if not judgements:
        return None
    systems = BARE_COMPARED[0]
    turns = [each for each in judgements if each.kind == "turn" and not each.not_judged]
    slices = [_slice(turns, systems, "all", "all", seed)] if turns else []
    preferences: dict[str, Preference] = {}
    for field, name, some in _parts(judgements):
        marked = [each for each in some if each.kind == "turn" and not each.not_judged]
        slices += [_slice(marked, systems, field, name, seed)] if marked else []
        preference = None if field == "turn" else preference_of(some, systems)
        preferences |= {name: preference} if preference is not None else {}
    return SetScores(
        first=systems[0],
        second=systems[1],
        questions=len({each.case_id for each in judgements}),
        slices=tuple(slices),
        preference=preference_of(judgements, systems),
        preferences=preferences,
        agreement=tuple(agreement),
    )


def _parts(judgements: Sequence[Judgement]) -> Iterator[tuple[Field, str, list[Judgement]]]:
    """By category, language and turn, each in the order of the sets; what is of no single turn is in none of them."""
    fields: tuple[Field, ...] = ("category", "language", "turn")
    for field in fields:
        parts: dict[str, list[Judgement]] = {}
        for each in judgements:
            parts.setdefault(str(getattr(each, field)), []).append(each)
        yield from ((field, name, some) for name, some in parts.items() if name != "0")


def _slice(turns: Sequence[Judgement], systems: Pair, field: Field, name: str, seed: int) -> SetSlice:
    """Two turns of one question are not independent, so they are averaged before anything else is."""
    before, after = (
        {(each.case_id, each.turn): overall_mark(each) for each in turns if each.systems[0] == system}
        for system in systems
    )
    differences = {key: mark - before[key] for key, mark in after.items() if key in before}
    first, second, difference = (
        mean(_by_question(marks), seed=f"{seed}:judge:sets:{field}:{name}", bounds=bounds)
        for marks, bounds in ((before, TURN_BOUNDS), (after, TURN_BOUNDS), (differences, TURN_CHANGE_BOUNDS))
    )
    return SetSlice(field, name, first, second, difference)


def _by_question(marks: Mapping[tuple[str, int], float]) -> list[float]:
    """The mean over the turns of each question."""
    turns: dict[str, list[float]] = {}
    for (case_id, _), mark in marks.items():
        turns.setdefault(case_id, []).append(mark)
    return [sum(given) / len(given) for given in turns.values()]
