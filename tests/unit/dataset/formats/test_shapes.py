"""What the shapes of rows mean, and why a row of theirs is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import SourceConfig
from groundtune.dataset.formats import Reason, read_source
from groundtune.errors import ConfigError
from groundtune.types import Conversation, LeftOut, Message, ToolCall

U, A = "user", "assistant"


def read_row(tmp_path: Path, row: Any, **options: Any) -> Conversation | LeftOut:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([row]), encoding="utf-8")
    (record,) = read_source(SourceConfig(path=str(path), **options), folder=tmp_path, registry=None)
    return record


def conversation(tmp_path: Path, row: Mapping[str, Any], **options: Any) -> Conversation:
    record = read_row(tmp_path, row, **options)
    assert isinstance(record, Conversation), record
    return record


def left_out(tmp_path: Path, row: Any, **options: Any) -> tuple[str, str]:
    record = read_row(tmp_path, row, **options)
    assert isinstance(record, LeftOut), record
    return record.reason, record.field


def said(record: Conversation) -> list[tuple[str, str]]:
    return [(turn.role, turn.content) for turn in record.messages]


def test_alpaca_with_everything(tmp_path: Path) -> None:
    row = {
        "instruction": "Translate.",
        "input": "elma",
        "output": "apple",
        "system": "Be short.",
        "history": [["Hi", "Hello"]],
        "text": "### Instruction: ...",
        "category": "translation",
    }
    record = conversation(tmp_path, row)
    assert said(record) == [("system", "Be short."), (U, "Hi"), (A, "Hello"), (U, "Translate.\nelma"), (A, "apple")]
    assert record.fields == {"text": "### Instruction: ...", "category": "translation"}


def test_the_usual_role_names_of_sharegpt(tmp_path: Path) -> None:
    names = ["system", "human", "gpt", "user", "chatgpt", "human", "bard", "human", "model", "tool", "Assistant"]
    record = conversation(tmp_path, {"conversations": [{"from": name, "value": name} for name in names], "id": "x1"})
    roles = ["system", U, A, U, A, U, A, U, A, "tool", A]
    assert [turn.role for turn in record.messages] == roles
    assert record.fields == {"id": "x1"}


def test_function_call_and_observation_of_sharegpt(tmp_path: Path) -> None:
    call = {"name": "hava", "arguments": {"şehir": "İzmir"}}
    turns = [
        {"from": "human", "value": "Hava?"},
        {"from": "function_call", "value": json.dumps(call, ensure_ascii=False)},
        {"from": "observation", "value": '{"derece": 21}'},
        {"from": "gpt", "value": "21 derece."},
    ]
    tools = json.dumps([{"name": "hava", "parameters": {}}])
    record = conversation(tmp_path, {"conversations": turns, "tools": tools})
    assert record.messages[1] == Message(A, "", tool_calls=(ToolCall("hava", '{"şehir": "İzmir"}'),))
    assert record.messages[2].role == "tool"
    assert record.tools == ('{"type": "function", "function": {"name": "hava", "parameters": {}}}',)


def test_openai_messages_with_tools_parts_and_weights(tmp_path: Path) -> None:
    row = {
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": " kind."}]},
            {"role": "user", "content": "2+2?", "name": "ada"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "add", "arguments": '{"a":2,  "b":2}'}},
                    {"id": "c2", "type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
                ],
                "weight": 0,
            },
            {"role": "tool", "tool_call_id": "c1", "content": "4"},
            {
                "role": "assistant",
                "content": "4",
                "train": False,
                "reasoning_content": "2+2 is 4",
                "refusal": None,
                "id": 7,
            },
        ]
    }
    record = conversation(tmp_path, row)
    assert record.messages == (
        Message("system", "Be kind."),
        Message(U, "2+2?", name="ada"),
        Message(
            A, "", tool_calls=(ToolCall("add", '{"a":2,  "b":2}', "c1"), ToolCall("add", '{"a": 1}', "c2")), weight=0.0
        ),
        Message("tool", "4", tool_call_id="c1"),
        Message(A, "4", "2+2 is 4", train=False),
    )
    assert record.fields == {"messages[4].id": 7}


def test_the_old_function_call_of_openai(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "1"},
        {"role": "assistant", "content": "1"},
    ]
    record = conversation(tmp_path, {"messages": turns})
    assert record.messages[1].tool_calls == (ToolCall("f", "{}"),)
    assert record.messages[2] == Message("tool", "1", name="f")


def test_thoughts_and_calls_that_are_parts_of_the_content(tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": [{"type": "text", "value": "?"}], "loss_weight": 0.0},
        {
            "role": "assistant",
            "content": [
                {"type": "reasoning", "value": "hm"},
                {"type": "tool_call", "value": '{"name": "f", "arguments": {"a": 1}}'},
            ],
        },
    ]
    record = conversation(tmp_path, {"messages": turns})
    assert record.messages[1] == Message(A, "", "hm", (ToolCall("f", '{"a": 1}'),))
    assert record.messages[0].weight == 0.0


def test_thoughts_leave_the_text_only_where_they_can_go_back(tmp_path: Path) -> None:
    turns = [
        {"from": "human", "value": "?"},
        {"from": "gpt", "value": "<think>\nhm\n</think>\n\nyes"},
        {"from": "human", "value": "?"},
        {"from": "gpt", "value": "<think>hm</think> yes"},
        {"from": "human", "value": "<think>\nhm\n</think>\n\nuser"},
        {"from": "function_call", "value": '<think>\nhm\n</think>\n\n{"name": "f", "arguments": {}}'},
    ]
    record = conversation(tmp_path, {"conversations": turns})
    assert [(turn.thinking, turn.content) for turn in record.messages[1::2]] == [
        ("hm", "yes"),
        ("", "<think>hm</think> yes"),
        ("hm", ""),
    ]
    assert record.messages[4].content == "<think>\nhm\n</think>\n\nuser"


def test_prompt_and_completion_as_text_and_as_messages(tmp_path: Path) -> None:
    assert said(conversation(tmp_path, {"prompt": "1+1", "completion": "2"})) == [(U, "1+1"), (A, "2")]
    prompt = [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v"))]
    record = conversation(tmp_path, {"prompt": prompt, "completion": [{"role": "assistant", "content": "b"}]})
    assert said(record) == [("system", "s"), (U, "u"), (A, "a"), (U, "v"), (A, "b")]
    # what stands in the prompt is given, not learnt
    assert [turn.train for turn in record.messages] == [None, None, False, None, None]


def test_preference_pairs_of_every_spelling_are_the_same_conversation(tmp_path: Path) -> None:
    def turn(role: str, text: str) -> dict[str, str]:
        return {"role": role, "content": text}

    explicit = {"prompt": "Selam", "chosen": "Merhaba!", "rejected": "Ne?"}
    messages = {
        "prompt": [turn("user", "Selam")],
        "chosen": [turn("assistant", "Merhaba!")],
        "rejected": [turn("assistant", "Ne?")],
    }
    implicit = {
        "chosen": [turn("user", "Selam"), turn("assistant", "Merhaba!")],
        "rejected": [turn("user", "Selam"), turn("assistant", "Ne?")],
    }
    factory = {
        "conversations": [{"from": "human", "value": "Selam"}],
        "chosen": {"from": "gpt", "value": "Merhaba!"},
        "rejected": {"from": "gpt", "value": "Ne?"},
    }
    transcript = {"chosen": "\n\nHuman: Selam\n\nAssistant: Merhaba!", "rejected": "\n\nHuman: Selam\n\nAssistant: Ne?"}
    for row in (explicit, messages, implicit, factory, transcript):
        record = conversation(tmp_path, row)
        assert record.kind == "preference"
        assert said(record) == [(U, "Selam"), (A, "Merhaba!")]
        assert record.rejected == (Message(A, "Ne?"),)
        assert record.fields == {}


def test_columns_that_a_prompt_of_messages_has_no_use_for_are_kept(tmp_path: Path) -> None:
    prompt, answer = [{"role": "user", "content": "?"}], "b"
    row = {"prompt": prompt, "context": "c", "images": []}
    assert conversation(tmp_path, {**row, "completion": answer}).fields == {"context": "c", "images": []}
    assert conversation(tmp_path, {**row, "chosen": answer, "rejected": "d"}).fields == {"context": "c", "images": []}
    assert conversation(tmp_path, {**row, "prompt": "?", "completion": answer}).messages[0].content == "?\nc"


def test_preference_answers_are_cut_behind_the_last_user_turn(tmp_path: Path) -> None:
    shared = [
        {"role": "user", "content": "?"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
        {"role": "tool", "content": "1"},
    ]
    good, bad = [{"role": "assistant", "content": text} for text in ("1", "2")]
    record = conversation(tmp_path, {"prompt": shared, "chosen": [good], "rejected": [bad], "messages": []})
    assert [turn.role for turn in record.rejected] == [A, "tool", A]
    assert record.fields == {"messages": []}


def test_kto_labels(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}]
    assert conversation(tmp_path, {"messages": turns, "label": False}).desired is False
    assert conversation(tmp_path, {"prompt": "a", "completion": "b", "label": True}).desired is True
    assert conversation(tmp_path, {"instruction": "a", "output": "b", "kto_tag": True}).desired is True
    assert left_out(tmp_path, {"messages": turns, "kto_tag": "good"}) == (Reason.LABEL, "kto_tag")
    # a class is no verdict, unless the configuration says so
    record = conversation(tmp_path, {"messages": turns, "label": "sport"})
    assert (record.desired, record.fields) == (None, {"label": "sport"})
    assert left_out(tmp_path, {"messages": turns, "label": "sport"}, columns={"label": "label"})[0] == Reason.LABEL


def test_language_is_a_code_and_otherwise_a_column(tmp_path: Path) -> None:
    row = {"instruction": "a", "output": "b"}
    assert conversation(tmp_path, {**row, "language": "tr"}).language == "tr"
    record = conversation(tmp_path, {**row, "language": "python"}, language="en")
    assert (record.language, record.fields) == ("en", {"language": "python"})


def test_said_columns_and_tags_are_obeyed(tmp_path: Path) -> None:
    row = {"dialog": [{"who": "Müşteri", "says": "?"}, {"who": "Temsilci", "says": "!"}], "persona": "Sen bir ERP'sin."}
    record = conversation(
        tmp_path,
        row,
        format="sharegpt",
        columns={"messages": "dialog", "system": "persona"},
        tags={"role_tag": "who", "content_tag": "says", "user_tag": "Müşteri", "assistant_tag": "Temsilci"},
    )
    assert said(record) == [("system", "Sen bir ERP'sin."), (U, "?"), (A, "!")]
    assert said(conversation(tmp_path, {"q": "a", "a": "b"}, columns={"prompt": "q", "response": "a"})) == [
        (U, "a"),
        (A, "b"),
    ]
    assert conversation(tmp_path, {"body": "long"}, columns={"text": "body"}).text == "long"


def test_unknown_column_keys_and_tags_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'mesages'; did you mean 'messages'"):
        read_row(tmp_path, {"a": "b"}, columns={"mesages": "a"})
    with pytest.raises(ConfigError, match="'role'; did you mean 'role_tag'"):
        read_row(tmp_path, {"a": "b"}, format="text", tags={"role": "a"})


def test_a_system_column_beside_a_system_turn_is_kept(tmp_path: Path) -> None:
    turns = [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "u"), ("assistant", "a"))]
    record = conversation(tmp_path, {"messages": turns, "system": "other"})
    assert (record.messages[0].content, record.fields) == ("s", {"system": "other"})


def test_two_answers_in_a_row_and_a_last_question_are_kept(tmp_path: Path) -> None:
    turns = [{"role": r, "content": r} for r in ("user", "assistant", "assistant", "user")]
    assert [turn.role for turn in conversation(tmp_path, {"messages": turns}).messages] == [U, A, A, U]


USER = {"role": "user", "content": "?"}


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ("text", (Reason.NOT_LIST, "messages")),
        ([], (Reason.NO_MESSAGES, "messages")),
        ([USER], (Reason.NO_ANSWER, "messages")),
        ([USER, "hm"], (Reason.MESSAGE_NOT_OBJECT, "messages[1]")),
        ([USER, {"role": "assistant"}], (Reason.MESSAGE_KEY, "messages[1].content")),
        ([USER, {"content": "a"}], (Reason.MESSAGE_KEY, "messages[1].role")),
        ([USER, {"role": 3, "content": "a"}], (Reason.NOT_TEXT, "messages[1].role")),
        ([USER, {"role": "wizard", "content": "a"}], (Reason.UNKNOWN_ROLE, "messages[1].role")),
        ([USER, {"role": "assistant", "content": " \n"}], (Reason.EMPTY_ANSWER, "messages[1].content")),
        ([USER, {"role": "assistant", "content": None}], (Reason.EMPTY_ANSWER, "messages[1].content")),
        ([USER, {"role": "assistant", "content": 4}], (Reason.NOT_TEXT, "messages[1].content")),
        ([USER, {"role": "assistant", "content": [["a"]]}], (Reason.NOT_TEXT, "messages[1].content[0]")),
        ([{"role": "user", "content": None}], (Reason.NOT_TEXT, "messages[0].content")),
        ([{"role": "user", "content": [{"type": "image_url"}]}], (Reason.MEDIA, "messages[0].content[0].type")),
        ([{"role": "user", "content": [{"type": "poll"}]}], (Reason.UNKNOWN_PART, "messages[0].content[0].type")),
        ([USER, {"role": "tool", "content": "1"}], (Reason.STRAY_RESULT, "messages[1]")),
        ([USER, {"role": "assistant", "content": "a", "weight": -1}], (Reason.WEIGHT, "messages[1].weight")),
        ([USER, {"role": "assistant", "content": "a", "weight": True}], (Reason.WEIGHT, "messages[1].weight")),
        ([USER, {"role": "assistant", "content": "a", "train": "no"}], (Reason.TRAIN, "messages[1].train")),
        ([USER, {"role": "assistant", "tool_calls": [{"id": "x"}]}], (Reason.TOOL_CALL, "messages[1].tool_calls[0]")),
        (
            [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}],
            (Reason.ARGUMENTS, "messages[1].tool_calls[0].arguments"),
        ),
        (
            [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{oops"}}]}],
            (Reason.ARGUMENTS, "messages[1].tool_calls[0].arguments"),
        ),
    ],
)
def test_messages_that_are_no_conversation_have_a_reason(tmp_path: Path, turns: Any, expected: tuple[str, str]) -> None:
    assert left_out(tmp_path, {"messages": turns}, format="messages") == expected


@pytest.mark.parametrize(
    ("row", "options", "expected"),
    [
        ({"instruction": "a"}, {"format": "alpaca"}, (Reason.COLUMN_MISSING, "output or response or instances")),
        ({"instruction": ["a"], "output": "b"}, {}, (Reason.NOT_TEXT, "instruction")),
        ({"instruction": "a", "output": 4}, {}, (Reason.NOT_TEXT, "output")),
        ({"instruction": " ", "output": "b"}, {}, (Reason.EMPTY_PROMPT, "instruction")),
        ({"instruction": "a", "output": ""}, {}, (Reason.EMPTY_ANSWER, "output")),
        ({"instruction": "a", "output": None}, {}, (Reason.EMPTY_ANSWER, "output")),
        ({"instruction": "a", "output": "b", "history": [["c"]]}, {}, (Reason.NOT_LIST, "history[0]")),
        ({"instruction": "a", "output": "b", "history": [["c", 1]]}, {}, (Reason.NOT_TEXT, "history[0][1]")),
        ({"instruction": "a", "output": "b", "images": ["x.png"]}, {}, (Reason.MEDIA, "images")),
        ({"instruction": "a", "instances": [{"output": "b"}] * 2}, {}, (Reason.SEVERAL_ANSWERS, "instances")),
        ({"instruction": "a", "output": "b", "tools": "[3]"}, {}, (Reason.TOOLS, "tools[0]")),
        ({"text": ["a"]}, {"format": "text"}, (Reason.NOT_TEXT, "text")),
        ({"text": "\n"}, {"format": "text"}, (Reason.EMPTY_TEXT, "text")),
        ({"prompt": "a", "completion": 1}, {}, (Reason.NOT_TEXT, "completion")),
        ({"chosen": "a", "rejected": "b"}, {}, (Reason.COLUMN_MISSING, "prompt")),
        ({"prompt": "p", "chosen": "a", "rejected": "a"}, {}, (Reason.SAME_ANSWERS, "rejected")),
        ({"prompt": "p", "chosen": "a", "rejected": ""}, {}, (Reason.EMPTY_ANSWER, "rejected")),
        (
            {"chosen": "\n\nHuman: a\n\nAssistant: b", "rejected": "\n\nHuman: c\n\nAssistant: b"},
            {},
            (Reason.PARTED, "rejected"),
        ),
    ],
)
def test_rows_that_are_no_conversation_have_a_reason(
    tmp_path: Path, row: dict[str, Any], options: dict[str, Any], expected: tuple[str, str]
) -> None:
    assert left_out(tmp_path, row, **options) == expected
