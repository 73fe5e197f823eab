"""Where in the documents a quote stands."""

from pathlib import Path

from groundtune.pipeline.quoting import Documents
from groundtune.types import Chunk

LINES = ["---", "title: İade", "---", "# İade", "", "İade süresi", "otuz gündür.", "", "Kargo ücretsizdir."]


def chunk(first: int, last: int, source: str = "iade.md") -> Chunk:
    text = "\n".join(LINES[max(first, 4) - 1 : last])  # front matter is no part of a passage
    named = {"chunk_id": "c", "module": "İade", "submodule": "", "section_heading": "İade", "language": "tr"}
    counted = {"token_count": 9, "depth": 1, "line_start": first, "line_end": last}
    told = {"has_table": False, "has_code": False, "references_modules": (), "db_tables": (), "breadcrumb": ("İade",)}
    return Chunk(text=text, source=source, sha256="", **named, **counted, **told)


def documents(folder: Path) -> Documents:
    (folder / "iade.md").write_text("\r\n".join(LINES), encoding="utf-8")
    return Documents(folder)


def test_a_quote_is_found_to_the_line_whatever_stands_before_it(tmp_path: Path) -> None:
    found = documents(tmp_path)
    assert found.quoted_lines(["otuz gündür."], chunk(1, 9)) == (7, 7)
    assert found.quoted_lines(["İade süresi\notuz gündür."], chunk(1, 9)) == (6, 7)
    assert found.quoted_lines(["Kargo ücretsizdir.", "otuz"], chunk(1, 9)) == (7, 9)
    assert found.quoted_lines(["Kargo"], chunk(9, 9)) == (9, 9)


def test_a_quote_that_stands_elsewhere_or_nowhere_has_no_lines(tmp_path: Path) -> None:
    found = documents(tmp_path)
    assert found.quoted_lines(["Kargo"], chunk(4, 7)) is None
    assert found.quoted_lines(["otuz", "kırk"], chunk(1, 9)) is None
    assert found.quoted_lines([], chunk(1, 9)) is None
    assert found.quoted_lines(["otuz"], chunk(1, 9, "gone.md")) is None
    assert Documents(None).quoted_lines(["otuz"], chunk(1, 9)) is None


def test_a_document_in_another_encoding_has_no_lines_rather_than_wrong_ones(tmp_path: Path) -> None:
    (tmp_path / "iade.md").write_bytes("\n".join(LINES).encode("cp1254"))
    assert Documents(tmp_path).quoted_lines(["otuz"], chunk(1, 9)) is None
