"""Answering questions from the documents with a tuned model: retrieve, render, stream.

The same rendering as in training is used, from :mod:`groundtune.chat`. This package does not retrieve by itself (a
`Retriever` is handed in) and does not serve HTTP.
"""

from groundtune.serving.assistant import Assistant, Dialogue, Reply, fit_context
from groundtune.serving.run_card import RUN_CARD_PLACE, RunCard, read_run_card

__all__ = ["RUN_CARD_PLACE", "Assistant", "Dialogue", "Reply", "RunCard", "fit_context", "read_run_card"]
