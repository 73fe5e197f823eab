"""The assistant: which chunks reach the prompt, in which language, in which order."""

import json
from collections.abc import Iterator, Sequence

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.errors import DataError
from groundtune.files import sha256_text
from groundtune.retrieval import Bm25Retriever
from groundtune.serving import Assistant, fit_context, read_run_card
from groundtune.types import Chunk, Message


def chunk(number: int, text: str, language: str = "tr") -> Chunk:
    title = "Makara" if number == 1 else "Lot"
    return Chunk(
        chunk_id=f"erp-mod-stok-{language}_chunk_{number:03d}",
        module="Stok",
        submodule=title,
        section_heading=title,
        breadcrumb=("Stok", title),
        language=language,
        text=text,
        token_count=len(text.split()),
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=2,
        source=f"{language}/lot.md",
        line_start=number * 10,
        line_end=number * 10 + 5,
        sha256=sha256_text(text),
    )


CHUNKS = [
    chunk(1, "Makara, kablonun sarıldığı ahşap veya çelik silindirdir."),
    chunk(2, "Lot numarası 13 karakterlik koddur ve lot etiketinde yazar."),
    chunk(3, "Lot etiketi kaybolursa lot etiketi yeniden basılır; lot numarası değişmez."),
    chunk(4, "The lot number is a code of 13 characters.", "en"),
]


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.content.split()) for message in messages)


class Recorder:
    """Stands where the model's stream does and keeps what it was given."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    def __call__(self, messages: Sequence[Message]) -> Iterator[str]:
        self.seen = list(messages)
        yield from ("13 ", "karakter")


def assistant(recorder: Recorder, *, top_k: int = 3, max_prompt_tokens: int = 500) -> Assistant:
    return Assistant(
        retriever=Bm25Retriever(CHUNKS),
        prompts={"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT},
        languages=("tr", "en"),
        top_k=top_k,
        max_prompt_tokens=max_prompt_tokens,
        count_tokens=words,
        stream=recorder,
    )


def test_the_answer_streams_and_the_chunks_are_named():
    recorder = Recorder()
    reply = assistant(recorder).ask("Lot numarası kaç karakterdir ve etikette yazar mı?")
    assert "".join(reply.pieces) == "13 karakter"
    assert reply.language == "tr"
    assert {hit.chunk.chunk_id for hit in reply.hits} == {CHUNKS[1].chunk_id, CHUNKS[2].chunk_id}
    assert recorder.seen[0] == Message("system", TURKISH_PROMPT.system)


def test_a_question_is_answered_in_its_own_language():
    recorder = Recorder()
    reply = assistant(recorder).ask("How many characters does the lot number have?")
    list(reply.pieces)
    assert reply.language == "en"
    assert [hit.chunk.language for hit in reply.hits] == ["en"]
    assert recorder.seen[0].content == ENGLISH_PROMPT.system


def test_chunks_stand_in_reading_order_whatever_their_score():
    recorder = Recorder()
    reply = assistant(recorder).ask("Kaybolan lot etiketi yeniden nasıl basılır?")
    list(reply.pieces)
    assert reply.hits[0].chunk == CHUNKS[2]
    user = recorder.seen[1].content
    assert user.index(CHUNKS[1].text) < user.index(CHUNKS[2].text)


def test_what_does_not_fit_is_left_out_and_counted():
    one = words(fitting_messages())
    recorder = Recorder()
    reply = assistant(recorder, max_prompt_tokens=one).ask("Kaybolan lot etiketi yeniden nasıl basılır?")
    assert [hit.chunk for hit in reply.hits] == [CHUNKS[2]]
    assert reply.dropped == 1


def fitting_messages() -> Sequence[Message]:
    from groundtune.chat import grounded_messages

    return grounded_messages(TURKISH_PROMPT, [CHUNKS[2]], "Kaybolan lot etiketi yeniden nasıl basılır?")


def test_a_hit_that_is_too_long_does_not_keep_out_a_shorter_one():
    hits = Bm25Retriever(CHUNKS).search("lot etiketi", top_k=3, language="tr")
    short = min(hits, key=lambda hit: len(hit.chunk.text.split()))
    from groundtune.chat import grounded_messages

    limit = words(grounded_messages(TURKISH_PROMPT, [short.chunk], "lot etiketi"))
    assert fit_context(TURKISH_PROMPT, hits, "lot etiketi", count_tokens=words, max_tokens=limit) == (short,)


def test_without_a_passage_the_model_is_not_asked_and_the_answer_is_the_refusal():
    recorder = Recorder()
    reply = assistant(recorder).ask("Fransa'nın başkenti neresidir?")
    assert "".join(reply.pieces) == TURKISH_PROMPT.refusal
    assert reply.hits == ()
    assert recorder.seen == []


@pytest.mark.parametrize("question", ["", "   \n"])
def test_an_empty_question_is_refused(question):
    with pytest.raises(DataError, match="the question is empty"):
        assistant(Recorder()).ask(question)


def test_a_question_longer_than_the_context_is_refused_with_its_size():
    with pytest.raises(DataError, match=r"too many tokens \(\d+, at most 40\)"):
        assistant(Recorder(), max_prompt_tokens=40).ask("Lot numarası nedir " * 30)


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(DataError, match=r"not the folder of a finished run \(card/run\.json is not in it\)"):
        read_run_card(tmp_path)


def test_a_run_whose_documents_are_gone_says_so(tmp_path):
    card = {
        "project": "x", "chunks": "../chunks.jsonl", "model": "best", "base": "b", "languages": ["tr"], "prompts": {},
        "top_k": 1, "max_tokens": 64, "max_new_tokens": 8,
    }  # fmt: skip
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "run.json").write_text(json.dumps(card))
    with pytest.raises(DataError, match=r"names '\.\./chunks\.jsonl', which is not there"):
        read_run_card(tmp_path)
