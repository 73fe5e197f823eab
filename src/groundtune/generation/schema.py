"""The shape of a writer's answer: what is asked for as JSON Schema and what comes back."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from groundtune.types import Difficulty, QuestionType

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


def answer_schema() -> dict[str, Any]:
    """JSON Schema of `Answer`, for providers that hold a model to it."""
    return Answer.model_json_schema()
