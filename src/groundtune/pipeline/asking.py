"""One model of an evaluation: its losses, its answers, and how fast they come."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.config import Config
from groundtune.pipeline.answers import AnswerFile, Kept, answer_key
from groundtune.pipeline.engine import hash_input, peak_memory_mib
from groundtune.pipeline.held_out import Measured
from groundtune.pipeline.prompting import Prompt
from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from groundtune.evaluation import Answered, Question, Speed, System, Timed

MOST_TIMED = 8
"""Questions asked alone, to see how long a person waits."""

MOST_TIMED_SECONDS = 60.0
"""No further question is timed after that."""


def known_as(source: str) -> str:
    """What a model is known by in the keys of its answers: the hash of its files; a hub id stands for itself."""
    return hash_input(Path(source)) if Path(source).exists() else source


def keep_answers(
    prompts: Mapping[str, Sequence[int]],
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    kept: AnswerFile,
    config: Config,
    *,
    label: str,
    max_new_tokens: int,
) -> None:
    """Greedy answers into `kept`, each as soon as it ends; in one stream, so that what several prompts have in common is
    computed once.

    Args:
        prompts: token ids, by the key of the answer.
    """
    from groundtune.chat import stop_token_ids
    from groundtune.models import cpu_threads, stream_answers
    from groundtune.progress import ProgressBar

    keys = list(prompts)
    with ProgressBar(label, total=len(keys), unit="questions") as bar, cpu_threads(config.train.threads):
        for place, answer in stream_answers(
            model,
            tokenizer,
            list(prompts.values()),
            max_new_tokens=max_new_tokens,
            batch_questions=config.evaluation.batch_questions,
            stop_ids=stop_token_ids(tokenizer),
        ):
            kept.add(Kept(keys[place], answer.text, answer.token_ids, answer.stopped))
            bar.advance()


class AskedModel:
    """Asked greedily and many at a time; what it has said before is not asked again."""

    def __init__(
        self,
        source: str,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        workspace: Workspace,
        kept: AnswerFile,
    ) -> None:
        from groundtune.chat import stop_token_ids

        self._model = model
        self._tokenizer = tokenizer
        self._config = workspace.config
        self._kept = kept
        self._stop_ids = stop_token_ids(tokenizer)
        self._known_as = known_as(source)
        self._prompts: list[Prompt] = []
        """Of the system that was asked last."""
        self._new = 0
        """Questions answered here, not before."""
        self._seconds = 0.0
        self.keys: list[str] = []
        """Of all answers this evaluation needs, in order."""

    def losses(self, measured: Measured) -> tuple[Sequence[float], Sequence[int]]:
        """Summed cross entropy and supervised tokens of each example."""
        from groundtune.training import measure_each_loss

        train = self._config.train
        return measure_each_loss(
            self._model,
            measured.examples,
            max_pack_tokens=train.max_pack_tokens,
            sharing=train.sharing,
            threads=train.threads,
        )

    def answer(self, questions: Sequence[Question], prompts: Sequence[Prompt], system: System) -> list[Answered]:
        """Each answer is on disk as soon as it ends."""
        from groundtune.evaluation import Answered

        keys = [self._key(prompt) for prompt in prompts]
        needed = {key: prompt for key, prompt in zip(keys, prompts, strict=True) if prompt.token_ids}
        self.keys += needed
        self._prompts = list(needed.values())
        self._ask({key: prompt for key, prompt in needed.items() if key not in self._kept}, len(needed), system)
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

    def _ask(self, prompts: dict[str, Prompt], needed: int, system: System) -> None:
        if not prompts:
            return
        kept = needed - len(prompts)
        began = time.perf_counter()
        keep_answers(
            {key: prompt.token_ids for key, prompt in prompts.items()},
            self._model,
            self._tokenizer,
            self._kept,
            self._config,
            label=f"{system.label} ({kept} answers kept from before)" if kept else system.label,
            max_new_tokens=self._config.evaluation.max_new_tokens,
        )
        self._seconds += time.perf_counter() - began
        self._new += len(prompts)

    def speed(self) -> Speed:
        """Of a few of the questions that were asked last, each alone."""
        import torch

        from groundtune.evaluation import Speed, typical
        from groundtune.models import cpu_threads

        with cpu_threads(self._config.train.threads) as threads:
            timed = self._timed()
        first_token_seconds, tokens_per_second = typical(timed)
        device = self._model.device
        on_gpu = device.type == "cuda"
        return Speed(
            questions=len(timed),
            first_token_seconds=first_token_seconds,
            tokens_per_second=tokens_per_second,
            batched_questions_per_second=self._new / self._seconds if self._new else None,
            weights_bytes=sum(each.numel() * each.element_size() for each in self._model.parameters()),
            parameters=self._model.num_parameters(),
            peak_memory_bytes=torch.cuda.max_memory_allocated(device) if on_gpu else round(peak_memory_mib() * 2**20),
            device=torch.cuda.get_device_name(device) if on_gpu else f"{device.type} ({threads} threads)",
        )

    def _timed(self) -> list[Timed]:
        from groundtune.evaluation import Timed

        count = min(MOST_TIMED, len(self._prompts))
        chosen = [self._prompts[len(self._prompts) * number // count] for number in range(count)]
        timed: list[Timed] = []
        began = time.perf_counter()
        for prompt in chosen:
            if not timed:
                # what is set up at the first call is no part of a wait
                self._time(prompt, 1)
            elif time.perf_counter() - began > MOST_TIMED_SECONDS:
                break
            first, _ = self._time(prompt, 1)
            whole, tokens = self._time(prompt, self._config.evaluation.max_new_tokens)
            timed.append(Timed(first, whole, tokens))
        return timed

    def _time(self, prompt: Prompt, max_new_tokens: int) -> tuple[float, int]:
        """Seconds of an answer of at most so many tokens, and how many it had."""
        from groundtune.models import generate_answers

        began = time.perf_counter()
        [answer] = generate_answers(
            self._model,
            self._tokenizer,
            [prompt.token_ids],
            max_new_tokens=max_new_tokens,
            batch_questions=1,
            stop_ids=self._stop_ids,
        )
        return time.perf_counter() - began, answer.new_tokens
