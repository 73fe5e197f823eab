import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import TrainingError
from groundtune.prefix import examples as module
from groundtune.prefix.examples import LARGEST_ID, TokenisedExamples

drawn_weights = st.lists(st.lists(st.sampled_from([0.0, 0.0, 1.0, 0.5]), max_size=9), max_size=9)


def of_weights(weights: list[list[float]]) -> TokenisedExamples:
    return TokenisedExamples.from_sequences([[7] * len(one) for one in weights], weights)


@given(drawn_weights)
def test_counts_and_needed_tokens_are_those_of_each_example_alone(weights: list[list[float]]) -> None:
    examples = of_weights(weights)
    targets = [[place for place in range(1, len(one)) if one[place] > 0] for one in weights]
    assert len(examples) == len(weights)
    assert examples.lengths.tolist() == [len(one) for one in weights]
    assert examples.needed.tolist() == [places[-1] if places else 0 for places in targets]
    assert examples.supervised_tokens == sum(map(len, targets))
    assert examples.total_weights.tolist() == [sum(one[1:]) for one in weights]


@given(drawn_weights)
def test_the_size_of_blocks_changes_nothing(weights: list[list[float]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK_TOKENS", 4)
        blockwise = of_weights(weights)
        needed, totals = blockwise.needed, blockwise.total_weights
    assert needed.tolist() == of_weights(weights).needed.tolist()
    assert totals.tolist() == of_weights(weights).total_weights.tolist()


def test_the_first_token_is_never_a_target() -> None:
    examples = of_weights([[1.0, 0.0], [1.0]])
    assert examples.supervised_tokens == 0
    assert examples.needed.tolist() == [0, 0]
    assert examples.total_weights.tolist() == [0.0, 0.0]


def test_marks_weigh_one() -> None:
    examples = TokenisedExamples.from_sequences([[3, 4, 5]], [[False, True, True]])
    assert examples.weights.tolist() == [0.0, 1.0, 1.0]


def test_a_subset_keeps_tokens_weights_and_the_order_asked_for() -> None:
    examples = TokenisedExamples.from_sequences([[1, 2], [], [3, 4, 5]], [[0, 1], [], [0, 0, 2]])
    chosen = examples.subset([2, 1, 2, 0])
    assert chosen.lengths.tolist() == [3, 0, 3, 2]
    assert chosen.token_ids.tolist() == [3, 4, 5, 3, 4, 5, 1, 2]
    assert chosen.weights.tolist() == [0, 0, 2, 0, 0, 2, 0, 1]


def test_no_examples_are_examples_too() -> None:
    examples = TokenisedExamples.from_sequences([], [])
    assert len(examples) == 0
    assert examples.supervised_tokens == 0
    assert len(examples.subset([])) == 0


@pytest.mark.parametrize(
    ("ids", "weights", "message"),
    [
        ([[1, 2], [3, 4]], [[0, 1], [1]], "example 1 has 2 token ids and 1 weights"),
        ([[1, 2]], [], "1 examples come with 0 lists of weights"),
        ([[1, 2], [3, -100]], [[0, 1], [0, 1]], "example 1 holds the token id -100"),
        ([[1], [LARGEST_ID + 1]], [[0], [0]], "example 1 holds the token id"),
        ([[1], [1 << 40]], [[0], [0]], "example 1 holds the token id 1099511627776"),
        ([[1, 2]], [[0, -1.0]], r"example 0 holds the weight -1\.0"),
        ([[1, 2]], [[0, float("nan")]], "example 0 holds the weight nan"),
        ([[1, 2]], [[0, float("inf")]], "example 0 holds the weight inf"),
    ],
)
def test_what_cannot_be_trained_on_is_refused_with_its_place(ids: list, weights: list, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        TokenisedExamples.from_sequences(ids, weights)


@pytest.mark.parametrize("offsets", [[], [0, 2], [1, 3], [0, 4, 3], [0, 5, 3]])
def test_offsets_that_do_not_cover_the_tokens_are_refused(offsets: list[int]) -> None:
    with pytest.raises(TrainingError, match="offsets"):
        TokenisedExamples(np.zeros(3, np.int32), np.zeros(3, np.float32), np.array(offsets, np.int64))


def test_arrays_of_another_kind_are_refused() -> None:
    with pytest.raises(TrainingError, match="token_ids is 1-dimensional of int64"):
        TokenisedExamples(np.zeros(3, np.int64), np.zeros(3, np.float32), np.array([0, 3]))  # type: ignore[arg-type]
