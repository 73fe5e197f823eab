"""How near two chunks are: shared rare terms, shared database tables, links from one to the other.

A cheap measure for pairing chunks across modules. What this module does not do: answer a query (that is
:mod:`groundtune.retrieval`, which this layer does not import).
"""

from __future__ import annotations

import math
import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cached_property

from groundtune.grouping.outline import Outline
from groundtune.language import lower_case
from groundtune.types import Chunk

STEM_LETTERS = 5
"""A word stands for all words with the same first five letters. For Turkish this is about as good as a morphological
analyser (Can et al., Information retrieval on Turkish texts, JASIST 2008)."""

RARE_SHARE = 0.1
"""Terms in more than this share of the chunks say nothing about a pair."""

_WORD = re.compile(r"[^\W\d]\w{3,}")
_LINK = re.compile(r"\]\(\s*<?([^)\s#>]+)")


class Affinity:
    """Terms and links of every chunk of an outline, read once."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline

    @cached_property
    def _terms(self) -> dict[str, frozenset[str]]:
        return {chunk.chunk_id: _terms_of(chunk) for chunk in self._outline.chunks}

    @cached_property
    def _weights(self) -> dict[str, float]:
        """Logarithm of the inverse share of chunks, of terms in at least two chunks and not in too many."""
        total = len(self._outline.chunks)
        frequency = Counter(term for terms in self._terms.values() for term in terms)
        most = max(2, int(total * RARE_SHARE))
        return {term: math.log(total / count) for term, count in frequency.items() if 2 <= count <= most}

    @cached_property
    def _rare(self) -> dict[str, frozenset[str]]:
        """The terms of each chunk that have a weight."""
        return {name: frozenset(term for term in terms if term in self._weights) for name, terms in self._terms.items()}

    def rank(self, query: Iterable[Chunk], candidates: Sequence[Chunk]) -> list[tuple[float, Chunk]]:
        """`candidates` that share something with the `query` chunks, nearest first, ties in the order given.

        The score is the weight of the shared terms over the root of the candidate's term count, so that a long chunk
        is not near to everything.
        """
        wanted = frozenset().union(*(self._rare[chunk.chunk_id] for chunk in query))
        scored = []
        for candidate in candidates:
            rare = self._rare[candidate.chunk_id]
            # fsum, because an ordinary sum of floats depends on the order and sets have none
            shared = math.fsum(self._weights[term] for term in rare & wanted)
            if shared > 0:
                scored.append((shared / math.sqrt(len(rare)), candidate))
        return sorted(scored, key=lambda item: -item[0])

    @cached_property
    def links(self) -> dict[str, frozenset[str]]:
        """Source files each chunk links to, by chunk id."""
        return {chunk.chunk_id: _links_of(chunk) for chunk in self._outline.chunks}


def _terms_of(chunk: Chunk) -> frozenset[str]:
    words = (word for word in _WORD.findall(lower_case(chunk.text, chunk.language)))
    return frozenset(word if "_" in word else word[:STEM_LETTERS] for word in words) | frozenset(chunk.db_tables)


def _links_of(chunk: Chunk) -> frozenset[str]:
    folder = posixpath.dirname(chunk.source)
    targets = (target for target in _LINK.findall(chunk.text) if "://" not in target)
    return frozenset(posixpath.normpath(posixpath.join(folder, target)) for target in targets) - {chunk.source}
