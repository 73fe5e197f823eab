"""Parts of a model that are left as they are while the rest is trained."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_model, quiet_transformers, train_tokenizer
from groundtune.training import Tokenised, fine_tune
from groundtune.training.freezing import freeze
from groundtune.training.plan import Plan
from groundtune.training.running import run_training

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=3, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=96, copying_start=False)
ROWS = [
    Tokenised(tuple(20 + (place + step) % 50 for step in range(14)), (*(False,) * 11, True, True, True))
    for place in range(12)
]


def llama(*, tied=False):
    sizes = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 12, "num_attention_heads": 2}
    return LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=40, tie_word_embeddings=tied, pad_token_id=None))


def gpt2():
    return GPT2LMHeadModel(GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=40, n_positions=32))


def frozen_by(model, *wanted):
    notes = freeze(model, wanted)
    return {name for name, each in model.named_parameters() if not each.requires_grad}, notes


@pytest.mark.parametrize(
    ("wanted", "means"),
    [
        ("embeddings", lambda name: "embed_tokens" in name),
        ("head", lambda name: name == "lm_head.weight"),
        ("norms", lambda name: "norm" in name),
        ("layers.1", lambda name: ".layers.1." in name),
        ("layers.0-3", lambda name: any(f".layers.{number}." in name for number in range(4))),
        ("layers.10-11", lambda name: any(f".layers.{number}." in name for number in (10, 11))),
        ("self_attn", lambda name: "self_attn" in name),
        ("layers.1*mlp", lambda name: any(f".layers.{number}.mlp" in name for number in (1, 10, 11))),
    ],
)
def test_a_name_means_these_weights_and_no_others(wanted, means) -> None:
    model = llama()
    found, notes = frozen_by(model, wanted)
    assert found == {name for name, _ in model.named_parameters() if means(name)}
    assert found
    assert notes == ()


def test_layers_are_found_by_number_whatever_they_are_called_and_learnt_positions_are_embeddings() -> None:
    assert frozen_by(gpt2(), "layers.1")[0] == {name for name, _ in gpt2().named_parameters() if ".h.1." in name}
    assert frozen_by(gpt2(), "embeddings")[0] == {"transformer.wte.weight", "transformer.wpe.weight"}
    norms = frozen_by(gpt2(), "norms")[0]
    assert norms == {name for name, _ in gpt2().named_parameters() if ".ln_" in name}


@pytest.mark.parametrize(("wanted", "by"), [("embeddings", "model.embed_tokens.weight"), ("head", "lm_head.weight")])
def test_embeddings_that_are_the_head_too_are_frozen_together_and_that_is_said(wanted, by) -> None:
    found, [note] = frozen_by(llama(tied=True), wanted)
    assert found == {"model.embed_tokens.weight"}
    assert note.startswith(f"train.freeze: {by} and ")
    assert note.endswith("are the same weights (tied), so both are frozen")
    # both by name: nothing to be said
    assert frozen_by(llama(tied=True), "embeddings", "head")[1] == ()


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (("embedings",), r"names 'embedings', which is in no weight of LlamaForCausalLM; did you mean embeddings"),
        (("norms", "q_porj"), r"names 'q_porj'.*did you mean q_proj"),
        (("zzzzzz",), r"expected layers\.N-M, or some of embeddings, head, norms"),
        (("layers.12",), r"names 'layers\.12', and the model has 12 layers, from 0; expected layers\.0-11 or some"),
        (("layers.5-2",), r"names 'layers\.5-2'"),
        (("*",), r"freezes every weight of LlamaForCausalLM"),
        (("layers.0-11", "embeddings", "head", "norms"), r"so there is nothing to train"),
    ],
)
def test_what_means_nothing_or_leaves_nothing_is_an_error(wanted, message) -> None:
    with pytest.raises(TrainingError, match=message):
        freeze(llama(), wanted)


@pytest.mark.parametrize("sharing", ["tree", "plain"])
def test_frozen_weights_keep_their_bits_and_the_others_are_trained_as_one_counts(sharing, tmp_path) -> None:
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "base")
    config = TrainConfig(
        epochs=2, examples_per_step=4, learning_rate=1e-2, threads=1, sharing=sharing, weight_decay=0.1,
        freeze=("embeddings", "layers.0-1", "norms"), samples=0,
    )  # fmt: skip
    record = fine_tune(
        ROWS[:8], ROWS[8:], base=tmp_path / "base", tokenizer=TOKENIZER, config=config, seed=5,
        run_folder=tmp_path / "run",
    )  # fmt: skip
    before, after = (load_model(tmp_path / name) for name in ("base", "run/best"))
    trained = 0
    for name, weight in before.named_parameters():
        left = "layers.2" not in name or "norm" in name
        assert torch.equal(weight, after.get_parameter(name)) == left, name
        trained += 0 if left else weight.numel()
    assert record.trained_parameters == trained
    assert any("are the same weights (tied), so both are frozen" in note for note in record.notes)
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss


def test_the_optimizer_keeps_nothing_of_what_is_frozen(tmp_path) -> None:
    model = build_llama(SMALL, TOKENIZER, seed=1)
    freeze(model, ("embeddings", "layers.0-1"))
    config = TrainConfig(examples_per_step=4, threads=1)
    plan = Plan(
        label="frozen", config=config, computing=config, epochs=1, examples_per_step=4, sharing="tree", probe=True, seed=5,
        folder=tmp_path, checkpoint_seconds=0.0,
    )  # fmt: skip
    record, _ = run_training(plan, model, ROWS[:8], ROWS[8:], lambda: None)
    [path] = tmp_path.rglob("optimizer.pt")
    moments = [each["exp_avg"].numel() for each in torch.load(path, weights_only=True)["state"].values()]
    assert sum(moments) == record.trained_parameters > 0
