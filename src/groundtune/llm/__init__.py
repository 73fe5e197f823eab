"""The client protocol for writers of text, the prompt's passage format, and the keyless offline writer.

It does not know groups, ledgers or pairs: :mod:`groundtune.generation` asks, checks and keeps.
"""

from groundtune.llm.client import LLMClient, LLMRequest, LLMResponse, StopReason
from groundtune.llm.offline import OfflineWriter
from groundtune.llm.passages import Passage, Task, parse_passages, parse_task, render_passages, render_task

__all__ = [
    "LLMClient",
    "LLMRequest",
    "LLMResponse",
    "OfflineWriter",
    "Passage",
    "StopReason",
    "Task",
    "parse_passages",
    "parse_task",
    "render_passages",
    "render_task",
]
