"""Raw answers of every kind: what is kept, what is mended, what is asked again."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.generation.answers.json_reading import MAX_CHARACTERS, UnreadableError, loses_nothing, read_object
from groundtune.generation.answers.parsing import Parsed, classify, parse_answer
from groundtune.llm import LLMResponse, StopReason


def pair(number: int = 1, **changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "question": f'Lot "A{number}" nedir?',
        "answer": "Kod: {13}, [karakter].\nSatır 2",
        "type": "factual",
        "difficulty": "easy",
        "evidence": [{"chunk": number, "quote": "C:\\stok\\lot, 13 karakter"}],
    }
    return value | changes


PAIRS = [pair(1), pair(2), pair(3)]
ANSWER = json.dumps({"pairs": PAIRS}, ensure_ascii=False)


def test_an_answer_as_asked_for_is_complete_and_not_repaired() -> None:
    assert parse_answer(ANSWER) == Parsed("complete", tuple(PAIRS))
    assert parse_answer('{"pairs": []}') == Parsed("complete")


@pytest.mark.parametrize(
    "text",
    [
        f"Elbette, {{istediğiniz}} çiftler:\n```json\n{ANSWER}\n```\nBaşka bir şey ister misiniz?",
        f"```\n{ANSWER}```",
        f"\ufeff{ANSWER}",
        f'<think>Perhaps {{"pairs": [1]}} or so</think>\n{ANSWER}',
        f'Set {{"x"}} first. {ANSWER} }}',
    ],
)
def test_what_stands_around_the_object_is_taken_away_and_said(text: str) -> None:
    assert parse_answer(text) == Parsed("complete", tuple(PAIRS), repaired=True)


@pytest.mark.parametrize(
    ("found", "written"),
    [
        ('\\"A1\\"', '"A1"'),
        ('"question": ', "question: "),
        ('"factual", ', '"factual" '),
        ("}]}, {", "},]}, {"),
        ("}]}, {", "}]} {"),
        ("}]}]}", "}]},]}"),
        ("\\nSatır", "\nSatır"),
        ('"difficulty": "easy"', "'difficulty': 'easy'"),
        ('"easy", ', '"easy, '),
    ],
)
def test_punctuation_is_repaired_where_nothing_is_lost(found: str, written: str) -> None:
    broken = ANSWER.replace(found, written, 1)
    assert broken != ANSWER
    assert parse_answer(broken) == Parsed("complete", tuple(PAIRS), repaired=True)


def test_python_literals_are_read() -> None:
    assert parse_answer(str({"pairs": PAIRS})).pairs == tuple(PAIRS)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "the answer is empty"),
        ("Üzgünüm, yapamam.", "found no JSON object with the key 'pairs', the text begins 'Üzgünüm, yapamam.'"),
        ("null", "expected an object with the key 'pairs', found 'null'"),
        ("[]", "expected an object with the key 'pairs', found '[]'"),
        ('{"questions": []}', "expected an object with the key 'pairs'"),
        ('{"pairs": 3}', "pairs: expected a list, found int"),
        ('{"result": {"pairs": []}}', "expected an object with the key 'pairs'"),
        (ANSWER + ANSWER, "found more than one object with the key 'pairs'"),
        ('{"pairs": [NaN]}', "found NaN, which is no JSON value"),
        ('{"pairs": [], "pairs": []}', "the key 'pairs' stands twice in one object"),
        (ANSWER.replace('"easy"', '"easy", "type": "list"', 1), "the key 'type' stands twice in one object"),
        ('{"pairs": [{"question": "\\ud83d"}]}', "found half of a character (a lone surrogate), \\ud83d, in a string"),
        ('{"pairs": [{"question": "a\\u0000"}]}', "found the character NUL, \\u0000, in a string"),
        ('{"pairs": [{"question": "a\0"}]}', "found the character NUL, \\u0000, in a string"),
        ('{"pairs": ' + "[" * 100_000, "more than 32 brackets stand inside each other"),
        ("{" * 100_000, "more than 32 brackets stand inside each other"),
        ('"' + '{"pairs": [' * 2000, "more than 32 brackets stand inside each other"),
        (ANSWER.replace('"type"', '/* tür */ "type"', 1), "Expecting property name enclosed in double quotes"),
        (ANSWER.replace("{13}", "\\d{13}", 1), "Invalid \\escape at character"),
        (ANSWER.replace('"factual"', "factual or so", 1), "pairs.0.type: input should be"),
        (ANSWER.replace('"answer": ', '"answer": // kısa\n', 1), "Expecting value at character"),
        ('{"pairs": [{"quest', "the JSON ends early, after"),
        (json.dumps({"pairs": [pair(type="poem")]}), "pairs.0.type: input should be"),
        ('{"pairs": ["metin"]}', "pairs.0.question: field required"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_has_an_error_that_can_be_quoted(text: str, error: str) -> None:
    parsed = parse_answer(text)
    assert (parsed.state, parsed.pairs) == ("malformed", ())
    assert parsed.error.startswith(error)
    assert len(parsed.error) < 300
    assert parsed.error.isprintable()


def test_an_answer_beyond_all_measure_is_not_read() -> None:
    text = '{"pairs": [' + "1," * (MAX_CHARACTERS // 2) + "1]}"
    assert parse_answer(text).error == f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}"


def test_an_answer_that_was_declined_is_neither_read_nor_asked_again() -> None:
    assert parse_answer(ANSWER, "refusal").state == "declined"
    assert parse_answer("", "refusal").state == "declined"


def test_a_misshapen_pair_among_good_ones_is_handed_on() -> None:
    values = [pair(1), {"question": "?"}, pair(3)]
    assert parse_answer(json.dumps({"pairs": values})).pairs == tuple(values)
    parsed = parse_answer(json.dumps({"pairs": [pair(1), "metin"]}))
    assert parsed.pairs == (pair(1), {"value": "metin"})


def test_false_premises_and_conversations_are_read_too() -> None:
    premise = {"question": "Neden?", "assumption": "x", "evidence": [{"chunk": 1, "quote": "y"}]}
    assert parse_answer(json.dumps({"pairs": [premise]})).state == "complete"
    assert parse_answer(json.dumps({"pairs": [pair(follow_ups=[pair(2)])]})).state == "complete"


def test_the_state_of_a_response_is_that_of_its_text() -> None:
    def state(text: str, stop: StopReason) -> str:
        return classify(LLMResponse(text, 1, 1, stop, "m"))

    assert state(ANSWER, "end") == "complete"
    # whole messages come with a cut tool's input mended
    assert state(ANSWER, "max_tokens") == "truncated"
    assert state(ANSWER[:-40], "end") == state(ANSWER[:-40], "max_tokens") == "truncated"
    assert state('{"pairs": [', "max_tokens") == state("", "max_tokens") == "truncated"
    assert state('{"pairs": [', "end") == "malformed"


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
ANY_PAIR = st.fixed_dictionaries(
    {
        "question": TEXT.filter(bool) | st.just('{"pairs": [{'),
        "answer": TEXT.filter(bool) | st.just('\\" ] } , "x": tru'),
        "type": st.just("list"),
        "difficulty": st.just("hard"),
        "evidence": st.lists(st.fixed_dictionaries({"chunk": st.integers(1, 120), "quote": TEXT.filter(bool)}), min_size=1, max_size=2),
    }
)  # fmt: skip


@given(
    st.lists(ANY_PAIR, max_size=3),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.sampled_from(["", "Elbette:\n```json\n"]),
    st.sampled_from([{}, {"note": [1.5, {"pairs": None}, 2]}]),
    st.data(),
)
def test_of_an_answer_cut_anywhere_exactly_the_complete_pairs_are_kept(
    pairs: list[dict[str, Any]],
    ascii_only: bool,
    indent: int | None,
    before: str,
    first: dict[str, Any],
    data: st.DataObject,
) -> None:
    def written(value: Any) -> str:
        return json.dumps(value, ensure_ascii=ascii_only, indent=indent)

    whole, ends = before + written(first).rstrip("} \n") + (", " if first else "") + '"pairs": [', []
    for number, value in enumerate(pairs):
        whole += (" , " if number else "") + written(value)
        ends.append(len(whole))
    whole += "\n]}"
    cut = data.draw(st.integers(0, len(whole)))
    for stop in ("end", "max_tokens"):
        parsed = parse_answer(whole[:cut], stop)
        assert parsed.pairs == tuple(pairs[: sum(end <= cut for end in ends)])
        if cut == len(whole):
            assert parsed.state == ("complete" if stop == "end" else "truncated")


JUNK = st.lists(
    st.sampled_from(['{"pairs"', '"pairs"', ":", "[", "]", "{", "}", ",", '"', "\\", "'", "1", "tru", "NaN", " ", "\n", "a", "```", "<think>", "\\ud800", "\ud800", "\0", json.dumps(pair())]),
    max_size=25,
).map("".join)  # fmt: skip


@given(JUNK | st.text(), st.sampled_from(["end", "max_tokens", "refusal"]))
def test_no_text_makes_an_exception_and_what_is_kept_can_be_written(text: str, stop: StopReason) -> None:
    parsed = parse_answer(text, stop)
    json.dumps(parsed.pairs, ensure_ascii=False).encode("utf-8")
    parsed.error.encode("utf-8")
    assert bool(parsed.error) == (parsed.state != "complete")


@given(JUNK)
def test_what_is_read_from_any_text_has_lost_nothing_of_it(text: str) -> None:
    try:
        read = read_object(text, "pairs")
    except UnreadableError:
        return
    if read.mended == "inside":
        assert loses_nothing(text[text.index("{") : text.rindex("}") + 1].lstrip(), read.value) or text.count("{") > 1


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ('{"a": "x, y"}', {"a": "x, y"}, True),
        ('{"a": "x, y"}', {"a": "x y"}, False),
        ('{"a": "x", "b": 1}', {"a": "x"}, False),
        ('{"a": ["x", "y"]}', {"a": ["y", "x"]}, False),
        ('{"a": "x" "y"}', {"a": "x"}, False),
        ('{"a": 12}', {"a": 1}, False),
        ('{"a": "5" pipe"}', {"a": '5" pipe'}, True),
        ('{"a": "it\'s"}', {"a": "its"}, False),
        ('{"a": True}', {"a": True}, True),
        ('{"a": "b\\n\\u0131"}', {"a": "b\nı"}, True),
        ('{"a": "x"} tail', {"a": "x"}, False),
    ],
)
def test_the_law_of_repair(text: str, value: Any, holds: bool) -> None:
    assert loses_nothing(text, value) is holds
