"""Built-in chat templates, templates from files, and tokenizers that can or cannot use them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundtune.chat import (
    BUILTIN_TEMPLATES,
    LLAMA3_TEMPLATE,
    decode,
    load_template,
    render,
    render_examples,
    stop_token_ids,
    tokenizer_with_template,
)
from groundtune.chat.outline import only_places_contents
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

TALK = (
    Message("system", "Be brief."),
    Message("user", "Lot?"),
    Message("assistant", "A batch."),
    Message("user", "And?"),
    Message("assistant", "None."),
)
CONTROL = ("<|im_start|>", "<|im_end|>", "<start_of_turn>", "<end_of_turn>")


def tokenizer(*special: str, eos: str | None = "<|eot_id|>") -> Any:
    from groundtune.models import train_tokenizer

    made = train_tokenizer(["Lot numarası depoda verilir.\n"] * 20, vocab_size=300, chat_template=LLAMA3_TEMPLATE)
    made.add_special_tokens({"additional_special_tokens": list(special)})
    made.eos_token = eos
    made.chat_template = None
    return made


@pytest.mark.parametrize(
    ("name", "text", "spans"),
    [
        (
            "chatml",
            "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nLot?<|im_end|>\n<|im_start|>assistant\nA batch.<|im_end|>\n"
            "<|im_start|>user\nAnd?<|im_end|>\n<|im_start|>assistant\nNone.<|im_end|>\n",
            "A batch.<|im_end|>None.<|im_end|>",
        ),
        (
            "mistral",
            "<|begin_of_text|>[INST] Be brief.\n\nLot? [/INST] A batch.<|eot_id|>[INST] And? [/INST] None.<|eot_id|>",
            " A batch.<|eot_id|> None.<|eot_id|>",
        ),
        (
            "gemma",
            "<|begin_of_text|><start_of_turn>user\nBe brief.\n\nLot?<end_of_turn>\n<start_of_turn>model\nA batch.<end_of_turn>\n"
            "<start_of_turn>user\nAnd?<end_of_turn>\n<start_of_turn>model\nNone.<end_of_turn>\n",
            "A batch.<end_of_turn>None.<end_of_turn>",
        ),
        (
            "alpaca",
            "<|begin_of_text|>Be brief.\n\n### Instruction:\nLot?\n\n### Response:\nA batch.<|eot_id|>\n\n"
            "### Instruction:\nAnd?\n\n### Response:\nNone.<|eot_id|>\n\n",
            "A batch.<|eot_id|>None.<|eot_id|>",
        ),
        (
            "plain",
            "<|begin_of_text|>Be brief.\n\nUser:\nLot?\n\nAssistant:\nA batch.<|eot_id|>\n\nUser:\nAnd?\n\nAssistant:\nNone.<|eot_id|>\n\n",
            "A batch.<|eot_id|>None.<|eot_id|>",
        ),
    ],
)
def test_a_built_in_template_writes_this_and_trains_that(name: str, text: str, spans: str) -> None:
    made = tokenizer_with_template(tokenizer(*CONTROL), name)
    rendered = render(made, TALK)
    assert decode(made, rendered.token_ids) == text
    pairs = zip(rendered.token_ids, rendered.trained, strict=True)
    assert decode(made, [number for number, trained in pairs if trained]) == spans
    assert stop_token_ids(made)[0] == rendered.token_ids[len(rendered.trained) - 1 - rendered.trained[::-1].index(True)]


@pytest.mark.parametrize("name", BUILTIN_TEMPLATES)
def test_built_in_templates_can_be_rendered_once_for_many(name: str) -> None:
    assert only_places_contents(BUILTIN_TEMPLATES[name])


def test_chatml_holds_tools_thoughts_and_both_modes() -> None:
    made = tokenizer_with_template(tokenizer(*CONTROL), "chatml")
    call = ToolCall("find_lot", '{"lot": "A"}')
    messages = (
        TALK[1],
        Message("assistant", "Look.", thinking="Where?", tool_calls=(call,)),
        Message("tool", "here"),
        TALK[4],
    )
    rendered = render(made, messages, tools=['{"type": "function", "function": {"name": "find_lot"}}'], thinking=True)
    pairs = zip(rendered.token_ids, rendered.trained, strict=True)
    assert decode(made, [number for number, trained in pairs if trained]) == (
        '<think>\nWhere?\n</think>\n\nLook.\n<tool_call>\n{"name": "find_lot", "arguments": {"lot": "A"}}\n</tool_call><|im_end|>'
        "None.<|im_end|>"
    )
    (quiet,) = render_examples(made, (TALK[1], Message("assistant", "A batch.", thinking="Hm.")), thinking=False)
    assert decode(made, quiet.token_ids).endswith("assistant\n<think>\n\n</think>\n\nA batch.<|im_end|>\n")


@pytest.mark.parametrize("name", ["mistral", "gemma"])
def test_roles_that_do_not_take_turns_are_refused_in_the_templates_words(name: str) -> None:
    made = tokenizer_with_template(tokenizer(*CONTROL), name)
    with pytest.raises(TemplateError, match=r"take turns.*found user"):
        render(made, (TALK[1], TALK[1], TALK[2]))


def test_the_tokenizer_itself_is_left_as_it_was() -> None:
    before = tokenizer()
    after = tokenizer_with_template(before, "llama3")
    assert before.chat_template is None
    assert after.chat_template == LLAMA3_TEMPLATE == load_template("llama3")


def test_missing_control_tokens_are_named() -> None:
    with pytest.raises(TemplateError, match=r"<\|im_end\|>, <\|im_start\|>; expected"):
        tokenizer_with_template(tokenizer(), "chatml")
    with pytest.raises(TemplateError, match="<end_of_turn>, <start_of_turn>"):
        tokenizer_with_template(tokenizer(), "gemma")
    with pytest.raises(TemplateError, match="end-of-sequence"):
        tokenizer_with_template(tokenizer(eos=None), "plain")
    ordinary = tokenizer()
    ordinary.add_tokens(list(CONTROL))
    with pytest.raises(TemplateError, match=r"<\|im_end\|>"):
        tokenizer_with_template(ordinary, "chatml")


def test_a_template_from_a_file_is_used_as_it_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "own.jinja"
    path.write_text(
        "{#- <|never|> -#}{% for m in messages %}{{ m.content }}{{ eos_token }}{% endfor %}", encoding="utf-8"
    )
    made = tokenizer_with_template(tokenizer(), str(path))
    assert (
        decode(made, render(made, TALK).token_ids)
        == "Be brief.<|eot_id|>Lot?<|eot_id|>A batch.<|eot_id|>And?<|eot_id|>None.<|eot_id|>"
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{% for m in messages %}", "not a Jinja template"),
        (b"no template", "never asks for messages"),
        (b"\xff{{ messages }}", "UTF-8"),
    ],
)
def test_a_file_that_is_no_template_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "own.jinja"
    path.write_bytes(content)
    with pytest.raises(TemplateError, match=reason):
        load_template(str(path))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(TemplateError, match="did you mean 'chatml'"):
        load_template("chat_ml")
    with pytest.raises(TemplateError, match="check the path"):
        load_template("/nowhere/x.jinja")
