import torch
from hypothesis import given
from hypothesis import strategies as st

from groundtune.training.batches import IGNORED, LengthGroupedBatches, collate
from groundtune.training.examples import Tokenised

lengths_strategy = st.lists(st.integers(1, 900), min_size=1, max_size=300)


def batches_of(lengths, size=8, seed=1, epoch=0):
    batches = LengthGroupedBatches(lengths, batch_size=size, seed=seed)
    batches.epoch = epoch
    return list(batches)


@given(lengths_strategy, st.integers(1, 16), st.integers(0, 5))
def test_every_example_is_in_exactly_one_batch_of_an_epoch(lengths, size, epoch) -> None:
    found = batches_of(lengths, size, epoch=epoch)
    assert sorted(place for batch in found for place in batch) == list(range(len(lengths)))
    assert len(found) == len(LengthGroupedBatches(lengths, batch_size=size, seed=1))


def test_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    lengths = list(range(100))
    torch.manual_seed(5)
    first = batches_of(lengths)
    torch.manual_seed(6)
    assert batches_of(lengths) == first
    assert batches_of(lengths, epoch=1) != first
    assert batches_of(lengths, seed=2) != first


def test_batches_hold_examples_of_like_length() -> None:
    lengths = [100 + 37 * place % 700 for place in range(400)]
    padded = sum(max(lengths[place] for place in batch) * len(batch) for batch in batches_of(lengths))
    assert padded < 1.1 * sum(lengths)


def test_labels_are_the_trained_tokens_and_padding_is_behind() -> None:
    batch = collate([Tokenised((9, 8, 7), (True, False, True)), Tokenised((5, 6), (False, True))], filler=2)
    assert batch["input_ids"].tolist() == [[9, 8, 7], [5, 6, 2]]
    # the first token cannot be predicted from anything
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 7], [IGNORED, 6, IGNORED]]
