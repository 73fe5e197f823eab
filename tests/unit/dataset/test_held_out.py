"""Prompts are held out whole, in exact numbers, and nearly the same ones when rows are added."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.dataset.held_out import SplitSizes, group_keys, split_groups
from groundtune.types import Conversation, Message, Origin


def row(number, question, answer="A.", source="a", **more):
    messages = (Message("system", "S."), Message("user", question), Message("assistant", answer))
    return Conversation(f"{source}:{number}", Origin(source, "a.json", number), messages, **more)


def rows_of(count):
    return [row(n, f"Question {n}?") for n in range(1, count + 1)]


def split_rows(rows, sizes, *, seed):
    keys = group_keys(rows)
    splits = split_groups([keys[each.conversation_id] for each in rows], sizes, seed=seed)
    divided = {"train": [], "valid": [], "test": []}
    for each in rows:
        divided[splits[keys[each.conversation_id]]].append(each)
    return divided


def ids(divided, split):
    return {each.conversation_id for each in divided[split]}


@pytest.mark.parametrize("count", [1, 7, 40, 333, 1000])
@pytest.mark.parametrize("shares", [(0.05, 0.0), (0.1, 0.1), (0.33, 0.2)])
def test_sizes_are_exact_where_prompts_are_distinct(count, shares):
    divided = split_rows(rows_of(count), SplitSizes(*shares), seed=1)
    assert [len(divided[split]) for split in ("valid", "test")] == [round(share * count) for share in shares]
    assert sum(map(len, divided.values())) == count


def test_a_count_may_be_asked_for():
    divided = split_rows(rows_of(100), SplitSizes(valid=7, test=0.1), seed=1)
    assert [len(divided[split]) for split in ("train", "valid", "test")] == [83, 7, 10]
    everything = split_rows(rows_of(3), SplitSizes(valid=7), seed=1)
    assert len(everything["valid"]) == 3


def test_copies_of_a_prompt_stay_together_whatever_their_case_spacing_or_answer():
    rows = [
        row(10 * n + k, form.format(n), f"Answer {k}")
        for n in range(60)
        for k, form in enumerate(["Işık {0} nerede?", "IŞIK  {0} NEREDE?", "ışık {0}\nnerede?"])
    ]
    divided = split_rows(rows, SplitSizes(0.2, 0.2), seed=1)
    places = {split: {each.origin.row // 10 for each in rows} for split, rows in divided.items()}
    assert not places["train"] & places["valid"]
    assert not (places["train"] | places["valid"]) & places["test"]
    # groups of three cannot be nearer
    assert abs(len(divided["valid"]) - 36) <= 1


def test_another_system_prompt_or_tool_makes_another_prompt():
    system = row(1, "Q?")
    rows = [system, row(2, "Q?", tools=("{}",)), Conversation("a:3", system.origin, system.messages[1:])]
    divided = split_rows(rows, SplitSizes(valid=1, test=1), seed=1)
    assert [len(divided[split]) for split in ("train", "valid", "test")] == [1, 1, 1]


def test_rows_added_move_few():
    before = split_rows(rows_of(2000), SplitSizes(0.1, 0.1), seed=1)
    after = split_rows(rows_of(2100), SplitSizes(0.1, 0.1), seed=1)
    moved = sum(len(ids(before, split) - ids(after, split)) for split in before)
    # 10 of 200 places are new; they are filled by what lies next, and some of the new rows lie before it
    assert moved <= 30
    one_more = split_rows(rows_of(2001), SplitSizes(0.1, 0.1), seed=1)
    assert sum(len(ids(before, split) - ids(one_more, split)) for split in before) <= 2


def test_order_does_not_matter_and_the_seed_does():
    rows = rows_of(200)
    one, turned, other = (
        split_rows(rows, SplitSizes(0.2), seed=1),
        split_rows(rows[::-1], SplitSizes(0.2), seed=1),
        split_rows(rows, SplitSizes(0.2), seed=2),
    )
    assert ids(one, "valid") == ids(turned, "valid") != ids(other, "valid")


def test_augmented_rows_follow_the_row_they_were_made_from():
    rows = rows_of(50)
    made = [
        row(n, f"In other words {n}?", fields={"augmented": "rephrase", "from": f"a:{n}"}, source="made")
        for n in range(1, 51)
    ]
    # made from a row that a filter has taken: these two still stay together
    orphans = [
        row(n, f"Orphan {n}?", fields={"augmented": "rephrase", "from": "a:999"}, source="orphan") for n in (1, 2)
    ]
    divided = split_rows([*rows, *made, *orphans], SplitSizes(0.3, 0.2), seed=1)
    place = {each.conversation_id: split for split, rows in divided.items() for each in rows}
    assert all(place[f"made:{n}"] == place[f"a:{n}"] for n in range(1, 51))
    assert place["orphan:1"] == place["orphan:2"]
    assert len(set(place.values())) == 3


def test_a_column_called_from_ties_nothing_by_itself():
    rows = [row(n, f"Question {n}?", fields={"from": "a:1"}) for n in range(1, 101)]
    assert len(split_rows(rows, SplitSizes(0.5), seed=1)["valid"]) == 50


def test_a_prompt_larger_than_the_split_is_passed_over():
    rows = [row(n, "Hi") for n in range(1, 81)] + [row(n, f"Question {n}?") for n in range(81, 101)]
    divided = split_rows(rows, SplitSizes(0.1), seed=1)
    assert len(divided["valid"]) == 10
    assert all(each.origin.row > 80 for each in divided["valid"])


@given(st.lists(st.integers(0, 15), max_size=60), st.floats(0, 0.4), st.floats(0, 0.4), st.integers(0, 99))
def test_the_law_no_prompt_stands_in_two_splits(prompts, valid, test, seed):
    rows = [row(n, f"Prompt {prompt}") for n, prompt in enumerate(prompts)]
    divided = split_rows(rows, SplitSizes(valid, test), seed=seed)
    seen = [{each.messages[1].content for each in part} for part in divided.values()]
    assert sum(map(len, seen)) == len(set().union(*seen))
    assert sorted(each.origin.row for part in divided.values() for each in part) == list(range(len(rows)))
