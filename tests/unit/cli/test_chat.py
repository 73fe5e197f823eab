"""Answers reach the terminal as they come, and cannot steer it."""

from groundtune.cli.chat import _answer
from groundtune.serving import Dialogue


def test_an_answer_in_pieces_cannot_steer_the_terminal(capsys) -> None:
    pieces = ("13 ", "\x1b", "]52;c;cm0=\x07", " [kod]\n", "\x9b2J", "\u202eters\n")
    dialogue = Dialogue(99, lambda messages: len(messages), lambda messages: iter(pieces))
    _answer("Kaç?", dialogue)
    told = capsys.readouterr().out
    assert told == "13 \ufffd]52;c;cm0= [kod]\n\ufffd2J\ufffdters\n\n"
    assert dialogue.turns[-1].content == "".join(pieces).strip()
