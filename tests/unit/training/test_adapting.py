import gc
import json
import shutil
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM

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
from groundtune.training import SamplePrompt, Tokenised, fine_tune, measure_loss
from groundtune.training.adapting import base_reference

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


@pytest.fixture(scope="module", autouse=True)
def _old_garbage_stays():
    """Trainer collects garbage whenever it begins; looking through all that is imported takes as long as a tiny training."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def base(tmp_path):
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def run(base, folder, adapter=None, **changes):
    settings = {"epochs": 3, "examples_per_step": 4, "learning_rate": 1e-2, "threads": 1} | changes
    adapter = AdapterConfig(rank=4) if adapter is None else adapter
    return fine_tune(
        TRAIN, VALID, base=base, tokenizer=TOKENIZER, config=TrainConfig(adapter=adapter, **settings), seed=7,
        run_folder=folder, sample_prompts=[SamplePrompt("Sayı?", (20, 21, 22), "23")], sample_tokens=5,
    )  # fmt: skip


def test_best_holds_the_adapter_in_pefts_form_and_the_way_to_its_base(base, tmp_path) -> None:
    record = run(base, tmp_path / "run")
    best = tmp_path / "run" / "best"
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
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
    assert str(tmp_path) not in (best / "adapter_config.json").read_text()
    # seven linear layers of 2 blocks, each with two matrices of rank 4; the vocabulary's has none
    names = load_file(best / "adapter_model.safetensors")
    assert len(names) == 2 * 7 * 2
    assert record.trained_parameters == sum(each.numel() for each in names.values())
    assert record.epochs[-1].valid_loss < record.epochs[0].valid_loss


def test_a_loaded_adapter_answers_and_measures_as_it_was_trained(base, tmp_path) -> None:
    record = run(base, tmp_path / "run", epochs=6)
    best = tmp_path / "run" / "best"
    model = load_model(best, tokenizer=load_tokenizer(best))
    # an ordinary model of the base's kind: whatever takes a model takes it
    assert type(model) is type(load_model(base))
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
def test_peft_itself_loads_the_adapter_and_computes_the_same(base, tmp_path) -> None:
    from peft import PeftModel

    run(base, tmp_path / "run")
    ours = load_model(tmp_path / "run" / "best")
    theirs = PeftModel.from_pretrained(load_model(base), tmp_path / "run" / "best")
    ids = torch.arange(20, 40)[None]
    with torch.no_grad():
        assert torch.allclose(ours(ids).logits, theirs(ids).logits, atol=1e-5)
        assert not torch.allclose(ours(ids).logits, load_model(base)(ids).logits, atol=1e-2)


def test_work_that_moves_with_its_base_still_loads_and_an_adapter_that_moves_alone_says_so(base, tmp_path) -> None:
    run(base, tmp_path / "runs" / "first")
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    shutil.move(tmp_path / "runs", moved / "runs")
    best = moved / "runs" / "first" / "best"
    with pytest.raises(TrainingError, match=r"an adapter and its base move together"):
        load_model(best)
    shutil.move(base, moved / "base")
    load_model(best)


def test_an_adapter_on_a_model_of_the_hub_names_its_id(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert base_reference("owner/name", tmp_path / "run" / "best") == "owner/name"
    # a folder of that name goes first, as it does in loading
    (tmp_path / "owner" / "name").mkdir(parents=True)
    assert base_reference("owner/name", tmp_path / "run" / "best") == "../../owner/name"


def test_an_adapter_can_be_the_base_of_another(base, tmp_path) -> None:
    first = run(base, tmp_path / "first")
    second = run(tmp_path / "first" / "best", tmp_path / "second")
    assert second.epochs[0].valid_loss == pytest.approx(min(row.valid_loss for row in first.epochs), abs=1e-5)
    settings = json.loads((tmp_path / "second" / "best" / "adapter_config.json").read_text())
    assert settings["base_model_name_or_path"] == "../../first/best"
    load_model(tmp_path / "second" / "best")


def test_the_same_adapter_twice_gives_the_same_bytes(base, tmp_path) -> None:
    for name in ("first", "second"):
        run(base, tmp_path / name, AdapterConfig(rank=2, dropout=0.2), epochs=1)
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


def test_without_peft_one_sentence_says_what_to_install(base, tmp_path, monkeypatch) -> None:
    run(base, tmp_path / "run", epochs=1)
    monkeypatch.setitem(sys.modules, "peft", None)
    wanted = r"needs the package peft, which is not installed; run `pip install groundtune\[adapters\]`"
    with pytest.raises(TrainingError, match=f"train.adapter {wanted}"):
        run(base, tmp_path / "other")
    with pytest.raises(TrainingError, match=f"best, an adapter, {wanted}"):
        load_model(tmp_path / "run" / "best")
