"""The law of the chunker: every non-blank source line is in exactly one chunk, and its text is in that chunk."""

from __future__ import annotations

import tempfile
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import DocumentsConfig
from groundtune.documents import ingest
from groundtune.types import Chunk

CONFIG = DocumentsConfig(languages=("tr",), chunk_tokens=40)

WORDS = st.lists(
    st.sampled_from(
        ["lot", "makara", "ölçü", "İğne", "kablo", "e\u0301tude", "`stk_lots`", "**kalın**", "%12", "a < b"]
    ),
    min_size=1,
    max_size=12,
).map(" ".join)


@dataclass(frozen=True)
class Piece:
    """Lines of a generated document; `content` are those whose text must survive."""

    lines: tuple[str, ...]
    content: tuple[str, ...]


def plain(*lines: str) -> Piece:
    return Piece(lines, lines)


HEADING = st.one_of(
    st.builds(lambda depth, words: plain("#" * depth + " " + words), st.integers(1, 6), WORDS),
    st.builds(lambda words, mark: plain(words, mark * 5), WORDS, st.sampled_from("=-")),
)
PARAGRAPH = st.lists(WORDS.map(lambda words: words + "."), min_size=1, max_size=8).map(lambda lines: plain(*lines))
LIST = st.lists(
    st.tuples(st.sampled_from(["- ", "1. ", "* ", "  - ", "   "]), WORDS).map("".join), min_size=1, max_size=8
).map(lambda lines: plain("- first", *lines))
TABLE = st.lists(WORDS, min_size=1, max_size=8).map(
    lambda cells: plain("| a | b |", "|---|---|", *(f"| {cell} | x |" for cell in cells))
)
CODE = st.tuples(st.sampled_from(["```", "~~~", "~~~~"]), st.lists(WORDS, max_size=6)).map(
    lambda pair: plain(
        pair[0] + "sql", "# not a heading", *pair[1], "<!-- not a comment -->", "", "--- # code", pair[0]
    )
)
QUOTE = WORDS.map(lambda words: plain(f"> **Not:** {words}", "> # no heading of the outline"))
COMMENT = st.one_of(
    WORDS.map(lambda words: Piece((f"<!-- {words} -->",), ())),
    WORDS.map(lambda words: Piece(("<!--", "# hidden", "", f"| {words} |", "-->"), ())),
)
BODY = st.lists(st.one_of(HEADING, PARAGRAPH, LIST, TABLE, CODE, QUOTE, COMMENT), min_size=1, max_size=12)

FRAGMENTS = st.sampled_from(
    [
        "# H",
        "## I",
        "text.",
        "more text",
        "- a",
        "  - b",
        "1. x",
        "> q",
        "> - r",
        "--- ",
        "===",
        "---",
        "```",
        "~~~",
        "```sql",
        "    code",
        "<!-- c -->",
        "<!-- open",
        "close -->",
        "text <!-- a --> more",
        "`<!-- x -->`",
        "\\<!-- no",
        "> <!-- q",
        "> -->",
        "<table>",
        "</table>",
        "<div>",
        "[a]: /u",
        "!!! note",
        "\xa0",
        "é",
        "\ufeff",
        "x\u2028y",
        "[!INCLUDE [x](gone.md)]",
        "[!INCLUDE [x](part.md)]",
        '--8<-- "gone.md"',
        "#",
        "-",
        "\t- tab",
        "* * *",
        "| a | b |",
        "|---|---|",
        "| c | d |",
        "",
        "",
    ]
)


def chunks_of(raw: bytes, folder: Path) -> tuple[list[Chunk], dict[str, int]]:
    (folder / "page.md").write_bytes(raw)
    (folder / "part.md").write_text("# Part\n\none\n\n## Two\n\n```\ncode\n```\n", encoding="utf-8")
    ingested = ingest(CONFIG, folder)
    return [chunk for chunk in ingested.chunks if chunk.source == "page.md"], dict(ingested.result.skips)


def source_lines(raw: bytes) -> list[str]:
    text = raw.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return unicodedata.normalize("NFC", text).split("\n")


def check_ranges(raw: bytes, chunks: list[Chunk], skips: dict[str, int]) -> None:
    filled = [number for number, line in enumerate(source_lines(raw), start=1) if line.strip()]
    if not chunks:
        assert not filled or skips.get("file with nothing but front matter or comments") == 1
        return
    covered = [number for chunk in chunks for number in filled if chunk.line_start <= number <= chunk.line_end]
    assert covered == filled, "each line once, in order"
    for before, after in pairwise(chunks):
        assert before.line_start <= before.line_end < after.line_start
    assert all(chunk.text.strip() for chunk in chunks)


@settings(max_examples=tries(600), deadline=None)
@given(
    body=BODY,
    front=st.booleans(),
    mark=st.booleans(),
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    gap=st.integers(1, 2),
)
def test_every_line_of_a_document_is_in_one_chunk_and_its_text_too(
    body: list[Piece], front: bool, mark: bool, line_end: str, gap: int
) -> None:
    lines = ["---", "title: Başlık", "extra: [1, 2]", "---"] if front else []
    content: list[tuple[int, str]] = []
    for piece in body:
        rest = list(piece.content)
        for line in piece.lines:
            lines.append(line)
            if rest and rest[0] == line:
                content.append((len(lines), rest.pop(0)))
        lines += [""] * gap
    raw = ("\ufeff" * mark + line_end.join(lines)).encode("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        chunks, skips = chunks_of(raw, Path(folder))
    check_ranges(raw, chunks, skips)
    for number, line in content:
        owner = next(chunk for chunk in chunks if chunk.line_start <= number <= chunk.line_end)
        assert unicodedata.normalize("NFC", line) in owner.text.split("\n") or not line.strip()
    assert not any("# hidden" in chunk.text or "extra: [1" in chunk.text for chunk in chunks)


@settings(max_examples=tries(1500), deadline=None)
@given(lines=st.lists(FRAGMENTS, max_size=30), line_end=st.sampled_from(["\n", "\r\n"]))
def test_any_heap_of_markdown_lines_is_accounted_for(lines: list[str], line_end: str) -> None:
    raw = line_end.join(lines).encode("utf-8")
    with tempfile.TemporaryDirectory() as folder:
        chunks, skips = chunks_of(raw, Path(folder))
    if not chunks:
        return  # nothing but comments and failed includes; what a page without text is, other tests say
    check_ranges(raw, chunks, skips)


def test_front_matter_belongs_to_the_first_chunk_and_a_comment_to_the_one_around_it(tmp_path: Path) -> None:
    raw = b"---\ntitle: T\n---\n\n# A\n\none\n\n<!-- two\n\nthree -->\n\n# B\n\nfour\n\n<!-- five -->\n"
    chunks, _ = chunks_of(raw + b"word " * 60 + b"\n", tmp_path)
    assert [(chunk.line_start, chunk.line_end, chunk.section_heading) for chunk in chunks] == [
        (1, 11, "A"),
        (13, 18, "B"),
    ]
    assert chunks[0].text == "# A\n\none\n"[:-1]
