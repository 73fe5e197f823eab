from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.chat import decode, render, render_examples
from groundtune.config import DataConfig
from groundtune.dataset.prepared import (
    ConversationFile,
    Prepared,
    open_prepared,
    prepare,
    prepared_key,
    preparing,
    tell,
    work_in_blocks,
)
from groundtune.dataset.prepared.rendering import render_block
from groundtune.dataset.prepared.store import INDEX_NAME
from groundtune.errors import DataError
from groundtune.files import write_records
from groundtune.types import Conversation, LeftOut, Message, Origin

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# thoughts of finished turns are taken out, and thinking can be switched off
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last %}"
    "<think>\n{{ m.reasoning_content if m.reasoning_content else '' }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
PROSE = (
    "A lot number is given at goods receipt. The warehouse lead approves it.\n",
    "Lot numarası mal kabulde verilir.\n",
)


@lru_cache(maxsize=4)
def tokenizer(template: str = CHATML) -> Any:
    from groundtune.models import train_tokenizer

    made = train_tokenizer(PROSE * 20, vocab_size=420, chat_template=template)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    made.eos_token = "<|im_end|>"
    return made


def chat(number: int, *contents: str, **parts: Any) -> Conversation:
    roles = ("user", "assistant") * len(contents)
    messages = tuple(Message(role, content) for role, content in zip(roles, contents, strict=False))  # type: ignore[arg-type]
    return Conversation(f"s:{number}", Origin("s", "s.jsonl", number), **{"messages": messages, **parts})


def text(number: int, content: str) -> Conversation:
    return Conversation(f"s:{number}", Origin("s", "s.jsonl", number), text=content)


def many(count: int) -> list[Conversation]:
    return [chat(number, f"Which lot is {number}?", f"Lot {number} is approved.") for number in range(1, count + 1)]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "BLOCK_CONVERSATIONS", 5)


def contents(prepared: Prepared) -> list[tuple[str, list[int], list[float]]]:
    return [(row.conversation_id, row.token_ids.tolist(), row.weights.tolist()) for row in prepared.rows()]


def test_every_conversation_is_what_the_renderer_gives_in_order(tmp_path: Path, small_blocks: None) -> None:
    conversations = many(13)
    prepared = prepare(conversations, tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    wanted = [render(tokenizer(), each.messages) for each in conversations]
    assert contents(prepared) == [
        (conversation.conversation_id, each.token_ids, each.weights)
        for conversation, each in zip(conversations, wanted, strict=True)
    ]
    assert (prepared.conversations, prepared.kept, len(prepared)) == (13, 13, 13)
    assert prepared.trained_tokens == sum(sum(each.trained) for each in wanted)


def test_read_back_whole_it_is_the_same_examples_mapped_from_disk(tmp_path: Path, small_blocks: None) -> None:
    for count in (4, 13):
        folder = tmp_path / str(count)
        prepared = prepare(many(count), tokenizer(), DataConfig(), folder=folder, key="k", processes=1)
        examples = prepared.examples()
        rows = contents(open_prepared(folder))
        assert examples.token_ids.tolist() == [number for _, ids, _ in rows for number in ids]
        assert examples.weights.tolist() == [weight for _, _, weights in rows for weight in weights]
        assert examples.lengths.tolist() == [len(ids) for _, ids, _ in rows]
        assert not examples.token_ids.flags.owndata
        assert prepared.owners.tolist() == list(range(count))


def test_the_number_of_processes_changes_nothing(tmp_path: Path, small_blocks: None) -> None:
    conversations = many(40)
    one, three = (
        prepare(conversations, tokenizer(), DataConfig(), folder=tmp_path / str(n), key="k", processes=n)
        for n in (1, 3)
    )
    assert contents(one) == contents(three)
    assert one.blocks == three.blocks
    names = sorted(path.name for path in one.folder.iterdir())
    assert names == sorted(path.name for path in three.folder.iterdir())
    assert all((one.folder / name).read_bytes() == (three.folder / name).read_bytes() for name in names)


def test_a_second_run_reads_not_even_the_conversations(tmp_path: Path) -> None:
    first = prepare(many(7), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)

    def untouched() -> Iterator[Conversation]:
        raise AssertionError("read again")
        yield

    again = prepare(untouched(), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    assert again == first


def test_another_key_makes_it_anew(tmp_path: Path, small_blocks: None) -> None:
    prepare(many(12), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1).examples()
    again = prepare(many(3), tokenizer(), DataConfig(), folder=tmp_path, key="other", processes=1)
    assert len(again) == len(again.examples()) == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["block-00000.arrow", INDEX_NAME]


class StoppedError(Exception):
    pass


def stopping_after(conversations: Sequence[Conversation], count: int) -> Iterator[Conversation]:
    yield from islice(conversations, count)
    raise StoppedError


@settings(max_examples=12, deadline=None)
@given(stops=st.lists(st.integers(0, 22), max_size=4))
def test_however_often_it_is_interrupted_the_result_is_that_of_one_run(
    tmp_path_factory: pytest.TempPathFactory, stops: list[int]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "BLOCK_CONVERSATIONS", 5)
        conversations = [*many(22), chat(23, "Nobody answers.")]
        whole = prepare(
            conversations, tokenizer(), DataConfig(), folder=tmp_path_factory.mktemp("a"), key="k", processes=1
        )
        folder = tmp_path_factory.mktemp("b")
        for stop in stops:
            with pytest.raises(StoppedError):
                prepare(
                    stopping_after(conversations, stop), tokenizer(), DataConfig(), folder=folder, key="k", processes=1
                )
        again = prepare(conversations, tokenizer(), DataConfig(), folder=folder, key="k", processes=1)
        assert contents(again) == contents(whole)
        assert again.blocks == whole.blocks
        assert list(again.left_out()) == list(whole.left_out())


def test_what_was_done_before_an_interruption_is_not_done_again(tmp_path: Path, small_blocks: None) -> None:
    with pytest.raises(StoppedError):
        prepare(stopping_after(many(20), 12), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    done = {path: path.stat().st_ino for path in tmp_path.glob("*.arrow")}
    assert len(done) == 2
    prepare(many(20), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    assert all(path.stat().st_ino == known for path, known in done.items())


def test_a_block_that_was_deleted_is_made_again_and_no_other(tmp_path: Path, small_blocks: None) -> None:
    first = prepare(many(20), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    whole = contents(first)
    paths = sorted(tmp_path.glob("*.arrow"))
    kept = {path: path.stat().st_ino for path in paths if path != paths[1]}
    paths[1].unlink()
    again = prepare(many(20), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    assert again == first
    assert contents(again) == whole
    assert all(path.stat().st_ino == known for path, known in kept.items())


def test_going_on_with_other_conversations_is_refused(tmp_path: Path, small_blocks: None) -> None:
    with pytest.raises(StoppedError):
        prepare(stopping_after(many(20), 7), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    with pytest.raises(DataError, match="found 's:2', expected 's:1'"):
        prepare(many(20)[1:], tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)


def test_an_unfinished_folder_is_not_taken_for_a_dataset(tmp_path: Path, small_blocks: None) -> None:
    with pytest.raises(StoppedError):
        prepare(stopping_after(many(20), 7), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    with pytest.raises(DataError, match="prepare it"):
        open_prepared(tmp_path)


def test_every_conversation_is_kept_or_left_out_with_its_reason_and_place(tmp_path: Path, small_blocks: None) -> None:
    conversations = [
        *many(4),
        chat(5, "No answer follows."),
        chat(6, "Good?", "No.", desired=False),
        chat(7, "Long?", "word " * 200),
        text(8, ""),
        text(9, "A lot number is given."),
        chat(10, "Broken?", "half \ud800 here"),
        Conversation("s:11", Origin("s", "s.jsonl", 11), (Message("user", "a"), Message("assistant", "b", weight=0.0))),
    ]
    prepared = prepare(conversations, tokenizer(), DataConfig(max_tokens=64), folder=tmp_path, key="k", processes=1)
    left_out = list(prepared.left_out())
    assert prepared.kept + len(left_out) == prepared.conversations == len(conversations)
    assert prepared.skips == {
        reason: sum(each.reason == reason for each in left_out) for reason in {each.reason for each in left_out}
    }
    assert [each.origin.row for each in left_out] == [5, 6, 7, 8, 10, 11]
    assert all(len(each.found) <= 80 for each in left_out)


def test_an_overlong_conversation_is_named_where_that_is_asked(tmp_path: Path) -> None:
    config = DataConfig(max_tokens=64, overlong="error")
    with pytest.raises(
        DataError, match=r"^s\.jsonl:2: conversation 's:2' has \d+ tokens, over data\.max_tokens \(64\)"
    ):
        prepare([*many(1), chat(2, "Long?", "word " * 200)], tokenizer(), config, folder=tmp_path, key="k", processes=1)


def test_strict_stops_at_what_cannot_be_rendered(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^s\.jsonl:2: "):
        prepare(
            [*many(1), chat(2, "No answer.")],
            tokenizer(),
            DataConfig(strict=True),
            folder=tmp_path,
            key="k",
            processes=1,
        )


def test_an_error_in_another_process_is_told_here(tmp_path: Path, small_blocks: None) -> None:
    conversations = [*many(30), chat(31, "No answer.")]
    with pytest.raises(DataError, match=r"^s\.jsonl:31: "):
        prepare(conversations, tokenizer(), DataConfig(strict=True), folder=tmp_path, key="k", processes=3)


@settings(max_examples=tries(160), deadline=None)
@given(words=st.lists(st.sampled_from(["lot ", "mal ", "a\n", "<|im_end|>", "ü", "🙂"]), min_size=1, max_size=60))
def test_windows_lose_no_token_of_a_text_and_train_each_once(words: list[str]) -> None:
    content = "".join(words)
    [rows] = render_block(tokenizer(), [text(1, content)], DataConfig(max_tokens=16))
    if isinstance(rows, LeftOut):
        assert len(tokenizer()(content, add_special_tokens=False)["input_ids"]) < 2
        return
    assert max(rows.sizes) <= 16
    starts = np.cumsum([0, *rows.sizes])
    windows = [rows.token_ids[a:b].tolist() for a, b in pairwise(starts)]
    joined = windows[0] + [number for window in windows[1:] for number in window[1:]]
    assert decode(tokenizer(), joined[1:-1]) == content
    assert int((rows.weights > 0).sum()) == len(joined) - 1
    assert all(rows.weights[start] == 0 for start in starts[:-1])


def test_a_conversation_whose_turns_change_becomes_an_example_a_turn(tmp_path: Path) -> None:
    conversation = Conversation(
        "s:1",
        Origin("s", "s.jsonl", 1),
        (
            Message("user", "Which lot?"),
            Message("assistant", "Lot 1.", thinking="one"),
            Message("user", "And then?"),
            Message("assistant", "Lot 2.", thinking="two"),
        ),
    )
    prepared = prepare([conversation], tokenizer(THINKING), DataConfig(), folder=tmp_path, key="k", processes=1)
    wanted = render_examples(tokenizer(THINKING), conversation.messages)
    assert [ids for _, ids, _ in contents(prepared)] == [each.token_ids for each in wanted]
    assert (prepared.kept, len(prepared)) == (1, 2)
    assert prepared.owners.tolist() == [0, 0]


def test_a_share_of_the_thoughts_is_taken_out_the_same_ones_each_time() -> None:
    messages = (Message("user", "Which lot?"), Message("assistant", "Lot 1.", thinking="one"))
    conversations = [chat(number, messages=messages) for number in range(400)]
    config = DataConfig(no_think_share=0.25)
    told = [tell(each, config) for each in conversations]
    without = [each for each in told if each.thinking is False]
    # binomial: 100 of 400, standard deviation 8.7
    assert 70 < len(without) < 130
    assert all(not message.thinking for each in without for message in each.messages)
    assert all(each.messages == messages and each.thinking for each in told if each not in without)
    assert told == [tell(each, config) for each in conversations]
    assert tell(chat(1, "a", "b"), config).thinking is None
    assert tell(conversations[0], DataConfig()).thinking is None


def test_the_key_changes_with_whatever_changes_a_token() -> None:
    config = DataConfig()
    known = prepared_key("source", tokenizer(), config)
    assert known == prepared_key("source", tokenizer(), DataConfig(processes=3, valid_share=0.2))
    others = [
        prepared_key("other", tokenizer(), config),
        prepared_key("source", tokenizer(THINKING), config),
        *(
            prepared_key("source", tokenizer(), DataConfig(**{name: value}))
            for name, value in {
                "max_tokens": 99,
                "train_on": "last",
                "overlong": "error",
                "no_think_share": 0.5,
            }.items()
        ),
    ]
    assert len({known, *others}) == len(others) + 1


def test_a_process_that_dies_costs_nothing() -> None:
    parent = os.getpid()

    def work(block: int) -> int:
        if os.getpid() != parent and block == 3:
            os._exit(9)
        return block * block

    assert sorted(work_in_blocks(work, range(9), 3)) == [number * number for number in range(9)]


@pytest.mark.slow
def test_no_process_stays_behind_when_this_one_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys, time\n"
        "from groundtune.dataset.prepared import work_in_blocks\n"
        "def work(block):\n"
        "    open(os.path.join(sys.argv[1], str(os.getpid())), 'w').close()\n"
        "    time.sleep(0.05)\n"
        "    return block\n"
        "for _ in work_in_blocks(work, range(10000), 3): pass\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)])
    waiting_until(lambda: len(list(tmp_path.iterdir())) == 3)
    parent.kill()
    parent.wait()
    waiting_until(lambda: not any(is_running(int(path.name)) for path in tmp_path.iterdir()))


def waiting_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(number: int) -> bool:
    """A process that ended and that nobody has asked about yet does not run."""
    return psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE


def test_the_index_names_what_is_done_in_plain_words(tmp_path: Path, small_blocks: None) -> None:
    prepare(many(7), tokenizer(), DataConfig(), folder=tmp_path, key="k", processes=1)
    index = json.loads((tmp_path / INDEX_NAME).read_text())
    assert index["complete"]
    assert [block["conversations"] for block in index["blocks"]] == [5, 2]
    assert str(tmp_path) not in (tmp_path / INDEX_NAME).read_text()


def test_a_file_of_conversations_is_prepared_as_the_conversations_are(tmp_path: Path, small_blocks: None) -> None:
    conversations = [*many(13), chat(14, "Ne dedi?\u2028Peki\x85", "Evet\u2028dedi.")]
    path = tmp_path / "train.jsonl"
    write_records(path, conversations)
    assert list(ConversationFile(path)) == conversations
    found = [
        prepare(each, tokenizer(), DataConfig(), folder=tmp_path / str(number), key="k", processes=processes)
        for number, (each, processes) in enumerate(
            ((conversations, 1), (ConversationFile(path), 1), (ConversationFile(path), 3))
        )
    ]
    assert found[0].blocks == found[1].blocks == found[2].blocks
    assert contents(found[0]) == contents(found[1]) == contents(found[2])


def test_going_on_with_another_file_is_refused_and_a_bad_line_named(tmp_path: Path, small_blocks: None) -> None:
    path = tmp_path / "train.jsonl"
    write_records(path, many(12))
    folder = tmp_path / "prepared"
    prepare(ConversationFile(path), tokenizer(), DataConfig(), folder=folder, key="k", processes=1)
    next(folder.glob("*00001.arrow")).unlink()
    write_records(path, many(12)[1:])
    with pytest.raises(DataError, match="found 's:2', expected 's:1'"):
        prepare(ConversationFile(path), tokenizer(), DataConfig(), folder=folder, key="k", processes=1)
    path.write_text(path.read_text() + "{\n")
    with pytest.raises(DataError, match=r"train\.jsonl:12: not valid JSON"):
        prepare(ConversationFile(path), tokenizer(), DataConfig(), folder=folder, key="other", processes=3)
