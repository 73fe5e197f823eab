"""Conversations by a provider's batch service: rounds that are submitted, left, and collected by the same command.

Every conversation goes as far as the ledger's answers carry it; what it needs next is submitted with what the others need. What
is out is in the ledger with its requests and its money, so a batch can be collected in another process, days later, and when
the documents have changed. This package does not write prompts, read answers, or know providers.

Of a batch the ledger knows one of three states, and a kill at any moment leaves one of them:

- ``sending``: its money is reserved, and it may have been submitted or not. Kept before the request goes out. A later run looks
  for it among the provider's latest batches and adopts it, or finds that it is not there and gives the money back. Where a
  server cannot be asked, the money counts as spent and the requests are asked again.
- ``out``: the provider's id is known.
- ``done``: every answer is recorded, every reservation ended. Only the id is kept.
"""

from groundtune.generation.batches.notices import Notice, NoticeKind, told
from groundtune.generation.batches.outbox import BatchOut, batches_out, reservations_out
from groundtune.generation.batches.rounds import Batched, Conversation, collect_batches, run_in_batches
from groundtune.generation.batches.service import AskOne, BatchService

__all__ = [
    "AskOne",
    "BatchOut",
    "BatchService",
    "Batched",
    "Conversation",
    "Notice",
    "NoticeKind",
    "batches_out",
    "collect_batches",
    "reservations_out",
    "run_in_batches",
    "told",
]
