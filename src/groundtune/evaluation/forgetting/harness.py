"""Runs tasks of lm-evaluation-harness (lm_eval, EleutherAI) on a loaded model, through its own interface.

lm_eval is an extra and is loaded only here. What it prints is kept back, its errors become sentences, and what the model
said is noted as it goes, so that a killed run continues.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
import importlib.util
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from groundtune.errors import ConfigError, EvaluationError
from groundtune.evaluation.forgetting.benchmarks import BenchmarkResult, read_results

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

BOOTSTRAPS = 1000
"""Resamples of the harness's standard errors, where a metric has no formula for it."""

SHOWN_NAMES = 3
STDERR = 2


def check_harness() -> None:
    """Raises `EvaluationError` where lm_eval is not installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise EvaluationError(
            "evaluation.forgetting.benchmarks needs lm-evaluation-harness, which is not installed; run `pip install lm-eval`, or "
            "leave the benchmarks out"
        )


def harness_version() -> str:
    return importlib.metadata.version("lm_eval")


def check_tasks(benchmarks: Sequence[str], folder: Path | None) -> None:
    """Raises `ConfigError` for a benchmark that the harness does not know. Takes seconds: its index has thousands of files.

    Args:
        folder: of one's own tasks.
    """
    with _kept_back():
        _task_manager(benchmarks, folder)


def run_benchmark(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    benchmark: str,
    *,
    folder: Path | None,
    limit: int | None,
    batch_size: int,
    journal: Path,
    label: str,
) -> BenchmarkResult:
    """One task, group or tag, scored by ``lm_eval.simple_evaluate``.

    Args:
        folder: of one's own tasks, besides the harness's.
        limit: questions of each task, at most.
        journal: where what the model said is noted; to be deleted when the result is stored.
        label: of the progress bar.

    Raises:
        ConfigError: the harness has no such task.
        EvaluationError: its questions cannot be had, or the task cannot be run.
    """
    check_harness()
    with _kept_back() as stderr:
        manager = _task_manager([benchmark], folder)
        import lm_eval

        from groundtune.evaluation.forgetting.harness_model import NotingModel

        asked = NotingModel(model, tokenizer, batch_size=batch_size, journal=journal, label=label, stderr=stderr)
        with _explained(benchmark):
            found: Any = lm_eval.simple_evaluate(
                asked, tasks=[benchmark], task_manager=manager, limit=limit, bootstrap_iters=BOOTSTRAPS
            )
    return read_results(benchmark, found, harness=harness_version(), shortened=asked.shortened)


def _task_manager(benchmarks: Sequence[str], folder: Path | None) -> Any:
    from lm_eval.tasks import TaskManager

    if folder is not None:
        # ten seconds less where nothing of the harness's own is asked for
        own = TaskManager(include_path=str(folder), include_defaults=False)
        if set(benchmarks) <= set(own.all_tasks):
            return own
    manager = TaskManager(include_path=None if folder is None else str(folder))
    known = manager.all_tasks
    for benchmark in benchmarks:
        if benchmark not in known:
            near = difflib.get_close_matches(benchmark, known, SHOWN_NAMES, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else "`lm_eval ls tasks` lists what it has"
            where = "" if folder is None else f" and {folder} has none of that name"
            raise ConfigError(
                f"evaluation.forgetting.benchmarks: lm_eval {harness_version()} knows no task {benchmark!r}{where}; {hint}"
            )
    return manager


@contextlib.contextmanager
def _explained(benchmark: str) -> Iterator[None]:
    """What went wrong inside the harness, in one sentence."""
    try:
        yield
    except OSError as error:
        # no network, the hub's refusals, and what `datasets` makes of them are all of this kind
        raise EvaluationError(
            f"benchmark {benchmark!r}: its questions could not be had ({_first_line(error)}); they are downloaded from the "
            "Hugging Face hub the first time, so check the network, or leave the benchmark out"
        ) from error
    except (ValueError, KeyError, TypeError, AssertionError, NotImplementedError, RuntimeError, ImportError) as error:
        raise EvaluationError(
            f"benchmark {benchmark!r}: lm_eval {harness_version()} could not run it ({type(error).__name__}: "
            f"{_first_line(error)}); leave it out, or correct the task"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).strip().split("\n") or [""])[0][:200]


@contextlib.contextmanager
def _kept_back() -> Iterator[TextIO]:
    """Yields standard error; all else that would be written there or printed goes nowhere. Errors are raised as ever."""
    before = os.environ.get("DISABLE_MULTIPROC")
    # its bootstrap would fork a process for each core, beside torch's threads
    os.environ["DISABLE_MULTIPROC"] = "1"
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with (
            _without_descriptor() as stderr,
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield stderr
    finally:
        logging.disable(disabled)
        if before is None:
            del os.environ["DISABLE_MULTIPROC"]
        else:
            os.environ["DISABLE_MULTIPROC"] = before


@contextlib.contextmanager
def _without_descriptor() -> Iterator[TextIO]:
    """Programs that the harness starts (git) write to the descriptor itself. Yields a way to where it led."""
    try:
        own = sys.stderr.fileno() == STDERR
    except (OSError, ValueError):
        own = False
    if not own:
        yield sys.stderr
        return
    with os.fdopen(os.dup(STDERR), "w", encoding="utf-8", buffering=1) as kept, Path(os.devnull).open("w") as nowhere:
        sys.stderr.flush()
        os.dup2(nowhere.fileno(), STDERR)
        try:
            yield kept
        finally:
            os.dup2(kept.fileno(), STDERR)
