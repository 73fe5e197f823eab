from __future__ import annotations

from groundtune.chat import grounded_messages, render_context
from groundtune.config import TURKISH_PROMPT
from groundtune.types import Chunk


def chunk(text: str, *breadcrumb: str) -> Chunk:
    return Chunk(
        chunk_id="x",
        module=breadcrumb[0] if breadcrumb else "",
        submodule="",
        section_heading=breadcrumb[-1] if breadcrumb else "",
        breadcrumb=breadcrumb,
        language="tr",
        text=text,
        token_count=1,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=2,
        source="a.md",
        line_start=1,
        line_end=1,
        sha256="",
    )


def test_passages_are_numbered_in_the_order_given_and_say_where_they_stand() -> None:
    context = render_context([chunk("Lot verilir.", "Stok", "Lot Takibi"), chunk("Depo açılır.\n", "Stok")])
    assert context == "[1] Stok > Lot Takibi\nLot verilir.\n\n[2] Stok\nDepo açılır."


def test_a_heading_that_opens_the_passage_is_not_said_twice() -> None:
    assert render_context([chunk("### Lot Takibi\nLot verilir.", "Stok", "Lot Takibi")]) == (
        "[1] Stok\n### Lot Takibi\nLot verilir."
    )


def test_of_a_long_path_the_two_ends_are_kept() -> None:
    assert render_context([chunk("x", "Stok", "Sayım", "Fark", "Onay", "Sınır")]) == "[1] Stok > … > Sınır\nx"


def test_a_passage_without_a_path_has_its_number_alone() -> None:
    assert render_context([chunk("x")]) == "[1]\nx"


def test_the_context_comes_before_the_question_and_the_answer_only_where_there_is_one() -> None:
    asked = grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], " Lot nedir? ")
    assert [message.role for message in asked] == ["system", "user"]
    assert asked[0].content == TURKISH_PROMPT.system
    assert asked[1].content == "Bağlam:\n[1] Stok\nLot verilir.\n\nSoru:\nLot nedir?"
    told = grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], " Lot nedir? ", "Bir parti.")
    assert told[:2] == asked
    assert (told[2].role, told[2].content) == ("assistant", "Bir parti.")


def test_questions_over_the_same_passages_share_everything_up_to_the_question() -> None:
    first, second = (
        grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], question)[1].content
        for question in ("Kim verir?", "Ne zaman?")
    )
    assert first.removesuffix("Kim verir?") == second.removesuffix("Ne zaman?")
