"""The shape of a writer's answer: what is asked for as JSON Schema and what comes back.

Three shapes, all ``{"pairs": [...]}``, so that one parser cuts them into items:

- ``v2``: items are `AnswerPair`;
- ``v1``: items are `AnswerConversation`, a pair that may go on in `follow_ups`;
- false premises: items are `FalsePremise` (:mod:`groundtune.generation.unanswerable.false_premise`).

Items are validated one by one, so that a bad one costs only itself: `read_item`. What this module does not do: parse
text, or check a value against the chunks.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from groundtune.types import Difficulty, QuestionType

Profile = Literal["v1", "v2"]

MAX_FOLLOW_UPS = 2
"""Of a conversation: two or three turns in all."""

Text = Annotated[str, Field(min_length=1)]


class AnswerQuote(BaseModel):
    """A verbatim quote from a numbered passage."""

    model_config = ConfigDict(extra="forbid")

    chunk: int = Field(ge=1, description="Number of the passage, as in [3]")
    quote: Text = Field(description="Copied letter by letter from that passage")


class AnswerPair(BaseModel):
    """One question with its answer, as a writer hands it in."""

    model_config = ConfigDict(extra="forbid")

    question: Text
    answer: Text
    type: QuestionType
    difficulty: Difficulty
    evidence: list[AnswerQuote] = Field(min_length=1)


class Answer(BaseModel):
    """The whole answer to one request."""

    model_config = ConfigDict(extra="forbid")

    pairs: list[AnswerPair]


class AnswerConversation(AnswerPair):
    """A pair, and what the same user goes on to ask: each follow-up is a pair of its own, with evidence of its own.

    In the JSON Schema `follow_ups` is required, because strict schemas know no optional fields; an answer that leaves it
    out (the offline writer, a server held by the prompt alone) is read as one without follow-ups.
    """

    follow_ups: list[AnswerPair] = Field(
        max_length=MAX_FOLLOW_UPS, description="Later turns of the same conversation; empty for a single question"
    )

    @model_validator(mode="before")
    @classmethod
    def _none_is_empty(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("follow_ups") is None:
            return {**value, "follow_ups": []}
        return value


class ConversationAnswer(BaseModel):
    """The whole answer to one request of profile ``v1``."""

    model_config = ConfigDict(extra="forbid")

    pairs: list[AnswerConversation]


class FalsePremise(BaseModel):
    """A question that takes for granted what the passages contradict."""

    model_config = ConfigDict(extra="forbid")

    question: Text
    assumption: Text = Field(description="What the question wrongly takes for granted, in one sentence")
    evidence: list[AnswerQuote] = Field(min_length=1, description="What in the passages contradicts the assumption")


class FalsePremiseAnswer(BaseModel):
    """The whole answer to a request for false premises."""

    model_config = ConfigDict(extra="forbid")

    pairs: list[FalsePremise]


def answer_schema(profile: Profile = "v2") -> dict[str, Any]:
    """JSON Schema of the whole answer, for providers that hold a model to it."""
    return _bare(Answer if profile == "v2" else ConversationAnswer)


def false_premise_schema() -> dict[str, Any]:
    """JSON Schema of an answer to a request for false premises."""
    return _bare(FalsePremiseAnswer)


def read_item(value: Any, profile: Profile = "v2") -> tuple[AnswerPair, ...]:
    """The turns of one item of ``pairs``, first to last; one turn for ``v2``.

    The pair of turn n has the turns before it as its history, so where a turn is not accepted, those after it, whose
    history it is, cannot be either.

    Raises:
        pydantic.ValidationError: the item, or a follow-up of it, does not fit.

    >>> first = {"question": "Lot?", "answer": "Bir parti.", "type": "factual", "difficulty": "easy",
    ...          "evidence": [{"chunk": 1, "quote": "parti"}]}
    >>> [turn.question for turn in read_item({**first, "follow_ups": [{**first, "question": "Kim verir?"}]}, "v1")]
    ['Lot?', 'Kim verir?']
    """
    if profile == "v2":
        return (AnswerPair.model_validate(value),)
    item = AnswerConversation.model_validate(value)
    return (AnswerPair(**item.model_dump(exclude={"follow_ups"})), *item.follow_ups)


@cache
def _bare(model: type[BaseModel]) -> dict[str, Any]:
    """Made once, for pydantic takes milliseconds and every request has it; nobody may change it. The schema without class docstrings and titles: they are written for readers of this file, cost input tokens, and
    a word changed in one would change the key of every request."""
    schema = model.model_json_schema()
    for definition in (schema, *schema["$defs"].values()):
        definition.pop("description", None)
        definition.pop("title", None)
        for field in definition.get("properties", {}).values():
            field.pop("title", None)
    return schema
