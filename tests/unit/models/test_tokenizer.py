import hashlib
import json
import re
import subprocess
import sys
import unicodedata
import weakref
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from groundtune.errors import DataError, TrainingError
from groundtune.models import (
    SPECIAL_TOKENS,
    TokenizerSummary,
    compare_tokenizers,
    describe_tokenizer,
    load_tokenizer,
    open_tokenizer,
    train_tokenizer,
)
from groundtune.models.tokenizer import in_parts
from groundtune.models.tokenizer_report import Fit

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


@pytest.mark.slow
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


def test_more_entries_than_a_model_of_ours_has_rows_are_refused() -> None:
    with pytest.raises(DataError, match="64001; at most 64000"):
        train_tokenizer(["abc"], vocab_size=64_001, chat_template="x")


@given(
    st.text(st.sampled_from(["a", "ş", "İ", " ", "\n", "\r", "\t", "'", "1", "-", "\u0301", ".", "\u2028"])),
    st.integers(1, 9),
)
def test_a_long_text_in_parts_has_the_pieces_of_the_whole(text: str, size: int) -> None:
    cut = TOKENIZER.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    parts = list(in_parts(text, size))
    assert "".join(parts) == text
    assert [piece for part in parts for piece, _ in cut(part)] == [piece for piece, _ in cut(text)]


def test_texts_are_read_once_and_only_a_few_of_them_are_held_at_a_time() -> None:
    alive: weakref.WeakSet[Text] = weakref.WeakSet()
    most = 0

    def stream():
        nonlocal most
        for number in range(4000):
            text = Text(f"{number} numaralı makara depoda.")
            alive.add(text)
            most = max(most, len(alive))
            yield text

    read = []
    streamed = train_tokenizer(stream(), vocab_size=400, chat_template="x", progress=read.append)
    assert most < 1000
    listed = [f"{number} numaralı makara depoda." for number in range(4000)]
    assert sum(read) == sum(map(len, listed))
    assert streamed.get_vocab() == train_tokenizer(listed, vocab_size=400, chat_template="x").get_vocab()


class Text(str):
    """One that can be watched."""

    __slots__ = ("__weakref__",)


def test_codes_and_numbers_with_separators_are_the_same_tokens_wherever_they_stand() -> None:
    assert pieces("x 1.250,75'de")[-9:] == ["1", ".", "2", "5", "0", ",", "7", "5", "'de"]
    code = encode("LOT-2024-0007")
    for text in ("(LOT-2024-0007)", "|LOT-2024-0007|", "\nLOT-2024-0007\n", "LOT-2024-0007'nin"):
        found = encode(text)
        assert any(found[at : at + len(code)] == code for at in range(len(found))), text


def test_dotted_and_dotless_i_stay_what_they_are() -> None:
    for word in ("İIıi", "DIŞ İÇ", "i\u0307"):
        assert TOKENIZER.decode(encode(word)) == word
    assert encode("ışık") != encode("isik")


def test_the_same_texts_are_counted_by_each_tokenizer() -> None:
    lossy = train_tokenizer(TEXTS, vocab_size=300, chat_template="x")
    lossy.backend_tokenizer.normalizer = normalizers.Lowercase()
    found = compare_tokenizers({"ours": TOKENIZER, "lossy": lossy}, iter(["Stok 12", "stok"]))
    assert list(found) == ["ours", "lossy"]
    tokens = len(encode("Stok 12")) + len(encode("stok"))
    assert found["ours"] == TokenizerSummary(
        entries=len(TOKENIZER),
        tokens=tokens,
        tokens_per_word=round(tokens / 3, 3),
        characters_per_token=round(11 / tokens, 3),
        tokens_per_character=round(tokens / 11, 4),
        unused_entries=len(TOKENIZER) - len({*encode("Stok 12"), *encode("stok")}),
        changed_texts=0,
    )
    assert found["lossy"].changed_texts == 1


def test_languages_are_counted_apart_and_together() -> None:
    texts = ["Stok ekranı", "stock screen", "Depo"]
    summary = compare_tokenizers({"ours": TOKENIZER}, texts, language_of=lambda text: "en" if "c" in text else "tr")[
        "ours"
    ]
    assert list(summary.by_language) == ["tr", "en"]
    tokens = {text: len(encode(text)) for text in texts}
    assert summary.by_language["en"] == Fit(tokens[texts[1]], tokens[texts[1]] / 2, round(tokens[texts[1]] / 12, 4))
    assert summary.by_language["tr"].tokens == tokens[texts[0]] + tokens[texts[2]]
    assert sum(fit.tokens for fit in summary.by_language.values()) == summary.tokens


def test_a_tokenizer_without_an_end_can_be_counted_with(tmp_path) -> None:
    TOKENIZER.save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").unlink()
    opened = open_tokenizer(tmp_path)
    assert opened("Stok 12", add_special_tokens=False)["input_ids"] == encode("Stok 12")
    with pytest.raises(TrainingError, match="names no end token"):
        load_tokenizer(tmp_path)


GIVEN = Path(__file__).parents[4] / "shared" / "data"


@pytest.mark.skipif(not (GIVEN / "tr_text_react").is_dir(), reason="needs the shared material")
def test_a_suffix_behind_an_apostrophe_takes_fewer_tokens_than_with_the_pattern_of_llama_3() -> None:
    texts = [
        json.loads(line)["text"]
        for line in (GIVEN / "tr_text_react" / "docs.jsonl").read_text("utf-8").split("\n")
        if line
    ]
    ours = train_tokenizer(texts[::2], vocab_size=8000, chat_template="x")
    llama = Tokenizer(models.BPE())
    llama.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA_3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    llama.train_from_iterator(
        texts[::2],
        trainers.BpeTrainer(
            vocab_size=8000, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    words = re.findall(r" [^\W\d_]+['’][^\W\d_]+", "\n".join(texts[1::2]))
    assert len(words) > 1000
    ours_tokens = sum(len(ids) for ids in ours(words, add_special_tokens=False)["input_ids"])
    assert ours_tokens < 0.97 * sum(len(each.ids) for each in llama.encode_batch(words))


LLAMA_3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def test_description_counts_tokens_and_words() -> None:
    summary = describe_tokenizer(TOKENIZER, ["4711 12"])
    assert summary.tokens == 7  # four digits, a space, two digits
    assert summary.tokens_per_word == 3.5
    assert summary.characters_per_token == 1.0


LLAMA_CPP = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
"""What ``tokenizer.ggml.pre: ufakzeka`` of llama.cpp cuts by (src/llama-vocab.cpp)."""

AS_LLAMA_CPP = Tokenizer.from_str(TOKENIZER.backend_tokenizer.to_str())
AS_LLAMA_CPP.pre_tokenizer = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(LLAMA_CPP), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)
AS_LLAMA_CPP.encode_special_tokens = True


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=["M", "Mn", "Mc", "Me"])
        | st.sampled_from(["ş", "İ", "ı", " ", "\n", "\r", "\t", "'", "’", "1", "-", "(", "_", ".", "\u2028", "\u00a0"])
    )
)
def test_a_pattern_that_llama_cpp_knows_gives_the_same_tokens_of_text_without_combining_marks(text: str) -> None:
    assert AS_LLAMA_CPP.encode(text, add_special_tokens=False).ids == encode(text)


def test_so_it_does_with_codes_suffixes_and_tables() -> None:
    for text in TEXTS:
        assert AS_LLAMA_CPP.encode(text, add_special_tokens=False).ids == encode(text)
