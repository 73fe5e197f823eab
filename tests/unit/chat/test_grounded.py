from __future__ import annotations

from typing import Any

import pytest

from groundtune.chat import (
    BUILTIN_TEMPLATES,
    decode,
    grounded_messages,
    render,
    render_context,
    tokenizer_with_template,
)
from groundtune.config import TURKISH_PROMPT
from groundtune.types import Chunk, Exchange


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


HISTORY = (Exchange("Lot nedir?", "Bir parti."), Exchange("Kim verir?", "Depo şefi."))
TURNS = grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], "Ne zaman?", "Kabulde.", history=HISTORY)


def test_after_a_history_the_context_stands_once_before_its_first_question() -> None:
    assert [message.role for message in TURNS] == ["system", *["user", "assistant"] * 3]
    first = grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], "Lot nedir?")
    assert TURNS[:2] == first
    assert [message.content for message in TURNS[3::2]] == ["Soru:\nKim verir?", "Soru:\nNe zaman?"]
    assert [message.content for message in TURNS[2::2]] == ["Bir parti.", "Depo şefi.", "Kabulde."]
    asked = grounded_messages(TURKISH_PROMPT, [chunk("Lot verilir.", "Stok")], "Ne zaman?", history=HISTORY)
    assert asked == TURNS[:-1]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    names = ("begin_of_text|", "end_of_text|", "start_header_id|", "end_header_id|", "eot_id|", "im_start|", "im_end|")
    special = [*(f"<|{name}>" for name in names), "<start_of_turn>", "<end_of_turn>"]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(
        ["Lot verilir."],
        trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")


@pytest.mark.parametrize("template", sorted(BUILTIN_TEMPLATES))
def test_of_a_conversation_only_the_last_answer_is_trained(tokenizer: Any, template: str) -> None:
    ready = tokenizer_with_template(tokenizer, template)
    rendered = render(ready, TURNS)
    trained = [token for token, kept in zip(rendered.token_ids, rendered.trained, strict=True) if kept]
    text = decode(ready, trained)
    assert text.lstrip().startswith("Kabulde.")
    assert "Bir parti." not in text
    assert "Depo şefi." not in text
    whole = decode(ready, rendered.token_ids)
    assert whole.index("Bir parti.") < whole.index("Depo şefi.") < whole.index("Kabulde.")
