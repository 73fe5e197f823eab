"""The documentation of one language as an outline: modules, submodules, sections, in reading order.

Every rule reads this picture and nothing else. What this module does not do: decide what belongs together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

from groundtune.language import lower_case
from groundtune.types import Chunk, Language

_OVERVIEW_PHRASES = ("genel bakış", "genel bakis", "overview")
_OVERVIEW_NAMES = frozenset({"index", "readme", "giriş", "giris", "introduction", "home", "about", "hakkında"})

_HEADING_LINE = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t#]*$", re.MULTILINE)
_FENCED_CODE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, eq=False)
class Section:
    """The chunks under one heading of one file; several when the section was long."""

    source: str
    breadcrumb: tuple[str, ...]
    depth: int
    chunks: tuple[Chunk, ...]

    @property
    def heading(self) -> str:
        return self.breadcrumb[-1] if self.breadcrumb else ""


@dataclass(frozen=True, eq=False)
class Submodule:
    """The chunks of one submodule; the first of them is its introduction."""

    module: str
    name: str
    chunks: tuple[Chunk, ...]

    @property
    def introduction(self) -> Chunk:
        return self.chunks[0]

    @property
    def title(self) -> str:
        return joined_title((self.module, self.name)) or self.introduction.source

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """In order of first appearance."""
        found: dict[tuple[str, tuple[str, ...]], list[Chunk]] = {}
        for chunk in self.chunks:
            found.setdefault((chunk.source, chunk.breadcrumb), []).append(chunk)
        return tuple(
            Section(source, breadcrumb, min(chunk.depth for chunk in chunks), tuple(chunks))
            for (source, breadcrumb), chunks in found.items()
        )

    def ancestors(self, section: Section) -> tuple[Section, ...]:
        """The sections around `section`, outermost first; levels without text of their own are not there."""
        prefixes = (section.breadcrumb[:length] for length in range(1, len(section.breadcrumb)))
        found = (self._by_path.get((section.source, prefix)) for prefix in prefixes)
        return tuple(ancestor for ancestor in found if ancestor is not None)

    @cached_property
    def _by_path(self) -> dict[tuple[str, tuple[str, ...]], Section]:
        return {(section.source, section.breadcrumb): section for section in self.sections}


@dataclass(frozen=True, eq=False)
class Module:
    """The submodules of one module."""

    name: str
    submodules: tuple[Submodule, ...]

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        return tuple(chunk for submodule in self.submodules for chunk in submodule.chunks)

    @cached_property
    def overview(self) -> Submodule:
        """The submodule that introduces the module: by its name or file name, else the first.

        An exact name ("Overview", ``index.md``) goes before one that only speaks of an overview ("Billing overview").
        """
        return min(self.submodules, key=_distance_from_overview)

    @property
    def details(self) -> tuple[Submodule, ...]:
        """Every submodule but the overview."""
        return tuple(submodule for submodule in self.submodules if submodule is not self.overview)


@dataclass(frozen=True, eq=False)
class Outline:
    """All chunks of one language, in reading order, which is the order they were given in."""

    language: Language
    chunks: tuple[Chunk, ...]

    @cached_property
    def positions(self) -> dict[str, int]:
        """Place in reading order by chunk id."""
        return {chunk.chunk_id: position for position, chunk in enumerate(self.chunks)}

    @cached_property
    def modules(self) -> tuple[Module, ...]:
        found: dict[str, dict[str, list[Chunk]]] = {}
        for chunk in self.chunks:
            found.setdefault(chunk.module, {}).setdefault(chunk.submodule, []).append(chunk)
        return tuple(
            Module(module, tuple(Submodule(module, name, tuple(chunks)) for name, chunks in submodules.items()))
            for module, submodules in found.items()
        )

    @cached_property
    def submodules(self) -> tuple[Submodule, ...]:
        return tuple(submodule for module in self.modules for submodule in module.submodules)

    @cached_property
    def by_heading(self) -> dict[str, Chunk]:
        """The chunk that each folded heading leads to: the first one of the shallowest section of that name.

        A submodule's name leads to its introduction. Then come headings that open no chunk of their own: those inside a
        chunk (short sections share one) and those that only have sections below them.
        """
        found: dict[str, Chunk] = {}
        for chunk in sorted(self.chunks, key=lambda chunk: chunk.depth):
            found.setdefault(self.fold(chunk.section_heading), chunk)
        for part in self.submodules:
            found.setdefault(self.fold(part.name), part.introduction)
        for chunk in self.chunks:
            inside = _HEADING_LINE.findall(_FENCED_CODE.sub("", chunk.text)) if "\n#" in chunk.text else []
            for heading in (*inside, *chunk.breadcrumb[1:]):
                found.setdefault(self.fold(heading), chunk)
        found.pop("", None)
        return found

    @cached_property
    def folded_texts(self) -> tuple[str, ...]:
        """The text of each chunk, folded."""
        return tuple(self.fold(chunk.text) for chunk in self.chunks)

    def in_reading_order(self, chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
        """`chunks` sorted, each once."""
        return tuple(self.chunks[place] for place in sorted({self.positions[chunk.chunk_id] for chunk in chunks}))

    def fold(self, text: str) -> str:
        """Lower case with single blanks: how names, headings and terms are compared.

        >>> Outline("tr", ()).fold(" İş  Emri ")
        'iş emri'
        """
        return " ".join(lower_case(text, self.language).split())


def build_outlines(chunks: Sequence[Chunk]) -> tuple[Outline, ...]:
    """One outline a language, in order of first appearance."""
    languages = dict.fromkeys(chunk.language for chunk in chunks)
    return tuple(
        Outline(language, tuple(chunk for chunk in chunks if chunk.language == language)) for language in languages
    )


def joined_title(parts: Iterable[str]) -> str:
    """The parts that say something, as a path.

    >>> joined_title(("Stok", "", "Lot Takibi"))
    'Stok > Lot Takibi'
    """
    return " > ".join(part for part in parts if part)


def _distance_from_overview(submodule: Submodule) -> int:
    stem = re.sub(r"^\d+[-_. ]*", "", PurePosixPath(submodule.introduction.source).stem)
    names = {" ".join(re.split(r"[-_\s]+", lower_case(name, "tr"))) for name in (submodule.name, stem)}
    # Turkish lower case turns the I of INDEX into ı; the English reading is tried beside it
    names |= {" ".join(re.split(r"[-_\s]+", name.lower())) for name in (submodule.name, stem)}
    if names & _OVERVIEW_NAMES or names & set(_OVERVIEW_PHRASES):
        return 0
    return 1 if any(phrase in name for name in names for phrase in _OVERVIEW_PHRASES) else 2
