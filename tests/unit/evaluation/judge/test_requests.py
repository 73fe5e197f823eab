"""What the judge is shown: in the question's language, blind, and with every text inside its own fence."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from groundtune.config import AnswerJudgeConfig
from groundtune.evaluation.judge import Case
from groundtune.evaluation.judge.requests import plan_verdicts
from groundtune.evaluation.judge.wording import LANGUAGES, fenced, judge_words
from groundtune.llm import LLMRequest, Passage
from groundtune.types import Message

CONFIG = AnswerJudgeConfig.model_validate({"provider": "openai", "model": "m", "max_output_tokens": 9000})
CASE = Case(
    "q",
    "documents",
    "tr",
    "factual",
    ("Peki kaç gün?",),
    {"base_context": ("Yedi.",), "tuned_context": ("Altı.",)},
    (("base_context", "tuned_context"),),
    references=("Altı gün.",),
    passages=(Passage(1, ("Onay",), "Onay altı gün sürer."),),
    history=(Message("user", "Onay nedir?"), Message("assistant", "Bir adımdır.")),
)


def requests(case: Case) -> list[LLMRequest]:
    return [wanted.request for wanted in plan_verdicts([case], CONFIG) if wanted.request is not None]


def test_the_judge_is_asked_in_the_questions_language_and_in_english_where_there_are_no_words():
    turkish, english, german = (requests(replace(CASE, language=language)) for language in ("tr", "en", "de"))
    assert "Yanıta dört ölçütte" in turkish[0].prompt
    assert "Mark the answer on four points" in english[0].prompt
    assert [each.prompt for each in german] == [each.prompt for each in english]


def test_everything_that_is_needed_is_shown_and_what_is_shared_stands_in_front():
    marks_of_base, marks_of_tuned, one, other = requests(CASE)
    assert len({each.context for each in (marks_of_base, marks_of_tuned, one, other)}) == 1
    assert "Onay altı gün sürer." in one.context
    for request in (marks_of_base, one):
        for shown in ("Kullanıcı: Onay nedir?", "Yardımcı: Bir adımdır.", "Peki kaç gün?", "Altı gün."):
            assert shown in request.prompt
    assert "Altı.\n" not in marks_of_base.prompt
    assert one.prompt.index("\nYedi.\n") < one.prompt.index("\nAltı.\n")
    assert other.prompt.index("\nAltı.\n") < other.prompt.index("\nYedi.\n")
    assert one.parameters == {"max_tokens": 2048}


def test_of_an_unanswerable_question_the_right_answer_is_told_as_a_rule():
    request = requests(replace(CASE, answerable=False, references=("Belgelerde bu bilgi yok.",)))[0]
    assert "Belgelerde bu sorunun yanıtı yok." in request.prompt
    assert "Belgelerde bu bilgi yok." not in request.prompt


def test_an_empty_answer_is_shown_as_none():
    request = requests(replace(CASE, answers={"base_context": (" ",), "tuned_context": ("Altı.",)}))[0]
    assert "(yanıt verilmedi)" in request.prompt


def test_both_languages_have_the_same_words_and_places():
    english, turkish = map(judge_words, LANGUAGES)
    assert english.keys() == turkish.keys()
    assert english["labels"].keys() == turkish["labels"].keys()
    for name in english.keys() - {"labels"}:
        places = [sorted(set(re.findall(r"\{\w+\}", words[name]))) for words in (english, turkish)]
        assert places[0] == places[1], name


@given(st.lists(st.text(alphabet="= a\n", max_size=30), min_size=1, max_size=4))
def test_no_text_can_end_its_own_block(texts):
    shown = fenced([(f"label{number}", text) for number, text in enumerate(texts)])
    fence = re.match("=+", shown)[0]
    assert sum(line == fence or line.startswith(f"{fence} ") for line in shown.split("\n")) == 2 * len(texts)
    for number, text in enumerate(texts):
        assert f"{fence} label{number}\n{text}\n{fence}" in shown
