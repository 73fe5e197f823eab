import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.integrations.neftune import neftune_post_forward_hook

from groundtune.config import TrainConfig
from groundtune.errors import TrainingError
from groundtune.prefix import PreparedModel, TokenisedExamples, build_tree, pack_rows, row_tensors
from groundtune.training.noise import EmbeddingNoise, example_lengths, place_keys, uniform
from groundtune.training.plan import Plan
from groundtune.training.running import run_training
from groundtune.training.steps import plain_tensors

from .test_laws import EXAMPLES, assert_same, losses, model_of_doubles


def examples_of(sequences):
    """All tokens but the first are targets."""
    return TokenisedExamples.from_sequences(sequences, [[0.0, *[1.0] * (len(each) - 1)] for each in sequences])


def rows_of(examples, max_pack_tokens=512):
    return pack_rows(build_tree(examples), range(len(examples)), max_pack_tokens=max_pack_tokens)


def prefixes(row):
    """The tokens from the root to each token of a row."""
    path, found = [], []
    for token, depth in zip(row.input_ids.tolist(), row.position_ids.tolist(), strict=True):
        path = [*path[:depth], token]
        found.append(tuple(path))
    return found


# --- what is drawn ------------------------------------------------------------------------------------------------------


def test_draws_are_even_between_minus_one_and_one_and_strangers_to_each_other() -> None:
    drawn_PD = uniform(torch.arange(3000), 100).double()
    assert float(drawn_PD.abs().max()) < 1
    assert abs(float(drawn_PD.mean())) < 4 * 3**-0.5 / drawn_PD.numel() ** 0.5
    assert float(drawn_PD.var()) == pytest.approx(1 / 3, rel=0.01)
    counts = torch.histc(drawn_PD, 50, -1, 1)
    assert (
        float(((counts - 6000) ** 2 / 6000).sum()) < 90
    )  # chi squared with 49 degrees of freedom: one in 3,000 is larger
    for table in (drawn_PD[:100], drawn_PD.t()):
        together = torch.corrcoef(table) - torch.eye(len(table))
        # some five standard deviations
        assert float(together.abs().max()) < 5 / table.shape[1] ** 0.5


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=6), st.integers(1, 9))
def test_a_tokens_draw_depends_on_its_key_alone(keys, width) -> None:
    together = uniform(torch.tensor(keys), width)
    alone = torch.cat([uniform(torch.tensor([key]), width) for key in keys])
    assert torch.equal(together, alone)
    assert torch.equal(uniform(torch.tensor(keys), width + 1)[:, :width], together)


SEQUENCES = st.lists(
    st.tuples(st.integers(0, 6), st.lists(st.integers(3, 5), min_size=2, max_size=6)).map(
        lambda drawn: [1, 2, 2, 1, 2, 1][: drawn[0]] + drawn[1]
    ),
    min_size=1,
    max_size=7,
)


@settings(deadline=None)
@given(SEQUENCES, st.integers(12, 40))
def test_the_same_tokens_before_it_give_a_token_the_same_key_and_only_they(sequences, max_pack_tokens) -> None:
    examples = examples_of(sequences)
    found = {}
    for row in rows_of(examples, max_pack_tokens):
        for prefix, key in zip(prefixes(row), place_keys(row_tensors(row), 7, 3).tolist(), strict=True):
            assert found.setdefault(prefix, key) == key
    plain = place_keys(plain_tensors(examples, np.arange(len(examples))), 7, 3).reshape(len(examples), -1)
    for index, sequence in enumerate(sequences):
        for length in range(1, int(examples.needed[index]) + 1):
            assert found[tuple(sequence[:length])] == plain[index, length - 1]
    assert len(set(found.values())) == len(found)


def test_another_step_or_another_seed_is_another_draw() -> None:
    batch = plain_tensors(examples_of([[5, 6, 7, 8]]), np.arange(1))
    first = place_keys(batch, 1, 0)
    assert not np.isin(first, place_keys(batch, 1, 1)).any()
    assert not np.isin(first, place_keys(batch, 2, 0)).any()


@settings(deadline=None)
@given(SEQUENCES, st.integers(12, 40))
def test_lengths_are_of_the_longest_example_through_a_token_and_in_plain_batches_of_its_own(
    sequences, max_pack_tokens
) -> None:
    examples = examples_of(sequences)
    for row in rows_of(examples, max_pack_tokens):
        members = [(sequences[at][: examples.needed[at]], int(examples.needed[at])) for at in row.members.tolist()]
        for prefix, length in zip(prefixes(row), example_lengths(row_tensors(row)).tolist(), strict=True):
            assert length == max(needed for ids, needed in members if tuple(ids[: len(prefix)]) == prefix)
    plain = example_lengths(plain_tensors(examples, np.arange(len(examples)))).reshape(len(examples), -1)
    assert (plain == examples.needed[:, None]).all()


# --- what the model sees ------------------------------------------------------------------------------------------------


def embedded(prepared, batch, noise=None, step=0):
    """[P, D] what the embedding module gave."""
    seen = []
    module = prepared.causal.get_input_embeddings()

    def keep(_module, _inputs, output):
        seen.append(output.detach().flatten(0, -2))

    if noise is None:
        handle = module.register_forward_hook(keep)
        prepared.row_loss(batch)
    else:
        with noise.on(batch, step):
            handle = module.register_forward_hook(keep)
            prepared.row_loss(batch)
    handle.remove()
    return seen[0]


def test_noise_is_as_large_as_in_transformers_on_an_example_without_padding() -> None:
    sequence = [1 + place % 50 for place in range(41)]
    batch = plain_tensors(examples_of([sequence]), np.arange(1))
    with PreparedModel(model_of_doubles(), share=False) as prepared:
        noise = EmbeddingNoise(prepared, alpha=5.0, seed=1)
        plain = embedded(prepared, batch)
        drawn = torch.cat([embedded(prepared, batch, noise, step) - plain for step in range(8)])
    theirs = nn.Embedding(2, 32)
    theirs.neftune_noise_alpha = 5.0
    torch.manual_seed(0)
    wanted = torch.cat([neftune_post_forward_hook(theirs, None, torch.zeros(1, 40, 32))[0] for _ in range(8)])
    assert float(drawn.abs().max()) == pytest.approx(5 / (40 * 32) ** 0.5, rel=1e-3)
    assert float(drawn.abs().max()) == pytest.approx(float(wanted.abs().max()), rel=1e-2)
    assert float(drawn.var()) == pytest.approx(float(wanted.var()), rel=0.05)


def test_a_short_example_has_the_noise_of_its_own_length_however_long_its_neighbour_is() -> None:
    sequences = [[5, 6, 7, 8, 9], [10 + place % 40 for place in range(31)]]
    with PreparedModel(model_of_doubles(), share=False) as prepared:
        noise = EmbeddingNoise(prepared, alpha=5.0, seed=1)
        for examples in (examples_of(sequences), examples_of(sequences[:1])):
            batch = plain_tensors(examples, np.arange(len(examples)))
            drawn = embedded(prepared, batch, noise) - embedded(prepared, batch)
            assert 0.9 < float(drawn[:4].abs().max()) / (5 / (4 * 32) ** 0.5) <= 1


def test_tokens_that_no_other_example_shares_have_the_noise_of_plain_training() -> None:
    shared = [5, 6, 7, 8]
    examples = examples_of([[*shared, *[20 + place for place in range(9)]], [*shared, 30, 31, 32]])
    [row] = rows_of(examples)
    with PreparedModel(model_of_doubles()) as prepared:
        noise = EmbeddingNoise(prepared, alpha=5.0, seed=1)
        in_tree = embedded(prepared, row_tensors(row), noise)
        with prepared.plainly():
            alone = [embedded(prepared, plain_tensors(examples, np.array([at])), noise) for at in (0, 1)]
    # the longer example's tokens all, the shorter one's behind what they share
    assert torch.equal(in_tree[:12], alone[0])
    assert torch.equal(in_tree[12:], alone[1][4:])


def test_examples_of_one_length_learn_the_same_in_tree_and_plain_mode() -> None:
    shared = list(range(5, 15))
    same = examples_of([[*shared[:keep], *[20 + keep + place for place in range(18 - keep)]] for keep in (10, 7, 4)])
    with PreparedModel(model_of_doubles()) as prepared:
        noise = EmbeddingNoise(prepared, alpha=5.0, seed=1)

        def loss(batches):
            total = 0.0
            for batch in batches:
                with noise.on(batch, 4):
                    total += float(prepared.row_loss(batch).detach())
            return total

        tree, cut = (loss([row_tensors(row) for row in rows_of(same, tokens)]) for tokens in (200, 20))
        with prepared.plainly():
            plain = loss([plain_tensors(same, np.arange(len(same)))])
            quiet = float(prepared.row_loss(plain_tensors(same, np.arange(len(same)))).detach())
    assert tree == pytest.approx(plain, rel=1e-9)
    assert cut == pytest.approx(plain, rel=1e-9)
    assert abs(quiet - plain) > 1e-3


def test_a_model_that_does_not_use_its_embedding_module_is_refused() -> None:
    batch = plain_tensors(examples_of([[5, 6, 7]]), np.arange(1))
    with PreparedModel(model_of_doubles(), share=False) as prepared:
        noise = EmbeddingNoise(prepared, alpha=5.0, seed=1)
        refused = pytest.raises(
            TrainingError, match=r"neftune_alpha is 5, .* does not pass through its embedding module"
        )
        with refused, noise.on(batch, 0):
            pass
        with noise.on(batch, 0), pytest.raises(TrainingError, match="not token by token"):
            prepared.causal.get_input_embeddings()(torch.zeros(1, 3, dtype=torch.int64))
        assert not prepared.causal.get_input_embeddings()._forward_hooks


# --- a whole training ---------------------------------------------------------------------------------------------------


def train(model, folder, **changes):
    config = TrainConfig(learning_rate=3e-3, threads=1, report_to=("none",), preflight=False, **changes)
    plan = Plan(
        label="noise", config=config, computing=config, epochs=1, examples_per_step=4, sharing=config.sharing,
        probe=True, seed=11, folder=folder, checkpoint_seconds=1e9,
    )  # fmt: skip
    return run_training(plan, model, EXAMPLES, EXAMPLES[:5], lambda: None)[0]


def first_validation(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return next(line["valid_loss"] for line in lines if line.get("valid_loss") is not None)


@pytest.mark.parametrize("changes", [{"neftune_alpha": 8.0}, {"label_smoothing": 0.2}], ids=["noise", "smoothing"])
def test_what_is_trained_changes_and_what_is_measured_does_not(changes, tmp_path) -> None:
    plain, other = model_of_doubles(), model_of_doubles()
    record = train(plain, tmp_path / "plain")
    changed = train(other, tmp_path / "changed", **changes)
    assert abs(losses(tmp_path / "plain")[0][0] - losses(tmp_path / "changed")[0][0]) > 1e-4
    # before the first step both are the same model
    assert first_validation(tmp_path / "plain") == first_validation(tmp_path / "changed")
    [name] = changes
    assert not [note for note in record.notes if "train_loss" in note]
    [note] = [note for note in changed.notes if "train_loss" in note]
    assert f"train.{name} " in note
    assert not other.get_input_embeddings()._forward_hooks


def adapted(model):
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(5)
    lora = LoraConfig(r=4, target_modules=["q_proj", "embed_tokens"], task_type="CAUSAL_LM", init_lora_weights=False)
    return get_peft_model(model, lora).double()


# of peft, which asks a model of newer transformers by an older name, and says that it saves embeddings it trains
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning")
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.parametrize("make", [model_of_doubles, lambda: adapted(model_of_doubles())], ids=["whole", "adapter"])
def test_how_a_step_is_computed_changes_no_noise(make, tmp_path) -> None:
    found = {}
    for name, changes in {
        "whole": {"max_pack_tokens": 4096},
        "cut": {"max_pack_tokens": 64},
        "again": {"max_pack_tokens": 100, "gradient_checkpointing": True},
    }.items():
        model = make()
        train(model, tmp_path / name, sharing="plain", neftune_alpha=8.0, label_smoothing=0.1, **changes)
        found[name] = losses(tmp_path / name), model.state_dict()
    for name in ("cut", "again"):
        assert_same(found[name][0], found["whole"][0], found[name][1], found["whole"][1])


def test_layers_that_are_computed_again_in_a_tree_see_the_same_noise(tmp_path) -> None:
    found = {}
    for again in (False, True):
        model = model_of_doubles()
        train(model, tmp_path / str(again), neftune_alpha=8.0, gradient_checkpointing=again)
        found[again] = losses(tmp_path / str(again)), model.state_dict()
    assert_same(found[True][0], found[False][0], found[True][1], found[False][1])


class InterruptedTrainingError(Exception):
    pass


def test_a_training_that_is_interrupted_and_continued_has_the_same_bits(tmp_path) -> None:
    config = TrainConfig(learning_rate=3e-3, threads=1, report_to=("none",), neftune_alpha=8.0, label_smoothing=0.1)
    found = {}
    for name in ("whole", "broken"):
        plan = Plan(
            label="noise", config=config, computing=config, epochs=2, examples_per_step=8, sharing="tree", probe=True,
            seed=11, folder=tmp_path / name, checkpoint_seconds=0.0,
        )  # fmt: skip

        def interrupt() -> None:
            raise InterruptedTrainingError

        model = model_of_doubles()
        if name == "broken":
            with pytest.raises(InterruptedTrainingError):
                run_training(plan, model_of_doubles(), EXAMPLES, (), interrupt)
        record, _ = run_training(plan, model, EXAMPLES, (), lambda: None)
        assert (record.resumed_from_step > 0) == (name == "broken")
        found[name] = losses(tmp_path / name), model.state_dict()
    assert found["whole"][0] == found["broken"][0]
    for weight, value in found["whole"][1].items():
        assert torch.equal(found["broken"][1][weight], value), weight
