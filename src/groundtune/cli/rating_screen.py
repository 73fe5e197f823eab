"""Draws what a rater sees: the question with its two answers, the marks so far, and what is asked.

On a terminal the page is drawn once for a question, and only its foot is drawn again with each key. What this module does not
do: decide anything (:mod:`groundtune.evaluation.people.session`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from groundtune.cli.display import visible

if TYPE_CHECKING:
    from groundtune.cli.rating_words import Words
    from groundtune.evaluation.people import Item, Session, Told

WIDEST = 100
"""Columns of text that are read with ease."""


class Screen:
    """What is on the console.

    Args:
        live: a terminal whose reader presses single keys: the page is cleared, and its foot drawn in place.
    """

    def __init__(self, console: Console, words: Words, *, live: bool) -> None:
        self._console = console
        self._words = words
        self._live = live
        self._drawn: tuple[object, ...] | None = None
        self._foot_lines = 0

    def show(self, session: Session, told: Told = "") -> None:
        """The page as it stands, drawn again where it has changed; `told` is what the last key did."""
        if self.turned(session):
            if self._live:
                self._console.clear()
            self._print(self._page(session))
            self._drawn = self._state(session)
        elif self._live:
            # to the first line of the foot, and everything from there is gone
            self._console.file.write(f"\x1b[{self._foot_lines}A\x1b[J")
        self.show_foot(session, told)

    def show_again(self, session: Session) -> None:
        """The whole page, whatever was drawn before."""
        self._drawn = None
        self.show(session)

    def show_foot(self, session: Session, told: Told = "") -> None:
        """The marks so far and what is asked, below what is there."""
        with self._console.capture() as captured:
            self._print(self._foot(session, told))
        text = captured.get()
        self._foot_lines = text.count("\n")
        self._console.file.write(text)
        self._console.file.flush()

    def turned(self, session: Session) -> bool:
        """Whether something other than the marks is to be seen than was drawn last."""
        return self._drawn != self._state(session)

    def _state(self, session: Session) -> tuple[object, ...]:
        question = session.item.question_id if session.item is not None else None
        shown = (session.passages_shown, session.reference_shown, session.help_shown)
        return question, *shown, self._console.size

    def _print(self, shown: RenderableType) -> None:
        self._console.print(shown, width=min(self._console.width, WIDEST))

    def _page(self, session: Session) -> RenderableType:
        words = self._words
        if session.help_shown:
            return self._help()
        item = session.item
        if item is None:
            return Text()
        where = words.where.format(
            number=session.number, questions=len(session.items), rater=session.rater, rated=session.rated
        )
        parts: list[RenderableType] = [Text(where, style="dim"), Text()]
        for message in item.history:
            calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
            said = "\n".join(part for part in (message.content, *calls) if part)
            parts += [Text(words.roles[message.role], style="dim"), _indented(said)]
        parts += [Text(visible(item.question), style="bold"), Text()]
        if session.passages_shown:
            parts += self._passages(item)
        if session.reference_shown:
            parts += [_heading(words.reference, "dim"), Text(visible(item.reference) or words.no_reference), Text()]
        if item.same:
            parts += [_heading("A = B", "cyan"), self._answer(item.texts[0]), Text(), Text(words.same, style="yellow")]
        else:
            parts += [_heading("A", "cyan"), self._answer(item.texts[0]), Text()]
            parts += [_heading("B", "magenta"), self._answer(item.texts[1])]
        return Group(*parts, Rule(style="dim"))

    def _help(self) -> RenderableType:
        words = self._words
        scales = Table(box=None, pad_edge=False, header_style="dim")
        for header in ("", "1", "3", "5"):
            scales.add_column(header)
        for name, meanings in words.scales.items():
            scales.add_row(words.criteria[name][0], *meanings)
        keys = Table.grid(padding=(0, 2))
        for key, meaning in words.all_keys.items():
            keys.add_row(Text(key, style="bold"), meaning)
        said = Text(f"{words.by_documents} {words.hidden}")
        return Group(Text(words.help), Text(), scales, Text(), said, Text(), keys, Text())

    def _answer(self, text: str) -> Text:
        return Text(visible(text.strip())) if text.strip() else Text(self._words.nothing, style="dim italic")

    def _passages(self, item: Item) -> list[RenderableType]:
        parts: list[RenderableType] = [_heading(self._words.passages.format(count=len(item.passages)), "dim")]
        for number, passage in enumerate(item.passages, start=1):
            parts += [Text(f"[{number}]", style="dim"), _indented(passage)]
        if item.lost_passages:
            parts.append(Text(self._words.lost_passages.format(count=item.lost_passages), style="yellow"))
        elif not item.passages:
            parts.append(Text(self._words.no_passages, style="dim"))
        return [*parts, Text()]

    def _foot(self, session: Session, told: Told) -> RenderableType:
        words = self._words
        if session.help_shown:
            return Text(words.any_key, style="bold")
        said = Text(words.told.get(told, ""), style="dim" if told in ("rated", "undone") else "yellow")
        if session.item is None:
            finished = Text(words.finished.format(rated=session.rated, skipped=session.skipped), style="bold")
            return (
                Group(said, finished, Text(words.finished_keys, style="dim")) if self._live else Group(said, finished)
            )
        parts: list[RenderableType] = [] if not self._live and not session.marks else [self._marks(session)]
        return Group(*parts, said, self._prompt(session), Text(words.keys, style="dim"))

    def _prompt(self, session: Session) -> Text:
        words = self._words
        if session.asked is None:
            return Text(words.prefer, style="bold")
        letter, criterion = session.asked
        name, question = words.criteria[criterion]
        if session.item is not None and session.item.same:
            return Text(words.mark_same.format(criterion=name, question=question), style="bold")
        return Text(words.mark.format(answer=letter.upper(), criterion=name, question=question), style="bold")

    def _marks(self, session: Session) -> Table:
        """A row for each criterion, a column for each answer; where the next mark goes is pointed at."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        columns = 1 if session.item is not None and session.item.same else 2
        for title in ("", *("A", "B")[:columns]):
            table.add_column(title)
        for row, (name, _) in enumerate(self._words.criteria.values()):
            cells = []
            for place in range(row, columns * len(self._words.criteria), len(self._words.criteria)):
                if place < len(session.marks):
                    cells.append(Text(str(session.marks[place]), style="bold"))
                else:
                    cells.append(Text("▸", style="yellow") if place == len(session.marks) else Text("·", style="dim"))
            table.add_row(name, *cells)
        return table


def _heading(title: str, style: str) -> Rule:
    return Rule(Text(title, style=f"bold {style}"), align="left", style=style)


def _indented(text: str) -> Padding:
    return Padding(Text(visible(text)), (0, 0, 0, 2), expand=False)
