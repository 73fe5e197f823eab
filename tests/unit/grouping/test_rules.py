"""Each rule on a small hand-made documentation of three modules."""

from __future__ import annotations

from dataclasses import replace

import pytest

from groundtune.config import FlowConfig, FoundationConfig, GroupingConfig, RelationsConfig
from groundtune.errors import ConfigError
from groundtune.grouping import RULES, build_groups
from groundtune.types import Chunk, Group, Rule


def chunk(source: str, *path: str, text: str = "", refs: tuple[str, ...] = (), tables: tuple[str, ...] = ()) -> Chunk:
    """A chunk at the heading path ``module, submodule, section…``; its id is that path."""
    folder, _, name = source.rpartition("/")
    language = "en" if folder.startswith("en") else "tr"
    return Chunk(
        chunk_id="/".join((language, *path)),
        module=path[0],
        submodule=path[1],
        section_heading=path[-1],
        breadcrumb=path,
        language=language,
        text=f"# {path[-1]}\n\n{text}",
        token_count=100,
        has_table=False,
        has_code=False,
        references_modules=refs,
        db_tables=tables,
        depth=len(path) - 1,
        source=f"{folder}/{name}",
        line_start=1,
        line_end=3,
        sha256="",
    )


DOCUMENTATION = [
    chunk("stok/00-genel-bakis.md", "Stok", "Genel Bakış", text="Stok özeti."),
    chunk("stok/00-genel-bakis.md", "Stok", "Genel Bakış", "Veri alışverişi", refs=("Satış", "Üretim")),
    chunk("stok/01-lot.md", "Stok", "Lot Takibi", text="Lot, izlenen miktardır.", tables=("stk_lots",)),
    chunk("stok/01-lot.md", "Stok", "Lot Takibi", "Lot açma"),
    chunk("stok/01-lot.md", "Stok", "Lot Takibi", "Lot açma", "Adımlar"),
    chunk("stok/01-lot.md", "Stok", "Lot Takibi", "Lot açma", "Alanlar"),
    chunk("stok/01-lot.md", "Stok", "Lot Takibi", "Lot açma", "Sınırlar"),
    chunk("stok/02-sayim.md", "Stok", "Sayım"),
    chunk("stok/02-sayim.md", "Stok", "Sayım", "Alanlar"),
    chunk("stok/03-makara.md", "Stok", "Makara"),
    chunk("stok/03-makara.md", "Stok", "Makara", "Alanlar"),
    chunk("satis/00-genel-bakis.md", "Satış", "Genel Bakış"),
    chunk("satis/01-teklif.md", "Satış", "Teklif"),
    chunk("satis/02-siparis.md", "Satış", "Satış Siparişi", text="Siparişin ayrılan lotu: [Lot](../stok/01-lot.md).", refs=("Stok",)),
    chunk("satis/02-siparis.md", "Satış", "Satış Siparişi", "Veritabanı", text="stk_lots stk_lots", tables=("stk_lots",)),
    chunk("uretim/00-genel-bakis.md", "Üretim", "Genel Bakış"),
    chunk("uretim/01-is-emri.md", "Üretim", "İş Emri", text="İş emrinin sarfı Stok modülündeki Lot Takibi bölümündedir.", refs=("Stok",)),
    chunk("uretim/02-sarf.md", "Üretim", "Sarf", text="Sarf edilen lot okutulur.", refs=("Stok",), tables=("stk_lots",)),
    chunk("lab/00-genel-bakis.md", "Lab", "Genel Bakış"),
    chunk("lab/01-test.md", "Lab", "Test", text="Sonuç, lot takibinde görünür.", refs=("Stok",)),
]  # fmt: skip


def groups_of(rule: Rule, chunks: list[Chunk] = DOCUMENTATION, **relations: object) -> list[Group]:
    config = GroupingConfig(rules=(rule,), relations=RelationsConfig.model_validate(relations))
    return list(build_groups(chunks, config))


def sections_of(group: Group) -> list[str]:
    return ["/".join(chunk_id.split("/")[2:]) for chunk_id in group.chunk_ids]


def test_every_rule_has_a_function_in_the_order_of_the_contract() -> None:
    assert list(RULES) == list(Rule)


def test_individual_gives_each_chunk_a_group() -> None:
    groups = groups_of(Rule.INDIVIDUAL)
    assert [group.chunk_ids for group in groups] == [(chunk.chunk_id,) for chunk in DOCUMENTATION]
    assert groups[4].title == "Stok > Lot Takibi > Lot açma > Adımlar"
    assert groups[4].group_id == "individual-tr-0005"


def test_submodule_holds_all_its_chunks_in_reading_order() -> None:
    group = next(group for group in groups_of(Rule.SUBMODULE) if group.title == "Stok > Lot Takibi")
    assert group.chunk_ids == tuple(item.chunk_id for item in DOCUMENTATION[2:7])
    assert group.token_count == 500


def test_module_is_its_overview_and_the_introduction_of_each_submodule() -> None:
    groups = groups_of(Rule.MODULE)
    assert [group.title for group in groups] == ["Stok", "Satış", "Üretim", "Lab"]
    assert sections_of(groups[0]) == ["Genel Bakış", "Lot Takibi", "Sayım", "Makara"]


def test_the_overview_comes_first_wherever_its_file_lies() -> None:
    late = [replace(item, source=item.source.replace("00-genel-bakis", "zz-genel-bakis")) for item in DOCUMENTATION]
    late = [item for item in late if "zz" not in item.source] + [item for item in late if "zz" in item.source]
    assert sections_of(groups_of(Rule.MODULE, late)[0]) == ["Genel Bakış", "Lot Takibi", "Sayım", "Makara"]


def test_vertical_stack_runs_from_the_top_heading_to_the_deepest_section() -> None:
    groups = groups_of(Rule.VERTICAL_STACK)
    assert [sections_of(group) for group in groups] == [
        ["Lot Takibi", "Lot Takibi/Lot açma", "Lot Takibi/Lot açma/Adımlar"]
    ]


def test_a_level_without_text_of_its_own_does_not_break_a_stack() -> None:
    deeper = [*DOCUMENTATION, chunk("lab/01-test.md", "Lab", "Test", "Ölçüm", "Adımlar", "Sınırlar")]
    deeper += [chunk("lab/01-test.md", "Lab", "Test", "Ölçüm")]
    found = [sections_of(group) for group in groups_of(Rule.VERTICAL_STACK, deeper)]
    assert ["Test", "Test/Ölçüm", "Test/Ölçüm/Adımlar/Sınırlar"] in found


def test_siblings_are_the_same_heading_across_submodules_and_subsections_side_by_side() -> None:
    groups = groups_of(Rule.HORIZONTAL_SIBLINGS)
    assert [(group.title, sections_of(group)) for group in groups] == [
        ("Stok: Alanlar", ["Lot Takibi/Lot açma/Alanlar", "Sayım/Alanlar", "Makara/Alanlar"]),
        (
            "Stok > Lot Takibi > Lot açma",
            ["Lot Takibi/Lot açma/Adımlar", "Lot Takibi/Lot açma/Alanlar", "Lot Takibi/Lot açma/Sınırlar"],
        ),
    ]


def test_a_heading_spread_thinly_is_gathered_across_modules() -> None:
    roles = [chunk(f"{name}/00-genel-bakis.md", name, "Genel Bakış", "Roller") for name in ("Satış", "Üretim", "Lab")]
    groups = groups_of(Rule.HORIZONTAL_SIBLINGS, roles)
    assert [group.title for group in groups] == ["Roller: Satış, Üretim, Lab"]


def test_cross_module_follows_the_link_to_the_chunk_it_leads_to() -> None:
    group = next(group for group in groups_of(Rule.CROSS_MODULE) if group.title.startswith("Stok + Satış"))
    assert set(group.chunk_ids) == {"tr/Stok/Lot Takibi", "tr/Satış/Satış Siparişi"}


def test_overview_detail_leaves_the_level_between_out() -> None:
    groups = groups_of(Rule.OVERVIEW_DETAIL)
    assert [sections_of(group) for group in groups] == [
        ["Lot Takibi", "Lot Takibi/Lot açma/Adımlar", "Lot Takibi/Lot açma/Alanlar", "Lot Takibi/Lot açma/Sınırlar"]
    ]


def test_a_configured_flow_is_in_the_order_of_its_steps_with_suffixes_and_capitals_ignored() -> None:
    flow = FlowConfig(name="Akış", steps=("iş emri", "TEKLİF", "lot aç", "sarf edilen"))
    groups = groups_of(Rule.DATA_FLOW, flows=[flow])
    assert groups[0].title == "Akış"
    assert sections_of(groups[0]) == ["İş Emri", "Teklif", "Lot Takibi/Lot açma", "Sarf"]


@pytest.mark.parametrize("arrow", ["->", "→"])
def test_a_flow_written_with_arrows_is_found(arrow: str) -> None:
    written = chunk("satis/03.md", "Satış", "Akış", text=f"Sıra: teklif {arrow} satış siparişi {arrow} iş emri.")
    groups = groups_of(Rule.DATA_FLOW, [*DOCUMENTATION, written])
    assert [sections_of(group) for group in groups] == [["Teklif", "Satış Siparişi", "İş Emri"]]


def test_arrows_in_code_are_not_flows() -> None:
    code = chunk("satis/03.md", "Satış", "Akış", text="```\nteklif -> satış siparişi -> iş emri\n```")
    assert groups_of(Rule.DATA_FLOW, [*DOCUMENTATION, code]) == []


def test_a_submodule_that_three_other_modules_refer_to_is_a_foundation() -> None:
    groups = groups_of(Rule.FOUNDATION_CONSUMER)
    assert [group.title for group in groups] == ["Stok > Lot Takibi: Satış, Üretim, Lab"]
    assert sections_of(groups[0])[:2] == ["Lot Takibi", "Lot Takibi/Lot açma"]
    assert sections_of(groups[0])[2:] == ["Satış Siparişi", "İş Emri", "Test"]


def test_a_configured_foundation_prefers_the_chunk_that_names_it() -> None:
    foundation = FoundationConfig(foundation="stok > lot takibi", consumers=("Üretim",))
    group = groups_of(Rule.FOUNDATION_CONSUMER, foundations=[foundation])[0]
    assert sections_of(group)[2] == "İş Emri"


def test_a_table_named_in_several_modules_gives_one_group() -> None:
    groups = groups_of(Rule.SHARED_TABLES)
    assert [group.title for group in groups] == ["stk_lots: Stok, Satış, Üretim"]
    assert sections_of(groups[0]) == ["Lot Takibi", "Satış Siparişi/Veritabanı", "Sarf"]


def test_module_map_shows_all_overviews_then_the_modules_that_refer_to_each_other_most() -> None:
    groups = groups_of(Rule.MODULE_MAP)
    assert groups[0].chunk_ids == tuple(f"tr/{name}/Genel Bakış" for name in ("Stok", "Satış", "Üretim", "Lab"))
    assert groups[1].title == "Stok + Üretim"
    assert "tr/Stok/Genel Bakış/Veri alışverişi" in groups[1].chunk_ids


@pytest.mark.parametrize(
    ("relations", "expected"),
    [
        ({"flows": [{"name": "Akış", "steps": ["teklif", "satış sipraişi"]}]}, "'Satış Siparişi'"),
        ({"flows": [{"name": "Akış", "steps": ["teklif", "iş emri"], "language": "de"}]}, "languages found: tr"),
        ({"foundations": [{"foundation": "Stok > Lot Takbi", "consumers": ["Lab"]}]}, "'Stok > Lot Takibi'"),
        ({"foundations": [{"foundation": "Stok", "consumers": ["Lba"]}]}, "'Lab'"),
    ],
)
def test_a_relation_that_names_nothing_is_an_error_with_the_nearest_names(
    relations: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigError) as error:
        groups_of(Rule.INDIVIDUAL, **relations)
    assert expected in str(error.value)
    assert "grouping.relations" in str(error.value)
