"""What is put before a rater: which questions, in which order, and which system's answer as A.

Everything follows from the seed, the rater and the questions, so a rater who comes back finds the same. What this module does
not do: show anything, or say whose answer is whose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from groundtune.evaluation.figures.marks import Source
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.evaluation.people.ratings import Marks, Preferred, Rating, Subject, answer_id, subject_of
from groundtune.files import sha256_text
from groundtune.types import Language, Message

SHUFFLED_TOGETHER = 10
"""Each rater gets the questions in an order of their own within tens, so that raters who stop early have rated the same."""


@dataclass(frozen=True, slots=True)
class Rateable:
    """A question with what every system answered: people may be shown any two."""

    question_id: str
    language: Language
    kind: str
    """Type of a question about the documents, category of a shipped one."""
    question: str
    reference: str
    texts: Mapping[str, str]
    """By system."""
    cluster: str
    """What it shares with other questions: intervals are over these."""
    answerable: bool = True
    source: Source = "documents"


def rateable(record: AnswerRecord) -> Rateable:
    return Rateable(
        question_id=record.question_id,
        language=record.language,
        kind=record.type,
        question=record.question,
        reference=record.reference,
        texts={system: answer.text for system, answer in record.answers.items()},
        cluster=record.cluster,
        answerable=record.answerable,
    )


@dataclass(frozen=True, slots=True)
class Item:
    """A question with two answers, as a rater sees it."""

    question_id: str
    language: Language
    question: str
    reference: str
    texts: tuple[str, str]
    """Shown as A and as B."""
    systems: tuple[str, str]
    """Whose they are, which the rater is not told."""
    history: tuple[Message, ...] = ()
    """What was said before the question."""
    passages: tuple[str, ...] = ()
    """What the systems were given to answer from."""
    lost_passages: int = 0
    """Of these, how many are no longer among the documents."""
    source: Source = "documents"

    @property
    def same(self) -> bool:
        """Both systems gave one and the same answer."""
        return self.texts[0] == self.texts[1]

    @property
    def answers(self) -> tuple[str, str]:
        first, second = (answer_id(self.question, text) for text in self.texts)
        return first, second

    def subject(self, rater: str) -> Subject:
        """Of this rater's rating of it."""
        return subject_of(rater, self.question_id, self.systems, self.answers)

    def rated(self, rater: str, marks: tuple[Marks, Marks], preferred: Preferred, *, reference_shown: bool) -> Rating:
        return Rating(
            rater,
            self.question_id,
            self.systems,
            self.answers,
            marks,
            preferred,
            reference_shown,
            source=self.source,
        )


def choose(there: Sequence[Rateable], *, count: int, seed: int) -> list[Rateable]:
    """`count` of `there` by lot, in an order in which any beginning has every kind of question in its proportion.

    So the questions of a smaller `count` are among those of a larger one, and who has rated thirty goes on to sixty.
    """
    kinds: dict[tuple[str, bool, str], list[Rateable]] = defaultdict(list)
    for each in sorted(there, key=lambda each: _lot(seed, each.question_id)):
        kinds[each.language, each.answerable, each.kind].append(each)
    placed = [
        ((number + 0.5) / len(kind), _lot(seed, each.question_id), each)
        for kind in kinds.values()
        for number, each in enumerate(kind)
    ]
    return [each for _, _, each in sorted(placed, key=lambda place: place[:2])[:count]]


def shown_to(
    rater: str, chosen: Sequence[Rateable], systems: tuple[str, str], *, seed: int
) -> list[tuple[Rateable, tuple[str, str]]]:
    """The `chosen` in this rater's order, each with the systems whose answers are A and B.

    Of each two neighbours among them one has the first system as A and one the second, so that positions are balanced.
    """
    first, second = systems
    found = []
    for place, each in enumerate(chosen):
        swapped = int(_lot(seed, rater, str(place // 2)), 16) % 2 != place % 2
        shown = (second, first) if swapped else (first, second)
        found.append((place // SHUFFLED_TOGETHER, _lot(seed, rater, each.question_id), each, shown))
    return [(each, shown) for _, _, each, shown in sorted(found, key=lambda found: found[:2])]


def _lot(seed: int, *parts: str) -> str:
    return sha256_text(":".join((str(seed), *parts)))
