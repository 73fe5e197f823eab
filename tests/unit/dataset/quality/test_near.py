"""Near copies: found where the edit similarity says so, not where rows only share a context or a wording."""

import random
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries
from rapidfuzz.distance import Levenshtein

from groundtune.config import FilterConfig
from groundtune.dataset.quality import NearIndex, NearText, Reason, apply_filters
from groundtune.dataset.quality.minhash import BandTable
from groundtune.types import Conversation, Message, Origin

LETTERS = "abcdefghijklmnoprstuvyz"


def row(number, question, answer, system=""):
    turns = (Message("user", question), Message("assistant", answer))
    messages = (Message("system", system), *turns) if system else turns
    return Conversation(f"a:{number}", Origin("a", "a.json", number), messages)


def near(rows, tmp_path, similarity=0.9):
    config = FilterConfig(duplicates="near", near_similarity=similarity)
    return [
        None if isinstance(each, Conversation) else each
        for each in apply_filters(rows, config, folder=tmp_path, seed=1)
    ]


def text_of(choice, words):
    return " ".join("".join(choice.choices(LETTERS, k=choice.randint(2, 9))) for _ in range(words))


def with_typos(choice, text, count):
    letters = list(text)
    for place in choice.sample([index for index, letter in enumerate(letters) if letter != " "], count):
        letters[place] = choice.choice(LETTERS)
    return "".join(letters)


def test_a_word_changed_is_a_near_copy_and_the_first_stays(tmp_path):
    answer = "Goods receipts are posted by the warehouse and checked by purchasing before the invoice is paid."
    rows = [
        row(1, "Who posts goods receipts in the system?", answer),
        row(2, "Who posts goods receipts in the system?", answer.replace("checked", "verified")),
        row(3, "Who pays?", "The bookkeeper does, on the last working day of each month."),
    ]
    [first, copy, other] = near(rows, tmp_path)
    assert first is None
    assert other is None
    assert copy.reason == Reason.NEAR_COPY
    assert copy.found.endswith("like a:1")
    assert float(copy.found.split()[0]) == pytest.approx(1 - 7 / 97, abs=0.02)


@pytest.mark.parametrize("words", [12, 40, 200])
def test_nearly_all_near_copies_are_found(tmp_path, words):
    choice = random.Random(words)
    originals = [text_of(choice, words) for _ in range(150)]
    copies = [with_typos(choice, text, len(text) // 20) for text in originals]
    rows = [row(number, "Say it.", text) for number, text in enumerate(originals + copies, start=1)]
    found = near(rows, tmp_path)
    assert found[:150] == [None] * 150
    # every copy has a similarity of 0.95; a typo in every fourth word leaves half of the shingles
    assert sum(each is not None for each in found[150:]) >= 0.93 * 150


def test_what_is_called_near_is_near(tmp_path):
    choice = random.Random(3)
    text = text_of(choice, 30)
    rows = [row(1, "Say it.", text)]
    rows += [row(number, "Say it.", with_typos(choice, text, number)) for number in range(2, 60)]
    for each, outcome in zip(rows, near(rows, tmp_path), strict=True):
        if outcome is not None:
            other = next(other for other in rows if outcome.found.endswith(f"like {other.conversation_id}"))
            similarity = Levenshtein.normalized_similarity(each.messages[1].content, other.messages[1].content)
            assert similarity >= 0.9


def test_two_questions_over_one_long_context_are_no_copies(tmp_path):
    context = text_of(random.Random(1), 300)
    rows = [
        row(1, f"{context}\n\nIs the lot blocked?", "Yes."),
        row(2, f"{context}\n\nIs the shelf full?", "Yes."),
        row(3, f"{context}\n\nIs the lot blocked?", "Yes!"),
    ]
    assert [each is None for each in near(rows, tmp_path)] == [True, True, False]
    assert Levenshtein.normalized_similarity(rows[0].messages[0].content, rows[1].messages[0].content) > 0.98


def test_two_answers_to_one_question_are_no_copies(tmp_path):
    question = text_of(random.Random(1), 300)
    assert near([row(1, question, "Yes."), row(2, question, "No, never.")], tmp_path) == [None, None]


def test_a_system_prompt_in_common_says_nothing(tmp_path):
    system = text_of(random.Random(1), 400)
    rows = [row(1, "Is it red?", "It is.", system), row(2, "How far is it?", "Two miles.", system)]
    assert near(rows, tmp_path) == [None, None]


def test_case_and_turkish_letters_are_folded_before_comparing(tmp_path):
    rows = [row(1, "IŞIK NASIL AÇILIR?", "DÜĞMEYE BASILIR"), row(2, "ışık nasıl açılır?", "düğmeye basılır.")]
    assert near(rows, tmp_path)[1].reason == Reason.NEAR_COPY


def test_a_phrase_that_all_rows_begin_with_hides_no_copy(tmp_path):
    choice = random.Random(5)
    phrase = "Write a product description of at most forty words for the shop, in plain style, about this article: "
    originals = [f"{phrase}{text_of(choice, 6)}" for _ in range(400)]
    answers = [text_of(choice, 25) for _ in originals]
    rows = [row(number, *pair) for number, pair in enumerate(zip(originals, answers, strict=True), start=1)]
    rows.append(row(1000, originals[3], with_typos(choice, answers[3], 3)))
    found = near(rows, tmp_path)
    assert found[:-1] == [None] * 400
    assert found[-1].found.endswith("like a:4")


def test_very_long_rows_are_compared_in_no_time(tmp_path):
    text = text_of(random.Random(1), 400_000)
    changed = text[:1000] + "xyz" + text[1003:]
    rows = [row(1, "Say it.", text), row(2, "Say it.", changed), row(3, "Say it.", text[::-1])]
    assert [each is None for each in near(rows, tmp_path)] == [True, False, True]


def test_rows_without_words_are_compared_too(tmp_path):
    rows = [row(1, "?", "+"), row(2, "?", "-"), row(3, "", ""), row(4, "!", "+")]
    assert [each is None for each in near(rows, tmp_path)] == [True] * 4


def test_chains_survive_growing(tmp_path):
    table = BandTable()
    tags = [table.tags_of([f"word{number}", f"other{number}", "same"]) for number in range(2000)]
    for each in tags:
        table.add(each)
    assert len(table) == 2000
    assert all(table.meetings(each)[number] == table.num_bands for number, each in enumerate(tags))


def test_memory_a_row_is_what_the_module_says():
    choice = random.Random(1)
    with NearIndex(0.9) as index:
        index.add("warm", NearText.of("up", "up"))
        tracemalloc.start()
        for number in range(4000):
            index.add(f"a:{number}", NearText("", f"{number} {choice.random()} b"))
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert index.bytes_held / len(index) < 530
        # arrays grow by an eighth at a time
        assert held / len(index) < 600


@settings(max_examples=tries(240), deadline=None)
@given(st.lists(st.text(st.sampled_from("ab ıİ.\n"), max_size=12), max_size=12))
def test_the_law_kept_rows_are_not_near_and_removed_ones_are(texts):
    rows = [row(number, "", text) for number, text in enumerate(texts, start=1)]
    kept, copies = [], []
    for each in apply_filters(rows, FilterConfig(duplicates="near"), folder=None, seed=1):
        (kept if isinstance(each, Conversation) else copies).append(each)
    assert len(kept) + len(copies) == len(rows)
    answers = [NearText.of("", each.messages[1].content).answer for each in kept]
    # equal forms agree in every band, so none can be missed
    assert len(set(answers)) == len(answers)
