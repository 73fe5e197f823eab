"""A question as the evaluation asks it, whether from the test split or from a file of one's own."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.errors import EvaluationError
from groundtune.types import Example, Exchange, Language


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what a right answer is."""

    question_id: str
    question: str
    references: tuple[str, ...]
    """Right answers, any of which will do; the first is the one shown. Of an unanswerable question: the refusal."""
    language: Language
    answerable: bool = True
    evidence_chunk_ids: tuple[str, ...] = ()
    """The chunks that hold the answer; empty where it is not known."""
    given_chunk_ids: tuple[str, ...] = ()
    """The passages it was written over."""
    passages: tuple[str, ...] = ()
    """The passages themselves, of a question whose file brings them with it and which are no chunks."""
    history: tuple[Exchange, ...] = ()
    type: str = ""
    difficulty: str = ""
    rule: str = ""
    """As in the dataset; empty where a file does not say."""
    pair_id: str = ""
    """Of the pair it was made from, which leads back to its ledger entry."""

    @property
    def reference(self) -> str:
        return self.references[0]


def question_of(example: Example, history: tuple[Exchange, ...] = ()) -> Question:
    """Raises `EvaluationError` for an example that is not held out: the model was trained or chosen on it."""
    if example.split != "test":
        raise EvaluationError(
            f"record {example.example_id!r}: split is {example.split!r}, expected 'test'; questions the model was "
            "trained or chosen on would flatter it"
        )
    return Question(
        question_id=example.example_id,
        question=example.question,
        references=(example.reference,),
        language=example.language,
        answerable=example.answerable,
        evidence_chunk_ids=example.evidence_chunk_ids,
        given_chunk_ids=example.context_chunk_ids,
        history=history,
        type=example.type.value,
        difficulty=example.difficulty.value,
        rule=example.rule.value,
        pair_id=example.pair_id,
    )
