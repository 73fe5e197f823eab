"""What each system answered to each question, and what each answer is worth: the lines of ``answers.jsonl``."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from groundtune.config import PromptConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.asking.questions import Question
from groundtune.evaluation.figures.joining import joined
from groundtune.evaluation.measures import MEASURES, Observed, unsupported_numbers
from groundtune.files import sha256_text
from groundtune.language import lower_case
from groundtune.types import OMIT_DEFAULT, Language

Outcome = Literal["better", "same", "worse"]

SAME_WITHIN = 0.05
"""Answers whose quality differs by no more than this are called the same."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model said: the text, its new token ids, and whether it ended by itself (before the length limit)."""

    text: str
    token_ids: tuple[int, ...]
    stopped: bool
    passages: tuple[str, ...] = ()
    """Texts of the passages in its prompt, in their order."""
    chunk_ids: tuple[str, ...] = ()
    """Of those that are chunks."""


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One system's answer, measured."""

    text: str
    new_tokens: int
    stopped: bool
    chunk_ids: tuple[str, ...]
    """In its prompt."""
    measures: dict[str, float | None]
    """By `Measure.key`; None where a measure does not apply to the question or the answer."""
    refused: bool
    unsupported_numbers: tuple[str, ...] = ()
    """Numbers and codes in it that stand nowhere in its passages or the question."""


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One question with its references and the answers of all systems."""

    question_id: str
    pair_id: str
    language: Language
    question: str
    references: tuple[str, ...]
    answerable: bool
    type: str
    difficulty: str
    rule: str
    evidence_chunk_ids: tuple[str, ...]
    retrieved_chunk_ids: tuple[str, ...]
    """What search found for it, best first; empty where nothing was found or searched."""
    answers: dict[str, ModelAnswer]
    """By system."""
    passage: str = field(default="", metadata=OMIT_DEFAULT)
    """Hash of the first passage of a question that brings its own."""
    joined_to: str = field(default="", metadata=OMIT_DEFAULT)
    """Id of the first question that it hangs together with, where that is another one; `join_records` finds it."""

    @property
    def cluster(self) -> str:
        """The same for questions that hang together, which are right and wrong together."""
        return self.joined_to or self.question_id

    @property
    def reference(self) -> str:
        return self.references[0]

    def quality(self, system: str) -> float:
        """Token F1 where there is an answer; where there is none, 1 for refusing and 0 for anything else."""
        answer = self.answers[system]
        return float(answer.measures["token_f1"] or 0.0) if self.answerable else float(answer.refused)

    def gain(self, first: str, second: str) -> float:
        """Quality of the second system's answer minus that of the first's, -1 to 1."""
        return self.quality(second) - self.quality(first)

    def outcome(self, first: str, second: str) -> Outcome:
        """How the second did against the first."""
        gain = self.gain(first, second)
        if gain > SAME_WITHIN:
            return "better"
        return "worse" if gain < -SAME_WITHIN else "same"


def record_answers(
    question: Question,
    answers: Mapping[str, Answered],
    prompts: Mapping[Language, PromptConfig],
    retrieved: Sequence[str] = (),
) -> AnswerRecord:
    """All answers to `question`, measured. Raises `EvaluationError` when its language has no prompt."""
    if question.language not in prompts:
        raise EvaluationError(
            f"record {question.question_id!r}: language {question.language!r} has no prompt; set prompts.{question.language}"
        )
    return AnswerRecord(
        question_id=question.question_id,
        pair_id=question.pair_id,
        language=question.language,
        question=question.question,
        references=question.references,
        answerable=question.answerable,
        type=question.type,
        difficulty=question.difficulty,
        rule=question.rule,
        evidence_chunk_ids=question.evidence_chunk_ids,
        retrieved_chunk_ids=tuple(retrieved),
        answers={name: _measure(question, answered, prompts) for name, answered in answers.items()},
        passage=sha256_text(question.passages[0])[:16] if question.passages else "",
    )


def join_records(records: Sequence[AnswerRecord]) -> tuple[AnswerRecord, ...]:
    """The same, each knowing the first question that it hangs together with: they ask the same, or rest on an evidence chunk
    or a passage that both have; and so on through others."""
    firsts = joined([_rests_on(record) for record in records])
    return tuple(
        record if first == place else replace(record, joined_to=records[first].question_id)
        for place, (record, first) in enumerate(zip(records, firsts, strict=True))
    )


def _rests_on(record: AnswerRecord) -> list[Hashable]:
    """What a question shares with others; where its evidence is not known, the passage that search puts first stands for it."""
    asked = ("question", " ".join(lower_case(record.question, record.language).split()))
    known = [("chunk", chunk_id) for chunk_id in record.evidence_chunk_ids]
    if record.passage:
        known.append(("passage", record.passage))
    return [asked, *(known or [("chunk", chunk_id) for chunk_id in record.retrieved_chunk_ids[:1]])]


def _measure(question: Question, answered: Answered, prompts: Mapping[Language, PromptConfig]) -> ModelAnswer:
    observed = Observed(question, answered.text, answered.token_ids, answered.stopped, answered.passages, dict(prompts))
    return ModelAnswer(
        text=answered.text,
        new_tokens=len(answered.token_ids),
        stopped=answered.stopped,
        chunk_ids=answered.chunk_ids,
        measures={measure.key: measure.value(observed) for measure in MEASURES},
        refused=observed.refused,
        unsupported_numbers=unsupported_numbers(observed),
    )
