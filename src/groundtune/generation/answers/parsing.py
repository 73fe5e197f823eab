"""A writer's raw answer as pairs handed in, and what its shape calls for: nothing, the rest, another try, giving up.

A malformed answer has a reason that can be quoted to the writer. A pair that has the wrong shape among good ones costs only
itself and is no matter of this module; an answer of nothing but such pairs is malformed. What this module does not do:
judge what a pair says (:mod:`groundtune.generation.verification` does).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from groundtune.generation.answers.json_reading import Read, UnreadableError, read_elements, read_object
from groundtune.generation.answers.schema import AnswerConversation, FalsePremise
from groundtune.llm import AnswerState, LLMResponse, StopReason

KEY = "pairs"
DECLINED = "the writer declined to answer"


@dataclass(frozen=True, slots=True)
class Parsed:
    """What an answer holds."""

    state: AnswerState
    pairs: tuple[dict[str, Any], ...] = ()
    """As they were handed in, each of them complete. What stands in the list and is no object is here as ``{"value": it}``, so
    that it is rejected by its shape and counted."""
    error: str = ""
    """Of an answer that is not complete: what is wrong with it, in words the writer can be shown."""
    repaired: bool = False
    """Whether prose, fences or punctuation were mended."""


def parse_answer(text: str, stop_reason: StopReason = "end") -> Parsed:
    """Read `text`. Never raises, whatever it is.

    >>> parse_answer('{"pairs": []}')
    Parsed(state='complete', pairs=(), error='', repaired=False)
    >>> parse_answer('{"pairs": [{"question": "Wh', "max_tokens").state
    'truncated'
    """
    if stop_reason == "refusal":
        return Parsed("declined", error=DECLINED)
    try:
        whole = _complete(read_object(text, KEY))
        # a service that hands in whole messages mends a tool's input that it cut: the rest has to be asked for all the same
        if stop_reason == "max_tokens" and whole.state == "complete":
            return replace(whole, state="truncated", error="the answer was cut at max_output_tokens")
        return whole
    except UnreadableError as error:
        if not error.ends_early:
            return Parsed("malformed", error=str(error))
        cut = _cut(text, error)
    # a writer that stops by itself before its first pair is whole is asked again, not for the rest
    return (
        Parsed("malformed", error=cut.error)
        if stop_reason == "end" and cut.state == "truncated" and not cut.pairs
        else cut
    )


def classify(response: LLMResponse) -> AnswerState:
    """The state of an answer, for the ledger."""
    return parse_answer(response.text, response.stop_reason).state


def shape_error(value: dict[str, Any]) -> str | None:
    """What is wrong with the shape of one item of any profile: field and reason; None where nothing is."""
    shape = FalsePremise if "assumption" in value else AnswerConversation
    try:
        shape.model_validate(value)
    except ValidationError as error:
        return first_fault(error)
    return None


def first_fault(error: ValidationError) -> str:
    """Field and reason of the first thing that does not fit."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    return f"{field}: {first['msg'].lower()}" if field else str(first["msg"]).lower()


def _complete(read: Read) -> Parsed:
    pairs = read.value[KEY]
    if not isinstance(pairs, list):
        return Parsed("malformed", error=f"{KEY}: expected a list, found {type(pairs).__name__}")
    items = _objects(pairs)
    faults = [(number, fault) for number, item in enumerate(items) if (fault := shape_error(item))]
    # after a repair one such pair is enough: what was mended may have come out as another field
    if faults and (len(faults) == len(items) or read.mended == "inside"):
        number, fault = faults[0]
        return Parsed("malformed", error=f"{KEY}.{number}.{fault}")
    return Parsed("complete", items, repaired=bool(read.mended))


def _cut(text: str, error: UnreadableError) -> Parsed:
    try:
        elements = read_elements(text, error.start, KEY)
    except UnreadableError as other:
        return Parsed("malformed", error=str(other))
    if elements.closed:  # only the last brace is missing
        return _complete(Read({KEY: elements.values}, "around"))
    return Parsed("truncated", _objects(elements.values), error=str(error))


def _objects(values: list[Any]) -> tuple[dict[str, Any], ...]:
    return tuple(value if isinstance(value, dict) else {"value": value} for value in values)
