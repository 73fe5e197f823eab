"""What page, terminal and model card show, as plain values: everything in it can come from JSON.

The pipeline fills these from the stages' manifests and files; ``report_data`` reads the same from one JSON value. What
this module does not do: compute figures, or format them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from groundtune.errors import DataError
from groundtune.evaluation.checklist import Checklist
from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.errors import ErrorAnalysis
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.evaluation.figures.speed import Speed
from groundtune.evaluation.forgetting import GeneralSummary
from groundtune.evaluation.judge import JudgeSummary
from groundtune.evaluation.people import PeopleSummary
from groundtune.files import as_plain, parse_record
from groundtune.types import Language


@dataclass(frozen=True, slots=True)
class StageRow:
    """One stage: what it made, what it left out and why, how long it took."""

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    skips: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    """None where it is not known."""
    reused: bool = False
    """Whether this run found the outputs fresh and kept them; ``seconds`` is then of the run that made them, if known."""


@dataclass(frozen=True, slots=True)
class Flow:
    """How many of each thing there are on the way from documents to answers; None for a stage that was not run."""

    documents: int | None = None
    chunks: int | None = None
    groups: int | None = None
    pairs: int | None = None
    examples: int | None = None
    parameters: int | None = None
    """Of the tuned model."""
    questions: int | None = None
    """Test questions answered."""


@dataclass(frozen=True, slots=True)
class ModuleRow:
    """Chunks of one module in one language."""

    module: str
    language: Language
    documents: int
    chunks: int
    tokens: int


@dataclass(frozen=True, slots=True)
class RuleRow:
    """Groups one rule made. ``coverage`` is the share of all chunks that stand in at least one of them, 0 to 1."""

    rule: str
    groups: int
    tokens: int
    coverage: float


@dataclass(frozen=True, slots=True)
class PairTables:
    """Accepted pairs counted four ways, who wrote them, and rejected ones by reason."""

    by_rule: dict[str, int] = field(default_factory=dict)
    by_type: dict[str, int] = field(default_factory=dict)
    by_difficulty: dict[str, int] = field(default_factory=dict)
    by_language: dict[str, int] = field(default_factory=dict)
    by_writer: dict[str, int] = field(default_factory=dict)
    """`Pair.writer` to number of pairs."""
    unanswerable: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SplitRow:
    """One split of the dataset. ``tokens`` and ``trained_tokens`` (those that carry loss) where they were counted."""

    split: str
    examples: int
    unanswerable: int
    tokens: int | None = None
    trained_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class EpochRow:
    """One line of the training table; epoch 0 is before training."""

    epoch: float
    """2.5 is a validation in the middle of the third epoch."""
    train_loss: float | None
    valid_loss: float | None
    best: bool = False
    seconds: float | None = None

    @property
    def perplexity(self) -> float | None:
        """Of the validation loss, or of the training loss where nothing was held out; None where it has no bound to speak of."""
        loss = self.train_loss if self.valid_loss is None else self.valid_loss
        return None if loss is None or not loss < 700 else math.exp(loss)


@dataclass(frozen=True, slots=True)
class StepPoint:
    """Figures of one optimizer step; what was not measured at that step is None."""

    step: int
    train_loss: float | None = None
    valid_loss: float | None = None
    learning_rate: float | None = None
    grad_norm: float | None = None
    """Before clipping."""


@dataclass(frozen=True, slots=True)
class TrainingPhase:
    """Pretraining or fine-tuning: the table and the curves."""

    name: str
    epochs: tuple[EpochRow, ...] = ()
    steps: tuple[StepPoint, ...] = ()
    max_grad_norm: float | None = None
    """Where gradients were clipped, if that is known."""


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """Where a chunk comes from. Lines are 1-based and inclusive."""

    source: str
    line_start: int
    line_end: int
    text: str = ""
    """Of the passage, where it is to be shown."""


@dataclass(frozen=True, slots=True)
class ReportData:
    """All that ``report.html`` shows. Leave out what is not there: an empty part is not shown or says so."""

    project: str
    seed: int
    language: Language = "en"
    """The documentation's main language: that of module names."""
    versions: dict[str, str] = field(default_factory=dict)
    """groundtune, python, torch, transformers, in the order to show."""
    machine: dict[str, str] = field(default_factory=dict)
    """In the order to show, written behind its value: ``{"cores": "4", "memory": "16 GB"}`` is "4 cores, 16 GB memory"."""
    run: str = ""
    """Name of the training run."""
    flow: Flow = Flow()
    stages: tuple[StageRow, ...] = ()
    modules: tuple[ModuleRow, ...] = ()
    rules: tuple[RuleRow, ...] = ()
    pairs: PairTables = PairTables()
    splits: tuple[SplitRow, ...] = ()
    training: tuple[TrainingPhase, ...] = ()
    evaluation: EvaluationSummary | None = None
    records: tuple[AnswerRecord, ...] = ()
    chunks: dict[str, ChunkPlace] = field(default_factory=dict)
    """By chunk id; ids that no record names are not needed."""
    checklist: Checklist | None = None
    errors: ErrorAnalysis | None = None
    people: PeopleSummary | None = None
    """None where nobody has rated anything."""
    judge: JudgeSummary | None = None
    """None where no judge was asked."""
    general: GeneralSummary | None = None
    """What was forgotten; None where it was not measured."""
    speed: dict[str, Speed] = field(default_factory=dict)
    """By model (base, tuned); empty where it was not measured."""
    config: dict[str, Any] = field(default_factory=dict)
    """The resolved configuration (`Config.model_dump(mode="json")`)."""


SCHEMA_VERSION = 1
"""Of ``report.json``; raised when the meaning of a field changes or one goes."""


def report_record(data: ReportData) -> dict[str, Any]:
    """What ``report.json`` holds: `data`, and the version of its form in front."""
    return {"schema_version": SCHEMA_VERSION, **as_plain(data)}


def report_data(value: Mapping[str, Any], *, where: str = "report data") -> ReportData:
    """`ReportData` from one JSON value, with or without a version, types checked. Raises `DataError` that begins with `where`."""
    version = value.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise DataError(f"{where}: schema_version is {version!r}, expected {SCHEMA_VERSION}; write the report again")
    plain = {name: part for name, part in value.items() if name != "schema_version"}
    return parse_record(plain, ReportData, where=where)
