"""How far the judge agrees with each person who rated what it judged.

What this module does not do: say who is right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from groundtune.evaluation.figures.agreement import Agreement, agree
from groundtune.evaluation.figures.marks import CRITERIA, PREFERENCE
from groundtune.evaluation.judge.records import Judgement
from groundtune.evaluation.judge.summing import compared, preferred_of
from groundtune.evaluation.people.ratings import Rating, raters_of

JUDGE = "judge"

Rated = TypeVar("Rated")


def agreement_with_people(
    judgements: Sequence[Judgement], ratings: Sequence[Rating], *, seed: int
) -> tuple[Agreement, ...]:
    """With each rater on each criterion (quadratic weights) and on the preference (plain), over what both have rated; what
    they have not both rated anything of is absent.

    Args:
        ratings: of the answers that were judged.
    """
    documents = [each for each in judgements if each.source == "documents"]
    if not documents:
        return ()
    marks = {
        (each.case_id, each.systems[0]): each.marks
        for each in documents
        if each.kind == "rubric" and not each.not_judged
    }
    preferred = preferred_of(documents)
    systems = set(compared(documents))
    found = []
    for rater in raters_of(ratings):
        own = [rating for rating in ratings if rating.rater == rater]
        for name in CRITERIA:
            both = [
                (marks[rating.question_id, system][name], given[name])
                for rating in own
                for system, given in zip(rating.systems, rating.marks, strict=True)
                if (rating.question_id, system) in marks
            ]
            found.append(agree(name, (JUDGE, rater), *_columns(both), "marks", seed=seed))
        choices = [
            (preferred[rating.question_id], rating.preferred_system)
            for rating in own
            if set(rating.systems) == systems and rating.question_id in preferred
        ]
        found.append(agree(PREFERENCE, (JUDGE, rater), *_columns(choices), "names", seed=seed))
    return tuple(each for each in found if each.kappa.n)


def _columns(pairs: Sequence[tuple[Rated, Rated]]) -> tuple[list[Rated], list[Rated]]:
    return [one for one, _ in pairs], [other for _, other in pairs]
