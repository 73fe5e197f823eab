"""MODEL_CARD.md in the Hugging Face form: metadata that the hub reads, then what a person should know before using the model.

What this package does not do: read files, or state a licence that nobody told: then it says "not stated".
"""

from groundtune.evaluation.card.facts import NOT_STATED, CardFacts, SourceFacts
from groundtune.evaluation.card.text import render_card

__all__ = ["NOT_STATED", "CardFacts", "SourceFacts", "render_card"]
