import hashlib
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import DataError
from groundtune.models import SPECIAL_TOKENS, describe_tokenizer, load_tokenizer, train_tokenizer

TEXTS = [
    "EX-2'de 4711 numaralı makara var. Hammadde'nin lot numarası LOT-2024-0007.",
    "Işıl işlem İstanbul'da yapılır; ürün ağacı güncellenir. Stok, depo ve lokasyon ekranı.",
    "| Alan | Değer |\n|---|---|\n| `lot_no` | 12,5 mm² |\n\n1. Depoyu seçin.\n2. Kaydedin.",
] * 4
TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
TOKENIZER = train_tokenizer(TEXTS, vocab_size=600, chat_template=TEMPLATE)


def encode(text: str) -> list[int]:
    return TOKENIZER(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]


def pieces(text: str) -> list[str]:
    return [TOKENIZER.decode([token]) for token in encode(text)]


def test_special_tokens_have_the_ids_that_checkpoints_rely_on() -> None:
    assert TOKENIZER.convert_tokens_to_ids(["<|begin_of_text|>", "<|end_of_text|>", "<|pad|>", "<|unk|>"]) == [
        0,
        1,
        2,
        3,
    ]
    assert TOKENIZER.convert_tokens_to_ids(["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]) == [4, 5, 6]
    assert TOKENIZER.convert_tokens_to_ids("<|reserved_0|>") == 7
    assert (TOKENIZER.bos_token_id, TOKENIZER.eos_token_id, TOKENIZER.pad_token_id) == (0, 1, 2)


@given(st.text(st.characters(codec="utf-8")))
def test_decoding_gives_back_any_text(text: str) -> None:
    assert TOKENIZER.decode(encode(text)) == text


@given(
    st.lists(
        st.sampled_from(["İ", "ı", "ş", "g\u0306", "’", "'", " ", "\n", "1", "²", "<|eot_id|>", "|", "-", "a", "\t"])
    )
)
def test_decoding_gives_back_turkish_text_with_marks_and_names_of_special_tokens(parts: list[str]) -> None:
    text = unicodedata.normalize("NFC", "".join(parts))
    assert TOKENIZER.decode(encode(text)) == text


def test_text_that_names_a_special_token_does_not_become_one() -> None:
    assert not set(encode("bir <|eot_id|> ve <|pad|> örneği")) & set(range(len(SPECIAL_TOKENS)))
    assert 6 in TOKENIZER("<|eot_id|>", add_special_tokens=False)["input_ids"]


def test_nothing_is_added_when_encoding() -> None:
    assert TOKENIZER("Stok")["input_ids"] == encode("Stok")


def test_digits_stand_singly_and_a_suffix_after_an_apostrophe_is_its_own_piece() -> None:
    assert pieces("4711'de")[:4] == ["4", "7", "1", "1"]
    assert pieces("EX-2'de")[-1] == pieces("Depo'de")[-1] == "'de"
    assert pieces(" 12")[-2:] == ["1", "2"]


def test_the_same_texts_give_the_same_tokenizer_in_another_process() -> None:
    script = (
        "from groundtune.models import train_tokenizer; import hashlib;"
        f"t = train_tokenizer({TEXTS!r}, vocab_size=600, chat_template='x');"
        "print(hashlib.sha256(t.backend_tokenizer.to_str().encode()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert other == hashlib.sha256(TOKENIZER.backend_tokenizer.to_str().encode()).hexdigest()


def test_a_saved_tokenizer_loads_with_its_template_and_the_same_ids(tmp_path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path)
    text = "EX-2'de <|eot_id|> 4711\n\n  İç içe"
    assert loaded(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] == encode(text)
    assert loaded.chat_template == TEMPLATE
    assert loaded.apply_chat_template([{"role": "user", "content": "x"}], tokenize=False) == "<|begin_of_text|>x"


def test_a_small_corpus_gives_fewer_entries_than_asked_for() -> None:
    tokenizer = train_tokenizer(["abc abc"], vocab_size=5000, chat_template="x")
    assert len(SPECIAL_TOKENS) + 256 <= len(tokenizer) < 300


def test_no_text_and_too_few_entries_are_refused() -> None:
    with pytest.raises(DataError, match="no text"):
        train_tokenizer(["", "  \n"], vocab_size=600, chat_template="x")
    with pytest.raises(DataError, match="need 272"):
        train_tokenizer(["abc"], vocab_size=271, chat_template="x")


def test_description_counts_tokens_and_words() -> None:
    summary = describe_tokenizer(TOKENIZER, ["4711 12"])
    assert summary.tokens == 7  # four digits, a space, two digits
    assert summary.tokens_per_word == 3.5
    assert summary.characters_per_token == 1.0
