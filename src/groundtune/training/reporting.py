"""Where the curves of a training are drawn: TensorBoard files by default, Weights & Biases or MLflow where asked for.

TensorBoard's are files in the run's folder. The other two are transformers' own callbacks, set up by the environment
variables of their packages; they go to the network if those say so, and nothing here does.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

from groundtune.errors import TrainingError
from groundtune.training.diagnosis import Sample
from groundtune.training.plan import ReportTo

NAMES: Mapping[str, str] = {
    "loss": "train_loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "eval_loss": "valid_loss",
}
"""What Trainer calls a figure, and what the curve is called. Others are called by one name everywhere."""


def check_reporters(report_to: Sequence[ReportTo]) -> None:
    """Raises `TrainingError` where ``none`` stands beside others, or a package is not installed."""
    if "none" in report_to and len(report_to) > 1:
        raise TrainingError(f"train.report_to is {list(report_to)}; take out either none or the others")
    for name in report_to:
        if name != "none" and importlib.util.find_spec(name) is None:
            raise TrainingError(
                f"train.report_to names {name}, which is not installed; run `pip install {name}`, or take it out"
            )


def reporters(report_to: Sequence[ReportTo], folder: Path) -> list[TrainerCallback]:
    """A callback for each place that curves are drawn in. Raises `TrainingError` as `check_reporters` does."""
    check_reporters(report_to)
    made: list[TrainerCallback] = []
    for name in dict.fromkeys(report_to):
        if name == "tensorboard":
            made.append(BoardWriter(folder / "tensorboard"))
        elif name != "none":
            # here, because asking for one of them imports what is installed of all of them
            from transformers.integrations.integration_utils import MLflowCallback, WandbCallback

            made.append(WandbCallback() if name == "wandb" else MLflowCallback())
    return made


def _quieten_writer_threads() -> None:
    """TensorBoard's thread that finds the disk full prints a traceback of its own, and raises the same in ours at the next
    call, where it becomes one sentence."""
    from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread

    before = threading.excepthook

    def told_elsewhere(failed: threading.ExceptHookArgs) -> None:
        if not (isinstance(failed.thread, _AsyncWriterThread) and isinstance(failed.exc_value, OSError)):
            before(failed)

    threading.excepthook = told_elsewhere


class BoardWriter(TrainerCallback):
    """Draws into TensorBoard's files, on the first process. A continued run goes on where it was."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._board: Any = None

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if state.is_world_process_zero:
            from torch.utils.tensorboard import SummaryWriter  # half a second to load: only when something is trained

            _quieten_writer_threads()
            self._board = SummaryWriter(str(self._folder), purge_step=state.global_step + 1)

    @override
    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        if self._board is not None:
            for name, value in (logs or {}).items():
                self._board.add_scalar(NAMES.get(name, name), value, state.global_step)

    def add_samples(self, samples: Sequence[Sample]) -> None:
        """Questions and answers, as text."""
        if self._board is not None:
            for number, sample in enumerate(samples, start=1):
                # Markdown: four spaces keep an answer as it is
                answer = sample.answer.replace("\n", "\n    ")
                self._board.add_text(f"sample_{number}", f"{sample.question}\n\n    {answer}", sample.step)

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._board is not None:
            self._board.close()
