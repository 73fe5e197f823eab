"""What each model answered to each question, and what each answer is worth: the lines of ``answers.jsonl``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from groundtune.config import PromptConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.metrics import exact_match, is_refusal, is_repetitive, token_f1
from groundtune.types import Difficulty, Example, Language, QuestionType, Rule

Outcome = Literal["better", "same", "worse"]

SAME_WITHIN = 0.05
"""Answers whose F1 differ by no more than this are called the same."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a model said: the text, its new token ids, and whether it ended by itself (before the length limit)."""

    text: str
    token_ids: tuple[int, ...]
    stopped: bool


@dataclass(frozen=True, slots=True)
class ModelAnswer:
    """One model's answer and its measures. ``f1`` and ``exact_match`` are against the reference."""

    text: str
    new_tokens: int
    stopped: bool
    exact_match: bool
    f1: float
    repetitive: bool
    refused: bool


@dataclass(frozen=True, slots=True)
class AnswerRecord:
    """One test question with the reference and the answers of the base and of the tuned model."""

    example_id: str
    pair_id: str
    language: Language
    question: str
    reference: str
    answerable: bool
    type: QuestionType
    difficulty: Difficulty
    rule: Rule
    context_chunk_ids: tuple[str, ...]
    evidence_chunk_ids: tuple[str, ...]
    base: ModelAnswer
    tuned: ModelAnswer

    @property
    def gain(self) -> float:
        """Quality of the tuned answer minus that of the base answer, -1 to 1."""
        return self._quality(self.tuned) - self._quality(self.base)

    @property
    def outcome(self) -> Outcome:
        if self.gain > SAME_WITHIN:
            return "better"
        return "worse" if self.gain < -SAME_WITHIN else "same"

    def _quality(self, answer: ModelAnswer) -> float:
        """F1 where there is an answer; where there is none, 1 for refusing and 0 for anything else."""
        return answer.f1 if self.answerable else float(answer.refused)


def record_answers(
    example: Example, base: Answered, tuned: Answered, prompts: Mapping[Language, PromptConfig]
) -> AnswerRecord:
    """Both answers to `example`, measured. Raises `EvaluationError` when its language has no prompt."""
    if example.language not in prompts:
        raise EvaluationError(
            f"record {example.example_id!r}: language {example.language!r} has no prompt; set prompts.{example.language}"
        )
    return AnswerRecord(
        example_id=example.example_id,
        pair_id=example.pair_id,
        language=example.language,
        question=example.question,
        reference=example.reference,
        answerable=example.answerable,
        type=example.type,
        difficulty=example.difficulty,
        rule=example.rule,
        context_chunk_ids=example.context_chunk_ids,
        evidence_chunk_ids=example.evidence_chunk_ids,
        base=_measure(example, base, prompts),
        tuned=_measure(example, tuned, prompts),
    )


def _measure(example: Example, answered: Answered, prompts: Mapping[Language, PromptConfig]) -> ModelAnswer:
    return ModelAnswer(
        text=answered.text,
        new_tokens=len(answered.token_ids),
        stopped=answered.stopped,
        exact_match=exact_match(answered.text, example.reference, example.language),
        f1=token_f1(answered.text, example.reference, example.language),
        repetitive=is_repetitive(answered.token_ids),
        # a refusal in another configured language is still no false answer
        refused=any(is_refusal(answered.text, prompt, language) for language, prompt in prompts.items()),
    )
