"""`groundtune rate`: people mark two systems' answers, blind, one key at a time; and what their marks come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target, tell

if TYPE_CHECKING:
    from groundtune.cli.rating_words import Words
    from groundtune.evaluation.figures.marks import Source
    from groundtune.evaluation.people import Item, Session
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
    sets: Annotated[
        bool,
        typer.Option(
            "--sets",
            help="Rate what both models said to the shipped questions of everyday tasks, which `groundtune judge` has them asked.",
        ),
    ] = False,
    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="ONE,OTHER",
            help="Whose answers are put side by side: two of base, base_context, tuned_context; without documents, or with "
            "--sets, base, tuned.",
            show_default="base and tuned model, with the same passages where there are any",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            "--language", metavar="tr|en", help="Language of what is said to the rater.", show_default="the documents'"
        ),
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
    from groundtune.pipeline.staleness import answers_note

    asked = {"--summary": summary, "--export": export, "--forms": forms, "--import": imported}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise ConfigError(f"{given[0]} and {given[1]}: expected one of them at a time")
    workspace = Workspace(read_target(target, overrides))
    note = answers_note(workspace)
    if note:
        tell(note)
    wished = _Wished(
        tuple(word.strip() for word in systems.split(",")) if systems else (),
        questions,
        "sets" if sets else "documents",
    )
    if summary:
        _summarise(workspace, as_json)
    elif export is not None:
        _export(workspace, export, as_json)
    elif imported is not None:
        _import(workspace, imported, as_json)
    elif forms is not None:
        _forms(workspace, forms, rater, wished, show_reference, as_json)
    else:
        _rate(workspace, rater, wished, language, show_reference, as_json)


@dataclass(frozen=True)
class _Wished:
    """What is to be rated."""

    systems: tuple[str, ...]
    """Empty: what tuning did."""
    questions: int
    source: Source

    def items(self, workspace: Workspace, rater: str) -> list[Item]:
        from groundtune.pipeline.rating import items_to_rate

        return items_to_rate(workspace, rater, systems=self.systems, questions=self.questions, source=self.source)


def _summarise(workspace: Workspace, as_json: bool) -> None:
    from groundtune.cli.rating_tables import show_summary
    from groundtune.files import as_plain
    from groundtune.pipeline.agreeing import judge_agreement
    from groundtune.pipeline.rating import people_summary

    found = people_summary(workspace)
    judged = judge_agreement(workspace)
    if as_json:
        agreement = {source: as_plain(some) for source, some in judged.items()}
        print_json(
            {
                "ratings": str(workspace.ratings),
                "summary": None if found is None else as_plain(found),
                "agreement_with_judge": agreement,
            }
        )
    elif found is None:
        typer.echo("nobody has rated anything yet; `groundtune rate` begins")
    else:
        show_summary(found, judged)


def _export(workspace: Workspace, path: Path, as_json: bool) -> None:
    from groundtune.evaluation.verdict.wording import plural
    from groundtune.pipeline.rating import export_ratings

    count = export_ratings(workspace, path)
    if as_json:
        print_json({"exported": str(path), "ratings": count})
    else:
        typer.echo(f"{path}: {plural(count, 'rating')}")


def _forms(
    workspace: Workspace,
    path: Path,
    rater: str | None,
    wished: _Wished,
    show_reference: bool,
    as_json: bool,
) -> None:
    from groundtune.errors import ConfigError
    from groundtune.evaluation.people import rater_name
    from groundtune.evaluation.verdict.wording import plural
    from groundtune.pipeline.rating import export_forms

    if rater is None:
        raise ConfigError("--forms needs --rater NAME: the order of questions and answers is each rater's own")
    name = rater_name(rater)
    items = wished.items(workspace, name)
    count = export_forms(workspace, items, name, path, reference_shown=show_reference)
    if as_json:
        print_json({"exported": str(path), "rater": name, "forms": count})
    else:
        typer.echo(
            f"{path}: {plural(count, 'form')} for {name}. Put marks from 1 to 5 and a, b or tie where null stands, then "
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
    wished: _Wished,
    language: str | None,
    show_reference: bool,
    as_json: bool,
) -> None:
    from rich.console import Console

    from groundtune.cli.rating_session import ask_name, converse, tell_end
    from groundtune.evaluation.people import Session, rater_name
    from groundtune.pipeline.rating import check_there, rating_file

    words = _words(workspace, language, wished.source)
    console = Console(highlight=False, emoji=False, stderr=as_json)
    # before a name is asked for
    check_there(workspace, wished.source)
    file = rating_file(workspace)
    present = file.read().ratings
    name = rater_name(rater if rater is not None else ask_name(present, words, console))
    items = wished.items(workspace, name)
    session = Session(
        name,
        items,
        [rating for rating in present if rating.rater == name],
        lambda rating: file.append([rating]),
        reference_shown=show_reference,
    )
    try:
        converse(session, console, words)
    finally:
        # also when it was interrupted: what was given is kept
        tell_end(session, console, words, workspace.ratings)
    if as_json:
        print_json(_as_record(session, workspace))


def _words(workspace: Workspace, language: str | None, source: Source) -> Words:
    from groundtune.cli.rating_words import WORDS, of_sets
    from groundtune.errors import ConfigError

    if language is not None and language not in WORDS:
        raise ConfigError(f"--language {language!r}: expected {' or '.join(WORDS)}")
    words = WORDS.get(language or workspace.config.documents.languages[0], WORDS["en"])
    return of_sets(words) if source == "sets" else words


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
