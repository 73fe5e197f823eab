"""Question-answer pairs for groups of chunks: prompts, ledger, runner, and checks by code.

It asks a writer through the client protocol of :mod:`groundtune.llm`, asks nothing twice, and lets no pair through whose
evidence is not in the chunks. It does not read documents, form groups, or split data.
"""

from groundtune.generation.ledger import Ledger
from groundtune.generation.run import Generated, generate, make_client
from groundtune.generation.verify import Reason, Rejection

__all__ = ["Generated", "Ledger", "Reason", "Rejection", "generate", "make_client"]
