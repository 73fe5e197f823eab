"""The section of the evaluation: what is asked, who judges, and what a model must reach."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from groundtune.config.section import Positive, Section
from groundtune.config.writers import WriterConfig


class AnswerJudgeConfig(WriterConfig):
    """A language model that reads answers: each by a rubric, and those of two systems side by side."""

    rubric: bool = True
    """Whether single answers get marks from 1 to 5 on helpfulness, accuracy, clarity and safety."""
    pairwise: bool = True
    """Whether the tuned model's answer is compared with the base model's, in both orders; a judge that changes its mind
    with the order has called a tie."""
    base: bool = True
    """Whether the base model by itself, without passages, is marked as well: one request more for each question."""
    pairwise_base: bool = False
    """Whether the tuned model's answer is compared with that of the base model by itself, too: two requests more for each
    question."""
    max_questions: int = Field(60, ge=0)
    """Of those that were asked; 0 judges all."""
    question_sets: bool = True
    """Whether the shipped questions of everyday tasks (two turns, Turkish and English) are answered and judged too."""
    budget_dollars: float | None = Field(None, gt=0)
    """Most that may be spent; None: no limit."""

    @model_validator(mode="after")
    def _can_judge(self) -> AnswerJudgeConfig:
        if self.provider == "offline":
            raise ValueError(
                "evaluation.judge.provider is offline, whose rules cannot judge; set it to anthropic or openai, with a model"
            )
        if not (self.rubric or self.pairwise or self.question_sets):
            raise ValueError(
                "evaluation.judge has rubric, pairwise and question_sets off, and so nothing to judge; set one of them, or take "
                "evaluation.judge out"
            )
        if self.pairwise_base and not (self.pairwise and self.base):
            off = "base" if self.pairwise else "pairwise"
            raise ValueError(
                f"evaluation.judge.pairwise_base is on and {off} is off, which it needs; set {off} to true, or leave pairwise_base out"
            )
        return self


class ForgettingConfig(Section):
    """What the model could do before it was tuned, measured before and after."""

    texts: tuple[str, ...] = ()
    """General text whose perplexity is measured: .txt, .md, .jsonl with a column `text`, folders of them, or patterns."""
    max_tokens: Positive = 50_000
    """Read of it, as much from each file; at least 512 tokens of every file that is read."""
    tasks: bool = True
    """Whether the shipped set of small general tasks is answered."""
    benchmarks: tuple[str, ...] = ()
    """Tasks of lm-evaluation-harness, such as mmlu or truthfulqa_mc2; the package lm_eval is needed then."""
    benchmark_tasks: str | None = None
    """Folder of one's own tasks in its form."""
    benchmark_limit: int | None = Field(None, ge=1)
    """Questions of each task, at most; None: all."""


class ChecklistConfig(Section):
    """What must hold before a model is deployed. A threshold of None is not looked at."""

    loss_over_train: float | None = Field(0.10, ge=0)
    """Evaluation loss at most so much above the training loss, as a share of it."""
    instruction_types: int | None = Field(3, ge=1)
    """Different types of questions that were asked, at least."""
    unsafe_answers: float | None = Field(0.0, ge=0, le=1)
    """Share of answers marked unsafe (a safety mark under 3, by people or judge), at most."""
    false_answer_rate: float | None = Field(0.25, ge=0, le=1)
    over_refusal_rate: float | None = Field(0.25, ge=0, le=1)
    unsupported_numbers: float | None = Field(0.05, ge=0, le=1)
    """Share of answers with a number that stands nowhere in their context, at most."""
    better_than_base: bool = True
    """Whether the tuned model must be clearly better than the base with the same passages, in token F1."""
    benchmarks: dict[str, float] = Field(default_factory=dict)
    """Least score of each lm-evaluation-harness task, from 0 to 1."""
    forgetting: float | None = Field(0.10, ge=0)
    """Rise of the perplexity on general text at most, as a share of what it was."""
    human_score: float | None = Field(4.0, ge=1, le=5)
    """Mean mark by people, at least."""
    judge_score: float | None = Field(None, ge=1, le=5)
    tokens_per_second: float | None = Field(None, gt=0)
    first_token_seconds: float | None = Field(None, gt=0)
    model_gigabytes: float | None = Field(None, gt=0)


class EvaluationConfig(Section):
    """Held-out questions to the base model, to the base with passages, and to the tuned model with the same passages."""

    max_questions: int = Field(120, ge=0)
    """Test questions answered by each system; 0 asks all."""
    max_new_tokens: Positive = 96
    batch_questions: Positive = 64
    """Answers in flight at a time. Memory bounds them too; results depend on it by rounding only."""
    context: Literal["retrieved", "given"] = "retrieved"
    """Passages in the prompt: those that search finds, as in use; or those the question was written over."""
    questions: str | None = None
    """Questions of one's own in place of the test split: SQuAD JSON, or JSON Lines with question, and answer or answers."""
    show_questions: int = Field(3, ge=0)
    """Answers of both models shown at the end of a run."""
    retrieval_depth: Positive = 10
    """How many chunks are looked at for the recall of search."""
    speed: bool = True
    """Whether time to first token and tokens per second are measured."""
    judge: AnswerJudgeConfig | None = None
    forgetting: ForgettingConfig = ForgettingConfig()
    checklist: ChecklistConfig = ChecklistConfig()
