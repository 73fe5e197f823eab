from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from groundtune.chat import LLAMA3_TEMPLATE
from groundtune.config import DataConfig
from groundtune.dataset.audit import AuditReport, audit_examples, audit_prepared
from groundtune.dataset.audit.grounded import EVIDENCE, RENDERED
from groundtune.dataset.audit.instruction import LEAKAGE, MATCHED
from groundtune.dataset.audit.report import LEDGER
from groundtune.dataset.audit.turns import LENGTH, PROMPT, SPANS, STOP, TEXT, TRAINED, WEIGHTS
from groundtune.dataset.prepared import Prepared, Shard, prepare, read_shard, shard_path
from groundtune.dataset.prepared.shards import write_shard
from groundtune.types import (
    Conversation,
    Difficulty,
    Example,
    LeftOut,
    Message,
    Origin,
    QuestionType,
    Rule,
    Split,
    ToolCall,
)

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# contents trimmed; a stop token that only a following message brings
TRIMMING = (
    "<|im_start|>{% for m in messages %}{% if m.role == 'user' %}{% if not loop.first %}<|im_end|>{% endif %}"
    "[{{ m.content | trim }}]{% else %}{{ m.content | trim }}{% endif %}{% endfor %}"
)
# thoughts of finished turns are taken out
THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.last and m.reasoning_content %}<think>\n{{ m.reasoning_content }}\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = (
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<call>{{ c.function | tojson }}</call>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# a second control token at the end of each answer
TWO_ENDS = CHATML.replace("{{ m.content }}", "{{ m.content }}{% if m.role == 'assistant' %}<|eot_id|>{% endif %}")
TEMPLATES = [CHATML, LLAMA3_TEMPLATE, TRIMMING, THINKING, TOOLS, TWO_ENDS]
PROSE = (
    "A lot number is given at goods receipt. The warehouse lead approves it.\n",
    "Lot numarası mal kabulde verilir.\n",
)
LOOK_UP = '{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}'


@lru_cache(maxsize=8)
def tokenizer(template: str = CHATML) -> Any:
    from groundtune.models import train_tokenizer

    made = train_tokenizer(PROSE * 20, vocab_size=420, chat_template=template)
    made.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    return made


def row(number: int, *messages: Message, **parts: Any) -> Conversation:
    return Conversation(f"s:{number}", Origin("s", "s.jsonl", number), messages, **parts)


def ask(question: str, answer: str, **more: Any) -> tuple[Message, Message]:
    return Message("user", question), Message("assistant", answer, **more)


CONVERSATIONS = [
    row(1, *ask("Which lot?", "Lot 1 is approved.")),
    row(
        2, Message("system", "You answer."), *ask(" And then? ", "  Nothing.\n"), *ask("Sure?", "Evet, kesinlikle 🙂.")
    ),
    row(3, *ask("What ends a turn?", "The text <|im_end|> does, or <|eot_id|>.")),
    row(4, *ask("First?", "One.", weight=0.5), *ask("Second?", "Two.", train=False), *ask("Third?", "Three.")),
]


def prepared_splits(
    folder: Path, template: str = CHATML, config: DataConfig | None = None, **splits: list[Conversation]
) -> dict[Split, tuple[Iterable[Conversation], Prepared]]:
    made: dict[Split, tuple[Iterable[Conversation], Prepared]] = {}
    for split, conversations in splits.items():
        prepared = prepare(
            conversations, tokenizer(template), config or DataConfig(), folder=folder / split, key="k", processes=1
        )
        made[split] = (conversations, prepared)  # type: ignore[index]
    return made


def audited(
    splits: dict[Split, tuple[Iterable[Conversation], Prepared]],
    template: str = CHATML,
    config: DataConfig | None = None,
    **more: Any,
) -> AuditReport:
    rows = sum(prepared.conversations for _, prepared in splits.values())
    return audit_prepared(
        splits, tokenizer(template), config or DataConfig(), **{"rows_read": rows, "processes": 1, **more}
    )


def failing(report: AuditReport) -> dict[str, list[str]]:
    return {
        check.name: [each.conversation_id for each in check.failures] for check in report.checks if not check.passed
    }


@pytest.mark.parametrize("template", TEMPLATES)
def test_what_was_prepared_as_it_should_passes_every_check(tmp_path: Path, template: str) -> None:
    splits = prepared_splits(tmp_path, template, train=CONVERSATIONS)
    report = audited(splits, template)
    assert not failing(report), report
    assert report.passed
    asked = {check.name: check.rows for check in report.checks}
    kept = splits["train"][1].kept
    assert kept >= 3
    assert asked[SPANS] == asked[TRAINED] == len(splits["train"][1])
    # the trained turns of the conversations: 1 + 2 + 1 + 2
    assert asked[STOP] == asked[PROMPT] == asked[WEIGHTS] == 6 - (4 - kept)


def test_thoughts_and_their_lack_in_history_pass_with_an_example_a_turn(tmp_path: Path) -> None:
    conversation = row(1, *ask("Which lot?", "Lot 1.", thinking="one"), *ask("And then?", "Lot 2.", thinking="two"))
    splits = prepared_splits(tmp_path, THINKING, train=[conversation])
    assert len(splits["train"][1]) == 2
    assert not failing(audited(splits, THINKING))


def test_tool_calls_pass_and_are_asked_for_by_name(tmp_path: Path) -> None:
    conversation = row(
        1,
        Message("user", "Which lot?"),
        Message("assistant", "", tool_calls=(ToolCall("look_up", '{"lot": "A-1"}', "c1"),)),
        Message("tool", "approved", tool_call_id="c1"),
        Message("assistant", "It is approved."),
        tools=(LOOK_UP,),
    )
    splits = prepared_splits(tmp_path, TOOLS, train=[conversation])
    assert len(splits["train"][1]) == 1
    assert not failing(audited(splits, TOOLS))


@pytest.mark.parametrize("train_on", ["all", "last", "flagged"])
def test_the_turns_that_are_asked_for_are_those_that_are_trained(tmp_path: Path, train_on: Any) -> None:
    config = DataConfig(train_on=train_on)
    conversations = [
        row(1, *ask("First?", "One."), *ask("Second?", "Two.", train=True), *ask("Third?", "Three.")),
        row(2, *ask("Fourth?", "Four.", train=True), *ask("Fifth?", "Five.", train=False)),
    ]
    splits = prepared_splits(tmp_path, config=config, train=conversations)
    assert not failing(audited(splits, config=config))
    others = {"all": "last", "last": "flagged", "flagged": "all"}
    assert SPANS in failing(audited(splits, config=DataConfig(train_on=others[train_on])))


Change = Callable[[Shard], Shard]


def off_by_a_token(shard: Shard, row: int) -> Iterator[Shard]:
    """Every mask that has one token more or less at an end of a trained stretch of an example, and a wrong token there."""
    first, end = shard.offsets[row : row + 2].tolist()
    trained = (shard.weights[first:end] > 0).tolist()
    for place in range(1, end - first):
        if trained[place] != trained[place - 1]:
            begins = trained[place]
            for changed in (place - 1, place):
                yield with_weight(shard, first + changed, 0.0 if trained[changed] else 1.0)
            number = int(shard.token_ids[first + place - (not begins)])
            yield with_token(shard, first + place - (not begins), 98 if number == 99 else 99)


@pytest.mark.parametrize("template", TEMPLATES)
def test_no_mask_that_is_off_by_a_token_passes(tmp_path: Path, template: str) -> None:
    splits = prepared_splits(tmp_path, template, train=CONVERSATIONS[:2])
    path = shard_path(tmp_path / "train", 0)
    shard = read_shard(path)
    passed = []
    for row in range(len(shard)):
        for changed in off_by_a_token(shard, row):
            write_shard(path, changed)
            if audited(splits, template).passed:
                passed.append((row, np.flatnonzero(changed.weights != shard.weights).tolist()))
    assert not passed


def first_trained(shard: Shard) -> int:
    return int(np.flatnonzero(shard.weights)[0])


def last_trained(shard: Shard) -> int:
    """Of the first example."""
    return int(np.flatnonzero(shard.weights[: shard.offsets[1]])[-1])


def with_weight(shard: Shard, place: int, weight: float) -> Shard:
    weights = shard.weights.copy()
    weights[place] = weight
    return replace(shard, weights=weights)


def with_token(shard: Shard, place: int, number: int) -> Shard:
    ids = shard.token_ids.copy()
    ids[place] = number
    return replace(shard, token_ids=ids)


def header_trained(shard: Shard) -> Shard:
    return with_weight(shard, first_trained(shard) - 1, 1.0)


def stop_not_trained(shard: Shard) -> Shard:
    return with_weight(shard, last_trained(shard), 0.0)


def nothing_trained(shard: Shard) -> Shard:
    weights = shard.weights.copy()
    weights[: shard.offsets[1]] = 0
    return replace(shard, weights=weights)


def answer_changed(shard: Shard) -> Shard:
    return with_token(shard, first_trained(shard), 99)


def prompt_changed(shard: Shard) -> Shard:
    return with_token(shard, 2, 99)


def question_trained_too(shard: Shard) -> Shard:
    return with_weight(shard, 3, 1.0)


def answer_half_trained(shard: Shard) -> Shard:
    return with_weight(shard, first_trained(shard), 0.0)


def weight_changed(shard: Shard) -> Shard:
    return with_weight(shard, first_trained(shard), 0.25)


def stop_cut_off(shard: Shard) -> Shard:
    end = last_trained(shard)
    kept = np.ones(len(shard.token_ids), bool)
    kept[end : shard.offsets[1]] = False
    offsets = shard.offsets.copy()
    offsets[1:] -= shard.offsets[1] - end
    return replace(shard, token_ids=shard.token_ids[kept], weights=shard.weights[kept], offsets=offsets)


def example_gone(shard: Shard) -> Shard:
    """The first one's rows are given to a conversation that is not there."""
    return replace(shard, conversation_ids=["s:77", *shard.conversation_ids[1:]])


@pytest.mark.parametrize(
    ("change", "checks"),
    [
        (header_trained, {SPANS, PROMPT}),
        (stop_not_trained, {SPANS, STOP}),
        (nothing_trained, {TRAINED, SPANS}),
        (answer_changed, {SPANS}),
        (prompt_changed, {PROMPT}),
        (question_trained_too, {SPANS, PROMPT}),
        (answer_half_trained, {SPANS, PROMPT}),
        (weight_changed, {WEIGHTS}),
        (stop_cut_off, {SPANS, STOP}),
        (example_gone, {MATCHED, LEDGER}),
    ],
)
def test_a_changed_example_fails_just_the_checks_it_breaks(tmp_path: Path, change: Change, checks: set[str]) -> None:
    splits = prepared_splits(tmp_path, train=CONVERSATIONS)
    path = shard_path(tmp_path / "train", 0)
    changed = change(read_shard(path))
    write_shard(path, changed)
    report = audited(splits)
    assert set(failing(report)) >= checks
    assert set(failing(report)) <= checks | {STOP, SPANS}
    assert not report.passed
    named = {each for name, ids in failing(report).items() for each in ids if name != LEDGER}
    assert named == ({"s:77"} if change is example_gone else {"s:1"})


def test_failures_name_file_and_line_and_what_is_wrong(tmp_path: Path) -> None:
    splits = prepared_splits(tmp_path, train=CONVERSATIONS)
    path = shard_path(tmp_path / "train", 0)
    write_shard(path, answer_changed(read_shard(path)))
    [failure] = next(check.failures for check in audited(splits).checks if check.name == SPANS)
    assert (failure.conversation_id, failure.place) == ("s:1", "s.jsonl:1")
    assert failure.what.startswith("message 2: the trained text reads ")


def test_what_is_over_the_limit_is_found(tmp_path: Path) -> None:
    splits = prepared_splits(tmp_path, train=CONVERSATIONS)
    longest = max(len(row.token_ids) for row in splits["train"][1].rows())
    assert LENGTH not in failing(audited(splits, config=DataConfig(max_tokens=longest)))
    assert LENGTH in failing(audited(splits, config=DataConfig(max_tokens=longest - 1)))


LONG = [
    row(
        1,
        Message("system", "You answer."),
        *ask("First question, long ago? " * 4, "One."),
        *ask("Second?", "Two."),
        *ask("Third question?", "Three it is."),
    ),
    row(2, *ask("Read this.\n\n" + "Some paragraph here.\n\n" * 8 + "What is it?", "A text.")),
    row(3, *ask("Short?", "Yes.")),
    row(4, *ask("Long answer?", "word " * 100)),
]


@pytest.mark.parametrize("template", [CHATML, LLAMA3_TEMPLATE, THINKING])
@pytest.mark.parametrize("policy", ["truncate_left", "truncate_context"])
def test_what_was_shortened_is_proven_against_the_form_it_was_shortened_to(
    tmp_path: Path, policy: Any, template: str
) -> None:
    config = DataConfig(max_tokens=150, overlong=policy)
    splits = prepared_splits(tmp_path, template, config, train=LONG)
    prepared = splits["train"][1]
    assert sum(block.shortened for block in prepared.blocks) >= 1
    assert all(len(each.token_ids) <= 150 for each in prepared.rows())
    report = audited(splits, template, config)
    assert not failing(report), report
    assert report.ledger.kept == prepared.kept < len(LONG)


def test_a_shortened_example_that_lost_anything_else_is_found(tmp_path: Path) -> None:
    config = DataConfig(max_tokens=150, overlong="truncate_left")
    splits = prepared_splits(tmp_path, config=config, train=LONG[:1])
    path = shard_path(tmp_path / "train", 0)
    shard = read_shard(path)
    assert shard.shortened.all()
    kept = np.ones(len(shard.token_ids), bool)
    kept[4] = False
    offsets = np.minimum(shard.offsets, kept.sum())
    write_shard(path, replace(shard, token_ids=shard.token_ids[kept], weights=shard.weights[kept], offsets=offsets))
    assert set(failing(audited(splits, config=config))) == {PROMPT}
    # what is allowed to go is a matter of the policy
    write_shard(path, shard)
    other = DataConfig(max_tokens=150, overlong="truncate_context")
    assert set(failing(audited(splits, config=other))) == {PROMPT}


def test_raw_text_is_whole_and_every_change_of_it_is_found(tmp_path: Path) -> None:
    conversation = Conversation(
        "t:1", Origin("t", "t.txt", 1), text="Lot numarası <|im_end|> mal kabulde verilir. " * 6
    )
    config = DataConfig(max_tokens=32)
    splits = prepared_splits(tmp_path, config=config, train=[conversation])
    assert len(splits["train"][1]) > 3
    assert not failing(audited(splits, config=config))
    path = shard_path(tmp_path / "train", 0)
    shard = read_shard(path)
    for changed in (
        with_token(shard, 5, 99),
        with_weight(shard, 5, 0.0),
        with_token(shard, int(shard.offsets[1]), 99),
        with_weight(shard, int(shard.offsets[1]), 1.0),
    ):
        write_shard(path, changed)
        assert set(failing(audited(splits, config=config))) == {TEXT}


def test_a_prompt_in_two_splits_is_leakage_however_it_is_spelt(tmp_path: Path) -> None:
    splits = prepared_splits(
        tmp_path,
        train=[row(1, *ask("Which lot is blocked?", "Lot 1.")), row(2, *ask("Another?", "No."))],
        valid=[row(3, *ask("Who approves?", "The lead."))],
        test=[row(4, *ask("which  LOT is\nblocked?", "Lot 2."))],
    )
    report = audited(splits)
    assert failing(report) == {LEAKAGE: ["s:1"]}
    [failure] = next(check.failures for check in report.checks if check.name == LEAKAGE)
    assert failure.what == "train: the prompt also stands in test, s.jsonl:4 (s:4)"


def test_valid_and_test_are_held_apart_too(tmp_path: Path) -> None:
    same = ask("Which lot is blocked?", "Lot 1.")
    assert failing(audited(prepared_splits(tmp_path, valid=[row(1, *same)], test=[row(2, *same)]))) == {
        LEAKAGE: ["s:1"]
    }


def test_the_ledger_adds_up_with_what_was_left_out_before_and_here(tmp_path: Path) -> None:
    conversations = [*CONVERSATIONS, row(5, Message("user", "Nobody answers."))]
    splits = prepared_splits(tmp_path, train=conversations)
    before = [
        LeftOut(Origin("s", "s.jsonl", 6), "not valid JSON", "", "{"),
        LeftOut(Origin("s", "s.jsonl", 7), "empty"),
    ]
    report = audited(splits, rows_read=9, left_out=before, counted={"not drawn": 2})
    assert report.passed
    assert (report.ledger.read, report.ledger.kept) == (9, 4)
    told = {each.reason: (each.count, each.places) for each in report.ledger.left_out}
    assert told["not valid JSON"] == (1, ("s.jsonl:6: {",))
    assert told["not drawn"] == (2, ())
    assert sum(count for count, _ in told.values()) == 5
    short = audited(splits, rows_read=10, left_out=before, counted={"not drawn": 2})
    assert failing(short) == {LEDGER: [""]}
    assert short.ledger.missing == 1


def test_a_split_of_which_nothing_was_kept_does_not_pass_for_want_of_rows(tmp_path: Path) -> None:
    report = audited(prepared_splits(tmp_path, train=[row(1, Message("user", "Nobody answers."))]))
    assert failing(report) == {TRAINED: [""]}


def test_rows_that_mixing_repeats_are_one_row_in_the_ledger(tmp_path: Path) -> None:
    copies = [replace(CONVERSATIONS[0], conversation_id=f"s:1#{number}") for number in (2, 3)]
    splits = prepared_splits(tmp_path, train=[*CONVERSATIONS, *copies])
    report = audited(splits, rows_read=4)
    assert report.passed
    assert report.ledger.copies == 2


def test_conversations_that_are_missing_or_too_many_are_found(tmp_path: Path) -> None:
    conversations, prepared = prepared_splits(tmp_path, train=CONVERSATIONS)["train"]
    more = audited({"train": ([*conversations, row(9, *ask("New?", "Yes."))], prepared)})
    fewer = audited({"train": (CONVERSATIONS[:2], prepared)})
    assert MATCHED in failing(more)
    assert MATCHED in failing(fewer)


def test_the_number_of_processes_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from groundtune.dataset.prepared import preparing

    monkeypatch.setattr(preparing, "BLOCK_CONVERSATIONS", 4)
    conversations = [row(number, *ask(f"Which is {number}?", f"Lot {number}.")) for number in range(1, 30)]
    splits = prepared_splits(tmp_path, train=conversations, test=[conversations[7], conversations[20]])
    one, three = (audited(splits, processes=number) for number in (1, 3))
    assert one == three
    assert failing(one) == {LEAKAGE: ["s:8", "s:21"], LEDGER: [""]} or failing(one) == {LEAKAGE: ["s:8", "s:21"]}


def example(number: int, split: Split, question: str, chunk: str, answer: str = "Üretim partisi.") -> Example:
    messages = (
        Message("system", "Asistansın."),
        Message("user", f"Bağlam:\n…\n\nSoru:\n{question}"),
        Message("assistant", answer),
    )
    return Example(
        example_id=f"p-{number}",
        messages=messages,
        language="tr",
        split=split,
        pair_id=f"p-{number}",
        rule=Rule.INDIVIDUAL,
        type=QuestionType.FACTUAL,
        difficulty=Difficulty.EASY,
        answerable=True,
        question=question,
        context_chunk_ids=(chunk,),
        evidence_chunk_ids=(chunk,),
    )


def test_grounded_examples_pass_and_their_ledger_adds_up() -> None:
    splits: dict[Split, list[Example]] = {
        "train": [example(1, "train", "Lot nedir?", "a"), example(2, "train", "Kim onaylar?", "a")],
        "valid": [],
        "test": [example(3, "test", "Sayım nedir?", "b")],
    }
    report = audit_examples(
        splits, tokenizer(LLAMA3_TEMPLATE), max_tokens=256, pairs_read=4, left_out={"empty": ["p-4"]}
    )
    assert report.passed, report
    assert (report.ledger.read, report.ledger.kept, report.ledger.left_out[0].places) == (4, 3, ("p-4",))
    assert {check.rows for check in report.checks if check.name != LEDGER} == {3}


def test_shared_evidence_and_shared_questions_are_found_by_line() -> None:
    splits: dict[Split, list[Example]] = {
        "train": [example(1, "train", "Lot nedir?", "a"), example(2, "train", "KİM onaylar", "c")],
        "valid": [example(3, "valid", "Kim onaylar?", "b")],
        "test": [example(4, "test", "Sayım nedir?", "a")],
    }
    report = audit_examples(splits, tokenizer(LLAMA3_TEMPLATE), max_tokens=256)
    assert failing(report) == {LEAKAGE: ["p-2"], EVIDENCE: ["p-1"]}
    places = [check.failures[0].place for check in report.checks if check.failures]
    assert places == ["dataset/train.jsonl:2", "dataset/train.jsonl:1"]


def test_an_example_over_the_limit_or_without_an_answer_is_found() -> None:
    splits: dict[Split, list[Example]] = {
        "train": [example(1, "train", "Lot nedir?", "a"), example(2, "train", "Kim onaylar?", "b", answer=" ")]
    }
    report = audit_examples(splits, tokenizer(LLAMA3_TEMPLATE), max_tokens=16)
    assert failing(report) == {RENDERED: ["p-2"], LENGTH: ["p-1"]}


def test_the_report_goes_to_json_with_its_verdicts(tmp_path: Path) -> None:
    record = audited(prepared_splits(tmp_path, train=CONVERSATIONS)).as_json()
    assert record["passed"] is True
    assert all(check["passed"] for check in record["checks"])
    assert record["ledger"]["read"] == 4
