"""The `groundtune` command: its verbs, and the one place where an error becomes a message and an exit status.

Exit status: 0 done; 1 a check did not pass; 2 the user's to mend; 130 interrupted. Verbs import what they need when they
run, so that `--help` answers at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer

from groundtune import __version__
from groundtune.cli import (
    bench,
    chat,
    config,
    dataset,
    doctor,
    generate,
    init,
    judge,
    models,
    rate,
    stages,
    tokenizer,
    trace,
)
from groundtune.cli.options import tell
from groundtune.errors import GroundtuneError

INTERRUPTED = 130
ISSUE_HINT = "this is a defect of groundtune, not of your input; please report it with the lines above"

USAGE_ERROR: type[Any] = typer.BadParameter.__bases__[0]
"""click's, or that of the copy of click inside newer versions of typer."""

app = typer.Typer(
    name="groundtune",
    help="From a folder of documentation to a small assistant that answers from it, and the proof of what the tuning did.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"groundtune {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Options before the verb."""


FIRST, PROOF, TOOLS = "From documents to a model", "The verdict", "Look, prepare, convert"


def _register(name: str, verb: Callable[..., None], panel: str, example: str = "") -> None:
    """A verb with an example below its help."""
    app.command(name, rich_help_panel=panel, epilog=f"Example: groundtune {example}" if example else None)(verb)


_register("init", init.init, FIRST, "init docs")
_register("run", stages.run, FIRST, "run docs --set workdir=out")
_register("ingest", stages.ingest, FIRST, "ingest docs")
_register("group", stages.group, FIRST, "group --set grouping.max_tokens=3000")
_register("generate", generate.generate, FIRST, "generate --estimate")
_register("pilot", generate.pilot, FIRST, "pilot --models offline,anthropic/claude-sonnet-5-5 --groups 20")
app.add_typer(dataset.dataset_app, name="dataset", rich_help_panel=FIRST)
app.add_typer(tokenizer.tokenizer_app, name="tokenizer", rich_help_panel=FIRST)
_register("pretrain", stages.pretrain, FIRST, "pretrain --num-processes 2")
_register("train", stages.train, FIRST, "train --set train.epochs=2")
_register("evaluate", stages.evaluate, PROOF, "evaluate --check")
_register("judge", judge.judge, PROOF, "judge")
_register("rate", rate.rate, PROOF, "rate --rater ayse --questions 20")
_register("trace", trace.trace, PROOF, "trace 1f3dd2765e84")
_register("chat", chat.chat, PROOF, 'chat groundtune-out/runs/demo -q "What is a lot?"')
_register("bench", bench.bench, TOOLS, "bench --steps 20 --compare plain")
app.add_typer(models.models_app, name="models", rich_help_panel=TOOLS)
_register("doctor", doctor.doctor, TOOLS)
app.add_typer(config.config_app, name="config", rich_help_panel=TOOLS)


def main() -> None:
    """Entry point of the console command."""
    # a library that writes colour codes into a pipe, or asks the hub how it is used, would be noise in a log
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # read by OpenMP when torch is loaded. Threads that spin while they wait are a little faster on idle cores and many times
    # slower on shared ones (docs/decisions/0003)
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # a moment's look before they sleep: waking a thread for each product costs a third on quiet cores (docs/decisions/0008)
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        # not standalone: typer would print its own box for a mistyped verb and end the process itself
        status = app(standalone_mode=False)
        if status == INTERRUPTED:
            raise KeyboardInterrupt
        sys.exit(status)
    except USAGE_ERROR as error:
        _explain_usage(error)
    except GroundtuneError as error:
        _fail(type(error).__name__, str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Interrupted", "stopped; the same command continues where it was", INTERRUPTED)
    except BrokenPipeError:
        # the reader of our output went away (`| head`): not an error, and nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        from groundtune.files import storage_error

        _fail("StorageError", str(storage_error(error.filename or "a file", error)), 2)
    except Exception:
        traceback.print_exc()
        _fail("Defect", ISSUE_HINT, 70)


def _explain_usage(error: Any) -> None:
    """A mistyped verb or option in one line; no verb at all is no mistake but a question."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        sys.exit(error.exit_code)
    command = error.ctx.command_path if error.ctx else "groundtune"
    _fail("UsageError", f"{error.format_message().strip().rstrip('.')}; `{command} --help` tells what there is", 2)


def _fail(kind: str, message: str, status: int) -> None:
    if "--json" in sys.argv:
        # standard output may be what failed
        with contextlib.suppress(OSError):
            sys.stdout.write(json.dumps({"error": {"kind": kind, "message": message}}, ensure_ascii=False) + "\n")
            sys.stdout.flush()
    tell(f"groundtune: {message}")
    sys.exit(status)


if __name__ == "__main__":
    main()
