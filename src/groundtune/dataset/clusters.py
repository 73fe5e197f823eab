"""Pairs that have to stay together, as clusters small enough to be shared out.

Two pairs are tied when they rest on the same evidence chunk or ask the same question. Taken literally, a few pairs over
many chunks tie a whole documentation into one knot that no split could have a part of. So clusters are grown from the
pairs with the fewest ties to those with the most, and a pair that would make a cluster too large is left as a *bridge*
between clusters. A bridge costs nothing as long as its clusters go to the same split.

The turns of one conversation are one: each counts as resting on the evidence of all, because a later turn shows the answers
of the earlier ones; and the question that ties it is the one the conversation opens with, because "Who approves that?" is
asked in many.

What this module does not do: choose splits (:mod:`groundtune.dataset.split`).
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field

from groundtune.language import lower_case
from groundtune.types import Exchange, Pair

Node = tuple[str, str]
"""``("chunk", chunk_id)`` or ``("question", text)``: what must not be in two splits."""

Stratum = tuple[str, ...]
"""A kind of pair that every split should have its share of; a pair is of several kinds (:func:`strata_of`)."""


@dataclass(slots=True)
class Bridge:
    """Pairs over the same nodes, which lie in several clusters."""

    clusters: tuple[int, ...]
    pair_ids: list[str]
    strata: Counter[Stratum]


@dataclass(slots=True)
class Cluster:
    """Pairs that go to one split, with the bridges that end here (as indices)."""

    rank: str
    """Of its content, the same on every run; a cluster that gains or loses a few pairs mostly keeps its rank."""
    pair_ids: list[str] = field(default_factory=list)
    strata: Counter[Stratum] = field(default_factory=Counter)
    bridges: list[int] = field(default_factory=list)


@dataclass(slots=True)
class _Knot:
    """Pairs over exactly the same nodes."""

    nodes: tuple[Node, ...]
    pairs: list[Pair]
    rank: str


def build_clusters(pairs: Sequence[Pair], *, max_pairs: int, seed: int) -> tuple[list[Cluster], list[Bridge]]:
    """Clusters of at most `max_pairs` pairs (more where a single chunk has more), and the bridges between them."""
    knots = _knots(pairs, seed)
    roots = _join(knots, max_pairs)
    numbers: dict[Node, int] = {}
    clusters: list[Cluster] = []
    bridges: list[Bridge] = []
    for knot in knots:
        ends = []
        for root in dict.fromkeys(roots[node] for node in knot.nodes):
            if root not in numbers:
                numbers[root] = len(clusters)
                clusters.append(Cluster(rank=knot.rank))
            ends.append(numbers[root])
        pair_ids = [pair.pair_id for pair in knot.pairs]
        strata = strata_of(knot.pairs)
        if len(ends) > 1:
            for end in ends:
                clusters[end].bridges.append(len(bridges))
            bridges.append(Bridge(tuple(ends), pair_ids, strata))
        else:
            cluster = clusters[ends[0]]
            cluster.rank = min(cluster.rank, knot.rank) if cluster.pair_ids else knot.rank
            cluster.pair_ids += pair_ids
            cluster.strata += strata
    return clusters, bridges


def strata_of(pairs: Iterable[Pair]) -> Counter[Stratum]:
    """How many of `pairs` are of each kind: language with answerable or not, and rule."""
    strata: Counter[Stratum] = Counter()
    for pair in pairs:
        strata[(pair.language, "answerable" if pair.answerable else "unanswerable")] += 1
        strata[("rule", pair.rule.value)] += 1
    return strata


def question_key(pair: Pair) -> str:
    """Two questions are the same when they differ in case, spacing or the mark at the end only.

    Of a later turn it is the question its conversation opens with.
    """
    question = pair.history[0].question if pair.history else pair.question
    return " ".join(lower_case(question, pair.language).split()).rstrip(" ?.!…:")


Opening = tuple[str, Exchange]
"""What tells conversations apart: the group, and the first question with its answer."""


def opening_of(pair: Pair) -> Opening:
    return pair.group_id, pair.history[0] if pair.history else Exchange(pair.question, pair.answer)


def evidence_by_conversation(pairs: Iterable[Pair]) -> dict[Opening, tuple[str, ...]]:
    """The evidence chunks of all turns together, sorted, of every conversation that has later turns."""
    pairs = list(pairs)
    held: dict[Opening, set[str]] = {opening_of(pair): set() for pair in pairs if pair.history}
    for pair in pairs:
        if pair.answerable and (opening := opening_of(pair)) in held:
            held[opening].update(pair.evidence_chunk_ids)
    return {opening: tuple(sorted(chunk_ids)) for opening, chunk_ids in held.items()}


def content_rank(seed: int, *parts: str) -> str:
    """A number from `parts` that looks random, as text of fixed length that sorts like the number."""
    return hashlib.sha256("\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass")).hexdigest()


def _knots(pairs: Sequence[Pair], seed: int) -> list[_Knot]:
    """Pairs by their nodes; few nodes first, then many pairs, then by content."""
    conversations = evidence_by_conversation(pairs)
    evidence = {
        pair.pair_id: conversations.get(opening_of(pair)) or tuple(sorted(pair.evidence_chunk_ids)) for pair in pairs
    }
    by_question: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_question[question_key(pair)].append(pair)
    # askers of one question that share a chunk are tied by the chunk already
    loose = {
        question
        for question, askers in by_question.items()
        if not set.intersection(*(set(evidence[pair.pair_id]) for pair in askers))
    }
    by_nodes: dict[tuple[Node, ...], list[Pair]] = defaultdict(list)
    for question, askers in by_question.items():
        for pair in askers:
            chunks: list[Node] = [("chunk", chunk_id) for chunk_id in evidence[pair.pair_id]]
            by_nodes[(*chunks, *([("question", question)] if question in loose else []))].append(pair)
    knots = [
        _Knot(nodes, tied, min(content_rank(seed, pair.language, question_key(pair)) for pair in tied))
        for nodes, tied in by_nodes.items()
    ]
    return sorted(knots, key=lambda knot: (len(knot.nodes), -len(knot.pairs), knot.rank, knot.nodes))


def _join(knots: Iterable[_Knot], max_pairs: int) -> dict[Node, Node]:
    """The cluster of every node, named by one of its nodes: union-find that refuses to grow past `max_pairs`."""
    parent: dict[Node, Node] = {}
    weight: Counter[Hashable] = Counter()

    def find(node: Node) -> Node:
        parent.setdefault(node, node)
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    for knot in knots:
        first, *others = dict.fromkeys(find(node) for node in knot.nodes)
        total = len(knot.pairs) + weight[first] + sum(weight[other] for other in others)
        if not others or total <= max_pairs:
            for other in others:
                parent[other] = first
            weight[first] = total
    return {node: find(node) for node in list(parent)}
