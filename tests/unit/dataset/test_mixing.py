"""Counts, weights and interleaving give what they say, repeats are shown, and the table adds up."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import DataConfig, FilterConfig, SourceConfig
from groundtune.dataset.mixing import PROMPT_HELD_OUT, mix
from groundtune.dataset.quality import Reason
from groundtune.errors import DataError
from groundtune.types import Conversation, Message, Origin

WORDS = [
    "kargo",
    "depo",
    "fatura",
    "sayım",
    "iade",
    "lot",
    "raf",
    "araç",
    "sipariş",
    "müşteri",
    "bütçe",
    "kasa",
    "vardiya",
    "arıza",
    "yedek",
    "ölçüm",
]


def row(source, number, question=None):
    question = question or f"{WORDS[number % 16]} {number * 7919} {WORDS[number // 16 % 16]} {source}?"
    messages = (Message("user", question), Message("assistant", f"{number}."))
    return Conversation(f"{source}:{number}", Origin(source, f"{source}.json", number), messages)


def sources(**counts):
    return {name: [row(name, n) for n in range(1, count + 1)] for name, count in counts.items()}


def config(*each, **more):
    plain = {"valid_share": 0.0, "filters": FilterConfig(decontaminate=False)}
    return DataConfig(sources=tuple(SourceConfig(path="x.json", **one) for one in each), **(plain | more))


def names(rows):
    return [each.conversation_id for each in rows]


def assert_adds_up(mixed):
    for line in mixed.table:
        assert line["rows"] == sum(line[key] for key in ("not_drawn", "left_out", "train", "valid", "test"))
    assert sum(line["seen"] for line in mixed.table) == len(mixed.splits["train"])
    for split in ("valid", "test"):
        assert sum(line[split] for line in mixed.table) == len(mixed.splits[split])
    assert sum(line["left_out"] for line in mixed.table) == len(mixed.left_out)


def test_sources_stand_one_after_the_other_as_they_are():
    mixed = mix(sources(a=3, b=2), config({}, {}), seed=1)
    assert names(mixed.splits["train"]) == ["a:1", "a:2", "a:3", "b:1", "b:2"]
    assert_adds_up(mixed)


def test_a_weight_is_how_often_a_row_is_seen():
    mixed = mix(sources(a=10, b=8), config({"weight": 2.5}, {"weight": 0.5}), seed=1)
    times = Counter(name.partition("#")[0] for name in names(mixed.splits["train"]))
    assert sorted(times[f"a:{n}"] for n in range(1, 11)) == [2] * 5 + [3] * 5
    assert sorted(times[f"b:{n}"] for n in range(1, 9)) == [0] * 4 + [1] * 4
    assert [(line["train"], line["seen"], line["times_seen"]) for line in mixed.table] == [(10, 25, 2.5), (4, 4, 1.0)]
    assert mixed.table[1]["not_drawn"] == 4
    assert_adds_up(mixed)


def test_rows_are_fetched_from_their_source_and_not_held():
    class Fetched(list):
        asked = 0

        def __getitem__(self, index):
            Fetched.asked += 1
            return super().__getitem__(index)

    mixed = mix({"a": Fetched(sources(a=10)["a"])}, config({"weight": 2}), seed=1)
    assert Fetched.asked == 0
    train = mixed.splits["train"]
    assert train[12].conversation_id == "a:3#2"
    assert train[-1].conversation_id == "a:10#2"
    assert names(train[8:11]) == ["a:9", "a:10", "a:1#2"]
    assert Fetched.asked == 5


def test_repeats_have_ids_of_their_own():
    mixed = mix(sources(a=2), config({"weight": 3}), seed=1)
    assert names(mixed.splits["train"]) == ["a:1", "a:2", "a:1#2", "a:2#2", "a:1#3", "a:2#3"]


def test_a_source_with_a_sharp_in_its_name_is_not_mistaken_for_repeats():
    rows = {"c#": [row("c#", 1), row("c#", 2)], "c#1": [row("c#1", 1)]}
    mixed = mix(rows, config({"weight": 2}, {}), seed=1)
    assert names(mixed.splits["train"]) == ["c#:1", "c#:2", "c#:1#2", "c#:2#2", "c#1:1"]
    assert [line["times_seen"] for line in mixed.table] == [2.0, 1.0]


def test_a_count_draws_by_seed_and_repeats_when_there_are_too_few():
    few = mix(sources(a=100), config({"count": 10}), seed=1)
    assert len(set(names(few.splits["train"]))) == 10
    assert names(few.splits["train"]) == names(mix(sources(a=100), config({"count": 10}), seed=1).splits["train"])
    assert names(few.splits["train"]) != names(mix(sources(a=100), config({"count": 10}), seed=2).splits["train"])
    many = mix(sources(a=4), config({"count": 10}), seed=1)
    assert len(many.splits["train"]) == 10
    assert many.table[0]["times_seen"] == 2.5
    assert_adds_up(many)


def test_a_larger_count_keeps_the_rows_of_a_smaller():
    small, large = (mix(sources(a=100), config({"count": count}), seed=1) for count in (10, 20))
    assert set(names(small.splits["train"])) < set(names(large.splits["train"]))


def test_max_rows_takes_the_first():
    mixed = mix(sources(a=9), config({"max_rows": 4}), seed=1)
    assert names(mixed.splits["train"]) == ["a:1", "a:2", "a:3", "a:4"]
    assert mixed.table[0]["not_drawn"] == 5


def test_held_out_rows_stand_once_whatever_the_weight():
    mixed = mix(sources(a=100), config({"weight": 3}, valid_share=0.1, test_share=0.05), seed=1)
    assert [len(mixed.splits[split]) for split in ("train", "valid", "test")] == [255, 10, 5]
    assert not any("#" in name for split in ("valid", "test") for name in names(mixed.splits[split]))
    assert_adds_up(mixed)


def test_a_source_goes_to_the_split_it_is_for():
    mixed = mix(sources(a=5, b=3, c=2), config({}, {"use": "valid"}, {"use": "test"}), seed=1)
    assert [names(mixed.splits[split])[0] for split in ("train", "valid", "test")] == ["a:1", "b:1", "c:1"]
    assert [len(mixed.splits[split]) for split in ("train", "valid", "test")] == [5, 3, 2]


def test_a_held_out_source_stays_as_given_and_its_prompts_are_trained_nowhere():
    shared = "Which prompt is in all of them?"
    rows = {
        "a": [row("a", 1), row("a", 2, shared)],
        "b": [row("b", 1), row("b", 2, shared.upper())],
        "c": [row("c", 1, shared)],
    }
    mixed = mix(rows, config({}, {"use": "train"}, {"use": "test"}, valid_share=0.3), seed=1)
    assert names(mixed.splits["test"]) == ["c:1"]
    assert {each.origin for each in mixed.left_out} == {rows["a"][1].origin, rows["b"][1].origin}
    assert {each.reason for each in mixed.left_out} == {PROMPT_HELD_OUT}
    assert_adds_up(mixed)


def test_a_prompt_of_a_training_source_is_not_held_out_of_another():
    shared = [f"Shared question {n}?" for n in range(20)]
    rows = {
        "a": [row("a", n, text) for n, text in enumerate(shared)],
        "b": [row("b", n, text) for n, text in enumerate(shared)],
    }
    mixed = mix(rows, config({"use": "train"}, {}, valid_share=0.5), seed=1)
    assert len(mixed.splits["train"]) == 40
    assert not mixed.splits["valid"]


def test_near_copies_of_held_out_prompts_leave_training_before_anything_is_repeated():
    question = "Which document does the warehouse need before a pallet of blocked goods may leave the yard?"
    rows = {"a": [row("a", 1, question.replace("pallet", "palette")), row("a", 2)], "b": [row("b", 1, question)]}
    settings = config({"weight": 2}, {"use": "test"}, filters=FilterConfig())
    mixed = mix(rows, settings, seed=1)
    assert [(each.origin.row, each.reason) for each in mixed.left_out] == [(1, Reason.NEAR_COPY_OF_HELD_OUT)]
    assert names(mixed.splits["train"]) == ["a:2", "a:2#2"]
    assert_adds_up(mixed)


def test_interleaving_under_ends_with_the_first_source():
    mixed = mix(sources(a=500, b=50), config({"weight": 3}, {"weight": 1}, mix="interleave_under"), seed=1)
    seen = Counter(name[0] for name in names(mixed.splits["train"]))
    assert seen["b"] == 50
    assert mixed.splits["train"][-1].origin.source == "b"
    # three draws of a for one of b: 150 with a standard deviation of 24 (negative binomial)
    assert 90 < seen["a"] < 210
    assert not any("#" in name for name in names(mixed.splits["train"]))
    assert mixed.table[0]["not_drawn"] == 500 - seen["a"]
    assert_adds_up(mixed)


def test_interleaving_over_sees_every_row_and_repeats_the_smaller():
    mixed = mix(sources(a=200, b=20), config({}, {}, mix="interleave_over"), seed=1)
    times = Counter(name.partition("#")[0] for name in names(mixed.splits["train"]))
    assert len(times) == 220
    assert max(times[f"a:{n}"] for n in range(1, 201)) == 1
    assert 7 <= min(times[f"b:{n}"] for n in range(1, 21)) <= 13
    assert mixed.table[1]["times_seen"] > 7
    assert len(set(names(mixed.splits["train"]))) == len(mixed.splits["train"])
    assert_adds_up(mixed)


def test_interleaving_draws_from_all_of_a_file_and_not_from_its_head():
    mixed = mix(sources(a=1000, b=50), config({}, {}, mix="interleave_under"), seed=1)
    drawn = [each.origin.row for each in mixed.splits["train"] if each.origin.source == "a"]
    assert max(drawn) > 700


def test_an_empty_source_is_passed_over():
    mixed = mix(sources(a=5, b=0), config({}, {}, mix="interleave_over"), seed=1)
    assert len(mixed.splits["train"]) == 5
    assert mixed.table[1]["times_seen"] == 0.0
    assert {split: list(rows) for split, rows in mix({}, config(), seed=1).splits.items()} == {
        "train": [],
        "valid": [],
        "test": [],
    }


def test_general_rows_are_the_share_asked_for():
    some = mix(sources(g=1000), config({}, share=0.1), seed=1, num_grounded=900).splits["train"]
    assert len(some) == 100
    assert len(set(names(some))) == 100
    everything = mix(sources(g=1000), config({}), seed=1, num_grounded=900).splits["train"]
    assert len(everything) == 1000
    assert len(mix({}, config(share=0.5), seed=1, num_grounded=900).splits["train"]) == 0


def test_beside_grounded_examples_the_book_shows_what_is_left_of_the_mixture():
    settings = config({}, {"weight": 3}, share=0.2)
    mixed = mix(sources(a=60, b=20), settings, seed=1, num_grounded=160)
    assert len(mixed.splits["train"]) == 40
    assert 10 < mixed.table[1]["seen"] < 30
    assert_adds_up(mixed)
    alone = mix(sources(a=60, b=20), settings, seed=1)
    assert len(alone.splits["train"]) == 120
    upsampled = mix(sources(a=6, b=2), config({}, {}, share=0.5), seed=1, num_grounded=40)
    assert [line["times_seen"] for line in upsampled.table] == [5.0, 5.0]


def test_too_few_general_rows_are_repeated_under_further_ids():
    some = names(mix(sources(g=3), config({"weight": 2}, share=0.5), seed=1, num_grounded=7).splits["train"])
    assert sorted(name for name in some if not name.endswith("#3")) == ["g:1", "g:1#2", "g:2", "g:2#2", "g:3", "g:3#2"]
    assert len(set(some)) == 7


def test_sources_that_do_not_fit_the_configuration_are_an_error():
    with pytest.raises(DataError, match=r"found 2 sets of rows \(a, b\) for 1 data\.sources"):
        mix(sources(a=1, b=1), config({}), seed=1)
    twice = {"a": [row("a", 1)], "b": [row("a", 1)]}
    with pytest.raises(DataError, match=r"a\.json:1: another row has the id 'a:1'"):
        mix(twice, config({}, {}), seed=1)


@settings(max_examples=tries(200), deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0.3, 1.0, 1.7])), min_size=1, max_size=4),
    st.sampled_from(["concatenate", "interleave_under", "interleave_over"]),
    st.integers(0, 9),
)
def test_the_law_every_row_is_accounted_for_and_ids_are_unique(each, manner, seed):
    rows = sources(**{f"s{place}": count for place, (count, _) in enumerate(each)})
    settings = config(*({"weight": weight} for _, weight in each), mix=manner, valid_share=0.2, test_share=0.1)
    mixed = mix(rows, settings, seed=seed)
    assert_adds_up(mixed)
    everything = [name for split in mixed.splits.values() for name in names(split)]
    assert len(set(everything)) == len(everything)
    prompts = [{one.messages[0].content for one in part} for part in mixed.splits.values()]
    assert sum(map(len, prompts)) == len(set().union(*prompts))
    again = mix(rows, settings, seed=seed)
    assert {split: list(part) for split, part in again.splits.items()} == {
        split: list(part) for split, part in mixed.splits.items()
    }
    assert (again.table, again.left_out) == (mixed.table, mixed.left_out)
