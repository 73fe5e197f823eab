"""Tokenizers and models: trained from scratch, loaded safely, described, and asked for answers.

What this package does not do: render conversations to token ids (:mod:`groundtune.chat`) and train weights
(:mod:`groundtune.training`). Importing it loads torch and transformers.
"""

from groundtune.models.alibi import AlibiConfig, AlibiForCausalLM, alibi_slopes
from groundtune.models.answering import Generated, decode_answer, generate_answers, stream_answer
from groundtune.models.llama import ModelSummary, build_llama, describe_model
from groundtune.models.loading import dropout_settings, load_model, load_tokenizer, position_limit
from groundtune.models.machine import best_matrix_rate, matrix_rate, safe_bfloat16, thread_rates_apart
from groundtune.models.quiet import quiet_transformers
from groundtune.models.threads import cpu_threads, safe_threads, usable_cores
from groundtune.models.tokenizer import (
    BEGIN_OF_TEXT,
    END_HEADER,
    END_OF_TEXT,
    END_OF_TURN,
    PAD,
    SPECIAL_TOKENS,
    START_HEADER,
    TokenizerSummary,
    describe_tokenizer,
    train_tokenizer,
)

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
    "Generated",
    "ModelSummary",
    "TokenizerSummary",
    "alibi_slopes",
    "best_matrix_rate",
    "build_llama",
    "cpu_threads",
    "decode_answer",
    "describe_model",
    "describe_tokenizer",
    "dropout_settings",
    "generate_answers",
    "load_model",
    "load_tokenizer",
    "matrix_rate",
    "position_limit",
    "quiet_transformers",
    "safe_bfloat16",
    "safe_threads",
    "stream_answer",
    "thread_rates_apart",
    "train_tokenizer",
    "usable_cores",
]
