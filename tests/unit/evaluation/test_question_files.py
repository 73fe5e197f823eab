"""Questions of one's own: every form they come in, what is said of a wrong one, and where their evidence stands."""

import json
from pathlib import Path
from typing import Any

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.errors import DataError
from groundtune.evaluation import QuestionFile, read_questions
from groundtune.files import sha256_text
from groundtune.types import Chunk

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}

REEL = "Makara takibi, kablonun sarıldığı makaraların yerini gösterir.\nKayıp makara otuz gün sonra faturalanır."
COUNT = "Sayım farkı yüzde ikiyi aşarsa depo sorumlusu onay verir. Onay geri alınamaz."


def make_chunk(chunk_id: str, text: str) -> Chunk:
    return Chunk(
        chunk_id=chunk_id,
        module="Stok",
        submodule="",
        section_heading="",
        breadcrumb=("Stok",),
        language="tr",
        text=text,
        token_count=20,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=1,
        source="stok.md",
        line_start=1,
        line_end=2,
        sha256=sha256_text(text),
    )


CHUNKS = [make_chunk("c-reel", REEL), make_chunk("c-count", COUNT)]


def read(
    folder: Path, content: Any, name: str = "own.jsonl", chunks: list[Chunk] = CHUNKS, likely: tuple[str, ...] = ()
) -> QuestionFile:
    path = folder / name
    if isinstance(content, list) and name.endswith(".jsonl"):
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in content)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_questions(path, prompts=PROMPTS, likely=likely, chunks=chunks)


def squad(*asked: dict[str, Any], context: str = REEL) -> dict[str, Any]:
    return {"version": "v2.0", "data": [{"title": "Stok", "paragraphs": [{"context": context, "qas": list(asked)}]}]}


ASKED = {"question": "Kayıp makara ne zaman faturalanır?", "answer": "Otuz gün sonra."}


def test_a_line_needs_no_more_than_a_question_and_an_answer(tmp_path: Path) -> None:
    [question] = read(tmp_path, [ASKED]).questions
    assert question.question == ASKED["question"]
    assert question.references == ("Otuz gün sonra.",)
    assert question.answerable
    assert question.question_id == "own:1"
    assert question.language == "tr"


def test_everything_a_line_may_say_is_heeded(tmp_path: Path) -> None:
    row = {
        "id": 7,
        "question": "When is a lost drum invoiced?",
        "answers": ["After thirty days.", "30 days later."],
        "reference": "After thirty days.",
        "language": "en",
        "contexts": ["First.", "Second."],
        "type": "factual",
        "difficulty": "easy",
        "evidence": ["c-reel"],
    }
    [question] = read(tmp_path, [row]).questions
    assert question.question_id == "7"
    assert question.references == ("After thirty days.", "30 days later.")
    assert question.passages == ("First.", "Second.")
    assert (question.language, question.type, question.difficulty) == ("en", "factual", "easy")
    assert question.evidence_chunk_ids == ("c-reel",)


@pytest.mark.parametrize("key", ["answer", "answers", "reference", "references"])
def test_answers_go_by_four_names(key: str, tmp_path: Path) -> None:
    assert read(tmp_path, [{"question": "Nerede?", key: "Depoda."}]).questions[0].reference == "Depoda."


@pytest.mark.parametrize("key", ["context", "contexts", "passages"])
def test_passages_go_by_three_names(key: str, tmp_path: Path) -> None:
    assert read(tmp_path, [ASKED | {key: REEL}]).questions[0].passages == (REEL,)


def test_the_right_answer_to_an_unanswerable_question_is_the_refusal_of_its_language(tmp_path: Path) -> None:
    rows = [
        {"question": "Fabrikanın müdürü kim acaba?", "answerable": False},
        {"question": "Who is the manager of the factory?", "answerable": False},
    ]
    found = read(tmp_path, rows).questions
    assert [question.references for question in found] == [(TURKISH_PROMPT.refusal,), (ENGLISH_PROMPT.refusal,)]
    assert not any(question.answerable for question in found)


def test_a_language_that_has_no_prompt_is_found_out_from_the_question(tmp_path: Path) -> None:
    found = read(tmp_path, [ASKED | {"language": "de"}, ASKED | {"language": "tr"}])
    assert [question.language for question in found.questions] == ["tr", "tr"]
    assert found.left_out == {"language 'de' of a question, which has no prompt: asked in 'tr'": 1}


def test_rows_of_squad_as_data_set_hubs_keep_them_are_read(tmp_path: Path) -> None:
    answers = {"text": ["otuz gün", "30 gün"], "answer_start": [REEL.index("otuz") if "otuz" in REEL else 0, 0]}
    rows = [
        {"id": "a", "title": "Stok", "context": REEL, "question": "Ne zaman?", "answers": answers},
        {"id": "b", "title": "Stok", "context": REEL, "question": "Kim?", "answers": {"text": [], "answer_start": []}},
    ]
    found = read(tmp_path, rows)
    first, second = found.questions
    assert (first.question_id, first.references, first.passages) == ("a", ("otuz gün", "30 gün"), (REEL,))
    assert first.evidence_chunk_ids == ("c-reel",)
    assert (second.answerable, second.references) == (False, (TURKISH_PROMPT.refusal,))
    assert found.left_out == {}


def test_a_question_that_says_no_language_is_in_one_of_the_documents(tmp_path: Path) -> None:
    asked = {"question": "Export job?", "answer": "b"}  # Turkish to the detection
    assert read(tmp_path, [asked]).questions[0].language == "tr"
    rows = [asked, asked | {"language": "tr"}]
    assert [each.language for each in read(tmp_path, rows, likely=("en",)).questions] == ["en", "tr"]


def test_squad_brings_its_passages_and_its_evidence_is_the_chunk_that_holds_them(tmp_path: Path) -> None:
    asked = {"id": "q1", "question": "Ne gösterir?", "answers": [{"text": "makaraların yerini", "answer_start": 39}]}
    [question] = read(tmp_path, squad(asked, context=f"\ufeff{REEL}"), "dev.json").questions
    assert question.passages == (REEL,)
    assert question.references == ("makaraların yerini",)
    assert question.evidence_chunk_ids == ("c-reel",)


def test_squads_sentence_is_looked_for_where_its_paragraph_was_cut_into_several_chunks(tmp_path: Path) -> None:
    context = f"{REEL} {COUNT}"
    asked = {
        "question": "Kim onay verir?",
        "answers": [{"text": "depo sorumlusu", "answer_start": context.index("depo")}],
    }
    assert read(tmp_path, squad(asked, context=context), "dev.json").questions[0].evidence_chunk_ids == ("c-count",)


def test_impossible_questions_of_squad_are_unanswerable_whatever_looks_plausible(tmp_path: Path) -> None:
    asked = {
        "question": "Makara kaç liradır acaba?",
        "is_impossible": True,
        "answers": [],
        "plausible_answers": [{"text": "otuz", "answer_start": 1}],
    }
    [question] = read(tmp_path, squad(asked), "dev.json").questions
    assert not question.answerable
    assert question.references == (TURKISH_PROMPT.refusal,)
    assert question.evidence_chunk_ids == ()


def test_an_array_of_records_is_read_too(tmp_path: Path) -> None:
    assert len(read(tmp_path, [ASKED, ASKED | {"id": "b"}], "own.json").questions) == 2


def test_evidence_is_found_across_line_ends_and_counted_where_it_is_not(tmp_path: Path) -> None:
    rows = [
        ASKED | {"evidence": "makaraların yerini gösterir. Kayıp makara"},
        ASKED | {"evidence": ["c-reel", "Bu cümle belgelerde yok."]},
        ASKED | {"evidence": "Onay"},
        ASKED | {"note": "x"},
    ]
    doubled = [*CHUNKS, make_chunk("c-more", "Onay gerekir.")]
    found = read(tmp_path, rows, chunks=doubled)
    assert [question.evidence_chunk_ids for question in found.questions] == [("c-reel",), (), (), ()]
    assert sorted((reason.split(":")[0], count) for reason, count in found.left_out.items()) == [
        ("column 'note' of the questions, which is not used", 1),
        ("evidence that stands in no chunk of the documents", 1),
        ("evidence that stands in several chunks of the documents", 1),
    ]


def test_without_documents_evidence_is_nothing_to_look_for(tmp_path: Path) -> None:
    found = read(tmp_path, [ASKED | {"evidence": "Onay"}], chunks=[])
    assert found.left_out == {}
    assert found.questions[0].evidence_chunk_ids == ()


def test_decomposed_letters_are_composed_as_in_the_documents(tmp_path: Path) -> None:
    rows = [ASKED | {"question": "Makara o\u0308lc\u0327u\u0308su\u0308 nedir?", "evidence": "Sayım farkı yu\u0308zde"}]
    [question] = read(tmp_path, rows).questions
    assert question.question == "Makara ölçüsü nedir?"
    assert question.evidence_chunk_ids == ("c-count",)


@pytest.mark.parametrize(
    ("content", "name", "said"),
    [
        ('{"question": "a", "answer": "b"}\n{"question": ', "own.jsonl", r"own\.jsonl:2: not valid JSON"),
        ('{"data": [\n{"paragraphs": }]}', "dev.json", r"dev\.json:2: not valid JSON"),
        ("", "own.jsonl", r"holds no question"),
        ([3], "own.jsonl", r"own\.jsonl:1: found 3; expected a record"),
        ([ASKED, {"answer": "b"}], "own.jsonl", r"own\.jsonl:2: field 'question': found nothing"),
        (
            [ASKED | {"question": " \n"}],
            "own.jsonl",
            r":1: field 'question': found ' \\n'; expected a text with a letter",
        ),
        ([ASKED | {"question": "\u200b"}], "own.jsonl", r"expected a text with a letter or a digit"),
        ([ASKED | {"answer": "a\0b"}], "own.jsonl", r":1: field 'answer': found 'a\\x00b'; expected no NUL"),
        ([ASKED | {"answers": {"text": "a"}}], "own.jsonl", r":1: field 'answers.text': found 'a'; expected a list"),
        (
            [ASKED | {"answers": {"text": ["a"], "answer_start": []}}],
            "own.jsonl",
            r":1: field 'answers.answer_start': found \[\]; expected a place for each of 1",
        ),
        (
            [{"question": "a"}],
            "own.jsonl",
            r":1: field 'answer': found nothing; give an answer, or \"answerable\": false",
        ),
        ([ASKED | {"answers": ["a", 3]}], "own.jsonl", r":1: field 'answers': found 3; expected a text"),
        ([ASKED | {"answerable": "no"}], "own.jsonl", r":1: field 'answerable': found 'no'; expected true or false"),
        ([ASKED | {"answerable": False}], "own.jsonl", r":1: field 'answerable': found false beside the answer"),
        ([ASKED | {"type": 1}], "own.jsonl", r":1: field 'type': found 1; expected a text"),
        (
            [ASKED | {"id": "x"}, ASKED, ASKED | {"id": "x"}],
            "own.jsonl",
            r":3: field 'id': 'x' stands twice, first in .*own\.jsonl:1",
        ),
        ({"data": "x"}, "dev.json", r"dev\.json: data: found 'x'; expected a list"),
        (
            squad({"question": "a?", "answers": [{"answer_start": 1}]}),
            "dev.json",
            r"data\[0\]\.paragraphs\[0\]\.qas\[0\]\.answers\[0\]: field 'text': found nothing",
        ),
        (squad({"answers": []}), "dev.json", r"data\[0\]\.paragraphs\[0\]\.qas\[0\]: field 'question': found nothing"),
        (squad({"question": "a?", "answers": []}), "dev.json", r"qas\[0\]: field 'answer': found nothing"),
        (squad(context=["a", "b"]), "dev.json", r"field 'context': found \['a', 'b'\]; expected one text"),  # type: ignore[arg-type]
        (
            [ASKED | {"question": ["a", "b"]}],
            "own.jsonl",
            r":1: field 'question': found \['a', 'b'\]; expected one text",
        ),
        ("[" * 100_000, "dev.json", r"dev\.json:1: JSON with too many brackets"),
        (
            '{"question": "a", "answer": "b"}\n{"id": ' + "9" * 6000 + "}",
            "own.jsonl",
            r"own\.jsonl:2: JSON with a number",
        ),
        ('{"question": "a\\ud800", "answer": "b"}', "own.jsonl", r":1: field 'question': half a surrogate pair"),
    ],
)
def test_what_is_wrong_is_told_with_file_line_and_field(content: Any, name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said):
        read(tmp_path, content, name)


def test_a_missing_file_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_questions(tmp_path / "none.jsonl", prompts=PROMPTS)
