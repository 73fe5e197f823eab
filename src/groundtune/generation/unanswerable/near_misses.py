"""Near-misses: questions that have an answer somewhere, asked over neighbouring text that does not hold it.

They train the refusal. Made by code from accepted pairs, so that they cost nothing and are surely unanswerable from
their context, as far as shared figures, codes and words can tell. The gold chunks are taken out and the chunks nearest to
them kept, by BM25 as `nearest` gives them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256

from groundtune.config import GenerationConfig, PromptConfig
from groundtune.generation.verification import pair_id
from groundtune.generation.verification.tokens import exact_tokens
from groundtune.language import lower_case
from groundtune.types import Chunk, Language, Pair

Nearest = Callable[[Chunk, int], Sequence[Chunk]]
"""The chunks nearest to a chunk, best first; at most the number given."""

CONTEXT_CHUNKS = 3
_CANDIDATES = 16
_SHARED_WORDS = 0.6
"""A chunk that holds this share of the answer's words might answer the question in other words."""

NO_CONTEXT = "no neighbouring chunk is surely without the answer"


def make_unanswerable(
    pairs: Sequence[Pair],
    chunks: Mapping[str, Chunk],
    *,
    config: GenerationConfig,
    prompts: Mapping[Language, PromptConfig],
    nearest: Nearest,
    seed: int,
) -> tuple[list[Pair], Counter[str]]:
    """As many near-misses as make `config.unanswerable_share` of all pairs, and what was passed over by reason.

    Languages and modules take turns, so that every part of the documentation has its share. Pairs with a history are not
    taken: its answers would say what the context no longer holds; nor are those that have the refusal for an answer
    already, though they count among all pairs.
    """
    share = config.unanswerable_share
    wanted = round(len(pairs) * share / (1 - share))
    made: list[Pair] = []
    passed: Counter[str] = Counter()
    found: dict[str, Sequence[Chunk]] = {}
    """Neighbours by chunk: several pairs rest on one."""

    def nearest_once(chunk: Chunk, count: int) -> Sequence[Chunk]:
        if chunk.chunk_id not in found:
            found[chunk.chunk_id] = nearest(chunk, count)
        return found[chunk.chunk_id]

    for pair in _in_turn([pair for pair in pairs if pair.answerable and not pair.history], chunks, seed):
        if len(made) >= wanted:
            break
        context = _context_without_answer(pair, chunks, nearest_once)
        if context:
            made.append(_refused(pair, context, prompts[pair.language].refusal))
        else:
            passed[NO_CONTEXT] += 1
    return made, passed


def _in_turn(pairs: Sequence[Pair], chunks: Mapping[str, Chunk], seed: int) -> list[Pair]:
    """One pair of every language and module, then a second of each, and so on; within each by a seeded hash."""
    lanes: dict[tuple[str, str], list[tuple[str, Pair]]] = {}
    for pair in pairs:
        lane = (pair.language, chunks[pair.evidence[0].chunk_id].module)
        order = sha256(f"{seed}/unanswerable/{pair.pair_id}".encode()).hexdigest()
        lanes.setdefault(lane, []).append((order, pair))
    ranked = [
        (place, order, pair)
        for lane in lanes.values()
        for place, (order, pair) in enumerate(sorted(lane, key=lambda entry: entry[0]))
    ]
    return [pair for _, _, pair in sorted(ranked, key=lambda entry: entry[:2])]


def _context_without_answer(pair: Pair, chunks: Mapping[str, Chunk], nearest: Nearest) -> tuple[str, ...]:
    cited = set(pair.evidence_chunk_ids)
    home = chunks[pair.evidence[0].chunk_id]
    fit = [
        chunk.chunk_id
        for chunk in nearest(home, _CANDIDATES)
        if chunk.chunk_id not in cited and chunk.language == pair.language and not _might_answer(chunk, pair)
    ]
    # in reading order, as every other context: an order of its own would give the refusal away
    chosen = list(dict.fromkeys(fit))[:CONTEXT_CHUNKS]
    return tuple(sorted(chosen, key=lambda chunk_id: (chunks[chunk_id].source, chunks[chunk_id].line_start)))


def _might_answer(chunk: Chunk, pair: Pair) -> bool:
    """Whether `chunk` holds a quote, a code the question names, the figures of the answer, or most of its words."""
    if any(item.quote in chunk.text for item in pair.evidence):
        return True
    named = {token for token in exact_tokens(pair.question) if not token.isdigit()}
    if named & exact_tokens(chunk.text):
        return True
    figures = exact_tokens(pair.answer) - exact_tokens(pair.question)
    if figures:
        return figures <= exact_tokens(chunk.text)
    stems = _stems(pair.answer, pair.language) - _stems(pair.question, pair.language) or _stems(
        pair.answer, pair.language
    )
    if not stems:
        return True
    return len(stems & _stems(chunk.text, pair.language)) >= _SHARED_WORDS * len(stems)


@lru_cache(maxsize=4096)
def _stems(text: str, language: Language) -> frozenset[str]:
    """First five letters of the words of four letters or more: suffixes aside, the words that carry content."""
    return frozenset(word[:5] for word in re.findall(r"[^\W\d_]{4,}", lower_case(text, language)))


def _refused(pair: Pair, context: tuple[str, ...], refusal: str) -> Pair:
    return replace(
        pair,
        pair_id=pair_id(pair.language, pair.question, refusal, pair.evidence, answerable=False),
        answer=refusal,
        answerable=False,
        context_chunk_ids=context,
    )
