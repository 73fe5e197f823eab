"""Writing: what a format holds comes back equal, and what it does not hold is named."""

from __future__ import annotations

import gzip
import json
from dataclasses import fields as dataclass_fields
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import DataFormat, SourceConfig
from groundtune.dataset.formats import read_source, write_conversations
from groundtune.dataset.formats.losses import differences
from groundtune.errors import DataError
from groundtune.types import Conversation, Message, Origin, Role, ToolCall

ORIGIN = Origin("x", "x.jsonl", 1)
FORMATS: tuple[DataFormat, ...] = ("alpaca", "sharegpt", "messages", "prompt_completion", "preference", "text")
HELD = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=tries(320))


def made(*messages: Message, **parts: Any) -> Conversation:
    return Conversation("x:1", ORIGIN, messages, **parts)


def written(
    tmp_path: Path, rows: list[Conversation], data_format: DataFormat
) -> tuple[list[Conversation], dict[str, int]]:
    path = tmp_path / "out.jsonl"
    losses = write_conversations(path, rows, format=data_format)
    back = list(read_source(SourceConfig(path=str(path), format=data_format), folder=tmp_path, registry=None))
    assert all(isinstance(row, Conversation) for row in back), back
    return [row for row in back if isinstance(row, Conversation)], {loss.what: loss.count for loss in losses}


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
said = words.map(lambda text: "a" + text) | st.sampled_from(
    ["<think>\nhm\n</think>\n\nyes", "<think>\n\n</think>\n\nyes", "{}"]
)
names = st.sampled_from(["f", "get_weather", "ürün"])
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | words,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2),
)
arguments = st.dictionaries(words, plain_json, max_size=2).map(lambda value: json.dumps(value, ensure_ascii=False))
calls = st.builds(ToolCall, names, arguments | st.just('{"a":1}'), st.sampled_from(["", "c1"]))
training: dict[str, Any] = {"train": st.sampled_from([None, True, False]), "weight": st.sampled_from([1.0, 0.0, 0.25])}


def turn(role: Role, content: st.SearchStrategy[str], **parts: Any) -> st.SearchStrategy[Message]:
    return st.builds(Message, st.just(role), content, **parts)


answers = turn("assistant", said, thinking=st.sampled_from(["", "hm", "\nhm", "a</think>b"]), **training)
calling = turn(
    "assistant",
    st.sampled_from(["", "Let me see."]),
    tool_calls=st.lists(calls, min_size=1, max_size=2).map(tuple),
    **training,
)
turns = st.lists(
    turn("system", words)
    | turn("user", words, name=st.sampled_from(["", "ada"]))
    | answers
    | calling
    | turn("tool", words, tool_call_id=st.sampled_from(["", "c1"])),
    max_size=4,
)
tools = st.lists(
    st.sampled_from(['{"type": "function", "function": {"name": "f"}}', '{"type":"function","function":{"name":"g"}}']),
    max_size=2,
).map(tuple)
fields = st.dictionaries(
    words | st.sampled_from(["label", "messages", "prompt", "system", "language", "output"]), plain_json, max_size=2
)
shared: dict[str, Any] = {"language": st.sampled_from(["", "tr", "en"]), "fields": fields}
conversations = st.one_of(
    st.builds(
        lambda before, last, rest: made(*before, last, **rest),
        turns,
        answers | calling,
        st.fixed_dictionaries(
            {
                "tools": tools,
                "desired": st.sampled_from([None, True, False]),
                "rejected": st.just(()) | st.tuples(answers),
                **shared,
            }
        ),
    ),
    st.builds(lambda text, rest: made(text=text, **rest), said, st.fixed_dictionaries(shared)),
)


@HELD
@given(conversation=conversations, data_format=st.sampled_from(FORMATS))
def test_what_comes_back_is_equal_or_the_difference_is_named(
    tmp_path: Path, conversation: Conversation, data_format: DataFormat
) -> None:
    back, losses = written(tmp_path, [conversation], data_format)
    if any(what.startswith("not written") for what in losses):
        assert back == []
        assert len(losses) == 1
        return
    (row,) = back
    same = replace(row, conversation_id=conversation.conversation_id, origin=conversation.origin)
    assert (same == conversation) == (not losses)
    assert set(differences(conversation, row)) == set(losses)


simple_answer = turn("assistant", words.map(lambda text: "a" + text))
pairs_of_turns = st.lists(
    st.tuples(turn("user", words.map(lambda text: "q" + text)), simple_answer), min_size=1, max_size=3
)


@HELD
@given(
    pairs=pairs_of_turns,
    system=st.none() | words.map(lambda text: "s" + text),
    desired=st.sampled_from([None, True, False]),
    extra=st.dictionaries(st.sampled_from(["category", "id", "difficulty"]), plain_json),
    data_format=st.sampled_from(["alpaca", "sharegpt", "messages"]),
)
def test_questions_and_answers_in_turn_are_held_by_every_chat_format(
    tmp_path: Path, pairs: Any, system: str | None, desired: bool | None, extra: dict[str, Any], data_format: DataFormat
) -> None:
    messages = [Message("system", system)] if system else []
    conversation = made(
        *messages, *(turn for pair in pairs for turn in pair), desired=desired, fields=extra, language="tr"
    )
    back, losses = written(tmp_path, [conversation], data_format)
    assert losses == {}
    assert [replace(row, conversation_id="x:1", origin=ORIGIN) for row in back] == [conversation]


@HELD
@given(
    before=turns,
    last=calling | turn("assistant", words.map(lambda text: "a" + text), thinking=words, **training),
    tools=tools,
)
def test_messages_hold_tools_thoughts_and_weights(tmp_path: Path, before: Any, last: Message, tools: Any) -> None:
    def clean(message: Message) -> Message:
        return (
            replace(message, content=message.content.replace("<think>", "")) if message.role == "assistant" else message
        )

    answered = [index for index, message in enumerate(before) if message.role == "assistant"]
    first = answered[0] if answered else len(before)
    kept = [clean(message) for index, message in enumerate(before) if message.role != "tool" or index > first]
    conversation = made(*kept, last, tools=tools)
    back, losses = written(tmp_path, [conversation], "messages")
    assert losses == {}
    assert back[0].messages == conversation.messages
    assert back[0].tools == tools


@HELD
@given(pairs=pairs_of_turns, worse=simple_answer)
def test_preference_pairs_are_held_by_preference(tmp_path: Path, pairs: Any, worse: Message) -> None:
    messages = [turn for pair in pairs for turn in pair]
    if worse == messages[-1]:
        worse = replace(worse, content=worse.content + "!")
    conversation = made(*messages, rejected=(worse,))
    back, losses = written(tmp_path, [conversation], "preference")
    assert losses == {}
    assert (back[0].messages, back[0].rejected) == (conversation.messages, conversation.rejected)


USER, ANSWER = Message("user", "?"), Message("assistant", "!")
CALL = Message("assistant", "Wait.", "hm", (ToolCall("f", '{"a":1}', "c1"),), weight=0.5)
RICH = made(
    USER,
    CALL,
    Message("tool", "1", tool_call_id="c1"),
    ANSWER,
    tools=('{"type": "function", "function": {"name": "f"}}',),
)


@pytest.mark.parametrize(
    ("conversation", "data_format", "expected"),
    [
        (
            made(USER, replace(ANSWER, weight=0.5, train=True), tools=RICH.tools),
            "alpaca",
            {"weights of turns", "which turns are trained", "tool descriptions"},
        ),
        (made(USER, replace(ANSWER, thinking="hm")), "alpaca", set()),
        (made(USER, replace(ANSWER, thinking="\nhm")), "alpaca", {"thoughts apart from the text", "text of turns"}),
        (RICH, "alpaca", {"not written: turns that are not question and answer in turn"}),
        (made(USER, CALL), "alpaca", {"not written: tool calls"}),
        (RICH, "sharegpt", {"text and tool calls in one turn"}),
        (made(USER, replace(CALL, content="")), "sharegpt", {"spelling of tool arguments"}),
        (
            made(USER, replace(CALL, content="", tool_calls=(ToolCall("f", '{"a": 1}', "c1"),))),
            "sharegpt",
            {"ids of tool calls"},
        ),
        (RICH, "messages", set()),
        (made(USER, ANSWER, USER, ANSWER), "prompt_completion", {"which turns are trained"}),
        (made(USER, ANSWER, rejected=(replace(ANSWER, content="."),)), "messages", {"the worse answer"}),
        (made(USER, ANSWER), "preference", {"not written: no worse answer"}),
        (made(USER, ANSWER), "text", {"not written: no raw text"}),
        (made(text="Metin."), "messages", {"not written: raw text"}),
        (made(USER), "messages", {"not written: no assistant turn"}),
        (made(USER, replace(ANSWER, content="a\ud800")), "messages", {"not written: not UTF-8 text"}),
        (made(USER, ANSWER, fields={"score": float("nan")}), "messages", {"not written: not valid JSON"}),
        (made(USER, ANSWER, fields={"messages": "taken"}), "messages", {"other columns"}),
        (made(USER, ANSWER, desired=True), "messages", set()),
        (made(USER, ANSWER, tools=("{oops",)), "messages", {"not written: tool description cannot be read"}),
        (
            made(USER, replace(CALL, content="", tool_calls=(ToolCall("f", "{oops"),))),
            "sharegpt",
            {"not written: tool arguments are not a JSON object"},
        ),
    ],
)
def test_what_a_format_cannot_hold_is_named(
    tmp_path: Path, conversation: Conversation, data_format: DataFormat, expected: set[str]
) -> None:
    _, losses = written(tmp_path, [conversation, conversation], data_format)
    assert losses == dict.fromkeys(expected, 2)


def test_files_are_arrays_or_lines_by_their_name_and_the_same_each_time(tmp_path: Path) -> None:
    rows = [made(USER, ANSWER), made(USER, replace(ANSWER, content="ş"))]
    for name in ("a.json", "a.jsonl", "a.json.gz", "a.jsonl.gz"):
        path = tmp_path / name
        write_conversations(path, rows, format="sharegpt")
        first = path.read_bytes()
        write_conversations(path, iter(rows), format="sharegpt")
        assert path.read_bytes() == first
        text = (gzip.decompress(first) if name.endswith("gz") else first).decode()
        values = json.loads(text) if "jsonl" not in name else [json.loads(line) for line in text.splitlines()]
        assert [value["conversations"][1]["value"] for value in values] == ["!", "ş"]
    write_conversations(tmp_path / "none.json", [], format="alpaca")
    assert json.loads((tmp_path / "none.json").read_text()) == []
    with pytest.raises(DataError, match=r"ends in \.jsonl"):
        write_conversations(tmp_path / "a.csv", rows, format="sharegpt")


def test_a_loss_names_how_often_and_where_first(tmp_path: Path) -> None:
    rows = [made(USER, ANSWER), replace(made(USER, replace(ANSWER, weight=0.0)), conversation_id="x:2")]
    (loss,) = write_conversations(tmp_path / "a.json", [*rows, rows[1]], format="alpaca")
    assert (loss.what, loss.count, loss.first) == ("weights of turns", 2, "x:2")


@pytest.mark.parametrize("part", [part.name for part in dataclass_fields(Message)])
def test_no_part_of_a_message_is_lost_unseen(part: str) -> None:
    other = {"role": "user", "tool_calls": (ToolCall("g", "{}"),), "train": True, "weight": 0.75}.get(part, "other")
    assert differences(made(CALL), made(replace(CALL, **{part: other})))


@pytest.mark.parametrize("part", [part.name for part in dataclass_fields(Conversation)][2:])
def test_no_part_of_a_conversation_is_lost_unseen(part: str) -> None:
    other: Any = {
        "messages": (USER,),
        "tools": ("{}",),
        "rejected": (ANSWER,),
        "desired": True,
        "fields": {"a": 1},
    }.get(part, "tr")
    assert differences(RICH, replace(RICH, **{part: other}))
