"""Sends requests: as many at a time as the server bears, again when it stumbles, never past the budget, each answer kept once.

It does not build requests, judge answers, know groups or pairs, or draw the live line.
"""

from groundtune.llm.dispatch.dispatcher import Dispatcher
from groundtune.llm.dispatch.driving import run_all
from groundtune.llm.dispatch.events import Event, EventKind, Progress

__all__ = ["Dispatcher", "Event", "EventKind", "Progress", "run_all"]
