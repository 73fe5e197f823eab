"""Turning the names in the ``relations`` section into chunks, or saying which name is wrong and what was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from groundtune.config import FlowConfig, FoundationConfig, RelationsConfig
from groundtune.errors import ConfigError
from groundtune.grouping.flows import find_step
from groundtune.grouping.outline import Outline
from groundtune.grouping.proposal import Foundation, Material
from groundtune.language import lower_case
from groundtune.types import Chunk

SEPARATOR = ">"
"""Between module and submodule."""


def resolve_relations(relations: RelationsConfig, outlines: Sequence[Outline]) -> tuple[Material, ...]:
    """The outlines with the relations that concern each.

    Raises:
        ConfigError: a flow's language, a flow's step, a module or a submodule is not in the documentation.
    """
    flows = [(flow, _language_of(flow, outlines)) for flow in relations.flows]
    for flow, outline in flows:
        _check_steps(flow, outline)
    for number, foundation in enumerate(relations.foundations):
        where = f"grouping.relations.foundations[{number}]"
        for name in (foundation.foundation, *foundation.consumers):
            _check_name(name, outlines, where)
    return tuple(
        Material(
            outline,
            tuple(flow for flow, its_outline in flows if its_outline is outline),
            tuple(_foundations_of(relations.foundations, outline)),
        )
        for outline in outlines
    )


def _language_of(flow: FlowConfig, outlines: Sequence[Outline]) -> Outline:
    """The outline of the flow's language; without one, of the language with most chunks."""
    if flow.language is None and outlines:
        return max(outlines, key=lambda outline: len(outline.chunks))
    for outline in outlines:
        if outline.language == flow.language:
            return outline
    known = ", ".join(outline.language for outline in outlines) or "none, there are no chunks"
    raise ConfigError(
        f"grouping.relations.flows {flow.name!r}: no chunk is in language {flow.language!r}; languages found: {known}"
    )


def _check_steps(flow: FlowConfig, outline: Outline) -> None:
    for step in flow.steps:
        if find_step(outline, step) is None:
            known = {heading: chunk.section_heading or chunk.submodule for heading, chunk in outline.by_heading.items()}
            near = [known[name] for name in difflib.get_close_matches(outline.fold(step), known, n=3, cutoff=0.5)]
            raise ConfigError(
                f"grouping.relations.flows {flow.name!r}: step {step!r} is in no heading and no text of the "
                f"{outline.language!r} documentation; {_suggestion(near, 'use a term that the documentation uses')}"
            )


def _check_name(name: str, outlines: Sequence[Outline], where: str) -> None:
    if any(_chunks_named(name, outline) for outline in outlines):
        return
    known = {outline.fold(candidate): candidate for outline in outlines for candidate in _known_names(outline)}
    near = difflib.get_close_matches(" ".join(lower_case(name, "tr").split()), known, n=3, cutoff=0.5)
    raise ConfigError(
        f"{where}: {name!r} is no module and no 'Module > Submodule' of the documentation; "
        f"{_suggestion([known[match] for match in near], 'the report of `groundtune ingest` lists the modules')}"
    )


def _suggestion(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {' or '.join(repr(name) for name in near)}?" if near else otherwise


def _known_names(outline: Outline) -> Iterable[str]:
    for whole in outline.modules:
        yield whole.name
        for part in whole.submodules:
            yield f"{whole.name} {SEPARATOR} {part.name}"


def _foundations_of(foundations: Iterable[FoundationConfig], outline: Outline) -> Iterable[Foundation]:
    for foundation in foundations:
        chunks = _chunks_named(foundation.foundation, outline)
        consumers = tuple(found for name in foundation.consumers if (found := _chunks_named(name, outline)))
        # a documentation whose second language holds only some modules has only some of the relations
        if chunks and consumers:
            name = foundation.foundation.rpartition(SEPARATOR)[2].strip()
            yield Foundation(name, f"{foundation.foundation}: {', '.join(foundation.consumers)}", chunks, consumers)


def _chunks_named(name: str, outline: Outline) -> tuple[Chunk, ...]:
    """Of ``Module`` or ``Module > Submodule``, compared without regard to case and blanks."""
    module, separator, submodule = (outline.fold(part) for part in name.partition(SEPARATOR))
    return tuple(
        chunk
        for whole in outline.modules
        if outline.fold(whole.name) == module
        for part in whole.submodules
        if not separator or outline.fold(part.name) == submodule
        for chunk in part.chunks
    )
