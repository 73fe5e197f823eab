"""Finding the chunks nearest to a question: BM25 over stemmed words and whole codes.

What this package does not do: embeddings, reranking, or deciding what is shown to a model.
"""

from groundtune.retrieval.bm25 import Bm25Retriever
from groundtune.retrieval.terms import split_terms

__all__ = ["Bm25Retriever", "split_terms"]
