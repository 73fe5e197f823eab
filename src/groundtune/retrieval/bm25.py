"""BM25 over chunks, by bm25s: headings count as text, scores are ties broken by reading order, nothing is printed.

What this module does not do: turn text into terms (:mod:`groundtune.retrieval.terms`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from groundtune.retrieval.stopwords import ALL_STOP_WORDS
from groundtune.retrieval.terms import split_terms
from groundtune.types import Chunk, Hit, Language

BREADCRUMB_WEIGHT = 2
"""How often the titles above a passage are counted beside its text."""

SATURATION = 1.5
"""``k1``: how soon further occurrences of a term stop mattering."""

LENGTH_PENALTY = 0.5
"""``b``: 0 leaves the length of a chunk out, 1 divides by it."""


class Bm25Retriever:
    """Implements :class:`groundtune.types.Retriever` for a fixed list of chunks, held in memory."""

    def __init__(self, chunks: Sequence[Chunk]) -> None:
        self.chunks = tuple(chunks)
        self._languages = tuple(dict.fromkeys(chunk.language for chunk in self.chunks))
        self._places = {chunk.chunk_id: place for place, chunk in enumerate(self.chunks)}
        self._of_language = {
            language: np.array([chunk.language == language for chunk in self.chunks]) for language in self._languages
        }
        self._vocabulary: dict[str, int] = {}
        documents = [self._numbered(_chunk_terms(chunk)) for chunk in self.chunks]
        self._index = _build_index(documents, self._vocabulary)

    def search(self, query: str, *, top_k: int, language: Language | None = None) -> list[Hit]:
        """At most `top_k` chunks that share a term with `query`, best first, ties by chunk order.

        With `language` the query is read in that language and only its chunks are searched; without, the query is read
        in every language of the chunks.
        """
        if language is not None:
            return self._best(dict.fromkeys(split_terms(query, language)), top_k, language)
        readings = (split_terms(query, known, ALL_STOP_WORDS) for known in self._languages)
        return self._best(dict.fromkeys(term for reading in readings for term in reading), top_k, None)

    def nearest(self, chunk: Chunk, count: int) -> list[Hit]:
        """At most `count` chunks of the same language that share most with `chunk`, itself excluded."""
        hits = self._best(dict.fromkeys(_chunk_terms(chunk)), count + 1, chunk.language)
        return [hit for hit in hits if hit.chunk.chunk_id != chunk.chunk_id][:count]

    def _best(self, terms: Iterable[str], count: int, language: Language | None) -> list[Hit]:
        known = [self._vocabulary[term] for term in terms if term in self._vocabulary]
        if not known or count < 1:
            return []
        scores: npt.NDArray[np.float32] = self._index.get_scores_from_ids(known)
        if language is not None:
            scores = np.where(self._of_language.get(language, False), scores, 0)
        places = np.argsort(-scores, kind="stable")[:count]
        return [Hit(self.chunks[place], float(scores[place])) for place in places if scores[place] > 0]

    def _numbered(self, terms: Iterable[str]) -> list[int]:
        return [self._vocabulary.setdefault(term, len(self._vocabulary)) for term in terms]


def _chunk_terms(chunk: Chunk) -> list[str]:
    # a breadcrumb mostly holds the submodule; pre-chunked files may leave it out
    titles = split_terms("\n".join(dict.fromkeys((*chunk.breadcrumb, chunk.submodule))), chunk.language)
    return titles * BREADCRUMB_WEIGHT + split_terms(chunk.text, chunk.language)


def _build_index(documents: Sequence[Sequence[int]], vocabulary: dict[str, int]) -> Any:
    """The bm25s index. Term numbers are ours, in order of first appearance: its own come from a set."""
    import bm25s  # 0.3 s to load: only when something is searched

    index = bm25s.BM25(method="lucene", k1=SATURATION, b=LENGTH_PENALTY)
    if vocabulary:
        index.index((documents, dict(vocabulary)), create_empty_token=False, show_progress=False)
    return index
