"""The stage `judge`: a language model reads the answers that `evaluate` wrote down, and both models' everyday tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from groundtune.config import REACHING, AnswerJudgeConfig
from groundtune.errors import ConfigError
from groundtune.files import read_records, write_json, write_records
from groundtune.pipeline import held_out
from groundtune.pipeline.agreeing import judge_agreement
from groundtune.pipeline.conversing import Conversations, converse
from groundtune.pipeline.rating import read_answers
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, StageResult

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord
    from groundtune.evaluation.judge import Case, Estimate, Judged, JudgeSummary

ANSWERS_NAME = "answered.jsonl"
LEDGER_NAME = "ledger.sqlite"
TOLD_REFUSALS = 3
"""Kinds of refusals that are quoted, the most frequent first; the ledger has all."""

NOT_CHOSEN = "questions above evaluation.judge.max_questions"
TOO_LONG = "shipped question that, with an answer to both turns, is longer than a model takes"


def check_early(workspace: Workspace) -> None:
    """Key and price, before anything is trained; a judge that was asked before may need neither.

    Raises:
        AccountFailure: there is no key.
        ConfigError: there is a budget, and no price is known for the judge; or its address cannot be used.
    """
    from groundtune.evaluation.judge import SECTION
    from groundtune.llm.prices import missing_price, price_for
    from groundtune.llm.providers.endpoint import open_endpoint

    config = workspace.config.evaluation.judge
    if config is None or (workspace.judge_stage / LEDGER_NAME).exists():
        return
    open_endpoint(config)
    if config.budget_dollars is not None and price_for(config) is None:
        raise ConfigError(missing_price(config, SECTION))


def inputs(workspace: Workspace) -> dict[str, Path]:
    """The answers, what they were given, and what people said of them, where they have."""
    files = held_out.inputs(workspace)
    if not _config(workspace).question_sets:
        # their answers are in already
        files = {name: path for name, path in files.items() if name not in ("base", "tuned")}
    files |= {"answers": workspace.answers}
    return files | ({"ratings": workspace.ratings} if workspace.ratings.exists() else {})


def settings(workspace: Workspace) -> dict[str, Any]:
    """What decides the verdicts: not how the judge is reached, paid or paced."""
    from groundtune.evaluation.judge import sets_hash, words_hash

    told = _config(workspace).model_dump(mode="json", exclude=set(REACHING))
    return {"judge": told, "seed": workspace.config.seed, "words": words_hash()} | (
        {"sets": sets_hash()} if told["question_sets"] else {}
    )


def judge(workspace: Workspace) -> StageResult:
    """Verdicts, their summary, and the conversations about everyday tasks.

    Raises:
        ConfigError: there is a budget, and no price is known for the judge.
        GenerationError: the account, the budget or the user ended it; what was answered is in the ledger.
    """
    from groundtune.evaluation.judge import judge_cases, question_sets, set_case, summarise

    config, seed = _config(workspace), workspace.config.seed
    folder = workspace.judge_stage
    skips: Counter[str] = Counter()
    records = read_answers(workspace)
    cases = _document_cases(workspace, records, skips)
    talk = Conversations([], 0)
    if config.question_sets:
        talk = converse(workspace, question_sets(), folder / ANSWERS_NAME)
        skips[TOO_LONG] += talk.too_long
    # before the judge is asked, who may be out of reach: people can rate them
    write_records(workspace.set_answers, talk.answered)
    judged = judge_cases(
        [*cases, *map(set_case, talk.answered)],
        config,
        ledger=folder / LEDGER_NAME,
        seed=seed,
        retry=workspace.asking.retry_verdicts,
        announce=_announce,
    )
    _tell_refusals(judged)
    summary = summarise(
        judged,
        seed=seed,
        clusters={record.question_id: record.cluster for record in records},
        agreement=judge_agreement(workspace, judged.judgements),
    )
    write_records(folder / "judgements.jsonl", judged.judgements)
    write_json(workspace.judge_summary, summary)
    skips.update(summary.not_judged)
    return StageResult(_counts(judged, summary), {reason: count for reason, count in skips.items() if count})


def _config(workspace: Workspace) -> AnswerJudgeConfig:
    config = workspace.config.evaluation.judge
    assert config is not None, "the stage is wanted only where it is set"
    return config


def _document_cases(workspace: Workspace, records: Sequence[AnswerRecord], skips: Counter[str]) -> list[Case]:
    """Of the questions that were asked, as many as are to be judged."""
    from groundtune.evaluation import choose_questions
    from groundtune.evaluation.judge import document_case

    config = _config(workspace)
    chunks = read_records(workspace.chunks, Chunk) if workspace.has_documents else []
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    questions = {each.question_id: each for each in held_out.gather_questions(workspace, chunks).questions}
    by_question = {record.question_id: record for record in records}
    chosen = choose_questions(
        [questions[question_id] for question_id in by_question],
        max_questions=config.max_questions,
        seed=workspace.config.seed,
    )
    skips[NOT_CHOSEN] += len(records) - len(chosen)
    return [document_case(by_question[each.question_id], each, by_id, config) for each in chosen]


def _announce(ahead: Estimate) -> None:
    _say(f"judging: {ahead}")


def _tell_refusals(judged: Judged) -> None:
    """In the provider's words, which are in no file: they may name a request, or the time."""
    for reason, count in judged.refusals.most_common(TOLD_REFUSALS):
        _say(f"{count} verdict{'s' if count > 1 else ''} refused: {reason}")


def _say(line: str) -> None:
    from groundtune.progress import stderr_console

    stderr_console().print(f"  {line}", markup=False)


def _counts(judged: Judged, summary: JudgeSummary) -> dict[str, int]:
    return {
        "questions": summary.questions,
        "everyday questions": 0 if summary.sets is None else summary.sets.questions,
        "verdicts": sum(not each.not_judged for each in judged.judgements),
        "requests": summary.requests,
    }
