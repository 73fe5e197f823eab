"""Greedy answers to many prompts, fast: shared prefixes computed once, answers entering and leaving as they end.

Three ways, the first that is right for the model (:mod:`.check` tries them on a few tokens): *shared*, where the tree of the
prompts' prefixes is computed once and all answers in flight go forward together without padding; *padded*, batches padded
on the left; *single*, ``model.generate`` one prompt at a time. What this package does not do: sample, or render prompts.
"""

from groundtune.models.answering.answers import AnsweringWork, Generated, decode_answer
from groundtune.models.answering.asking import CACHE_BYTES, generate_answers, stream_answer, stream_answers

__all__ = [
    "CACHE_BYTES",
    "AnsweringWork",
    "Generated",
    "decode_answer",
    "generate_answers",
    "stream_answer",
    "stream_answers",
]
