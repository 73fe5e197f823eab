"""What of DeepSpeed's settings is taken, and that a training with it is one without."""

import importlib.util
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from groundtune.config import ComputingConfig
from groundtune.errors import ConfigError
from groundtune.training.distribution import check_computing, unspread_note
from groundtune.training.processes import Processes
from groundtune.training.zero import OURS, read_settings

INSTALLED = importlib.util.find_spec("deepspeed") is not None

ZERO = {"zero_optimization": {"stage": 2}}


def settings_of(folder, text):
    path = folder / "zero.json"
    path.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return ComputingConfig(deepspeed=str(path))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("{\n  'stage': 2}", r"zero\.json:2: no JSON"),
        ("[]", "holds no object"),
        ({}, "expected zero_optimization with a stage of 1, 2 or 3"),
        ({"zero_optimization": {"stage": 0}}, "0 spreads nothing"),
        (ZERO | {"train_batch_size": 16}, r'train_batch_size is 16; write "auto" .*examples_per_step'),
        (ZERO | {"train_micro_batch_size_per_gpu": 2}, r'write "auto" .*max_pack_tokens'),
        (ZERO | {"gradient_accumulation_steps": 4}, r'gradient_accumulation_steps is 4; write "auto"'),
        (ZERO | {"gradient_clipping": 0.5}, "train.max_grad_norm says it"),
        (ZERO | {"fp16": {"enabled": True}}, "fp16.enabled is True.*weights stay float32"),
        (ZERO | {"bf16": {"enabled": True}}, "bf16.enabled is True.*train.precision"),
        (ZERO | {"optimizer": {"type": "Lamb"}}, "optimizer is not taken"),
        (ZERO | {"tensor_parallel": {"autotp_size": 2}}, "tensor_parallel is not taken"),
    ],
)
def test_settings_that_are_ours_to_say_are_refused_before_any_work(settings, told, tmp_path):
    with pytest.raises(ConfigError, match=told):
        check_computing(settings_of(tmp_path, settings))


@pytest.mark.skipif(INSTALLED, reason="DeepSpeed is installed")
def test_without_deepspeed_its_good_settings_say_what_to_install(tmp_path):
    with pytest.raises(ConfigError, match="pip install deepspeed"):
        check_computing(settings_of(tmp_path, ZERO | dict.fromkeys(OURS, "auto")))


@pytest.mark.skipif(not INSTALLED, reason="DeepSpeed is not installed")
def test_what_the_file_leaves_out_is_filled_from_ours(tmp_path):
    given = ZERO | {"fp16": {"enabled": "auto"}, "bf16": {"enabled": False}, "steps_per_print": 10}
    assert read_settings(settings_of(tmp_path, given)) == given | dict.fromkeys(OURS, "auto")


def test_one_process_is_told_that_nothing_was_spread(tmp_path):
    [note] = unspread_note(settings_of(tmp_path, ZERO), Processes(1, 0, torch.device("cpu")))
    assert "spread nothing" in note


SPREAD = """
import sys
from pathlib import Path
import torch
sys.path.insert(0, {here!r})
from groundtune.training.watching import RunWatcher
from groundtune.training.zero import in_parts
from test_laws import EXAMPLES
from test_zero import small_model, train_two_epochs

folder = Path({folder!r})
model = small_model(tied={tied})
seen = []

def keep():
    # on the first process, in the middle of the training
    seen.append(in_parts(model))
    torch.save(dict(model.state_dict()), folder / "kept.pt")

class Interrupted(Exception):
    pass

before = RunWatcher.on_step_end
def stop(self, args, state, control, **rest):
    if state.global_step == 6:
        raise Interrupted
    return before(self, args, state, control, **rest)

RunWatcher.on_step_end = stop
try:
    train_two_epochs(model, folder, keep, deepspeed={file!r})
except Interrupted:
    pass
RunWatcher.on_step_end = before
model = small_model(tied={tied})
record, processes = train_two_epochs(model, folder, keep, deepspeed={file!r})
assert record.resumed_from_step == 4, record
assert processes.count == {count} and processes.spread == ({count} > 1)
assert seen == ([{stage} == 3] * len(seen) if processes.first else [])
assert not in_parts(model)
if processes.first:
    torch.save(model.state_dict(), folder / "final.pt")
# one training after another in the same process, as rounds of pretraining are
train_two_epochs(model, folder / "again", lambda: None, deepspeed={file!r})
if torch.distributed.is_initialized():
    torch.distributed.destroy_process_group()
"""


def small_model(*, tied):
    # in float32: DeepSpeed's own copies of the weights are
    laws = runpy.run_path(str(Path(__file__).parent / "test_laws.py"))
    model = laws["model_of_doubles"](tie_word_embeddings=tied)
    assert isinstance(model, LlamaForCausalLM)
    return model.float()


def train_two_epochs(model, folder, keep, **computing):
    laws = runpy.run_path(str(Path(__file__).parent / "test_laws.py"))
    plan = laws["Plan"](
        label="law", config=laws["OptimizerConfig"](learning_rate=3e-3), epochs=2, examples_per_step=8, sharing="tree",
        computing=ComputingConfig(threads=1, max_pack_tokens=64, **computing), probe=True, seed=11, folder=folder,
        checkpoint_seconds=1e9,
    )  # fmt: skip
    return laws["run_training"](plan, model, laws["EXAMPLES"], laws["EXAMPLES"][:5], keep)


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="DeepSpeed is not installed")
@pytest.mark.parametrize(("stage", "count", "tied"), [(1, 2, True), (2, 2, False), (3, 2, True), (3, 1, False)])
def test_a_training_by_deepspeed_takes_the_steps_of_one_without_and_goes_on_after_a_stop(stage, count, tied, tmp_path):
    laws = runpy.run_path(str(Path(__file__).parent / "test_laws.py"))
    model = small_model(tied=tied)
    train_two_epochs(model, tmp_path / "one", lambda: None)
    # by default small weights are not spread
    zero = {"stage": stage, **({"stage3_param_persistence_threshold": 0} if stage == 3 else {})}
    file = tmp_path / "zero.json"
    file.write_text(json.dumps({"zero_optimization": zero, "bf16": {"enabled": "auto"}}), encoding="utf-8")
    spread = tmp_path / "spread"
    spread.mkdir()
    script = SPREAD.format(
        here=str(Path(__file__).parent), folder=str(spread), file=str(file), stage=stage, count=count, tied=tied
    )
    if count == 2:
        laws["on_two_processes"](script)
    else:
        subprocess.run([sys.executable, "-c", script], check=True, timeout=200)
    for name in ("final.pt", "kept.pt"):
        weights = torch.load(spread / name, weights_only=True)
        laws["assert_same"](
            laws["losses"](spread), laws["losses"](tmp_path / "one"), weights, model.state_dict(), within=1e-3
        )
