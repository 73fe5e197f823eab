"""The stage `evaluate`: every system answers the held-out questions, and what they said is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from groundtune.files import read_records, write_json, write_records
from groundtune.pipeline.answers import AnswerFile
from groundtune.pipeline.asking import AskedModel
from groundtune.pipeline.held_out import Measured, gather_examples, gather_questions
from groundtune.pipeline.prompting import Prompting
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Split, StageResult

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from groundtune.config import Config
    from groundtune.evaluation import Answered, Context, Question, SplitLoss, System

ANSWERS_NAME = "answered.jsonl"
TOO_LONG = "question that, with its passages and an answer, is longer than the model takes"


def evaluate(workspace: Workspace) -> StageResult:
    """Losses, answers and figures of every system; how fast they are goes to a file of its own, since it differs each time.

    Raises:
        DataError: of the file of questions.
        EvaluationError: a model cannot be asked.
    """
    from groundtune.evaluation import BARE_SYSTEMS, SYSTEMS
    from groundtune.evaluation import evaluate as compare
    from groundtune.models import load_model, load_tokenizer

    config = workspace.config
    tokenizer = load_tokenizer(workspace.tuned)
    # of other weights, perhaps
    workspace.speed.unlink(missing_ok=True)
    chunks = read_records(workspace.chunks, Chunk) if workspace.has_documents else []
    asked = gather_questions(workspace, chunks)
    kept = AnswerFile(workspace.evaluation / ANSWERS_NAME)
    loaded = {
        name: (source, load_model(source, tokenizer=tokenizer))
        for name, source in (("base", workspace.base_source), ("tuned", str(workspace.tuned)))
    }
    models = {name: AskedModel(source, model, tokenizer, workspace, kept) for name, (source, model) in loaded.items()}
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    prompting = Prompting(config, tokenizer, by_id, _position_limit([model for _, model in loaded.values()]))
    questions = [question for question in asked.questions if prompting.fits(question)]
    with_passages = bool(chunks) or any(question.passages for question in questions)
    systems = SYSTEMS if with_passages else BARE_SYSTEMS
    evaluation = compare(
        questions,
        answerers={name: _answerer(models[system.model], system, prompting) for name, system in systems.items()},
        losses=_losses(models["base"], models["tuned"], gather_examples(workspace, tokenizer)),
        prompts=config.prompts,
        config=config.evaluation,
        seed=config.seed,
        search=prompting.search if chunks else None,
        context=context_of(config, questions, with_passages=with_passages),
        questions_file=asked.file,
    )
    kept.settle(key for model in models.values() for key in model.keys)
    if config.evaluation.speed:
        write_json(workspace.speed, {name: model.speed() for name, model in models.items()})
    write_records(workspace.answers, evaluation.records)
    write_json(workspace.evaluation / "summary.json", evaluation.summary)
    result = evaluation.result
    too_long = len(asked.questions) - len(questions)
    skips = {**asked.skips, **result.skips, **({TOO_LONG: too_long} if too_long else {})}
    shown = [record.question_id for record in evaluation.shown]
    return StageResult(result.counts, skips, {**result.details, "shown": shown})


def _position_limit(models: Sequence[PreTrainedModel]) -> int | None:
    from groundtune.models import position_limit

    return min((limit for model in models if (limit := position_limit(model)) is not None), default=None)


def _losses(
    base: AskedModel, tuned: AskedModel, examples: Mapping[Split, Measured]
) -> dict[str, dict[Split, SplitLoss]]:
    """Of both models; that of the tuned one with its change, paired over the same examples."""
    from groundtune.evaluation import split_loss

    found: dict[str, dict[Split, SplitLoss]] = {"base": {}, "tuned": {}}
    for split, measured in examples.items():
        kinds, clusters = measured.kinds, measured.clusters
        before, tokens = base.losses(measured)
        after, _ = tuned.losses(measured)
        found["base"][split] = split_loss(kinds, before, tokens, clusters)
        found["tuned"][split] = split_loss(kinds, after, tokens, clusters, before=before)
    return found


def context_of(config: Config, questions: Sequence[Question], *, with_passages: bool) -> Context:
    """What passages there were in the prompts."""
    if not with_passages:
        return "none"
    given = config.evaluation.context == "given"
    ways: set[Context] = {
        "given" if question.passages or (given and question.given_chunk_ids) else "retrieved" for question in questions
    }
    return "mixed" if len(ways) > 1 else next(iter(ways), "retrieved")


def _answerer(
    model: AskedModel, system: System, prompting: Prompting
) -> Callable[[Sequence[Question]], list[Answered]]:
    def answer(questions: Sequence[Question]) -> list[Answered]:
        return model.answer(questions, [prompting.prompt(question, system) for question in questions], system)

    return answer
