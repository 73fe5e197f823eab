import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from groundtune.llm.providers.schemas import schema_in_words, strict_schema


class Quote(BaseModel):
    """Where an answer rests."""

    chunk: int = Field(ge=1, description="Number of the passage")
    text: str = Field(min_length=1)


class Pair(BaseModel):
    question: str
    kind: str = Field("how", pattern="^[a-z]+$")
    note: str | None = None
    evidence: list[Quote] = Field(min_length=1, max_length=4)


class Pairs(BaseModel):
    pairs: list[Pair]


def _objects(schema: Any) -> list[dict[str, Any]]:
    found = []
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            found.append(schema)
        for value in schema.values():
            found += _objects(value)
    elif isinstance(schema, list):
        for value in schema:
            found += _objects(value)
    return found


def _keywords(schema: dict[str, Any]) -> set[str]:
    """Keywords, not names of properties or definitions."""
    names = set(schema)
    for group in ("properties", "$defs"):
        for part in schema.get(group, {}).values():
            names |= _keywords(part)
    for part in [schema.get("items", {}), *schema.get("anyOf", [])]:
        names |= _keywords(part) if part else set()
    return names


def test_a_pydantic_schema_becomes_strict() -> None:
    strict = strict_schema(Pairs.model_json_schema())
    assert strict is not None
    assert len(_objects(strict)) == 3
    for part in _objects(strict):
        assert part["additionalProperties"] is False
        assert part["required"] == list(part["properties"])
    allowed = {
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "anyOf",
        "$ref",
        "$defs",
        "title",
        "description",
    }
    assert _keywords(strict) <= allowed


def test_bounds_are_said_in_the_description() -> None:
    strict = strict_schema(Pairs.model_json_schema())
    assert strict is not None
    assert strict["$defs"]["Quote"]["properties"]["chunk"]["description"] == "Number of the passage (minimum: 1)"
    assert "minItems: 1, maxItems: 4" in strict["$defs"]["Pair"]["properties"]["evidence"]["description"].replace(
        "maxItems: 4, minItems: 1", "minItems: 1, maxItems: 4"
    )


def test_the_given_schema_is_left_as_it_is() -> None:
    schema = Pairs.model_json_schema()
    before = json.dumps(schema)
    strict_schema(schema)
    assert json.dumps(schema) == before


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object"},
        {"type": "object", "additionalProperties": {"type": "string"}, "properties": {"a": {"type": "string"}}},
        {"type": "object", "properties": {"a": {"not": {"type": "string"}}}},
        {"type": "object", "properties": {"a": True}},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}, {"type": "string"}]}}},
    ],
)
def test_what_strict_decoding_cannot_hold_has_no_strict_form(schema: dict[str, Any]) -> None:
    assert strict_schema(schema) is None


_LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": "integer", "minimum": 2}, {"enum": ["a", "b"]}, {"type": ["string", "null"]}]
)
_SCHEMAS = st.recursive(
    _LEAVES,
    lambda parts: st.one_of(
        parts.map(lambda part: {"type": "array", "items": part, "maxItems": 3}),
        st.dictionaries(st.text("abc", min_size=1), parts, min_size=1, max_size=3).map(
            lambda properties: {"type": "object", "properties": properties}
        ),
    ),
    max_leaves=8,
)


@given(_SCHEMAS)
def test_a_strict_schema_is_its_own_strict_form(part: dict[str, Any]) -> None:
    strict = strict_schema({"type": "object", "properties": {"answer": part}})
    assert strict is not None
    assert strict_schema(strict) == strict


def test_the_words_hold_the_schema_and_say_json() -> None:
    words = schema_in_words({"type": "object", "title": "Çiftler"})
    assert "JSON" in words
    assert '{"type":"object","title":"Çiftler"}' in words
