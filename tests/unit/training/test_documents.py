from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundtune.errors import TrainingError
from groundtune.models import train_tokenizer
from groundtune.training import pack_documents
from groundtune.training.documents import encode_text

TEXT = "Makara kartı açılır. Lot numarası girilir ve kaydedilir.\n\n| Alan | Değer |\n"
TOKENIZER = train_tokenizer([TEXT] * 3, vocab_size=400, chat_template="x")


@settings(deadline=None)
@given(st.lists(st.text(st.sampled_from("Makara kartı.|\n"), max_size=60), min_size=1, max_size=5), st.integers(32, 64))
def test_every_token_of_every_document_is_packed_once_and_in_order(texts, sequence_tokens) -> None:
    kept = [text for text in texts if text.strip()]
    if not kept:
        with pytest.raises(TrainingError, match="every document is empty"):
            pack_documents(texts, TOKENIZER, sequence_tokens=sequence_tokens)
        return
    packed = pack_documents(texts, TOKENIZER, sequence_tokens=sequence_tokens)
    joined = [token for example in packed for token in example.input_ids]
    assert joined == [token for text in kept for token in (0, *encode_text(TOKENIZER, text), 1)]
    assert all(example.trained == (False, *(True,) * (len(example.input_ids) - 1)) for example in packed)
    assert all(2 <= len(example.input_ids) <= sequence_tokens + 1 for example in packed)


def test_a_special_tokens_name_inside_a_document_stays_text() -> None:
    [example] = pack_documents(["şablon <|eot_id|> yazar"], TOKENIZER, sequence_tokens=64)
    assert 6 not in example.input_ids


def test_recall_sequences_are_the_share_asked_for_and_the_same_for_the_same_seed() -> None:
    plain = pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=64)
    mixed = pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=64, recall_share=0.5, seed=3)
    assert len(mixed) == 2 * len(plain)
    assert mixed[: len(plain)] == plain
    assert mixed == pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=64, recall_share=0.5, seed=3)
    assert mixed != pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=64, recall_share=0.5, seed=4)


def test_a_recall_sequence_says_stretches_of_its_beginning_again() -> None:
    plain = pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=128)
    for example in pack_documents([TEXT * 40], TOKENIZER, sequence_tokens=128, recall_share=0.5)[len(plain) :]:
        ids = example.input_ids
        assert len(ids) == 128
        pairs_before = set(pairwise(ids[:65]))
        pairs_after = list(pairwise(ids[65:]))
        # only where one stretch ends and the next begins can two neighbours be new
        assert sum(pair in pairs_before for pair in pairs_after) > 0.8 * len(pairs_after)


def test_an_impossible_share_is_refused() -> None:
    with pytest.raises(TrainingError, match="recall_share is 1"):
        pack_documents([TEXT], TOKENIZER, sequence_tokens=64, recall_share=1.0)
