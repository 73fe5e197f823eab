"""The stage: documents in, chunks and their account out. Reads files, writes none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from groundtune.config import DocumentsConfig
from groundtune.documents.blocks import parse_blocks
from groundtune.documents.chunker import chunk_page, first_title
from groundtune.documents.drafts import CutFile, build_chunks, relate
from groundtune.documents.front_matter import FrontMatter
from groundtune.documents.includes import PageReader
from groundtune.documents.modules import Placed, assign_modules, file_stem, readable
from groundtune.documents.prechunked import read_prechunked
from groundtune.documents.reading import Page
from groundtune.documents.skips import ReadingLog, skip_rows
from groundtune.documents.sources import is_fragment, is_prechunked, markdown_files, relative_name
from groundtune.documents.tokens import TokenCounter, token_counter, tokenizer_file
from groundtune.errors import DataError
from groundtune.progress import ProgressBar
from groundtune.types import Chunk, Language, StageResult


@dataclass(frozen=True)
class Ingested:
    """The chunks of a corpus, files in path order and lines in order, and the account of the reading."""

    chunks: list[Chunk]
    result: StageResult


def source_files(config: DocumentsConfig, source: Path) -> list[Path]:
    """Every file the chunks depend on: the Markdown files sorted by relative path, then files they include that are not
    among them, or the one pre-chunked file; last the tokenizer, if one is set.

    Raises:
        DataError: `source` is missing, holds no Markdown file, or a file cannot be read.
    """
    tokenizer = [tokenizer_file(config.tokenizer)] if config.tokenizer else []
    if is_prechunked(source):
        return [source, *tokenizer]
    log = ReadingLog()
    files = markdown_files(config, source, log)
    reader = PageReader(source, log)
    for path in files:
        reader.read(path)
    chosen = {path.resolve() for path in files}
    root = source.resolve()
    others = sorted(relative_name(path, root) for path in reader.targets if path not in chosen)
    return [*files, *(source / name for name in others), *tokenizer]


def ingest(config: DocumentsConfig, source: Path) -> Ingested:
    """Read and cut the documentation.

    Args:
        source: a folder of Markdown files, or one pre-chunked ``.json`` or ``.jsonl`` file.

    Raises:
        DataError: with file, and line, byte offset or record: nothing to read, a file that is not UTF-8 text, malformed
            front matter, a malformed record, or no text in any file.
    """
    log = ReadingLog()
    count = token_counter(config.tokenizer)
    read = read_prechunked if is_prechunked(source) else _read_folder
    chunks = read(source, config, count, log)
    return Ingested(chunks, _account(chunks, log))


def _read_folder(source: Path, config: DocumentsConfig, count: TokenCounter, log: ReadingLog) -> list[Chunk]:
    files = markdown_files(config, source, log)
    pages = _pages(files, source, log)
    placed = [Placed(page.source, page.front.module) for page in pages]
    modules = assign_modules(placed, source.resolve().name, config.languages)
    cut: list[CutFile] = []
    with ProgressBar("cutting documents", total=len(pages), unit="files") as bar:
        for page in pages:
            passages = chunk_page(page, count, config.chunk_tokens)
            if passages:
                submodule = page.front.submodule or page.front.title or first_title(page)
                cut.append(
                    CutFile(
                        source=page.source,
                        module=modules[page.source],
                        submodule=submodule or readable(file_stem(page.source)),
                        declared_language=_declared_language(page, config.languages, log),
                        passages=tuple(passages),
                    )
                )
            else:
                log.skip("file with nothing but front matter or comments" if page.filled else "empty file", page.source)
            bar.advance()
    if not cut:
        raise DataError(f"{source}: no text in any of the {len(files)} Markdown files under this folder")
    return relate(build_chunks(cut, config, count))


def _pages(files: Sequence[Path], source: Path, log: ReadingLog) -> list[Page]:
    """The pages that are documents of their own. Fragments are not, unless no page includes them and they have headings."""
    reader = PageReader(source, log)
    pages: list[Page] = []
    fragments: list[Path] = []
    with ProgressBar("reading documents", total=len(files), unit="files") as bar:
        for path in files:
            if is_fragment(relative_name(path, source)):
                fragments.append(path)
            else:
                pages.append(reader.read(path))
                bar.advance()
        for path in fragments:
            if path.resolve() not in reader.targets:
                page = reader.read(path)
                if any(block.depth for block in parse_blocks([line.text for line in page.lines])):
                    pages.append(page)
            bar.advance()
    _account_fragments(fragments, pages, reader, source, log)
    return sorted(pages, key=lambda page: page.source)


def _account_fragments(
    fragments: Sequence[Path], pages: Sequence[Page], reader: PageReader, source: Path, log: ReadingLog
) -> None:
    documents = {page.source for page in pages}
    for path in fragments:
        name = relative_name(path, source)
        if path.resolve() in reader.targets:
            log.counts["fragments read where they are included"] += 1
        elif name not in documents:
            log.skip("fragment that no page includes", name)


def _declared_language(page: Page, languages: Sequence[Language], log: ReadingLog) -> Language | None:
    """What the front matter says, ``tr-TR`` being ``tr``; an unknown one is noted and detection decides."""
    front: FrontMatter = page.front
    if front.language is None:
        return None
    code = front.language.lower().replace("_", "-").split("-")[0]
    if code in languages:
        return code
    log.skip(
        "front matter language that is not among documents.languages",
        page.source,
        line=front.language_line,
        what=front.language,
    )
    return None


def _account(chunks: Sequence[Chunk], log: ReadingLog) -> StageResult:
    counts = {
        "files": len({chunk.source for chunk in chunks}),
        "chunks": len(chunks),
        "tokens": sum(chunk.token_count for chunk in chunks),
    }
    languages = Counter(chunk.language for chunk in chunks)
    counts |= {f"chunks in {language}": languages[language] for language in sorted(languages)}
    counts |= {what: number for what, number in sorted(log.counts.items()) if number}
    sizes = sorted(chunk.token_count for chunk in chunks)
    details: dict[str, Any] = {
        "modules": _by_module(chunks),
        "chunk_tokens": {"smallest": sizes[0], "median": int(median(sizes)), "largest": sizes[-1]},
        "tables_named": sorted({table for chunk in chunks for table in chunk.db_tables}),
        "skipped": skip_rows(log.skips),
        "notes": skip_rows(log.notes),
    }
    return StageResult(counts, log.by_reason(), details)


def _by_module(chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """One row a module: files, chunks, tokens, in order of first appearance."""
    rows: dict[str, dict[str, Any]] = {}
    sources: dict[str, set[str]] = {}
    for chunk in chunks:
        row = rows.setdefault(chunk.module, {"module": chunk.module, "files": 0, "chunks": 0, "tokens": 0})
        sources.setdefault(chunk.module, set()).add(chunk.source)
        row["files"] = len(sources[chunk.module])
        row["chunks"] += 1
        row["tokens"] += chunk.token_count
    return list(rows.values())
