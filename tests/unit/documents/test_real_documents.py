"""The readers on real documentation: the sample in this repository, and third-party manuals where they are at hand."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import groundtune.documents
from groundtune.config import DocumentsConfig
from groundtune.documents import Ingested, ingest

REPOSITORY = Path(__file__).parents[3]
SAMPLE = REPOSITORY / "examples" / "cable-erp" / "docs"
THIRD_PARTY = REPOSITORY.parent / "shared" / "data"


def check_lines(ingested: Ingested, root: Path) -> None:
    for source in {chunk.source for chunk in ingested.chunks}:
        text = (root / source).read_text(encoding="utf-8-sig")
        filled = [number for number, line in enumerate(text.split("\n"), start=1) if line.strip()]
        ranges = [(chunk.line_start, chunk.line_end) for chunk in ingested.chunks if chunk.source == source]
        assert [n for start, end in ranges for n in filled if start <= n <= end] == filled, source


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample documentation is not there")
def test_sample_documentation_gives_its_modules_languages_and_tables() -> None:
    ingested = ingest(DocumentsConfig(), SAMPLE)
    check_lines(ingested, SAMPLE)
    modules = {chunk.module for chunk in ingested.chunks}
    assert modules == {"Admin", "Hammadde", "Stok", "Teknik", "Lab", "Üretim", "Satış", "Finans"}
    assert len(ingested.chunks) >= 150
    assert not ingested.result.skips
    for chunk in ingested.chunks:
        assert chunk.language == chunk.source[:2]
        assert all(
            table[:4] in ("adm_", "pur_", "stk_", "tec_", "lab_", "prd_", "sal_", "fin_") for table in chunk.db_tables
        )
    assert {"stk_lots", "pur_receipts", "fin_invoices", "prd_work_orders"} <= set(
        ingested.result.details["tables_named"]
    )


@pytest.mark.parametrize(
    "name", ["docs_tr_d365projops", "docs_en_inventree", pytest.param("docs_en_bc", marks=pytest.mark.slow)]
)
def test_third_party_manuals_are_accounted_for_line_by_line(name: str) -> None:
    root = THIRD_PARTY / name
    if not root.is_dir():
        pytest.skip(f"{root} is not there")
    ingested = ingest(DocumentsConfig(languages=("tr", "en")), root)
    check_lines(ingested, root)
    assert all(chunk.text.strip() for chunk in ingested.chunks)
    assert len({chunk.chunk_id for chunk in ingested.chunks}) == len(ingested.chunks)


@pytest.mark.parametrize("name", [module.name for module in pkgutil.iter_modules(groundtune.documents.__path__)])
def test_worked_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"groundtune.documents.{name}")).failed == 0
