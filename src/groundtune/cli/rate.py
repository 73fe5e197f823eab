"""`groundtune rate`: people mark two systems' answers, blind, one key at a time; and what their marks come to."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.cli.rating_screen import Screen
    from groundtune.cli.rating_words import Words
    from groundtune.evaluation.people import Rating, Session, Told
    from groundtune.pipeline import Workspace


def rate(
    target: Target = DEFAULT_CONFIG,
    rater: Annotated[
        str | None,
        typer.Option("--rater", help="Name or pseudonym your ratings are filed under; asked for if left out."),
    ] = None,
    questions: Annotated[
        int, typer.Option("--questions", min=1, help="How many of the evaluated questions, the same for every rater.")
    ] = 30,
    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="ONE,OTHER",
            help="Whose answers are put side by side: two of base, base_context, tuned_context; of a run without documents "
            "base, tuned. [default: base and tuned model, with the same passages where there are any]",
        ),
    ] = None,
    language: Annotated[
        str | None, typer.Option("--language", help="tr or en, of what is said to the rater. [default: the documents']")
    ] = None,
    show_reference: Annotated[
        bool, typer.Option("--show-reference", help="Show the right answer from the beginning, not only on key r.")
    ] = False,
    summary: Annotated[bool, typer.Option("--summary", help="Show what all ratings come to; rate nothing.")] = False,
    export: Annotated[
        Path | None, typer.Option("--export", metavar="FILE.jsonl", help="Write all ratings to a file; rate nothing.")
    ] = None,
    forms: Annotated[
        Path | None,
        typer.Option(
            "--forms",
            metavar="FILE.jsonl",
            help="Write blind forms for --rater to fill in without groundtune; rate nothing.",
        ),
    ] = None,
    imported: Annotated[
        Path | None,
        typer.Option(
            "--import", metavar="FILE.jsonl", help="Add the ratings or filled-in forms of a file; rate nothing."
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Mark the answers of base and tuned model side by side without knowing whose they are; the same command goes on."""
    from groundtune.errors import ConfigError
    from groundtune.pipeline import Workspace

    asked = {"--summary": summary, "--export": export, "--forms": forms, "--import": imported}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]}: expected one of them at a time")
    workspace = Workspace(read_target(target, overrides))
    pair = tuple(word.strip() for word in systems.split(",")) if systems else ()
    if summary:
        _summarise(workspace, as_json)
    elif export is not None:
        _export(workspace, export, as_json)
    elif imported is not None:
        _import(workspace, imported, as_json)
    elif forms is not None:
        _forms(workspace, forms, rater, pair, questions, show_reference, as_json)
    else:
        _rate(workspace, rater, pair, questions, language, show_reference, as_json)


def _summarise(workspace: Workspace, as_json: bool) -> None:
    from groundtune.cli.rating_tables import show_summary
    from groundtune.pipeline.rating import people_summary

    found = people_summary(workspace)
    if as_json:
        print_json({"ratings": str(workspace.ratings), "summary": None if found is None else asdict(found)})
    elif found is None:
        typer.echo("nobody has rated anything yet; `groundtune rate` begins")
    else:
        show_summary(found)


def _export(workspace: Workspace, path: Path, as_json: bool) -> None:
    from groundtune.pipeline.rating import export_ratings

    count = export_ratings(workspace, path)
    if as_json:
        print_json({"exported": str(path), "ratings": count})
    else:
        typer.echo(f"{path}: {count} ratings")


def _forms(
    workspace: Workspace,
    path: Path,
    rater: str | None,
    systems: tuple[str, ...],
    questions: int,
    show_reference: bool,
    as_json: bool,
) -> None:
    from groundtune.errors import ConfigError
    from groundtune.evaluation.people import rater_name
    from groundtune.pipeline.rating import export_forms, items_to_rate

    if rater is None:
        raise ConfigError("--forms needs --rater NAME: the order of questions and answers is each rater's own")
    name = rater_name(rater)
    items = items_to_rate(workspace, name, systems=systems, questions=questions)
    count = export_forms(items, name, path, reference_shown=show_reference)
    if as_json:
        print_json({"exported": str(path), "rater": name, "forms": count})
    else:
        typer.echo(
            f"{path}: {count} forms for {name}. Put marks from 1 to 5 and a, b or tie where null stands, then "
            f"`groundtune rate --import {path}`"
        )


def _import(workspace: Workspace, path: Path, as_json: bool) -> None:
    from groundtune.pipeline.rating import import_ratings

    found = import_ratings(workspace, path)
    counts = {
        "new": found.new,
        "replacing an earlier one of the same rater": found.replacing,
        "known already": found.known,
        "repeated or taken back further down": found.repeated,
        "forms not filled in": found.blank,
        "forms over answers that have changed": found.changed,
    }
    if as_json:
        print_json({"imported": str(path), "ratings": str(workspace.ratings), "counts": counts})
    else:
        typer.echo(
            f"{path}: " + ", ".join(f"{count} {name}" for name, count in counts.items() if count or name == "new")
        )


def _rate(
    workspace: Workspace,
    rater: str | None,
    systems: tuple[str, ...],
    questions: int,
    language: str | None,
    show_reference: bool,
    as_json: bool,
) -> None:
    from rich.console import Console

    from groundtune.evaluation.people import Session, rater_name
    from groundtune.pipeline.rating import items_to_rate, rating_file, read_answers

    words = _words(workspace, language)
    console = Console(highlight=False, emoji=False, stderr=as_json)
    # before a name is asked for
    read_answers(workspace)
    file = rating_file(workspace)
    present = file.read().ratings
    name = rater_name(rater if rater is not None else _ask_name(present, words, console))
    items = items_to_rate(workspace, name, systems=systems, questions=questions)
    session = Session(
        name,
        items,
        [rating for rating in present if rating.rater == name],
        lambda rating: file.append([rating]),
        reference_shown=show_reference,
    )
    try:
        _converse(session, console, words)
    finally:
        # also when it was interrupted: what was given is kept
        _tell_end(session, console, words, workspace)
    if as_json:
        print_json(_as_record(session, workspace))


def _words(workspace: Workspace, language: str | None) -> Words:
    from groundtune.cli.rating_words import WORDS
    from groundtune.errors import ConfigError

    if language is not None and language not in WORDS:
        raise ConfigError(f"--language {language!r}: expected {' or '.join(WORDS)}")
    return WORDS.get(language or workspace.config.documents.languages[0], WORDS["en"])


def _ask_name(present: Iterable[Rating], words: Words, console: Console) -> str:
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


def _converse(session: Session, console: Console, words: Words) -> None:
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


def _tell_end(session: Session, console: Console, words: Words, workspace: Workspace) -> None:
    console.print()
    if session.marks:
        console.print(words.unfinished, markup=False, soft_wrap=True)
    console.print(
        words.ended.format(rated=session.rated, questions=len(session.items), now=session.rated_now),
        markup=False,
        soft_wrap=True,
    )
    if session.rated < len(session.items):
        console.print(words.again, markup=False, soft_wrap=True)
    console.print(str(workspace.ratings), style="dim", markup=False, soft_wrap=True)


def _as_record(session: Session, workspace: Workspace) -> dict[str, Any]:
    return {
        "rater": session.rater,
        "questions": len(session.items),
        "rated": session.rated,
        "rated_now": session.rated_now,
        "skipped": session.skipped,
        "left": len(session.items) - session.rated,
        "ratings": str(workspace.ratings),
    }
