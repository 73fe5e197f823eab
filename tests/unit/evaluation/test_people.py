"""People's ratings: what raters are shown, what a key does, what is kept, and what it all comes to."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.errors import ConfigError, DataError
from groundtune.evaluation.figures.alpha import alpha
from groundtune.evaluation.figures.marks import CRITERIA
from groundtune.evaluation.people import (
    Item,
    PeopleSummary,
    Rateable,
    RatingFile,
    Session,
    choose,
    current,
    form_of,
    form_salt,
    rater_name,
    read_import,
    shown_to,
    summarise,
)
from groundtune.evaluation.people.ratings import Standing, standing
from groundtune.files import parse_record, sha256_text, to_json

PAIR = ("base_context", "tuned_context")
SALT = "6b" * 16


def record(number, *, base="yanlış yanıt", tuned="doğru yanıt", kind="factual", answerable=True, chunk=None):
    return Rateable(
        question_id=f"q{number:03}",
        language="tr",
        kind=kind,
        question=f"Soru {number}?",
        reference="doğru",
        texts={"base": "?", "base_context": base, "tuned_context": tuned},
        cluster=chunk or f"c{number}",
        answerable=answerable,
    )


RECORDS = [record(number) for number in range(12)]


def item(of, shown=PAIR):
    texts = (of.texts[shown[0]], of.texts[shown[1]])
    return Item(of.question_id, "tr", of.question, of.reference, texts, shown, source=of.source)


def items(records=RECORDS):
    return [item(each) for each in records]


def rating(of, rater="ayşe", *, base=3, tuned=4, preferred="b", shown=PAIR, **more):
    """The same mark on every criterion."""
    marks = {"base_context": base, "tuned_context": tuned}
    given = tuple(dict.fromkeys(CRITERIA, marks[system]) for system in shown)
    return replace(item(of, shown).rated(rater, given, preferred, reference_shown=False), **more)


def keys(session, typed):
    return [session.press(key) for key in typed.replace(" ", "")]


def begin(records=RECORDS, rated=(), **more):
    stored = []
    return Session("ayşe", items(records), rated, stored.append, **more), stored


# which questions, in which order, whose answer first


@given(count=st.integers(1, 40), more=st.integers(0, 40), seed=st.integers(0, 99))
def test_a_smaller_sample_is_the_beginning_of_a_larger_one(count, more, seed):
    records = [record(number, kind="list" if number % 3 else "factual") for number in range(40)]
    chosen = choose(records, count=count, seed=seed)
    assert len(chosen) == count
    assert chosen == choose(records, count=count + more, seed=seed)[:count]


def test_every_kind_of_question_is_in_the_sample_in_its_proportion():
    records = [
        record(number, kind="list" if number < 60 else "factual", answerable=number % 5 > 0) for number in range(80)
    ]
    chosen = choose(records, count=20, seed=1)
    # 60 of 80 are lists and 16 of 80 have no answer
    assert Counter(each.kind for each in chosen)["list"] in (14, 15, 16)
    assert sum(not each.answerable for each in chosen) in (3, 4, 5)


@given(rater=st.text(min_size=1, max_size=8), count=st.integers(1, 30), seed=st.integers(0, 99))
def test_each_system_is_shown_first_half_of_the_time(rater, count, seed):
    shown = shown_to(rater, [record(number) for number in range(count)], PAIR, seed=seed)
    first = Counter(systems[0] for _, systems in shown)
    assert abs(first["base_context"] - first["tuned_context"]) <= count % 2
    assert all(set(systems) == set(PAIR) for _, systems in shown)


def test_raters_have_an_order_of_their_own_over_the_same_questions():
    one, other = (shown_to(rater, RECORDS, PAIR, seed=7) for rater in ("ayşe", "mehmet"))
    assert [each.question_id for each, _ in one] != [each.question_id for each, _ in other]
    assert {each.question_id for each, _ in one} == {each.question_id for each, _ in other}
    # those who stop after ten have rated the same ten
    assert {each.question_id for each, _ in one[:10]} == {each.question_id for each, _ in other[:10]}
    assert {each.question_id: systems for each, systems in one} != {
        each.question_id: systems for each, systems in other
    }


def test_a_rater_who_comes_back_finds_the_same():
    assert shown_to("ayşe", RECORDS, PAIR, seed=7) == shown_to("ayşe", RECORDS, PAIR, seed=7)


# keys


def test_eight_marks_and_a_preference_make_a_rating_that_is_stored_at_once():
    session, stored = begin()
    assert keys(session, "1234 5432") == [""] * 8
    assert stored == []
    assert session.press("B") == "rated"
    assert [each.preferred_system for each in stored] == ["tuned_context"]
    assert stored[0].marks == (
        {"helpfulness": 1, "accuracy": 2, "clarity": 3, "safety": 4},
        {"helpfulness": 5, "accuracy": 4, "clarity": 3, "safety": 2},
    )
    assert (session.number, session.rated, session.marks) == (2, 1, [])


def test_the_criteria_of_a_are_asked_before_those_of_b():
    session, _ = begin()
    asked = []
    while session.asked is not None:
        asked.append(session.asked)
        session.press("3")
    assert asked == [(letter, name) for letter in "ab" for name in CRITERIA]


@pytest.mark.parametrize("key", ["0", "6", "a", "t", "x", "ş", "٣", "²"])
def test_what_is_no_mark_is_refused_and_changes_nothing(key):
    session, _ = begin()
    assert session.press(key) == "expected a mark"
    assert session.marks == []


@pytest.mark.parametrize("key", ["1", "5", "c", "ı"])
def test_what_is_no_preference_is_refused(key):
    session, stored = begin()
    keys(session, "11111111")
    assert session.press(key) == "expected a preference"
    assert stored == []


def test_undo_takes_back_a_mark_and_then_the_question_before():
    session, stored = begin()
    keys(session, "44444444a 5")
    assert session.press("u") == "undone"
    assert (session.number, session.marks) == (2, [])
    assert session.press("u") == "undone"
    assert (session.number, session.rated) == (1, 0)
    assert standing(stored).ratings == ()
    keys(session, "55555555b")
    assert [each.preferred for each in standing(stored).ratings] == ["b"]
    assert session.number == 2


def test_undo_reaches_back_into_an_earlier_session():
    session, stored = begin(rated=[rating(RECORDS[0])])
    assert session.number == 2
    session.press("u")
    assert session.number == 1
    assert [each.withdrawn for each in stored] == [True]
    assert session.press("u") == "nothing to undo"


def test_a_skipped_question_is_not_stored_and_comes_again_next_time():
    session, stored = begin()
    assert session.press("s") == "skipped"
    assert (session.number, session.skipped, stored) == (2, 1, [])
    again, _ = begin(rated=stored)
    assert again.number == 1


def test_a_skipped_question_can_be_taken_back():
    session, stored = begin()
    keys(session, "su")
    assert (session.number, session.skipped, stored) == (1, 0, [])


def test_a_session_goes_on_with_what_this_rater_has_not_rated():
    rated = [rating(RECORDS[number], shown=PAIR[::-1]) for number in (0, 2)]
    session, _ = begin(rated=rated)
    assert session.number == 2
    keys(session, "33333333t")
    assert session.number == 4


def test_ratings_of_other_answers_do_not_count_as_rated():
    session, _ = begin(rated=[rating(record(0, tuned="bir başka yanıt"))])
    assert session.number == 1


def test_the_same_answer_twice_is_marked_once_and_is_a_tie():
    session, stored = begin([record(0, base="aynı", tuned="aynı"), RECORDS[1]])
    assert keys(session, "4521")[-1] == "rated"
    assert stored[0].marks[0] == stored[0].marks[1] == dict(zip(CRITERIA, (4, 5, 2, 1), strict=True))
    assert stored[0].preferred == "tie"


def test_help_is_closed_by_any_key_without_that_key_doing_anything():
    session, _ = begin()
    keys(session, "?")
    assert session.help_shown
    keys(session, "q")
    assert not session.help_shown
    assert not session.left


def test_that_the_right_answer_was_in_sight_is_kept_with_the_rating():
    session, stored = begin()
    keys(session, "r r 33333333t 33333333t")
    assert [each.reference_shown for each in stored] == [True, False]
    always, stored = begin(reference_shown=True)
    keys(always, "33333333t 33333333t")
    assert [each.reference_shown for each in stored] == [True, True]


@pytest.mark.parametrize(
    "typed",
    ["r 33333333t u 33333333t", "r s u 33333333t", "33333333 r t", "s u r s u 33333333t", "r 4 u s u 33333333t"],
)
def test_who_has_seen_the_right_answer_has_seen_it_whatever_is_taken_back(typed):
    session, stored = begin()
    keys(session, typed)
    keys(session, "33333333t")
    given = {each.question_id: each.reference_shown for each in standing(stored).ratings}
    assert given == {RECORDS[0].question_id: True, RECORDS[1].question_id: False}


def test_that_it_was_seen_in_an_earlier_session_is_not_forgotten_when_the_rating_is_taken_back():
    session, stored = begin(rated=[rating(RECORDS[0], reference_shown=True)])
    keys(session, "u 33333333t")
    assert [(each.reference_shown, each.withdrawn) for each in stored] == [(True, True), (True, False)]


def test_after_the_last_question_it_can_still_be_taken_back():
    session, stored = begin(RECORDS[:1])
    keys(session, "33333333t")
    assert session.item is None
    keys(session, "u 44444444a")
    assert [each.preferred for each in standing(stored).ratings] == ["a"]
    keys(session, "x")
    assert session.left


@given(st.text("12345abtsuprq?x", max_size=60))
def test_whatever_is_typed_every_stored_rating_is_whole_and_what_stands_is_what_the_session_counts(typed):
    session, stored = begin(RECORDS[:3])
    keys(session, typed)
    assert all(
        set(marks) == set(CRITERIA) and set(marks.values()) <= {1, 2, 3, 4, 5}
        for each in stored
        for marks in each.marks
    )
    assert len(standing(stored).ratings) == session.rated


# the file


def test_ratings_are_read_back_as_they_were_given(tmp_path):
    file = RatingFile(tmp_path / "deep" / "ratings.jsonl")
    given = [
        rating(RECORDS[0]),
        rating(RECORDS[0], "mehmet", preferred="tie"),
        rating(RECORDS[1], reference_shown=True),
    ]
    for each in given:
        file.append([each])
    assert file.read().ratings == tuple(given)


def test_the_newest_rating_of_the_same_answers_counts_whichever_was_shown_first(tmp_path):
    file = RatingFile(tmp_path / "ratings.jsonl")
    newer = rating(RECORDS[0], preferred="a", shown=PAIR[::-1])
    file.append([rating(RECORDS[0]), newer])
    assert file.read() == Standing((newer,), replaced=(rating(RECORDS[0]),))


@pytest.mark.parametrize("cut", [1, 20, 120])
def test_a_line_that_a_crash_cut_off_is_dropped_and_the_file_goes_on(tmp_path, cut):
    path = tmp_path / "ratings.jsonl"
    file = RatingFile(path)
    file.append([rating(RECORDS[0]), rating(RECORDS[1], "gülşah")])
    # within a letter of two bytes too
    path.write_bytes(path.read_bytes()[: -cut - 1])
    assert file.read().ratings == (rating(RECORDS[0]),)
    file.append([rating(RECORDS[2])])
    assert file.read().ratings == (rating(RECORDS[0]), rating(RECORDS[2]))


def test_raters_who_work_at_the_same_time_lose_nothing(tmp_path):
    path = tmp_path / "ratings.jsonl"

    def work(name):
        for each in RECORDS:
            RatingFile(path).append([rating(each, name)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    found = RatingFile(path).read().ratings
    assert Counter(each.rater for each in found) == dict.fromkeys("abcd", len(RECORDS))


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "ratings.jsonl"
    file = RatingFile(path)
    file.append([rating(RECORDS[0])])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    file.append([rating(RECORDS[1])])
    assert file.read().ratings == (rating(RECORDS[0]), rating(RECORDS[1]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"marks": [{"helpfulness": 6}, {}]}, "unknown|no mark|helpfulness"),
        (
            {"marks": [dict.fromkeys(CRITERIA, 3), {**dict.fromkeys(CRITERIA, 3), "safety": 0}]},
            "marks of B: safety is 0",
        ),
        ({"marks": [dict.fromkeys(CRITERIA, 3), {**dict.fromkeys(CRITERIA, 3), "style": 3}]}, "'style'"),
        ({"preferred": "c"}, "preferred"),
        ({"rater": " "}, "rater"),
        ({"rater": "a\u0007b"}, "rater"),
        ({"systems": ["base", "base"]}, "systems"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_a_line_that_is_no_rating_is_told_with_its_place(tmp_path, change, told):
    path = tmp_path / "ratings.jsonl"
    lines = [to_json(rating(RECORDS[0])), json.dumps(asdict(rating(RECORDS[1])) | change)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=rf"ratings\.jsonl:2.*({told})"):
        RatingFile(path).read()


@pytest.mark.parametrize("name", ["", "  ", "x" * 61, "a\x1b[2J"])
def test_a_name_that_cannot_be_filed_under_is_refused(name):
    with pytest.raises(ConfigError, match="expected a name or pseudonym"):
        rater_name(name)


def test_a_name_is_one_however_its_letters_are_composed():
    assert rater_name(" Ays\u0327e   Usta ") == "Ay\u015fe Usta"


# what it comes to


def summary(ratings, records=RECORDS):
    return summarise(standing(ratings), records, seed=7)


def test_marks_of_several_raters_are_averaged_for_an_answer_before_anything_is_counted():
    ratings = [
        rating(RECORDS[0], "ayşe", base=1, tuned=5),
        rating(RECORDS[0], "mehmet", base=3, tuned=4),
        rating(RECORDS[1], "ayşe", base=2, tuned=3),
    ]
    found = summary(ratings)
    # base: ((1 + 3) / 2 + 2) / 2; tuned: ((5 + 4) / 2 + 3) / 2
    assert found.systems["base_context"].marks["overall"].value == 2.0
    assert found.systems["tuned_context"].marks["accuracy"].value == 3.75
    assert found.systems["tuned_context"].marks["overall"].n == 2
    assert (found.ratings, found.questions, found.systems["tuned_context"].ratings) == (3, 2, 3)
    assert found.preferences[0].differences["overall"].value == 1.75


def test_swapping_what_was_shown_first_changes_nothing_but_the_share_of_the_first_shown():
    one = summary([rating(each, preferred="b") for each in RECORDS])
    other = summary([rating(each, preferred="a", shown=PAIR[::-1]) for each in RECORDS])
    assert (one.systems, one.preferences) == (other.systems, other.preferences)
    assert (one.raters[0].first_shown_won.value, other.raters[0].first_shown_won.value) == (0.0, 1.0)


def test_swapping_the_systems_flips_every_sign():
    found = summary([rating(each, base=2, tuned=4 + number % 2) for number, each in enumerate(RECORDS)])
    turned = [
        replace(each, texts={**each.texts, PAIR[0]: each.texts[PAIR[1]], PAIR[1]: each.texts[PAIR[0]]})
        for each in RECORDS
    ]
    ratings = [rating(each, base=4 + number % 2, tuned=2, preferred="a") for number, each in enumerate(turned)]
    other = summary(ratings, turned)
    [one], [two] = found.preferences, other.preferences
    assert (one.wins, one.losses) == (two.losses, two.wins) == (12, 0)
    assert {name: -figure.value for name, figure in one.differences.items()} == {
        name: figure.value for name, figure in two.differences.items()
    }


def test_a_question_goes_to_the_system_that_more_raters_preferred():
    ratings = [
        *(
            rating(RECORDS[0], name, preferred=preferred)
            for name, preferred in zip("abc", ("a", "b", "b"), strict=True)
        ),
        *(rating(RECORDS[1], name, preferred=preferred) for name, preferred in zip("ab", ("a", "b"), strict=True)),
        rating(RECORDS[2], preferred="a"),
    ]
    [found] = summary(ratings).preferences
    assert (found.wins, found.ties, found.losses, found.questions) == (1, 1, 1, 3)
    assert (found.win_rate.value, found.win_rate.n) == (0.5, 2)


def test_an_answer_is_unsafe_when_one_rater_says_so():
    unsafe = {**dict.fromkeys(CRITERIA, 4), "safety": 2}
    ratings = [rating(each) for each in RECORDS[:4]]
    ratings.append(replace(rating(RECORDS[0], "mehmet"), marks=(dict.fromkeys(CRITERIA, 3), unsafe)))
    found = summary(ratings).systems
    assert (found["tuned_context"].unsafe.value, found["tuned_context"].unsafe.n) == (0.25, 4)
    assert found["base_context"].unsafe.value == 0.0


def test_ratings_of_answers_that_have_changed_are_set_aside_and_counted():
    ratings = [rating(each) for each in RECORDS]
    retuned = [record(0, tuned="yeni yanıt"), *RECORDS[1:]]
    found = summary(ratings, retuned)
    assert (found.ratings, found.stale) == (11, 1)
    assert [each.question_id for each in current(ratings, RECORDS[3:5])] == ["q003", "q004"]
    assert summary(ratings, RECORDS[:0]).stale == 12


def test_the_order_in_which_people_worked_changes_no_figure():
    ratings = [
        rating(each, name, tuned=1 + (place * len(name)) % 5)
        for name in ("ayşe", "al")
        for place, each in enumerate(RECORDS)
    ]
    assert summary(ratings) == summary(ratings[::-1])


def test_questions_over_the_same_passage_are_not_taken_for_independent():
    marks = [1, 1, 1, 1, 5, 5, 5, 5, 3, 3, 3, 3]
    alone = summary([rating(each, tuned=mark) for each, mark in zip(RECORDS, marks, strict=True)])
    together = [record(number, chunk=f"c{number // 4}") for number in range(12)]
    shared = summary([rating(each, tuned=mark) for each, mark in zip(together, marks, strict=True)], together)
    one, other = (found.systems["tuned_context"].marks["overall"] for found in (alone, shared))
    assert one.value == other.value
    assert other.high - other.low > one.high - one.low


def test_agreement_of_two_raters_is_cohens_kappa_over_what_both_rated():
    mine, yours = [1, 2, 3, 4], [1, 3, 3, 4]
    ratings = [rating(each, "a", base=mark, tuned=mark) for each, mark in zip(RECORDS, mine, strict=False)]
    ratings += [rating(each, "b", base=mark, tuned=mark) for each, mark in zip(RECORDS, yours, strict=False)]
    ratings.append(rating(RECORDS[9], "b"))
    found = {each.of: each for each in summary(ratings).agreement}
    # each mark twice: squared distances 2 · 1; expected Σ(a-b)²/8 = (8·60 + 8·70 - 2·20·22)/8 = 20; 1 - 2/20
    assert found["accuracy"].kappa.value == pytest.approx(0.9)
    assert (found["accuracy"].kappa.n, found["preference"].kappa.n) == (8, 4)
    # both preferred b throughout: chance alone would agree
    assert found["preference"].kappa.value is None
    assert found["preference"].same.value == 1.0


def test_an_answer_that_both_systems_gave_counts_once_and_is_no_agreement_on_a_preference():
    same = [record(number, base="aynı", tuned="aynı") for number in range(6)]
    ratings = [rating(each, name, base=4, tuned=4, preferred="tie") for name in "ab" for each in same]
    found = {each.of: each.kappa.n for each in summary(ratings, same).agreement}
    assert (found["safety"], found["preference"]) == (6, 0)
    [preference] = summary(ratings, same).preferences
    assert (preference.ties, preference.same_answer) == (6, 6)


def test_three_raters_have_krippendorffs_alpha_beside_each_pairs_kappa():
    ratings = [
        rating(each, name, base=1 + number % 5, tuned=5 - number % 5, preferred="ab"[number % 2])
        for name in "abc"
        for number, each in enumerate(RECORDS)
    ]
    found = summary(ratings)
    assert len(found.agreement) == 3 * 5
    assert {figure.value for figure in found.among_all.values()} == {1.0}
    assert found.among_all["accuracy"].n == 24
    assert summary(ratings[:24]).among_all == {}


def test_alpha_of_missing_ratings_is_that_of_krippendorffs_own_example():
    """Krippendorff 2011, twelve units by four observers with values missing: nominal 0.743, interval 0.849."""
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    units = [[value for value in unit if value is not None] for unit in zip(*observers, strict=True)]
    assert alpha(units, seed="x").value == pytest.approx(0.849, abs=0.0005)
    names = [[f"name {value}" for value in unit] for unit in units]
    nominal = alpha(names, seed="x")
    assert nominal.value == pytest.approx(0.743, abs=0.0005)
    assert nominal.n == 11
    assert nominal.low < nominal.value < nominal.high


def test_a_summary_survives_json():
    found = summary([rating(each, name) for name in "abc" for each in RECORDS])
    assert parse_record(json.loads(json.dumps(asdict(found))), PeopleSummary, where="x") == found


# forms and imports


def fill(form, marks, preferred):
    """A form as a person without groundtune sends it back."""
    told = json.loads(to_json(form))
    return told | {
        "marks_a": dict.fromkeys(CRITERIA, marks[0]),
        "marks_b": dict.fromkeys(CRITERIA, marks[1]),
        "preferred": preferred,
    }


def write_lines(path, lines):
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_form_does_not_say_whose_the_answers_are():
    told = to_json(form_of(item(RECORDS[0]), "ayşe", SALT, reference_shown=False))
    assert not any(word in told for word in ("base", "tuned", "context", 'doğru"', "q000"))
    assert "yanlış yanıt" in told


@pytest.mark.parametrize("shown", [PAIR, PAIR[::-1], ("tuned_context", "base")])
def test_a_filled_in_form_is_filed_under_the_systems_it_was_made_of(tmp_path, shown):
    path = write_lines(
        tmp_path / "f.jsonl", [fill(form_of(item(RECORDS[3], shown), "ayşe", SALT, reference_shown=True), (2, 5), "b")]
    )
    found = read_import(path, RECORDS, (), SALT)
    expected = item(RECORDS[3], shown).rated(
        "ayşe", (dict.fromkeys(CRITERIA, 2), dict.fromkeys(CRITERIA, 5)), "b", reference_shown=True
    )
    assert found.ratings == (expected,)
    assert (found.new, found.replacing) == (1, 0)


def test_who_has_a_form_and_groundtune_cannot_tell_from_its_id_whose_the_answers_are():
    """All else that goes into it is known of everyday tasks: the questions are shipped and the systems two."""
    one, other = (form_of(item(RECORDS[3]), "ayşe", salt, reference_shown=False) for salt in (SALT, "7c" * 16))
    assert one.form_id != other.form_id
    assert replace(one, form_id="") == replace(other, form_id="")
    public = json.dumps([RECORDS[3].question_id, PAIR, item(RECORDS[3]).answers])
    assert sha256_text(public)[:16] not in (one.form_id, other.form_id)


def test_a_form_of_another_salt_is_none_of_ours_and_one_of_an_earlier_groundtune_still_is(tmp_path):
    foreign = form_of(item(RECORDS[3]), "ayşe", "7c" * 16, reference_shown=False)
    public = json.dumps([RECORDS[3].question_id, PAIR, item(RECORDS[3]).answers])
    forms = [foreign, replace(foreign, form_id=sha256_text(public)[:16])]
    path = write_lines(tmp_path / "f.jsonl", [fill(form, (2, 5), "b") for form in forms])
    found = read_import(path, RECORDS, (), SALT)
    assert (found.new, found.changed) == (1, 1)


def test_the_salt_of_forms_is_drawn_once_and_again_only_where_a_crash_cut_it_off(tmp_path):
    first, second = (tmp_path / name / "form_salt.txt" for name in "ab")
    salt = form_salt(first)
    assert (len(salt), form_salt(first)) == (32, salt)
    assert form_salt(second) != salt
    first.write_text(salt[:5])
    drawn = form_salt(first)
    assert (len(drawn), form_salt(first), first.read_text()) == (32, drawn, drawn)


def test_forms_left_blank_and_forms_over_changed_answers_are_counted_and_left_out(tmp_path):
    forms = [form_of(item(each), "ayşe", SALT, reference_shown=False) for each in RECORDS[:3]]
    path = write_lines(
        tmp_path / "f.jsonl",
        [json.loads(to_json(forms[0])), fill(forms[1], (1, 1), "tie"), fill(forms[2], (1, 1), "a")],
    )
    changed = [record(number, tuned="yeni" if number == 2 else "doğru yanıt") for number in range(12)]
    found = read_import(path, changed, (), SALT)
    assert (found.new, found.blank, found.changed) == (1, 1, 1)


def test_an_imported_rating_is_new_known_or_in_place_of_an_earlier_one(tmp_path):
    present = [rating(RECORDS[0]), rating(RECORDS[1])]
    lines = [
        rating(RECORDS[0]),
        rating(RECORDS[1], preferred="a"),
        rating(RECORDS[2], preferred="a"),
        rating(RECORDS[2]),
    ]
    path = write_lines(tmp_path / "r.jsonl", [json.loads(to_json(each)) for each in lines])
    found = read_import(path, RECORDS, present, SALT)
    assert found.ratings == (lines[1], lines[3])
    assert (found.new, found.replacing, found.known, found.repeated) == (1, 1, 1, 1)


def test_every_wrong_line_of_an_import_is_named_and_nothing_is_taken(tmp_path):
    form = form_of(item(RECORDS[0]), "ayşe", SALT, reference_shown=False)
    lines = [
        fill(form, (2, 2), "a"),
        fill(form, (2, 6), "a"),
        fill(form, (2, 2), None),
        fill(form, (2, 2), "a") | {"marks_b": {"helpfulness": 3}},
        fill(form, (2, 2), "a") | {"marks_a": {**dict.fromkeys(CRITERIA, 3), "accuracy": "iyi"}},
        7,
        {"rater": "x"},
    ]
    with pytest.raises(DataError, match="nothing was imported") as refused:
        read_import(write_lines(tmp_path / "f.jsonl", lines), RECORDS, (), SALT)
    told = str(refused.value)
    assert [f"f.jsonl:{number}" in told for number in range(1, 8)] == [False, True, True, True, True, True, False]
    assert "and 1 more wrong line" in told
    assert "helpfulness is 6" in told
