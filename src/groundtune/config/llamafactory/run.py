"""What LLaMA-Factory's keys mean in native settings: which model, and what is written of its run.

The defaults are those of LLaMA-Factory 0.9.5 and of transformers' TrainingArguments.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from groundtune.config.llamafactory.converting import Converting

BUILTIN_TEMPLATES = ("llama3", "chatml", "mistral", "gemma", "alpaca", "plain")
"""Names of groundtune's own templates, for tokenizers without one."""
LOGGERS = ("tensorboard", "wandb", "mlflow", "none")


def map_model(work: Converting) -> None:
    """`model_name_or_path` and `template`."""
    if not work.has("model_name_or_path"):
        work.problem("model_name_or_path", "model_name_or_path is missing; name the model to train")
        return
    name = work.text("model_name_or_path")
    folder = Path.cwd() / Path(name).expanduser()
    local = folder.is_dir() or name.startswith((".", "/", "~"))
    work.set("model.path", _folder_not_id(work.place(name)) if local else name, "model_name_or_path")
    template = work.text("template")
    builtin = template if template in BUILTIN_TEMPLATES else None
    needed = builtin if builtin and _has_no_template(folder) else None
    work.set("model.chat_template", needed, "template")
    if needed:
        work.note("template", f"the tokenizer in {name} has no chat template; groundtune's {needed} is used")
    elif builtin:
        work.note(
            "template",
            f"the tokenizer's own chat template is used; if it has none, set model.chat_template: {builtin}",
        )
    elif template:
        work.note("template", "the tokenizer's own chat template is used, not LLaMA-Factory's copy of it")


def _folder_not_id(path: str) -> str:
    """``models/small`` could be an id of the hub; ``./models/small`` cannot."""
    return path if path.startswith((".", "/", "~")) else f"./{path}"


def _has_no_template(folder: Path) -> bool:
    """Whether a model folder on this machine has a tokenizer without a chat template."""
    settings = folder / "tokenizer_config.json"
    if not settings.is_file() or (folder / "chat_template.jinja").exists() or (folder / "chat_template.json").exists():
        return False
    try:
        found = json.loads(settings.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and not found.get("chat_template")


def map_run(work: Converting) -> None:
    """Where the run is written, under which name, and what is logged and stored."""
    work.set("seed", work.whole("seed", 42), "seed")
    if work.has("output_dir"):
        work.set("workdir", work.place(work.text("output_dir")), "output_dir")
    if work.has("run_name"):
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", work.text("run_name")).strip("-._") or "default"
        work.set("train.name", name, "run_name")
    _map_reporting(work)
    work.set("train.log_steps", _steps(work, "logging_steps", 500), "logging_steps")
    _map_checkpoints(work)
    _map_validation(work)


def _map_reporting(work: Converting) -> None:
    loggers = work.words("report_to") or ("none",)
    for name in loggers:
        if name not in LOGGERS:
            work.problem("report_to", f"report_to names {name!r}; there are {', '.join(LOGGERS)}")
            return
    work.set("train.report_to", list(loggers), "report_to")


def _steps(work: Converting, key: str, default: int) -> int:
    steps = work.number(key, default)
    if 0 < steps < 1:
        work.problem(key, f"{key} is {work.values[key]!r}, a share of the run; expected a number of steps")
        return default
    return work.whole(key, default)


def _map_checkpoints(work: Converting) -> None:
    strategy = work.choice("save_strategy", "steps", ("steps", "no", "epoch", "best"))
    steps = _steps(work, "save_steps", 500)
    work.set("train.save_steps", steps if strategy == "steps" else 0, "save_strategy", "save_steps")
    if strategy != "steps":
        work.note("save_strategy", "a checkpoint is written after each epoch and by time in any case")
    if work.has("save_total_limit"):
        work.set("train.keep_checkpoints", work.whole("save_total_limit", 1), "save_total_limit")
        return
    work.set("train.keep_checkpoints", 1, why="LLaMA-Factory keeps all")
    if strategy == "steps":
        work.note(
            "save_steps",
            "the newest checkpoint is kept, where LLaMA-Factory keeps all; set train.keep_checkpoints to keep more",
        )


def _map_validation(work: Converting) -> None:
    strategy = work.choice("eval_strategy", "no", ("no", "steps", "epoch"))
    steps = _steps(work, "eval_steps", _steps(work, "logging_steps", 500))
    work.set("train.eval_steps", steps if strategy == "steps" else 0, "eval_strategy", "eval_steps")
    best = work.flag("load_best_model_at_end")
    if best and strategy == "no":
        work.problem("load_best_model_at_end", "load_best_model_at_end needs eval_strategy: steps or epoch")
    metric = work.text("metric_for_best_model", "loss")
    if best and metric not in ("loss", "eval_loss"):
        work.problem(
            "metric_for_best_model", f"metric_for_best_model is {metric!r}; the validation loss is what is compared"
        )
    work.set("train.keep", "best" if best else "last", "load_best_model_at_end")
    patience = work.whole("early_stopping_steps", 0)
    if patience and not best:
        work.problem(
            "early_stopping_steps", "early_stopping_steps needs load_best_model_at_end: true and eval_strategy"
        )
    work.set("train.early_stopping_patience", patience, "early_stopping_steps")
