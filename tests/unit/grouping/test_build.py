from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.config import FlowConfig, FoundationConfig, GroupingConfig, RelationsConfig
from groundtune.grouping import build_groups, describe_groups
from groundtune.types import Chunk, Rule

BLANK = Chunk("", "", "", "", (), "tr", "", 100, False, False, (), (), 1, "a.md", 1, 1, "")
WORDS = ["lot", "makara", "sipariş", "bakır", "kablo", "iş emri", "fatura", "hat", "depo", "test"]
TABLES = ["stk_lots", "sal_orders", "prd_work_orders"]


def random_chunks(count: int, seed: int, *, modules: int = 5, submodules: int = 8) -> list[Chunk]:
    """Chunks with every kind of metadata, in a reading order; some long, some without a heading."""
    source = random.Random(f"chunks-{seed}")
    names = [f"Modül {number}" for number in range(modules)]
    chunks = []
    for place in range(count):
        module = names[place * modules // count]
        submodule = f"Bölüm {place * modules * submodules // count % submodules}"
        depth = source.randint(0, 4)
        breadcrumb = (module, submodule, *(source.choice(WORDS) for _ in range(max(0, depth - 1))))
        chunks.append(
            Chunk(
                chunk_id=f"c{place}",
                module=module,
                submodule=submodule,
                section_heading=breadcrumb[-1] if depth else "",
                breadcrumb=breadcrumb,
                language=source.choice(["tr", "tr", "en"]),
                text=" ".join(source.choice(WORDS) for _ in range(30)) + " [x](../Bölüm 1.md) a -> b -> c",
                token_count=source.choice([20, 150, 250, 3000]) if place % 7 else 200,
                has_table=False,
                has_code=False,
                references_modules=tuple(sorted(source.sample(names, source.randint(0, min(2, modules))))),
                db_tables=tuple(source.sample(TABLES, source.randint(0, 2))),
                depth=depth,
                source=f"{module}/{submodule}.md",
                line_start=1,
                line_end=1,
                sha256="",
            )
        )
    return chunks


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 16))
def test_groups_keep_every_promise_whatever_the_chunks(count: int, seed: int, modules: int, max_chunks: int) -> None:
    chunks = random_chunks(count, seed, modules=modules, submodules=3)
    known = {chunk.chunk_id: chunk for chunk in chunks}
    config = GroupingConfig(max_tokens=600, max_chunks=max_chunks)
    groups = build_groups(chunks, config)

    individual = [group for group in groups if group.rule is Rule.INDIVIDUAL]
    assert sorted(group.chunk_ids[0] for group in individual) == sorted(known)
    assert len({group.group_id for group in groups}) == len(groups)
    assert len({(group.rule, group.language, frozenset(group.chunk_ids)) for group in groups}) == len(groups)
    for group in groups:
        assert {known[name].language for name in group.chunk_ids} == {group.language}
        assert group.token_count == sum(known[name].token_count for name in group.chunk_ids)
        assert len(set(group.chunk_ids)) == len(group.chunk_ids)
        assert group.title
        if group.rule is not Rule.INDIVIDUAL:
            assert 2 <= len(group.chunk_ids) <= max_chunks
            assert group.token_count <= 600


def test_the_same_chunks_give_the_same_groups() -> None:
    config = GroupingConfig()
    assert build_groups(random_chunks(200, 1), config) == build_groups(random_chunks(200, 1), config)


def test_only_the_rules_of_the_configuration_run_in_the_order_of_the_contract() -> None:
    groups = build_groups(random_chunks(80, 2), GroupingConfig(rules=(Rule.MODULE, Rule.INDIVIDUAL)))
    assert list(dict.fromkeys(group.rule for group in groups)) == [Rule.INDIVIDUAL, Rule.MODULE]


def test_one_chunk_gives_one_group_and_the_others_are_counted() -> None:
    groups = build_groups([replace(BLANK, chunk_id="c1", section_heading="Giriş")], GroupingConfig())
    assert [(group.group_id, group.title) for group in groups] == [("individual-tr-0001", "Giriş")]
    assert groups.skips == {"group of one chunk only": 2}  # submodule and module


def test_no_chunks_give_no_groups() -> None:
    result = describe_groups(build_groups([], GroupingConfig()), [])
    assert result.counts["groups"] == 0
    assert len(result.details["rules"]) == len(Rule)


def test_documentation_without_modules_is_grouped_by_file() -> None:
    chunks = [replace(BLANK, chunk_id=f"c{number}", submodule=f"sayfa {number // 4}") for number in range(12)]
    groups = build_groups(chunks, GroupingConfig())
    assert [group.title for group in groups if group.rule is Rule.SUBMODULE] == ["sayfa 0", "sayfa 1", "sayfa 2"]
    assert {group.rule for group in groups} == {Rule.INDIVIDUAL, Rule.SUBMODULE, Rule.MODULE}


def test_a_chunk_over_the_limit_keeps_its_individual_group_and_is_counted_elsewhere() -> None:
    sizes = [100, 100, 900, 100, 100]
    chunks = [replace(BLANK, chunk_id=f"c{place}", submodule="s", token_count=size) for place, size in enumerate(sizes)]
    groups = build_groups(chunks, GroupingConfig(rules=(Rule.INDIVIDUAL, Rule.SUBMODULE), max_tokens=300))
    assert [group.chunk_ids for group in groups if group.rule is Rule.SUBMODULE] == [("c0", "c1"), ("c3", "c4")]
    assert groups.skips == {"chunk left alone by a cut": 1, "cut into several: over max_tokens": 1}
    assert sum(group.rule is Rule.INDIVIDUAL for group in groups) == 5


def test_every_part_of_a_cut_module_begins_with_its_overview() -> None:
    chunks = [
        replace(BLANK, chunk_id=f"c{number}", module="Stok", submodule=f"s{number}", token_count=200)
        for number in range(5)
    ]
    groups = build_groups(chunks, GroupingConfig(rules=(Rule.MODULE,), max_tokens=600))
    assert [(group.title, group.chunk_ids) for group in groups] == [
        ("Stok (1/2)", ("c0", "c1", "c2")),
        ("Stok (2/2)", ("c0", "c3", "c4")),
    ]


def test_the_same_group_twice_is_dropped_and_counted() -> None:
    chunks = [
        replace(BLANK, chunk_id=name, module=name, db_tables=("t_one", "t_two"), text="t_one t_two") for name in "ab"
    ]
    groups = build_groups(chunks, GroupingConfig(rules=(Rule.SHARED_TABLES,)))
    assert [group.title for group in groups] == ["t_one: a, b"]
    assert groups.skips == {"same chunks as another group of this rule": 1}


def test_a_foundation_that_a_second_language_lacks_is_no_error() -> None:
    chunks = [
        replace(BLANK, chunk_id=f"{language}-{name}", module=name, submodule="s", language=language, text="lot lot")
        for language, names in (("tr", ("Stok", "Lab")), ("en", ("Stok",)))
        for name in names
    ]
    relations = RelationsConfig(foundations=(FoundationConfig(foundation="Stok", consumers=("Lab",)),))
    groups = build_groups(chunks, GroupingConfig(rules=(Rule.FOUNDATION_CONSUMER,), relations=relations))
    assert [group.chunk_ids for group in groups] == [("tr-Stok", "tr-Lab")]


def test_a_flow_without_a_language_is_read_in_the_language_with_most_chunks() -> None:
    chunks = [
        replace(BLANK, chunk_id=f"{language}{number}", language=language, section_heading=heading)
        for language, headings in (("en", ("order",)), ("tr", ("Sipariş", "İş emri")))
        for number, heading in enumerate(headings)
    ]
    relations = RelationsConfig(flows=(FlowConfig(name="Akış", steps=("sipariş", "iş emri")),))
    groups = build_groups(chunks, GroupingConfig(rules=(Rule.DATA_FLOW,), relations=relations))
    assert [group.chunk_ids for group in groups] == [("tr0", "tr1")]


def test_the_table_by_rule_adds_up() -> None:
    chunks = random_chunks(120, 3)
    groups = build_groups(chunks, GroupingConfig())
    result = describe_groups(groups, chunks)
    rows = {row["rule"]: row for row in result.details["rules"]}
    assert list(rows) == [rule.value for rule in Rule]
    assert rows["individual"] == {
        "rule": "individual",
        "groups": 120,
        "tokens": sum(chunk.token_count for chunk in chunks),
        "chunks": 120,
        "coverage_percent": 100.0,
    }
    assert sum(row["groups"] for row in rows.values()) == result.counts["groups"] == len(groups)
    assert sum(row["tokens"] for row in rows.values()) == result.counts["tokens"]
    assert result.skips == groups.skips


def test_five_times_the_chunks_are_about_five_times_the_work() -> None:
    def work(count: int) -> int:
        """Lines executed: what a loaded machine does not change."""
        chunks = random_chunks(count, 4, modules=8, submodules=count // 50)
        lines = 0

        def count_lines(_frame: FrameType, _event: str, _argument: object) -> Callable[..., Any]:
            nonlocal lines
            lines += 1
            return count_lines

        before = sys.gettrace()
        sys.settrace(count_lines)
        try:
            build_groups(chunks, GroupingConfig())
        finally:
            sys.settrace(before)
        return lines

    # a quadratic step would be twenty-five times as much
    assert work(2_500) < 8 * work(500)
