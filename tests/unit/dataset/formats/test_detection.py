from __future__ import annotations

from typing import Any

import pytest

from groundtune.dataset.formats import detect_format
from groundtune.errors import DataError

HUMAN = [{"from": "human", "value": "?"}, {"from": "gpt", "value": "!"}]
ROLES = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"instruction": "a", "input": "b", "output": "c"}, "alpaca"),
        ({"instruction": "a", "input": "b", "output": "c", "text": "all of it"}, "alpaca"),
        ({"instruction": "a", "context": "b", "response": "c", "category": "d"}, "alpaca"),
        ({"conversations": HUMAN}, "sharegpt"),
        ({"id": 1, "messages": HUMAN}, "sharegpt"),
        ({"messages": ROLES, "prompt": "?", "prompt_id": "x"}, "messages"),
        ({"conversations": ROLES}, "messages"),
        ({"prompt": "a", "completion": "b"}, "prompt_completion"),
        ({"question": "a", "answer": "b"}, "prompt_completion"),
        ({"prompt": "a", "chosen": "b", "rejected": "c"}, "preference"),
        ({"conversations": HUMAN[:1], "chosen": HUMAN[1], "rejected": HUMAN[1]}, "preference"),
        ({"instruction": "a", "input": "b", "chosen": "b", "rejected": "c"}, "preference"),
        ({"text": "a", "url": "b"}, "text"),
        ({"content": "a"}, "text"),
    ],
)
def test_format_is_seen_by_the_content(row: dict[str, Any], expected: str) -> None:
    assert detect_format([row]) == expected


def test_malformed_rows_do_not_hide_the_format() -> None:
    assert detect_format([{"mess": 1}, {"messages": "x"}, {"messages": []}, {"messages": ROLES}]) == "messages"


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"messages": ROLES, "prompt": "?", "chosen": ROLES, "rejected": ROLES}], "could be messages or preference"),
        ([{"instruction": "a", "output": "b", "conversations": HUMAN}], "could be alpaca or sharegpt; say which"),
        ([{"instruction": "a", "prompt": "a", "response": "b"}], "could be alpaca or prompt_completion"),
        ([{"conversations": [{**HUMAN[0], **ROLES[0]}]}], "could be sharegpt or messages"),
        ([{"conversations": HUMAN}, {"text": "a"}], "some rows look like sharegpt and others like text"),
        ([{"soru": "a", "cevap": "b"}], r"not known; their columns are soru, cevap\. Say it with `format: alpaca\|"),
    ],
)
def test_what_cannot_be_told_is_an_error_that_says_how_to_say_it(rows: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(DataError, match=words):
        detect_format(rows, where="data.jsonl")
