"""What each system answered to each question, and what each answer is worth: the lines of ``answers.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from groundtune.config import PromptConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.asking.questions import Question
from groundtune.evaluation.measures import MEASURES, Observed, unsupported_numbers
from groundtune.files import sha256_text
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

    @property
    def cluster(self) -> str:
        """What it shares with other questions, which are right and wrong with it: its first evidence chunk, or its own passage."""
        return self.evidence_chunk_ids[0] if self.evidence_chunk_ids else self.passage or self.question_id

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
