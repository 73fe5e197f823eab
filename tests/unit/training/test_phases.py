import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import TrainingError
from groundtune.prefix import TokenisedExamples, build_tree
from groundtune.training.phases import Phases
from groundtune.training.processes import Processes
from groundtune.training.steps import OptimizerSteps, Packer

rows = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 12), st.integers(0, 2)), min_size=1, max_size=60)


def examples_of(rows):
    ids = [[5 + trunk] * 20 + list(range(30, 30 + length)) for trunk, length, _ in rows]
    return TokenisedExamples.from_sequences(ids, [[0] * 20 + [1] * length for _, length, _ in rows])


def steps_of(examples, numbers, *, names=(), size=4, seed=1, epoch=0):
    phases = None if numbers is None else Phases.of(numbers, names, len(examples))
    packer = Packer(examples, sharing="tree", max_pack_tokens=4096)
    here = Processes(1, 0, torch.device("cpu"))
    steps = OptimizerSteps(packer, examples_per_step=size, seed=seed, processes=here, phases=phases)
    steps.epoch = epoch
    return steps


@given(rows, st.integers(1, 9), st.integers(0, 2))
def test_every_example_stands_once_in_an_epoch_and_in_a_step_of_its_phase(rows, size, epoch) -> None:
    numbers = [number for _, _, number in rows]
    plan = steps_of(examples_of(rows), numbers, size=size, epoch=epoch)._plan()
    assert sorted(np.concatenate(plan.steps).tolist()) == list(range(len(rows)))
    phases = [{numbers[place] for place in step.tolist()} for step in plan.steps]
    assert all(len(found) == 1 for found in phases)
    assert [min(found) for found in phases] == sorted(min(found) for found in phases)
    assert all(len(step) <= size for step in plan.steps)
    names = [plan.phase(number) for number in range(len(plan.steps))]
    assert names == [f"phase {min(found) + 1}" for found in phases]


@given(rows)
def test_the_tree_of_a_phase_is_the_tree_of_its_examples_alone(rows) -> None:
    examples = examples_of(rows)
    numbers = np.array([number for _, _, number in rows])
    parts = Phases.of(numbers, (), len(rows)).parts(build_tree(examples))
    assert [name for name, _ in parts] == [f"phase {number + 1}" for number in np.unique(numbers)]
    for number, (_, part) in zip(np.unique(numbers), parts, strict=True):
        members = np.flatnonzero(numbers == number)
        alone = build_tree(examples.subset(members))
        assert members[alone.order].tolist() == part.order.tolist()
        assert alone.shared.tolist() == part.shared.tolist()


def test_one_phase_is_no_phase() -> None:
    examples = examples_of([(place % 4, 1 + place % 7, 0) for place in range(50)])
    for epoch in range(2):
        one, none = (steps_of(examples, numbers, epoch=epoch)._plan().steps for numbers in ([5] * 50, None))
        assert [step.tolist() for step in one] == [step.tolist() for step in none]


def test_phases_are_shuffled_by_seed_and_epoch_and_keep_their_names() -> None:
    examples = TokenisedExamples.from_sequences([[place, 1, 2] for place in range(40)], [[0, 1, 1]] * 40)
    numbers = [place % 2 for place in range(40)]

    def order(**changes):
        return [step.tolist() for step in steps_of(examples, numbers, **changes)._plan().steps]

    assert order() == order() != order(epoch=1)
    assert order() != order(seed=2)
    steps = steps_of(examples, numbers, names=("basics", "rest"))
    assert [step["phase"] for step in steps.loader()] == ["basics"] * 5 + ["rest"] * 5
    assert steps_of(examples, numbers, names=("basics",))[9]["phase"] == "phase 2"


def test_phases_that_do_not_fit_the_examples_are_refused() -> None:
    with pytest.raises(TrainingError, match="2 phases come with 3 training examples"):
        Phases.of([0, 1], (), 3)
    with pytest.raises(TrainingError, match="training example 1 has phase -1"):
        Phases.of([0, -1, 2], (), 3)
