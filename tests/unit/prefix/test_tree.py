import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundtune.prefix import tree as module
from groundtune.prefix.examples import LARGEST_ID, TokenisedExamples
from groundtune.prefix.tree import PrefixTree, build_tree

Example = tuple[list[int], list[float]]


@st.composite
def example_sets(draw: st.DrawFn) -> list[Example]:
    """Examples that go on from prefixes of earlier ones, of few different tokens, so that much is shared and repeated."""
    largest = draw(st.sampled_from([1, 3, 60_000, LARGEST_ID]))
    made: list[Example] = []
    for _ in range(draw(st.integers(0, 8))):
        before: list[int] = []
        if made and draw(st.booleans()):
            before = draw(st.sampled_from(made))[0]
            before = before[: draw(st.integers(0, len(before)))]
        ids = before + draw(st.lists(st.integers(0, largest), max_size=draw(st.sampled_from([2, 40]))))
        made.append((ids, [draw(st.sampled_from([0.0, 1.0])) for _ in ids]))
    return made


def tree_of(drawn: list[Example]) -> PrefixTree:
    return build_tree(TokenisedExamples.from_sequences([ids for ids, _ in drawn], [weights for _, weights in drawn]))


def needed_tokens(drawn: list[Example]) -> list[list[int]]:
    lasts = [max((at for at in range(1, len(ids)) if weights[at] > 0), default=0) for ids, weights in drawn]
    return [ids[:last] for (ids, _), last in zip(drawn, lasts, strict=True)]


def common(one: list[int], other: list[int]) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


@given(example_sets())
@example([([1, 2, 3], [0.0, 0.0, 1.0])] * 3)
@example([])
def test_the_order_is_lexicographic_and_equal_examples_stay_in_their_order(drawn: list[Example]) -> None:
    needed, tree = needed_tokens(drawn), tree_of(drawn)
    assert tree.order.tolist() == sorted(range(len(drawn)), key=lambda at: (needed[at], at))
    assert tree.ranks[tree.order].tolist() == list(range(len(drawn)))


@given(example_sets())
def test_what_neighbours_share_is_what_their_tokens_share(drawn: list[Example]) -> None:
    needed, tree = needed_tokens(drawn), tree_of(drawn)
    in_order = [needed[at] for at in tree.order]
    assert tree.shared.tolist() == [0, *map(common, in_order, in_order[1:])][: len(drawn)]


@given(example_sets())
def test_unique_tokens_are_the_distinct_prefixes(drawn: list[Example]) -> None:
    needed = needed_tokens(drawn)
    statistics = tree_of(drawn).statistics
    assert statistics.unique_tokens == len({tuple(ids[:end]) for ids in needed for end in range(1, len(ids) + 1)})
    assert statistics.needed_tokens == sum(map(len, needed))
    assert statistics.tokens == sum(len(ids) for ids, _ in drawn)


@given(example_sets(), st.data())
def test_what_any_examples_share_is_found_from_the_neighbours(drawn: list[Example], data: st.DataObject) -> None:
    needed, tree = needed_tokens(drawn), tree_of(drawn)
    places = st.sampled_from(range(len(drawn))) if drawn else st.nothing()
    ranks = sorted(data.draw(st.lists(places, max_size=6 if drawn else 0)))
    chosen = [needed[tree.order[rank]] for rank in ranks]
    assert tree.shared_among(np.array(ranks, np.int64)).tolist() == [0, *map(common, chosen, chosen[1:])][: len(ranks)]


@given(example_sets())
def test_the_size_of_blocks_changes_nothing(drawn: list[Example]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_EXAMPLES", 2)
        blockwise = tree_of(drawn)
    assert blockwise.order.tolist() == tree_of(drawn).order.tolist()
    assert blockwise.shared.tolist() == tree_of(drawn).shared.tolist()


def test_a_final_target_alone_tells_no_examples_apart() -> None:
    tree = tree_of([([5, 6, 9], [0.0, 0.0, 1.0]), ([5, 6, 3], [0.0, 0.0, 1.0])])
    assert tree.order.tolist() == [0, 1]
    assert tree.shared.tolist() == [0, 2]
    assert tree.statistics.unique_tokens == 2


def test_many_copies_and_long_common_prefixes_are_settled() -> None:
    prompt = list(range(1000))
    drawn = [([*prompt, at % 3, 7], [0.0] * 1001 + [1.0]) for at in range(300)]
    tree = tree_of(drawn)
    assert tree.order.tolist() == sorted(range(300), key=lambda at: (at % 3, at))
    assert tree.shared[[1, 99, 100, 101, 200]].tolist() == [1001, 1001, 1000, 1001, 1000]
    assert tree.statistics.unique_tokens == 1003
