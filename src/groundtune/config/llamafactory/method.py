"""What LLaMA-Factory's keys mean in native settings: how is trained, and by which loss. Its defaults are written out where they
differ; they are those of LLaMA-Factory 0.9.5.
"""

from __future__ import annotations

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
