"""Rows are thinned out to the shares asked for, by seed, with a book that adds up."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import BalanceConfig
from groundtune.dataset.quality import Reason, balance
from groundtune.errors import ConfigError, DataError
from groundtune.types import Conversation, LeftOut, Origin


def rows_of(levels):
    return [
        Conversation(f"a:{n}", Origin("a", "a.json", n), fields={} if level is None else {"level": level})
        for n, level in enumerate(levels, start=1)
    ]


def kept(done):
    return [row for row in done.rows if isinstance(row, Conversation)]


def test_shares_are_those_asked_for_and_reported():
    levels = ["easy"] * 60 + ["medium"] * 30 + ["hard"] * 10
    config = BalanceConfig(field="level", shares={"easy": 0.4, "medium": 0.4, "hard": 0.2})
    done = balance(rows_of(levels), config, seed=1)
    # 10 hard rows are a fifth of 50
    assert Counter(row.fields["level"] for row in kept(done)) == {"easy": 20, "medium": 20, "hard": 10}
    assert [(line["rows_before"], line["rows_after"]) for line in done.table] == [(60, 20), (30, 20), (10, 10)]
    assert [round(line["share_before"], 3) for line in done.table] == [0.6, 0.3, 0.1]
    assert [round(line["share_after"], 3) for line in done.table] == [0.4, 0.4, 0.2]


def test_other_values_and_missing_ones_go_by_a_reason_of_their_own():
    config = BalanceConfig(field="level", shares={"1": 0.5, "2": 0.5})
    done = balance(rows_of([1, 2, 3, None, 2]), config, seed=1)
    gone = [(row.origin.row, row.reason, row.found) for row in done.rows if isinstance(row, LeftOut)]
    assert (3, Reason.VALUE_NOT_BALANCED, "level is '3'") in gone
    assert (4, Reason.VALUE_NOT_BALANCED, "level is None") in gone
    assert [reason for _, reason, _ in gone].count(Reason.THINNED_OUT) == 1
    assert done.table[-1]["value"] is None
    assert done.table[-1]["rows_before"] == 2


def test_the_seed_decides_and_order_is_kept():
    rows = rows_of(["a"] * 50 + ["b"] * 10)
    config = BalanceConfig(field="level", shares={"a": 0.5, "b": 0.5})
    one, again, other = (balance(rows, config, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    assert [row.origin.row for row in one.rows] == list(range(1, 61))


def test_a_row_more_changes_little():
    rows = rows_of(["a"] * 50 + ["b"] * 10)
    config = BalanceConfig(field="level", shares={"a": 0.5, "b": 0.5})
    more = [*rows, Conversation("a:99", Origin("a", "a.json", 99), fields={"level": "a"})]
    before = {row.conversation_id for row in kept(balance(rows, config, seed=1))}
    after = {row.conversation_id for row in kept(balance(more, config, seed=1))}
    assert len(before - after) <= 1


def test_a_share_of_a_value_that_is_nowhere_is_an_error_that_says_what_is_there():
    config = BalanceConfig(field="level", shares={"easy": 0.5, "hard": 0.5})
    with pytest.raises(DataError, match=r"no row has level 'hard'.*found 'easy' \(2\)"):
        balance(rows_of(["easy", "easy"]), config, seed=1)
    with pytest.raises(ConfigError, match=r"add up to 0\.9"):
        balance([], BalanceConfig(field="level", shares={"a": 0.5, "b": 0.4}), seed=1)


def test_language_and_source_need_no_column():
    rows = [
        Conversation(f"{source}:{n}", Origin(source, "x", n), language=language)
        for n, (source, language) in enumerate([("a", "tr"), ("b", "tr"), ("b", "en")], start=1)
    ]
    done = balance(rows, BalanceConfig(field="language", shares={"tr": 0.5, "en": 0.5}), seed=1)
    assert Counter(row.language for row in kept(done)) == {"tr": 1, "en": 1}
    done = balance(rows, BalanceConfig(field="source", shares={"a": 0.5, "b": 0.5}), seed=1)
    assert Counter(row.origin.source for row in kept(done)) == {"a": 1, "b": 1}


@given(
    st.lists(st.sampled_from("abc"), min_size=3, max_size=60).filter(lambda levels: set(levels) == set("abc")),
    st.sampled_from([(0.2, 0.3, 0.5), (0.1, 0.1, 0.8), (1 / 3, 1 / 3, 1 / 3)]),
)
def test_the_law_no_share_is_off_by_more_than_a_row(levels, shares):
    config = BalanceConfig(field="level", shares=dict(zip("abc", shares, strict=True)))
    done = balance(rows_of(levels), config, seed=3)
    counts = Counter(row.fields["level"] for row in kept(done))
    scarcest = min(levels.count(value) / share for value, share in config.shares.items())
    for value, share in config.shares.items():
        assert abs(counts[value] - share * scarcest) <= 1
