"""Keys of LLaMA-Factory that have no counterpart: why, what to do, and the values that ask for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OFF: tuple[Any, ...] = (None, False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a key cannot be followed, and the values it may have because they ask for nothing."""

    reason: str
    neutral: tuple[Any, ...] = OFF
    secret: bool = False
    """Whether the value must not be repeated."""


_AFTER = "take the key out to go without"
_ADAMW = f"the optimizer is AdamW with its usual betas; {_AFTER}"
_MULTIMODAL = f"training on images, video or sound is not there yet; {_AFTER}"
_TOKENS = f"the tokenizer is used as it is; {_AFTER}, or add the tokens to the model's folder first"
_VARIANT = f"this variant of LoRA is not there yet; {_AFTER}"
_SECRET = "keys are read from the environment alone; set HF_TOKEN there and take the key out of the file"
_SHARDING = f"a model is sharded by fsdp or deepspeed alone; {_AFTER}"

REFUSED: Mapping[str, Refusal] = {
    "quantization_device_map": Refusal(f"a quantised model is on one device here; {_AFTER}"),
    "parallelism_config": Refusal(_SHARDING, (*OFF, "", [], {})),
    "accelerator_config": Refusal(f"its settings have no counterpart; {_AFTER}", (*OFF, {})),
    **dict.fromkeys(("use_mca", "use_hyper_parallel", "use_kt"), Refusal(f"this backend is not there yet; {_AFTER}")),
    "ray_num_workers": Refusal(
        "runs are not started through Ray; start them with torchrun and take the key out", (*OFF, 1)
    ),
    **dict.fromkeys(("fp8",), Refusal("fp8 is not there yet; write bf16: true")),
    "fp16": Refusal("half precision is bfloat16 here; write bf16: true"),
    "pure_bf16": Refusal("weights stay float32, only products are bfloat16; write bf16: true"),
    **dict.fromkeys(
        ("use_galore", "use_apollo", "use_badam", "use_muon", "use_adam_mini", "optim_args", "optim_target_modules"),
        Refusal(_ADAMW),
    ),
    "optim": Refusal(_ADAMW, (*OFF, "adamw_torch", "adamw_torch_fused", "adamw_hf")),
    "adam_beta1": Refusal(_ADAMW, (None, 0.9)),
    "adam_beta2": Refusal(_ADAMW, (None, 0.999)),
    "adam_epsilon": Refusal(_ADAMW, (None, 1e-8)),
    **dict.fromkeys(("pissa_init", "loraplus_lr_ratio", "create_new_adapter"), Refusal(_VARIANT)),
    "use_llama_pro": Refusal(f"training added blocks alone is not there yet; {_AFTER}"),
    **dict.fromkeys(
        ("adapter_name_or_path", "adapter_folder"),
        Refusal("training goes on from a whole model, not from an adapter; merge the adapter into the model first"),
    ),
    **dict.fromkeys(
        ("use_dft_loss", "use_asft_loss", "use_eaft_loss"),
        Refusal(f"the loss is the plain one of the next token; {_AFTER}", (*OFF, 0.0)),
    ),
    "moe_aux_loss_coef": Refusal(f"no auxiliary loss of a router is added; {_AFTER}", (*OFF, 0.0)),
    **dict.fromkeys(
        ("rope_scaling", "shift_attn", "mixture_of_depths", "train_from_scratch"),
        Refusal(f"the model is trained as its folder describes it; {_AFTER}"),
    ),
    "model_revision": Refusal(
        "a model is taken as the hub has it now; download the revision and name its folder in model_name_or_path",
        (None, "main"),
    ),
    "use_fast_tokenizer": Refusal(f"only fast tokenizers are read; {_AFTER}", (None, True)),
    **dict.fromkeys(
        ("resize_vocab", "split_special_tokens", "add_tokens", "add_special_tokens", "new_special_tokens_config"),
        Refusal(_TOKENS),
    ),
    **dict.fromkeys(("hf_hub_token", "ms_hub_token", "om_hub_token", "hub_token"), Refusal(_SECRET, secret=True)),
    "push_to_hub": Refusal(f"nothing is uploaded; {_AFTER}"),
    "use_swanlab": Refusal(f"SwanLab is not there; {_AFTER}, or use report_to: tensorboard"),
    **dict.fromkeys(
        (
            "media_dir",
            "image_max_pixels",
            "image_min_pixels",
            "image_do_pan_and_scan",
            "crop_to_patches",
            "video_max_pixels",
            "video_min_pixels",
            "video_fps",
            "video_maxlen",
            "use_audio_in_video",
            "audio_sampling_rate",
            "freeze_language_model",
        ),
        Refusal(_MULTIMODAL),
    ),
    "train_on_prompt": Refusal("only what the assistant says is trained; take the key out"),
    "ignore_pad_token_for_loss": Refusal("nothing is padded, so no padding is trained; take the key out", (None, True)),
    "default_system": Refusal("a system prompt comes with the rows; write it into them (column system)"),
    "tool_format": Refusal("tools are written as the chat template writes them; take the key out"),
    "preserve_thinking": Refusal("earlier thoughts are kept where the chat template keeps them; take the key out"),
    "eval_on_each_dataset": Refusal("the validation loss is one number over all rows; take the key out"),
    "disable_shuffling": Refusal("rows are shuffled by seed in every epoch; take the key out"),
    "train_sampling_strategy": Refusal("rows are shuffled by seed in every epoch; take the key out", (*OFF, "random")),
    "group_by_length": Refusal("rows are packed without padding, which needs no grouping by length; take the key out"),
    "dataloader_drop_last": Refusal("the last step of an epoch is trained even if it is smaller; take the key out"),
    "average_tokens_across_devices": Refusal(
        "a step always averages over the trained tokens of all processes; take the key out", (None, True)
    ),
    "do_predict": Refusal("`groundtune evaluate` answers test questions; take the key out"),
    "predict_with_generate": Refusal("`groundtune evaluate` answers test questions; take the key out"),
    "resume_from_checkpoint": Refusal(
        "the same command continues an interrupted run by itself; take the key out", (*OFF, True)
    ),
    "full_determinism": Refusal(f"runs of one seed are equal on a CPU, and nearly so on a GPU; {_AFTER}"),
    "data_seed": Refusal("one seed drives everything; take the key out and set seed"),
}
"""Key to why it is an error when it asks for something."""


def asks_for_nothing(key: str, value: Any) -> bool:
    """Whether `value` of a refused key switches the thing off, or says what holds anyway.

    >>> asks_for_nothing("fp16", None), asks_for_nothing("fp16", 4)
    (True, False)
    >>> asks_for_nothing("adam_epsilon", "1e-8")
    True
    """
    if isinstance(value, str):
        value = None if value.lower() in ("none", "null") else _as_number(value)
    return any(value == each and isinstance(value, bool) == isinstance(each, bool) for each in REFUSED[key].neutral)


def _as_number(text: str) -> float | str:
    """YAML reads 1e-8 (no dot) as text."""
    try:
        return float(text)
    except ValueError:
        return text
