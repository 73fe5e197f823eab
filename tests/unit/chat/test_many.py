"""The one law of the fast way: it gives what `render` gives, for every tokenizer and template, or goes through it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from groundtune.chat import LLAMA3_TEMPLATE, decode, many, render, render_examples, render_many, work
from groundtune.chat.outline import only_places_contents
from groundtune.chat.tokens import control_tokens
from groundtune.chat.turns import cut_at_turns
from groundtune.chat.words import WordEncoder
from groundtune.errors import TemplateError
from groundtune.types import Message

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
LLAMA3_SPECIAL = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
CHATML_SPECIAL = ("<|im_start|>", "<|im_end|>", "<|endoftext|>")
PROSE = (
    "Lot numarası mal kabulde verilir.\n\n## Lot Takibi\n\nDepo şefi EX-2'deki lotu onaylar; İade 2024'te sevk edilir.\n",
    "A lot number is given at goods receipt.\n\nThe warehouse lead approves it.\n\n\nfoo\n\nbar, they'll say: 12345!\n",
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# the shape of Llama 3's own template: contents trimmed, joined in a variable, the first one with the start token
JOINED = (
    "{% set loop_messages = messages %}{% for message in loop_messages %}"
    "{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}"
    "{% if loop.index0 == 0 %}{% set content = '<|begin_of_text|>' + content %}{% endif %}{{ content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
# the shape of Qwen's: a system message of its own where none is given
QWEN = (
    "{%- if messages[0]['role'] == 'system' %}{{- '<|im_start|>system\n' + messages[0]['content'] + '<|im_end|>\n' }}"
    "{%- else %}{{- '<|im_start|>system\nYou help.<|im_end|>\n' }}{%- endif %}"
    "{%- for message in messages %}{%- if message.role == 'user' or (message.role == 'system' and not loop.first) or "
    "(message.role == 'assistant' and not message.tool_calls) %}"
    "{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>' + '\n' }}{%- endif %}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\n' }}{%- endif %}"
)
PLACING = {"llama3": LLAMA3_TEMPLATE, "chatml": CHATML, "joined": JOINED, "qwen": QWEN}
LOOKING = {
    # the opening is trained with the answer, and what stands there depends on the content
    "thinking": CHATML.replace(
        "{{ m.content }}",
        "{{ '<t></t>' if m.role == 'assistant' and '<t>' not in m.content }}{{ m.content }}",
    ),
    "empty": CHATML.replace("{{ m.content }}", "{{ m.content or 'nothing' }}"),
    "opened": CHATML.replace("{{ m.content }}", "{{ '<t></t>' if m.role == 'assistant' }}{{ m.content }}"),
}
TEMPLATES = PLACING | LOOKING
LLAMA3_PIECES = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def bpe(pre_tokenizer: Any, normalizer: Any = None, special: Sequence[str] = LLAMA3_SPECIAL + CHATML_SPECIAL) -> Any:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        inner.normalizer = normalizer
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(PROSE * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=special[-1], clean_up_tokenization_spaces=False)


def split(expression: str) -> Any:
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(expression), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )


@lru_cache(maxsize=16)
def tokenizer(name: str, template: str = "llama3") -> Any:
    if template != "llama3":
        made = deepcopy(tokenizer(name))
    elif name == "ours":
        from groundtune.models import train_tokenizer

        made = train_tokenizer(PROSE * 20, vocab_size=420, chat_template=LLAMA3_TEMPLATE)
        made.add_special_tokens({"additional_special_tokens": list(CHATML_SPECIAL)})
    elif name == "gpt2":
        made = bpe(
            pre_tokenizers.Sequence([pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
        )
    elif name == "normalising":
        made = bpe(split(LLAMA3_PIECES), normalizers.NFC())
        made.add_tokens([AddedToken("<t>", special=False, normalized=False)])
    else:
        # a space in front of every text: nothing can be proven, all goes through render
        made = bpe(pre_tokenizers.ByteLevel(add_prefix_space=True))
    made.chat_template = TEMPLATES[template]
    return made


CONTROL_TEXTS = (*LLAMA3_SPECIAL, *CHATML_SPECIAL, "<|eot", "_id|>", "<t>", "</t>")
WHITE = ("\n", "\n\n", " ", "  ", " \n", "\t", "\r\n", "\u00a0", "\u3000", "\x1c", "\u2003", "\u200b")
WORDS = (
    "u\u0308retim",
    "\u0308",
    "\u1e9b\u0323",
    "İade",
    "ışık",
    "EX-2'deki",
    "lot",
    "foo",
    "bar,",
    "they'll",
    "12345",
    "a.b",
)
SIGNS = ("!", "🙂", "漢字", "\ue000")
PIECES = st.sampled_from((*CONTROL_TEXTS, *WHITE, *WORDS, *SIGNS))
TEXTS = st.one_of(
    st.text(max_size=30),
    st.lists(PIECES, max_size=10).map("".join),
    st.lists(PIECES, max_size=10).map(" ".join),
)
CONVERSATIONS = st.tuples(st.none() | TEXTS, st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=2)).map(
    lambda drawn: conversation(drawn[0], *(text for turn in drawn[1] for text in turn))
)


def conversation(system: str | None, *contents: str) -> tuple[Message, ...]:
    roles = ("user", "assistant") * (len(contents) // 2)
    told = tuple(Message(role, content) for role, content in zip(roles, contents, strict=True))  # type: ignore[arg-type]
    return told if system is None else (Message("system", system), *told)


def same_as_one_by_one(made: Any, conversations: Sequence[Sequence[Message]], **settings: Any) -> None:
    rendered = render_many(made, conversations, **settings)
    expected = [(index, each) for index, told in enumerate(conversations) for each in render_examples(made, told)]
    assert [rendered[index] for index in range(len(rendered))] == [each for _, each in expected]
    assert rendered.owners.tolist() == [index for index, _ in expected]


def accepted(made: Any, conversations: Sequence[Sequence[Message]]) -> list[tuple[Message, ...]]:
    kept = []
    for messages in conversations:
        try:
            render_examples(made, messages)
        except TemplateError:
            with pytest.raises(TemplateError, match=r"^conversation 1: "):
                render_many(made, [messages])
        else:
            kept.append(tuple(messages))
    return kept


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("name", ["ours", "gpt2", "normalising", "prefixing"])
def test_each_conversation_is_what_render_gives_for_it(name: str, template: str) -> None:
    made = tokenizer(name, template)

    @settings(max_examples=tries(50), deadline=None, database=None)
    @given(conversations=st.lists(CONVERSATIONS, min_size=1, max_size=5))
    def law(conversations: list[tuple[Message, ...]]) -> None:
        kept = accepted(made, conversations)
        same_as_one_by_one(made, kept)

    law()


@settings(max_examples=tries(1000), deadline=None)
@given(text=TEXTS, name=st.sampled_from(["ours", "gpt2", "normalising"]))
def test_words_one_by_one_are_the_ids_of_the_whole_text(text: str, name: str) -> None:
    made = tokenizer(name)
    words = WordEncoder.of(made, control_tokens(made))
    assert words is not None
    plain = words.added.sub("", text)
    if words.added.search(plain):
        return
    expected = made(plain, add_special_tokens=False)["input_ids"]
    (found,) = words.encode([plain])
    assert found is not None
    assert np.frombuffer(found, dtype=np.int32).tolist() == expected
    assert words.encode([plain]) == [found]


def test_the_fast_way_is_taken_where_it_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("went through render")

    monkeypatch.setattr(work, "render_examples", refuse)
    messages = conversation("Kısa yanıtla.", "Lot nedir?", "EX-2'deki parti.", "Why?", "They'll ask.")
    for name in ("ours", "gpt2", "normalising"):
        for template in TEMPLATES:
            rendered = render_many(tokenizer(name, template), [messages] * 3)
            assert set(rendered.owners.tolist()) == {0, 1, 2}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_places_contents_is_rendered_once(monkeypatch: pytest.MonkeyPatch, template: str) -> None:
    times = []

    def counting(*arguments: Any, **settings: Any) -> Any:
        times.append(1)
        return cut_at_turns(*arguments, **settings)

    monkeypatch.setattr(work, "cut_at_turns", counting)
    render_many(tokenizer("ours", template), [conversation("s", "u", f"lot {number}") for number in range(20)])
    assert len(times) == (1 if template in PLACING else 21 if template == "opened" else 20)


def test_control_token_text_in_a_message_stays_text() -> None:
    made = tokenizer("ours")
    conversations = [
        conversation("s", "u <|eot_id|> v", "a"),
        conversation("s", "u", "a<|eot_id|>"),
        # half of it in the content, half in the template
        conversation("s", "u<|eot_id", "a"),
        conversation("s", "u", "plain"),
    ]
    rendered = render_many(made, conversations)
    assert [rendered[index] for index in range(4)] == [render(made, messages) for messages in conversations]
    assert all(
        each.token_ids.count(made.convert_tokens_to_ids("<|eot_id|>")) == 3
        for each in map(rendered.__getitem__, range(4))
    )


def test_a_control_token_over_the_border_of_content_and_template_is_seen() -> None:
    template = CHATML.replace("{{ m.content }}", "{{ m.content }}|>")
    made = deepcopy(tokenizer("ours"))
    made.chat_template = template
    assert only_places_contents(template)
    kept = accepted(made, [conversation("s", "u<|eot_id", "a"), conversation("s<|im_end", "u", "a")])
    same_as_one_by_one(made, kept)


def test_the_columns_hold_the_conversations_one_behind_the_other() -> None:
    made = tokenizer("ours")
    conversations = [conversation(None, "u", "a"), conversation("s", "uu", "foo bar")]
    rendered = render_many(made, conversations)
    expected = [render(made, messages) for messages in conversations]
    assert rendered.token_ids.tolist() == expected[0].token_ids + expected[1].token_ids
    assert rendered.trained.tolist() == expected[0].trained + expected[1].trained
    assert rendered.offsets.tolist() == [0, len(expected[0].token_ids), len(rendered.token_ids)]
    assert (rendered.token_ids.dtype, rendered.trained.dtype, rendered.offsets.dtype) == (np.int32, np.bool_, np.int64)
    assert rendered[-1] == expected[1]
    with pytest.raises(IndexError):
        rendered[2]


def test_no_conversations_are_empty_columns() -> None:
    rendered = render_many(tokenizer("ours"), [])
    assert (len(rendered), len(rendered.token_ids), rendered.offsets.tolist()) == (0, 0, [0])


@pytest.mark.parametrize("processes", [1, 3])
def test_the_first_conversation_that_cannot_be_rendered_is_named(
    monkeypatch: pytest.MonkeyPatch, processes: int
) -> None:
    monkeypatch.setattr(many, "SHARE_CONVERSATIONS", 1)
    conversations = [conversation(None, "u", "a")] * 5 + [conversation(None, "u", " ")] * 2
    with pytest.raises(TemplateError, match=r"^conversation 6: message 2 .*expected an answer"):
        render_many(tokenizer("ours"), conversations, processes=processes)


def test_batches_and_processes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokenizer("ours")
    conversations = [conversation(f"s{number % 3}", f"lot {number}", f"foo {'bar ' * number}") for number in range(40)]
    whole = render_many(made, conversations)
    monkeypatch.setattr(work, "BATCH_CONVERSATIONS", 7)
    monkeypatch.setattr(many, "SHARE_CONVERSATIONS", 1)
    for processes in (1, 2, 3):
        parts = render_many(made, conversations, processes=processes)
        assert (parts.token_ids == whole.token_ids).all()
        assert (parts.trained == whole.trained).all()
        assert (parts.offsets == whole.offsets).all()


def test_a_memory_that_is_full_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    from groundtune.chat import words

    made = tokenizer("ours")
    monkeypatch.setattr(words, "MAX_CHARACTERS", 10)
    monkeypatch.setattr(work, "BATCH_CONVERSATIONS", 2)
    conversations = [conversation(None, f"lot {number} depo", f"foo {number}") for number in range(9)]
    rendered = render_many(made, conversations)
    assert [rendered[index] for index in range(9)] == [render(made, messages) for messages in conversations]


@pytest.mark.parametrize("template", PLACING)
def test_templates_that_place_contents_are_known_as_such(template: str) -> None:
    assert only_places_contents(TEMPLATES[template])


@pytest.mark.parametrize(
    "use",
    [
        "{% if m.content %}x{% endif %}",
        "{% if 'x' in m.content %}x{% endif %}",
        "{{ m.content | upper }}",
        "{{ m.content | length }}",
        "{{ (' ' ~ m.content) | trim }}",
        "{{ m.content[0] }}",
        "{{ m.content.split('x')[0] }}",
        "{{ 'x'.replace(m.content, '') }}",
        "{{ 'x%s' | format(m.content) }}",
        "{{ m | tojson }}",
        "{{ m }}",
        "{{ messages | string }}",
        "{% for key, value in m.items() %}{{ value }}{% endfor %}",
        "{% for letter in m.content %}{{ letter }}{% endfor %}",
        "{% set ns = namespace(text='') %}{% set ns.text = m.content %}",
        "{% set x = [m.content] %}{{ x | length }}",
        "{% set x = m.content %}{% if x == 'a' %}x{% endif %}",
        "{% if x == 'a' %}x{% endif %}{% set x = m.content %}",
        "{{ loop.previtem.content if loop.previtem else '' }}",
        "{% macro show(text) %}{{ text }}{% endmacro %}{{ show(m.content) }}",
        "{{ strftime_now('%Y') }}",
        "{{ m[m.role] }}",
        "{% filter upper %}{{ m.content }}{% endfilter %}",
        "{{ m.content if m.content else '' }}",
        "{% if not m.content %}x{% endif %}",
        "{% if m.content > 'a' or loop.first %}x{% endif %}",
    ],
)
def test_templates_that_look_into_contents_are_not_taken_for_granted(use: str) -> None:
    assert not only_places_contents("{% for m in messages %}" + use + "{% endfor %}")


@pytest.mark.skipif(not SHARED.is_dir(), reason="shared/data is not here")
def test_real_instructions_and_turkish_questions_are_rendered_alike() -> None:
    import json

    rows = json.loads((SHARED / "instruct_llamafactory" / "alpaca_en_demo.json").read_text(encoding="utf-8"))[:200]
    conversations = [conversation(None, row["instruction"] + "\n" + row["input"], row["output"]) for row in rows]
    for path in sorted((SHARED / "docs_tr_d365projops").rglob("*.md"))[:10]:
        text = path.read_text(encoding="utf-8")
        half = len(text) // 2
        if text[half:].strip():
            conversations.append(conversation("Kısa yanıtla.", text[:half], text[half:]))
    for name in ("ours", "gpt2", "normalising"):
        made = tokenizer(name)
        rendered = render_many(made, conversations)
        assert all(rendered[index] == render(made, messages) for index, messages in enumerate(conversations))


def test_weights_and_owners_stand_beside_the_tokens() -> None:
    made = tokenizer("ours")
    weighted = (Message("user", "u"), Message("assistant", "a", weight=0.5), *conversation(None, "v", "b"))
    rendered = render_many(made, [conversation(None, "u", "a"), weighted])
    assert (rendered.weights.dtype, rendered.owners.dtype) == (np.float32, np.int64)
    assert rendered.owners.tolist() == [0, 1]
    assert ((rendered.weights > 0) == rendered.trained).all()
    assert sorted(set(rendered[1].weights)) == [0.0, 0.5, 1.0]
    assert rendered[1] == render(made, weighted)


@pytest.mark.parametrize("train_on", ["last", "flagged"])
def test_the_turns_to_train_are_those_that_render_trains(train_on: Any) -> None:
    made = tokenizer("ours")
    flagged = (Message("user", "u"), Message("assistant", "a", train=True), *conversation(None, "v", "b"))
    rendered = render_many(made, [flagged], train_on=train_on)
    assert rendered[0] == render(made, flagged, train_on=train_on)
    assert decode(made, rendered.token_ids[rendered.trained].tolist()) == (
        "a<|eot_id|>" if train_on == "flagged" else "a<|eot_id|>b<|eot_id|>"
    )


def test_answers_that_join_their_header_are_parted_without_a_second_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    made = tokenizer("gpt2")
    conversations = [conversation("s", "u", name + " is one", "v", "a", "w", " b") for name in ("foo", "bar", "lot")]
    expected = [each for messages in conversations for each in render_examples(made, messages)]
    assert len(expected) == 9

    def refuse(*_: Any) -> Any:
        raise AssertionError("went through render")

    monkeypatch.setattr(work, "render_examples", refuse)
    rendered = render_many(made, conversations)
    assert [rendered[index] for index in range(len(rendered))] == expected
    assert rendered.owners.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("processes", [1, 2])
def test_refusals_are_collected_by_conversation(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    monkeypatch.setattr(many, "SHARE_CONVERSATIONS", 1)
    blank = conversation(None, "u", " ")
    conversations = [conversation(None, "u", "a"), blank, conversation(None, "u", "b"), blank]
    rendered = render_many(tokenizer("ours"), conversations, processes=processes, refusals="collect")
    assert rendered.owners.tolist() == [0, 2]
    assert list(rendered.refused) == [1, 3]
    assert rendered.refused[1].startswith("message 2 (assistant): found ' '")


def test_tools_and_thinking_are_given_one_each() -> None:
    with pytest.raises(ValueError, match="tools has 1 entries for 2 conversations"):
        render_many(tokenizer("ours"), [conversation(None, "u", "a")] * 2, tools=[()])
