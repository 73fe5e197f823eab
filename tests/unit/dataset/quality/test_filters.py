"""Language, length and repetition, the order of filters, and their book."""

import json
from pathlib import Path

import pytest

from groundtune.config import BalanceConfig, FilterConfig
from groundtune.dataset.quality import Reason, apply_filters
from groundtune.dataset.quality.languages import LanguageCheck
from groundtune.types import Conversation, LeftOut, Message, Origin, ToolCall

XQUAD = Path(__file__).parents[5] / "shared/data/qa_xquad/xquad.tr.json"


def row(number, question, *answers, **more):
    turns = [Message("user", question), Message("assistant", answers[0])]
    for answer in answers[1:]:
        turns += [Message("user", "Devam et."), Message("assistant", answer)]
    return Conversation(f"a:{number}", Origin("a", "a.json", number), tuple(turns), **more)


def gone(rows, tmp_path, **config):
    filters = FilterConfig(**({"duplicates": "off"} | config))
    return [
        None if isinstance(each, Conversation) else (each.reason, each.field, each.found)
        for each in apply_filters(rows, filters, folder=tmp_path, seed=1)
    ]


def test_another_language_goes_with_the_language_named(tmp_path):
    turkish = "Mal kabul kaydı, teslim alınan her palet için depo görevlisi tarafından oluşturulur ve onaylanır."
    german = "Der Wareneingang wird für jede gelieferte Palette vom Lagerpersonal angelegt und bestätigt."
    [first, second] = gone([row(1, "Nasıl?", turkish), row(2, "Wie?", german)], tmp_path, languages=("tr",))
    assert first is None
    assert second[0] == Reason.OTHER_LANGUAGE
    assert second[2].startswith("de, asked for tr: ")
    assert len(second[2]) <= 80


def test_a_short_answer_is_judged_with_its_question(tmp_path):
    question = "In which year was the warehouse in Rotterdam opened to the customers of the company?"
    rows = [row(1, question, "1987, Rotterdam"), row(2, "Kod?", "Ja."), row(3, "Hangi yıl?", "1987")]
    assert [each is None for each in gone(rows, tmp_path, languages=("tr",))] == [False, True, True]
    assert gone(rows, tmp_path, languages=("tr", "en")) == [None] * 3


def test_code_in_fences_is_not_judged(tmp_path):
    code = "```python\nfor number in range(10):\n    print('the next number is', number)\n```"
    text = "Aşağıdaki döngü sıfırdan dokuza kadar olan bütün sayıları sırayla ekrana yazdırır."
    assert gone([row(1, "Yaz.", f"{text}\n{code}"), row(2, "Yaz.", code)], tmp_path, languages=("tr",)) == [None, None]


@pytest.mark.skipif(not XQUAD.is_file(), reason="needs shared/data")
def test_real_turkish_questions_with_answers_hardly_ever_go():
    data = json.loads(XQUAD.read_text(encoding="utf-8"))["data"]
    pairs = [
        (ask["question"], ask["answers"][0]["text"])
        for page in data
        for each in page["paragraphs"]
        for ask in each["qas"]
    ]
    check = LanguageCheck(("tr",))
    wrong = [pair for pair in pairs if check(row(1, *pair)) is not None]
    # long foreign names make the rest
    assert len(wrong) <= 0.005 * len(pairs)


def test_length_is_that_of_the_longest_answer_for_least_and_of_any_for_most(tmp_path):
    rows = [row(1, "?", "Evet."), row(2, "?", "Evet.", "x" * 30), row(3, "?", "y" * 60, "Evet.")]
    found = gone(rows, tmp_path, min_answer_characters=10, max_answer_characters=50)
    assert found[0] == (Reason.ANSWER_TOO_SHORT, "messages[1].content", "5 characters, at least 10 asked")
    assert found[1] is None
    assert found[2] == (Reason.ANSWER_TOO_LONG, "messages[1].content", "60 characters, at most 50 asked")


def test_bounds_of_length_are_inside(tmp_path):
    rows = [row(1, "?", "x" * 10), row(2, "?", "x" * 50)]
    assert gone(rows, tmp_path, min_answer_characters=10, max_answer_characters=50) == [None, None]


def test_a_tool_call_is_an_answer_and_raw_text_too(tmp_path):
    call = Message("assistant", "", tool_calls=(ToolCall("find_lot", '{"lot": "L-2041"}'),))
    rows = [
        Conversation("a:1", Origin("a", "a.json", 1), (Message("user", "Find it."), call)),
        Conversation("a:2", Origin("a", "a.txt", 2), text="kısa"),
    ]
    found = gone(rows, tmp_path, min_answer_characters=15)
    assert found == [None, (Reason.ANSWER_TOO_SHORT, "text", "4 characters, at least 15 asked")]


def test_an_answer_that_repeats_itself_goes_with_its_share(tmp_path):
    said = "the lot is blocked "
    # 20 words, of which all but the first four stand in a run said before
    rows = [row(1, "?", said * 5), row(2, "?", "one two three four five six seven eight nine ten")]
    found = gone(rows, tmp_path, max_repetition=0.5)
    assert found == [
        (Reason.ANSWER_REPEATS_ITSELF, "messages[1].content", "0.800 of the words, at most 0.5 asked"),
        None,
    ]
    assert gone(rows, tmp_path) == [None, None]


def test_a_faulty_row_does_not_take_its_good_copy_with_it(tmp_path):
    answer = "Lots are counted once a year by two people, and the difference is booked on the same day. "
    rows = [row(1, "How are lots counted?", answer * 2), row(2, "How are lots counted?", answer + answer[:-40])]
    found = gone(rows, tmp_path, duplicates="near", near_similarity=0.7, max_repetition=0.45)
    assert found[0][0] == Reason.ANSWER_REPEATS_ITSELF
    assert found[1] is None


def test_every_row_comes_out_once_in_order_and_removed_ones_are_handed_over(tmp_path):
    rows = [row(n, f"Soru {n % 4} nedir?", f"Yanıt {n % 4} budur.", fields={"level": n % 2}) for n in range(1, 13)]
    removed, tables = [], []
    config = FilterConfig(balance=(BalanceConfig(field="level", shares={"0": 0.5, "1": 0.5}),))
    out = list(
        apply_filters(
            iter(rows),
            config,
            folder=tmp_path,
            seed=1,
            removed=lambda each, why: removed.append((each, why)),
            tables=tables,
        )
    )
    assert [each.origin.row for each in out] == list(range(1, 13))
    assert [why for _, why in removed] == [each for each in out if isinstance(each, LeftOut)]
    assert all(each.origin == why.origin for each, why in removed)
    assert sum(line["rows_after"] for line in tables) == sum(isinstance(each, Conversation) for each in out)


def test_reasons_come_from_the_fixed_list(tmp_path):
    rows = [row(n, f"Soru {n % 3}?", "aa bb cc dd " * (n % 5)) for n in range(40)]
    config = {"min_answer_characters": 1, "max_answer_characters": 40, "max_repetition": 0.4, "duplicates": "near"}
    reasons = {each[0] for each in gone(rows, tmp_path, **config) if each}
    assert len(reasons) > 3
    assert reasons <= {reason.value for reason in Reason}


def test_filters_are_streamed(tmp_path):
    def endless():
        number = 0
        while True:
            number += 1
            yield row(number, "Soru nedir?", f"Yanıt {number}")

    out = apply_filters(endless(), FilterConfig(duplicates="near"), folder=tmp_path, seed=1)
    assert next(out).origin.row == 1
    assert next(out).origin.row == 2
