"""Any row, however odd, is read or left out; and every word of a row that is read is in its conversation."""

from __future__ import annotations

import json
import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import DataFormat
from groundtune.dataset.formats import REASONS
from groundtune.dataset.formats.columns import DEFAULT_COLUMNS, NEEDED, make_layout
from groundtune.dataset.formats.reading import RowReader
from groundtune.files import parse_record, to_json
from groundtune.types import Conversation, LeftOut

# words that are numbered when the row is made, so that each can be looked for
word = st.just("word")
leaf = st.one_of(word, word, word, st.sampled_from([None, "", True, 3, 1.5]))
part = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "text", "reasoning", "tool_call", "image", "output_text"])},
    optional={"text": word, "value": word, "annotations": leaf},
)
arguments = st.fixed_dictionaries({"a": word}) | st.just('{"a": "word"}')
function = st.fixed_dictionaries(
    {"name": word}, optional={"arguments": arguments, "parameters": arguments, "strict": leaf}
)
call = function | st.fixed_dictionaries(
    {"function": function, "type": st.just("function")}, optional={"id": word, "index": leaf}
)
spoken = st.one_of(word, word, word, leaf, st.lists(part | word, max_size=2))
more = {
    "name": word,
    "tool_call_id": word,
    "train": leaf,
    "weight": st.sampled_from([0, 1.0, "1"]),
    "thinking": word,
    "reasoning_content": word,
    "tool_calls": st.lists(call, max_size=2) | leaf,
    "function_call": call,
    "id": leaf,
}
roles = st.sampled_from(["system", "user", "human", "assistant", "gpt", "tool", "function_call", "wizard"])
turn = st.one_of(
    st.fixed_dictionaries({"role": roles, "content": spoken}),
    st.fixed_dictionaries({"from": roles, "value": spoken}),
    st.fixed_dictionaries({"role": roles, "content": spoken}, optional=more),
    st.fixed_dictionaries({"from": roles, "value": spoken, "role": word}, optional=more),
)
value = st.one_of(
    word, word, leaf, st.lists(turn, max_size=3), turn, st.just([["word", "word"]]), st.lists(call, max_size=1)
)
COLUMNS = sorted({name for parts in DEFAULT_COLUMNS.values() for names in parts.values() for name in names} | {"other"})


@st.composite
def rows(draw: st.DrawFn, data_format: DataFormat) -> dict[str, Any]:
    parts = DEFAULT_COLUMNS[data_format]
    needed = {name: draw(value) for group in NEEDED[data_format] for name in parts[group[0]][:1]}
    return {**needed, **draw(st.dictionaries(st.sampled_from(COLUMNS), value, max_size=3))}


@settings(deadline=None, max_examples=tries(1500))
@given(data=st.data(), data_format=st.sampled_from(sorted(DEFAULT_COLUMNS)))
def test_every_word_of_a_row_is_in_its_conversation(data: st.DataObject, data_format: DataFormat) -> None:
    drawn = json.dumps(data.draw(rows(data_format)))
    numbers = iter(range(1000))
    row = json.loads(re.sub("word", lambda _: f"w{next(numbers)}q", drawn))
    layout = make_layout(data_format, {}, {}, only_said=False, where="x")
    record = RowReader(layout, "x", "", several_files=False).read(row, "x.jsonl", 1)
    if isinstance(record, LeftOut):
        assert record.reason in REASONS
        assert len(record.found) <= 80
        return
    kept = to_json(record)
    assert [name for name in re.findall(r"w\d+q", json.dumps(row)) if name not in kept] == []
    assert parse_record(json.loads(kept), Conversation, where="x") == record
