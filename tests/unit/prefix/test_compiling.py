"""Compiled layers compute what they compute uncompiled, and leave nothing behind."""

import os
import subprocess
import sys
from typing import Any

import peft
import pytest
import torch
import transformers as tf

from groundtune.errors import TrainingError
from groundtune.models import AlibiForCausalLM
from groundtune.prefix import PreparedModel, row_tensors

from .plainly import Drawn, build, checkpoint_activations, gradients, largest_gap, rows_of

CONTEXT = [5, 6, 7, 8, 9, 10]

# rows of several lengths, some with one example
DRAWN: Drawn = [
    (CONTEXT[:shared] + [11 + (place * 7 + own) % 20 for place in range(own)], [0.0] * shared + [1.0] * own)
    for shared, own in ((6, 3), (6, 5), (3, 9), (0, 4), (6, 8), (2, 2), (0, 12), (5, 7))
]

CLOSE = 1e-5
"""Of float32."""


def small(kind: Any = tf.LlamaForCausalLM, **changes: Any) -> Any:
    return build(kind, num_hidden_layers=3, **changes).float()


def adapted() -> Any:
    lora = peft.LoraConfig(r=3, target_modules=["q_proj", "up_proj"], task_type="CAUSAL_LM", init_lora_weights=False)
    return peft.get_peft_model(small(), lora)


MODELS = {
    "Llama": small,
    "Llama, checkpointed": small,
    "ALiBi": lambda: small(AlibiForCausalLM),
    "Gemma2": lambda: small(tf.Gemma2ForCausalLM, final_logit_softcapping=3.0, sliding_window=5),
    "an adapter": adapted,
}


@pytest.mark.slow
# of peft, which asks a model of newer transformers by an older name, and of torch's own tracing
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing. is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")
@pytest.mark.parametrize(("name", "share"), [*((name, True) for name in MODELS), ("Llama", False)])
def test_compiled_layers_give_the_same_losses_and_gradients(name: str, share: bool) -> None:
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    model = MODELS[name]()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    batches = [row_tensors(row) for row in rows_of(DRAWN, 24)]
    if not share:
        batches = [row_tensors(row) for drawn in DRAWN[:5] for row in rows_of([drawn], 64)]
        for batch in batches:
            del batch["attention_mask"], batch["position_ids"]
    found = {}
    for compiles in (False, True):
        with PreparedModel(model, share=share, compiles=compiles) as prepared:
            model.train()
            if "checkpointed" in name:
                checkpoint_activations(model, False)
            rounds = []
            for batch in batches:
                with prepared.compiled():
                    loss = prepared.row_loss(batch)
                    rounds.append((float(loss.detach()), gradients(model, loss)))
                assert not [each for each in model.modules() if "_compiled_call_impl" in vars(each)]
            found[compiles] = rounds
    # nothing like one for each layer, or for each length
    assert 0 < counters["stats"]["unique_graphs"] <= 12
    for (one, slopes), (other, wanted) in zip(found[True], found[False], strict=True):
        assert one == pytest.approx(other, rel=CLOSE)
        assert largest_gap(slopes, wanted)[0] < 100 * CLOSE
    assert list(model.state_dict()) == list(before)


def test_a_model_whose_layers_are_nowhere_to_be_found_is_refused() -> None:
    config = tf.XLMConfig(emb_dim=16, n_layers=1, n_heads=2, vocab_size=32, causal=True)
    with pytest.raises(TrainingError, match=r"train\.compile: XLMModel has no list of layers"):
        PreparedModel(tf.XLMWithLMHeadModel(config), share=False, compiles=True)


WITHOUT_COMPILER = """
import torch, transformers as tf
from groundtune.errors import TrainingError
from groundtune.prefix import PreparedModel
config = tf.LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2)
model = tf.LlamaForCausalLM(config).train()
one = torch.tensor([1])
batch = {"input_ids": torch.tensor([[5, 6, 7]]), "edge_sources": one, "edge_targets": one, "edge_weights": one.float()}
prepared = PreparedModel(model, share=False, compiles=True)
try:
    with prepared.compiled():
        prepared.row_loss(batch).backward()
except TrainingError as error:
    print(error)
prepared.row_loss(batch).backward()
"""


@pytest.mark.slow
def test_a_machine_without_a_compiler_is_told_so_in_a_sentence(tmp_path: Any) -> None:
    environment = os.environ | {"CXX": "/no/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_COMPILER], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    [said] = done.stdout.splitlines()
    assert said.startswith("train.compile: torch.compile failed on this model or machine (")
    assert said.endswith("; set train.compile to false")


@pytest.mark.slow
def test_what_attention_compiles_for_itself_is_compiled_inside_compiled_layers() -> None:
    """On CUDA that is FlexAttention, which would be dense without."""
    from torch._dynamo.testing import CompileCounter

    inner, outer = CompileCounter(), CompileCounter()
    own = torch.compile(lambda x: x * 2, backend=inner)
    outside = torch.compiler.disable(lambda x: own(x))
    torch.compile(lambda x: outside(x + 1) + 1, backend=outer)(torch.ones(3))
    assert inner.frame_count == 1
    assert outer.frame_count == 2
