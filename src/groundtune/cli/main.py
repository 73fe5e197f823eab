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


app.command("init")(init.init)
app.command("run")(stages.run)
app.command("ingest")(stages.ingest)
app.command("group")(stages.group)
app.command("generate")(generate.generate)
app.command("pilot")(generate.pilot)
app.add_typer(dataset.dataset_app, name="dataset")
app.add_typer(tokenizer.tokenizer_app, name="tokenizer")
app.command("pretrain")(stages.pretrain)
app.command("bench")(bench.bench)
app.command("train")(stages.train)
app.command("evaluate")(stages.evaluate)
app.command("judge")(judge.judge)
app.command("trace")(trace.trace)
app.command("rate")(rate.rate)
app.command("chat")(chat.chat)
app.add_typer(models.models_app, name="models")
app.command("doctor")(doctor.doctor)
app.add_typer(config.config_app, name="config")


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
    sys.stderr.write(f"groundtune: {message}\n")
    sys.exit(status)


if __name__ == "__main__":
    main()
