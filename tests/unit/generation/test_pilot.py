"""Pilots: which groups, which figures, how sure, and what is recommended."""

import json
import random
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from math import sqrt

import numpy as np
import pytest

from groundtune.errors import GenerationError
from groundtune.generation.pilot import MEASURES, PilotReport, choose_groups, compare_models
from groundtune.generation.pilot.resampling import RESAMPLES, draw_weights, interval
from groundtune.generation.pilot.variety import compressed, distinct_in_windows, shared_run_sums, similarity_sums
from groundtune.generation.statistics import GroupOutcome, Usage
from groundtune.types import Difficulty, Evidence, Group, Pair, QuestionType, Rule

WORDS = [
    "makara",
    "lot",
    "sipariş",
    "fatura",
    "teklif",
    "rota",
    "depo",
    "sayım",
    "rezervasyon",
    "uygunsuzluk",
    "kablo",
    "damar",
    "kılıf",
    "bobin",
    "test",
]


def group(number: int, rule: Rule = Rule.INDIVIDUAL, language: str = "tr", tokens: int = 100) -> Group:
    return Group(f"{rule.value}-{language}-{number:04d}", rule, "Lot", language, ("c1", "c2"), tokens)


def pair(
    question: str,
    answer: str = "Lot budur.",
    *,
    kind: QuestionType = QuestionType.FACTUAL,
    hard: bool = False,
    language: str = "tr",
    cited: tuple[str, ...] = ("c1",),
) -> Pair:
    evidence = tuple(Evidence(chunk_id, "Lot", 0, 3) for chunk_id in cited)
    level = Difficulty.HARD if hard else Difficulty.EASY
    return Pair("p", "g", Rule.INDIVIDUAL, language, question, answer, kind, level, True, ("c1", "c2"), evidence, "w")


def asked(
    pairs_of: Sequence[int],
    *,
    rejected: Sequence[int] | None = None,
    dollars: float | None = 0.01,
    answer: str = "Lot budur.",
) -> list[GroupOutcome]:
    """Groups with so many pairs each; every request of one costs `dollars`."""
    chance = random.Random(str((pairs_of, answer)))
    outcomes = []
    for number, count in enumerate(pairs_of):
        pairs = tuple(pair(" ".join(chance.sample(WORDS, 6)) + "?", answer) for _ in range(count))
        bad = {"wrong language": rejected[number]} if rejected and rejected[number] else {}
        usage = Usage(1, 0, 0, 100, 50, 0, 20 * count, dollars or 0.0, 0 if dollars is not None else 1)
        outcomes.append(GroupOutcome(group(number), pairs, bad, usage, seconds=2.0))
    return outcomes


def of(report: PilotReport, model: str):
    return next(each for each in report.models if each.model == model)


MANY = [
    group(number, rule, language, tokens)
    for rule in Rule
    for language in ("tr", "en")
    for number, tokens in enumerate(range(100, 1000, 30), start=1)
]


def test_ten_groups_are_of_ten_rules_both_languages_and_all_lengths() -> None:
    chosen = choose_groups(MANY, 10, seed=7)
    assert len({each.rule for each in chosen}) == 10
    assert Counter(each.language for each in chosen) == {"tr": 5, "en": 5}
    # thirds of 100, 130, ..., 970
    thirds = Counter((each.token_count - 100) // 300 for each in chosen)
    assert min(thirds[third] for third in range(3)) >= 3


def test_the_choice_is_that_of_the_seed_whatever_the_order_and_keeps_the_order_given() -> None:
    shuffled = MANY.copy()
    random.Random(1).shuffle(shuffled)
    chosen = choose_groups(MANY, 25, seed=7)
    assert {each.group_id for each in choose_groups(shuffled, 25, seed=7)} == {each.group_id for each in chosen}
    assert chosen == sorted(chosen, key=MANY.index)
    assert choose_groups(MANY, 25, seed=8) != chosen


def test_all_groups_are_chosen_where_fewer_are_there_than_asked_for() -> None:
    assert choose_groups(MANY[:7], 10, seed=1) == MANY[:7]
    assert choose_groups([], 10, seed=1) == []


def test_distinct_words_are_counted_in_windows_of_fifty() -> None:
    # 50 times the same word: one window with 1 of 50 distinct; with 51 words two such windows
    assert distinct_in_windows([pair("lot " * 50)], 1) == (pytest.approx(0.02), 1)
    assert distinct_in_windows([pair("lot " * 51)], 1) == (pytest.approx(0.04), 2)
    # 49 words: no window
    assert distinct_in_windows([pair("lot " * 49)], 1) == (0, 0)
    # 50 different words and one more: every window wholly distinct
    assert distinct_in_windows([pair(" ".join(f"w{number}" for number in range(51)))], 1) == (2, 2)


def test_pairs_of_words_do_not_reach_from_one_question_into_the_next() -> None:
    # ten questions "a b c d e": 10 × 4 pairs of words, 4 of them distinct, in a window of 50 places
    assert distinct_in_windows([pair("a b c d e?")] * 10, 2) == (pytest.approx(4 / 40), 1)


def test_likeness_is_the_mean_cosine_of_three_letter_runs() -> None:
    one, two = [pair("lot nedir?"), pair("LOT nedir?")], [pair("xyzq")]
    cosines, counts = similarity_sums([one, two, []])
    # the two of the first group are the same in lower case (cosine 1); nothing in common with the second group
    assert cosines == pytest.approx(np.array([[1.0, 0, 0], [0, 0, 0], [0, 0, 0]]))
    assert counts.tolist() == [[1, 2, 0], [2, 0, 0], [0, 0, 0]]


def test_likeness_by_summed_vectors_is_that_of_every_pair_of_questions() -> None:
    chance = random.Random(3)
    groups = [[pair(" ".join(chance.choices(WORDS, k=4))) for _ in range(count)] for count in (3, 1, 4)]

    def cosine(one: str, two: str) -> float:
        first, second = (Counter(text[at : at + 3] for at in range(len(text) - 2)) for text in (one, two))
        length = sqrt(sum(n * n for n in first.values()) * sum(n * n for n in second.values()))
        return sum(count * second[gram] for gram, count in first.items()) / length

    expected = np.zeros((3, 3))
    every = [(place, each.question) for place, pairs in enumerate(groups) for each in pairs]
    for (i, one), (j, two) in combinations(every, 2):
        expected[i, j] += cosine(one, two)
        if i != j:
            expected[j, i] += cosine(one, two)
    assert similarity_sums(groups)[0] == pytest.approx(expected)


def test_questions_of_different_languages_are_not_compared() -> None:
    cosines, counts = similarity_sums([[pair("lot nedir")], [pair("lot nedir", language="en")]])
    assert cosines.sum() == counts.sum() == 0


def test_questions_that_share_four_words_in_a_row_are_counted_once_a_pair() -> None:
    one = [pair("Hangi lot hangi depoda durur ve neden?"), pair("Hangi lot hangi depoda bekler?")]
    two = [pair("hangi lot hangi depoda durur?"), pair("Makara hangi lot depoda?")]
    # the first three share "hangi lot hangi depoda": one pair inside the first group, two across
    assert shared_run_sums([one, two]).tolist() == [[1, 2], [2, 0]]


def test_text_that_repeats_itself_compresses_better() -> None:
    same = [pair("Lot nedir?", "Lot bir üretim partisidir. " * 3)] * 20
    chance = random.Random(1)
    mixed = [pair("".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=100))) for _ in range(20)]
    ratios = [first / second for first, second in (compressed(same), compressed(mixed))]
    assert ratios[0] > 8 > 2 > ratios[1]
    assert compressed([pair("Lot?")]) == (0, 0)  # under a whole piece


def test_every_resample_draws_as_many_groups_as_there_are_and_the_seed_decides() -> None:
    weights = draw_weights(7, seed=3)
    assert weights.shape == (RESAMPLES, 7)
    assert set(weights.sum(axis=1)) == {7.0}
    assert (weights == draw_weights(7, seed=3)).all()
    assert (weights != draw_weights(7, seed=4)).any()


def test_the_interval_of_a_mean_of_ten_is_near_that_of_students_t() -> None:
    values = np.arange(10.0)
    # mean 4.5, standard error sqrt(110/12) / sqrt(10) = 0.957, t 2.262: 4.5 ± 2.17
    found = interval(4.5, draw_weights(10, seed=1) @ values / 10, 10)
    assert found.low == pytest.approx(4.5 - 2.17, abs=0.2)
    assert found.high == pytest.approx(4.5 + 2.17, abs=0.2)


def test_intervals_over_ten_groups_hold_the_truth_about_as_often_as_they_say() -> None:
    chance, weights = np.random.default_rng(5), draw_weights(10, seed=2)
    hits = 0
    for _ in range(300):
        values = chance.normal(1.0, 0.4, size=10)
        found = interval(values.mean(), weights @ values / 10, 10)
        hits += found.low <= 1.0 <= found.high
    # 95% of 300 is 285, give or take 4; the plain percentile interval gets about 270
    assert 276 <= hits <= 295


def test_too_few_groups_and_figures_that_never_move_have_no_interval() -> None:
    assert interval(1.0, draw_weights(2, seed=1) @ np.array([0.0, 2.0]) / 2, 2).low is None
    assert interval(1.0, np.ones(RESAMPLES), 10).low is None
    assert interval(np.nan, np.full(RESAMPLES, np.nan), 10).value is None


def test_figures_of_a_model_by_hand() -> None:
    deep = pair(
        "Sayım ile lot farkı nedir?", "Lot partidir.\n\n1. Kaydı hemen açın.\n2. Lotu depoda seçin.",
        kind=QuestionType.COMPARATIVE, hard=True, cited=("c1", "c2"),
    )  # fmt: skip
    plain = pair("Lot nedir?", "Lot bir üretim partisidir.")
    outcomes = [
        GroupOutcome(
            group(1), (deep, plain), {"wrong language": 2}, Usage(2, 1, 0, 300, 100, 0, 80, 0.03), seconds=6.0
        ),
        GroupOutcome(group(2), (plain,), {}, Usage(1, 0, 0, 100, 0, 0, 40, 0.03), seconds=3.0),
        GroupOutcome(group(3), unanswered="declined"),
    ]
    report = compare_models({"m": outcomes}, seed=1)
    figures = {key: each.value for key, each in of(report, "m").figures.items()}
    expected = {
        "answered": 2 / 3,
        "pairs_per_group": 1.0,
        "acceptance": 3 / 5,
        "answer_words": (10 + 4 + 4) / 3,  # "1." and "2." are words of the first
        "statements": (3 + 1 + 1) / 3,
        "steps": 2 / 3,
        "evidence_chunks": 4 / 3,
        "inference_share": 1 / 3,
        "hard_share": 1 / 3,
        "prompt_tokens": 500 / 3,
        "cached_share": 0.2,
        "output_tokens": 40.0,
        "dollars_per_pair": 0.02,
        "seconds_per_request": 3.0,
        "pairs_per_minute": 20.0,  # 3 pairs in 9 s
    }
    assert {key: figures[key] for key in expected} == pytest.approx(expected)
    assert figures["distinct_1"] is None  # no group has 50 words of questions
    assert of(report, "m").unanswered == {"declined": 1}
    assert of(report, "m").types["comparative"] == 1
    assert set(figures) == {measure.key for measure in MEASURES}


def test_a_difference_group_by_group_is_surer_than_two_intervals() -> None:
    pairs_of = [2, 9, 4, 12, 1, 7, 3, 10, 5, 8]
    report = compare_models({"one": asked(pairs_of, dollars=0.010), "two": asked(pairs_of, dollars=0.011)}, seed=1)
    cheap, dear = (of(report, model).figures["dollars_per_pair"] for model in ("one", "two"))
    assert cheap.high > dear.low  # seen alone they overlap
    gap = of(report, "two").differences["dollars_per_pair"]
    assert gap.best == "one"
    assert gap.low > 0  # a tenth dearer in every group
    assert "dollars_per_pair" not in of(report, "one").differences


def test_the_cheapest_of_models_that_are_as_good_is_recommended_for_sure() -> None:
    pairs_of = [8, 9, 7, 8, 9, 8, 7, 9, 8, 8]
    found = compare_models({"dear": asked(pairs_of, dollars=0.05), "cheap": asked(pairs_of, dollars=0.01)}, seed=1)
    assert found.recommendation.model == "cheap"
    assert found.recommendation.sure
    # 0.10 for 81 pairs
    assert "cheap: $0.00123 for an accepted pair, surely less than dear (next $0.00617)" in found.recommendation.reason


def test_a_cheap_model_that_is_rejected_more_or_shallower_is_out_and_the_reason_says_so() -> None:
    pairs_of = [8, 9, 7, 8, 9, 8, 7, 9, 8, 8]
    half = [4, 5, 3, 4, 4, 4, 3, 5, 4, 4]
    deep = "Lot bir üretim partisidir. Depoda numarasıyla durur. Sayımda okutulur."
    found = compare_models(
        {
            "good": asked(pairs_of, rejected=[0, 1] * 5, dollars=0.05, answer=deep),
            "sloppy": asked(half, rejected=half, dollars=0.001, answer=deep),
            "shallow": asked(pairs_of, rejected=[1, 0] * 5, dollars=0.001, answer="Lot bir partidir."),
        },
        seed=1,
    ).recommendation
    assert found.model == "good"
    assert found.out == {
        "sloppy": "acceptance 50% against 94% of good",
        "shallow": "statements an answer 1.0 against 3.0 of good",
    }
    assert "Not considered: sloppy (acceptance 50% against 94% of good)" in found.reason


def test_ten_groups_that_cannot_tell_are_said_to_be_too_few() -> None:
    one, two = [8, 2, 9, 3, 8, 2, 9, 3, 8, 4], [3, 9, 2, 8, 3, 8, 2, 9, 3, 8]
    found = compare_models({"one": asked(one), "two": asked(two)}, seed=1).recommendation
    assert found.model == "one"  # 56 pairs to 55 for the same money
    assert not found.sure
    assert "10 groups cannot tell its cost from that of two; ask more groups" in found.reason


def test_what_ten_groups_may_have_missed_in_acceptance_is_said() -> None:
    pairs_of = [6, 7, 6, 7, 6, 7, 6, 7, 6, 7]
    found = compare_models(
        {
            "best": asked(pairs_of, rejected=[0, 2, 0, 0, 1, 0, 2, 0, 0, 0], dollars=0.09),
            "cheap": asked(pairs_of, rejected=[1, 0, 3, 0, 0, 2, 0, 1, 0, 0], dollars=0.01),
        },
        seed=1,
    ).recommendation
    assert found.model == "cheap"
    assert not found.sure  # its cost is surely lower, but it may lose a sixth more of what it writes
    assert "Its acceptance may be up to" in found.reason
    assert found.reason.endswith("points below that of best.")


def test_equal_models_are_seldom_held_to_be_worse() -> None:
    chance, wrongly = random.Random(11), 0
    for seed in range(12):
        results = {}
        for model in "abcd":
            handed_in = [(chance.randint(3, 9), chance.randint(0, 3)) for _ in range(12)]
            results[model] = asked([n for n, _ in handed_in], rejected=[n for _, n in handed_in])
        wrongly += bool(compare_models(results, seed=seed).recommendation.out)
    assert wrongly <= 2


def test_without_prices_the_highest_acceptance_is_recommended_and_not_for_sure() -> None:
    pairs_of = [5] * 10
    found = compare_models(
        {"a": asked(pairs_of, rejected=[0, 1] * 5, dollars=None), "b": asked(pairs_of, rejected=[0, 0, 1, 0, 0] * 2, dollars=None)},
        seed=1,
    ).recommendation  # fmt: skip
    assert (found.model, found.sure) == ("b", False)
    assert "no price is known" in found.reason


def test_a_model_without_a_price_is_named_beside_those_that_have_one() -> None:
    found = compare_models({"a": asked([5] * 10), "b": asked([5] * 10, dollars=None)}, seed=1).recommendation
    assert (found.model, found.sure) == ("a", False)
    assert found.out == {"b": "no price is known"}


def test_one_group_proves_nothing_and_no_pair_recommends_nobody() -> None:
    one = compare_models({"a": asked([5], dollars=0.01), "b": asked([5], dollars=0.9)}, seed=1).recommendation
    assert (one.model, one.sure) == ("a", False)
    assert "With 1 group nothing is sure." in one.reason
    none = compare_models({"a": asked([0, 0, 0]), "b": asked([0, 0, 0])}, seed=1).recommendation
    assert none.model is None
    assert none.out == {"a": "no accepted pair", "b": "no accepted pair"}


def test_models_asked_about_different_groups_are_not_compared() -> None:
    with pytest.raises(GenerationError, match="b was asked about 2 groups and a about 3"):
        compare_models({"a": asked([1, 1, 1]), "b": asked([1, 1])}, seed=1)
    with pytest.raises(GenerationError, match="no models or no groups"):
        compare_models({}, seed=1)


def test_the_report_is_json_and_the_same_for_the_same_seed() -> None:
    results = {"a": asked([5, 3, 4, 6]), "b": asked([5, 2, 4, 6], rejected=[1, 0, 0, 2], dollars=None)}
    texts = {json.dumps(compare_models(results, seed=4).as_json(), allow_nan=False) for _ in range(2)}
    assert len(texts) == 1
    value = json.loads(texts.pop())
    assert value["groups"] == [f"individual-tr-{number:04d}" for number in range(4)]
    assert value["models"][1]["rejections"] == {"wrong language": 3}
    assert value["models"][0]["figures"]["acceptance"]["value"] == 1.0
    assert value["models"][0]["usage"]["prompt_tokens"] == 600
