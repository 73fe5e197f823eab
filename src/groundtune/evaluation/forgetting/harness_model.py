"""The model as lm-evaluation-harness asks it: its own Hugging Face model, which notes every answer. Importing it loads lm_eval."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from lm_eval.models.huggingface import HFLM

from groundtune.errors import DataError
from groundtune.files import make_folder, read_text, write_text, writing
from groundtune.progress import ProgressBar

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NOTED_REQUESTS = 128
"""Requests that are answered and noted together: a killed run asks at most so many again."""


class NotingModel(HFLM):
    """Answers of a run that was killed are found again, since requests are known by what they say."""

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        batch_size: int,
        journal: Path,
        label: str,
        stderr: TextIO,
    ) -> None:
        super().__init__(pretrained=model, tokenizer=tokenizer, backend="causal", batch_size=batch_size)
        self._journal = journal
        self._noted = _read(journal)
        self._label = label
        self._stderr = stderr
        self.shortened = 0
        """Requests whose beginning was cut off, because the model has no room for them."""

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        # the last token is predicted and takes no room
        self._count_shortened(("".join(request.args) for request in requests), self.max_length + 1)
        found = self._answered("loglikelihood", requests, super().loglikelihood)
        return [(float(nats), bool(greedy)) for nats, greedy in found]

    def loglikelihood_rolling(self, requests: list[Any], **_: Any) -> list[float]:
        return self._answered("loglikelihood_rolling", requests, super().loglikelihood_rolling)

    def generate_until(self, requests: list[Any], **_: Any) -> list[str]:
        longest = (int(request.args[1].get("max_gen_toks", self.max_gen_toks)) for request in requests)
        self._count_shortened((request.args[0] for request in requests), self.max_length - max(longest, default=0))
        return self._answered("generate_until", requests, super().generate_until)

    def _count_shortened(self, texts: Iterable[str], room: int) -> None:
        self.shortened += sum(len(self.tok_encode(text)) > room for text in texts)

    def _answered(self, kind: str, requests: Sequence[Any], ask: Callable[..., Sequence[Any]]) -> list[Any]:
        keys = [_key(kind, request.args, number) for number, request in enumerate(requests)]
        new = [place for place, key in enumerate(keys) if key not in self._noted]
        with (
            contextlib.redirect_stderr(self._stderr),
            ProgressBar(self._label, total=len(requests), unit="requests") as bar,
        ):
            bar.advance(len(requests) - len(new))
            for start in range(0, len(new), NOTED_REQUESTS):
                some = new[start : start + NOTED_REQUESTS]
                answers = ask([requests[place] for place in some], disable_tqdm=True)
                self._note({keys[place]: answer for place, answer in zip(some, answers, strict=True)})
                bar.advance(len(some))
        return [self._noted[key] for key in keys]

    def _note(self, answers: dict[str, Any]) -> None:
        self._noted |= answers
        make_folder(self._journal.parent)
        with writing(self._journal), self._journal.open("a", encoding="utf-8") as stream:
            stream.write(
                "".join(json.dumps([key, answer], ensure_ascii=False) + "\n" for key, answer in answers.items())
            )


def _key(kind: str, arguments: tuple[Any, ...], number: int) -> str:
    """Of samples that are drawn, each stands for itself."""
    drawn = [number] if any(isinstance(each, dict) and each.get("do_sample") for each in arguments) else []
    told = json.dumps([kind, arguments, *drawn], ensure_ascii=False, default=str)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()


def _read(journal: Path) -> dict[str, Any]:
    """What is noted; a last line that a kill cut off is dropped."""
    if not journal.exists():
        return {}
    whole, _, cut = read_text(journal).rpartition("\n")
    if cut:
        write_text(journal, whole + "\n" if whole else "")
    try:
        return dict(json.loads(line) for line in whole.split("\n") if line)
    except ValueError as error:
        raise DataError(
            f"{journal}: not the answers of a benchmark ({error}); delete the file, and run the same command again"
        ) from error
