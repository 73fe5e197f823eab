"""The stage `evaluate`: every system answers the held-out questions, and what they said is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.files import read_records, write_json, write_records
from groundtune.pipeline.answers import AnswerFile, Kept, answer_key
from groundtune.pipeline.engine import hash_input
from groundtune.pipeline.material import tokenise
from groundtune.pipeline.prompting import Prompt, Prompting
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Example, Pair, Split, StageResult

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from groundtune.evaluation import Answered, Question, SplitLoss, System

ANSWERS_NAME = "answered.jsonl"


def evaluate(workspace: Workspace) -> StageResult:
    from groundtune.evaluation import SYSTEMS, question_of
    from groundtune.evaluation import evaluate as compare
    from groundtune.models import load_model, load_tokenizer

    config = workspace.config
    tokenizer = load_tokenizer(workspace.tuned)
    splits: dict[Split, list[Example]] = {
        split: read_records(workspace.split(split), Example) for split in ("valid", "test")
    }
    histories = {pair.pair_id: pair.history for pair in read_records(workspace.pairs, Pair)}
    questions = [question_of(example, histories.get(example.pair_id, ())) for example in splits["test"]]
    chunks = {chunk.chunk_id: chunk for chunk in read_records(workspace.chunks, Chunk)}
    prompting = Prompting(config, tokenizer, chunks)
    kept = AnswerFile(workspace.evaluation / ANSWERS_NAME)
    models = {
        name: Asked(name, source, load_model(source, tokenizer=tokenizer), tokenizer, workspace, kept)
        for name, source in (("base", workspace.base_source), ("tuned", str(workspace.tuned)))
    }
    evaluation = compare(
        questions,
        answerers={name: _answerer(models[system.model], system, prompting) for name, system in SYSTEMS.items()},
        losses={
            name: {split: asked.loss(examples) for split, examples in splits.items() if examples}
            for name, asked in models.items()
        },
        prompts=config.prompts,
        config=config.evaluation,
        seed=config.seed,
        search=prompting.search,
    )
    kept.keep_only({key for asked in models.values() for key in asked.keys})
    write_records(workspace.evaluation / "answers.jsonl", evaluation.records)
    write_json(workspace.evaluation / "summary.json", evaluation.summary)
    result = evaluation.result
    shown = [record.question_id for record in evaluation.shown]
    return StageResult(result.counts, result.skips, {**result.details, "shown": shown})


def _answerer(asked: Asked, system: System, prompting: Prompting) -> Callable[[Sequence[Question]], list[Answered]]:
    def answer(questions: Sequence[Question]) -> list[Answered]:
        return asked.answer(questions, [prompting.prompt(question, system) for question in questions], system)

    return answer


class Asked:
    """One model, asked greedily and in batches; what it has said before is not asked again."""

    def __init__(
        self,
        name: str,
        source: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        workspace: Workspace,
        kept: AnswerFile,
    ) -> None:
        from groundtune.chat import stop_token_ids

        self._name = name
        self._model = model
        self._tokenizer = tokenizer
        self._config = workspace.config
        self._kept = kept
        self._stop_ids = stop_token_ids(tokenizer)
        # a hub id stands for itself
        self._known_as = hash_input(Path(source)) if Path(source).exists() else source
        self.keys: set[str] = set()
        """Of all answers this evaluation needs."""

    def loss(self, examples: Sequence[Example]) -> SplitLoss:
        from groundtune.evaluation import split_loss
        from groundtune.training import measure_each_loss

        train = self._config.train
        sums, tokens = measure_each_loss(
            self._model,
            tokenise(self._tokenizer, [example.messages for example in examples]),
            max_pack_tokens=train.max_pack_tokens,
            sharing=train.sharing,
            threads=train.threads,
        )
        return split_loss(examples, sums, tokens)

    def answer(self, questions: Sequence[Question], prompts: Sequence[Prompt], system: System) -> list[Answered]:
        from groundtune.evaluation import Answered

        keys = [self._key(prompt) for prompt in prompts]
        self.keys.update(key for key, prompt in zip(keys, prompts, strict=True) if prompt.token_ids)
        new = {
            key: prompt for key, prompt in zip(keys, prompts, strict=True) if prompt.token_ids and key not in self._kept
        }
        self._ask(new, system)
        found = []
        for question, key, prompt in zip(questions, keys, prompts, strict=True):
            if prompt.token_ids:
                kept = self._kept[key]
                found.append(Answered(kept.text, kept.token_ids, kept.stopped, prompt.passages, prompt.chunk_ids))
            else:
                # as chat does it: an answer from no passage could only be made up
                found.append(Answered(self._config.prompts[question.language].refusal, (), True))
        return found

    def _key(self, prompt: Prompt) -> str:
        most = self._config.evaluation.max_new_tokens
        return answer_key(self._known_as, prompt.token_ids, max_new_tokens=most, stop_ids=self._stop_ids)

    def _ask(self, prompts: dict[str, Prompt], system: System) -> None:
        from groundtune.models import cpu_threads, generate_answers
        from groundtune.progress import ProgressBar

        evaluation = self._config.evaluation
        with (
            ProgressBar(system.label, total=len(prompts), unit="questions") as bar,
            cpu_threads(self._config.train.threads),
        ):
            generated = generate_answers(
                self._model,
                self._tokenizer,
                [prompt.token_ids for prompt in prompts.values()],
                max_new_tokens=evaluation.max_new_tokens,
                batch_questions=evaluation.batch_questions,
                stop_ids=self._stop_ids,
                progress=bar.advance,
            )
        for key, each in zip(prompts, generated, strict=True):
            self._kept.add(Kept(key, each.text, tuple(each.token_ids), each.stopped))
