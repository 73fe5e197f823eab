"""Passages of all files as `Chunk` records: numbers, languages, breadcrumbs, and what only the whole corpus can tell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from groundtune.config import DocumentsConfig
from groundtune.documents.chunker import Passage
from groundtune.documents.modules import is_language_folder, slug
from groundtune.documents.references import module_names, referenced_modules
from groundtune.documents.tables import TableNames
from groundtune.documents.tokens import TokenCounter
from groundtune.files import sha256_text
from groundtune.language import MINIMUM_LETTERS, detect_language
from groundtune.types import Chunk, Language

MIN_PROSE_LETTERS = 120
"""A passage with fewer letters of prose is given the language of its file: a few words and many names mislead detection."""
FILE_SAMPLE_CHARACTERS = 2000
"""Of a file's prose, enough to tell its language."""
PASSAGE_SAMPLE_CHARACTERS = 400


@dataclass(frozen=True, slots=True)
class CutFile:
    """A file that has been cut, with what its passages share."""

    source: str
    module: str
    submodule: str
    declared_language: Language | None
    passages: tuple[Passage, ...]


class ChunkNumbers:
    """Gives out ``{prefix}-{module}-{language}_chunk_{nnn}``, counting from 1 within module and language."""

    def __init__(self, prefix: str, taken: frozenset[str] = frozenset()) -> None:
        self._prefix = prefix
        self._taken = taken
        self._last: Counter[str] = Counter()

    def next_id(self, module: str, language: Language) -> str:
        """An id that was not given out before and is not `taken`."""
        stem = f"{self._prefix}-{slug(module)}-{language}"
        while True:
            # by stem, not by module: "Üretim" and "Uretim" must not both have a number 1
            self._last[stem] += 1
            chunk_id = f"{stem}_chunk_{self._last[stem]:03d}"
            if chunk_id not in self._taken:
                return chunk_id


def build_chunks(files: Sequence[CutFile], config: DocumentsConfig, count: TokenCounter) -> list[Chunk]:
    """One chunk a passage, in order of files and lines."""
    numbers = ChunkNumbers(config.id_prefix)
    chunks: list[Chunk] = []
    for file in files:
        file_language = _file_language(file, config.languages)
        for passage in file.passages:
            language = file.declared_language or passage_language(passage.prose, config.languages, file_language)
            chunks.append(
                Chunk(
                    chunk_id=numbers.next_id(file.module, language),
                    module=file.module,
                    submodule=file.submodule,
                    section_heading=passage.title,
                    breadcrumb=breadcrumb(file.module, file.submodule, passage.path),
                    language=language,
                    text=passage.text,
                    token_count=count(passage.text),
                    has_table=passage.has_table,
                    has_code=passage.has_code,
                    references_modules=(),
                    db_tables=(),
                    depth=passage.depth,
                    source=file.source,
                    line_start=passage.line_start,
                    line_end=passage.line_end,
                    sha256=sha256_text(passage.text),
                )
            )
    return chunks


def relate(
    chunks: Sequence[Chunk], *, keep_references: frozenset[int] = frozenset(), keep_tables: frozenset[int] = frozenset()
) -> list[Chunk]:
    """Fill `references_modules` and `db_tables`, which need the whole corpus; chunks at the kept indexes have theirs."""
    names = module_names(chunks)
    tables = TableNames(chunks)
    module_of_source: Mapping[str, str] = {chunk.source: chunk.module for chunk in chunks}
    related = []
    for index, chunk in enumerate(chunks):
        if index not in keep_references:
            chunk = replace(chunk, references_modules=referenced_modules(chunk, names, module_of_source))
        if index not in keep_tables:
            chunk = replace(chunk, db_tables=tables.find(chunk.text))
        related.append(chunk)
    return related


def breadcrumb(module: str, submodule: str, path: Sequence[str]) -> tuple[str, ...]:
    """Titles from the module down, equal neighbours once.

    >>> breadcrumb("Stok", "Lot Takibi", ("Lot Takibi", "Lot numarası"))
    ('Stok', 'Lot Takibi', 'Lot numarası')
    """
    titles = [title for title in (module, submodule, *path) if title]
    return tuple(title for index, title in enumerate(titles) if index == 0 or title != titles[index - 1])


def passage_language(text: str, languages: Sequence[Language], otherwise: Language) -> Language:
    """The language of a passage's prose; `otherwise` when there is too little of it to tell."""
    sample = text[:PASSAGE_SAMPLE_CHARACTERS]
    return detect_language(sample, languages) if _letters(sample) >= MIN_PROSE_LETTERS else otherwise


def _file_language(file: CutFile, languages: Sequence[Language]) -> Language:
    sample = ""
    for passage in file.passages:
        sample += passage.prose + "\n"
        if len(sample) >= FILE_SAMPLE_CHARACTERS:
            break
    if _letters(sample) < MINIMUM_LETTERS:
        return folder_language(file.source, languages)
    return detect_language(sample[:FILE_SAMPLE_CHARACTERS], languages)


def folder_language(source: str, languages: Sequence[Language]) -> Language:
    """What a folder such as ``en/`` or ``en-US/`` says, else the main language."""
    for part in reversed(source.split("/")[:-1]):
        code = re.split(r"[-_]", part.lower())[0]
        if code in languages and is_language_folder(part, languages):
            return code
    return languages[0]


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))
