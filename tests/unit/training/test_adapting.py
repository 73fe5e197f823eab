import json
import shutil
import sys

import pytest
import torch
from proving import diagonal
from safetensors.torch import load_file
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from groundtune.config import AdapterConfig, ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import (
    build_llama,
    generate_answers,
    load_model,
    load_tokenizer,
    quiet_transformers,
    train_tokenizer,
)
from groundtune.models.inspecting import inspect_model
from groundtune.prefix import PreparedModel
from groundtune.training import SamplePrompt, Tokenised, fine_tune, measure_loss
from groundtune.training.adapting import attach_adapter, base_reference, replace_folder_with_adapter
from groundtune.training.examples import in_columns
from groundtune.training.steps import Packer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=96, copying_start=False)


def make_examples(number: int, start: int = 0) -> list[Tokenised]:
    """Two questions on each context of counting tokens; the last three tokens are trained."""
    rows = []
    for place in range(start, start + number):
        ids = (*(20 + (place // 2 + step) % 50 for step in range(12)), 80 + place % 2, 90 + place % 7, 91, 1)
        rows.append(Tokenised(ids, (*(False,) * 13, True, True, True)))
    return rows


TRAIN, VALID = make_examples(20), make_examples(6, start=25)


PROMPTS = [SamplePrompt("Sayı?", (20, 21, 22), "23")]


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A trained adapter that many tests look at and none changes: its folder `first`, beside its `base`, and its record."""
    folder = tmp_path_factory.mktemp("adapting")
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder / "base")
    return folder / "first", run(folder / "base", folder / "first", prompts=PROMPTS)


@pytest.fixture
def base(first, tmp_path):
    return shutil.copytree(first[0].parent / "base", tmp_path / "base")


def run(base, folder, adapter=None, prompts=(), **changes):
    settings = {"epochs": 3, "examples_per_step": 4, "learning_rate": 1e-2, "threads": 1} | changes
    adapter = AdapterConfig(rank=4) if adapter is None else adapter
    return fine_tune(
        TRAIN, VALID, base=base, tokenizer=TOKENIZER, config=TrainConfig(adapter=adapter, **settings), seed=7,
        run_folder=folder, sample_prompts=prompts, sample_tokens=5,
    )  # fmt: skip


def test_best_holds_the_adapter_in_pefts_form_and_the_way_to_its_base(first) -> None:
    folder, record = first
    best = folder / "best"
    assert {path.name for path in folder.iterdir()} == {
        "best", "findings.json", "metrics.jsonl", "timings.json", "samples.json", "tensorboard",
    }  # fmt: skip
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= {
        path.name for path in best.iterdir()
    }
    assert not {"README.md", "config.json", "model.safetensors"} & {path.name for path in best.iterdir()}
    settings = json.loads((best / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "../../base"
    # twice the rank where nothing is said
    assert (settings["r"], settings["lora_alpha"], settings["peft_type"]) == (4, 8, "LORA")
    assert str(folder) not in (best / "adapter_config.json").read_text()
    # seven linear layers of 2 blocks, each with two matrices of rank 4; the vocabulary's has none
    names = load_file(best / "adapter_model.safetensors")
    assert len(names) == 2 * 7 * 2
    assert record.trained_parameters == sum(each.numel() for each in names.values())
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss


def test_a_loaded_adapter_answers_and_measures_as_it_was_trained(first, tmp_path) -> None:
    folder, record = first
    best = folder / "best"
    model = load_model(best, tokenizer=load_tokenizer(best))
    # an ordinary model of the base's kind: whatever takes a model takes it
    assert type(model) is type(load_model(folder.parent / "base"))
    lowest = min(row.valid_loss for row in record.epochs)
    assert measure_loss(model, VALID, max_pack_tokens=64, threads=1) == pytest.approx(lowest, abs=1e-5)
    [answer] = generate_answers(
        model, TOKENIZER, [(20, 21, 22)], max_new_tokens=5, batch_questions=1, stop_ids=frozenset({1})
    )
    assert answer.text == record.samples[0].after
    assert not any("lora" in name for name, _ in model.named_parameters())
    with quiet_transformers():
        model.save_pretrained(tmp_path / "merged")
    merged = load_model(tmp_path / "merged")
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), merged.parameters(), strict=True))


# of peft, which asks a model of newer transformers by an older name
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_peft_itself_loads_the_adapter_and_computes_the_same(first) -> None:
    from peft import PeftModel

    best = first[0] / "best"
    base = first[0].parent / "base"
    ours = load_model(best)
    theirs = PeftModel.from_pretrained(load_model(base), best)
    ids = torch.arange(20, 40)[None]
    with torch.no_grad():
        assert torch.allclose(ours(ids).logits, theirs(ids).logits, atol=1e-5)
        assert not torch.allclose(ours(ids).logits, load_model(base)(ids).logits, atol=1e-2)


def test_work_that_moves_with_its_base_still_loads_and_an_adapter_that_moves_alone_says_so(first, tmp_path) -> None:
    best = shutil.copytree(first[0], tmp_path / "elsewhere" / "first") / "best"
    with pytest.raises(TrainingError, match=r"an adapter and its base move together"):
        load_model(best)
    shutil.copytree(first[0].parent / "base", tmp_path / "elsewhere" / "base")
    load_model(best)


def test_an_adapter_on_a_model_of_the_hub_names_its_id(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert base_reference("owner/name", tmp_path / "run" / "best") == "owner/name"
    # a folder of that name goes first, as it does in loading
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert base_reference("owner/name", tmp_path / "run" / "best") == "../../owner/name"


def test_an_adapter_can_be_the_base_of_another(first) -> None:
    folder, record = first
    beside = folder.parent / "second"
    second = run(folder / "best", beside, epochs=1)
    assert second.epochs[0].valid_loss == pytest.approx(min(row.valid_loss for row in record.epochs), abs=1e-5)
    settings = json.loads((beside / "best" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "../../first/best"
    load_model(beside / "best")


def test_the_same_adapter_twice_gives_the_same_bytes(base, tmp_path) -> None:
    for name in ("first", "second"):
        run(base, tmp_path / name, AdapterConfig(rank=2, dropout=0.2), prompts=PROMPTS, epochs=1)
    for name in ("best/adapter_model.safetensors", "best/adapter_config.json", "metrics.jsonl", "samples.json"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_tree_and_plain_train_the_same_adapter(base, tmp_path) -> None:
    finals = []
    for sharing in ("tree", "plain"):
        record = run(base, tmp_path / sharing, sharing=sharing, epochs=2)
        finals.append((load_file(tmp_path / sharing / "best" / "adapter_model.safetensors"), record))
    (tree, tree_record), (plain, plain_record) = finals
    assert tree_record.unique_tokens_per_epoch < plain_record.unique_tokens_per_epoch
    for name, weight in plain.items():
        # float32, 10 steps of a high learning rate; the law in doubles is in test_laws
        assert torch.allclose(tree[name], weight, atol=2e-3), name


@pytest.mark.parametrize(
    ("targets", "found"),
    [
        (("q_proj", "v_proj"), {"q_proj", "v_proj"}),
        (("layers.1.mlp.down_proj",), {"down_proj"}),
        (("all",), {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}),
    ],
)
def test_targets_are_layers_by_name(base, tmp_path, targets, found) -> None:
    run(base, tmp_path / "run", AdapterConfig(rank=2, targets=targets), epochs=1)
    names = load_file(tmp_path / "run" / "best" / "adapter_model.safetensors")
    assert {name.split(".")[-3] for name in names} == found
    settings = json.loads((tmp_path / "run" / "best" / "adapter_config.json").read_text())
    assert settings["target_modules"] == sorted(found if targets == ("all",) else targets)
    if targets == ("layers.1.mlp.down_proj",):
        assert all("layers.1." in name for name in names)


def test_a_target_in_no_layer_is_an_error_with_the_names_near_it(base, tmp_path) -> None:
    with pytest.raises(
        TrainingError, match=r"'q_prj', which is in no linear layer of LlamaForCausalLM; did you mean q_"
    ):
        run(base, tmp_path / "run", AdapterConfig(targets=("all", "q_prj")))
    with pytest.raises(TrainingError, match="expected all, or some of q_proj"):
        run(base, tmp_path / "run", AdapterConfig(targets=("zzzzzz",)))


@pytest.mark.parametrize("tied", [False, True])
def test_the_vocabulary_of_its_own_may_have_an_adapter_and_a_tied_one_may_not(tmp_path, tied) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = LlamaConfig(
        **sizes, vocab_size=320, tie_word_embeddings=tied, pad_token_id=None, bos_token_id=0, eos_token_id=1
    )
    with quiet_transformers():
        torch.manual_seed(1)
        LlamaForCausalLM(config).save_pretrained(tmp_path / "base")
    adapter = AdapterConfig(rank=2, targets=("lm_head",))
    if tied:
        with pytest.raises(TrainingError, match="whose weights are the embedding's too"):
            run(tmp_path / "base", tmp_path / "run", adapter)
        # nor is it offered for a name that is nearly its own
        offered = (
            r"expected all, or some of q_proj.*, down_proj \(model.embed_tokens and lm_head are the same weights here"
        )
        with pytest.raises(TrainingError, match=offered):
            run(tmp_path / "base", tmp_path / "run", AdapterConfig(targets=("lm_hed",)))
        return
    record = run(tmp_path / "base", tmp_path / "run", adapter)
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss
    model = load_model(tmp_path / "run" / "best")
    lowest = min(row.valid_loss for row in record.epochs)
    assert measure_loss(model, VALID, max_pack_tokens=64, threads=1) == pytest.approx(lowest, abs=1e-5)


def test_gradient_checkpointing_trains_the_same_adapter(base, tmp_path) -> None:
    losses = []
    for checkpointing in (False, True):
        record = run(base, tmp_path / str(checkpointing), epochs=1, gradient_checkpointing=checkpointing)
        losses.append([row.valid_loss for row in record.epochs])
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


# kinds of adapters

WIDTHS = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
IDS = torch.arange(20, 44)[None]


def small_model(kind, *, tied=True):
    """Of 320 tokens, its weights large enough for a difference to show."""
    torch.manual_seed(4)
    common = {"vocab_size": 320, "tie_word_embeddings": tied, "initializer_range": 0.2, "bos_token_id": 0}
    common |= {"pad_token_id": None, "eos_token_id": 1}
    if kind == "gpt2":
        return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=2, n_positions=64, **common)).eval()
    if kind == "qwen3":
        return Qwen3ForCausalLM(Qwen3Config(**WIDTHS, num_key_value_heads=1, head_dim=16, **common)).eval()
    return LlamaForCausalLM(LlamaConfig(**WIDTHS, **common)).eval()


def logits(model):
    with torch.no_grad():
        return model.eval()(IDS).logits


def take_steps(model, number=4):
    optimizer = torch.optim.AdamW([each for each in model.parameters() if each.requires_grad], lr=2e-2)
    model.train()
    for _ in range(number):
        model(IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.eval()


KINDS_OF_ADAPTERS = [
    {"rslora": True},
    {"dora": True},
    {"dora": True, "rslora": True, "modules_to_save": ("norm",)},
    {"modules_to_save": ("embed_tokens",)},
    {"modules_to_save": ("lm_head",), "targets": ("q_proj",)},
    {"modules_to_save": ("embed_tokens", "lm_head"), "dora": True},
    {"modules_to_save": ("layers.1.mlp",)},
]
GPT2_NAMES = {
    "norm": "ln_f",
    "embed_tokens": "wte",
    "lm_head": "lm_head",
    "q_proj": "c_attn",
    "layers.1.mlp": "h.1.mlp",
}


@pytest.mark.parametrize(("kind", "settings"), diagonal(["llama", "qwen3", "gpt2"], KINDS_OF_ADAPTERS))
def test_a_fresh_adapter_changes_nothing_and_a_trained_one_is_loaded_as_it_was(kind, settings, tmp_path) -> None:
    tied = kind == "qwen3"
    if kind == "gpt2":
        settings = {
            name: tuple(GPT2_NAMES[each] for each in value) if isinstance(value, tuple) else value
            for name, value in settings.items()
        }
    model = small_model(kind, tied=tied)
    with quiet_transformers():
        model.save_pretrained(tmp_path / "base")
    before = logits(model)
    adapted, notes = attach_adapter(model, AdapterConfig(rank=4, **settings), seed=7)
    assert notes == ()
    assert torch.allclose(logits(adapted), before, atol=1e-4)
    take_steps(adapted)
    trained = logits(adapted)
    assert float((trained - before).abs().max()) > 0.5
    replace_folder_with_adapter(adapted, TOKENIZER, tmp_path / "adapter", base=tmp_path / "base")
    loaded = load_model(tmp_path / "adapter")
    assert torch.allclose(logits(loaded), trained, atol=2e-4 * float(trained.abs().max()))
    shared = loaded.get_input_embeddings().weight is loaded.get_output_embeddings().weight
    assert shared == tied == loaded.config.tie_word_embeddings
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert (saved["use_dora"], saved["use_rslora"]) == (settings.get("dora", False), settings.get("rslora", False))


@pytest.mark.parametrize("name", ["wte", "lm_head"])
def test_tied_embeddings_that_peft_does_not_know_are_refused(name) -> None:
    with pytest.raises(TrainingError, match=r"names wte or lm_head, which are the same weights .*leave it out"):
        attach_adapter(small_model("gpt2"), AdapterConfig(modules_to_save=(name,)), seed=7)


def test_rslora_scales_by_the_root_of_the_rank(tmp_path) -> None:
    deltas = []
    for rslora in (False, True):
        model = small_model("llama")
        attach_adapter(model, AdapterConfig(rank=16, alpha=8, rslora=rslora), seed=7)
        layer = model.model.layers[0].self_attn.q_proj
        layer.lora_B["default"].weight.data.fill_(0.1)
        deltas.append(layer.get_delta_weight("default"))
    # 8 / 4 in place of 8 / 16
    assert torch.allclose(deltas[1], 4 * deltas[0])


def test_a_module_to_save_is_trained_whole_and_nothing_else_of_the_base_is(base, tmp_path) -> None:
    adapter = AdapterConfig(rank=2, modules_to_save=("model.norm", "layers.1.mlp.down_proj"), dora=True)
    record = run(base, tmp_path / "run", adapter, epochs=1)
    best = tmp_path / "run" / "best"
    held = load_file(best / "adapter_model.safetensors")
    assert record.trained_parameters == sum(each.numel() for each in held.values())
    facts = inspect_model(str(best)).adapter
    assert (facts.rank, facts.parameters) == (2, record.trained_parameters)
    whole = [name for name in held if "lora_" not in name]
    prefix = "base_model.model.model"
    assert whole == [f"{prefix}.layers.1.mlp.down_proj.weight", f"{prefix}.norm.weight"]
    assert not any("layers.1.mlp.down_proj.lora" in name for name in held)
    was, now = load_model(base), load_model(best)
    for name in ("model.norm", "model.layers.1.mlp.down_proj"):
        assert torch.equal(now.get_parameter(f"{name}.weight"), held[f"base_model.model.{name}.weight"])
        assert not torch.equal(now.get_parameter(f"{name}.weight"), was.get_parameter(f"{name}.weight"))
    for name, weight in was.named_parameters():
        if "layernorm" in name or "embed" in name:
            assert torch.equal(weight, now.get_parameter(name)), name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"modules_to_save": ("embed_token",)}, r"modules_to_save names 'embed_token', which is in no module .*; did you mean embed_tokens"),
        ({"modules_to_save": ("zzzzzz",)}, r"expected some of model, embed_tokens"),
        ({"modules_to_save": ("model",)}, r"names model, which holds weights that embedding and head share"),
        ({"modules_to_save": ("mlp", "up_proj")}, r"names model\.layers\.0\.mlp, and model\.layers\.0\.mlp\.up_proj, which is in it"),
        ({"modules_to_save": ("layers",)}, r"\(model\.layers\) leaves LlamaForCausalLM no linear layer for an adapter"),
        ({"modules_to_save": ("q_proj",), "targets": ("q_proj",)}, r"targets names 'q_proj'"),
    ],
)  # fmt: skip
def test_modules_to_save_that_cannot_be_are_refused_by_name(settings, message) -> None:
    model = small_model("llama")
    with pytest.raises(TrainingError, match=message):
        attach_adapter(model, AdapterConfig(**settings), seed=7)


# on a base in 4 bits


QUANTISED = [
    {"quantise": "nf4"},
    {"quantise": "fp4", "double_quantise": False, "dora": True},
    {"quantise": "nf4", "modules_to_save": ("lm_head",)},
]


@pytest.mark.parametrize(("kind", "settings"), diagonal(["llama", "qwen3", "gpt2"], QUANTISED))
def test_tree_and_plain_have_the_same_loss_and_gradients_on_a_quantised_base(kind, settings) -> None:
    model = small_model(kind, tied=kind != "gpt2")
    adapted, notes = attach_adapter(model, AdapterConfig(rank=4, **settings), seed=7)
    assert "linear layers of the base were held in 4 bits" in notes[0]
    # a fresh adapter would hide the gradients of half its matrices
    take_steps(adapted, 2)
    columns = in_columns(TRAIN)
    found = []
    for sharing in ("tree", "plain"):
        adapted.zero_grad()
        packer = Packer(columns, sharing=sharing, max_pack_tokens=64)
        total = 0.0
        with PreparedModel(adapted, share=sharing == "tree") as prepared:
            for batch in packer.pack_all():
                loss = prepared.row_loss(batch.make())
                loss.backward()
                total += float(loss.detach())
        found.append((total, {name: each.grad for name, each in adapted.named_parameters() if each.grad is not None}))
    (tree, tree_gradients), (plain, plain_gradients) = found
    assert tree == pytest.approx(plain, rel=1e-5)
    assert list(tree_gradients) == list(plain_gradients)
    assert len(tree_gradients) == sum(each.requires_grad for each in adapted.parameters())
    for name, gradient in plain_gradients.items():
        assert torch.allclose(tree_gradients[name], gradient, atol=1e-4 * float(gradient.abs().max())), name
    assert float(sum(each.abs().sum() for each in plain_gradients.values())) > 0


def test_an_adapter_on_a_quantised_base_is_kept_for_the_base_as_it_was(base, tmp_path) -> None:
    adapter = AdapterConfig(rank=4, quantise="nf4", dora=True, modules_to_save=("model.norm",))
    record = run(base, tmp_path / "run", adapter, epochs=1)
    best = tmp_path / "run" / "best"
    settings = json.loads((best / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "../../base"
    assert "4bit" not in (best / "adapter_config.json").read_text()
    kept = load_model(best)
    assert all(each.dtype == torch.float32 for each in kept.parameters())
    merged = measure_loss(kept, VALID, max_pack_tokens=64, threads=1)
    lowest = min(row.valid_loss for row in record.epochs)
    assert merged == pytest.approx(lowest, abs=0.3)
    assert merged != lowest
    [told] = [note for note in record.notes if note.startswith("validation loss of the weights that are kept")]
    assert f"{lowest:.4f} on the base in 4 bits (nf4)" in told
    assert f"{merged:.4f} on the base in full precision" in told
    # twice: the same bytes
    run(base, tmp_path / "again", adapter, epochs=1)
    for name in ("best/adapter_model.safetensors", "best/adapter_config.json", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_without_bitsandbytes_one_sentence_says_what_to_install_before_the_base_is_read(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(
        TrainingError, match=r"train.adapter.quantise needs the package bitsandbytes.*groundtune\[qlora\]"
    ):
        run(tmp_path / "nowhere", tmp_path / "run", AdapterConfig(quantise="nf4"))


def test_without_peft_one_sentence_says_what_to_install(first, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    wanted = r"needs the package peft, which is not installed; run `pip install groundtune\[adapters\]`"
    with pytest.raises(TrainingError, match=f"train.adapter {wanted}"):
        run(first[0].parent / "base", tmp_path / "other")
    with pytest.raises(TrainingError, match=f"best, an adapter, {wanted}"):
        load_model(first[0] / "best")


def test_weight_vectors_of_zeros_are_refused_with_dora_which_would_divide_by_their_length(tmp_path):
    with quiet_transformers():
        model = build_llama(SMALL, TOKENIZER, seed=1)
    model.model.layers[1].self_attn.q_proj.weight.data[3:5] = 0
    with pytest.raises(
        TrainingError, match=r"1 layers have weight vectors of zeros \(model\.layers\.1\.self_attn\.q_proj has 2\)"
    ):
        attach_adapter(model, AdapterConfig(rank=2, dora=True), seed=1)
