"""`trace`: the way back from one answer to the lines it comes from."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target, tell

if TYPE_CHECKING:
    from groundtune.evaluation.errors import EvidencePlace, LedgerEntry
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
    from groundtune.pipeline.staleness import answers_note
    from groundtune.pipeline.tracing import trace as find_trace

    workspace = Workspace(read_target(target, overrides))
    found = find_trace(workspace, question_id)
    note = answers_note(workspace)
    if note:
        tell(note)
    if as_json:
        print_json(as_plain(found))
    elif prompt:
        _show_prompt(found)
    else:
        _show(found, target)


def _show(found: Trace, target: Path) -> None:
    from groundtune.cli.display import output, show_labelled

    record, lineage = found.record, found.lineage
    kinds = ", ".join(filter(None, (record.language, record.type, record.difficulty)))
    rows = [
        ("question", f"{record.question}  ({kinds})"),
        ("answer", record.answers[found.system].text),
        ("reference", record.reference),
        ("verdict", _verdict(found)),
    ]
    if lineage.pair_id:
        rows.append(("pair", f"{lineage.pair_id} of group {lineage.group_id}, written by {lineage.writer}"))
    if lineage.place:
        rows.append(("stands in", lineage.place))
    rows += _ledger_rows(record.question_id, lineage.ledger, target)
    for place in lineage.evidence:
        rows.append(("evidence", f"{place.place}  {place.section}  ({_found(place)})"))
        rows += [("", f"“{quote}”") for quote in place.quotes]
    rows += [("trained on", f"{row.place}  {row.near}: {row.question}") for row in lineage.training_rows]
    show_labelled(output(), *((name, _cut(text)) for name, text in rows))


def _ledger_rows(question_id: str, ledger: LedgerEntry | None, target: Path) -> list[tuple[str, str]]:
    if ledger is None:
        return [("ledger", "no entry: the question was handed in by no writer, or its entry is gone")]
    told = f"{ledger.purpose}, {ledger.answered_by}, instructions {ledger.prompt_version[:12]}"
    again = question_id if target == DEFAULT_CONFIG else f"{question_id} {shlex.quote(str(target))}"
    return [("ledger", f"{ledger.key[:16]} ({told})"), ("prompt", f"groundtune trace {again} --prompt")]


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    return (shown if len(shown) <= MOST_CHARACTERS else shown[:MOST_CHARACTERS].rstrip() + " …") or "(nothing)"


def _verdict(found: Trace) -> str:
    if found.kind is None:
        return "did not fail"
    return found.kind + (f"; also {', '.join(found.signs[1:])}" if found.signs[1:] else "")


def _found(place: EvidencePlace) -> str:
    seen = "in the prompt" if place.in_prompt else "not in the prompt"
    return f"{seen}; search had it {f'at place {place.rank}' if place.rank else 'not at all'}"


def _show_prompt(found: Trace) -> None:
    from groundtune.cli.display import visible

    written = found.written
    if written is None:
        typer.echo("the ledger holds no request for this question")
        return
    for title, text in (("system", written.system), ("prompt", written.prompt), ("handed in", written.raw)):
        typer.echo(f"----- {title}\n{visible(text)}")
