"""The rules that need nothing but the outline: individual, submodule, module, vertical stack, horizontal siblings,
overview + detail, module map.

Submodules are many; three rules would say the same about each of them. They keep to the richest share of every module
(`STACK_SHARE`, `FAMILY_SHARE`, `DETAIL_SHARE`), so that all structural groups together stay near a third of the individual ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from groundtune.grouping.outline import Module, Outline, Section, Submodule, joined_title
from groundtune.grouping.proposal import Material, Proposal
from groundtune.types import Chunk

STACK_SHARE = 1 / 6
"""Share of a module's submodules that give a vertical stack; at least one."""

DETAIL_SHARE = 1 / 3
"""Share of a module's submodules that give an overview + detail group; at least one."""

STACK_LEVELS = 3
"""Fewest heading depths in a vertical stack."""

FAMILY_SHARE = 1 / 3
"""Families of subsections side by side in a module, as a share of its submodules; at least one."""

SIBLINGS = 3
"""Fewest parallel sections in a group of siblings."""

NAMED_MODULES = 4
"""Modules named in a title before it says how many more there are."""

Item = TypeVar("Item")


def individual(material: Material) -> Iterator[Proposal]:
    """Every chunk on its own."""
    for chunk in material.outline.chunks:
        yield Proposal(joined_title(chunk.breadcrumb) or chunk.section_heading or chunk.source, (chunk,))


def submodule(material: Material) -> Iterator[Proposal]:
    """All chunks of one submodule."""
    for part in material.outline.submodules:
        yield Proposal(part.title, part.chunks)


def module(material: Material) -> Iterator[Proposal]:
    """A module in small: its overview's introduction, then the introduction of each submodule."""
    for whole in material.outline.modules:
        overview = whole.overview.introduction
        introductions = tuple(part.introduction for part in whole.details)
        yield Proposal(module_title(whole), (overview, *introductions), lead=(overview,))


def vertical_stack(material: Material) -> Iterator[Proposal]:
    """One feature at several depths: the deepest section of a submodule with every section around it."""
    for whole in material.outline.modules:
        stacks = [(_deepest_path(part), part) for part in whole.submodules]
        deep = [path for path, _ in stacks if len(path) >= STACK_LEVELS]
        for path in _richest(deep, len, count=_at_least_one(len(whole.submodules) * STACK_SHARE)):
            chunks = tuple(chunk for section in path for chunk in section.chunks)
            yield Proposal(joined_title(path[-1].breadcrumb), chunks, lead=path[0].chunks[:1])


def horizontal_siblings(material: Material) -> Iterator[Proposal]:
    """Parallel features at one depth: the same heading in several submodules of a module, or else in several modules;
    and three or more subsections side by side under one section."""
    yield from _same_heading(material.outline)
    for whole in material.outline.modules:
        families = [family for part in whole.submodules for family in _families(part)]
        count = _at_least_one(len(whole.submodules) * FAMILY_SHARE)
        for sections in _richest(families, len, count=count):
            chunks = tuple(chunk for section in sections for chunk in section.chunks)
            yield Proposal(joined_title(sections[0].breadcrumb[:-1]), chunks)


def overview_detail(material: Material) -> Iterator[Proposal]:
    """The introduction of a submodule with its detail sections, those two or more levels below it."""
    for whole in material.outline.modules:
        found = [(part, details) for part in whole.submodules if len(details := _details(part)) > 1]
        count = _at_least_one(len(whole.submodules) * DETAIL_SHARE)
        for part, details in _richest(found, lambda item: len(item[1]), count=count):
            lead = (part.introduction,)
            yield Proposal(part.title, lead + details, lead=lead)


def module_map(material: Material) -> Iterator[Proposal]:
    """The overviews of all modules side by side, and of the modules that refer to each other most, two by two."""
    modules = material.outline.modules
    if len(modules) < 2:
        return
    yield Proposal(modules_title(modules), tuple(whole.overview.introduction for whole in modules))
    for left, right in _pairs_by_references(modules):
        chunks = (*_map_chunks(left), *_map_chunks(right))
        yield Proposal(modules_title((left, right)), chunks)


def module_title(whole: Module) -> str:
    return whole.name or whole.overview.title


def modules_title(modules: Sequence[Module]) -> str:
    """The first few names, and how many more there are: ``Admin + Finans + Lab + Stok + 4``."""
    names = [module_title(whole) for whole in modules]
    more = f" + {len(names) - NAMED_MODULES}" if len(names) > NAMED_MODULES else ""
    return " + ".join(names[:NAMED_MODULES]) + more


def _at_least_one(count: float) -> int:
    return max(1, math.ceil(count))


def _richest(items: Sequence[Item], size: Callable[[Item], int], *, count: int) -> list[Item]:
    """The `count` largest by `size`, earlier first among equals, in the order they were given."""
    order = sorted(range(len(items)), key=lambda place: (-size(items[place]), place))
    return [items[place] for place in sorted(order[:count])]


def _deepest_path(part: Submodule) -> tuple[Section, ...]:
    """From the outermost section down to the first of those that lie below most sections."""
    paths = ((*part.ancestors(section), section) for section in part.sections)
    return max(paths, key=len)


def _same_heading(outline: Outline) -> Iterator[Proposal]:
    for heading, by_module in _sections_by_heading(outline).items():
        spread = {whole: sections for whole, sections in by_module.items() if len(sections) >= SIBLINGS}
        for whole, sections in spread.items():
            title = f"{whole or sections[0].source}: {sections[0].heading}"
            yield Proposal(title, tuple(chunk for section in sections for chunk in section.chunks))
        if not spread and len(by_module) >= SIBLINGS:
            firsts = [sections[0] for sections in by_module.values()]
            names = ", ".join(name for name in by_module if name)
            yield Proposal(f"{firsts[0].heading or heading}: {names}", tuple(section.chunks[0] for section in firsts))


def _sections_by_heading(outline: Outline) -> dict[str, dict[str, list[Section]]]:
    """One section a submodule, below its top heading, by folded heading and module."""
    found: dict[str, dict[str, list[Section]]] = {}
    for part in outline.submodules:
        seen = set()
        for section in part.sections:
            key = outline.fold(section.heading)
            if section.depth > 1 and key and key not in seen:
                seen.add(key)
                found.setdefault(key, {}).setdefault(part.module, []).append(section)
    return found


def _families(part: Submodule) -> list[list[Section]]:
    """Sections of one depth under one section, three or more."""
    found: dict[tuple[str, tuple[str, ...], int], list[Section]] = {}
    for section in part.sections:
        # directly under the top heading they are the whole submodule, which has a group already
        if section.depth > 2:
            found.setdefault((section.source, section.breadcrumb[:-1], section.depth), []).append(section)
    return [sections for sections in found.values() if len(sections) >= SIBLINGS]


def _details(part: Submodule) -> tuple[Chunk, ...]:
    top = min(section.depth for section in part.sections)
    return tuple(chunk for chunk in part.chunks[1:] if chunk.depth >= top + 2)


def _map_chunks(whole: Module) -> tuple[Chunk, ...]:
    """The introduction of a module, and the part of its overview that speaks of most other modules."""
    introduction, *rest = whole.overview.chunks
    widest = max(rest, key=lambda chunk: len(chunk.references_modules), default=introduction)
    return (introduction, widest) if widest.references_modules and widest is not introduction else (introduction,)


def _pairs_by_references(modules: Sequence[Module]) -> list[tuple[Module, Module]]:
    """Each module in at most one pair, the pairs with most references to each other chosen first."""
    counts: dict[tuple[str, str], int] = {}
    for whole in modules:
        for chunk in whole.chunks:
            for name in chunk.references_modules:
                counts[whole.name, name] = counts.get((whole.name, name), 0) + 1
    places = {whole.name: place for place, whole in enumerate(modules)}
    strength = {
        (left, right): counts.get((left, right), 0) + counts.get((right, left), 0)
        for left, right in {tuple(sorted(pair, key=places.__getitem__)) for pair in counts if set(pair) <= set(places)}
        if left != right
    }
    taken: set[str] = set()
    pairs = []
    for left, right in sorted(strength, key=lambda pair: (-strength[pair], places[pair[0]], places[pair[1]])):
        if not taken & {left, right}:
            taken |= {left, right}
            pairs.append((modules[places[left]], modules[places[right]]))
    return sorted(pairs, key=lambda pair: places[pair[0].name])
