"""Sentences, rows and code of a chunk; what pairs rest on; what is asked again."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.files import write_json
from groundtune.generation.coverage import coverage, split_units, uncovered_focus
from groundtune.generation.coverage.sentences import sentence_spans
from groundtune.generation.coverage.top_up import (
    MOST_CHARACTERS,
    MOST_QUOTES,
    NO_GROUP,
    OVER_LIMIT,
    QUOTES_LEFT,
    TOO_LITTLE,
)
from groundtune.types import Chunk, Difficulty, Evidence, Group, Pair, QuestionType, Rule

LOT = """## Lot

Lot numarası on iki hanelidir. Sayım yılda bir yapılır.

| Kod | Anlamı |
|---|---|
| STK-1 | Depo kapalı |
| STK-2 | Raf dolu |

```sql
SELECT lot_no FROM stk_lots;
```
"""


def chunk(name: str, text: str, *, module: str = "Stok", language: str = "tr") -> Chunk:
    return Chunk(name, module, "Alt", "Baş", (module,), language, text, 40, False, False, (), (), 2, "a.md", 1, 9, "0")


def resting_on(home: Chunk, *quotes: str, answerable: bool = True) -> Pair:
    places = [home.text.index(quote) for quote in quotes]
    evidence = tuple(
        Evidence(home.chunk_id, quote, start, start + len(quote)) for quote, start in zip(quotes, places, strict=True)
    )
    factual, easy = QuestionType.FACTUAL, Difficulty.EASY
    return Pair("p", "g", Rule.INDIVIDUAL, "tr", "S?", "C.", factual, easy, answerable, (home.chunk_id,), evidence, "w")


def words_of(home: Chunk, units) -> list[str]:
    return [home.text[unit.start : unit.end] for unit in units]


def sentences(text: str, language: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text, 0, len(text), language)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Tutar 1.250,50 TL'dir. Oran %12,5'tir.", "tr", ["Tutar 1.250,50 TL'dir.", "Oran %12,5'tir."]),
        ("Bkz. Ek 3. Kısım. Dr. Kaya onaylar.", "tr", ["Bkz. Ek 3. Kısım.", "Dr. Kaya onaylar."]),
        ("Makara, lot vb. girilir. Kablo vb. Sonra kapanır.", "tr", ["Makara, lot vb. girilir.", "Kablo vb.", "Sonra kapanır."]),
        ("Egeli Kablo A.Ş. üretir. İzmir'dedir.", "tr", ["Egeli Kablo A.Ş. üretir.", "İzmir'dedir."]),
        ("Sayım 2026. Sonra biter.", "tr", ["Sayım 2026.", "Sonra biter."]),
        ("See Fig. 3. Use e.g. A vs. B. No. 5 fails!", "en", ["See Fig. 3.", "Use e.g. A vs. B. No. 5 fails!"]),
        ("It took 12. Then it ended.", "en", ["It took 12.", "Then it ended."]),
        ("Press **Qty. Overview** now. `a. B` stays. (It is so.) Fine?", "en", ["Press **Qty. Overview** now.", "`a. B` stays.", "(It is so.)", "Fine?"]),
        ("Open [Qty. On Hand](a.md). Wait...  \nthen go", "en", ["Open [Qty. On Hand](a.md).", "Wait...", "then go"]),
        ("Call https://x.example/a.B?c=1. Then read v1.2 notes.", "en", ["Call https://x.example/a.B?c=1. Then read v1.2 notes."]),
    ],
)  # fmt: skip
def test_sentences_of_technical_prose(text: str, language: str, expected: list[str]) -> None:
    assert sentences(text, language) == expected


def test_a_chunk_is_cut_into_sentences_data_rows_and_code() -> None:
    units, skipped = split_units(LOT, "tr")
    assert [(unit.kind, LOT[unit.start : unit.end]) for unit in units] == [
        ("sentence", "Lot numarası on iki hanelidir."),
        ("sentence", "Sayım yılda bir yapılır."),
        ("row", "| STK-1 | Depo kapalı |"),
        ("row", "| STK-2 | Raf dolu |"),
        ("code", "SELECT lot_no FROM stk_lots;"),
    ]
    assert skipped == {"heading": 1, "table header": 1}


def test_list_items_are_units_without_their_marks() -> None:
    text = "Adımlar şunlardır:\n\n1. Kaydı iki kez açın.\n2. Lotu seçip\n   kaydedin.\n- [ ] Etiketi basın.\n> **Not:** Geri alınamaz kayıt."
    units, skipped = split_units(text, "tr")
    assert [text[unit.start : unit.end] for unit in units] == [
        "Kaydı iki kez açın.",
        "Lotu seçip\n   kaydedin.",
        "Etiketi basın.",
        "**Not:** Geri alınamaz kayıt.",
    ]
    assert skipped == {"lead-in that ends with a colon": 1}


def test_what_is_not_worth_a_question_is_counted_by_reason() -> None:
    text = (
        "Üst başlık\n==========\n\n[Lotlar](lot.md)\n\n![Ekran](a.png)\n\n- Bitiş tarihi\n\n<br/>\n\n---\n\n"
        "> [!NOTE]\n> Lot zorunludur.\n\n:::warning\n\n[a]: https://x.example\n\n{% include 'a' %}\n"
    )
    units, skipped = split_units(text, "tr")
    assert [text[unit.start : unit.end] for unit in units] == ["Lot zorunludur."]
    assert skipped == {"heading": 1, "links or images alone": 3, "very short": 1, "mark-up": 5}


def test_rows_of_a_table_whose_head_is_in_another_chunk_are_rows() -> None:
    text = "| STK-1 | Depo kapalı |\n| STK-2 | Raf dolu |"
    assert [unit.kind for unit in split_units(text, "tr")[0]] == ["row", "row"]


def test_a_table_without_outer_bars_and_code_that_is_never_closed_are_seen() -> None:
    text = "Kod | Anlamı\n--- | ---\nSTK-1 | Depo kapalı\n\n~~~\n| a | b | c |\nDELETE lot_no"
    assert [unit.kind for unit in split_units(text, "tr")[0]] == ["row", "code"]


MARKDOWN = st.text(alphabet="aBİı1. |-\n`*#>[]()!:=_~<x", max_size=120)


@settings(max_examples=tries(1600), deadline=None)
@given(MARKDOWN, st.sampled_from(["tr", "en"]))
def test_units_never_overlap_hold_no_outer_blanks_and_lie_in_the_text(text: str, language: str) -> None:
    units, _ = split_units(text, language)
    before = 0
    for unit in units:
        assert before <= unit.start < unit.end <= len(text)
        assert text[unit.start : unit.end].strip() == text[unit.start : unit.end]
        before = unit.end


@settings(max_examples=tries(800), deadline=None)
@given(MARKDOWN)
def test_a_pair_for_every_unit_covers_everything_and_none_covers_nothing(text: str) -> None:
    home = chunk("c", text)
    units, _ = split_units(text, "tr")
    evidence = tuple(Evidence("c", text[unit.start : unit.end], unit.start, unit.end) for unit in units)
    pairs = [replace(resting_on(home), evidence=evidence)]
    assert coverage([home], pairs).chunks[0].uncovered == ()
    assert len(coverage([home], []).chunks[0].uncovered) == len(units)


def test_a_quote_covers_what_it_touches_and_not_its_neighbours() -> None:
    home = chunk("c", LOT)
    found = coverage([home], [resting_on(home, "Sayım yılda bir yapılır."), resting_on(home, "Depo kapalı")])
    assert words_of(home, found.chunks[0].uncovered) == [
        "Lot numarası on iki hanelidir.",
        "| STK-2 | Raf dolu |",
        "SELECT lot_no FROM stk_lots;",
    ]
    assert found.chunks[0].covered


def test_the_ragged_edge_of_a_quote_covers_nothing_and_one_over_two_sentences_covers_both() -> None:
    home = chunk("c", LOT)
    ragged = coverage([home], [resting_on(home, "lidir. Sayım yılda bir yapılır.")])
    assert words_of(home, ragged.chunks[0].uncovered)[0] == "Lot numarası on iki hanelidir."
    both = coverage([home], [resting_on(home, "on iki hanelidir. Sayım yılda")])
    assert len(both.chunks[0].uncovered) == 3


def test_pairs_that_are_not_answerable_cover_nothing_and_evidence_elsewhere_is_counted() -> None:
    home, gone = chunk("c", LOT), chunk("gone", LOT)
    pairs = [resting_on(home, "Sayım yılda bir yapılır.", answerable=False), resting_on(gone, "STK-1", "STK-2")]
    found = coverage([home], pairs)
    assert not found.chunks[0].covered
    assert found.unplaced == 2


def test_totals_by_module_and_language_add_up() -> None:
    one, two = chunk("a", LOT), chunk("b", "Every drum has a number. It is printed.", module="Drums", language="en")
    three = chunk("c", "# Boş", module="Stok")
    found = coverage([one, two, three], [resting_on(one, "Sayım yılda bir yapılır.", "| STK-1 | Depo kapalı |")])
    assert found.totals.as_json() == {
        "chunks": 2,  # the third has nothing worth a question
        "chunks_covered": 1,
        "sentences": 4,
        "sentences_covered": 1,
        "rows": 2,
        "rows_covered": 1,
        "code": 1,
        "code_covered": 0,
        "share": 0.2857,  # 2 of 7
    }
    assert {name: totals.share for name, totals in found.by_module.items()} == {"Stok": 0.4, "Drums": 0.0}
    assert {name: totals.units["sentence"] for name, totals in found.by_language.items()} == {
        "tr": (1, 2),
        "en": (0, 2),
    }
    assert found.as_details()["coverage"] == {"chunks": 3, "cited": 1, "share": 0.3333}


def test_the_file_has_the_words_of_what_is_uncovered_and_is_the_same_twice(tmp_path: Path) -> None:
    home = chunk("c", LOT)
    for name in ("a.json", "b.json"):
        write_json(tmp_path / name, coverage([home], [resting_on(home, "STK-1 | Depo")]).as_json([home]))
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == (tmp_path / "b.json").read_text(encoding="utf-8")
    row = json.loads(text)["chunks"][0]
    assert (row["units"], row["units_covered"]) == (5, 1)
    assert row["uncovered"][2] == {
        "kind": "row",
        "start": LOT.index("| STK-2"),
        "end": LOT.index("| STK-2") + 20,
        "text": "| STK-2 | Raf dolu |",
    }


def group(group_id: str, rule: Rule, *chunk_ids: str, tokens: int = 100) -> Group:
    return Group(group_id, rule, "Baş", "tr", chunk_ids, tokens)


def test_a_chunk_is_asked_about_in_its_individual_group_with_its_uncovered_words() -> None:
    one, two = chunk("a", LOT), chunk("b", "Sayım yılda bir yapılır.")
    groups = [
        group("m", Rule.MODULE, "a", "b", tokens=10),
        group("i1", Rule.INDIVIDUAL, "a"),
        group("i2", Rule.INDIVIDUAL, "b"),
    ]
    pairs = [
        resting_on(two, "Sayım yılda bir yapılır."),
        resting_on(one, "Lot numarası on iki hanelidir.", "| STK-2 | Raf dolu |"),
    ]
    found = uncovered_focus(coverage([one, two], pairs), groups, [one, two])
    assert [(each.group_id, each.focus) for each in found] == [("i1", (1,))]
    assert found[0].quotes == ("Sayım yılda bir yapılır.", "| STK-1 | Depo kapalı |", "SELECT lot_no FROM stk_lots;")


def test_chunks_without_an_individual_group_share_the_smallest_group_they_are_in() -> None:
    one, two, three = (
        chunk("a", "Lot on iki hanelidir."),
        chunk("b", "Raf dolu sayılır."),
        chunk("c", "Sayım yılda birdir."),
    )
    groups = [group("big", Rule.MODULE, "a", "b", "c", tokens=90), group("small", Rule.SUBMODULE, "c", "a", tokens=50)]
    skips: Counter[str] = Counter()
    found = uncovered_focus(coverage([one, two, three], []), groups, [one, two, three], skips=skips)
    assert [(each.group_id, each.focus, each.quotes) for each in found] == [
        ("big", (2,), ("Raf dolu sayılır.",)),
        ("small", (1, 2), ("Sayım yılda birdir.", "Lot on iki hanelidir.")),
    ]
    assert not skips


def test_a_top_up_is_bounded_and_says_what_it_leaves() -> None:
    long = chunk("long", "\n\n".join(f"Kural {number} burada geçerlidir." for number in range(MOST_QUOTES + 3)))
    short, alone = (
        chunk("short", "Lot on iki hanelidir."),
        chunk("alone", "Raf dolu. Sayım yılda bir yapılır. Depo kapalı sayılır."),
    )
    tiny = chunk("tiny", "Depo kapalı sayılır.")
    groups = [
        group("i1", Rule.INDIVIDUAL, "short"),
        group("i2", Rule.INDIVIDUAL, "long"),
        group("i3", Rule.INDIVIDUAL, "tiny"),
    ]
    every = [long, short, alone, tiny]
    skips: Counter[str] = Counter()
    found = uncovered_focus(coverage(every, []), groups, every, limit=1, skips=skips)
    assert [each.group_id for each in found] == ["i2"]
    assert len(found[0].quotes) == MOST_QUOTES
    assert skips == {OVER_LIMIT: 2, QUOTES_LEFT: 3, NO_GROUP: 1}
    few: Counter[str] = Counter()
    assert [
        each.group_id for each in uncovered_focus(coverage(every, []), groups, every, min_uncovered=2, skips=few)
    ] == ["i2"]
    assert few[TOO_LITTLE] == 2


def test_code_gives_way_to_sentences_and_a_long_block_is_shown_by_its_beginning() -> None:
    text = "```\n" + "SELECT lot_no, bin_code FROM stk_lots;\n" * 40 + "```\n\n"
    text += "\n\n".join(f"Kural {number} burada geçerlidir." for number in range(MOST_QUOTES))
    home, groups = chunk("c", text), [group("i", Rule.INDIVIDUAL, "c")]
    quotes = uncovered_focus(coverage([home], []), groups, [home])[0].quotes
    assert all(quote.startswith("Kural") for quote in quotes)
    alone = chunk("c", text.split("\n\nKural")[0])
    (quote,) = uncovered_focus(coverage([alone], []), groups, [alone])[0].quotes
    assert len(quote) == MOST_CHARACTERS
    assert quote in alone.text
