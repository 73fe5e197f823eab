import torch
from hypothesis import example, given
from hypothesis import strategies as st

from groundtune.prefix import TokenisedExamples
from groundtune.prefix.steps import MORE_STEPS
from groundtune.training.processes import Processes
from groundtune.training.steps import PADDING_SHARE, OptimizerSteps, Packer, deal

examples_strategy = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 30), st.integers(1, 6)), min_size=1, max_size=40
).map(
    lambda rows: TokenisedExamples.from_sequences(
        [[5 + trunk] * 4 + list(range(10, 10 + length)) + [40] * answer for trunk, length, answer in rows],
        [[0.0] * (4 + length) + [0.5] * answer for _, length, answer in rows],
    )
)
FAMILIES = TokenisedExamples.from_sequences(
    [[5 + trunk] * 4 + [10] + [40] * answer for trunk, count in enumerate((13, 7, 2)) for answer in [1] * count],
    [[0.0] * 5 + [0.5] for _ in range(22)],
)
"""Contexts of 13, 7 and 2 examples: in steps of three one step more saves cutting."""

sharings = st.sampled_from(["tree", "plain"])


def steps_of(examples, sharing="tree", most=64, size=8, seed=1, epoch=0, processes=1, index=0):
    packer = Packer(examples, sharing=sharing, max_pack_tokens=most)
    here = Processes(processes, index, torch.device("cpu"))
    steps = OptimizerSteps(packer, examples_per_step=size, seed=seed, processes=here)
    steps.epoch = epoch
    return list(steps.loader())


def targets(batches):
    """Every supervised target with what stands at its source, and its weight."""
    found: dict[tuple[int, int], float] = {}
    for batch in batches:
        sources = batch["input_ids"].reshape(-1)[batch["edge_sources"]].tolist()
        for edge in zip(sources, batch["edge_targets"].tolist(), batch["edge_weights"].tolist(), strict=True):
            found[edge[:2]] = found.get(edge[:2], 0.0) + edge[2]
    return found


def wanted(examples):
    found: dict[tuple[int, int], float] = {}
    for start, end in zip(examples.offsets[:-1].tolist(), examples.offsets[1:].tolist(), strict=True):
        for place in range(start + 1, end):
            if examples.weights[place]:
                edge = int(examples.token_ids[place - 1]), int(examples.token_ids[place])
                found[edge] = found.get(edge, 0.0) + float(examples.weights[place])
    return found


@example(FAMILIES, "tree", 40, 3, 0)
@given(examples_strategy, sharings, st.integers(40, 120), st.integers(1, 16), st.integers(0, 3))
def test_an_epoch_holds_every_target_once_in_batches_of_bounded_size(examples, sharing, most, size, epoch) -> None:
    steps = steps_of(examples, sharing, most, size, epoch=epoch)
    fewest = -(-len(examples) // size)
    # a few more where contexts would be cut otherwise
    assert fewest <= len(steps) <= fewest + fewest // MORE_STEPS
    batches = [batch for step in steps for batch in step["batches"]]
    assert all(batch["input_ids"].numel() <= most for batch in batches)
    assert targets(batches) == wanted(examples)
    assert [step["weight"] for step in steps] == [sum(targets(step["batches"]).values()) for step in steps]


@given(examples_strategy, st.integers(1, 16))
def test_steps_are_made_of_the_same_examples_whatever_they_are_computed_in(examples, size) -> None:
    tree, tight, plain = (
        [targets(step["batches"]) for step in steps_of(examples, sharing, most, size)]
        for sharing, most in (("tree", 200), ("tree", 40), ("plain", 100))
    )
    assert tree == tight == plain


@given(examples_strategy, sharings, st.integers(2, 4))
def test_processes_share_a_step_without_remainder_and_each_has_something_to_compute(
    examples, sharing, processes
) -> None:
    alone = steps_of(examples, sharing)
    together = [steps_of(examples, sharing, processes=processes, index=index) for index in range(processes)]
    for whole, *parts in zip(alone, *together, strict=True):
        assert all(part["batches"] for part in parts)
        assert {part["weight"] for part in parts} == {whole["weight"]}
        found = targets([batch for part in parts for batch in part["batches"]])
        # a batch without weight stands in where there are fewer batches than processes
        assert {edge: weight for edge, weight in found.items() if weight} == targets(whole["batches"])


def test_order_depends_on_seed_and_epoch_and_on_nothing_else() -> None:
    examples = TokenisedExamples.from_sequences([[place, 1, 2] for place in range(60)], [[0, 1, 1]] * 60)

    def order(**changes):
        steps = steps_of(examples, **changes)
        return [sorted(batch["input_ids"].reshape(-1).tolist()) for step in steps for batch in step["batches"]]

    torch.manual_seed(5)
    first = order()
    torch.manual_seed(6)
    assert order() == first
    assert order(epoch=1) != first
    assert order(seed=2) != first


@given(st.lists(st.integers(1, 90), min_size=1, max_size=60))
def test_plain_batches_hold_little_padding(lengths) -> None:
    examples = TokenisedExamples.from_sequences(
        [[7] * length + [8] for length in lengths], [[0] * length + [1] for length in lengths]
    )
    batches = Packer(examples, sharing="plain", max_pack_tokens=200).pack_all()
    assert sum(batch.tokens for batch in batches) == sum(lengths)
    for batch in batches:
        assert batch.tokens >= (1 - PADDING_SHARE) * batch.places - 1e-9
        assert batch.make()["input_ids"].numel() == batch.places


def test_batches_are_dealt_by_their_size() -> None:
    sizes = [3, 30, 4, 3, 10, 10]
    loads = [sum(sizes[place] for place in hand) for hand in deal(sizes, 2)]
    assert sorted(loads) == [30, 30]
    assert deal([5], 3) == [[0], [], []]
    assert sorted(place for hand in deal(sizes, 4) for place in hand) == list(range(6))
