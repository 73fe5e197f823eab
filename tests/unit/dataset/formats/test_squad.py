"""Questions over passages in SQuAD's form."""

import gzip
import json
from pathlib import Path

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, SourceConfig
from groundtune.dataset.formats import Reason, read_source, write_conversations
from groundtune.errors import ConfigError
from groundtune.types import Conversation, LeftOut

SHARED = Path(__file__).parents[5] / "shared" / "data"
NESTED = {
    "version": "2.0",
    "data": [
        {
            "title": "Lot_tracking",
            "paragraphs": [
                {
                    "context": "Every lot has a number of its own.",
                    "qas": [
                        {
                            "id": "a",
                            "question": "What does a lot have?",
                            "answers": [{"text": "a number", "answer_start": 14}],
                        },
                        {"id": "b", "question": "Who counts it?", "answers": [], "is_impossible": True},
                    ],
                }
            ],
        }
    ],
}


def read(path: Path, **settings: str) -> list[Conversation | LeftOut]:
    return list(read_source(SourceConfig(path=str(path), **settings), folder=path.parent, registry=None))


@pytest.mark.parametrize("packed", [False, True])
def test_a_nested_file_gives_a_grounded_conversation_for_each_question(tmp_path, packed):
    path = tmp_path / ("set.json.gz" if packed else "set.json")
    text = json.dumps(NESTED).encode()
    path.write_bytes(gzip.compress(text) if packed else text)
    answered, refused = read(path)
    assert [message.content for message in answered.messages] == [
        ENGLISH_PROMPT.system,
        "Context:\n[1] Lot tracking\nEvery lot has a number of its own.\n\nQuestion:\nWhat does a lot have?",
        "a number",
    ]
    assert answered.fields == {"id": "a", "answerable": True}
    assert refused.messages[-1].content == ENGLISH_PROMPT.refusal
    assert refused.fields["answerable"] is False


def test_flat_rows_are_told_by_their_columns_and_their_language_by_their_text(tmp_path):
    path = tmp_path / "set.jsonl"
    row = {
        "context": "Her lot için ayrı bir numara verilir ve bu numara değişmez.",
        "question": "Her lot için ne verilir?",
        "answers": {"text": ["ayrı bir numara", "numara"], "answer_start": [13, 22]},
    }
    path.write_text(json.dumps(row) + "\n", encoding="utf-8")
    [found] = read(path)
    assert found.messages[0].content == TURKISH_PROMPT.system
    assert found.messages[-1].content == "ayrı bir numara"
    assert found.fields["answers"] == ["ayrı bir numara", "numara"]


def test_a_broken_question_is_left_out_and_the_others_stay(tmp_path):
    broken = json.loads(json.dumps(NESTED))
    broken["data"][0]["paragraphs"][0]["qas"][1] = {"id": "b", "question": "Who?", "answers": "nobody"}
    broken["data"].append({"title": "t", "paragraphs": "none"})
    path = tmp_path / "set.json"
    path.write_text(json.dumps(broken), encoding="utf-8")
    kept, *left_out = read(path)
    assert isinstance(kept, Conversation)
    assert [(row.reason, row.field) for row in left_out] == [
        (Reason.NOT_LIST.value, "answers"),
        (Reason.NOT_LIST.value, "paragraphs"),
    ]


def test_a_file_cut_off_is_one_entry_that_names_it(tmp_path):
    path = tmp_path / "set.json"
    path.write_text(json.dumps(NESTED)[:-30], encoding="utf-8")
    [found] = read(path)
    assert isinstance(found, LeftOut)
    assert found.reason == Reason.NOT_JSON.value


def test_it_is_not_written(tmp_path):
    with pytest.raises(ConfigError, match="squad is for reading"):
        write_conversations(tmp_path / "out.jsonl", [], format="squad")


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared data is not beside the checkout")
@pytest.mark.parametrize(("name", "rows"), [("qa_xquad/xquad.tr.json", 1190), ("qa_xquad/xquad.en.json", 1190)])
def test_xquad_is_read_whole(name, rows):
    found = read(SHARED / name)
    assert len(found) == rows
    assert not [row for row in found if isinstance(row, LeftOut)]
