"""Ask a writer, several requests at a time, each only once in a lifetime.

What this module does not do: build requests, or judge answers beyond their form.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from groundtune.dataset.augment.outcome import NotMade, Refused
from groundtune.dataset.augment.recorder import Recorder
from groundtune.llm import LLMClient, LLMRequest, LLMResponse
from groundtune.progress import ProgressBar

_Finish = Callable[[LLMRequest, LLMResponse], None]

IN_FLIGHT = 8
"""Requests that wait for an answer at the same time."""


class AnswerForm(BaseModel):
    """Base of what writers are asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)


Form = TypeVar("Form", bound=AnswerForm)


@dataclass(frozen=True, slots=True)
class Answers:
    """By request key."""

    by_key: dict[str, LLMResponse]
    asked: int
    reused: int

    @property
    def tokens(self) -> tuple[int, int]:
        """Input and output."""
        answers = self.by_key.values()
        return sum(each.input_tokens for each in answers), sum(each.output_tokens for each in answers)


def ask_all(requests: Sequence[LLMRequest], client: LLMClient, recorder: Recorder, *, label: str) -> Answers:
    """The answer to each of `requests`; equal ones are sent once, and those in `recorder` not at all.

    Raises:
        GenerationError: the writer gave up; what was answered until then is in `recorder`.
    """
    found: dict[str, LLMResponse] = {}
    missing: dict[str, LLMRequest] = {}
    for request in requests:
        key = request.key
        if key in found or key in missing:
            continue
        answer = recorder.get(key)
        if answer is None:
            missing[key] = request
        else:
            found[key] = answer
    reused = len(found)
    with ProgressBar(label, total=len(found) + len(missing), unit="requests") as bar:
        bar.advance(reused)

        def finish(request: LLMRequest, response: LLMResponse) -> None:
            recorder.put(request, response)
            found[request.key] = response
            bar.advance()

        asyncio.run(_ask(list(missing.values()), client, finish))
    return Answers(found, asked=len(missing), reused=reused)


def parse(response: LLMResponse, form: type[Form]) -> Form:
    """The answer as `form`. Raises `Refused`."""
    if response.stop_reason == "refusal":
        raise Refused(NotMade.DECLINED, response.text)
    if response.stop_reason == "max_tokens":
        raise Refused(NotMade.CUT, f"after {response.output_tokens} tokens")
    try:
        return form.model_validate_json(response.text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "answer"
        raise Refused(NotMade.NOT_OF_FORM, f"{place}: {first['msg'].lower()}") from error


def schema_of(form: type[AnswerForm]) -> dict[str, object]:
    """JSON Schema, as plain JSON."""
    schema: dict[str, object] = json.loads(json.dumps(form.model_json_schema()))
    return schema


async def _ask(requests: Sequence[LLMRequest], client: LLMClient, finish: _Finish) -> None:
    """`IN_FLIGHT` at a time. After a failure nothing new is sent, and what is in flight is still kept."""
    waiting = iter(requests)
    failures: list[BaseException] = []

    async def work() -> None:
        for request in waiting:
            if failures:
                return
            try:
                finish(request, await client.complete(request))
            except BaseException as error:
                failures.append(error)
                raise

    outcomes = await asyncio.gather(*(work() for _ in range(min(IN_FLIGHT, len(requests)))), return_exceptions=True)
    for outcome in (*failures, *outcomes):
        if isinstance(outcome, BaseException):
            raise outcome
