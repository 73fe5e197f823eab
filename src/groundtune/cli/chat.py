"""`groundtune chat RUN`: questions in, answers out, with the chunks they were answered from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.serving import Assistant, Dialogue, Reply


_STANDS_ALONE = "Ask about the documents; each question stands alone."


def chat(
    run: Annotated[Path, typer.Argument(help="Run folder (WORKDIR/runs/NAME), or the configuration it was made from.")],
    question: Annotated[str | None, typer.Option("--question", "-q", help="Answer this one question and end.")] = None,
    model: Annotated[
        str, typer.Option("--model", metavar="tuned|base", help="The tuned model, or the one before fine-tuning.")
    ] = "tuned",
    overrides: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Which run: workdir=FOLDER or train.name=NAME."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the tuned model, which answers from the documents it finds or, without documents, as it was tuned."""
    from groundtune.errors import ConfigError

    if model not in ("tuned", "base"):
        raise ConfigError(f"--model {model!r}: expected tuned or base")
    if as_json and question is None:
        raise ConfigError("--json answers one question: add --question TEXT")
    assistant = _open(run, overrides or [], base=model == "base")
    if question is not None and as_json:
        print_json(_as_record(question, assistant))
    elif question is not None:
        _answer(question, assistant)
    else:
        _converse(assistant)


def _open(run: Path, overrides: list[str], *, base: bool) -> Assistant | Dialogue:
    from groundtune.cli.options import read_target
    from groundtune.errors import ConfigError, DataError
    from groundtune.pipeline import Workspace, open_assistant

    if not run.exists():
        raise DataError(f"{run}: no such run or configuration; `groundtune run` makes one")
    ignored = [text for text in overrides if text.partition("=")[0].strip() not in ("workdir", "train.name")]
    if ignored:
        raise ConfigError(
            f"--set {ignored[0]!r}: chat uses what the run was made with; give it to `groundtune run` first"
        )
    if run.is_file() or (run / "groundtune.yaml").is_file():
        run = Workspace(read_target(run, overrides)).run
    elif overrides:
        raise DataError(f"--set goes with a configuration, and {run} is a run folder")
    return open_assistant(run, base=base)


def _as_record(question: str, assistant: Assistant | Dialogue) -> dict[str, Any]:
    reply = assistant.ask(question)
    return {
        "question": question,
        "answer": "".join(reply.pieces).strip(),
        "language": reply.language,
        "chunks": [
            {
                "chunk_id": hit.chunk.chunk_id,
                "score": round(hit.score, 4),
                "breadcrumb": list(hit.chunk.breadcrumb),
                "source": hit.chunk.source,
                "line_start": hit.chunk.line_start,
                "line_end": hit.chunk.line_end,
            }
            for hit in reply.hits
        ],
        "chunks_dropped": reply.dropped,
        "model_asked": bool(reply.hits) or not reply.from_documents,
    }


def _answer(question: str, assistant: Assistant | Dialogue) -> None:
    from groundtune.cli.display import output

    console = output()
    reply = assistant.ask(question)
    _show_chunks(reply, console)
    for piece in reply.pieces:
        console.print(piece, end="", soft_wrap=True)
    console.print()


def _show_chunks(reply: Reply, console: Console) -> None:
    """Which passages the model was given, so that an answer can be checked against its source."""
    from rich.text import Text

    from groundtune.evaluation.verdict.wording import plural

    if not reply.hits and reply.from_documents:
        console.print("no matching passage was found, so the model is not asked", style="yellow")
    for number, hit in enumerate(reply.hits, start=1):
        place = f"{hit.chunk.source}:{hit.chunk.line_start}-{hit.chunk.line_end}"
        console.print(
            Text(f"[{number}] {' > '.join(hit.chunk.breadcrumb)}  ({place}, {hit.score:.1f})", style="dim"),
            soft_wrap=True,
        )
    if reply.dropped:
        console.print(
            f"{plural(reply.dropped, 'more passage')} found, left out: the model's context holds no more",
            style="dim",
        )


def _converse(assistant: Assistant | Dialogue) -> None:
    """A prompt until Ctrl-D. Over documents every question stands alone: the model was tuned on single questions."""
    from rich.text import Text

    from groundtune.cli.display import output
    from groundtune.errors import DataError
    from groundtune.serving import Dialogue

    console = output()

    told = "Say something; what was said is remembered." if isinstance(assistant, Dialogue) else _STANDS_ALONE
    console.print(f"{told} Ctrl-D ends.", style="dim")
    while True:
        try:
            question = console.input(Text("> ", "bold")) if sys.stdin.isatty() else _next_line()
        except EOFError:
            return
        except KeyboardInterrupt:
            console.print()
            return
        try:
            _answer(question, assistant)
        except DataError as error:
            console.print(str(error), style="yellow")
        except KeyboardInterrupt:
            console.print("\nstopped", style="dim")


def _next_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line
