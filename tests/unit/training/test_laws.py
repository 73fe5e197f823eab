"""How a step is cut and by how many processes it is computed changes nothing: losses and weights are the same to rounding.

Small Llamas of doubles. transformers computes norms in float32 even then, which would hide anything smaller than 1e-7, so
they are replaced by torch's own.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from groundtune.config import AdapterConfig, ComputingConfig, ModelConfig, OptimizerConfig, TrainConfig
from groundtune.models import build_llama, load_tokenizer, quiet_transformers, train_tokenizer
from groundtune.training import SamplePrompt, Tokenised, fine_tune
from groundtune.training.plan import Plan
from groundtune.training.running import run_training

SAME = 1e-9
"""Relative to the loss, and to the largest weight of a tensor."""

SIZES = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 61}


def model_of_doubles(**changes):
    torch.manual_seed(3)
    config = LlamaConfig(**SIZES, num_key_value_heads=2, pad_token_id=None, bos_token_id=1, eos_token_id=2, **changes)
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        layer.input_layernorm, layer.post_attention_layernorm = nn.RMSNorm(32, 1e-6), nn.RMSNorm(32, 1e-6)
    model.model.norm = nn.RMSNorm(32, 1e-6)
    return model.double()


def contexts_with_questions():
    """Six contexts of different length with one to eight questions each, and five examples that share nothing. The tokens
    of every other context weigh differently."""
    examples = []
    for context in range(6):
        shared = tuple((7 * context + 3 * place) % 50 + 5 for place in range(12 + 4 * context))
        for question in range(1 + (3 * context) % 8):
            ids = (*shared, 56, (11 * question + context) % 50 + 5, 57, (question * question) % 50 + 5, 2)
            start = len(shared) + 2
            weights = (*(0.0,) * start, 0.25, 1.5, 0.125 + question) if context % 2 else ()
            examples.append(Tokenised(ids, (*(False,) * start, True, True, True), weights))
    for place in range(5):
        ids = tuple((5 * place + 9 * step) % 55 + 3 for step in range(9 + 10 * place))
        examples.append(Tokenised(ids, (*(False,) * 4, *(True,) * (len(ids) - 4))))
    return examples


EXAMPLES = contexts_with_questions()


def train(model, folder, *, sharing="tree", epochs=2, learning_rate=3e-3, **computing):
    plan = Plan(
        label="law",
        config=OptimizerConfig(learning_rate=learning_rate),
        computing=ComputingConfig(threads=1, **computing),
        epochs=epochs,
        examples_per_step=8,
        sharing=sharing,
        probe=True,
        seed=11,
        folder=folder,
        checkpoint_seconds=1e9,
    )
    record, processes = run_training(plan, model, EXAMPLES, EXAMPLES[:5], lambda: None)
    return record, processes


def losses(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["train_loss"], line["grad_norm"]) for line in lines if line["kind"] == "step"]


def assert_same(losses_found, losses_wanted, weights_found, weights_wanted, within=SAME):
    assert len(losses_found) == len(losses_wanted) > 5
    for found, wanted in zip(losses_found, losses_wanted, strict=True):
        assert found == pytest.approx(wanted, rel=within)
    assert list(weights_found) == list(weights_wanted)
    for name, wanted in weights_wanted.items():
        gap = float((weights_found[name] - wanted).abs().max() / wanted.abs().max())
        assert gap < within, f"{name} differs by {gap:.1e}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """Losses and weights of the plain way, each example of a step computed by itself."""
    folder = tmp_path_factory.mktemp("reference")
    model = model_of_doubles()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    train(model, folder, sharing="plain", max_pack_tokens=64)
    # the training moved the weights: equal ones would prove nothing
    assert all(float((weight - before[name]).abs().max()) > 1e-3 for name, weight in model.state_dict().items())
    return losses(folder), model.state_dict()


@pytest.mark.parametrize(
    ("sharing", "max_pack_tokens"), [("tree", 64), ("tree", 100), ("tree", 4096), ("plain", 100), ("plain", 4096)]
)
def test_sharing_and_the_size_of_batches_change_no_step(sharing, max_pack_tokens, reference, tmp_path) -> None:
    model = model_of_doubles()
    train(model, tmp_path, sharing=sharing, max_pack_tokens=max_pack_tokens)
    assert_same(losses(tmp_path), reference[0], model.state_dict(), reference[1])


def test_gradient_checkpointing_changes_no_step_and_is_off_afterwards(reference, tmp_path) -> None:
    model = model_of_doubles()
    train(model, tmp_path, max_pack_tokens=100, gradient_checkpointing=True)
    assert_same(losses(tmp_path), reference[0], model.state_dict(), reference[1])
    assert not any(getattr(module, "gradient_checkpointing", False) for module in model.modules())
    assert "forward" not in vars(model)
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("checkpointing", [False, True])
def test_dropout_of_attention_trains_with_and_without_checkpointing(checkpointing, reference, tmp_path) -> None:
    model = model_of_doubles(attention_dropout=0.2)
    train(model, tmp_path, epochs=6, gradient_checkpointing=checkpointing)
    found = [loss for loss, _ in losses(tmp_path)]
    assert found[0] != pytest.approx(reference[0][0][0], rel=1e-6)
    assert found[-1] < 0.9 * found[0]


def test_the_same_dropout_is_drawn_again_when_layers_are_computed_again(tmp_path) -> None:
    found = {}
    for checkpointing in (False, True):
        model = model_of_doubles(attention_dropout=0.2)
        train(model, tmp_path / str(checkpointing), gradient_checkpointing=checkpointing)
        found[checkpointing] = losses(tmp_path / str(checkpointing)), model.state_dict()
    assert_same(*(found[kind][part] for part in (0, 1) for kind in (False, True)))


# of peft, which asks a model of newer transformers by an older name
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
def test_an_adapter_is_trained_and_nothing_else(tmp_path) -> None:
    # here, because the processes of the test below import this file and need none of it
    from peft import LoraConfig, get_peft_model

    finals = {}
    for sharing in ("tree", "plain"):
        torch.manual_seed(5)
        lora = LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
        model = get_peft_model(model_of_doubles(), lora).double()
        before = {name: weight.clone() for name, weight in model.state_dict().items()}
        train(model, tmp_path / sharing, sharing=sharing, max_pack_tokens=100)
        after = model.state_dict()
        moved = {name for name in after if not torch.equal(before[name], after[name])}
        assert moved == {name for name in after if "lora_" in name}
        assert all(each.grad is None for name, each in model.named_parameters() if "lora_" not in name)
        finals[sharing] = losses(tmp_path / sharing), after
    assert_same(*(finals[kind][part] for part in (0, 1) for kind in ("tree", "plain")))


TWO = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {here!r})
from groundtune.config import AdapterConfig
from test_laws import fine_tuned, model_of_doubles, train
folder = Path({folder!r})
for sharing in ("tree", "plain"):
    model = model_of_doubles()
    record, processes = train(model, folder / sharing, sharing=sharing, max_pack_tokens=64)
    assert processes.count == 2
    torch.save(model.state_dict(), folder / f"{{sharing}}-{{processes.index}}.pt")
fine_tuned(folder / "two", folder / "base")
fine_tuned(folder / "two-adapter", folder / "base", AdapterConfig(rank=2))
torch.distributed.destroy_process_group()
"""


def fine_tuned(folder, base, adapter=None):
    config = TrainConfig(epochs=2, learning_rate=3e-3, threads=1, max_pack_tokens=128, adapter=adapter)
    prompt = SamplePrompt("?", (5, 6, 7), "8")
    tokenizer = load_tokenizer(base)
    return fine_tune(
        EXAMPLES, EXAMPLES[:5], base=base, tokenizer=tokenizer, config=config, seed=11, run_folder=folder,
        sample_prompts=[prompt], sample_tokens=4, checkpoint_seconds=0.0,
    )  # fmt: skip


def on_two_processes(script):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=os.environ | environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(2)
    ]
    ends = [(process.communicate(timeout=200)[1], process.returncode) for process in started]
    assert all(status == 0 for _, status in ends), ends


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_leave_its_files(reference, tmp_path) -> None:
    tokenizer = train_tokenizer(["stok"] * 3, vocab_size=300, chat_template="x")
    small = ModelConfig(
        layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False
    )
    with quiet_transformers():
        build_llama(small, tokenizer, seed=1).save_pretrained(tmp_path / "base")
        tokenizer.save_pretrained(tmp_path / "base")
    on_two_processes(TWO.format(here=str(Path(__file__).parent), folder=str(tmp_path)))
    for sharing in ("tree", "plain"):
        for rank in range(2):
            weights = torch.load(tmp_path / f"{sharing}-{rank}.pt", weights_only=True)
            assert_same(losses(tmp_path / sharing), reference[0], weights, reference[1])
    fine_tuned(tmp_path / "one", tmp_path / "base")
    fine_tuned(tmp_path / "one-adapter", tmp_path / "base", AdapterConfig(rank=2))
    for kind in ("", "-adapter"):
        one, two = (sorted(path.name for path in (tmp_path / f"{name}{kind}").iterdir()) for name in ("one", "two"))
        assert one == two == ["best", "findings.json", "metrics.jsonl", "samples.json", "tensorboard", "timings.json"]
        # in float32, so only roughly
        wanted = losses(tmp_path / f"one{kind}")
        assert losses(tmp_path / f"two{kind}") == [pytest.approx(each, rel=1e-3) for each in wanted]
