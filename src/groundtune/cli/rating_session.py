"""A rater at the keyboard: the name, the keys as they come, and what is told at the end.

What this module does not do: know which answers are rated (:mod:`groundtune.cli.rate`), or what a key means.
"""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.cli.rating_screen import Screen
    from groundtune.cli.rating_words import Words
    from groundtune.evaluation.people import Rating, Session, Told


def ask_name(present: Iterable[Rating], words: Words, console: Console) -> str:
    """The rater's name; who has rated here before need only press Enter."""
    from groundtune.errors import ConfigError

    if not sys.stdin.isatty():
        raise ConfigError("--rater NAME is missing, and standard input is no terminal to ask on; any pseudonym will do")
    known = [rating.rater for rating in present]
    try:
        login = getpass.getuser()
    except (OSError, KeyError):
        # a container's user need not have a name
        login = f"user{os.getuid()}"
    default = known[-1] if known else login
    console.print(words.name_is_kept, style="dim", markup=False)
    try:
        return console.input(words.ask_name.format(name=default).replace("[", "\\[")).strip() or default
    except EOFError:
        raise ConfigError("--rater NAME is missing, and none was given; any pseudonym will do") from None


def converse(session: Session, console: Console, words: Words) -> None:
    """Until the rater leaves or nothing is left: single keys on a terminal, else lines of them."""
    from groundtune.cli.rating_screen import Screen

    if not sys.stdin.isatty():
        _converse_by_line(session, Screen(console, words, live=False))
        return
    from groundtune.cli.keys import terminal_keys

    screen = Screen(console, words, live=console.is_terminal)
    with terminal_keys(lambda: screen.show_again(session)) as keys:
        screen.show(session)
        for key in keys:
            told = session.press(key)
            if session.left:
                return
            screen.show(session, told)


def _converse_by_line(session: Session, screen: Screen) -> None:
    """Each line holds as many keys as one likes: ``4 4 5 5 3 2 4 5 a``."""
    screen.show(session)
    for line in _lines():
        told: Told = ""
        shown = False
        for key in "".join(line.split()):
            told = session.press(key)
            if session.left:
                return
            if shown := screen.turned(session):
                screen.show(session, told)
        if session.item is None:
            return
        if not shown:
            screen.show_foot(session, told)


def _lines() -> Iterator[str]:
    while line := sys.stdin.readline():
        yield line


def tell_end(session: Session, console: Console, words: Words, path: Path) -> None:
    """What was rated, what comes next time, and the file that holds it."""
    one_line = not console.is_terminal
    console.print()
    if session.marks:
        console.print(words.unfinished, markup=False, soft_wrap=one_line)
    console.print(
        words.ended.format(rated=session.rated, questions=len(session.items), now=session.rated_now),
        markup=False,
        soft_wrap=one_line,
    )
    if session.rated < len(session.items):
        console.print(words.again, markup=False, soft_wrap=one_line)
    console.print(str(path), style="dim", markup=False, soft_wrap=True)
