"""What the readers make of awkward files: marks, line ends, front matter, comments, includes, junk."""

from __future__ import annotations

from pathlib import Path

import pytest

from groundtune.config import DocumentsConfig
from groundtune.documents import Ingested, ingest, source_files
from groundtune.errors import DataError

CONFIG = DocumentsConfig(languages=("tr", "en"))


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return folder


def read(folder: Path, files: dict[str, str | bytes]) -> Ingested:
    return ingest(CONFIG, write(folder, files))


def text_of(folder: Path, content: str | bytes, **others: str | bytes) -> str:
    files = {"a.md": content} | {f"includes/{name}.md": text for name, text in others.items()}
    return read(folder, files).chunks[0].text


def test_bom_crlf_and_decomposed_letters_are_normalised_and_counted(tmp_path: Path) -> None:
    ingested = read(tmp_path, {"a.md": "\ufeff# Ölçu\u0308m\r\n\r\nbir\rki\r\n".encode()})
    assert ingested.chunks[0].text == "# Ölçüm\n\nbir\nki"
    assert ingested.chunks[0].section_heading == "Ölçüm"
    for what in ("files with a byte order mark", "files with CR or CR LF line ends", "files normalised to NFC"):
        assert ingested.result.counts[what] == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"# A\n\x00\x01\x02", "byte 4: found a NUL"),
        (b"# A \xff\xd8 B", "byte 4: found 0xff, not UTF-8"),
        (b"\xff\xfe#\x00 \x00A\x00", "UTF-16"),
        (b"\x89PNG\r\n\x1a\n\x00", "byte 0: found 0x89, not UTF-8"),
    ],
)
def test_binary_junk_named_md_is_refused_with_file_and_byte(tmp_path: Path, content: bytes, expected: str) -> None:
    with pytest.raises(DataError, match=r"junk\.md: byte \d+: ") as caught:
        read(tmp_path, {"good.md": "# A\n\ntext", "junk.md": content})
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("make", [lambda path: None, lambda path: path.mkdir(), lambda path: path.write_text("x")])
def test_missing_empty_or_wrong_source_is_one_clear_sentence(tmp_path: Path, make: object) -> None:
    source = tmp_path / "docs.txt"
    assert callable(make)
    make(source)
    for call in (ingest, source_files):
        with pytest.raises(DataError) as caught:
            call(CONFIG, source)
        assert str(source) in str(caught.value)
        assert "\n" not in str(caught.value)


def test_folder_without_markdown_says_so(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "x"})
    with pytest.raises(DataError, match="no Markdown files under"):
        ingest(CONFIG, tmp_path)


def test_folder_of_empty_files_is_an_error_and_one_empty_file_is_counted(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no text in any of the 2 Markdown files"):
        read(tmp_path, {"a.md": "", "b.md": " \n\n"})
    ingested = read(tmp_path, {"c.md": "# C\n\ntext", "d.md": "---\ntitle: D\n---\n<!-- later -->\n"})
    assert ingested.result.skips == {"empty file": 2, "file with nothing but front matter or comments": 1}
    assert [row["file"] for row in ingested.result.details["skipped"]] == ["a.md", "b.md", "d.md"]


def test_globs_choose_files_and_hidden_folders_are_counted(tmp_path: Path) -> None:
    write(
        tmp_path,
        {"a.md": "x", "old/b.md": "x", "old/deep/c.md": "x", ".git/d.md": "x", "e.markdown": "x", "f.txt": "x"},
    )
    config = DocumentsConfig(exclude=("old/**",))
    assert [path.name for path in source_files(config, tmp_path)] == ["a.md", "e.markdown"]
    assert ingest(config, tmp_path).result.skips == {"hidden file or folder": 1}


def test_front_matter_names_module_submodule_and_language(tmp_path: Path) -> None:
    front = "---\ntitle: Uzun Başlık\nmodule: Üretim\nsubmodule: 'İş Emri'\nlanguage: en-US\nrevision: 2026-09\n---\n"
    chunk = read(tmp_path, {"x/a.md": front + "# Baş\n\nBu metin aslında Türkçe yazılmıştır."}).chunks[0]
    assert (chunk.module, chunk.submodule, chunk.language) == ("Üretim", "İş Emri", "en")
    assert chunk.chunk_id == "erp-mod-uretim-en_chunk_001"
    assert chunk.breadcrumb == ("Üretim", "İş Emri", "Baş")


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("---\ntitle: [a\nmodule: b\n---\n# A", 3),
        ("---\ntitle: ok\nmodule: {a: 1}\n---\n# A", 3),
        ("---\ntitle: never closed\n# A", 1),
        ("---\na: 1\n- b\n---\n# A", 3),
    ],
)
def test_malformed_front_matter_names_file_and_line(tmp_path: Path, content: str, line: int) -> None:
    with pytest.raises(DataError, match=rf"a\.md:{line}: "):
        read(tmp_path, {"a.md": content})


def test_thematic_break_on_the_first_line_is_not_front_matter(tmp_path: Path) -> None:
    assert text_of(tmp_path, "---\n\nplain text\n\n---\n\nmore") == "---\n\nplain text\n\n---\n\nmore"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("one <!-- two --> three", "one  three"),
        ("one\n\n<!-- two\n\n# three\n-->\n\nfour", "one\n\nfour"),
        ("```html\n<!-- kept -->\n```", "```html\n<!-- kept -->\n```"),
        ("    <!-- kept: indented code -->", "    <!-- kept: indented code -->"),
        ("- item\n\n  ```\n  <!-- kept -->\n  ```", "- item\n\n  ```\n  <!-- kept -->\n  ```"),
        ("use `<!-- x -->` here", "use `<!-- x -->` here"),
        ("one <!-- never closed\n\n# two", "one <!-- never closed\n\n# two"),
        ("<!-- a --><!-- b -->one", "one"),
    ],
)
def test_comments_go_except_in_code(tmp_path: Path, content: str, expected: str) -> None:
    assert text_of(tmp_path, content) == expected


def test_comment_that_never_ends_hides_nothing_and_is_noted(tmp_path: Path) -> None:
    ingested = read(tmp_path, {"a.md": "# A\n\n" + "text " * 60 + "\n\n<!-- oops\n\n## B\n\n" + "word " * 60})
    assert [chunk.section_heading for chunk in ingested.chunks] == ["A", "B"]
    assert [(row["file"], row["line"]) for row in ingested.result.details["notes"]] == [("a.md", 5)]


def test_includes_expand_inline_as_blocks_and_nested(tmp_path: Path) -> None:
    text = text_of(
        tmp_path,
        "Open [!INCLUDE[p](includes/product.md)] now.\n\n> [!INCLUDE [n](includes/note.md)]\n\n- [!include [n](includes/note.md)]",
        product="---\nms.date: 1\n---\nBusiness Central\n",
        note="First.\n\nOf [!INCLUDE [p](product.md)].\n",
    )
    assert text == (
        "Open Business Central now.\n\n> First.\n>\n> Of Business Central.\n\n- First.\n\n  Of Business Central."
    )


def test_snippets_expand_even_in_code_and_docfx_includes_do_not(tmp_path: Path) -> None:
    body = '```py\n  --8<-- "includes/a.md"\n[!INCLUDE [a](includes/a.md)]\n```'
    assert text_of(tmp_path, body, a="x = 1\ny = 2\n") == "```py\n  x = 1\n  y = 2\n[!INCLUDE [a](includes/a.md)]\n```"


def test_missing_circular_and_outside_includes_are_skips_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret", encoding="utf-8")
    root = tmp_path / "docs"
    page = "# A\n\n[!INCLUDE [x](gone.md)]\n\n[!INCLUDE [x](includes/loop.md)]\n\n[!INCLUDE [x](../secret.md)]\n\nend"
    ingested = read(root, {"a.md": page, "includes/loop.md": "round [!INCLUDE [x](loop.md)] we go"})
    assert ingested.chunks[0].text.split() == ["#", "A", "round", "we", "go", "end"]
    rows = {(row["reason"], row["file"], row["line"]) for row in ingested.result.details["skipped"]}
    assert rows == {
        ("include target missing", "a.md", 3),
        ("include that includes itself", "includes/loop.md", 1),
        ("include target outside the documents folder", "a.md", 7),
    }


def test_included_lines_are_one_source_line_and_stay_in_one_chunk(tmp_path: Path) -> None:
    part = "\n\n".join(f"## Part {number}\n\n" + "word " * 80 for number in range(5))
    chunks = read(
        tmp_path,
        {
            "a.md": "# A\n\nintro\n\n[!INCLUDE [x](includes/part.md)]\n\n# B\n\nend " + "w " * 99,
            "includes/part.md": part,
        },
    ).chunks
    assert [(chunk.line_start, chunk.line_end) for chunk in chunks] == [(1, 5), (7, 9)]
    assert all(f"## Part {number}" in chunks[0].text for number in range(5))


def test_fragments_are_not_documents_when_included_and_inputs_in_any_case(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "a.md": "# A\n\n[!INCLUDE [x](includes/used.md)] [!INCLUDE [x](data/values.txt)]",
        "includes/used.md": "# Used\n\ntext",
        "includes/unused-piece.md": "Microsoft Word",
        "includes/unused-page.md": "# A page\n\nwith text",
        "data/values.txt": "42",
    }
    ingested = read(tmp_path, files)
    assert {chunk.source for chunk in ingested.chunks} == {"a.md", "includes/unused-page.md"}
    assert ingested.result.counts["fragments read where they are included"] == 1
    assert ingested.result.skips == {"fragment that no page includes": 1}
    inputs = [path.relative_to(tmp_path).as_posix() for path in source_files(CONFIG, tmp_path)]
    assert inputs == [
        "a.md",
        "includes/unused-page.md",
        "includes/unused-piece.md",
        "includes/used.md",
        "data/values.txt",
    ]


def test_endless_nesting_of_any_kind_is_met_with_a_sentence(tmp_path: Path) -> None:
    chain: dict[str, str | bytes] = {f"includes/{n}.md": f"{n} [!INCLUDE [x]({n + 1}.md)]" for n in range(300)}
    ingested = read(
        tmp_path / "chain", chain | {"a.md": "a [!INCLUDE [x](includes/0.md)] " + "[!INCLUDE [x](" + "y" * 999 + ")]"}
    )
    assert "include nested too deeply" in ingested.result.skips
    missing = [row for row in ingested.result.details["skipped"] if row["reason"] == "include target missing"]
    assert ("a.md", 1) in [(row["file"], row["line"]) for row in missing]
    with pytest.raises(DataError, match=r"a\.md:2: .*nested too deeply"):
        read(tmp_path / "yaml", {"a.md": "---\na: " + "[" * 5000 + "\n---\n"})
    (tmp_path / "c.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="too many brackets inside each other"):
        ingest(CONFIG, tmp_path / "c.json")
    quotes = read(
        tmp_path / "quotes", {"a.md": "> " * 3000 + "# deep\n\n" + "# *a" + " *a" * 20000 + "\n" + "{{" * 50000}
    )
    assert len(quotes.chunks) == 2


def test_fragments_that_double_themselves_are_stopped(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        f"includes/{n}.md": f"[!INCLUDE [x]({n + 1}.md)] [!INCLUDE [x]({n + 1}.md)]" for n in range(30)
    }
    files |= {"includes/30.md": "word " * 10, "a.md": "[!INCLUDE [x](includes/0.md)]"}
    with pytest.raises(DataError, match="untangled"):
        read(tmp_path, files)
