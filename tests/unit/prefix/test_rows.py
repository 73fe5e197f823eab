import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import TrainingError
from groundtune.prefix import rows as module
from groundtune.prefix.examples import TokenisedExamples
from groundtune.prefix.rows import Row, pack_rows, row_fill
from groundtune.prefix.tree import PrefixTree, build_tree

SHARED_DATA = Path(__file__).parents[4] / "shared" / "data"

Example = tuple[list[int], list[float]]


@st.composite
def example_sets(draw: st.DrawFn, weights: tuple[float, ...] = (0.0, 0.0, 1.0, 0.25, 2.0)) -> list[Example]:
    """Up to eight examples that go on from prefixes of earlier ones, copies and extensions among them."""
    largest = draw(st.sampled_from([1, 3, 60_000]))
    made: list[Example] = []
    for _ in range(draw(st.integers(1, 8))):
        before: list[int] = []
        if made and draw(st.booleans()):
            before = draw(st.sampled_from(made))[0]
            before = before[: draw(st.integers(0, len(before)))]
        ids = before + draw(st.lists(st.integers(0, largest), max_size=draw(st.sampled_from([2, 12]))))
        made.append((ids, [draw(st.sampled_from(weights)) for _ in ids]))
    return made


def tree_of(drawn: list[Example]) -> PrefixTree:
    return build_tree(TokenisedExamples.from_sequences([ids for ids, _ in drawn], [weights for _, weights in drawn]))


def predictions(drawn: list[Example]) -> dict[tuple[tuple[int, ...], int], float]:
    """What is to be predicted from which tokens, with the summed weights: what any packing has to keep."""
    wanted: Counter[tuple[tuple[int, ...], int]] = Counter()
    for ids, weights in drawn:
        for place in range(1, len(ids)):
            if weights[place] > 0:
                wanted[tuple(ids[:place]), ids[place]] += weights[place]  # type: ignore[assignment]
    return dict(wanted)


def token_paths(row: Row) -> list[tuple[int, ...]]:
    """The ids each token attends to, by the definition of attention; checks that positions count them."""
    paths = []
    for query in range(len(row.input_ids)):
        seen = [key for key in range(len(row.input_ids)) if key <= query < row.subtree_end[key]]
        assert row.position_ids[seen].tolist() == list(range(len(seen)))
        paths.append(tuple(row.input_ids[seen].tolist()))
    return paths


def row_predictions(rows: list[Row]) -> dict[tuple[tuple[int, ...], int], float]:
    kept: Counter[tuple[tuple[int, ...], int]] = Counter()
    for row in rows:
        paths = token_paths(row)
        for source, target, weight in zip(row.edge_sources, row.edge_targets, row.edge_weights, strict=True):
            kept[paths[source], int(target)] += float(weight)  # type: ignore[assignment]
    return dict(kept)


def longest(drawn: list[Example]) -> int:
    return max(1, int(tree_of(drawn).needed.max(initial=0)))


def distinct_prefixes(sequences: list[list[int]]) -> int:
    return len({tuple(ids[:end]) for ids in sequences for end in range(1, len(ids) + 1)})


@given(example_sets(), st.integers(0, 30))
def test_every_target_is_predicted_from_exactly_the_tokens_before_it(drawn: list[Example], room: int) -> None:
    rows = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn) + room)
    assert row_predictions(rows) == predictions(drawn)


@given(example_sets(), st.integers(0, 30))
def test_rows_keep_their_size_and_hold_each_prefix_once(drawn: list[Example], room: int) -> None:
    rows = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn) + room)
    for row in rows:
        paths = token_paths(row)
        assert len(paths) <= longest(drawn) + room
        assert len(set(paths)) == len(paths)
        assert sorted(row.edge_sources) == row.edge_sources.tolist()
        edges = list(zip(row.edge_sources.tolist(), row.edge_targets.tolist(), strict=True))
        assert len(set(edges)) == len(edges)


@given(example_sets())
def test_nothing_is_computed_that_leads_to_no_target(drawn: list[Example]) -> None:
    for row in pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn)):
        for place, end in enumerate(row.subtree_end.tolist()):
            assert ((row.edge_sources >= place) & (row.edge_sources < end)).any()


@given(example_sets(), st.data())
def test_a_choice_of_examples_is_packed_as_if_it_were_all(drawn: list[Example], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(range(len(drawn))), unique=True))
    rows = pack_rows(tree_of(drawn), chosen, max_pack_tokens=longest(drawn))
    supervised = [at for at in chosen if predictions([drawn[at]])]
    assert row_predictions(rows) == predictions([drawn[at] for at in chosen])
    assert sum(len(row.members) for row in rows) == len(supervised)
    assert sum(row.dataset_tokens for row in rows) == sum(len(drawn[at][0]) for at in supervised)


@given(example_sets(), st.integers(0, 10))
def test_the_most_tokens_come_first_among_branches(drawn: list[Example], room: int) -> None:
    for row in pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn) + room):
        ends = row.subtree_end.tolist()
        for first, end in enumerate(ends):
            # the token right behind a subtree, if as deep, is the next sibling
            if end < len(ends) and row.position_ids[end] == row.position_ids[first]:
                assert end - first >= ends[end] - end


@given(example_sets(weights=(0.0, 0.0, 1.0, 2.0)), st.integers(0, 30))
def test_separate_targets_predict_the_same_with_one_target_of_weight_one_a_token(
    drawn: list[Example], room: int
) -> None:
    capacity = room + max(
        1,
        *(
            int(need) + int(sum(max(0, w - 1) for w in weights[1:]))
            for (_, weights), need in zip(drawn, tree_of(drawn).needed, strict=True)
        ),
    )
    rows = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=capacity, separate_targets=True)
    assert row_predictions(rows) == predictions(drawn)
    for row in rows:
        assert len(row.input_ids) <= capacity
        assert set(row.edge_weights.tolist()) <= {1.0}
        assert (np.diff(row.edge_sources) > 0).all()
        paths, ends = token_paths(row), row.subtree_end.tolist()
        targets = row_predictions([row])
        weights: Counter[tuple[int, ...]] = Counter()
        for (path, _), weight in targets.items():
            weights[path] += int(weight)
        # as few copies as do, all but one of each token leaves
        assert len(paths) == len(set(paths)) + sum(weight - 1 for weight in weights.values())
        inner = [path for place, path in enumerate(paths) if ends[place] > place + 1]
        assert len(set(inner)) == len(inner)


def test_a_source_with_three_targets_gets_two_leaves_behind_its_subtree() -> None:
    drawn = [([5, 6, target, 9], [0.0, 0.0, 1.0, 1.0]) for target in (1, 2)] + [([5, 6, 1], [0.0, 0.0, 1.0])]
    (row,) = pack_rows(tree_of(drawn), range(3), max_pack_tokens=20, separate_targets=True)
    assert row.input_ids.tolist() == [5, 6, 1, 2, 6, 6]
    assert row.position_ids.tolist() == [0, 1, 2, 2, 1, 1]
    assert row.subtree_end.tolist() == [6, 4, 3, 4, 5, 6]
    assert row.edge_sources.tolist() == [1, 2, 3, 4, 5]
    assert row.edge_targets.tolist() == [1, 9, 9, 1, 2]


def test_copies_whose_leaves_fill_more_than_a_row_get_rows_of_their_own() -> None:
    """Four sources each; a second copy in the row would need four leaves beside the four tokens."""
    tree = tree_of([([1, 2, 3, 4, 5], [0.0, 1.0, 1.0, 1.0, 1.0])] * 3 + [([1, 2], [0.0, 1.0])])
    rows = pack_rows(tree, range(4), max_pack_tokens=6, separate_targets=True)
    assert sorted(len(row.input_ids) for row in rows) == [4, 4, 5]


def test_the_worked_example_of_a_shared_context() -> None:
    """A context (5 6) with a short and a longer question; the longer one comes first, final targets are not computed."""
    drawn = [([5, 6, 1, 8], [0.0, 0.0, 0.0, 1.0]), ([5, 6, 2, 3, 8, 7], [0.0, 0.0, 1.0, 0.0, 1.0, 0.5])]
    (row,) = pack_rows(tree_of(drawn), [0, 1], max_pack_tokens=8)
    assert row.input_ids.tolist() == [5, 6, 2, 3, 8, 1]
    assert row.position_ids.tolist() == [0, 1, 2, 3, 4, 2]
    assert row.subtree_end.tolist() == [6, 6, 5, 5, 5, 6]
    assert row.edge_sources.tolist() == [1, 3, 4, 5]
    assert row.edge_targets.tolist() == [2, 8, 7, 8]
    assert row.edge_weights.tolist() == [1.0, 1.0, 0.5, 1.0]
    assert (len(row.members), row.dataset_tokens) == (2, 10)


def test_copies_add_their_weights_and_cost_nothing() -> None:
    drawn = [([1, 2, 3], [0.0, 1.0, 0.5])] * 4
    (row,) = pack_rows(tree_of(drawn), range(4), max_pack_tokens=2)
    assert row.input_ids.tolist() == [1, 2]
    assert row.edge_weights.tolist() == [4.0, 2.0]
    assert len(row.members) == 4


def test_an_example_that_begins_another_adds_no_tokens() -> None:
    drawn = [([1, 2, 3], [0.0, 0.0, 1.0]), ([1, 2, 3, 4, 5], [0.0, 0.0, 1.0, 0.0, 1.0])]
    (row,) = pack_rows(tree_of(drawn), [0, 1], max_pack_tokens=4)
    assert row.input_ids.tolist() == [1, 2, 3, 4]
    assert row.edge_sources.tolist() == [1, 3]
    assert row.edge_weights.tolist() == [2.0, 1.0]


def test_an_example_asked_for_twice_counts_twice() -> None:
    (row,) = pack_rows(tree_of([([1, 2], [0.0, 1.0])]), [0, 0], max_pack_tokens=5)
    assert row.edge_weights.tolist() == [2.0]


def test_examples_without_targets_are_in_no_row() -> None:
    tree = tree_of([([1, 2], [1.0, 0.0]), ([], []), ([3], [1.0])])
    assert pack_rows(tree, [0, 1, 2], max_pack_tokens=5) == []
    assert pack_rows(tree, [], max_pack_tokens=5) == []


def test_an_example_too_long_for_a_row_is_named() -> None:
    tree = tree_of([([1, 2], [0.0, 1.0]), ([1] * 9, [0.0] * 8 + [1.0])])
    with pytest.raises(TrainingError, match=r"example 1 needs 8 tokens in a row, more than max_pack_tokens=7"):
        pack_rows(tree, [0, 1], max_pack_tokens=7)
    assert pack_rows(tree, [0], max_pack_tokens=7)


def test_fractional_weights_cannot_be_separate_targets() -> None:
    tree = tree_of([([1, 2], [0.0, 1.0]), ([1, 2], [0.0, 0.5])])
    with pytest.raises(TrainingError, match=r"example 1 has a target of weight 0\.5"):
        pack_rows(tree, [0, 1], max_pack_tokens=9, separate_targets=True)


@settings(max_examples=30)
@given(st.lists(example_sets(), max_size=3).map(lambda sets: [one for some in sets for one in some]))
def test_packing_in_blocks_changes_nothing(drawn: list[Example]) -> None:
    if not drawn:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_TOKENS", 5)
        blockwise = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn))
    at_once = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=longest(drawn))
    assert [vars(row).keys() for row in blockwise] == [vars(row).keys() for row in at_once]
    for one, other in zip(blockwise, at_once, strict=True):
        assert all(np.array_equal(vars(one)[name], vars(other)[name]) for name in vars(one))


# --- how good the packing is ------------------------------------------------------------------------------------------


def partitions(items: list[int]) -> list[list[list[int]]]:
    if not items:
        return [[]]
    return [
        grown
        for smaller in partitions(items[1:])
        for grown in [[[items[0]], *smaller]]
        + [[*smaller[:at], [items[0], *smaller[at]], *smaller[at + 1 :]] for at in range(len(smaller))]
    ]


def fewest_tokens(sequences: list[list[int]], capacity: int) -> int:
    """By trying every way of putting the sequences into rows."""
    sizes: dict[tuple[int, ...], int] = {}

    def size(row: list[int]) -> int:
        return sizes.setdefault(tuple(row), distinct_prefixes([sequences[at] for at in row]))

    return min(
        sum(map(size, rows))
        for rows in partitions(list(range(len(sequences))))
        if all(size(row) <= capacity for row in rows)
    )


def nested(chance: np.random.Generator, count: int, prefix: list[int]) -> list[list[int]]:
    """`count` sequences below a prefix, split in two again and again with a longer prefix each time."""
    if count == 1:
        return [prefix + chance.integers(0, 10**6, chance.integers(3, 20)).tolist()]
    prefix = prefix + chance.integers(0, 10**6, chance.choice([0, 2, 10, 30])).tolist()
    left = int(chance.integers(1, count))
    return nested(chance, left, prefix) + nested(chance, count - left, prefix)


def test_cutting_comes_close_to_the_best_of_all_ways_to_cut() -> None:
    """Over 60 random trees of 4 to 6 examples; the greedy cut is not always the best one, but nearly so."""
    excess = []
    for seed in range(60):
        chance = np.random.default_rng(seed)
        sequences = nested(chance, int(chance.integers(4, 7)), [])
        capacity = max(map(len, sequences)) + int(chance.integers(0, 40))
        tree = tree_of([([*ids, 1], [0.0] * len(ids) + [1.0]) for ids in sequences])
        rows = pack_rows(tree, range(len(sequences)), max_pack_tokens=capacity)
        excess.append(sum(len(row.input_ids) for row in rows) / fewest_tokens(sequences, capacity) - 1)
    assert np.mean(excess) < 0.01
    assert max(excess) < 0.25
    assert np.mean(np.array(excess) == 0) > 0.9


def test_a_context_too_large_for_a_row_is_repeated_once_a_row() -> None:
    """60 questions of 50 tokens on a context of 500: 1,000 a row hold 10 of them, so six rows and six contexts."""
    chance = np.random.default_rng(0)
    context = chance.integers(0, 60_000, 500).tolist()
    drawn = [(context + chance.integers(0, 60_000, 51).tolist(), [0.0] * 550 + [1.0]) for _ in range(60)]
    rows = pack_rows(tree_of(drawn), range(60), max_pack_tokens=1000)
    # questions are of different first tokens but for chance, so no row is a token short of full
    assert len(rows) == 6
    assert row_fill(rows, 1000) > 0.99


@pytest.mark.skipif(not SHARED_DATA.exists(), reason="shared/data is not here")
@pytest.mark.parametrize("max_pack_tokens", [1024, 2048, 4096])
def test_rows_of_ordinary_instruction_data_are_at_least_95_percent_full(max_pack_tokens: int) -> None:
    """Words and punctuation stand in for tokens: about 290 an example."""
    text = (SHARED_DATA / "instruct_llamafactory" / "alpaca_en_demo.json").read_text(encoding="utf-8")
    known: dict[str, int] = {}
    drawn = []
    for record in json.loads(text):
        prompt = f"You are a helpful assistant . User : {record['instruction']} {record['input']} Assistant :".split()
        answer = record["output"].split()
        ids = [known.setdefault(word, len(known)) for word in [*prompt, *answer, "<end>"]]
        drawn.append((ids, [0.0] * len(prompt) + [1.0] * (len(answer) + 1)))
    rows = pack_rows(tree_of(drawn), range(len(drawn)), max_pack_tokens=max_pack_tokens)
    assert row_fill(rows, max_pack_tokens) >= 0.95
    assert sum(len(row.members) for row in rows) == len(drawn)


def test_no_rows_are_full() -> None:
    assert row_fill([], 10) == 1.0
