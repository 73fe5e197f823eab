"""What a document, a writer or a model put into a question cannot steer the terminal that shows its way back."""

from pathlib import Path

from groundtune.cli.trace import _show, _show_prompt
from groundtune.evaluation import AnswerRecord, ModelAnswer
from groundtune.evaluation.errors import Lineage
from groundtune.pipeline.lineage import Written
from groundtune.pipeline.tracing import Trace

HOSTILE = "a\x1b]52;c;cm0=\x07\x1b[2J\x9b1A\u202eb\u2069"


def found() -> Trace:
    answer = ModelAnswer(HOSTILE, 3, True, (), {}, False)
    record = AnswerRecord(
        "q", "", "tr", HOSTILE, (HOSTILE,), True, "factual", "easy", "individual", (), (), {"tuned": answer}
    )
    written = Written("key", f"system\n\t{HOSTILE}", f"prompt {HOSTILE}\n\nlast", HOSTILE)
    return Trace(record, "tuned", None, (), Lineage("", "", "", "", None, (), ()), {}, written)


def test_the_way_back_is_told_in_text_alone(capsys) -> None:
    _show(found(), Path("groundtune.yaml"))
    told = capsys.readouterr().out
    assert [line.split()[0] for line in told.splitlines()[:3]] == ["question", "answer", "reference"]
    assert not set(told) & set(HOSTILE) - set("a]52;cm0=[J1Ab")


def test_a_prompt_keeps_its_lines_and_tabs_and_nothing_that_steers(capsys) -> None:
    _show_prompt(found())
    shown = "a\ufffd]52;c;cm0=\ufffd\ufffd[2J\ufffd1A\ufffdb\ufffd"
    assert capsys.readouterr().out == (
        f"----- system\nsystem\n\t{shown}\n----- prompt\nprompt {shown}\n\nlast\n----- handed in\n{shown}\n"
    )
