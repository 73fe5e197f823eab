"""`trace`: the way back from one answer to the lines it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.evaluation.errors import EvidencePlace
    from groundtune.pipeline.tracing import Trace

QuestionId = Annotated[
    str,
    typer.Argument(
        metavar="QUESTION_ID", help="A question that was asked; errors.json and the report name the failed ones."
    ),
]
WithPrompt = Annotated[
    bool, typer.Option("--prompt", help="Print what the writer of the question was told, and what it handed in, whole.")
]

MOST_CHARACTERS = 300


def trace(
    question_id: QuestionId,
    target: Target = DEFAULT_CONFIG,
    prompt: WithPrompt = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Lead from an answer back to its pair, prompt, passage, document and line, and to the training rows near it."""
    from groundtune.files import as_plain
    from groundtune.pipeline import Workspace
    from groundtune.pipeline.tracing import trace as find_trace

    workspace = Workspace(read_target(target, overrides))
    found = find_trace(workspace, question_id)
    if as_json:
        print_json(as_plain(found))
    elif prompt:
        _show_prompt(found)
    else:
        _show(found)


def _show(found: Trace) -> None:
    from rich.console import Console

    console = Console(highlight=False, emoji=False, markup=False)
    record, lineage = found.record, found.lineage
    answer = record.answers[found.system]
    _row(
        console,
        "question",
        f"{record.question}  ({', '.join(filter(None, (record.language, record.type, record.difficulty)))})",
    )
    _row(console, "answer", answer.text)
    _row(console, "reference", record.reference)
    _row(console, "verdict", _verdict(found))
    if lineage.pair_id:
        _row(console, "pair", f"{lineage.pair_id} of group {lineage.group_id}, written by {lineage.writer}")
    if lineage.place:
        _row(console, "stands in", lineage.place)
    ledger = lineage.ledger
    if ledger is None:
        _row(console, "ledger", "no entry: the question was handed in by no writer, or its entry is gone")
    else:
        _row(
            console,
            "ledger",
            f"{ledger.key[:16]} ({ledger.purpose}, {ledger.answered_by}, instructions {ledger.prompt_version[:12]})",
        )
        _row(console, "prompt", f"groundtune trace {record.question_id} --prompt")
    for place in lineage.evidence:
        _row(console, "evidence", f"{place.place}  {place.section}  ({_found(place)})")
        for quote in place.quotes:
            _row(console, "", f"“{quote}”")
    for row in lineage.training_rows:
        _row(console, "trained on", f"{row.place}  {row.near}: {row.question}")


def _row(console: Console, name: str, text: str) -> None:
    from rich.text import Text

    shown = " ".join(text.split())
    cut = shown if len(shown) <= MOST_CHARACTERS else shown[:MOST_CHARACTERS] + " …"
    console.print(Text.assemble((f"{name:<11}", "dim"), cut or "(nothing)"), soft_wrap=True)


def _verdict(found: Trace) -> str:
    if found.kind is None:
        return "did not fail"
    return found.kind + (f"; also {', '.join(found.signs[1:])}" if found.signs[1:] else "")


def _found(place: EvidencePlace) -> str:
    seen = "in the prompt" if place.in_prompt else "not in the prompt"
    return f"{seen}; search had it {f'at place {place.rank}' if place.rank else 'not at all'}"


def _show_prompt(found: Trace) -> None:
    written = found.written
    if written is None:
        typer.echo("the ledger holds no request for this question")
        return
    for title, text in (("system", written.system), ("prompt", written.prompt), ("handed in", written.raw)):
        typer.echo(f"----- {title}\n{text}")
