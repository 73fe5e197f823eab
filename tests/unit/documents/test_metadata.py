"""Modules, ids, languages, references and database tables of chunks."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from groundtune.config import DocumentsConfig
from groundtune.documents import Ingested, ingest
from groundtune.types import Chunk

CONFIG = DocumentsConfig(languages=("tr", "en"))
TURKISH = "Bu bölüm, depodaki malzemenin hangi lottan geldiğini ve nerede bulunduğunu gösteren ekranı açıklar. " * 2
ENGLISH = "This section describes the screen that shows which lot a material came from and where it is stored. " * 2


def read(folder: Path, files: dict[str, str], config: DocumentsConfig = CONFIG) -> Ingested:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return ingest(config, folder)


def modules(ingested: Ingested) -> dict[str, str]:
    return {chunk.source: chunk.module for chunk in ingested.chunks}


def test_ids_count_from_one_across_the_files_of_a_module_and_language(tmp_path: Path) -> None:
    files = {
        "tr/uretim/a.md": f"---\nmodule: Üretim\n---\n# A\n\n{TURKISH}\n\n# B\n\n{TURKISH}",
        "tr/uretim/b.md": f"# C\n\n{TURKISH}\n\n# D\n\n{ENGLISH}",
        "en/uretim/a.md": f"---\nmodule: Uretim\n---\n# E\n\n{ENGLISH}",
    }
    chunks = read(tmp_path, files).chunks
    assert [(chunk.chunk_id.removeprefix("erp-mod-"), chunk.section_heading) for chunk in chunks] == [
        ("uretim-en_chunk_001", "E"),
        ("uretim-tr_chunk_001", "A"),
        ("uretim-tr_chunk_002", "B"),
        ("uretim-tr_chunk_003", "C"),
        ("uretim-en_chunk_002", "D"),
    ]
    assert all(chunk.sha256 == hashlib.sha256(chunk.text.encode()).hexdigest() for chunk in chunks)


def test_module_comes_from_folders_without_those_that_say_nothing(tmp_path: Path) -> None:
    names = [
        "README.md",
        "articles/tr/sales/a.md",
        "articles/tr/project-accounting/b.md",
        "articles/en/sales/deep/c.md",
    ]
    found = modules(read(tmp_path / "docs_tr_erp", dict.fromkeys(names, f"# X\n\n{TURKISH}")))
    assert [found[name] for name in names] == ["Erp", "Sales", "Project accounting", "Sales"]


def test_module_of_flat_files_comes_from_a_prefix_that_several_share(tmp_path: Path) -> None:
    names = ["sales-a.md", "sales-b.md", "sales-c.md", "stock-a.md", "01-how-to.md", "faq.md"]
    found = modules(read(tmp_path / "manual", dict.fromkeys(names, f"# X\n\n{TURKISH}")))
    assert [found[name] for name in names] == ["Sales"] * 3 + ["Manual"] * 3


def test_files_take_the_module_that_the_rest_of_their_folder_declares(tmp_path: Path) -> None:
    found = modules(
        read(tmp_path, {"uretim/a.md": "---\nmodule: Üretim\n---\ntext", "uretim/b.md": "text", "lab/c.md": "x"})
    )
    assert found == {"uretim/a.md": "Üretim", "uretim/b.md": "Üretim", "lab/c.md": "Lab"}


@pytest.mark.parametrize(
    ("content", "submodule"),
    [
        ("---\nsubmodule: Sub\ntitle: Title\n---\n# H", "Sub"),
        ("---\ntitle: Title\n---\n# H", "Title"),
        ("intro\n\n# <a name='x'></a>**H** of `x` {#id}", "H of x"),
        ("## no top heading", "Lot takibi"),
    ],
)
def test_submodule_is_the_best_name_the_file_offers(tmp_path: Path, content: str, submodule: str) -> None:
    assert read(tmp_path, {"stok/02-lot-takibi.md": content}).chunks[0].submodule == submodule


def test_language_is_of_the_prose_and_of_the_file_where_there_is_little(tmp_path: Path) -> None:
    code = "```python\n" + "# this is an English comment about warehouses and lots\n" * 6 + "```"
    page = (
        f"# A\n\n{TURKISH}\n\n# B\n\n{ENGLISH}\n\n# C\n\n{code}\n\n# D\n\n| field | meaning of the field |\n|---|---|\n"
        + ("| one | the number of the order |\n" * 8)
    )
    assert [chunk.language for chunk in read(tmp_path, {"a.md": page}).chunks] == ["tr", "en", "tr", "tr"]


def test_language_folder_decides_for_a_file_without_prose(tmp_path: Path) -> None:
    chunks = read(tmp_path, {"en/a.md": "# 1\n\n`x`", "tr/b.md": "# 2\n\n`y`"}).chunks
    assert [chunk.language for chunk in chunks] == ["en", "tr"]


CORPUS = {
    "stok/a.md": "---\nmodule: Stok\n---\n# Stok Modülü\n\nStok miktarı artar.",
    "lab/a.md": "---\nmodule: Lab\n---\n# Lab\n\nTest.",
    "uretim/a.md": "---\nmodule: Üretim\n---\n# Ü\n\nİş.",
    "en/stok/a.md": "---\nmodule: Stok\n---\n# Stock Module\n\nText.",
}


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Ayrıntı için Stok modülündeki bölüme bakın.", ("Stok",)),
        ("Kayıt stok modülünde açılır.", ("Stok",)),
        ("Stok, Lab ve Üretim modülleri birlikte çalışır.", ("Lab", "Stok", "Üretim")),
        ("Numune Lab'a gönderilir; ÜRETİM'e değil.", ("Lab",)),
        ("**Stok > Lotlar > Yeni** ekranını açın.", ("Stok",)),
        ("- **Stok ve Üretim:** bildirim", ("Stok", "Üretim")),
        ("Sonuç oradan Lab üzerinden gelir.", ("Lab",)),
        ("Ayrıntı [burada](../lab/a.md#x).", ("Lab",)),
        ("The result reaches the Stock module.", ("Stok",)),
        ("| Lab | sonuç |", ("Lab",)),
        ("Depodaki stok ve üretim miktarı azalır.", ()),
        ("Stok miktarı azalınca uyarı verilir.", ()),
        ("Laboratuvar ve Stoklama ayrı işlerdir.", ()),
        ("Ekrandaki Stok Miktarı alanı doludur.", ()),
        ("`Stok` ve `Lab'a` koddur.", ()),
        ("Satış modülü kendisidir.", ()),
    ],
)
def test_modules_are_found_as_names_and_not_as_words(tmp_path: Path, sentence: str, expected: tuple[str, ...]) -> None:
    page = f"---\nmodule: Satış\n---\n# Satış\n\n{sentence}"
    chunks = read(tmp_path, CORPUS | {"satis/a.md": page}).chunks
    assert next(chunk for chunk in chunks if chunk.module == "Satış").references_modules == expected


def tables(folder: Path, *pages: str) -> list[tuple[str, ...]]:
    chunks: list[Chunk] = read(folder, {f"{index}.md": page for index, page in enumerate(pages)}).chunks
    return [chunk.db_tables for chunk in chunks]


def test_tables_are_those_of_sql_and_of_the_word_table(tmp_path: Path) -> None:
    sql = "# A\n\n```sql\nWITH top_lots AS (SELECT lot_no FROM stk_lots)\nselect * from top_lots join dbo.tec_items on a.lot_no = b.lot_no;\n```"
    assert tables(
        tmp_path,
        sql,
        "`lot_no` alanı `pur_receipts` tablosundadır; `fin_accounts` ve `fin_invoices` tablolarına yazılır.",
        "The `sal_orders` table; tables: `sal_quotes`, `sal_returns`. From here, `from_here` on.",
        "`stk_lots.receipt_no` alanı ve `tec_bom` tablosunda `parent_code`.",
    ) == [
        ("stk_lots", "tec_items"),
        ("fin_accounts", "fin_invoices", "pur_receipts"),
        ("sal_orders", "sal_quotes", "sal_returns"),
        ("stk_lots", "tec_bom"),
    ]


def test_prefix_of_confirmed_tables_confirms_more_but_never_fields(tmp_path: Path) -> None:
    found = tables(
        tmp_path,
        "`stk_lots` tablosu ve `stk_drums` tablosu. Ayrıca `stk_moves` tutulur, `stk_key` de.",
        '`lot_no`, `lot_qty`, `lot_date` alanları.\n\n```json\n{"stk_key": 1}\n```',
    )
    assert found == [("stk_drums", "stk_lots", "stk_moves"), ()]


def test_account_adds_up_and_can_be_written_as_json(tmp_path: Path) -> None:
    ingested = read(tmp_path, CORPUS)
    counts, rows = ingested.result.counts, ingested.result.details["modules"]
    assert counts["chunks"] == len(ingested.chunks) == sum(row["chunks"] for row in rows)
    assert counts["tokens"] == sum(chunk.token_count for chunk in ingested.chunks) == sum(row["tokens"] for row in rows)
    assert counts["files"] == 4 == sum(row["files"] for row in rows)
    assert str(tmp_path) not in json.dumps(ingested.result.details, ensure_ascii=False)
    assert ingest(CONFIG, tmp_path) == ingested
