import contextlib
import gzip
import json
import random
import resource
import signal
import zlib

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import ModelConfig
from groundtune.errors import ConfigError, DataError, StorageError, TrainingError
from groundtune.models import build_llama, train_tokenizer
from groundtune.prefix import PreparedModel
from groundtune.training import measure_loss, pack_documents
from groundtune.training.corpus import (
    LeftOut,
    SequencePacker,
    SequenceSteps,
    Source,
    find_sources,
    open_corpus,
    open_store,
    permuted,
    read_texts,
    side_of,
    store_corpus,
    store_texts,
)
from groundtune.training.corpus.sources import BLOCK_BYTES, PIECE_CHARACTERS
from groundtune.training.documents import Separators, encode_text
from groundtune.training.measuring import summed_loss
from groundtune.training.processes import Processes

TEXT = "Makara kartı açılır. Lot numarası girilir ve kaydedilir.\n"
TOKENIZER = train_tokenizer([TEXT] * 3, vocab_size=320, chat_template="x")
BOS, EOS = 0, 1


def source(folder, name, content) -> Source:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Source(name, path)


def texts_of(each: Source) -> tuple[list[str], LeftOut]:
    left_out = LeftOut()
    return ["".join(pieces()) for pieces in read_texts(each, left_out)], left_out


def tokens_of(text: str) -> list[int]:
    return [BOS, *encode_text(TOKENIZER, text), EOS]


def mixture_of(folder, texts, sequence_tokens, *, general=(), recall_share=0.0, general_share=0.1, seed=3):
    corpus = store_corpus(folder, TOKENIZER, documents=texts, general=general)
    return corpus.mixture(
        sequence_tokens,
        separators=Separators.of(TOKENIZER),
        recall_share=recall_share,
        general_share=general_share,
        seed=seed,
    )


def test_files_folders_and_patterns_name_each_file_once_in_a_fixed_order(tmp_path) -> None:
    for name in ("b/two.md", "b/one.txt", "b/.hidden.txt", "b/image.png", "a.jsonl.gz", "c.parquet"):
        source(tmp_path, name, "x")
    found = find_sources(["b", "*.parquet", "b/o*.txt", "a.jsonl.gz"], tmp_path, setting="pretrain.texts")
    assert [each.name for each in found] == ["b/one.txt", "b/two.md", "c.parquet", "a.jsonl.gz"]
    with pytest.raises(ConfigError, match=r"pretrain\.texts: b/\*\.jsonl: it matches no file of"):
        find_sources(["b/*.jsonl"], tmp_path, setting="pretrain.texts")
    with pytest.raises(ConfigError, match=r"b/image\.png is none of \.txt"):
        find_sources(["b/image.png"], tmp_path, setting="pretrain.texts")


def test_every_kind_of_file_gives_its_texts_as_ingestion_would_leave_them(tmp_path) -> None:
    decomposed = "\ufeffI\u0307stanbul\r\nson"
    assert texts_of(source(tmp_path, "a.txt", decomposed))[0] == ["İstanbul\nson"]
    lines = "".join(json.dumps({"text": each}) + "\n" for each in ("bir", "iki\u2028üç"))
    assert texts_of(source(tmp_path, "b.jsonl", lines))[0] == ["bir", "iki\u2028üç"]
    assert texts_of(source(tmp_path, "b.jsonl.gz", gzip.compress(lines.encode())))[0] == ["bir", "iki\u2028üç"]
    pa.parquet.write_table(pa.table({"text": ["bir", "iki"], "n": [1, 2]}), tmp_path / "c.parquet")
    assert texts_of(Source("c.parquet", tmp_path / "c.parquet"))[0] == ["bir", "iki"]
    pa.parquet.write_table(pa.table({"body": ["bir"]}), tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"d\.parquet: has no column text \(it has body\)"):
        texts_of(Source("d.parquet", tmp_path / "d.parquet"))


def test_what_cannot_be_read_is_counted_by_reason_and_named_by_line(tmp_path) -> None:
    lines = [b'{"text": "iyi"}', b'{"text": "\xff"}', b"{", b'{"body": "x"}', b'{"text": " "}', b"", b'{"text": "son"}']
    texts, left_out = texts_of(source(tmp_path, "a.jsonl", b"\n".join(lines)))
    assert texts == ["iyi", "son"]
    assert left_out.places == {
        "line is not UTF-8": ["a.jsonl:2"],
        "line is not JSON": ["a.jsonl:3"],
        "row has no column text that is a string": ["a.jsonl:4"],
        "text is empty": ["a.jsonl:5"],
    }
    texts, left_out = texts_of(source(tmp_path, "b.txt", b"bir\n\xff\xfe\niki\nx\0y\nson\n"))
    assert texts == ["bir\niki\nson\n"]
    assert left_out.places == {"line is not UTF-8": ["b.txt:2"], "line holds a NUL character": ["b.txt:4"]}
    assert texts_of(source(tmp_path, "c.md", " \n"))[1].places == {"text is empty": ["c.md"]}


@pytest.mark.parametrize("name", ["d.txt.gz", "d.jsonl.gz"])
@pytest.mark.parametrize("cut", [False, True], ids=["altered", "cut"])
def test_of_a_damaged_file_everything_before_the_damage_is_read_and_its_line_is_named(tmp_path, name, cut) -> None:
    chance = random.Random(7)
    lines = [f"ş{chance.getrandbits(64):x}ç" for _ in range(4000)]
    rows = lines if name == "d.txt.gz" else [json.dumps({"text": line}, ensure_ascii=False) for line in lines]
    whole = gzip.compress("".join(row + "\n" for row in rows).encode(), mtime=0)
    middle = len(whole) // 2
    broken = whole[:middle] if cut else whole[:middle] + bytes(200) + whole[middle + 200 :]
    # what zlib itself can unpack, byte by byte
    unpacking, before = zlib.decompressobj(wbits=31), b""
    with contextlib.suppress(zlib.error):
        for place in range(len(broken)):
            before += unpacking.decompress(broken[place : place + 1])
    texts, left_out = texts_of(source(tmp_path, name, broken))
    [(reason, [place])] = left_out.places.items() if cut else [*left_out.places.items()][-1:]
    assert reason == "file is damaged, and the rest of it is not read"
    sound = before[: middle * 2].count(b"\n") // 2
    found = texts[0].split("\n") if name == "d.txt.gz" else texts
    assert sound > 500
    assert found[:sound] == lines[:sound]
    if cut:
        whole_lines = before.count(b"\n")
        assert found[:whole_lines] == lines[:whole_lines]
        assert place == f"{name}:{whole_lines + 1}"
        if name == "d.txt.gz":
            assert lines[whole_lines].startswith(found[whole_lines])


def test_a_file_that_is_not_packed_as_its_name_says_is_damaged_from_its_first_line(tmp_path) -> None:
    texts, left_out = texts_of(source(tmp_path, "e.jsonl.gz", b'{"text": "x"}\n'))
    assert texts == []
    assert left_out.places == {"file is damaged, and the rest of it is not read": ["e.jsonl.gz:1"]}


def test_a_long_file_comes_in_pieces_that_cut_no_character(tmp_path) -> None:
    for text in ("şu satır\n" * (BLOCK_BYTES // 8), "ş€😀" * (BLOCK_BYTES // 6), "ab " + "ç" * BLOCK_BYTES):
        [pieces] = read_texts(source(tmp_path, "a.txt", text), LeftOut())
        found = list(pieces())
        assert "".join(found) == text
        assert len(found) > 1
        assert max(map(len, found)) <= PIECE_CHARACTERS


def test_a_store_holds_every_text_between_its_separators(tmp_path) -> None:
    texts = ["Makara kartı", "<|eot_id|> açılır", "Lot\r\nnumarası", "  "]
    store = store_texts(texts, TOKENIZER, tmp_path / "s")
    expected = [tokens_of(text) for text in ("Makara kartı", "<|eot_id|> açılır", "Lot\nnumarası")]
    assert store.train.read(0, store.train.tokens).tolist() == [token for each in expected for token in each]
    assert [ids.tolist() for ids in store.train.first_texts(9)] == expected
    assert (tmp_path / "s" / "train.tokens").stat().st_size == 2 * store.train.tokens


def test_a_tokenizer_with_one_token_for_both_ends_separates_by_that_one() -> None:
    tokenizer = train_tokenizer([TEXT] * 3, vocab_size=320, chat_template="x")
    tokenizer.bos_token = tokenizer.eos_token
    assert Separators.of(tokenizer) == Separators((), (EOS,))
    [example] = pack_documents(["Lot", "kart"], tokenizer, sequence_tokens=64)
    assert list(example.input_ids) == [*encode_text(TOKENIZER, "Lot"), EOS, *encode_text(TOKENIZER, "kart"), EOS]
    tokenizer.bos_token = None
    assert Separators.of(tokenizer) == Separators((), (EOS,))


def test_a_store_is_taken_again_for_the_same_texts_and_made_anew_for_others(tmp_path) -> None:
    first = store_texts([TEXT], TOKENIZER, tmp_path / "s")
    written = first.train.path.stat().st_mtime_ns
    assert store_texts([TEXT], TOKENIZER, tmp_path / "s") == first
    assert first.train.path.stat().st_mtime_ns == written
    other = train_tokenizer([TEXT] * 3, vocab_size=300, chat_template="x")
    for changed in (store_texts([TEXT * 2], TOKENIZER, tmp_path / "s"), store_texts([TEXT], other, tmp_path / "s")):
        assert changed.key != first.key
    with changed.train.path.open("ab") as stream:
        stream.write(b"x")
    assert open_store(tmp_path / "s") is None
    assert store_texts([TEXT], other, tmp_path / "s").train.tokens == changed.train.tokens


def test_equal_texts_are_always_on_one_side(tmp_path) -> None:
    texts = [f"{number} {TEXT}" for number in range(60)]
    rows = source(tmp_path, "a.jsonl", "".join(json.dumps({"text": f"\n{each}"}) + "\n" for each in texts))
    from_memory = store_texts(texts, TOKENIZER, tmp_path / "m", valid_share=0.3)
    from_rows = store_texts([rows], TOKENIZER, tmp_path / "r", valid_share=0.3)
    sides = [side_of([text], 0.3) for text in texts]
    assert 5 < sides.count("valid") < 35
    for store in (from_memory, from_rows):
        assert store.counts.texts == {"train": sides.count("train"), "valid": sides.count("valid")}
    assert side_of([texts[0][:9], texts[0][9:], " \n"], 0.3) == sides[0]


@settings(deadline=None)
@given(st.integers(1, 500), st.text(max_size=3))
def test_a_permutation_meets_every_place_once(count, seed) -> None:
    places = permuted(np.arange(count), count, seed)
    assert sorted(places.tolist()) == list(range(count))
    # asked for a part, it is the part
    assert permuted(np.arange(count)[2:5], count, seed).tolist() == places[2:5].tolist()


@settings(deadline=None, max_examples=tries(120))
@given(texts=st.lists(st.integers(1, 40), min_size=1, max_size=6), tokens=st.integers(4, 40), recall=st.booleans())
def test_every_token_of_an_epoch_is_in_one_sequence(tmp_path_factory, texts, tokens, recall) -> None:
    folder = tmp_path_factory.mktemp("corpus")
    texts = ["Lot " * count for count in texts]
    stream = [token for text in texts for token in tokens_of(text)]
    if len(stream) < tokens:
        with pytest.raises(TrainingError, match=rf"has {len(stream)} tokens, fewer than one sequence"):
            mixture_of(folder, texts, tokens)
        return
    mixture = mixture_of(folder, texts, tokens, recall_share=0.5 if recall else 0.0)
    epoch = mixture.epoch(0)
    assert sorted(epoch.tolist()) == list(range(len(mixture)))
    plain = sorted(index for index in epoch.tolist() if index < len(mixture.parts[0]))
    assert [token for index in plain for token in mixture.read(index).tolist()] == stream
    assert [len(mixture.read(index)) for index in range(len(mixture))] == mixture.lengths.tolist()
    assert mixture.lengths.min() > 1 or len(mixture) == 1
    assert mixture.lengths.max() <= tokens
    assert len(mixture) == len(plain) * (2 if recall else 1)


def test_epochs_and_seeds_have_orders_of_their_own(tmp_path) -> None:
    mixture = mixture_of(tmp_path, [TEXT * 200], 32)
    orders = [mixture.epoch(0), mixture.epoch(1), mixture_of(tmp_path, [TEXT * 200], 32, seed=4).epoch(0)]
    assert len({tuple(order.tolist()) for order in orders}) == 3
    assert mixture.epoch(1, 3, 7).tolist() == orders[1][3:7].tolist()


def test_general_texts_are_spread_evenly_and_come_again_only_when_all_have_been(tmp_path) -> None:
    general = source(tmp_path, "g.txt", "Kitap okumak güzeldir.\n" * 40)
    mixture = mixture_of(tmp_path / "c", [TEXT * 100], 16, general=[general], general_share=0.2)
    held = len(mixture.general)
    drawn: list[int] = []
    for epoch in range(6):
        is_general = mixture.epoch(epoch) >= mixture.own
        assert is_general.sum() == mixture.drawn == round(mixture.own / 4)
        gaps = np.diff(np.flatnonzero(is_general))
        assert gaps.max() - gaps.min() <= 1
        drawn += mixture.epoch(epoch)[is_general].tolist()
    for first in range(0, len(drawn) - held, held):
        assert len(set(drawn[first : first + held])) == held


def test_batches_of_an_epoch_have_one_shape_and_the_loss_of_plain_examples(tmp_path) -> None:
    mixture = mixture_of(tmp_path, [TEXT * 31], 24)
    packer = SequencePacker(mixture, max_pack_tokens=70, sequences_per_step=5)
    steps = SequenceSteps(packer, sequences_per_step=5, processes=Processes.joined(np.array(0)))
    loaded = [steps[number] for number in range(len(steps))]
    assert {tensors["input_ids"].shape for step in loaded for tensors in step["batches"]} == {(3, 23)}
    assert {len(tensors["edge_sources"]) for step in loaded for tensors in step["batches"]} == {3 * 23}
    assert sum(step["weight"] for step in loaded) == mixture.total_weights.sum() == packer.statistics.supervised_tokens
    assert sum(step["dataset_tokens"] for step in loaded) == packer.statistics.tokens == len(tokens_of(TEXT * 31))
    config = ModelConfig(
        layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=64, copying_start=False
    )
    model = build_llama(config, TOKENIZER, seed=1)
    plain = pack_documents([TEXT * 31], TOKENIZER, sequence_tokens=24)
    with PreparedModel(model, share=False) as prepared:
        total = summed_loss(prepared, packer.pack_all())
    assert total / mixture.total_weights.sum() == pytest.approx(
        measure_loss(model, plain, max_pack_tokens=256, sharing="plain", threads=1), rel=1e-5
    )


def test_several_processes_compute_each_sequence_once(tmp_path) -> None:
    mixture = mixture_of(tmp_path, [TEXT * 31], 24)
    seen = []
    for index in range(3):
        packer = SequencePacker(mixture, max_pack_tokens=4096, sequences_per_step=4)
        steps = SequenceSteps(packer, sequences_per_step=4, processes=Processes(3, index, np.array(0)))
        seen += [float(each["edge_weights"].sum()) for number in range(len(steps)) for each in steps[number]["batches"]]
    assert sum(seen) == mixture.total_weights.sum()


def test_text_that_is_not_there_is_an_error(tmp_path) -> None:
    empty = source(tmp_path, "a.jsonl", '{"text": ""}\n{"body": 1}\n')
    with pytest.raises(TrainingError, match=r"no text to pretrain on.*1 left out: text is empty"):
        store_corpus(tmp_path / "c", TOKENIZER, texts=[empty])
    with pytest.raises(TrainingError, match=r"pretrain\.general: every text is empty"):
        store_corpus(tmp_path / "c", TOKENIZER, documents=[TEXT], general=[empty])


def test_a_corpus_opened_again_is_the_same_and_a_part_taken_out_is_gone(tmp_path) -> None:
    general = source(tmp_path, "g.txt", TEXT)
    made = store_corpus(tmp_path / "c", TOKENIZER, documents=[TEXT], general=[general])
    assert open_corpus(tmp_path / "c") == made
    assert list(store_corpus(tmp_path / "c", TOKENIZER, documents=[TEXT]).stores) == ["documents"]
    assert list(open_corpus(tmp_path / "c").stores) == ["documents"]
    (tmp_path / "c" / "documents" / "train.ends").unlink()
    with pytest.raises(DataError, match="token files are not whole"):
        open_corpus(tmp_path / "c")


def test_a_disk_that_refuses_leaves_no_half_written_store(tmp_path) -> None:
    handler, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20000, limits[1]))
    try:
        with pytest.raises(StorageError, match="cannot write"):
            store_texts(["Makara kart " * 20000], TOKENIZER, tmp_path / "s")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []
