"""Copies go, what only looks like one stays, and the first in order is the one that is kept."""

import unicodedata

from groundtune.config import FilterConfig
from groundtune.dataset.quality import Reason, apply_filters
from groundtune.types import Conversation, LeftOut, Message, Origin, ToolCall


def row(number, question, answer, **more):
    messages = (Message("user", question), Message("assistant", answer))
    return Conversation(f"a:{number}", Origin("a", "a.json", number), messages, **more)


def outcomes(rows, tmp_path, **config):
    filters = FilterConfig(**({"duplicates": "exact"} | config))
    return [
        None if isinstance(each, Conversation) else (each.reason, each.found)
        for each in apply_filters(rows, filters, folder=tmp_path, seed=1)
    ]


def test_a_copy_names_the_row_it_copies(tmp_path):
    rows = [row(1, "Lot nedir?", "Bir parti."), row(2, "Raf nedir?", "Bir yer."), row(3, "Lot nedir?", "Bir parti.")]
    assert outcomes(rows, tmp_path) == [None, None, (Reason.EXACT_COPY, "as a:1")]


def test_white_space_and_unicode_form_do_not_make_a_new_row(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Çekme  işlemi nedir?\n")
    rows = [row(1, "Çekme işlemi nedir?", "Bir iş."), row(2, decomposed, " Bir\tiş.")]
    assert outcomes(rows, tmp_path) == [None, (Reason.SAME_PROMPT_AND_ANSWER, "as a:1")]


def test_what_differs_in_anything_said_stays(tmp_path):
    question, answer = "What is it?", "A lot."
    call = (ToolCall("find", '{"lot": 1}', "id-1"),)
    rows = [
        row(1, question, answer),
        row(2, question, "A shelf."),
        row(3, question, answer, tools=('{"type": "function"}',)),
        row(4, question, answer, rejected=(Message("assistant", "No."),)),
        row(5, question, answer, desired=True),
        Conversation("a:6", Origin("a", "a.json", 6), (Message("user", question), Message("assistant", answer, "Hm."))),
        Conversation(
            "a:7", Origin("a", "a.json", 7), (Message("user", f"{question}{answer}"), Message("assistant", ""))
        ),
        Conversation(
            "a:8", Origin("a", "a.json", 8), (Message("user", question), Message("assistant", "", tool_calls=call))
        ),
        Conversation("a:9", Origin("a", "a.json", 9), text=f"{question}{answer}"),
    ]
    assert outcomes(rows, tmp_path) == [None] * 9


def test_ids_of_calls_and_training_marks_do_not_make_a_new_row(tmp_path):
    def with_call(number, call_id, train):
        call = ToolCall("find", '{"lot": 1}', call_id)
        messages = (Message("user", "Find it."), Message("assistant", "", tool_calls=(call,), train=train))
        return Conversation(f"a:{number}", Origin("a", "a.json", number), messages)

    rows = [with_call(1, "x", None), with_call(2, "y", True)]
    assert outcomes(rows, tmp_path) == [None, (Reason.EXACT_COPY, "as a:1")]


def test_lone_surrogates_and_nul_are_compared_like_anything_else(tmp_path):
    rows = [row(1, "\ud800?", "a\x00b"), row(2, "\ud800?", "a\x00b"), row(3, "\ud801?", "a\x00b")]
    for duplicates in ("exact", "near"):
        reasons = outcomes(rows[:2], tmp_path, duplicates=duplicates)
        assert reasons == [None, (Reason.EXACT_COPY, "as a:1")]
    assert outcomes(rows, tmp_path)[2] is None


def test_off_keeps_everything(tmp_path):
    rows = [row(1, "Lot nedir?", "Bir parti."), row(2, "Lot nedir?", "Bir parti.")]
    assert outcomes(rows, tmp_path, duplicates="off") == [None, None]


def test_the_record_says_where_the_row_stands(tmp_path):
    rows = [row(7, "Lot nedir?", "Bir parti."), row(9, "Lot nedir?", "Bir parti.")]
    [_, gone] = apply_filters(rows, FilterConfig(), folder=tmp_path, seed=1)
    assert isinstance(gone, LeftOut)
    assert gone.origin == Origin("a", "a.json", 9)


def test_rows_that_differ_in_a_number_alone_are_no_near_copies():
    from groundtune.dataset.quality.near import NearText, edit_similarity

    one = NearText.of("Where in the warehouse is drum number 37 kept?", "It is kept in aisle 4.")
    other = NearText.of("Where in the warehouse is drum number 38 kept?", "It is kept in aisle 4.")
    again = NearText.of("Where in the warehouse is drum number 37 kept??", "It is kept in aisle 4.")
    assert edit_similarity(one, other, at_least=0.9) == 0.0
    assert edit_similarity(one, again, at_least=0.9) >= 0.9
