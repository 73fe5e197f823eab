"""The client protocol for writers of text, the prompt's passage format, and the keyless offline writer.

It does not know groups, ledgers or pairs: :mod:`groundtune.generation` asks, checks and keeps.
"""

from groundtune.llm.client import RETRY, LLMClient, LLMRequest, LLMResponse, StopReason
from groundtune.llm.failures import AccountFailure, BudgetReached, RequestRefused, Stopped, TemporaryFailure
from groundtune.llm.ledger import AnswerState, Failure, Ledger, Spending
from groundtune.llm.naming import model_name, writer_name
from groundtune.llm.offline import OfflineWriter
from groundtune.llm.passages import (
    Passage,
    Task,
    parse_asked,
    parse_passages,
    parse_task,
    render_asked,
    render_passages,
    render_task,
)

__all__ = [
    "RETRY",
    "AccountFailure",
    "AnswerState",
    "BudgetReached",
    "Failure",
    "LLMClient",
    "LLMRequest",
    "LLMResponse",
    "Ledger",
    "OfflineWriter",
    "Passage",
    "RequestRefused",
    "Spending",
    "StopReason",
    "Stopped",
    "Task",
    "TemporaryFailure",
    "model_name",
    "parse_asked",
    "parse_passages",
    "parse_task",
    "render_asked",
    "render_passages",
    "render_task",
    "writer_name",
]
