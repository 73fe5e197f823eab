import importlib.util
import sys

import pytest

from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, quiet_transformers, train_tokenizer
from groundtune.training import Tokenised, fine_tune
from groundtune.training.reporting import check_reporters

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)
TRAIN = [Tokenised(tuple(range(20 + place, 28 + place)), (False, *(True,) * 7)) for place in range(12)]


def run(tmp_path, **changes):
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(tmp_path / "base")
    config = TrainConfig(epochs=2, examples_per_step=4, threads=1, **changes)
    return fine_tune(
        TRAIN,
        TRAIN[:2],
        base=tmp_path / "base",
        tokenizer=TOKENIZER,
        config=config,
        seed=7,
        run_folder=tmp_path / "run",
    )


def curves(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return {name: [event.step for event in events.Scalars(name)] for name in events.Tags()["scalars"]}


def test_tensorboard_draws_what_is_noted_and_every_validation(tmp_path) -> None:
    run(tmp_path, eval_steps=2, log_steps=2)
    noted = [2, 4, 6]
    assert curves(tmp_path / "run" / "tensorboard") == {
        "train_loss": noted, "learning_rate": noted, "grad_norm": noted, "valid_loss": [0, 2, 3, 4, 6],
        "supervised_tokens": noted, "computed_tokens": noted, "tokens_per_second": noted,
        "unique_tokens_per_second": noted, "memory_gib": noted, "peak_memory_gib": noted,
    }  # fmt: skip


def test_nothing_is_drawn_where_nothing_is_wanted(tmp_path) -> None:
    run(tmp_path, report_to=("none",))
    assert not (tmp_path / "run" / "tensorboard").exists()


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
@pytest.mark.skipif(
    any(importlib.util.find_spec(name) for name in ("wandb", "mlflow")), reason="the packages are installed"
)
def test_a_package_that_is_not_installed_is_one_sentence_before_any_work(tmp_path, name) -> None:
    with pytest.raises(TrainingError, match=f"names {name}, which is not installed; run `pip install {name}`"):
        run(tmp_path, report_to=("tensorboard", name))
    assert not (tmp_path / "run").exists()


def test_none_beside_others_is_refused() -> None:
    with pytest.raises(TrainingError, match="take out either none or the others"):
        check_reporters(("none", "tensorboard"))


MLFLOW = """
__version__ = "3.0.0"
calls = []
class Run:
    class info:
        run_id = "1"
class utils:
    class validation:
        MAX_PARAM_VAL_LENGTH, MAX_PARAMS_TAGS_PER_BATCH = 250, 100
def active_run(): return Run if ("start",) in calls else None
def start_run(**_): calls.append(("start",))
def log_metrics(metrics, step, **_): calls.append(("metrics", step, metrics))
def end_run(): calls.append(("end",))
def log_params(*_, **__): pass
def set_tracking_uri(_): pass
def get_tracking_uri(): return ""
def is_tracking_uri_set(): return True
"""


def test_a_package_that_is_installed_gets_losses_and_validations(tmp_path, monkeypatch) -> None:
    """Through transformers' own callback, to a stand-in that notes its calls: the package is large, and optional."""
    (tmp_path / "site" / "mlflow").mkdir(parents=True)
    (tmp_path / "site" / "mlflow" / "__init__.py").write_text(MLFLOW)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr("transformers.integrations.integration_utils.is_mlflow_available", lambda: True)
    try:
        run(tmp_path, report_to=("mlflow",))
    finally:
        stand_in = sys.modules.pop("mlflow", None)
    metrics = [(call[1], sorted(call[2])) for call in stand_in.calls if call[0] == "metrics"]
    assert [step for step, names in metrics if any("eval_loss" in name for name in names)] == [0, 3, 6]
    assert [step for step, names in metrics if "grad_norm" in " ".join(names)] == [1, 2, 3, 4, 5, 6]
    assert not (tmp_path / "run" / "tensorboard").exists()
