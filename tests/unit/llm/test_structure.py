"""Passages are cut into blocks without losing or changing a letter."""

from hypothesis import given
from hypothesis import strategies as st

from groundtune.llm import Passage
from groundtune.llm.offline.sentences import split_sentences
from groundtune.llm.offline.structure import Code, ItemList, Paragraph, Table, plain, read_page, split_cells

LINES = st.one_of(
    st.sampled_from(
        [
            "## Lot etiketi",
            "1. Açın.",
            "2. Kapatın.",
            "   - iç madde",
            "- PVC: 365 gün",
            "* yıldız",
            "> **Not:** Silinmez.",
            "```",
            "```json",
            "| a | b |",
            "|---|---|",
            "| 1 | `x|y` |",
            "",
            "Süre 00.15'te biter. A.Ş. canlıdır; 147. lot budur.",
            "devam satırı",
            "\tgirinti",
        ]
    ),
    st.text(alphabet="abçĞıİ .?!:|`*_#>-123()[]\t", max_size=40),
)


@given(st.lists(LINES, max_size=14).map("\n".join))
def test_every_piece_is_a_verbatim_slice(text: str) -> None:
    for block in read_page(Passage(1, ("Stok", "Lot"), text)).blocks:
        pieces: list[str] = []
        if isinstance(block, Paragraph):
            pieces = [block.text, *split_sentences(block.text)]
        elif isinstance(block, ItemList):
            pieces = [block.text, *block.items]
        elif isinstance(block, Table):
            pieces = [row.text for row in block.rows]
        elif isinstance(block, Code):
            pieces = [block.body]
        assert all(piece in text for piece in pieces)


def test_blocks_know_the_headings_above_them() -> None:
    text = "# Lot Takibi\n\nLot budur.\n\n## Etiket\n\n- bir\n- iki\n\n### Alanlar\n\n| Alan | Tür |\n|---|---|\n| `a` | metin |"
    blocks = read_page(Passage(1, ("Stok", "Lot Takibi"), text)).blocks
    assert [(type(block).__name__, block.trail) for block in blocks] == [
        ("Paragraph", ("Stok", "Lot Takibi")),
        ("ItemList", ("Stok", "Lot Takibi", "Etiket")),
        ("Table", ("Stok", "Lot Takibi", "Etiket", "Alanlar")),
    ]


def test_code_is_never_read_as_a_list_or_table() -> None:
    (block,) = read_page(Passage(1, ("A",), "```sql\n- yorum\n| a | b |\n|---|---|\n```")).blocks
    assert isinstance(block, Code)
    assert block.language == "sql"


def test_a_list_remembers_the_line_that_introduces_it() -> None:
    _, block = read_page(Passage(1, ("A",), "Kontrolün üç sonucu vardır:\n\n- Kabul\n- Ret")).blocks
    assert isinstance(block, ItemList)
    assert block.intro == "Kontrolün üç sonucu vardır:"
    assert block.items == ("Kabul", "Ret")


def test_a_block_quote_loses_its_mark_and_label() -> None:
    (block,) = read_page(Passage(1, ("A",), "> **Not:** Alt lot bölünmez.")).blocks
    assert isinstance(block, Paragraph)
    assert block.text == "Alt lot bölünmez."


def test_rows_with_another_number_of_cells_are_left_out() -> None:
    (block,) = read_page(Passage(1, ("A",), "| a | b |\n|---|---|\n| 1 | 2 |\n| 3 |")).blocks
    assert isinstance(block, Table)
    assert [row.cells for row in block.rows] == [("1", "2")]


def test_escaped_pipes_do_not_cut_a_cell() -> None:
    assert split_cells(r"| a \| b | c |") == (r"a \| b", "c")


def test_identifiers_keep_their_underscores() -> None:
    assert plain("`stk_lots` ve sal_orders tablosu, __kalın__") == "`stk_lots` ve sal_orders tablosu, kalın"
