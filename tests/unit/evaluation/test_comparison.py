"""What must hold of any comparison: perfect, refusing, shuffled and swapped models, and the sample that is asked."""

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, EvaluationConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation import (
    Answered,
    Answerer,
    AnswerRecord,
    Evaluation,
    EvaluationSummary,
    Loss,
    Question,
    SplitLoss,
    evaluate,
    question_of,
    question_of_conversation,
    split_loss,
)
from groundtune.evaluation.asking.sampling import choose_examples, choose_questions, choose_shown
from groundtune.evaluation.figures.scores import compare as compare_systems
from groundtune.evaluation.figures.scores import score
from groundtune.files import parse_record, read_records, to_json, write_records
from groundtune.types import Conversation, Difficulty, Example, Message, Origin, QuestionType, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
TYPES = list(QuestionType)


def make_example(number: int, *, answerable: bool = True, language: str = "tr", split: str = "test") -> Example:
    letters = "".join(chr(ord("a") + int(digit)) for digit in f"{number:03d}")
    answer = f"{letters}1 {letters}2 {letters}3" if answerable else PROMPTS[language].refusal
    question = f"{letters} nedir?"
    return Example(
        example_id=f"ex-{number:03d}",
        messages=(Message("system", "s"), Message("user", question), Message("assistant", answer)),
        language=language,
        split=split,  # type: ignore[arg-type]
        pair_id=f"pair-{number:03d}",
        rule=Rule.INDIVIDUAL if number % 3 else Rule.MODULE,
        type=TYPES[number % 5],
        difficulty=list(Difficulty)[number % 3],
        answerable=answerable,
        question=question,
        context_chunk_ids=("c-1", "c-2"),
        evidence_chunk_ids=("c-1",),
    )


def make_question(number: int, **changes) -> Question:
    return question_of(make_example(number, **changes))


EXAMPLES = [
    make_question(number, answerable=number % 10 != 0, language="tr" if number % 4 else "en") for number in range(100)
]


def say(text: str, *, stopped: bool = True) -> Answered:
    return Answered(text, tuple(range(len(text.split()))), stopped)


def perfect(examples: Sequence[Question]) -> list[Answered]:
    return [say(example.reference) for example in examples]


def refusing(examples: Sequence[Question]) -> list[Answered]:
    return [say(PROMPTS[example.language].refusal) for example in examples]


def shuffled(examples: Sequence[Question]) -> list[Answered]:
    references = [example.reference for example in examples if example.answerable]
    return [say(references[(index * 7 + 3) % len(references)]) for index in range(len(examples))]


def looping(examples: Sequence[Question]) -> list[Answered]:
    return [Answered("a b " * 20, (1, 2) * 20, False) for _ in examples]


def compare(base: Answerer, tuned: Answerer, examples: Sequence[Question] = EXAMPLES, **settings: int) -> Evaluation:
    return evaluate(
        examples,
        answerers={"base": looping, "base_context": base, "tuned_context": tuned},
        losses={"base": {"test": SplitLoss(Loss.of(4.0, 100))}, "tuned": {"test": SplitLoss(Loss.of(1.0, 100))}},
        prompts=PROMPTS,
        config=EvaluationConfig(**settings),
        seed=7,
    )


KEYS = ("token_f1", "exact_match", "false_answer_rate", "over_refusal_rate", "stop_rate", "repetition_rate")


def values(evaluation: Evaluation, which: str) -> dict[str, float | None]:
    """Of the systems with passages."""
    return {key: evaluation.summary.figures[f"{which}_context"][key].value for key in KEYS}


def test_reference_answers_score_one() -> None:
    assert values(compare(looping, perfect), "tuned") == {
        "token_f1": 1.0,
        "exact_match": 1.0,
        "false_answer_rate": 0.0,
        "over_refusal_rate": 0.0,
        "stop_rate": 1.0,
        "repetition_rate": 0.0,
    }


def test_an_always_refusing_model_never_answers_falsely_and_always_refuses_too_much() -> None:
    found = values(compare(perfect, refusing), "tuned")
    assert found["false_answer_rate"] == 0.0
    assert found["over_refusal_rate"] == 1.0
    assert found["token_f1"] == 0.0


def test_shuffled_answers_score_near_zero() -> None:
    found = values(compare(perfect, shuffled), "tuned")
    assert found["token_f1"] is not None
    assert found["token_f1"] < 0.05


def test_a_looping_model_is_seen_to_loop_and_not_to_stop() -> None:
    found = values(compare(looping, perfect), "base")
    assert found["repetition_rate"] == 1.0
    assert found["stop_rate"] == 0.0


def test_swapping_the_models_swaps_the_figures_and_flips_the_differences() -> None:
    there, back = compare(shuffled, perfect).summary, compare(perfect, shuffled).summary
    assert there.figures["base_context"] == back.figures["tuned_context"]
    assert there.figures["tuned_context"] == back.figures["base_context"]
    one, other = there.comparisons[0], back.comparisons[0]
    for key, figure in one.differences.items():
        if figure.value is not None:
            assert figure.value == pytest.approx(-other.differences[key].value)
            assert figure.low == pytest.approx(-other.differences[key].high)
    assert one.outcomes["better"] == other.outcomes["worse"] > 0
    assert one.outcomes["same"] == other.outcomes["same"]
    assert set(one.most_changed) == set(other.most_changed)


def test_the_same_run_twice_gives_the_same_bytes() -> None:
    first, second = compare(shuffled, perfect, max_questions=40), compare(shuffled, perfect, max_questions=40)
    assert to_json(first.summary) == to_json(second.summary)
    assert first == second


def test_f1_and_exact_match_leave_unanswerable_questions_out() -> None:
    figures = compare(looping, perfect).summary.figures["tuned_context"]
    assert {key: figures[key].n for key in KEYS} == {
        "token_f1": 90,
        "exact_match": 90,
        "false_answer_rate": 10,
        "over_refusal_rate": 90,
        "stop_rate": 100,
        "repetition_rate": 100,
    }


def test_what_was_not_asked_is_not_measured_rather_than_zero() -> None:
    evaluation = compare(looping, perfect, examples=[])
    assert set(values(evaluation, "tuned").values()) == {None}
    assert evaluation.result.counts["questions"] == 0
    only_answerable = compare(looping, perfect, examples=[make_question(1)])
    assert values(only_answerable, "tuned")["false_answer_rate"] is None


def test_a_refusal_in_another_configured_language_is_no_false_answer() -> None:
    def other(examples: Sequence[Question]) -> list[Answered]:
        return [say(ENGLISH_PROMPT.refusal) for _ in examples]

    assert (
        values(compare(looping, other, examples=[make_question(0, answerable=False)]), "tuned")["false_answer_rate"]
        == 0
    )


def test_records_and_summary_come_back_from_their_files(tmp_path) -> None:
    evaluation = compare(shuffled, perfect)
    write_records(tmp_path / "answers.jsonl", evaluation.records)
    records = read_records(tmp_path / "answers.jsonl", AnswerRecord)
    assert tuple(records) == evaluation.records
    summary = parse_record(json.loads(to_json(evaluation.summary)), EvaluationSummary, where="evaluation.json")
    assert summary == evaluation.summary
    assert score(records, "tuned_context", seed=7) == evaluation.summary.figures["tuned_context"]
    assert compare_systems(records, "base_context", "tuned_context", seed=7) == evaluation.summary.comparisons[0]


def test_questions_left_out_are_counted() -> None:
    result = compare(looping, perfect, max_questions=30).result
    assert result.counts == {"questions": 30, "answerable": 22, "unanswerable": 8}
    assert result.skips == {"questions above evaluation.max_questions": 70}


def test_slices_cover_every_answerable_question_once_per_field() -> None:
    sizes: Counter[str] = Counter()
    for part in compare(looping, perfect).summary.comparisons[0].slices:
        sizes[part.field] += part.second.n
    assert sizes == {"type": 90, "difficulty": 90, "language": 90, "rule": 90}


def test_a_search_that_finds_nothing_counts_as_a_miss_and_no_search_is_no_figure() -> None:
    asked = [make_question(number) for number in range(4)]
    answerers = {"base": perfect, "tuned": perfect}

    def recall(search: Callable[[Question], Sequence[str]] | None) -> tuple[float | None, int]:
        summary = evaluate(
            asked, answerers=answerers, losses={}, prompts=PROMPTS, config=EvaluationConfig(), seed=7, search=search
        ).summary
        return summary.retrieval.recall["5"].value, summary.retrieval.mrr.n

    assert recall(lambda question: ["c-1"] if question is asked[0] else []) == (0.25, 4)
    assert recall(None) == (None, 0)


def test_questions_of_other_splits_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"'ex-001': split is 'train'"):
        make_question(1, split="train")


def test_a_question_that_stands_twice_is_refused() -> None:
    with pytest.raises(EvaluationError, match="stands twice"):
        compare(looping, perfect, examples=[make_question(1), make_question(1)])


def test_a_missing_answer_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="tuned_context gave 99 answers to 100 questions"):
        compare(looping, lambda examples: perfect(examples)[1:])


def test_a_language_without_a_prompt_is_an_error() -> None:
    german = dataclasses.replace(make_question(1), language="de")
    with pytest.raises(EvaluationError, match=r"prompts\.de"):
        compare(looping, perfect, examples=[german])


def test_a_loss_that_is_no_number_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="nan"):
        Loss.of(float("nan"), 10)


def test_the_sample_holds_every_unanswerable_question_up_to_a_quarter() -> None:
    asked = choose_questions(EXAMPLES, max_questions=60, seed=7)
    assert sum(not example.answerable for example in asked) == 10  # all there are
    asked = choose_questions(EXAMPLES, max_questions=20, seed=7)
    assert sum(not example.answerable for example in asked) == 5  # a quarter of the places
    assert len(asked) == 20
    assert asked == sorted(asked, key=EXAMPLES.index)


def test_a_single_question_is_one_that_has_an_answer() -> None:
    [question] = choose_questions(EXAMPLES, max_questions=1, seed=7)
    assert question.answerable
    assert sum(not each.answerable for each in choose_questions(EXAMPLES, max_questions=2, seed=7)) == 1


def test_the_sample_keeps_the_proportions_of_the_types() -> None:
    asked = choose_questions(EXAMPLES, max_questions=50, seed=7)
    counts = Counter(example.type for example in asked if example.answerable)
    # of the 90 answerable questions 10 are factual and 20 of each other type; 40 of 90 places
    assert 3 <= counts[QuestionType.FACTUAL] <= 6
    assert all(7 <= counts[kind] <= 11 for kind in TYPES if kind is not QuestionType.FACTUAL)


def test_another_seed_asks_other_questions_and_zero_asks_all() -> None:
    assert choose_questions(EXAMPLES, max_questions=20, seed=1) != choose_questions(EXAMPLES, max_questions=20, seed=2)
    assert choose_questions(EXAMPLES, max_questions=0, seed=1) == EXAMPLES


def test_places_left_by_answerable_questions_go_to_unanswerable_ones() -> None:
    examples = [make_question(number, answerable=number < 5) for number in range(50)]
    asked = choose_questions(examples, max_questions=20, seed=1)
    assert Counter(example.answerable for example in asked) == {True: 5, False: 15}


def test_shown_questions_are_of_different_types_with_one_unanswerable() -> None:
    shown = choose_shown(EXAMPLES, count=3, seed=7)
    assert [example.answerable for example in shown] == [True, True, False]
    assert shown[0].type != shown[1].type
    ten = choose_shown(EXAMPLES, count=10, seed=7)
    assert sum(not example.answerable for example in ten) == 2
    assert {example.type for example in ten if example.answerable} == set(TYPES)


@pytest.mark.parametrize("count", [0, 1, 2, 5, 200])
def test_no_more_questions_are_shown_than_there_are(count: int) -> None:
    shown = choose_shown(EXAMPLES, count=count, seed=7)
    assert len(shown) == min(count, len(EXAMPLES)) == len({example.question_id for example in shown})


def test_the_shown_records_are_those_the_config_asks_for() -> None:
    evaluation = compare(looping, perfect, show_questions=2)
    assert len(evaluation.shown) == 2
    assert len(evaluation.summary.shown) == 10


def echoing(examples: Sequence[Question]) -> list[Answered]:
    return [say(example.question) for example in examples]


def test_the_echo_figure_is_what_a_model_that_gives_the_question_back_scores() -> None:
    echoes = [replace(example, question=f"{example.reference.split()[0]} nedir?") for example in EXAMPLES]
    evaluation = compare(looping, echoing, echoes)
    assert evaluation.summary.echo_f1 == pytest.approx(values(evaluation, "tuned")["token_f1"])
    assert evaluation.summary.echo_f1 == pytest.approx(0.4), (
        "one word of two and of three in common: 2 * 1/2 * 1/3 / (1/2 + 1/3)"
    )


def test_the_echo_figure_of_no_answerable_question_is_not_measured() -> None:
    assert compare(perfect, perfect, [make_question(0, answerable=False)]).summary.echo_f1 is None


def test_without_passages_the_two_models_are_compared_by_themselves() -> None:
    summary = evaluate(
        EXAMPLES,
        answerers={"base": looping, "tuned": perfect},
        losses={},
        prompts=PROMPTS,
        config=EvaluationConfig(),
        seed=7,
        context="none",
    ).summary
    assert [(each.first, each.second) for each in summary.comparisons] == [("base", "tuned")]
    assert summary.comparisons[0].differences["token_f1"].value == 1.0
    assert summary.context == "none"


def test_a_loss_is_told_by_kind_and_its_parts_make_the_whole() -> None:
    kinds = [{"type": "list", "source": "a"}, {"type": "factual", "source": "a"}, {"type": "list"}]
    loss = split_loss(kinds, [2.0, 9.0, 4.0], [2, 3, 2])
    assert loss.whole.mean == pytest.approx(15 / 7)
    found = {(part.field, part.name): (part.loss.examples, part.loss.mean, part.loss.tokens) for part in loss.slices}
    assert found == {
        ("type", "factual"): (1, 3.0, 3),
        ("type", "list"): (2, 1.5, 4),  # (2 + 4) / (2 + 2)
        ("source", "a"): (2, 11 / 5, 5),
    }


def test_a_field_with_a_value_of_its_own_in_each_row_is_no_kind() -> None:
    kinds = [{"category": f"row {number}", "type": "list"} for number in range(51)]
    assert {part.field for part in split_loss(kinds, [1.0] * 51, [1] * 51).slices} == {"type"}


def test_held_out_instruction_rows_become_questions_as_they_stand() -> None:
    told = (Message("system", "s"), Message("user", "Makara nerede?"), Message("assistant", "Depoda."))
    more = (Message("user", "Hangi depoda acaba?"), Message("assistant", "Üç numaralıda."))
    row = Conversation("set:4", Origin("set", "set.json", 4), told + more, fields={"category": "stok"})
    question = question_of_conversation(row, ["tr", "en"])
    assert question is not None
    assert question.turns == (*told, more[0])
    assert (question.question, question.reference) == ("Hangi depoda acaba?", "Üç numaralıda.")
    assert (question.language, question.type) == ("tr", "stok")
    assert question_of_conversation(dataclasses.replace(row, messages=(*told, more[0])), ["tr"]) is None
    assert question_of_conversation(Conversation("set:5", Origin("set", "set.json", 5), text="x"), ["tr"]) is None


def test_the_training_examples_that_are_measured_do_not_depend_on_their_order() -> None:
    names = [f"ex-{number}" for number in range(50)]
    chosen = {names[place] for place in choose_examples(names, most=10, seed=3)}
    assert len(chosen) == 10
    assert chosen == {names[::-1][place] for place in choose_examples(names[::-1], most=10, seed=3)}
    assert chosen != {names[place] for place in choose_examples(names, most=10, seed=4)}
    assert choose_examples(names, most=80, seed=3) == list(range(50))
