"""Ask a writer through the dispatcher: each request once in a lifetime, within the budget, everything answered kept.

What this module does not do: word requests, or judge answers beyond their form.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from groundtune.config import WriterConfig
from groundtune.dataset.augment.outcome import Augmented, NotMade, Refused
from groundtune.dataset.augment.rows import language_of
from groundtune.errors import GenerationError
from groundtune.llm import AnswerState, LLMClient, LLMRequest, LLMResponse, RequestRefused, TemporaryFailure
from groundtune.llm.dispatch import Dispatcher, run_all
from groundtune.progress import ProgressBar
from groundtune.types import Conversation, Language, LeftOut

_STATES: Mapping[NotMade, AnswerState] = {NotMade.DECLINED: "declined", NotMade.CUT: "truncated"}


class AnswerForm(BaseModel):
    """Base of what writers are asked for."""

    model_config = ConfigDict(extra="forbid", strict=True)


Form = TypeVar("Form", bound=AnswerForm)


@dataclass(frozen=True, slots=True)
class Answers:
    """By request key: the answer, or why the provider gave none."""

    by_key: Mapping[str, LLMResponse | Refused]
    asked: int
    reused: int

    def augmented(self, made: list[Conversation], left_out: list[LeftOut]) -> Augmented:
        """What was made of these answers."""
        answers = [each for each in self.by_key.values() if isinstance(each, LLMResponse)]
        read = sum(each.input_tokens + each.cache_read_tokens + each.cache_write_tokens for each in answers)
        return Augmented(made, left_out, self.asked, self.reused, read, sum(each.output_tokens for each in answers))


@dataclass(frozen=True, slots=True)
class Asker:
    """A model, and the dispatcher it is asked through."""

    client: LLMClient
    dispatcher: Dispatcher
    config: WriterConfig

    @property
    def writer(self) -> str:
        return self.client.writer

    def request(self, system: str, prompt: str, form: type[AnswerForm]) -> LLMRequest:
        """A request for an answer of `form`, set as the configuration says."""
        parameters: dict[str, float] = {"max_tokens": self.config.max_output_tokens}
        if self.config.temperature is not None:
            parameters["temperature"] = self.config.temperature
        return LLMRequest(system, prompt, _schema_of(form), self.client.model, parameters)

    async def ask_all(
        self, requests: Sequence[tuple[LLMRequest, Language]], form: type[AnswerForm], *, kind: str, label: str
    ) -> Answers:
        """The answer to each of `requests`; equal ones are sent once, and those in the ledger not at all.

        Args:
            kind: for the ledger's tags: ``rephrase``.
            label: of the progress bar.

        Raises:
            GenerationError: the account, the budget or the user ended it, or some requests got no answer in this run. What was
                answered is in the ledger.
        """
        found: dict[str, LLMResponse | Refused] = {}
        unanswered: list[TemporaryFailure] = []
        distinct = {request.key: (request, language) for request, language in requests}
        before = self.dispatcher.progress
        with ProgressBar(label, total=len(distinct), unit="requests") as bar:

            async def ask(request: LLMRequest, language: Language) -> None:
                tags = {"purpose": f"augment {kind}", "language": language}
                try:
                    found[request.key] = await self.dispatcher.ask(request, tags=tags, classify=_classifier(form))
                except RequestRefused as refusal:
                    found[request.key] = Refused(NotMade.PROVIDER_REFUSED, str(refusal))
                except TemporaryFailure as failure:
                    unanswered.append(failure)
                bar.advance()

            await run_all((partial(ask, *each) for each in distinct.values()), self.dispatcher)
        if unanswered:
            raise GenerationError(
                f"{label}: {len(unanswered)} of {len(distinct)} requests got no answer (the last: {unanswered[-1]}); what was "
                "answered is kept, and the same command asks for the rest"
            )
        after = self.dispatcher.progress
        # in the order asked for, whatever came first
        by_key = {key: found[key] for key in distinct}
        return Answers(by_key, asked=after.answered - before.answered, reused=after.reused - before.reused)

    async def ask_of(
        self,
        rows: Sequence[Conversation],
        requests: Sequence[LLMRequest | Refused],
        form: type[AnswerForm],
        *,
        kind: str,
        label: str,
    ) -> tuple[Answers, list[LLMResponse | Refused]]:
        """What came of the request of each of `rows`, in their order; why not, where there could be none. Raises as `ask_all`."""
        asked = [
            (request, language_of(row))
            for row, request in zip(rows, requests, strict=True)
            if isinstance(request, LLMRequest)
        ]
        answers = await self.ask_all(asked, form, kind=kind, label=label)
        return answers, [
            request if isinstance(request, Refused) else answers.by_key[request.key] for request in requests
        ]


def parse(response: LLMResponse, form: type[Form]) -> Form:
    """The answer as `form`; words around its JSON are passed over. Raises `Refused`."""
    if response.stop_reason == "refusal":
        raise Refused(NotMade.DECLINED, response.text)
    if response.stop_reason == "max_tokens":
        raise Refused(NotMade.CUT, f"after {response.output_tokens} tokens")
    text = response.text
    try:
        return form.model_validate_json(text[text.find("{") : text.rfind("}") + 1] or text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "answer"
        raise Refused(NotMade.NOT_OF_FORM, f"{place}: {first['msg'].lower()}") from error


def _classifier(form: type[AnswerForm]) -> Callable[[LLMResponse], AnswerState]:
    def classify(response: LLMResponse) -> AnswerState:
        try:
            parse(response, form)
        except Refused as refused:
            return _STATES.get(refused.reason, "malformed")
        return "complete"

    return classify


def _schema_of(form: type[AnswerForm]) -> dict[str, object]:
    """JSON Schema, as plain JSON."""
    schema: dict[str, object] = json.loads(json.dumps(form.model_json_schema()))
    return schema
