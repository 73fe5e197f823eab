"""What went wrong with an answer, and what failures have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest

from groundtune.evaluation import AnswerRecord, ModelAnswer
from groundtune.evaluation.errors import (
    FAILURE_KINDS,
    LOW_F1,
    ErrorAnalysis,
    Lineage,
    analyse_errors,
    failure_signs,
    missing_evidence,
)
from groundtune.evaluation.figures.intervals import share
from groundtune.evaluation.figures.records import join_records
from groundtune.files import as_plain, parse_record
from groundtune.types import Chunk

RIGHT = {"token_f1": 1.0, "exact_match": 1.0, "repetition_rate": 0.0, "language_switch_rate": 0.0}
WRONG = {"token_f1": 0.1, "exact_match": 0.0, "repetition_rate": 0.0, "language_switch_rate": 0.0}
UNKNOWN = {"token_f1": None, "exact_match": None, "repetition_rate": 0.0, "language_switch_rate": None}


def answer(measures=WRONG, *, stopped=True, refused=False, chunks=("c1",), numbers=(), text="said") -> ModelAnswer:
    return ModelAnswer(text, 5, stopped, tuple(chunks), dict(measures), refused, tuple(numbers))


def record(given: ModelAnswer, *, name="q1", answerable=True, evidence=("c1",), **changes) -> AnswerRecord:
    made = AnswerRecord(
        question_id=name,
        pair_id=f"pair-{name}",
        language="en",
        question="What is the limit?",
        references=("Ten.",),
        answerable=answerable,
        type="factual",
        difficulty="easy",
        rule="individual",
        evidence_chunk_ids=tuple(evidence),
        retrieved_chunk_ids=(),
        answers={"tuned_context": given},
    )
    return replace(made, **changes)


def signs(given: ModelAnswer, **changes):
    return failure_signs(record(given, **changes), given)


def test_each_kind_is_told_from_its_signs():
    told = {
        "repetition": signs(answer({**WRONG, "repetition_rate": 1.0})),
        "cut at the limit": signs(answer(stopped=False)),
        "language switched": signs(answer({**WRONG, "language_switch_rate": 1.0})),
        "answered although unanswerable": signs(answer(UNKNOWN), answerable=False),
        "wrong evidence retrieved": signs(answer(chunks=("c2",))),
        "refusal although answerable": signs(answer(refused=True)),
        "unsupported number": signs(answer(numbers=("17",))),
        "right evidence and wrong answer": signs(answer()),
        "wrong answer, evidence not known": signs(answer(), evidence=()),
    }
    assert {kind: found[0] for kind, found in told.items()} == {kind: kind for kind in told}
    assert set(told) == set(FAILURE_KINDS)


@pytest.mark.parametrize(
    ("given", "answerable"),
    [
        (answer(RIGHT), True),
        (answer({**WRONG, "token_f1": LOW_F1}), True),
        (answer(UNKNOWN, refused=True), False),
        # exact, though the measure of numbers and the limit find fault with it
        (answer(RIGHT, numbers=("10",), stopped=False), True),
        (answer(RIGHT, chunks=("other",)), True),
    ],
)
def test_right_answers_have_no_kind(given, answerable):
    assert signs(given, answerable=answerable) == ()


def test_an_answer_just_under_the_threshold_failed():
    assert signs(answer({**WRONG, "token_f1": LOW_F1 - 0.001})) == ("right evidence and wrong answer",)


def test_a_number_that_stands_nowhere_fails_a_good_answer_too():
    assert signs(answer({**WRONG, "token_f1": 0.9}, numbers=("17",))) == ("unsupported number",)


def test_search_is_blamed_before_the_model_that_was_not_shown_the_evidence():
    assert signs(answer(refused=True, chunks=("c2",)))[0] == "wrong evidence retrieved"
    assert "refusal although answerable" in signs(answer(refused=True, chunks=("c2",)))


def test_evidence_of_which_a_part_is_missing_is_wrong_evidence():
    given = answer(chunks=("c1",))
    made = record(given, evidence=("c1", "c2"))
    assert failure_signs(made, given)[0] == "wrong evidence retrieved"
    assert missing_evidence(made, given) == ("c2",)


def test_nothing_found_at_all_is_wrong_evidence_even_where_the_evidence_is_not_known():
    given = replace(answer(refused=True, chunks=()), new_tokens=0)
    assert failure_signs(record(given, evidence=()), given)[0] == "wrong evidence retrieved"


def test_a_question_that_brings_its_passages_has_the_right_evidence():
    assert signs(answer(chunks=()), evidence=()) == ("right evidence and wrong answer",)


def test_without_passages_nothing_is_said_of_evidence():
    given = replace(answer(chunks=()), new_tokens=0)
    bare = record(given, evidence=(), answers={"base": given, "tuned": given})
    assert failure_signs(bare, given) == ("wrong answer, evidence not known",)


def test_an_empty_answer_over_passages_is_the_models_own_fault():
    given = replace(answer(chunks=(), text=""), new_tokens=0)
    assert failure_signs(record(given, evidence=()), given) == ("right evidence and wrong answer",)


def test_an_unanswerable_question_is_never_blamed_on_search():
    found = signs(answer(UNKNOWN, chunks=("c2",)), answerable=False)
    assert found == ("answered although unanswerable",)


def test_a_loop_comes_before_everything_else():
    given = answer({**UNKNOWN, "repetition_rate": 1.0}, stopped=False)
    assert signs(given, answerable=False) == (
        "repetition",
        "cut at the limit",
        "answered although unanswerable",
    )


def chunk(name: str, *, module="Stok", section="Lot", table=False) -> Chunk:
    return Chunk(
        name, module, "", section, (module, section), "en", "text", 1, table, False, (), (), 2, f"{module}.md", 1, 3, "0"
    )  # fmt: skip


NOWHERE = Lineage("", "", "", "", None, (), ())


def analyse(records, chunks=()) -> ErrorAnalysis:
    return analyse_errors(
        records,
        system="tuned_context",
        chunks={each.chunk_id: each for each in chunks},
        terms=lambda text, _: text.lower().strip("?").split(),
        lineage=lambda some: [replace(NOWHERE, pair_id=each.pair_id) for each in some],
    )


def of_chunk(name: str, number: int, measures=WRONG, **changes) -> AnswerRecord:
    return record(answer(measures, chunks=(name,)), name=f"{name}-{number}", evidence=(name,), **changes)


def test_table_values_of_a_module_are_one_cluster_with_its_share_of_what_was_asked():
    # 3 of 4 questions on Stok's table fail, 1 of 2 on Satis'
    records = [of_chunk("c1", number) for number in range(3)] + [of_chunk("c1", 3, RIGHT)]
    records += [of_chunk("c2", 0), of_chunk("c2", 1, RIGHT)]
    found = analyse(records, [chunk("c1", table=True), chunk("c2", module="Satis", section="Teklif")])
    assert (len(found.failures), found.failed.n) == (4, 6)
    [kind] = found.kinds
    [cluster] = kind.clusters
    assert cluster.name == "table values of module Stok"
    assert cluster.question_ids == ("c1-0", "c1-1", "c1-2")
    assert cluster.failed is not None
    assert (cluster.failed.value, cluster.failed.n) == (0.75, 4)
    assert cluster.sections == ("Stok > Lot",)


def test_what_is_near_to_nothing_is_joined_by_module_or_task_alone():
    records = [
        of_chunk("c1", 0, type="factual", question="Who signs?"),
        of_chunk("c2", 0, type="list", question="Which colours are there?"),
        of_chunk("c3", 0, type="list", question="Name all plants."),
        of_chunk("c4", 0, type="list", question="Where do drums go?"),
        of_chunk("c5", 0, type="comparative", question="Copper or steel?"),
    ]
    modules = {"c1": "A", "c2": "A", "c3": "B", "c4": "C", "c5": "D"}
    [kind] = analyse(records, [chunk(name, module=each, section=name) for name, each in modules.items()]).kinds
    assert [(each.name, each.question_ids) for each in kind.clusters] == [
        ("other lists", ("c3-0", "c4-0")),
        ("questions of module A", ("c1-0", "c2-0")),
    ]
    # three lists were asked, of which one is counted for its module
    assert kind.clusters[0].failed is not None
    assert (kind.clusters[0].failed.n, kind.clusters[0].failed.value) == (2, 1.0)


def test_what_stays_single_is_joined_by_its_section_and_then_by_likeness():
    records = [
        of_chunk("c1", 0, type="factual"),
        of_chunk("c1", 1, type="list"),
        of_chunk("c2", 0, type="procedural", question="How is a drum returned?"),
        of_chunk("c3", 0, type="factual", question="How is a drum returned early?"),
        of_chunk("c4", 0, type="comparative", question="Which colours differ?"),
    ]
    chunks = [chunk("c1"), *(chunk(f"c{n}", module=f"M{n}", section=f"S{n}") for n in (2, 3, 4))]
    [kind] = analyse(records, chunks).kinds
    assert [(each.name, each.question_ids) for each in kind.clusters] == [
        ("questions alike: a, drum, how, is, returned", ("c2-0", "c3-0")),
        ("questions of section Stok > Lot", ("c1-0", "c1-1")),
    ]
    assert kind.clusters[0].failed is None


def test_a_failure_is_in_one_cluster_at_most_and_only_failures_are():
    records = [of_chunk(f"c{n % 3}", n, WRONG if n % 2 else RIGHT) for n in range(20)]
    found = analyse(records, [chunk(f"c{n}", module=f"M{n % 2}") for n in range(3)])
    inside = [name for kind in found.kinds for each in kind.clusters for name in each.question_ids]
    assert len(inside) == len(set(inside))
    assert set(inside) <= {failure.question_id for failure in found.failures}


def test_failures_over_one_chunk_are_one_witness_and_not_as_many_as_its_questions():
    def analysed(evidence):
        records = [
            replace(
                record(
                    answer(WRONG if number < 20 else RIGHT, chunks=(evidence(number),)),
                    name=f"q{number}",
                    evidence=(evidence(number),),
                ),
                question=f"Soru {number}?",
            )
            for number in range(40)
        ]
        return analyse(join_records(records), [chunk(evidence(number)) for number in range(40)])

    apart, together = analysed(lambda number: f"c{number}"), analysed(lambda number: f"c{number // 10}")
    assert apart.failed == share(20, 40)
    for of in (
        lambda found: found.failed,
        lambda found: found.kinds[0].failed,
        lambda found: found.kinds[0].counts[0].failed,
        lambda found: found.kinds[0].clusters[0].failed,
    ):
        one, other = of(apart), of(together)
        assert (one.value, one.n) == (other.value, other.n)
        # all failed or none of a chunk: four witnesses, not forty
        assert other.high - other.low > 2 * (one.high - one.low)


def test_counts_by_module_say_how_many_were_asked():
    found = analyse([of_chunk("c1", 0), of_chunk("c1", 1, RIGHT)], [chunk("c1")])
    module = next(each for each in found.kinds[0].counts if each.field == "module")
    assert (module.name, module.failed.value, module.failed.n) == ("Stok", 0.5, 2)


def test_lineage_is_asked_for_failures_alone_and_stays_with_its_own():
    found = analyse([of_chunk("c1", 0, RIGHT), of_chunk("c1", 1), of_chunk("c1", 2)], [chunk("c1")])
    assert [failure.lineage.pair_id for failure in found.failures] == ["pair-c1-1", "pair-c1-2"]


def test_the_analysis_comes_back_from_json():
    found = analyse([of_chunk("c1", 0), of_chunk("c1", 1)], [chunk("c1")])
    assert parse_record(as_plain(found), ErrorAnalysis, where="errors.json") == found


def test_nothing_asked_is_nothing_failed():
    found = analyse([])
    assert (found.failed.value, found.failed.n, found.kinds, found.failures) == (None, 0, (), ())
