import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import TrainingError
from groundtune.prefix.examples import TokenisedExamples
from groundtune.prefix.steps import plan_steps
from groundtune.prefix.tree import PrefixTree, build_tree


def tree_of(sequences: list[list[int]]) -> PrefixTree:
    """Each example supervises its last token."""
    return build_tree(TokenisedExamples.from_sequences(sequences, [[0] * (len(ids) - 1) + [1] for ids in sequences]))


def grounded(contexts: int, questions: int, *, context_tokens: int = 100, prompt_tokens: int = 0) -> list[list[int]]:
    """`questions` short examples on each context, context after context."""
    chance = np.random.default_rng(contexts * 1000 + questions)
    prompt = list(range(prompt_tokens))
    sequences = []
    for _ in range(contexts):
        context = chance.integers(1000, 60_000, context_tokens).tolist()
        sequences += [prompt + context + chance.integers(1000, 60_000, 12).tolist() for _ in range(questions)]
    return sequences


def plain(count: int, *, prompt_tokens: int = 0, tokens: int = 40) -> list[list[int]]:
    chance = np.random.default_rng(count)
    return [list(range(prompt_tokens)) + chance.integers(1000, 60_000, tokens).tolist() for _ in range(count)]


def computed(sequences: list[list[int]], steps: list[np.ndarray]) -> int:
    """Distinct prefixes of each step, added up: what is computed in an epoch."""
    return sum(
        len({tuple(sequences[at][:end]) for at in step for end in range(1, len(sequences[at]))}) for step in steps
    )


small_sets = st.lists(
    st.lists(st.integers(0, 2), min_size=1, max_size=6) | st.sampled_from([[1] * 30 + [2], [1] * 30 + [0, 0]]),
    max_size=40,
)


@given(small_sets, st.integers(1, 12), st.integers(0, 3))
def test_every_example_is_in_exactly_one_step_and_no_step_is_too_large(
    sequences: list[list[int]], examples_per_step: int, seed: int
) -> None:
    steps = plan_steps(tree_of(sequences), examples_per_step=examples_per_step, seed=seed, epoch=0)
    assert sorted(at for step in steps for at in step.tolist()) == list(range(len(sequences)))
    fewest = -(-len(sequences) // examples_per_step)
    assert fewest <= len(steps) <= fewest * 9 / 8
    assert all(1 <= len(step) <= examples_per_step for step in steps)
    assert all(step.dtype == np.int64 for step in steps)


@given(small_sets, st.integers(1, 12), st.integers(0, 3), st.integers(0, 3))
def test_the_plan_is_the_same_whenever_seed_and_epoch_are(
    sequences: list[list[int]], examples_per_step: int, seed: int, epoch: int
) -> None:
    plans = [
        plan_steps(tree_of(sequences), examples_per_step=examples_per_step, seed=seed, epoch=epoch) for _ in range(2)
    ]
    assert [step.tolist() for step in plans[0]] == [step.tolist() for step in plans[1]]


def test_the_plan_is_the_same_on_every_machine() -> None:
    steps = plan_steps(tree_of([[at, 1, 1] for at in range(9)]), examples_per_step=4, seed=7, epoch=2)
    assert [step.tolist() for step in steps] == [[0, 7, 8], [1, 5, 6], [2, 3, 4]]


def test_seeds_and_epochs_deal_differently() -> None:
    tree = tree_of(plain(200))
    plans = {
        tuple(tuple(step.tolist()) for step in plan_steps(tree, examples_per_step=8, seed=seed, epoch=epoch))
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(plans) == 9


def test_examples_on_one_context_stay_together() -> None:
    sequences = grounded(40, 8)
    steps = plan_steps(tree_of(sequences), examples_per_step=32, seed=0, epoch=0)
    for step in steps:
        assert len(set((step // 8).tolist())) == 4
    assert computed(sequences, steps) == computed(sequences, [np.arange(len(sequences))])


def test_a_prompt_common_to_all_ties_nothing_together() -> None:
    """Ten steps of 20 out of 200 examples whose neighbours in the order share the prompt alone: a fair shuffle
    puts a neighbour in the same step with a chance of 19/199."""
    sequences = plain(200, prompt_tokens=300)
    tree = tree_of(sequences)
    together = 0
    for epoch in range(20):
        step_of = np.empty(200, np.int64)
        for number, step in enumerate(plan_steps(tree, examples_per_step=20, seed=0, epoch=epoch)):
            step_of[step] = number
        together += int((np.diff(step_of[tree.order]) == 0).sum())
    # 20 epochs of 199 neighbours: 380 expected, spread about 18
    assert 280 < together < 480


def test_contexts_stay_together_under_a_prompt_common_to_all() -> None:
    sequences = grounded(40, 8, prompt_tokens=300)
    steps = plan_steps(tree_of(sequences), examples_per_step=32, seed=0, epoch=0)
    # each of the ten steps computes the prompt once, and each context is computed once
    assert computed(sequences, steps) == computed(sequences, [np.arange(len(sequences))]) + 9 * 300


@pytest.mark.parametrize("prompt_tokens", [0, 300])
def test_sharing_too_little_to_matter_is_given_up_for_the_shuffle(prompt_tokens: int) -> None:
    """Pairs that share 2 of 60 tokens beyond the prompt would cost 2 tokens in 118 if dealt apart."""
    chance = np.random.default_rng(0)
    heads = chance.permutation(50_000)[:400].reshape(200, 2)
    prompt = [60_000] * prompt_tokens
    sequences = [[*prompt, *heads[at // 2].tolist(), *chance.integers(0, 60_000, 58).tolist()] for at in range(400)]
    steps = plan_steps(tree_of(sequences), examples_per_step=20, seed=0, epoch=0)
    together = sum(len(step) - len(set((step // 2).tolist())) for step in steps)
    assert together < 40


def test_prefixes_that_matter_only_together_keep_examples_together() -> None:
    """Four examples share 6 tokens, three of them 6 more: either alone is under 5% of what they compute, both are not.

    Four of 120 own tokens dealt apart repeat 3 * 6 of 492 tokens, three of them 2 * 12 of 372.
    """
    chance = np.random.default_rng(0)
    sequences = []
    for _ in range(60):
        head = chance.integers(0, 60_000, 12).tolist()
        sequences += [head[:6] + chance.integers(0, 60_000, 121).tolist()]
        sequences += [head + chance.integers(0, 60_000, 121).tolist() for _ in range(3)]
    steps = plan_steps(tree_of(sequences), examples_per_step=8, seed=0, epoch=0)
    step_of = np.empty(240, np.int64)
    for number, step in enumerate(steps):
        step_of[step] = number
    fours = step_of.reshape(60, 4)
    assert (fours[:, 1:] == fours[:, 1:2]).all()
    assert (fours[:, 0] == fours[:, 1]).sum() < 15


def test_a_run_larger_than_a_step_is_cut_in_few_equal_parts() -> None:
    sequences = grounded(1, 70) + plain(250)
    steps = plan_steps(tree_of(sequences), examples_per_step=32, seed=0, epoch=0)
    parts = sorted(count for step in steps if (count := int((step < 70).sum())))
    assert len(parts) == 3
    assert parts[0] >= 17


def test_a_large_run_is_cut_between_its_branches() -> None:
    """One document of three sections with 9, 17 and 18 questions: 44 for steps of 32, so two parts of about 22."""
    chance = np.random.default_rng(1)
    document = chance.integers(0, 60_000, 100).tolist()
    section_of = [0] * 9 + [1] * 17 + [2] * 18
    sections = [[*document, number, *chance.integers(0, 60_000, 50).tolist()] for number in range(3)]
    questions = [sections[section] + chance.integers(0, 60_000, 9).tolist() for section in section_of]
    steps = plan_steps(tree_of(questions + plain(200)), examples_per_step=32, seed=0, epoch=0)
    parts = [step[step < 44] for step in steps if (step < 44).any()]
    assert [{section_of[at] for at in part} for part in sorted(parts, key=len)] == [{2}, {0, 1}]


def test_contexts_that_do_not_fill_steps_are_not_cut_for_it() -> None:
    """Ten a context, 32 a step: three contexts a step, though ceil(1000 / 32) = 32 steps would hold all."""
    sequences = grounded(100, 10)
    for epoch in range(3):
        steps = plan_steps(tree_of(sequences), examples_per_step=32, seed=0, epoch=epoch)
        assert len(steps) == 34
        assert computed(sequences, steps) == computed(sequences, [np.arange(len(sequences))])


@pytest.mark.parametrize(("contexts", "questions", "singles"), [(30, 5, 40), (48, 20, 0), (7, 31, 3), (20, 3, 500)])
def test_dealing_repeats_little(contexts: int, questions: int, singles: int) -> None:
    sequences = grounded(contexts, questions) + plain(singles)
    steps = plan_steps(tree_of(sequences), examples_per_step=32, seed=3, epoch=0)
    once = computed(sequences, [np.arange(len(sequences))])
    assert once <= computed(sequences, steps) <= 1.2 * once
    # twenties do not fill steps of 32: some are cut to fill the steps of others, some stand alone
    assert min(map(len, steps)) >= (20 if questions == 20 else 0.9 * len(sequences) / len(steps))


def test_examples_without_targets_are_dealt_like_others() -> None:
    tree = build_tree(TokenisedExamples.from_sequences([[1, 2]] * 5, [[0, 0]] * 5))
    steps = plan_steps(tree, examples_per_step=2, seed=0, epoch=0)
    assert sorted(at for step in steps for at in step.tolist()) == [0, 1, 2, 3, 4]


def test_no_examples_make_no_steps() -> None:
    assert plan_steps(tree_of([]), examples_per_step=4, seed=0, epoch=0) == []


def test_steps_of_nothing_are_refused() -> None:
    with pytest.raises(TrainingError, match="examples_per_step is 0"):
        plan_steps(tree_of([[1, 2]]), examples_per_step=0, seed=0, epoch=0)


def test_an_epoch_of_many_plain_examples_is_planned_at_once() -> None:
    """A million are to take seconds: 100,000 here take about 0.05 s on one core; the bound leaves room for busy machines."""
    ids = np.random.default_rng(0).integers(0, 60_000, (100_000, 5), np.int32)
    weights = np.tile(np.array([0, 0, 0, 0, 1], np.float32), 100_000)
    tree = build_tree(TokenisedExamples(ids.reshape(-1), weights, np.arange(0, 500_001, 5)))
    began = time.perf_counter()
    plan_steps(tree, examples_per_step=32, seed=0, epoch=0)
    assert time.perf_counter() - began < 3
