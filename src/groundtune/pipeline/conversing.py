"""Both models on the shipped questions of everyday tasks: greedily, without passages, the second turn after the first answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.pipeline.answers import AnswerFile, answer_key
from groundtune.pipeline.asking import keep_answers, known_as
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from groundtune.evaluation.judge import SetAnswers, SetQuestion

MOST_NEW_TOKENS = 256
"""Of an answer: everyday tasks ask for a text or a programme, where questions about documents ask for a fact."""

Said = Mapping[str, tuple[str, ...]]
"""Answers so far, by question id."""


@dataclass(frozen=True)
class Conversations:
    """What both models said, in the order of the questions, and how many questions were too long for one of them."""

    answered: list[SetAnswers]
    too_long: int


def converse(workspace: Workspace, questions: Sequence[SetQuestion], path: Path) -> Conversations:
    """Answers are kept in `path`, each as soon as it ends; a model is loaded only where one of its answers is missing.

    Raises:
        EvaluationError: a model cannot be asked.
    """
    from groundtune.evaluation.judge import set_answers
    from groundtune.models import load_tokenizer

    tokenizer = load_tokenizer(workspace.tuned)
    kept = AnswerFile(path)
    said: dict[str, Said] = {}
    needed: list[str] = []
    for name, source in (("base", workspace.base_source), ("tuned", str(workspace.tuned))):
        model = _Talker(name, source, tokenizer, workspace, kept)
        said[name] = model.converse(questions)
        needed += model.keys
    kept.settle(needed)
    answered = []
    for question in questions:
        both = {
            name: turns[question.id] for name, turns in said.items() if len(turns[question.id]) == len(question.turns)
        }
        if len(both) == len(said):
            answered.append(set_answers(question, {name: (first, second) for name, (first, second) in both.items()}))
    return Conversations(answered, len(questions) - len(answered))


class _Talker:
    """One model in conversation."""

    def __init__(
        self, name: str, source: str, tokenizer: PreTrainedTokenizerBase, workspace: Workspace, kept: AnswerFile
    ) -> None:
        from groundtune.chat import stop_token_ids

        self._name = name
        self._source = source
        self._tokenizer = tokenizer
        self._config = workspace.config
        self._kept = kept
        self._stop_ids = stop_token_ids(tokenizer)
        self._known_as = known_as(source)
        self.keys: list[str] = []
        """Of all answers that were needed, in order."""

    @cached_property
    def _model(self) -> PreTrainedModel:
        from groundtune.models import load_model

        return load_model(self._source, tokenizer=self._tokenizer)

    def converse(self, questions: Sequence[SetQuestion]) -> Said:
        """Fewer answers than turns where the model takes no more."""
        said: dict[str, tuple[str, ...]] = {question.id: () for question in questions}
        for number in range(2):
            prompts = {
                question.id: self._prompt(question, said[question.id])
                for question in questions
                if len(said[question.id]) == number
            }
            for place, text in self._answers(prompts, f"everyday tasks, turn {number + 1}, {self._name}"):
                said[place] = (*said[place], text)
        return said

    def _prompt(self, question: SetQuestion, said: Sequence[str]) -> tuple[int, ...]:
        from groundtune.chat import render_prompt

        messages = []
        for turn, answer in zip(question.turns, said, strict=False):
            messages += [Message("user", turn), Message("assistant", answer)]
        return tuple(render_prompt(self._tokenizer, [*messages, Message("user", question.turns[len(said)])]))

    def _answers(self, prompts: Mapping[str, tuple[int, ...]], label: str) -> Iterator[tuple[str, str]]:
        keys = {
            place: answer_key(self._known_as, prompt, max_new_tokens=MOST_NEW_TOKENS, stop_ids=self._stop_ids)
            for place, prompt in prompts.items()
        }
        new = {key: prompts[place] for place, key in keys.items() if key not in self._kept}
        if new:
            keep_answers(
                self._fitting(new),
                self._model,
                self._tokenizer,
                self._kept,
                self._config,
                label=label,
                max_new_tokens=MOST_NEW_TOKENS,
            )
        for place, key in keys.items():
            if key in self._kept:
                self.keys.append(key)
                yield place, self._kept[key].text

    def _fitting(self, prompts: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        from groundtune.models import position_limit

        limit = position_limit(self._model)
        return {
            key: prompt for key, prompt in prompts.items() if limit is None or len(prompt) + MOST_NEW_TOKENS <= limit
        }
