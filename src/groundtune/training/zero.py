"""DeepSpeed: its file checked and completed, what it leaves in a process taken away again, and its parts put together.

Batches, clipping, learning rate and number format are ours, so that what is learnt is what it is without DeepSpeed; its
file says how weights, gradients and optimizer are spread over the processes, and what is kept in memory of the CPU.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import socket
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed, nn
from transformers import TrainingArguments
from transformers.integrations.deepspeed import unset_hf_deepspeed_config

from groundtune.config import ComputingConfig
from groundtune.errors import ConfigError

OURS = {
    "train_batch_size": "dataset and train.examples_per_step say what a step holds",
    "train_micro_batch_size_per_gpu": "train.max_pack_tokens says how much is computed at once",
    "gradient_accumulation_steps": "as many as train.max_pack_tokens makes",
    "gradient_clipping": "train.max_grad_norm says it",
}
"""What has to be left to us, and where it is said."""

FORMATS = ("fp16", "bf16", "amp", "torch_autocast")

TAKEN = {
    *OURS, *FORMATS[:2], "zero_optimization", "zero_allow_untested_optimizer", "zero_force_ds_cpu_optimizer",
    "activation_checkpointing", "aio", "checkpoint", "comms_logger", "communication_data_type", "dump_state",
    "flops_profiler", "gradient_predivide_factor", "memory_breakdown", "prescale_gradients", "steps_per_print",
    "wall_clock_breakdown",
}  # fmt: skip
"""Sections of its file that change where something lies and by which way it goes, and not what is learnt."""

ALONE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
"""What a launcher tells the only process of a training."""

STAGES = (1, 2, 3)
WHOLE_STAGE = 3
"""Of ZeRO, from which on weights lie in parts."""

LEFT_BEHIND = {
    "_external_params",
    "_original_parameters",
    "all_parameters",
    "applied_pre_backward_ref_cnt",
    "pre_bwd_fn",
    "post_bwd_fn",
}
"""Attributes of a module that lead from ZeRO-3's next engine into the one before it, besides those with its prefix."""


def read_settings(computing: ComputingConfig) -> dict[str, Any]:
    """DeepSpeed's settings, completed.

    Raises:
        ConfigError: the file is missing or no JSON, or asks for what is ours to say, or DeepSpeed is not installed.
    """
    assert computing.deepspeed is not None, "asked for where it is given"
    name = f"train.deepspeed: {computing.deepspeed}"
    try:
        text = computing.deepspeed_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"{name} cannot be read ({reason}); expected DeepSpeed's JSON file") from error
    try:
        settings = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{computing.deepspeed}:{error.lineno}: no JSON ({error.msg}); expected DeepSpeed's settings"
        ) from error
    if not isinstance(settings, dict):
        raise ConfigError(f"{name} holds no object; expected DeepSpeed's settings")
    _check(settings, name)
    if importlib.util.find_spec("deepspeed") is None:
        raise ConfigError("train.deepspeed needs DeepSpeed, which is not installed; pip install deepspeed")
    return {**settings, **dict.fromkeys(OURS, "auto")}


def _check(settings: dict[str, Any], name: str) -> None:
    for key, where in OURS.items():
        if settings.get(key, "auto") != "auto":
            raise ConfigError(f'{name}: {key} is {settings[key]!r}; write "auto" ({where})')
    for key in FORMATS:
        section = settings.get(key, {})
        if isinstance(section, dict) and section.get("enabled", False) not in (False, "auto"):
            raise ConfigError(
                f'{name}: {key}.enabled is {section["enabled"]!r}; write "auto": weights stay float32, and train.precision says in '
                "which format products are computed"
            )
    for key in ("optimizer", "scheduler"):
        if key in settings:
            raise ConfigError(
                f"{name}: {key} is not taken; take it out: it is AdamW with train.learning_rate, weight_decay and schedule"
            )
    for key in settings:
        if key not in TAKEN:
            raise ConfigError(f"{name}: {key} is not taken; take it out, or train without DeepSpeed")
    zero = settings.get("zero_optimization")
    if not isinstance(zero, dict) or zero.get("stage") not in STAGES or isinstance(zero["stage"], bool):
        raise ConfigError(
            f"{name}: expected zero_optimization with a stage of 1, 2 or 3 (0 spreads nothing: take train.deepspeed out then)"
        )


def stage_of(computing: ComputingConfig) -> int:
    """Of ZeRO. Raises `ConfigError` as `read_settings` does."""
    return int(read_settings(computing)["zero_optimization"]["stage"])


@contextmanager
def deepspeed_process(computing: ComputingConfig) -> Iterator[None]:
    """Inside the block DeepSpeed finds what it looks for in a process, which may be the only one; what it changes there is put
    back."""
    if computing.deepspeed is None:
        yield
        return
    alone = "LOCAL_RANK" not in os.environ and int(os.environ.get("WORLD_SIZE", "1")) <= 1
    on_cpu = computing.device == "cpu" or not torch.cuda.is_available()
    before = {
        name: os.environ.get(name) for name in (*ALONE, "MASTER_PORT", "DS_ACCELERATOR", "ACCELERATE_USE_DEEPSPEED")
    }
    if alone:
        os.environ |= {**ALONE, "MASTER_PORT": str(_free_port())}
    if on_cpu:
        os.environ["DS_ACCELERATOR"] = "cpu"
    try:
        with warnings.catch_warnings():
            # of torch, about calls of DeepSpeed's
            warnings.simplefilter("ignore", FutureWarning)
            _begin(on_cpu)
            yield
    finally:
        # else models would be loaded in parts from here on, and every training be DeepSpeed's
        unset_hf_deepspeed_config()
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if alone and distributed.is_initialized():
            distributed.destroy_process_group()


def _begin(on_cpu: bool) -> None:
    groups: Any = importlib.import_module("deepspeed.utils.groups")
    if on_cpu:
        # of its compiled operations a training on a CPU needs none. It would compile an all-reduce for inference, over a minute,
        # and whoever is killed meanwhile leaves a lock that everybody waits for ever after; and look for others with a linker
        _deepspeed().ops.__compatible_ops__ = defaultdict(bool)
    # groups of a training before this one are gone, and newer versions would go on using them
    release = getattr(groups, "_release_process_group_references", None)
    if release is not None and not distributed.is_initialized():
        release()


def _deepspeed() -> Any:
    """The library, which need not be installed."""
    return importlib.import_module("deepspeed")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def tell_precision(arguments: TrainingArguments, *, bfloat16: bool) -> None:
    """DeepSpeed switches a caller's autocast off where its settings do not ask for one too."""
    settings = getattr(arguments, "hf_deepspeed_config", None)
    if settings is not None and bfloat16:
        # no modules: gradients go between processes as they are
        settings.config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16", "lower_precision_safe_modules": []}


def in_parts(model: nn.Module) -> bool:
    """Whether DeepSpeed holds weights of `model` in parts."""
    return any(_is_part(each) for each in model.parameters())


def _is_part(tensor: torch.Tensor) -> bool:
    return hasattr(tensor, "ds_id")


def whole_state(model: nn.Module, *, wanted: bool) -> dict[str, torch.Tensor]:
    """The state of a model that lies in parts, on the CPU; empty where it is not `wanted`. All processes have to call it."""
    state: dict[str, torch.Tensor] = {}
    found: dict[int, torch.Tensor] = {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) not in found:
            with _gathered(tensor):
                found[id(tensor)] = tensor.detach().to("cpu", copy=True) if wanted else torch.empty(0)
        state[name] = found[id(tensor)]
    return state if wanted else {}


@contextmanager
def _gathered(tensor: torch.Tensor) -> Iterator[None]:
    if not _is_part(tensor):
        yield
        return
    with _deepspeed().zero.GatheredParameters([tensor]):
        yield


def leave_engine(engine: Any, model: nn.Module) -> None:
    """Take DeepSpeed out of a model that was trained; every process holds it whole afterwards, and has to call this."""
    engine.destroy()
    engine.module_forward_pre_hook.remove()
    engine.module_forward_post_hook.remove()
    if not in_parts(model):
        return
    whole: dict[int, nn.Parameter] = {}
    for module in model.modules():
        own = {}
        for name, each in module._parameters.items():
            if each is not None and id(each) not in whole:
                with _gathered(each):
                    whole[id(each)] = nn.Parameter(each.detach().to("cpu", copy=True), each.requires_grad)
            own[name] = each if each is None else whole[id(each)]
        module._parameters = own
        for name in [each for each in module.__dict__ if each in LEFT_BEHIND or each.startswith("ds_")]:
            del module.__dict__[name]
