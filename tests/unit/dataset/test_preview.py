from __future__ import annotations

from typing import Any

import pytest

from groundtune.chat import LLAMA3_TEMPLATE, decode, render
from groundtune.dataset import preview
from groundtune.types import Difficulty, Example, Message, QuestionType, Rule

SPECIAL = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
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
    segments = preview(example, tokenizer)
    assert [trained for _, trained in segments] == [False, True]
    assert segments[1][0] == "Üretim partisi.<|eot_id|>"
    assert "".join(text for text, _ in segments) == decode(tokenizer, render(tokenizer, messages).token_ids)
