"""Asks every system the same test questions and sums up what came back.

Answering is the caller's: it passes a function from questions to answers for each system. What this module does not do: load
models, write files, or put the result into words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from groundtune.config import EvaluationConfig, PromptConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.asking.questions import Question
from groundtune.evaluation.asking.sampling import choose_questions, choose_shown
from groundtune.evaluation.asking.systems import BARE_COMPARED, COMPARED
from groundtune.evaluation.figures.losses import SplitLoss
from groundtune.evaluation.figures.records import Answered, AnswerRecord, join_records, record_answers
from groundtune.evaluation.figures.retrieval_scores import RetrievalScores, score_retrieval
from groundtune.evaluation.figures.scores import Comparison, Figures, compare, score
from groundtune.evaluation.measures import token_f1
from groundtune.types import Language, Split, StageResult

Answerer = Callable[[Sequence[Question]], Sequence[Answered]]
"""Answers each question, in the order given."""

SHOWN_IN_REPORT = 10

Context = Literal["retrieved", "given", "mixed", "none"]
"""What search found; what a question was written over or its file brings with it; one for some questions and the other for the
rest; or no passages at all."""


@dataclass(frozen=True, slots=True)
class QuestionCounts:
    """How many questions there are and how many of them were asked."""

    in_test: int
    asked: int
    answerable_in_test: int
    answerable_asked: int
    unanswerable_in_test: int
    unanswerable_asked: int


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """What ``summary.json`` holds and the report reads."""

    questions: QuestionCounts
    context: Context
    """Passages in the prompts."""
    max_new_tokens: int
    figures: dict[str, Figures]
    """By system."""
    comparisons: tuple[Comparison, ...]
    """The first is what tuning did."""
    retrieval: RetrievalScores
    losses: dict[str, dict[Split, SplitLoss]]
    """By model (base, tuned) and split; one that was not measured is absent."""
    shown: tuple[str, ...]
    """Question ids, at most ten, chosen before answering."""
    echo_f1: float | None
    """Token F1 that giving each answerable question back as its answer would score: what a figure above it is worth."""
    questions_file: str = ""
    """Name of the file of one's own that was asked in place of the test split."""

    def comparison(self, first: str, second: str) -> Comparison:
        return next(each for each in self.comparisons if (each.first, each.second) == (first, second))

    def paired(self, measure: str) -> tuple[float | None, float | None]:
        """Before and after tuning, over the questions behind the difference of a measure; in a summary from before these were
        kept, each over all questions that it applies to."""
        compared = self.comparisons[0]
        before, after = (self.figures[system][measure].value for system in (compared.first, compared.second))
        return compared.paired.get(measure, (before, after))


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The outcome: records for JSON Lines, a summary for JSON, the records to show at the end of a run."""

    records: tuple[AnswerRecord, ...]
    summary: EvaluationSummary
    shown: tuple[AnswerRecord, ...]
    """As many as ``evaluation.show_questions`` asks for."""

    @property
    def result(self) -> StageResult:
        """Counts, skips and the bare values of each system for the manifest."""
        questions = self.summary.questions
        left_out = questions.in_test - questions.asked
        return StageResult(
            counts={
                "questions": questions.asked,
                "answerable": questions.answerable_asked,
                "unanswerable": questions.unanswerable_asked,
            },
            skips={"questions above evaluation.max_questions": left_out} if left_out else {},
            details={
                **{
                    system: {key: figure.value for key, figure in figures.items()}
                    for system, figures in self.summary.figures.items()
                },
                "losses": {
                    model: {split: loss.whole.mean for split, loss in splits.items()}
                    for model, splits in self.summary.losses.items()
                },
            },
        )


def evaluate(
    questions: Sequence[Question],
    *,
    answerers: Mapping[str, Answerer],
    losses: Mapping[str, Mapping[Split, SplitLoss]],
    prompts: Mapping[Language, PromptConfig],
    config: EvaluationConfig,
    seed: int,
    search: Callable[[Question], Sequence[str]] | None = None,
    context: Context | None = None,
    questions_file: str = "",
) -> Evaluation:
    """Ask every system a sample of `questions` and compare.

    No questions are no error: every figure is then "not measured" (None, n = 0).

    Args:
        answerers: by system, all of `groundtune.evaluation.SYSTEMS`; where there are no passages, all of `BARE_SYSTEMS`.
        search: chunk ids for a question, best first, at least `config.retrieval_depth`; None where nothing is searched.
        context: the passages that were in fact in the prompts; None: as `config` wishes.
        questions_file: name of the file that the questions are from, where they are not of the test split.

    Raises:
        EvaluationError: a question stands twice, its language has no prompt, or an answering function returns another number
            of answers than it got questions.
    """
    _check(questions)
    asked = choose_questions(questions, max_questions=config.max_questions, seed=seed)
    answers = {name: _ask(answer, asked, name) for name, answer in answerers.items()}
    records = join_records(
        [
            record_answers(
                question,
                {name: given[place] for name, given in answers.items()},
                prompts,
                search(question)[: config.retrieval_depth] if search is not None else (),
            )
            for place, question in enumerate(asked)
        ]
    )
    by_id = {record.question_id: record for record in records}
    shown = choose_shown(asked, count=config.show_questions, seed=seed)
    return Evaluation(
        records=records,
        summary=EvaluationSummary(
            questions=_count(questions, asked),
            context=context or config.context,
            max_new_tokens=config.max_new_tokens,
            figures={name: score(records, name, seed=seed) for name in answerers},
            comparisons=tuple(
                compare(records, first, second, seed=seed)
                for first, second in (*COMPARED, *BARE_COMPARED)
                if first in answerers and second in answerers
            ),
            retrieval=score_retrieval(records if search is not None else (), depth=config.retrieval_depth, seed=seed),
            losses={model: dict(splits) for model, splits in losses.items()},
            shown=tuple(each.question_id for each in choose_shown(asked, count=SHOWN_IN_REPORT, seed=seed)),
            echo_f1=_echo_f1(asked),
            questions_file=questions_file,
        ),
        shown=tuple(by_id[each.question_id] for each in shown),
    )


def _echo_f1(asked: Sequence[Question]) -> float | None:
    scores = [
        max(token_f1(each.question, reference, each.language) for reference in each.references)
        for each in asked
        if each.answerable
    ]
    return sum(scores) / len(scores) if scores else None


def _check(questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for question in questions:
        if question.question_id in seen:
            raise EvaluationError(f"question {question.question_id!r} stands twice; remove one")
        seen.add(question.question_id)


def _ask(answer: Answerer, asked: Sequence[Question], name: str) -> Sequence[Answered]:
    answers = answer(asked) if asked else ()
    if len(answers) != len(asked):
        raise EvaluationError(f"{name} gave {len(answers)} answers to {len(asked)} questions, expected one each")
    return answers


def _count(questions: Sequence[Question], asked: Sequence[Question]) -> QuestionCounts:
    answerable, answerable_asked = (sum(each.answerable for each in some) for some in (questions, asked))
    return QuestionCounts(
        in_test=len(questions),
        asked=len(asked),
        answerable_in_test=answerable,
        answerable_asked=answerable_asked,
        unanswerable_in_test=len(questions) - answerable,
        unanswerable_asked=len(asked) - answerable_asked,
    )
