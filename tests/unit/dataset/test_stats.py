from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.chat import LLAMA3_TEMPLATE, render
from groundtune.config import DataConfig
from groundtune.dataset.prepared import prepare
from groundtune.dataset.stats import DataStats, Lengths, example_stats, prepared_stats
from groundtune.files import as_plain
from groundtune.types import Conversation, Difficulty, Example, Message, Origin, QuestionType, Rule, Split

PROSE = (
    "A lot number is given at goods receipt. The warehouse lead approves it.\n",
    "Lot numarası mal kabulde verilir.\n",
)
SYSTEM = Message("system", "You answer questions about lots, and nothing else at all.")


@lru_cache(maxsize=1)
def tokenizer() -> Any:
    from groundtune.models import train_tokenizer

    return train_tokenizer(PROSE * 20, vocab_size=420, chat_template=LLAMA3_TEMPLATE)


def row(source: str, number: int, question: str, answer: str, **parts: Any) -> Conversation:
    messages = (SYSTEM, Message("user", question), Message("assistant", answer))
    return Conversation(f"{source}:{number}", Origin(source, f"{source}.jsonl", number), messages, **parts)


def counted(folder: Path, conversations: list[Conversation], **config: Any) -> DataStats:
    prepared = prepare(conversations, tokenizer(), DataConfig(**config), folder=folder, key="k", processes=1)
    return prepared_stats({"train": (conversations, prepared)}, languages=("tr", "en"))


def test_tokens_and_shares_are_those_of_the_renderer(tmp_path: Path) -> None:
    conversations = [row("a", 1, "Which lot?", "Lot 1."), row("b", 1, "Who approves it?", "The warehouse lead does.")]
    found = counted(tmp_path, conversations).splits["train"]
    rendered = [render(tokenizer(), each.messages) for each in conversations]
    sizes, trained = [len(each.token_ids) for each in rendered], [sum(each.trained) for each in rendered]
    assert (found.conversations, found.examples, found.tokens) == (2, 2, sum(sizes))
    assert found.trained_tokens == sum(trained)
    assert found.trained_share == round(sum(trained) / sum(sizes), 4)
    assert found.lengths is not None
    assert (found.lengths.min, found.lengths.max) == (min(sizes), max(sizes))
    assert [(name, each.tokens, each.trained_tokens) for name, each in found.sources.items()] == [
        ("a", sizes[0], trained[0]),
        ("b", sizes[1], trained[1]),
    ]


def test_shared_beginnings_are_counted_once_in_what_is_saved(tmp_path: Path) -> None:
    one = counted(tmp_path / "one", [row("a", 1, "Which lot?", "Lot 1.")]).splits["train"].saving
    same = [row("a", number, "Which lot?", "Lot 1.") for number in range(1, 5)]
    four = counted(tmp_path / "four", same).splits["train"].saving
    assert one is not None
    assert four is not None
    assert four.unique_tokens == one.unique_tokens
    assert four.dataset_tokens == 4 * one.dataset_tokens
    assert four.ratio == pytest.approx(4 * one.ratio, rel=1e-2)


def test_copies_are_counted_apart_from_repeats_that_mixing_made(tmp_path: Path) -> None:
    conversations = [
        row("a", 1, "Which lot?", "Lot 1."),
        row("a", 2, "Which  lot?", "Lot 1."),
        row("a", 3, "which lot?", "Another."),
        row("a", 4, "Who?", "The lead."),
    ]
    repeat = Conversation("a:4#2", conversations[3].origin, conversations[3].messages)
    found = counted(tmp_path, [*conversations, repeat]).splits["train"].duplicates
    # copies: row 2 of row 1, and the repeat; prompts: rows 2 and 3 of row 1, and the repeat
    assert (found.conversations, found.prompts, found.repeated_by_mixing) == (2, 3, 1)


def test_kinds_and_named_columns_are_counted_most_frequent_first(tmp_path: Path) -> None:
    conversations = [
        row("a", 1, "Which lot?", "Lot 1.", fields={"category": "lots", "id": 7}),
        row("a", 2, "Who?", "The lead.", fields={"category": "people"}),
        row("a", 3, "When?", "Now.", fields={"category": "people"}),
        Conversation("t:1", Origin("t", "t.txt", 1), text="A lot number is given at goods receipt."),
    ]
    kinds = counted(tmp_path, conversations).splits["train"].kinds
    assert list(kinds["kind"].items()) == [("chat", 3), ("text", 1)]
    assert list(kinds["category"].items()) == [("people", 2), ("lots", 1)]
    assert kinds["answers"] == {"1": 3}
    assert kinds["with"] == {"system prompt": 3}
    assert "id" not in kinds


def test_languages_are_taken_as_said_and_found_where_nothing_is_said(tmp_path: Path) -> None:
    turkish = "Lot numarası mal kabulde verilir ve depo şefi tarafından onaylanır."
    conversations = [
        row("a", 1, "Which lot?", "Lot 1.", language="en"),
        row("a", 2, "Lot nerede?", turkish),
        row("a", 3, "Kim onaylar?", turkish),
        Conversation("t:1", Origin("t", "t.txt", 1), text="A lot."),
    ]
    found = counted(tmp_path, conversations).splits["train"]
    assert found.languages == {"": 3, "en": 1}
    assert found.languages_found == {"tr": 2, "?": 1}


def test_what_was_left_out_is_not_counted(tmp_path: Path) -> None:
    conversations = [
        row("a", 1, "Which lot?", "Lot 1."),
        row("b", 1, "Nobody answers.", " "),
        row("a", 2, "Who?", "I."),
    ]
    found = counted(tmp_path, conversations).splits["train"]
    assert found.conversations == 2
    assert list(found.sources) == ["a"]


def test_grounded_examples_are_counted_by_type_and_difficulty() -> None:
    def example(number: int, kind: QuestionType) -> Example:
        return Example(
            example_id=f"p-{number}",
            messages=(SYSTEM, Message("user", f"Lot {number}?"), Message("assistant", "Üretim partisi.")),
            language="tr",
            split="train",
            pair_id=f"p-{number}",
            rule=Rule.MODULE,
            type=kind,
            difficulty=Difficulty.HARD,
            answerable=number > 1,
            question=f"Lot {number}?",
            context_chunk_ids=("a",),
            evidence_chunk_ids=("a",),
        )

    splits: dict[Split, list[Example]] = {
        "train": [example(1, QuestionType.LIST), example(2, QuestionType.FACTUAL), example(3, QuestionType.LIST)],
        "valid": [],
    }
    stats = example_stats(splits, tokenizer())
    assert list(stats.splits) == ["train"]
    found = stats.splits["train"]
    assert found.kinds["type"] == {"list": 2, "factual": 1}
    assert found.kinds["answerable"] == {"yes": 2, "no": 1}
    assert found.languages == {"tr": 3}
    assert found.saving is not None
    assert found.saving.ratio > 1.5


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=300))
def test_a_histogram_counts_every_length_once_in_bins_that_touch(values: list[int]) -> None:
    lengths = Lengths.of(values)
    assert lengths is not None
    assert sum(each.count for each in lengths.histogram) == len(values)
    for each in lengths.histogram:
        assert each.count == sum(each.first <= value <= each.last for value in values)
    for before, after in zip(lengths.histogram, lengths.histogram[1:], strict=False):
        assert after.first == before.last + 1
    assert lengths.total == sum(values)
    assert len(lengths.bars) == len(lengths.histogram)
    assert lengths.p95 == pytest.approx(float(np.percentile(values, 95)), abs=0.051)


def test_an_empty_split_has_no_lengths(tmp_path: Path) -> None:
    found = counted(tmp_path, []).splits["train"]
    assert (found.examples, found.lengths, found.saving) == (0, None, None)


def test_the_figures_go_to_json_and_are_the_same_every_time(tmp_path: Path) -> None:
    conversations = [row("a", number, f"Which is {number}?", "Lot 1.") for number in range(30)]
    one, two = (counted(tmp_path / name, conversations) for name in ("one", "two"))
    assert json.dumps(as_plain(one)) == json.dumps(as_plain(two))
