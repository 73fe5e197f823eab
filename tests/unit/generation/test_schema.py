"""Items of an answer, one by one, in the two profiles; the JSON Schema that providers hold a model to."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from groundtune.generation.answers.schema import answer_schema, false_premise_schema, read_item

PAIR: dict[str, Any] = {
    "question": "Lot nedir?",
    "answer": "Bir parti.",
    "type": "factual",
    "difficulty": "easy",
    "evidence": [{"chunk": 1, "quote": "parti"}],
}
LATER = {**PAIR, "question": "Kim verir?"}


def test_a_conversation_is_read_as_its_turns_in_order() -> None:
    turns = read_item({**PAIR, "follow_ups": [LATER, {**LATER, "question": "Ne zaman?"}]}, "v1")
    assert [turn.question for turn in turns] == ["Lot nedir?", "Kim verir?", "Ne zaman?"]
    assert not any(hasattr(turn, "follow_ups") for turn in turns)


@pytest.mark.parametrize("item", [PAIR, {**PAIR, "follow_ups": []}, {**PAIR, "follow_ups": None}])
def test_a_single_question_of_v1_may_leave_out_its_follow_ups(item: dict[str, Any]) -> None:
    assert read_item(item, "v1") == read_item(PAIR, "v2")


@pytest.mark.parametrize(
    ("item", "profile"),
    [
        ({**PAIR, "follow_ups": [LATER]}, "v2"),
        ({**PAIR, "follow_ups": [LATER] * 3}, "v1"),
        ({**PAIR, "follow_ups": [{"question": "Kim verir?", "answer": "Şef."}]}, "v1"),
        ({**PAIR, "evidence": []}, "v2"),
        ({**PAIR, "evidence": [{"chunk": 0, "quote": "parti"}]}, "v2"),
        ({**PAIR, "type": "olgusal"}, "v2"),
        ({**PAIR, "note": ""}, "v2"),
        ("Lot nedir?", "v1"),
    ],
)
def test_an_item_of_another_shape_is_refused(item: Any, profile: Any) -> None:
    with pytest.raises(ValidationError):
        read_item(item, profile)


def _objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for item in schema for found in _objects(item)]
    if not isinstance(schema, dict):
        return []
    return [schema] * (schema.get("type") == "object") + _objects(list(schema.values()))


@pytest.mark.parametrize("schema", [answer_schema("v1"), answer_schema("v2"), false_premise_schema()])
def test_schemas_are_strict_and_hold_no_words_of_the_source_code(schema: dict[str, Any]) -> None:
    for item in _objects(schema):
        assert item["additionalProperties"] is False
        assert item["required"] == list(item["properties"])
        assert "title" not in item
        assert "description" not in item
