from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from groundtune.retrieval import Bm25Retriever
from groundtune.types import Chunk, Hit, Retriever

BLANK = Chunk("", "", "", "", (), "tr", "", 100, False, False, (), (), 1, "a.md", 1, 1, "")


def chunk(name: str, text: str, *, language: str = "tr", path: tuple[str, ...] = ()) -> Chunk:
    return replace(
        BLANK, chunk_id=name, text=text, language=language, breadcrumb=path, section_heading="".join(path[-1:])
    )


CHUNKS = [
    chunk(
        "lot", "Lot, aynı giriş belgesiyle gelen miktardır. `lot_no` alanında saklanır.", path=("Stok", "Lot Takibi")
    ),
    chunk("drum", "Makaranın darası karta yazılır; hata kodu STK-204 olur.", path=("Stok", "Makara Yönetimi")),
    chunk("order", "Satış siparişi SAS-2026-00412 onaylanınca kesinleşir.", path=("Satış", "Sipariş")),
    chunk("line", "EX-2'de ekstrüzyon hızı NYY 4x16 için 40 m/dakikadır.", path=("Üretim", "Hatlar")),
    chunk("lot-en", "A lot is a quantity received on one document.", language="en", path=("Stok", "Lot Tracking")),
    chunk(
        "order-en", "Orders are released by the planner; error STK-204.", language="en", path=("Üretim", "Work Order")
    ),
]


def names(hits: list[Hit]) -> list[str]:
    return [hit.chunk.chunk_id for hit in hits]


@pytest.fixture(scope="module")
def retriever() -> Bm25Retriever:
    return Bm25Retriever(CHUNKS)


def test_it_is_a_retriever(retriever: Bm25Retriever) -> None:
    as_protocol: Retriever = retriever
    assert as_protocol.search("lot", top_k=1)[0].score > 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Siparişler ne zaman kesinleşiyor?", "order"),
        ("makara darasi nereye yazilir", "drum"),
        ("00412", "order"),
        ("SAS-2026-00412 nedir?", "order"),
        ("EX-2 hızı", "line"),
        ("4x16", "line"),
        ("lot_no", "lot"),
        ("Lot takibi nedir", "lot"),
    ],
)
def test_the_chunk_that_answers_comes_first(retriever: Bm25Retriever, query: str, expected: str) -> None:
    assert names(retriever.search(query, top_k=3, language="tr"))[0] == expected


def test_only_chunks_of_the_language_are_found(retriever: Bm25Retriever) -> None:
    assert names(retriever.search("STK-204", top_k=5, language="tr")) == ["drum"]
    assert names(retriever.search("STK-204", top_k=5, language="en")) == ["order-en"]
    assert set(names(retriever.search("STK-204", top_k=5))) == {"drum", "order-en"}
    assert retriever.search("STK-204", top_k=5, language="de") == []


def test_without_a_language_stop_words_of_every_language_are_left_out() -> None:
    chunks = [chunk("a", "the the which"), chunk("b", "lot order", language="en")]
    assert names(Bm25Retriever(chunks).search("which is the order", top_k=5)) == ["b"]


@pytest.mark.parametrize("query", ["", "   ", "?!", "nasıl ve ne için", "zürafa"])
def test_a_query_that_matches_nothing_finds_nothing(retriever: Bm25Retriever, query: str) -> None:
    assert retriever.search(query, top_k=3, language="tr") == []


def test_scores_fall_and_never_reach_zero(retriever: Bm25Retriever) -> None:
    hits = retriever.search("lot makara sipariş", top_k=6)
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    assert all(score > 0 for score in scores)


def test_equal_scores_keep_the_order_of_the_chunks() -> None:
    same = [chunk(f"c{number}", "kablo") for number in range(30)]
    assert names(Bm25Retriever(same).search("kablo", top_k=5)) == ["c0", "c1", "c2", "c3", "c4"]


def test_top_k_limits_the_hits(retriever: Bm25Retriever) -> None:
    assert len(retriever.search("lot stok", top_k=1)) == 1
    assert retriever.search("lot", top_k=0) == []


def test_nearest_leaves_out_the_chunk_itself_and_other_languages(retriever: Bm25Retriever) -> None:
    assert names(retriever.nearest(CHUNKS[0], 1)) == ["drum"]  # the same module, "Stok"
    assert "lot" not in names(retriever.nearest(CHUNKS[0], 10))
    assert all(hit.chunk.language == "en" for hit in retriever.nearest(CHUNKS[4], 10))


def test_nearest_of_a_chunk_that_is_not_in_the_index(retriever: Bm25Retriever) -> None:
    assert names(retriever.nearest(chunk("new", "makaranın darası"), 1)) == ["drum"]


@pytest.mark.parametrize("chunks", [[], [chunk("a", "")], [chunk("a", "ve"), chunk("b", "ile")]])
def test_chunks_without_terms_are_no_hindrance(chunks: list[Chunk]) -> None:
    assert Bm25Retriever(chunks).search("lot", top_k=3) == []


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    Bm25Retriever(CHUNKS).search("lot", top_k=3)
    assert capfd.readouterr() == ("", "")


def test_scores_do_not_depend_on_the_hash_seed() -> None:
    program = (
        "from dataclasses import replace\n"
        "from groundtune.retrieval import Bm25Retriever\n"
        "from groundtune.types import Chunk\n"
        "blank = Chunk('', '', '', '', (), 'tr', '', 1, False, False, (), (), 1, 'a', 1, 1, '')\n"
        "words = 'lot makara sipariş kablo depo hat fatura test'.split()\n"
        "chunks = [replace(blank, chunk_id=str(n), text=' '.join(words[n % 5:][:4])) for n in range(20)]\n"
        "hits = Bm25Retriever(chunks).nearest(chunks[3], 20)\n"
        "print([(hit.chunk.chunk_id, hit.score.hex()) for hit in hits])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1


def test_three_hundred_chunks_are_indexed_in_well_under_a_second() -> None:
    chunks = [
        chunk(f"c{n}", " ".join(f"kelime{(n * 7 + k * k) % 3000} sipariş" for k in range(80))) for n in range(300)
    ]
    Bm25Retriever(chunks[:1])  # imports
    started = time.process_time()
    Bm25Retriever(chunks).search("sipariş", top_k=3)
    assert time.process_time() - started < 1.0
