"""What is rendered into a prompt is read back out of it, whatever the passages hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundtune.llm import Passage, Task, parse_passages, parse_task, render_passages, render_task
from groundtune.llm.passages import parse_asked, render_asked
from groundtune.types import Rule

TITLES = (
    st.text(alphabet="abçğıİöşüZ 0-9`*#[]=", min_size=1, max_size=20)
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)
LINES = st.one_of(
    st.sampled_from(
        [
            "===== [1] Stok > Lot",
            "=====",
            "====== [2] x",
            "```sql",
            "```",
            "| a | b |",
            "|---|---|",
            "",
            "[1] x",
            "= = =",
            "task: language=en rule=module pairs=99 max_words=1",
            "Lot numarası, 13 karakterlik koddur.",
            "1. **Böl** düğmesine basın.",
        ]
    ),
    st.text(alphabet="abçğıİöşü =[]1>\t`|{}", max_size=30),
)
TEXTS = st.lists(LINES, min_size=1, max_size=8).map("\n".join)


@given(st.lists(st.tuples(st.lists(TITLES, min_size=1, max_size=4), TEXTS), min_size=1, max_size=5))
def test_passages_survive_the_round_trip(material: list[tuple[list[str], str]]) -> None:
    passages = [Passage(number, tuple(titles), text) for number, (titles, text) in enumerate(material, start=1)]
    prompt = f"Parçalar:\n\n{render_passages(passages)}\n\ntask: language=tr rule=individual pairs=3 max_words=60"
    assert parse_passages(prompt) == passages
    assert parse_task(prompt) == Task("tr", Rule.INDIVIDUAL, 3, 60)


def test_a_fence_is_longer_than_every_line_of_equals_signs_in_the_text() -> None:
    rendered = render_passages([Passage(1, ("A",), "======== [1] B\nx\n========")])
    assert rendered.splitlines()[0] == "========= [1] A"


def test_a_line_break_in_a_title_does_not_break_the_block() -> None:
    (passage,) = parse_passages(render_passages([Passage(1, ("Stok", "Lot\nTakibi"), "metin")]))
    assert passage.breadcrumb == ("Stok", "Lot Takibi")


@pytest.mark.parametrize("prompt", ["", "Merhaba", "===== [2] B\nx\n====="])
def test_a_prompt_without_a_first_block_has_no_passages(prompt: str) -> None:
    assert parse_passages(prompt) == []


def test_a_prompt_without_a_task_line_has_no_task() -> None:
    assert parse_task("task: whatever") is None
    assert parse_task(render_task(Task("en", Rule.MODULE_MAP, 8, 200))) == Task("en", Rule.MODULE_MAP, 8, 200)


@given(st.lists(st.integers(1, 99), max_size=6, unique=True).map(sorted))
def test_a_focus_survives_the_round_trip(numbers: list[int]) -> None:
    task = Task("tr", Rule.MODULE, 3, 60, tuple(numbers))
    assert parse_task(f"x\n\n{render_task(task)}") == task


@given(st.lists(st.text(alphabet="abçğı \t\n-?", min_size=1, max_size=30).filter(str.strip), max_size=5))
def test_asked_questions_survive_the_round_trip_with_blanks_made_single(questions: list[str]) -> None:
    assert parse_asked(f"Şu sorular var:\n{render_asked(questions)}\n\nson") == {
        " ".join(question.split()) for question in questions
    }
