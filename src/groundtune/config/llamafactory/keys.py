"""Every key of LLaMA-Factory 0.9.5's training files, and what becomes of it here.

Three kinds: `MAPPED` keys become native settings (modules `run`, `method`, `steps`, `computing` and `datasets`), `ACCEPTED` keys are
taken with a note, because groundtune does the same anyway or because what is learnt does not depend on them, and
keys of :mod:`groundtune.config.llamafactory.refused` are errors unless their value switches the thing off. The keys are those of its argument classes and of
transformers' TrainingArguments (4.55 to 5.6). What this module does not do: read values.
"""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.config.llamafactory.refused import REFUSED

MARKS = frozenset(
    [
        "model_name_or_path",
        "adapter_name_or_path",
        "stage",
        "finetuning_type",
        "do_train",
        "do_predict",
        "dataset_dir",
        "eval_dataset",
        "template",
        "cutoff_len",
        "max_samples",
        "output_dir",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "num_train_epochs",
        "lora_rank",
        "lora_target",
        "overwrite_cache",
        "quantization_bit",
        "lr_scheduler_type",
    ]
)
"""A file with one of these at its top is LLaMA-Factory's."""

MARKS_OF_V1 = frozenset(
    ["model_class", "train_dataset", "micro_batch_size", "peft_config", "dist_config", "kernel_config"]
)
"""Keys of the trainer that is to follow 0.9, whose files look different."""

MAPPED = frozenset(
    [
        "model_name_or_path",
        "template",
        "stage",
        "finetuning_type",
        "lora_rank",
        "lora_alpha",
        "lora_dropout",
        "lora_target",
        "use_rslora",
        "use_dora",
        "additional_target",
        "quantization_bit",
        "quantization_method",
        "quantization_type",
        "double_quantization",
        "label_smoothing_factor",
        "neftune_noise_alpha",
        "early_stopping_steps",
        "use_cpu",
        "no_cuda",
        "deepspeed",
        "fsdp",
        "fsdp_config",
        "pref_beta",
        "pref_ftx",
        "pref_loss",
        "pref_bco_weight",
        "dpo_label_smoothing",
        "simpo_gamma",
        "ld_alpha",
        "ref_model",
        "ref_model_adapters",
        "dataset",
        "eval_dataset",
        "dataset_dir",
        "max_samples",
        "mix_strategy",
        "interleave_probs",
        "val_size",
        "mask_history",
        "enable_thinking",
        "cutoff_len",
        "packing",
        "neat_packing",
        "tokenized_path",
        "output_dir",
        "run_name",
        "seed",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "learning_rate",
        "num_train_epochs",
        "max_steps",
        "lr_scheduler_type",
        "lr_scheduler_kwargs",
        "warmup_ratio",
        "warmup_steps",
        "weight_decay",
        "max_grad_norm",
        "bf16",
        "gradient_checkpointing",
        "disable_gradient_checkpointing",
        "logging_steps",
        "save_strategy",
        "save_steps",
        "save_total_limit",
        "eval_strategy",
        "eval_steps",
        "load_best_model_at_end",
        "metric_for_best_model",
        "report_to",
    ]
)

_ACCEPTED: tuple[tuple[str, str], ...] = (
    (
        "a stage is done again when what it depends on has changed, and only then",
        "overwrite_cache overwrite_output_dir",
    ),
    ("all cores read and tokenise; data.processes sets how many", "preprocessing_num_workers preprocessing_batch_size"),
    ("rows are streamed from disk in any case, and shuffled as a whole", "streaming buffer_size"),
    (
        "how rows reach the model is groundtune's own and does not change what is learnt",
        "dataloader_num_workers dataloader_pin_memory dataloader_persistent_workers dataloader_prefetch_factor "
        "remove_unused_columns label_names length_column_name data_shared_file_system sortish_sampler",
    ),
    ("the report shows the loss curve in any case", "plot_loss"),
    (
        "tokens and tokens per second are recorded in any case",
        "include_num_input_tokens_seen include_tokens_per_second include_effective_tokens_per_second",
    ),
    (
        "how processes talk does not change what is learnt",
        "ddp_timeout ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph ddp_backend "
        "local_rank master_addr master_port",
    ),
    (
        "the validation loss is measured as groundtune does it, also before training and after each epoch",
        "do_eval per_device_eval_batch_size eval_accumulation_steps prediction_loss_only eval_do_concat_batches "
        "eval_use_gather_object include_for_metrics batch_eval_metrics bf16_full_eval fp16_full_eval eval_on_start "
        "eval_delay compute_accuracy",
    ),
    (
        "what is logged and stored beside the weights is groundtune's own",
        "logging_strategy logging_first_step log_on_each_node logging_nan_inf_filter log_level log_level_replica "
        "disable_tqdm logging_dir print_param_status project trackio_space_id trackio_bucket_id trackio_static_space_id "
        "save_on_each_node save_safetensors save_only_model enable_jit_checkpoint skip_memory_metrics debug "
        "enable_torch_profiler profiler_output_dir profiler_wait_steps profiler_warmup_steps profiler_active_steps "
        "profiler_repeat profiler_record_shapes profiler_profile_memory profiler_with_stack profile_modules",
    ),
    (
        "it changes speed or memory, not what is learnt; attention and loss are groundtune's own",
        "flash_attn use_unsloth use_unsloth_gc enable_liger_kernel use_liger_kernel liger_kernel_config use_v1_kernels "
        "low_cpu_mem_usage use_reentrant_gc gradient_checkpointing_kwargs torch_compile torch_compile_backend "
        "torch_compile_mode tf32 torch_empty_cache_steps auto_find_batch_size use_cache",
    ),
    ("weights stay float32 in any case, and the loss is computed in it", "upcast_layernorm upcast_lmhead_output"),
    ("code of a model's repository is never run; the models of transformers need none", "trust_remote_code"),
    ("the verb decides what is done", "do_train"),
    ("an interrupted run continues exactly where it was", "ignore_data_skip restore_callback_states_from_checkpoint"),
    ("the environment variable HF_HOME decides where downloads are kept", "cache_dir"),
    ("a text model has none", "freeze_vision_tower freeze_multi_modal_projector"),
    (
        "it is used when a model answers or is exported, not in training",
        "infer_backend offload_folder use_kv_cache infer_dtype do_sample temperature top_p top_k num_beams max_length "
        "max_new_tokens repetition_penalty length_penalty skip_special_tokens eval_num_beams generation_max_length "
        "generation_num_beams generation_config export_dir export_size export_device export_quantization_bit "
        "export_quantization_dataset export_quantization_nsamples export_quantization_maxlen export_legacy_format "
        "export_hub_model_id vllm_maxlen vllm_gpu_util vllm_enforce_eager vllm_max_lora_rank vllm_config sglang_maxlen "
        "sglang_mem_fraction sglang_tp_size sglang_config sglang_lora_backend",
    ),
    (
        "it is used in other kinds of preference tuning alone (stage kto, ppo)",
        "kto_chosen_weight kto_rejected_weight ppo_buffer_size ppo_epochs ppo_score_norm ppo_target ppo_whiten_rewards "
        "ref_model_quantization_bit reward_model reward_model_adapters reward_model_quantization_bit reward_model_type",
    ),
    (
        "it is used with finetuning_type freeze or oft alone",
        "freeze_trainable_layers freeze_trainable_modules freeze_extra_modules module_dropout oft_rank oft_block_size "
        "oft_target",
    ),
    (
        "it is used with the feature it belongs to alone, which is off",
        "galore_target galore_rank galore_update_interval galore_scale galore_proj_type galore_layerwise apollo_target "
        "apollo_rank apollo_update_interval apollo_scale apollo_proj apollo_proj_type apollo_scale_type "
        "apollo_layerwise apollo_scale_front badam_mode badam_start_block badam_switch_mode badam_switch_interval "
        "badam_update_ratio badam_mask_mode badam_verbose swanlab_project swanlab_workspace swanlab_run_name "
        "swanlab_mode swanlab_api_key swanlab_logdir swanlab_lark_webhook_url swanlab_lark_secret asft_alpha eaft_alpha "
        "loraplus_lr_embedding pissa_iter pissa_convert fp8_backend fp8_enable_fsdp_float8_all_gather kt_weight_path "
        "kt_expert_checkpoint_path kt_use_lora_experts kt_lora_expert_num kt_lora_expert_intermediate_size "
        "ray_init_kwargs hyper_parallel_args init_special_tokens hub_private_repo hub_model_id hub_strategy "
        "hub_always_push hub_revision greater_is_better",
    ),
)

ACCEPTED: Mapping[str, str] = {key: reason for reason, keys in _ACCEPTED for key in keys.split()}
"""Key to the reason it needs no setting."""

KNOWN = MAPPED | ACCEPTED.keys() | REFUSED.keys()
