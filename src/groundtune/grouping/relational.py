"""The rules that follow a relation from chunk to chunk: cross-module, data-flow chain, foundation + consumer, shared
database tables. A relation is found in the chunks' metadata and links, or named in the configuration.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from groundtune.grouping.flows import find_step, holds_term, written_flows
from groundtune.grouping.outline import Module, Outline, Submodule
from groundtune.grouping.proposal import Foundation, Material, Proposal
from groundtune.types import Chunk

PARTNERS = 2
"""Modules that a module is paired with: those it refers to most."""

REFERRING_CHUNKS = 4
"""Chunks of a pair of modules that are tried for the best match."""

LINK_BONUS = 2.0
"""What a link adds to the affinity of two chunks: about half of a usual best match (medians of 2.3 to 3.7 on the sample
documentation and two real manuals)."""

CONSUMING_MODULES = 3
"""Fewest other modules that refer to a submodule for it to be a foundation."""

CHUNKS_PER_CONSUMER = 2
"""Chunks of each configured consumer that join its foundation."""

CHUNKS_PER_MODULE = 2
"""Chunks of each module in the group of a shared table."""


def cross_module(material: Material) -> Iterator[Proposal]:
    """A chunk that refers to another module with the chunk of that module that answers it best, in both directions."""
    modules = {whole.name: whole for whole in material.outline.modules}
    for left, right in _partners(material.outline):
        there = _best_reference(material, modules[left], modules[right])
        back = _best_reference(material, modules[right], modules[left])
        chunks = material.outline.in_reading_order([*there, *back])
        if chunks:
            yield Proposal(f"{left} + {right}: {', '.join(_headings(chunks))}", chunks)


def data_flow(material: Material) -> Iterator[Proposal]:
    """The steps of a process, one chunk a step, in the order of the process: configured flows, then flows written in
    the text with arrows (``teklif -> satış siparişi -> iş emri``)."""
    for flow in material.flows:
        steps = (find_step(material.outline, step) for step in flow.steps)
        chunks = tuple(dict.fromkeys(chunk for chunk in steps if chunk is not None))
        yield Proposal(flow.name, chunks)
    yield from written_flows(material.outline)


def foundation_consumer(material: Material) -> Iterator[Proposal]:
    """What others build on, with those who do: configured foundations, then submodules that three or more other modules
    refer to."""
    for foundation in material.foundations:
        yield _configured_foundation(material, foundation)
    yield from _found_foundations(material)


def shared_tables(material: Material) -> Iterator[Proposal]:
    """Chunks of different modules that name the same database table; one group a table."""
    by_table: dict[str, list[Chunk]] = {}
    for chunk in material.outline.chunks:
        for table in dict.fromkeys(chunk.db_tables):
            by_table.setdefault(table, []).append(chunk)
    for table, chunks in sorted(by_table.items()):
        modules = dict.fromkeys(chunk.module for chunk in chunks)
        if len(modules) > 1:
            chosen = [chunk for name in modules for chunk in _most_about(table, name, chunks)]
            yield Proposal(f"{table}: {', '.join(modules)}", material.outline.in_reading_order(chosen))


def _most_about(table: str, module: str, chunks: Sequence[Chunk]) -> list[Chunk]:
    """The chunks of `module` that name `table` most often, earlier ones first among equals."""
    of_module = [chunk for chunk in chunks if chunk.module == module]
    return sorted(of_module, key=lambda chunk: -chunk.text.count(table))[:CHUNKS_PER_MODULE]


def _partners(outline: Outline) -> list[tuple[str, str]]:
    """Unordered pairs of modules, each module with the `PARTNERS` others it refers to most."""
    places = {whole.name: place for place, whole in enumerate(outline.modules)}
    pairs: dict[tuple[str, str], None] = {}
    for whole in outline.modules:
        counts = Counter(name for chunk in whole.chunks for name in chunk.references_modules)
        known = [name for name in counts if name in places and name != whole.name]
        for name in sorted(known, key=lambda name: (-counts[name], places[name]))[:PARTNERS]:
            first, second = sorted((whole.name, name), key=places.__getitem__)
            pairs[first, second] = None
    return sorted(pairs, key=lambda pair: (places[pair[0]], places[pair[1]]))


def _best_reference(material: Material, origin: Module, target: Module) -> tuple[Chunk, ...]:
    """The chunk of `origin` that refers to `target`, with the chunk of `target` nearest to it; empty when none does."""
    sources = {chunk.source for chunk in target.chunks}
    tables = {table for chunk in target.chunks for table in chunk.db_tables}
    links = material.affinity.links
    referring = [chunk for chunk in origin.chunks if target.name in chunk.references_modules]
    referring.sort(key=lambda chunk: (-len(links[chunk.chunk_id] & sources), -len(tables & set(chunk.db_tables))))
    best: tuple[float, tuple[Chunk, ...]] = (0.0, ())
    for chunk in referring[:REFERRING_CHUNKS]:
        linked = [other for other in target.chunks if other.source in links[chunk.chunk_id]]
        nearest = material.affinity.rank([chunk], linked or target.chunks)[:1]
        for score, other in nearest or [(0.0, other) for other in linked[:1]]:
            # a link is the author's own word that the two belong together
            best = max(best, (score + LINK_BONUS * bool(linked), (chunk, other)), key=lambda item: item[0])
    return best[1]


def _configured_foundation(material: Material, foundation: Foundation) -> Proposal:
    lead = foundation.chunks[:CHUNKS_PER_CONSUMER]
    consumers = [
        chunk
        for candidates in foundation.consumers
        for chunk in _consuming(material, foundation, [chunk for chunk in candidates if chunk not in foundation.chunks])
    ]
    return Proposal(foundation.title, lead + material.outline.in_reading_order(consumers), lead=lead[:1])


def _consuming(material: Material, foundation: Foundation, candidates: Sequence[Chunk]) -> list[Chunk]:
    """The candidates that link to the foundation or name it, before others; nearest first among each."""
    outline = material.outline
    sources = {chunk.source for chunk in foundation.chunks}
    name = outline.fold(foundation.name)

    def refers(chunk: Chunk) -> bool:
        linked = not sources.isdisjoint(material.affinity.links[chunk.chunk_id])
        return linked or holds_term(outline.folded_texts[outline.positions[chunk.chunk_id]], name)

    nearest = [chunk for _, chunk in material.affinity.rank(foundation.chunks, candidates)]
    referring = [chunk for chunk in candidates if refers(chunk)]
    found = dict.fromkeys([*(chunk for chunk in nearest if chunk in referring), *referring, *nearest])
    return list(found)[:CHUNKS_PER_CONSUMER] or list(candidates[:1])


def _found_foundations(material: Material) -> Iterator[Proposal]:
    for part, referring in _references_to_submodules(material).items():
        by_module: dict[str, list[Chunk]] = {}
        for chunk in referring:
            by_module.setdefault(chunk.module, []).append(chunk)
        if len(by_module) >= CONSUMING_MODULES:
            lead = part.chunks[:CHUNKS_PER_CONSUMER]
            consumers = tuple(_nearest(material, part.chunks, chunks) for chunks in by_module.values())
            yield Proposal(f"{part.title}: {', '.join(by_module)}", lead + consumers, lead=lead[:1])


def _nearest(material: Material, query: Sequence[Chunk], candidates: Sequence[Chunk]) -> Chunk:
    ranked = material.affinity.rank(query, candidates)
    return ranked[0][1] if ranked else candidates[0]


def _references_to_submodules(material: Material) -> dict[Submodule, list[Chunk]]:
    """Chunks of other modules that link to a submodule, or that refer to its module and name it. Overviews, which
    everybody links to, are left out."""
    outline = material.outline
    details = {whole.name: whole.details for whole in outline.modules}
    by_source = {chunk.source: part for parts in details.values() for part in parts for chunk in part.chunks}
    names = {part: outline.fold(part.name) for parts in details.values() for part in parts if part.name}
    found: dict[Submodule, list[Chunk]] = {part: [] for parts in details.values() for part in parts}
    for chunk, text in zip(outline.chunks, outline.folded_texts, strict=True):
        linked = {by_source[link] for link in material.affinity.links[chunk.chunk_id] if link in by_source}
        mentioned = (part for name in chunk.references_modules for part in details.get(name, ()))
        named = {part for part in mentioned if part in names and holds_term(text, names[part])}
        for part in linked | named:
            if part.module != chunk.module:
                found[part].append(chunk)
    return found


def _headings(chunks: Sequence[Chunk]) -> list[str]:
    return list(dict.fromkeys(chunk.section_heading or chunk.submodule for chunk in chunks))
