"""Near-misses: related text, and surely not the answer."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, GenerationConfig
from groundtune.generation.unanswerable.near_misses import NO_CONTEXT, make_unanswerable
from groundtune.types import Chunk, Difficulty, Evidence, Exchange, Pair, QuestionType, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
MODULES = ("Stok", "Lab", "Satış", "Finans")


def chunk(name: str, module: str, text: str, language: str = "tr") -> Chunk:
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return Chunk(name, module, module, "", (module,), language, text, 50, False, False, (), (), 1, "a.md", 1, 2, sha256)


def pair(number: int, home: Chunk, question: str, answer: str) -> Pair:
    evidence = (Evidence(home.chunk_id, home.text, 0, len(home.text)),)
    return Pair(
        f"p{number:03d}", "g", Rule.INDIVIDUAL, home.language, question, answer, QuestionType.FACTUAL, Difficulty.EASY, True,
        (home.chunk_id,), evidence, "test/1",
    )  # fmt: skip


CHUNKS = [
    chunk(f"{module}-{number}", module, f"{module} kaydı {word} süresi boyunca saklanır ve {number} kez yedeklenir.")
    for module in MODULES
    for number, word in enumerate(["haftalık", "aylık", "yıllık", "günlük", "saatlik"], start=101)
]
PAIRS = [
    pair(index, home, f"{home.text.split(' süresi')[0]} süresince kaç kez yedeklenir?", home.text)
    for index, home in enumerate(CHUNKS)
]


def nearest(home: Chunk, count: int) -> Sequence[Chunk]:
    others = [item for item in CHUNKS if item.chunk_id != home.chunk_id]
    return sorted(others, key=lambda item: item.module != home.module)[:count]


def make(share: float, pairs: Sequence[Pair] = PAIRS, seed: int = 1) -> tuple[list[Pair], dict[str, int]]:
    config = GenerationConfig(unanswerable_share=share)
    by_id = {item.chunk_id: item for item in CHUNKS}
    made, passed = make_unanswerable(pairs, by_id, config=config, prompts=PROMPTS, nearest=nearest, seed=seed)
    return made, dict(passed)


def test_the_share_is_of_all_pairs() -> None:
    made, _ = make(0.2)
    assert len(made) == 5  # 5 of 20 + 5


def test_none_are_made_when_the_share_is_zero() -> None:
    assert make(0.0) == ([], {})


def test_the_answer_is_the_refusal_and_the_evidence_is_kept_but_not_in_the_context() -> None:
    made, _ = make(0.2)
    originals = {item.question: item for item in PAIRS}
    for item in made:
        assert item.answer == TURKISH_PROMPT.refusal
        assert not item.answerable
        assert item.evidence == originals[item.question].evidence
        assert item.context_chunk_ids
        assert not set(item.context_chunk_ids) & set(item.evidence_chunk_ids)
        assert item.pair_id != originals[item.question].pair_id


def test_modules_take_turns() -> None:
    made, _ = make(0.16)
    assert len(made) == 4
    assert {item.evidence_chunk_ids[0].split("-")[0] for item in made} == set(MODULES)


def test_the_choice_follows_the_seed_and_nothing_else() -> None:
    assert make(0.3)[0] == make(0.3, list(PAIRS))[0]
    assert make(0.3, seed=1)[0] != make(0.3, seed=2)[0]


def test_a_chunk_that_might_answer_is_no_context() -> None:
    home = chunk("Stok-900", "Stok", "Lot sınırı 12 alt lottur.")
    others = [
        chunk("Stok-901", "Stok", "Burada da: Lot sınırı 12 alt lottur. Bitti."),
        chunk("Stok-902", "Stok", "STK-204 hatası sınır aşılınca görünür."),
        chunk("Stok-903", "Stok", "A stock count is made once a year.", "en"),
        chunk("Stok-904", "Stok", "Makara darası kilogramla tartılır."),
    ]
    asked = pair(1, home, "STK-204 hangi sınırı bildirir?", "Lot sınırı 12 alt lottur.")
    config = GenerationConfig(unanswerable_share=0.5)
    chunks = {item.chunk_id: item for item in (home, *others)}
    made, _ = make_unanswerable(
        [asked], chunks, config=config, prompts=PROMPTS, nearest=lambda _, count: [home, *others][:count], seed=1
    )
    assert made[0].context_chunk_ids == ("Stok-904",)


def test_a_pair_without_such_context_is_passed_over_and_counted() -> None:
    config = GenerationConfig(unanswerable_share=0.5)
    chunks = {CHUNKS[0].chunk_id: CHUNKS[0]}
    made, passed = make_unanswerable(PAIRS[:1], chunks, config=config, prompts=PROMPTS, nearest=lambda *_: [], seed=1)
    assert (made, dict(passed)) == ([], {NO_CONTEXT: 1})


def test_later_turns_and_refusals_are_not_made_into_near_misses() -> None:
    later = [replace(item, history=(Exchange("Kayıt nedir?", "Bir satır."),)) for item in PAIRS[:10]]
    refused = [replace(item, answerable=False) for item in PAIRS[10:15]]
    made, passed = make(0.5, [*later, *refused, *PAIRS[15:]])
    assert {item.question for item in made} <= {item.question for item in PAIRS[15:]}
    assert len(made) == 5
    assert passed == {}
