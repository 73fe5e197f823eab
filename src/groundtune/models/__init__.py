"""Tokenizers and models: trained from scratch, loaded safely, described, and asked for answers.

What this package does not do: render conversations to token ids (:mod:`groundtune.chat`) and train weights
(:mod:`groundtune.training`). Importing it loads torch and transformers.
"""

from groundtune.models.alibi import AlibiConfig, AlibiForCausalLM, alibi_slopes
from groundtune.models.answering import (
    AnsweringWork,
    Generated,
    decode_answer,
    generate_answers,
    stream_answer,
    stream_answers,
)
from groundtune.models.checkpoint import read_checkpoint
from groundtune.models.conversion import convert_checkpoint
from groundtune.models.llama import ModelSummary, build_llama, describe_model, fresh_model
from groundtune.models.loading import dropout_settings, load_model, position_limit
from groundtune.models.machine import best_matrix_rate, matrix_rate, safe_bfloat16, thread_rates_apart
from groundtune.models.presets import preset_architecture
from groundtune.models.quiet import quiet_transformers
from groundtune.models.threads import cpu_threads, safe_threads, sharing_cores, usable_cores
from groundtune.models.tokenizer import (
    BEGIN_OF_TEXT,
    END_HEADER,
    END_OF_TEXT,
    END_OF_TURN,
    PAD,
    SPECIAL_TOKENS,
    START_HEADER,
    train_tokenizer,
)
from groundtune.models.tokenizer_loading import load_tokenizer, open_tokenizer
from groundtune.models.tokenizer_report import TokenizerSummary, compare_tokenizers, describe_tokenizer

__all__ = [
    "BEGIN_OF_TEXT",
    "END_HEADER",
    "END_OF_TEXT",
    "END_OF_TURN",
    "PAD",
    "SPECIAL_TOKENS",
    "START_HEADER",
    "AlibiConfig",
    "AlibiForCausalLM",
    "AnsweringWork",
    "Generated",
    "ModelSummary",
    "TokenizerSummary",
    "alibi_slopes",
    "best_matrix_rate",
    "build_llama",
    "compare_tokenizers",
    "convert_checkpoint",
    "cpu_threads",
    "decode_answer",
    "describe_model",
    "describe_tokenizer",
    "dropout_settings",
    "fresh_model",
    "generate_answers",
    "load_model",
    "load_tokenizer",
    "matrix_rate",
    "open_tokenizer",
    "position_limit",
    "preset_architecture",
    "quiet_transformers",
    "read_checkpoint",
    "safe_bfloat16",
    "safe_threads",
    "sharing_cores",
    "stream_answer",
    "stream_answers",
    "thread_rates_apart",
    "train_tokenizer",
    "usable_cores",
]
