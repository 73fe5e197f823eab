"""What LLaMA-Factory's keys mean in native settings: on what, in which precision and in how much memory is computed."""

from __future__ import annotations

from groundtune.config.learning import ComputingConfig
from groundtune.config.llamafactory.converting import Converting

FSDP_WORDS = frozenset({"full_shard", "auto_wrap"})
"""Of `fsdp`: what FSDP2 does in any case."""


def map_computing(work: Converting) -> None:
    """Precision and memory."""
    if work.has("deepspeed"):
        if not isinstance(work.values["deepspeed"], str):
            work.problem("deepspeed", f"deepspeed is {work.values['deepspeed']!r}; expected the path of its settings")
        else:
            work.set("train.deepspeed", work.place(work.text("deepspeed")), "deepspeed")
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
