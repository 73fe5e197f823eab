"""Writers behind a network: the Claude API and every server of OpenAI's chat protocol, through the official SDKs.

Each answers one request, tried once, and maps what goes wrong to the failures of :mod:`groundtune.llm.failures`. It does
not retry, keep answers or count money: :mod:`groundtune.llm.dispatch` and the ledger do. Importing this package imports
no SDK.
"""

from groundtune.llm.providers.batches import BatchClient, BatchResult, FormRefused, NoSuchBatch
from groundtune.llm.providers.making import batch_client, make_client

__all__ = ["BatchClient", "BatchResult", "FormRefused", "NoSuchBatch", "batch_client", "make_client"]
