"""What LLaMA-Factory's keys mean in native settings: model and training. Its defaults are written out where they differ.

The defaults are those of LLaMA-Factory 0.9.5 and of transformers' TrainingArguments. What this module does not do: read
a file (:mod:`groundtune.config.reading`), or map data keys (:mod:`groundtune.config.llamafactory.datasets`).
"""

from __future__ import annotations

import json
import math
import os
import re
from pathlib import Path
from typing import Any

from groundtune.config.learning import ComputingConfig
from groundtune.config.llamafactory.converting import Converting

STAGES = ("sft", "pt", "dpo")
LATER_STAGES = {"kto": "tuning on unpaired preferences", "rm": "training of reward models", "ppo": "PPO"}
PREFERENCE_LOSSES = ("sigmoid", "hinge", "ipo", "orpo", "simpo")
PREFERENCE_KEYS = (
    "pref_beta", "pref_ftx", "pref_bco_weight", "pref_loss", "dpo_label_smoothing", "simpo_gamma", "ref_model",
    "ref_model_adapters", "ld_alpha",
)  # fmt: skip
ADAPTER_KEYS = (
    "lora_rank", "lora_alpha", "lora_dropout", "lora_target", "use_rslora", "use_dora", "additional_target",
    "quantization_method", "quantization_type", "double_quantization",
)  # fmt: skip
BUILTIN_TEMPLATES = ("llama3", "chatml", "mistral", "gemma", "alpaca", "plain")
"""Names of groundtune's own templates, for tokenizers without one."""
LOGGERS = ("tensorboard", "wandb", "mlflow", "none")
SCHEDULES = ("linear", "cosine", "constant", "constant_with_warmup", "cosine_with_min_lr", "cosine_warmup_with_min_lr")


def map_method(work: Converting) -> None:
    """`stage` and `finetuning_type`, and the adapter's settings."""
    stage = work.text("stage", "sft")
    if stage in LATER_STAGES:
        work.problem("stage", f"stage is {stage!r}; {LATER_STAGES[stage]} is not there yet (there are sft, pt and dpo)")
    elif stage not in STAGES:
        work.problem("stage", f"stage is {stage!r}; expected sft, pt or dpo")
    if stage == "dpo":
        _map_preference(work)
    else:
        _pass_over_preference(work)
    method = work.text("finetuning_type", "lora")
    if method == "freeze":
        work.problem(
            "finetuning_type",
            "finetuning_type is 'freeze', which names what is trained; train.freeze of a native file names what is not, and "
            "`groundtune config convert` writes such a file from one with finetuning_type: full",
        )
    elif method == "oft":
        work.problem("finetuning_type", "finetuning_type is 'oft', which is not there yet (there are lora and full)")
    elif method not in ("lora", "full"):
        work.problem("finetuning_type", f"finetuning_type is {method!r}; expected lora or full")
    if method == "lora":
        _map_adapter(work)
        return
    work.set("train.adapter", None, "finetuning_type")
    if work.has("quantization_bit"):
        work.problem(
            "quantization_bit", "quantization_bit is for finetuning_type lora: weights in 4 bits cannot be trained"
        )
    for key in ADAPTER_KEYS:
        if work.has(key):
            work.note(key, "it is used with finetuning_type lora alone")


def _map_preference(work: Converting) -> None:
    """LLaMA-Factory's losses over the same sums; its ``ipo``, ``simpo`` and ``orpo`` are means over tokens, as here."""
    loss = work.text("pref_loss", "sigmoid")
    if loss not in PREFERENCE_LOSSES:
        work.problem("pref_loss", f"pref_loss is {loss!r}; there are {', '.join(PREFERENCE_LOSSES)}")
        loss = "sigmoid"
    work.set("train.preference.loss", loss, "pref_loss")
    work.set("train.preference.beta", work.number("pref_beta", 0.1), "pref_beta")
    work.set("train.preference.label_smoothing", work.number("dpo_label_smoothing", 0.0), "dpo_label_smoothing")
    work.set("train.preference.sft_weight", work.number("pref_ftx", 0.0), "pref_ftx")
    work.set("train.preference.margin", work.number("simpo_gamma", 0.5), "simpo_gamma")
    if work.number("pref_bco_weight", 0.0):
        work.problem("pref_bco_weight", "pref_bco_weight has no counterpart; take the key out to go without")
    if work.number("ld_alpha", 1.0) != 1.0:
        work.problem("ld_alpha", "ld_alpha has no counterpart; take the key out to go without")
    for key in ("ref_model", "ref_model_adapters"):
        if work.has(key):
            work.problem(key, f"{key}: the reference is the model as it is before training; take the key out")


def _pass_over_preference(work: Converting) -> None:
    for key in PREFERENCE_KEYS:
        if not work.has(key):
            continue
        # read all the same, so that nonsense is told
        if key in ("pref_loss", "ref_model", "ref_model_adapters"):
            work.text(key)
        else:
            work.number(key, 0.0)
        work.note(key, "it is used in preference tuning (stage dpo) alone")


def _map_adapter(work: Converting) -> None:
    rank = work.whole("lora_rank", 8)
    # zero is no scale for LLaMA-Factory either: it takes twice the rank for it
    alpha = work.number("lora_alpha", 0) or 2.0 * rank
    work.set("train.adapter.rank", rank, "lora_rank")
    work.set("train.adapter.alpha", alpha, "lora_alpha")
    work.set("train.adapter.rslora", work.flag("use_rslora"), "use_rslora")
    work.set("train.adapter.dora", work.flag("use_dora"), "use_dora")
    work.set("train.adapter.dropout", work.number("lora_dropout", 0.0), "lora_dropout")
    work.set("train.adapter.targets", list(work.words("lora_target") or ("all",)), "lora_target")
    work.set("train.adapter.modules_to_save", list(work.words("additional_target")), "additional_target")
    _map_quantisation(work)


def _map_quantisation(work: Converting) -> None:
    """4 bits by bitsandbytes; the other methods are of models that come quantised."""
    bits = work.whole("quantization_bit", 0)
    method = work.text("quantization_method", "bnb")
    kind = work.choice("quantization_type", "nf4", ("nf4", "fp4"))
    double = work.flag("double_quantization", True)
    if not bits:
        for key in ("quantization_method", "quantization_type", "double_quantization"):
            if work.has(key):
                work.note(key, "it is used with quantization_bit alone")
        work.set("train.adapter.quantise", None, "quantization_bit")
        return
    if bits != 4:
        work.problem("quantization_bit", f"quantization_bit is {bits}; there is 4")
    if method not in ("bnb", "bitsandbytes"):
        work.problem("quantization_method", f"quantization_method is {method!r}; there is bnb")
    work.set("train.adapter.quantise", kind, "quantization_bit", "quantization_type")
    work.set("train.adapter.double_quantise", double, "double_quantization")


def map_objective(work: Converting) -> None:
    """What the loss is besides that of the next token."""
    work.set("train.label_smoothing", work.number("label_smoothing_factor", 0.0), "label_smoothing_factor")
    work.set("train.neftune_alpha", work.number("neftune_noise_alpha", 0.0), "neftune_noise_alpha")
    if work.has("neftune_noise_alpha"):
        work.note(
            "neftune_noise_alpha",
            "the noise goes by each example's own length, where transformers' goes by the padded length of the batch",
        )


def map_model(work: Converting) -> None:
    """`model_name_or_path` and `template`."""
    if not work.has("model_name_or_path"):
        work.problem("model_name_or_path", "model_name_or_path is missing; name the model to train")
        return
    name = work.text("model_name_or_path")
    folder = Path.cwd() / Path(name).expanduser()
    local = folder.is_dir() or name.startswith((".", "/", "~"))
    work.set("model.path", _folder_not_id(place(work, name)) if local else name, "model_name_or_path")
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


def place(work: Converting, path: str) -> str:
    """A path of LLaMA-Factory, which starts from the current folder, as one that starts from the configuration's."""
    if Path(path).expanduser().is_absolute():
        return path
    return Path(os.path.relpath(Path.cwd() / path, work.folder)).as_posix()


def map_run(work: Converting) -> None:
    """Where the run is written, under which name, and what is logged and stored."""
    work.set("seed", work.whole("seed", 42), "seed")
    if work.has("output_dir"):
        work.set("workdir", place(work, work.text("output_dir")), "output_dir")
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


def map_steps(work: Converting) -> None:
    """How long and in which steps: epochs, examples in a step, learning rate and its schedule."""
    epochs = work.number("num_train_epochs", 3.0)
    max_steps = work.whole("max_steps", -1)
    if epochs <= 0 and max_steps <= 0:
        work.problem("num_train_epochs", f"num_train_epochs is {epochs:g}; expected a number above 0")
    elif epochs != int(epochs) and max_steps <= 0:
        work.problem(
            "num_train_epochs",
            f"num_train_epochs is {epochs:g}; epochs are whole here: set max_steps for a part of one",
        )
    work.set("train.epochs", max(1, math.ceil(epochs)), "num_train_epochs")
    work.set("train.max_steps", max(0, max_steps), "max_steps")
    examples = rows_of_a_step(work)
    why = f"and {work.processes} processes" if work.processes > 1 else ""
    work.set("train.examples_per_step", examples, "per_device_train_batch_size", "gradient_accumulation_steps", why=why)
    if work.processes == 1:
        work.note(
            "per_device_train_batch_size",
            f"a step is {examples} examples, as on one GPU; LLaMA-Factory's grows with the GPUs, so on several of them "
            f"set train.examples_per_step to {examples} times their number",
        )
    work.set("train.learning_rate", work.number("learning_rate", 5e-5), "learning_rate")
    _map_schedule(work)
    work.set("train.weight_decay", work.number("weight_decay", 0.0), "weight_decay")
    norm = work.number("max_grad_norm", 1.0)
    if norm == 0:
        work.problem(
            "max_grad_norm", "max_grad_norm is 0, which stands for no limit; write a large number such as 1.0e+9"
        )
    work.set("train.max_grad_norm", norm or 1.0, "max_grad_norm")


def rows_of_a_step(work: Converting) -> int:
    """What LLaMA-Factory puts into one optimizer step: examples, or packs of them."""
    return work.whole("per_device_train_batch_size", 8) * work.whole("gradient_accumulation_steps", 1) * work.processes


def _map_schedule(work: Converting) -> None:
    name = work.text("lr_scheduler_type", "linear")
    if name not in SCHEDULES:
        work.problem("lr_scheduler_type", f"lr_scheduler_type is {name!r}; there are {', '.join(SCHEDULES)}")
        name = "linear"
    work.set("train.schedule", name.split("_")[0], "lr_scheduler_type")
    work.set("train.final_lr_share", _final_share(work, name), "lr_scheduler_type", "lr_scheduler_kwargs")
    if name == "constant":
        work.set("train.warmup_share", 0.0, "lr_scheduler_type", why="it has no warm-up")
        for key in ("warmup_steps", "warmup_ratio"):
            if work.has(key):
                work.note(key, "lr_scheduler_type constant has no warm-up; constant_with_warmup has")
        return
    # a number below one is a share of all steps under either name, and warmup_ratio goes before warmup_steps
    key = "warmup_ratio" if work.has("warmup_ratio") else "warmup_steps"
    warmup = work.number(key, 0.0)
    if warmup >= 1:
        work.set("train.warmup_steps", int(warmup), key)
    else:
        work.set("train.warmup_share", warmup, key)


def _final_share(work: Converting, schedule: str) -> float:
    """What `lr_scheduler_kwargs` say of the learning rate's end; 0 when they do not."""
    given: Any = work.values.get("lr_scheduler_kwargs") or {}
    if isinstance(given, str):
        try:
            given = json.loads(given)
        except ValueError:
            given = None
    if not isinstance(given, dict):
        work.problem("lr_scheduler_kwargs", "lr_scheduler_kwargs: expected keys and values")
        return 0.0
    known = {"min_lr", "min_lr_rate"} if "min_lr" in schedule else set()
    for key, value in given.items():
        if key not in known and not (key == "num_cycles" and value == 0.5):
            work.problem(
                "lr_scheduler_kwargs", f"lr_scheduler_kwargs.{key} has no counterpart with {schedule}; take it out"
            )
    rate = given.get("min_lr_rate")
    if rate is None and given.get("min_lr") is not None:
        rate = float(given["min_lr"]) / work.number("learning_rate", 5e-5)
    return float(rate or 0.0) if known else 0.0


FSDP_WORDS = frozenset({"full_shard", "auto_wrap"})
"""Of `fsdp`: what FSDP2 does in any case."""


def _map_fsdp(work: Converting) -> None:
    wanted = work.values.get("fsdp")
    words = ["full_shard"] if wanted is True else [] if wanted is False else list(work.words("fsdp"))
    words = [word for each in words for word in each.split()]
    settings = work.values.get("fsdp_config") or {}
    if not isinstance(settings, dict):
        work.problem("fsdp_config", f"fsdp_config is {settings!r}; write its keys and values here")
        settings = {}
    if not words:
        if settings:
            work.problem(
                "fsdp_config",
                "fsdp_config is used with fsdp alone; set fsdp: full_shard auto_wrap, or take the key out",
            )
        return
    for word in words:
        if word not in FSDP_WORDS:
            work.problem("fsdp", f"fsdp names {word!r}; there are {' and '.join(sorted(FSDP_WORDS))}")
    work.set("train.fsdp", dict(settings), "fsdp", "fsdp_config")


def map_computing(work: Converting) -> None:
    """Precision and memory."""
    if work.has("deepspeed"):
        if not isinstance(work.values["deepspeed"], str):
            work.problem("deepspeed", f"deepspeed is {work.values['deepspeed']!r}; expected the path of its settings")
        else:
            work.set("train.deepspeed", place(work, work.text("deepspeed")), "deepspeed")
    _map_fsdp(work)
    on_cpu = [key for key in ("use_cpu", "no_cuda") if work.flag(key)]
    work.set("train.device", "cpu" if on_cpu else "auto", *(on_cpu or ("use_cpu",)))
    work.set("train.precision", "bfloat16" if work.flag("bf16") else "float32", "bf16")
    # LLaMA-Factory switches it on unless told not to
    kept = work.flag("gradient_checkpointing", True) and not work.flag("disable_gradient_checkpointing")
    work.set("train.gradient_checkpointing", kept, "gradient_checkpointing", "disable_gradient_checkpointing")
    usual = ComputingConfig().max_pack_tokens
    longest = work.whole("cutoff_len", 2048)
    # as much as its batch holds at most, but not more than usual: its batches are seldom full of long rows
    tokens = max(longest, min(usual, longest * work.whole("per_device_train_batch_size", 8)))
    work.set(
        "train.max_pack_tokens",
        max(64, tokens),
        "per_device_train_batch_size",
        "cutoff_len",
        why="changes memory and time alone",
    )
