"""How far the judge agrees with each person who rated what it judged.

What this module does not do: say who is right.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.evaluation.figures.agreement import Agreement, Scale, agree
from groundtune.evaluation.figures.marks import CRITERIA, PREFERENCE, Source
from groundtune.evaluation.judge.records import Judgement
from groundtune.evaluation.judge.summing import ALONE, Clusters, compared, preferred_of
from groundtune.evaluation.people.ratings import Rating, raters_of

JUDGE = "judge"


def agreement_with_people(
    judgements: Sequence[Judgement],
    ratings: Sequence[Rating],
    source: Source = "documents",
    *,
    seed: int,
    clusters: Clusters = ALONE,
) -> tuple[Agreement, ...]:
    """With each rater on each criterion (quadratic weights) and on the preference (plain), over what both have rated of one
    `source`; what they have not both rated anything of is absent. An answer that both systems gave is one thing to mark, and
    nobody is asked whether it is better than itself. Of the shipped sets it is the preference alone: the judge marks each turn
    from 1 to 10, people both together from 1 to 5.

    Args:
        ratings: of the answers that were judged.
    """
    judged = [each for each in judgements if each.source == source]
    marks = {
        (each.case_id, each.systems[0]): each.marks for each in judged if each.kind == "rubric" and not each.not_judged
    }
    preferred = {
        (case_id, frozenset(pair)): system
        for pair in compared(judged)
        for case_id, system in preferred_of(judged, pair).items()
    }
    found = []
    for rater in raters_of(ratings):
        own = [rating for rating in ratings if rating.rater == rater and rating.source == source]
        for name in CRITERIA:
            both = [
                (rating.question_id, marks[rating.question_id, system][name], given[name])
                for rating in own
                for system, given in list(zip(rating.systems, rating.marks, strict=True))[: 1 if rating.same else 2]
                if (rating.question_id, system) in marks
            ]
            found.append(_agreed(name, rater, both, "marks", clusters, seed))
        choices = [
            (rating.question_id, preferred[pair], rating.preferred_system)
            for rating in own
            if not rating.same and (pair := (rating.question_id, frozenset(rating.systems))) in preferred
        ]
        found.append(_agreed(PREFERENCE, rater, choices, "names", clusters, seed))
    return tuple(each for each in found if each.kappa.n)


def _agreed(
    of: str, rater: str, both: Sequence[tuple[str, str | int, str | int]], scale: Scale, clusters: Clusters, seed: int
) -> Agreement:
    """Of what the judge and then the rater said, each with its question in front."""
    said, given = [one for _, one, _ in both], [other for _, _, other in both]
    shared = [clusters.get(question, question) for question, *_ in both]
    return agree(of, (JUDGE, rater), said, given, scale, seed=seed, clusters=shared)
