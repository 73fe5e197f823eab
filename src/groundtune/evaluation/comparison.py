"""Asks the base and the tuned model the same test questions and sums up what came back.

Generating is the caller's: it passes two functions from examples to answers. What this module does not do: load models,
write files, or put the result into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.config import EvaluationConfig, PromptConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.intervals import Figure
from groundtune.evaluation.metrics import token_f1
from groundtune.evaluation.records import Answered, AnswerRecord, Outcome, record_answers
from groundtune.evaluation.sampling import choose_questions, choose_shown
from groundtune.evaluation.scores import BY_KEY, Losses, Scores, compare, score
from groundtune.types import Example, Language, StageResult

Answerer = Callable[[Sequence[Example]], Sequence[Answered]]
"""Answers each example's conversation up to its assistant message, in the order given."""

Field = Literal["language", "type", "difficulty", "rule"]
FIELDS: tuple[Field, ...] = ("type", "difficulty", "language", "rule")

SHOWN_IN_REPORT = 10


@dataclass(frozen=True, slots=True)
class QuestionCounts:
    """How many questions the test split holds and how many of them were asked."""

    in_test: int
    asked: int
    answerable_in_test: int
    answerable_asked: int
    unanswerable_in_test: int
    unanswerable_asked: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Token F1 over the answerable questions of one kind: ``field="type"``, ``name="list"``."""

    field: Field
    name: str
    base: Figure
    tuned: Figure
    difference: Figure


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What `evaluation.json` holds and the report reads."""

    questions: QuestionCounts
    max_new_tokens: int
    scores: Scores
    outcomes: dict[Outcome, int]
    slices: tuple[Slice, ...]
    shown: tuple[str, ...]
    """Example ids, at most ten, chosen before answering."""
    echo_f1: float | None
    """Token F1 that giving each answerable question back as its answer would score: what a figure above it is worth."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome: records for JSON Lines, a summary for JSON, the records to show at the end of a run."""

    records: tuple[AnswerRecord, ...]
    summary: EvaluationSummary
    shown: tuple[AnswerRecord, ...]
    """As many as ``evaluation.show_questions`` asks for."""

    @property
    def result(self) -> StageResult:
        """Counts, skips and the bare values of both models for the manifest."""
        questions = self.summary.questions
        scores = self.summary.scores
        left_out = questions.in_test - questions.asked
        return StageResult(
            counts={
                "questions": questions.asked,
                "answerable": questions.answerable_asked,
                "unanswerable": questions.unanswerable_asked,
            },
            skips={"test questions above evaluation.max_questions": left_out} if left_out else {},
            details={
                name: {
                    **{key: figure.value for key, figure in figures.items()},
                    **{f"{split}_loss": loss.mean for split, loss in losses.items()},
                    **{f"{split}_perplexity": loss.perplexity for split, loss in losses.items()},
                }
                for name, figures, losses in (
                    ("base", scores.base, scores.losses_base),
                    ("tuned", scores.tuned, scores.losses_tuned),
                )
            },
        )


def evaluate(
    examples: Sequence[Example],
    *,
    answer_base: Answerer,
    answer_tuned: Answerer,
    losses_base: Losses,
    losses_tuned: Losses,
    prompts: Mapping[Language, PromptConfig],
    config: EvaluationConfig,
    seed: int,
) -> Evaluation:
    """Ask both models a sample of the test questions `examples` and compare.

    An empty `examples` is not an error: every figure is then "not measured" (None, n = 0).

    Raises:
        EvaluationError: an example is not of the test split or stands twice, its language has no prompt, or an answering
            function returns another number of answers than it got questions.
    """
    _check(examples)
    asked = choose_questions(examples, max_questions=config.max_questions, seed=seed)
    base = _ask(answer_base, asked, "base")
    tuned = _ask(answer_tuned, asked, "tuned")
    records = tuple(
        record_answers(example, before, after, prompts)
        for example, before, after in zip(asked, base, tuned, strict=True)
    )
    by_id = {record.example_id: record for record in records}
    shown = choose_shown(asked, count=config.show_questions, seed=seed)
    return Evaluation(
        records=records,
        summary=EvaluationSummary(
            questions=_count(examples, asked),
            max_new_tokens=config.max_new_tokens,
            scores=score(records, losses_base=losses_base, losses_tuned=losses_tuned, seed=seed),
            outcomes=_count_outcomes(records),
            slices=_slice(records, seed),
            shown=tuple(example.example_id for example in choose_shown(asked, count=SHOWN_IN_REPORT, seed=seed)),
            echo_f1=_echo_f1(asked),
        ),
        shown=tuple(by_id[example.example_id] for example in shown),
    )


def _echo_f1(asked: Sequence[Example]) -> float | None:
    answerable = [example for example in asked if example.answerable]
    if not answerable:
        return None
    scores = (token_f1(example.question, example.reference, example.language) for example in answerable)
    return sum(scores) / len(answerable)


def _check(examples: Sequence[Example]) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.split != "test":
            raise EvaluationError(
                f"record {example.example_id!r}: split is {example.split!r}, expected 'test'; questions the model was "
                "trained or chosen on would flatter it"
            )
        if example.example_id in seen:
            raise EvaluationError(f"record {example.example_id!r} stands twice in the test split; remove one")
        seen.add(example.example_id)


def _ask(answer: Answerer, asked: Sequence[Example], name: str) -> Sequence[Answered]:
    answers = answer(asked) if asked else ()
    if len(answers) != len(asked):
        raise EvaluationError(
            f"the {name} model gave {len(answers)} answers to {len(asked)} questions, expected one each"
        )
    return answers


def _count(examples: Sequence[Example], asked: Sequence[Example]) -> QuestionCounts:
    answerable, answerable_asked = (sum(example.answerable for example in some) for some in (examples, asked))
    return QuestionCounts(
        in_test=len(examples),
        asked=len(asked),
        answerable_in_test=answerable,
        answerable_asked=answerable_asked,
        unanswerable_in_test=len(examples) - answerable,
        unanswerable_asked=len(asked) - answerable_asked,
    )


def _count_outcomes(records: Sequence[AnswerRecord]) -> dict[Outcome, int]:
    outcomes: dict[Outcome, int] = {"better": 0, "same": 0, "worse": 0}
    for record in records:
        outcomes[record.outcome] += 1
    return outcomes


def _slice(records: Sequence[AnswerRecord], seed: int) -> tuple[Slice, ...]:
    f1 = BY_KEY["token_f1"]
    slices = []
    for field in FIELDS:
        for name in sorted({str(getattr(record, field)) for record in records if record.answerable}):
            some = [record for record in records if str(getattr(record, field)) == name]
            slices.append(Slice(field, name, *compare(some, f1, seed=seed)))
    return tuple(slices)
