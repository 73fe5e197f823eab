"""Drills: conversations from the documents' own sentences."""

import random

from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.files import sha256_text
from groundtune.training.drills import TURNS, make_cue, make_drills, split_sentences
from groundtune.types import Chunk

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}


def chunk(number: int, text: str, language: str = "tr") -> Chunk:
    return Chunk(
        chunk_id=f"c-{language}-{number}",
        module="Stok",
        submodule="Lot",
        section_heading="Lot",
        breadcrumb=("Stok", "Lot"),
        language=language,
        text=text,
        token_count=1,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=1,
        source="lot.md",
        line_start=1,
        line_end=2,
        sha256=sha256_text(text),
    )


CHUNKS = [
    chunk(1, "Lot numarası on üç karakterlik bir koddur. Bir lot en çok on iki alt lota bölünür."),
    chunk(2, "Makara kartı her makara için bir kez açılır. Boş makara depoya on gün içinde döner."),
    chunk(3, "The lot number is a code of thirteen characters. A lot is split into twelve at most.", "en"),
    chunk(4, "# Başlık\n\n| a | b |\n|---|---|\n| uzun bir satır vardır burada işte | x |"),
]


def in_order(some, all_of_them) -> bool:
    rest = iter(all_of_them)
    return all(word in rest for word in some)


def test_every_answer_is_a_sentence_of_the_passages_shown_or_the_refusal():
    for drill in make_drills(CHUNKS, PROMPTS, count=60, seed=1):
        context = drill[1].content
        refusals = {prompt.refusal for prompt in PROMPTS.values()}
        answers = [message.content for message in drill if message.role == "assistant"]
        assert len(answers) == TURNS
        for answer in answers:
            assert answer in context or answer in refusals


def test_a_refusal_is_for_a_sentence_that_is_not_shown():
    refused = 0
    for drill in make_drills(CHUNKS, PROMPTS, count=200, seed=2):
        shown = [each for each in CHUNKS if each.text in drill[1].content]
        for question, answer in zip(drill[1::2], drill[2::2], strict=True):
            if answer.content in (TURKISH_PROMPT.refusal, ENGLISH_PROMPT.refusal):
                refused += 1
                cue = question.content.splitlines()[-1].rstrip("?").split()
                sentences = [sentence for each in shown for sentence in split_sentences(each.text)]
                assert not any(in_order(cue, sentence.rstrip(".").split()) for sentence in sentences)
    assert refused > 0


def test_languages_are_not_mixed_and_the_same_seed_gives_the_same_drills():
    drills = make_drills(CHUNKS, PROMPTS, count=40, seed=3)
    assert drills == make_drills(CHUNKS, PROMPTS, count=40, seed=3)
    assert drills != make_drills(CHUNKS, PROMPTS, count=40, seed=4)
    for drill in drills:
        english = drill[0].content == ENGLISH_PROMPT.system
        assert (CHUNKS[2].text in drill[1].content) == english


def test_documents_without_prose_give_no_drills():
    assert make_drills([CHUNKS[3]], PROMPTS, count=5, seed=1) == []


@given(st.lists(st.text("abcçdefgğhıijk", min_size=1), min_size=1, max_size=30), st.integers())
def test_a_cue_begins_as_its_sentence_does_and_adds_no_word(words, seed):
    cue = make_cue(" ".join(words) + ".", random.Random(seed))
    assert cue.endswith("?")
    kept = cue[:-1].split()
    assert kept[0] == words[0]
    assert in_order(kept, words)
