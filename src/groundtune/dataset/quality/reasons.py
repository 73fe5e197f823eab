"""Why a row is left out by a filter: the fixed list that rows are counted by."""

from __future__ import annotations

from enum import StrEnum

from groundtune.types import Conversation, LeftOut

_LONGEST_FOUND = 80


class Reason(StrEnum):
    """Plain sentences about one row."""

    EXACT_COPY = "exact copy of an earlier row"
    SAME_PROMPT_AND_ANSWER = "same prompt and answer as an earlier row, but for white space and Unicode form"
    NEAR_COPY = "near copy of an earlier row"
    OTHER_LANGUAGE = "in a language that is not asked for"
    ANSWER_TOO_SHORT = "answer is shorter than asked"
    ANSWER_TOO_LONG = "answer is longer than asked"
    ANSWER_REPEATS_ITSELF = "answer repeats itself"
    NEAR_COPY_OF_HELD_OUT = "near copy of a validation or test prompt"
    NEAR_COPY_OF_BENCHMARK = "near copy of a benchmark question"
    WORDS_OF_BENCHMARK = "13 words in a row are those of a benchmark question"
    VALUE_NOT_BALANCED = "value is not among those of the balance"
    THINNED_OUT = "thinned out to balance the shares"


def left_out(conversation: Conversation, reason: Reason, *, field: str = "", found: str = "") -> LeftOut:
    """The record of leaving out `conversation`; `found` is cut at 80 characters."""
    return LeftOut(conversation.origin, reason.value, field, found[:_LONGEST_FOUND])
