"""Question-answer pairs for groups of chunks: prompts, conversations, plan, checks by code and by a judge, figures.

It asks a writer through :mod:`groundtune.llm`, asks nothing twice, and lets no pair through whose evidence is not in the
chunks. It does not read documents, form groups, or split data.
"""

from groundtune.generation.provenance import find_entries
from groundtune.generation.running.requesting import Asking, look_ahead
from groundtune.generation.running.run import Generated, generate
from groundtune.generation.running.sending import BatchesOutError
from groundtune.generation.verification import Reason, Rejection, as_row

__all__ = [
    "Asking",
    "BatchesOutError",
    "Generated",
    "Reason",
    "Rejection",
    "as_row",
    "find_entries",
    "generate",
    "look_ahead",
]
