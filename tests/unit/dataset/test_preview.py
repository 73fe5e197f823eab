from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.chat import LLAMA3_TEMPLATE, decode, render
from groundtune.config import DataConfig
from groundtune.dataset.preview import preview_tokens, token_texts
from groundtune.errors import DataError
from groundtune.types import Conversation, Difficulty, Example, Message, Origin, QuestionType, Rule

SPECIAL = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


@lru_cache(maxsize=1)
def made_tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator(["Lot numarası nedir?\n\n"] * 9, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<|eot_id|>")
    made.chat_template = LLAMA3_TEMPLATE
    return made


@pytest.fixture
def tokenizer() -> Any:
    return made_tokenizer()


def conversation(*messages: Message, **parts: Any) -> Conversation:
    return Conversation("s:1", Origin("s", "s.jsonl", 4), messages, **parts)


def test_segments_show_what_is_trained_and_join_to_the_whole(tokenizer: Any) -> None:
    messages = (
        Message("system", "Asistansın."),
        Message("user", "Lot nedir?"),
        Message("assistant", "Üretim partisi."),
    )
    example = Example(
        example_id="p",
        messages=messages,
        language="tr",
        split="train",
        pair_id="p",
        rule=Rule.INDIVIDUAL,
        type=QuestionType.FACTUAL,
        difficulty=Difficulty.EASY,
        answerable=True,
        question="Lot nedir?",
        context_chunk_ids=(),
        evidence_chunk_ids=(),
    )
    [shown] = preview_tokens(example, tokenizer)
    segments = shown.segments
    assert [weight for _, weight in segments] == [0.0, 1.0]
    assert segments[1][0] == "Üretim partisi.<|eot_id|>"
    assert "".join(text for text, _ in segments) == decode(tokenizer, render(tokenizer, messages).token_ids)


def test_every_token_is_shown_with_its_id_and_weight(tokenizer: Any) -> None:
    messages = (Message("user", "Lot nedir?"), Message("assistant", "Üretim partisi 🙂.", weight=0.5))
    [shown] = preview_tokens(conversation(*messages), tokenizer)
    rendered = render(tokenizer, messages)
    assert [token.token_id for token in shown.tokens] == rendered.token_ids
    assert [token.weight for token in shown.tokens] == rendered.weights
    assert "".join(token.text for token in shown.tokens) == decode(tokenizer, rendered.token_ids)
    assert shown.segments[-1] == ("Üretim partisi 🙂.<|eot_id|>", 0.5)
    assert shown.other_weights == {0.5: sum(rendered.trained)}


@settings(max_examples=tries(240), deadline=None)
@given(st.lists(st.sampled_from(["Lot ", "numarası", "🙂", "ü", "\n", "漢", " "]), max_size=60).map("".join))
def test_texts_of_tokens_join_to_the_text_and_break_no_character(text: str) -> None:
    made = made_tokenizer()
    ids = made(text, add_special_tokens=False)["input_ids"]
    texts = token_texts(made, ids)
    assert len(texts) == len(ids)
    assert "".join(texts) == text
    assert not any("\ufffd" in each for each in texts)


def test_raw_text_is_shown_in_its_windows(tokenizer: Any) -> None:
    text = "Lot numarası nedir? " * 20
    shown = preview_tokens(conversation(text=text), tokenizer, DataConfig(max_tokens=32))
    assert len(shown) > 2
    assert [(each.part, each.parts) for each in shown] == [(n, len(shown)) for n in range(1, len(shown) + 1)]
    assert all(len(each.tokens) <= 32 for each in shown)


def test_a_conversation_that_is_left_out_says_where_and_why(tokenizer: Any) -> None:
    with pytest.raises(DataError, match=r"^s\.jsonl:4: left out, "):
        preview_tokens(conversation(Message("user", "Lot nedir?")), tokenizer)


def test_json_holds_tokens_only_where_ids_are_asked_for(tokenizer: Any) -> None:
    [shown] = preview_tokens(conversation(Message("user", "Lot?"), Message("assistant", "Parti.")), tokenizer)
    assert shown.as_json()["segments"][-1] == {"text": "Parti.<|eot_id|>", "trained": True}
    assert "tokens" not in shown.as_json()
    last = shown.as_json(ids=True)["tokens"][-1]
    assert last == {"text": "<|eot_id|>", "id": tokenizer.convert_tokens_to_ids("<|eot_id|>"), "weight": 1.0}
