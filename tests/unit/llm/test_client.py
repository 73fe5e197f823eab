"""Requests are addressed by their content."""

from dataclasses import replace

import pytest

from groundtune.llm import LLMRequest

REQUEST = LLMRequest("sistem", "istem", {"type": "object"}, "model-a", {"temperature": 0.0, "max_tokens": 10})


def test_equal_requests_have_equal_keys_whatever_the_order_of_their_parameters() -> None:
    again = LLMRequest("sistem", "istem", {"type": "object"}, "model-a", {"max_tokens": 10, "temperature": 0.0})
    assert REQUEST.key == again.key
    assert len(REQUEST.key) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"system": "başka"},
        {"prompt": "istem "},
        {"schema": {"type": "array"}},
        {"model": "model-b"},
        {"parameters": {"temperature": 0.5, "max_tokens": 10}},
    ],
)
def test_a_change_of_any_field_changes_the_key(change: dict[str, object]) -> None:
    assert replace(REQUEST, **change).key != REQUEST.key  # type: ignore[arg-type]


def test_text_may_not_move_between_fields_without_changing_the_key() -> None:
    one = replace(REQUEST, system="ab", prompt="c")
    assert one.key != replace(REQUEST, system="a", prompt="bc").key


def test_an_unpaired_surrogate_does_not_break_the_key() -> None:
    assert replace(REQUEST, prompt="\ud800").key != REQUEST.key
