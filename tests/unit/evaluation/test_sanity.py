"""Laws of the whole: perfect, refusing, shuffled and swapped systems over passages, in every measure at once."""

import json
import math
from collections.abc import Callable, Sequence

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation import MEASURES, Answered, AnswerRecord, Question
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.records import record_answers
from groundtune.evaluation.figures.retrieval_scores import score_retrieval
from groundtune.evaluation.figures.scores import compare, score
from groundtune.files import to_json

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
THINGS = ("makara", "etiket", "lot", "sayaç", "terazi", "palet", "rulo", "vinç")
PLACES = ("depo", "hangar", "atölye", "rampa", "koridor", "laboratuvar", "fırın", "kantin")

Speaker = Callable[[int, Question], str]


def make_question(number: int) -> Question:
    """Three questions for each of 16 passages; every sixth has no answer."""
    passage = number // 3
    thing, place = THINGS[passage % 8], PLACES[(passage * 3 + number % 3) % 8]
    text = (
        f"{thing.capitalize()} {place} içinde bekler, kodu KD-{100 + number} ve sınırı {200 + 7 * number},5 kg.",
        f"1. {thing.capitalize()} kodunu okutun.\n2. `{place}_{number}` alanını {number + 20} yapın.",
        f"{place.capitalize()} kaydı {thing} tartıldıktan {number + 30} gün sonra kapanır.",
    )[number % 3]
    answerable = number % 6 != 5
    return Question(
        f"q-{number:02d}",
        f"{thing} {place} için kural nedir?",
        (text if answerable else TURKISH_PROMPT.refusal,),
        "tr",
        answerable,
        evidence_chunk_ids=(f"c-{passage:02d}",),
        passages=(f"Giriş. {text} Son.",),
        type=("factual", "procedural", "list")[number % 3],
    )


QUESTIONS = [make_question(number) for number in range(48)]
REFERENCES = [question.reference for question in QUESTIONS if question.answerable]


def perfect(_: int, question: Question) -> str:
    return question.reference


def refusing(_: int, question: Question) -> str:
    return "Belgelerde bu konuda bilgi bulunmuyor."


def shuffled(number: int, question: Question) -> str:
    return next(text for text in REFERENCES[(number * 7 + 11) % 40 :] + REFERENCES if text != question.reference)


def silent(_: int, question: Question) -> str:
    return ""


def ask(first: Speaker, second: Speaker, questions: Sequence[Question] = QUESTIONS) -> list[AnswerRecord]:
    def said(speaker: Speaker, number: int, question: Question) -> Answered:
        text = speaker(number, question)
        return Answered(text, tuple(range(len(text.split()))), True, question.passages)

    return [
        record_answers(
            question,
            {"first": said(first, number, question), "second": said(second, number, question)},
            PROMPTS,
            [f"c-{number % 16:02d}", *question.evidence_chunk_ids],
        )
        for number, question in enumerate(questions)
    ]


def values(speaker: Speaker) -> dict[str, float | None]:
    return {key: figure.value for key, figure in score(ask(speaker, speaker), "second", seed=7).items()}


def test_reference_answers_are_perfect_in_every_measure() -> None:
    found = values(perfect)
    for measure in MEASURES:
        assert found[measure.key] == (1.0 if measure.better == "higher" else 0.0), measure.key


def test_an_always_refusing_system_answers_nothing_falsely_and_refuses_too_much() -> None:
    found = values(refusing)
    assert (found["false_answer_rate"], found["over_refusal_rate"], found["refusal_balance"]) == (0.0, 1.0, 0.5)
    for key in ("evidence_support", "unsupported_number_rate", "length_rate", "form_rate", "language_switch_rate"):
        assert found[key] is None, "it gave no answer to measure"


def test_shuffled_answers_are_near_to_nothing() -> None:
    found = values(shuffled)
    assert all((found[key] or 0) < 0.35 for key in ("token_f1", "rouge_l", "number_accuracy", "identifier_accuracy")), (
        found
    )
    assert found["exact_match"] == 0.0
    assert found["chrf"] is not None
    assert found["chrf"] < 0.45  # the same form of words has many letters in common
    assert found["false_answer_rate"] == 1.0
    assert found["unsupported_number_rate"] is not None
    assert found["unsupported_number_rate"] > 0.95


def test_silence_is_empty_and_neither_refusal_nor_answer() -> None:
    found = values(silent)
    assert (found["empty_rate"], found["over_refusal_rate"], found["token_f1"], found["chrf"]) == (1.0, 0.0, 0.0, 0.0)
    assert found["evidence_support"] is None


def test_swapping_two_systems_flips_every_sign() -> None:
    def half(number: int, question: Question) -> str:
        return (perfect if number % 2 else shuffled)(number, question)

    there = compare(ask(shuffled, half), "first", "second", seed=7)
    back = compare(ask(half, shuffled), "first", "second", seed=7)
    measured = 0
    for key, figure in there.differences.items():
        other = back.differences[key]
        assert figure.n == other.n
        if figure.value is None:
            assert other.value is None
            continue
        measured += 1
        assert (figure.value, figure.low, figure.high) == pytest.approx((-other.value, -other.high, -other.low)), key
    assert measured > 12
    assert there.outcomes["better"] == back.outcomes["worse"] > 0
    assert there.outcomes["worse"] == back.outcomes["better"]
    assert there.most_changed == back.most_changed


def test_a_system_beside_itself_differs_by_exactly_nothing() -> None:
    same = compare(ask(shuffled, shuffled), "first", "second", seed=7)
    for key, figure in same.differences.items():
        if figure.value is not None:
            assert figure.value == 0.0, key
            assert figure.low <= 0.0 <= figure.high, key  # type: ignore[operator]
    assert same.outcomes == {"better": 0, "same": 48, "worse": 0}
    assert same.most_changed == ()


def test_the_ten_most_changed_are_the_largest_changes_of_either_sign() -> None:
    def mixed(number: int, question: Question) -> str:
        return question.reference if number % 4 else "bambaşka sözler"

    records = ask(mixed, lambda number, question: "bambaşka sözler" if number % 4 == 1 else question.reference)
    comparison = compare(records, "first", "second", seed=7)
    changes = {record.question_id: abs(record.gain("first", "second")) for record in records}
    assert len(comparison.most_changed) == 10
    assert min(changes[each] for each in comparison.most_changed) == 1.0
    assert [changes[each] for each in comparison.most_changed] == sorted(changes.values(), reverse=True)[:10]
    assert comparison.outcomes["better"] + comparison.outcomes["worse"] == sum(
        change > 0.05 for change in changes.values()
    )


def test_the_same_twice_gives_the_same_bytes() -> None:
    def told() -> str:
        records = ask(shuffled, perfect)
        return "\n".join(
            to_json(each)
            for each in (*records, score(records, "second", seed=7), compare(records, "first", "second", seed=7))
        )

    assert told() == told()


@pytest.mark.parametrize("speaker", [perfect, refusing, shuffled, silent])
def test_no_figure_is_ever_something_json_has_no_word_for(speaker: Speaker) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for questions in (QUESTIONS, QUESTIONS[:1], QUESTIONS[5:6], []):
        records = ask(shuffled, speaker, questions)
        for told in (
            *records,
            score(records, "second", seed=7),
            compare(records, "first", "second", seed=7),
            score_retrieval(records, depth=10, seed=7),
        ):
            json.loads(to_json(told), parse_constant=refuse)


def test_every_interval_holds_its_value() -> None:
    records = ask(shuffled, perfect)
    figures: list[Figure] = [
        *score(records, "first", seed=7).values(),
        *score(records, "second", seed=7).values(),
        *compare(records, "first", "second", seed=7).differences.values(),
        *score_retrieval(records, depth=10, seed=7).recall.values(),
    ]
    for figure in figures:
        if figure.value is not None:
            assert figure.low is not None
            assert figure.high is not None
            assert all(map(math.isfinite, (figure.value, figure.low, figure.high)))
            assert figure.low - 1e-9 <= figure.value <= figure.high + 1e-9


def test_questions_over_one_passage_of_their_own_are_one_cluster() -> None:
    record = ask(perfect, perfect)[0]
    assert record.cluster == "c-00"
    own = Question("q", "?", ("r",), "tr", passages=("Bir metin.",))
    one, other = ask(perfect, perfect, [own, Question("p", "!", ("r",), "tr", passages=("Bir metin.",))])
    assert one.cluster == other.cluster != "q"
    (alone,) = ask(perfect, perfect, [Question("q", "?", ("r",), "tr")])
    assert alone.cluster == "q"
