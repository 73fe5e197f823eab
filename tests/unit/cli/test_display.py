"""Tables at every width: figures whole, words between blanks, nothing but text where there is no terminal."""

import io
import re
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from groundtune.cli.display import Sheet, output, show_facts, show_labelled, visible

TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def shown(width, show) -> list[str]:
    stream = io.StringIO()
    show(Console(file=stream, width=width))
    return stream.getvalue().splitlines()


def results() -> Sheet:
    sheet = Sheet("Results", "", "base", "tuned +\npassages", "n", "change by tuning", "", left=(5,))
    sheet.row("Token F1", "0.08", "0.38", "108", "+0.35 (+0.27 to +0.45)", Text("better", "green"))
    sheet.row("Unsupported numbers", "–", "100%", "1,200", "−3 pp (−15 to +8)", "unclear")
    return sheet


def test_figures_stand_right_below_headers_that_end_on_one_line_and_words_left() -> None:
    assert shown(100, results().show) == [
        "Results",
        "                            tuned +",
        "                     base  passages      n        change by tuning",
        "Token F1             0.08      0.38    108  +0.35 (+0.27 to +0.45)  better",
        "Unsupported numbers     –      100%  1,200       −3 pp (−15 to +8)  unclear",
        "",
    ]


def test_gaps_shrink_before_anything_else_does() -> None:
    wide = shown(100, results().show)
    tight = shown(max(map(len, wide)) - 1, results().show)
    assert [re.sub(" +", " ", line) for line in tight] == [re.sub(" +", " ", line) for line in wide]
    assert max(map(len, tight)) < max(map(len, wide))


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 10**12).map(str), min_size=1, max_size=8),
    st.lists(st.text("abğı", min_size=1, max_size=12), min_size=1, max_size=8),
    st.integers(40, 120),
)
def test_no_width_breaks_a_figure_or_a_word(figures, words, width) -> None:
    sheet = Sheet("", "", *("" for _ in figures), "", prose=True)
    sheet.row(" ".join(words), *figures, " ".join(words))
    lines = shown(width, sheet.show)
    assert max(map(len, lines)) <= width
    pieces = [piece for line in lines for piece in line.split()]
    # the words of the first column once in each block, and those of the prose
    assert set(pieces) == {*figures, *words}
    assert [piece for piece in pieces if piece.isdigit()] == figures


@settings(max_examples=40)
@given(
    st.text("abğı", min_size=4, max_size=12),
    st.lists(st.text("abğı", min_size=1, max_size=8), min_size=1, max_size=8).map(" ".join),
    st.integers(22, 60),
)
def test_a_name_stays_whole_beside_words_too_long_for_the_line(name, long, width) -> None:
    sheet = Sheet("", "", "", left=(1,))
    sheet.row(name, long)
    lines = shown(width, sheet.show)
    assert lines[0].split()[0] == name
    assert not any(line[: len(name)].strip() for line in lines[1:])
    assert " ".join(" ".join(lines).split()) == f"{name} {long}"
    assert max(map(len, lines)) <= width


HOSTILE = "ok\x1b]52;c;cm0gLXJm\x07\x1b[2J\x9b1A\u202egone\u2066\tand\x7f"


@pytest.mark.parametrize("cell", [HOSTILE, Text(HOSTILE, "bold")])
def test_no_cell_steers_the_terminal_and_columns_keep_their_width(cell) -> None:
    sheet = Sheet("", "", "n", left=(0,))
    sheet.row(cell, "1")
    sheet.row("below", "2")
    first, second = shown(80, sheet.show)[-2:]
    assert not set(first) & set("\x1b\x07\x9b\u202e\u2066\x7f")
    assert (first[-3:], second[-3:]) == ("  1", "  2")
    assert len(first) == len(second)


def test_nothing_printed_steers_the_terminal_but_colours_do(capsys, monkeypatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    console = output()
    for piece in (HOSTILE, Text(HOSTILE, "green"), "\x1b", "[2J"):
        console.print(piece, end="", soft_wrap=True)
    console.print(Panel(Text(HOSTILE)))
    told = capsys.readouterr().out
    assert "\x1b[32m" in told
    assert not set(re.sub("\x1b\\[[0-9]*m", "", told)) & set("\x1b\x07\x9b\u202e\u2066\x7f")


@given(st.text())
def test_text_keeps_its_length_and_lines_and_loses_only_what_steers(text) -> None:
    kept = visible(text)
    assert [a for a, b in zip(text, kept, strict=True) if a != b] == [
        each for each in text if each not in "\n\t" and (unicodedata.category(each) == "Cc" or each in TURNING)
    ]


def test_a_table_too_wide_is_shown_in_blocks_that_name_their_rows() -> None:
    lines = shown(60, results().show)
    assert max(map(len, lines)) <= 60
    assert [line.split()[0] for line in lines if line.startswith(("Token", "Unsupported"))] == [
        "Token",
        "Unsupported",
    ] * 2
    assert any(line.endswith("(+0.27 to +0.45)  better") for line in lines)


def test_long_words_of_the_first_column_give_way_to_figures() -> None:
    sheet = Sheet("", "", "rows")
    sheet.row("the tokens before each trained turn are those that inference sends", "1,590")
    assert shown(40, sheet.show) == [
        "                                    rows",
        "the tokens before each trained     1,590",
        "turn are those that inference",
        "sends",
    ]


def test_prose_is_wrapped_beside_its_name() -> None:
    assert shown(30, lambda console: show_labelled(console, ("loss", "train 3.6, valid 3.7, test 3.8"), ("", "n"))) == [
        "loss  train 3.6, valid 3.7,",
        "      test 3.8",
        "      n",
    ]


def test_a_figure_stays_with_its_unit() -> None:
    told = "half took 450 ms to 1.2 s, 9 × data flow, −3 pp, 17 MB"
    for width in range(16, 40):
        lines = shown(width, lambda console: show_labelled(console, ("step", told)))
        assert not any(
            line.startswith(("      ms", "      s", "      ×", "      data", "      pp", "      MB")) for line in lines
        )
        assert " ".join(" ".join(lines).split()) == f"step {told}"


def test_notes_stand_below_and_a_table_without_rows_is_no_table() -> None:
    sheet = Sheet("Counts", "", "n")
    assert shown(80, lambda console: sheet.show(console, "a note")) == []
    sheet.row("files", "3")
    assert shown(80, lambda console: sheet.show(console, "a note")) == ["Counts", "       n", "files  3", "a note", ""]


def test_a_row_that_does_not_fit_the_headers_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 cells in a table of 3 columns"):
        Sheet("", "", "a", "b").row("x", "1")


def test_brackets_are_text_and_lines_are_whole_without_a_terminal(capsys, monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    long = "[bold] " + "word " * 100
    show_facts(output(), "[red]title", [("name", "1", long)])
    assert capsys.readouterr().out.splitlines() == ["[red]title", f"name  1  {long.rstrip()}", ""]
