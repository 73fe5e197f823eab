"""What gives a held-out prompt or a benchmark away goes, what only shares a context or a manner of asking stays."""

import gzip
import json
import random

import pytest

from groundtune.config import FilterConfig
from groundtune.dataset.quality import Reason, apply_filters, decontaminate, read_questions
from groundtune.errors import DataError
from groundtune.types import Conversation, Message, Origin

QUESTION = "Which document does the warehouse need before a pallet of blocked goods may leave the yard in Mersin?"


def row(number, question, answer="Yes.", source="a"):
    messages = (Message("system", "You help."), Message("user", question), Message("assistant", answer))
    return Conversation(f"{source}:{number}", Origin(source, "a.json", number), messages)


def reasons(out):
    return [None if isinstance(each, Conversation) else each.reason for each in out]


def test_a_near_copy_of_a_held_out_prompt_goes_whatever_its_answer(tmp_path):
    train = [row(1, QUESTION.replace("pallet", "palette"), "A release note."), row(2, "Who signs the release note?")]
    out = list(decontaminate(iter(train), [row(7, QUESTION, source="valid")]))
    assert reasons(out) == [Reason.NEAR_COPY_OF_HELD_OUT, None]
    assert out[0].found.endswith("like valid:7")


def test_rows_that_share_a_long_context_with_a_held_out_one_stay():
    choice = random.Random(1)
    context = " ".join("".join(choice.choices("abcdefgh", k=6)) for _ in range(200))
    train = [row(1, f"{context}\nWho signs the note?"), row(2, f"{context}\nHow many pallets are there?")]
    assert reasons(decontaminate(train, [row(9, f"{context}\nWhen does the truck leave?")])) == [None, None]


def test_nothing_held_out_lets_everything_pass():
    train = [row(1, QUESTION), row(2, "")]
    assert list(decontaminate(train, [])) == train


def test_rows_without_a_prompt_are_not_copies_of_one_another():
    silent = Conversation("a:1", Origin("a", "a.json", 1), (Message("assistant", "Hello."),))
    held = Conversation("b:1", Origin("b", "b.json", 1), (Message("assistant", "Goodbye then."),))
    assert reasons(decontaminate([silent], [held])) == [None]


def test_raw_text_is_held_against_raw_text():
    def text(number, words):
        return Conversation(f"t:{number}", Origin("t", "t.txt", number), text=words)

    out = decontaminate([text(1, QUESTION + " Yes"), text(2, "Something else entirely.")], [text(3, QUESTION)])
    assert reasons(out) == [Reason.NEAR_COPY_OF_HELD_OUT, None]


def test_thirteen_words_of_a_benchmark_question_are_found_in_any_turn(tmp_path):
    words = QUESTION.rstrip("?").split()
    path = tmp_path / "bench.jsonl"
    path.write_text(json.dumps({"question": QUESTION, "answer": "x"}) + "\n", encoding="utf-8")
    train = [
        row(1, "Tell me.", "As they say: " + " ".join(words[2:15]).upper() + ", and so on."),
        row(2, "Tell me.", "As they say: " + " ".join(words[2:14]) + ", and so on."),
        row(3, f"  {QUESTION}"),
    ]
    out = list(decontaminate(train, [], [path]))
    assert reasons(out) == [Reason.WORDS_OF_BENCHMARK, None, Reason.NEAR_COPY_OF_BENCHMARK]
    assert (out[0].field, out[0].found) == ("messages[2].content", "as in bench.jsonl, question 1")
    assert out[2].field == "messages[1].content"


def test_a_manner_of_asking_is_not_a_question(tmp_path):
    manner = "Read the following passage with care and then choose the one best answer to the question about"
    path = tmp_path / "bench.txt"
    path.write_text("".join(f"{manner} topic{n} thing{n} other{n}\n" for n in range(11)), encoding="utf-8")
    train = [row(1, "Write a test.", f"{manner} the weather in your town")]
    assert reasons(decontaminate(train, [], [path])) == [None]
    # ten questions that begin alike are not yet a manner of asking
    path.write_text("".join(f"{manner} topic{n} thing{n} other{n}\n" for n in range(10)), encoding="utf-8")
    assert reasons(decontaminate(train, [], [path])) == [Reason.WORDS_OF_BENCHMARK]


def test_filters_hold_all_rows_against_the_benchmarks_of_the_configuration(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "bench.txt").write_text(QUESTION, encoding="utf-8")
    rows = [row(1, QUESTION), row(2, "Who signs?")]
    config = FilterConfig(benchmarks=("inner/bench.txt",))
    assert reasons(apply_filters(rows, config, folder=tmp_path, seed=1)) == [Reason.NEAR_COPY_OF_BENCHMARK, None]
    off = FilterConfig(benchmarks=("inner/bench.txt",), decontaminate=False)
    assert reasons(apply_filters(rows, off, folder=tmp_path, seed=1)) == [None, None]


def test_benchmarks_are_read_in_every_usual_form(tmp_path):
    def write(name, text):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    turns = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q1?"}]
    squad = {"data": [{"paragraphs": [{"context": "C", "qas": [{"question": "Q1?"}]}]}]}
    files = [
        write("a.jsonl", '{"question": "Q1?"}\n\n{"prompt": "Q2?"}\n{"question": "Q1?"}\n'),
        write("b.jsonl.gz", '{"problem": "Q1?"}\n{"instruction": "Q2?", "input": ""}'),
        write("c.csv", "id,question\n1,Q1?\n2,Q2?\n"),
        write("d.tsv", "question\tanswer\nQ1?\tA\nQ2?\tB\n"),
        write("e.txt", "Q1?\n\nQ2?\n"),
        write("f.json", json.dumps([{"messages": turns}, {"conversations": [{"from": "human", "value": "Q2?"}]}])),
    ]
    assert [read_questions(path) for path in files] == [["Q1?", "Q2?"]] * 6
    assert read_questions(write("g.json", json.dumps(squad))) == ["Q1?"]
    joined = write("h.jsonl", '{"instruction": "Add them.", "input": "1 2"}')
    assert read_questions(joined) == ["Add them.\n1 2"]


def test_parquet_benchmarks_are_read(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(arrow.table({"question": ["Q1?", "Q2?"]}), tmp_path / "a.parquet")
    assert read_questions(tmp_path / "a.parquet") == ["Q1?", "Q2?"]
    (tmp_path / "b.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(DataError, match=r"b\.parquet: not a readable Parquet"):
        read_questions(tmp_path / "b.parquet")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", b'{"question": "Q?"}\n{"title": "x"}\n', r"a\.jsonl:2: no question in a record with 'title'"),
        ("a.jsonl", b'{"question": "Q?"}\n{"title"\n', r"a\.jsonl:2: not valid JSON"),
        ("a.json", b"[1, 2", r"a\.json:1: not valid JSON"),
        ("a.txt", b"\n\n", r"a\.txt: no questions in it"),
        ("a.txt", b"\xff\xfe\x00", r"a\.txt: not UTF-8"),
        ("a.jsonl.gz", gzip.compress(b'{"question": "Q?"}', mtime=0)[:-9], r"cannot be read"),
        ("a.docx", b"x", r"found '\.docx'"),
    ],
)
def test_a_benchmark_that_cannot_be_read_is_named(tmp_path, name, text, message):
    (tmp_path / name).write_bytes(text)
    with pytest.raises(DataError, match=message):
        read_questions(tmp_path / name)


def test_a_missing_benchmark_is_named(tmp_path):
    with pytest.raises(DataError, match=r"none\.jsonl: no such file"):
        list(decontaminate([], [], [tmp_path / "none.jsonl"]))
