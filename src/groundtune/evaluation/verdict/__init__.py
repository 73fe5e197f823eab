"""The verdict: what the figures of a run allow to be said, in plain words, for page, terminal and model card alike.

What this package does not do: draw (:mod:`groundtune.evaluation.report`), read files or clocks.
"""

from groundtune.evaluation.verdict.data import (
    ChunkPlace,
    EpochRow,
    Flow,
    ModuleRow,
    PairTables,
    ReportData,
    RuleRow,
    SplitRow,
    StageRow,
    StepPoint,
    TrainingPhase,
    report_data,
    report_record,
)
from groundtune.evaluation.verdict.verdict import Verdict, give_verdict

__all__ = [
    "ChunkPlace",
    "EpochRow",
    "Flow",
    "ModuleRow",
    "PairTables",
    "ReportData",
    "RuleRow",
    "SplitRow",
    "StageRow",
    "StepPoint",
    "TrainingPhase",
    "Verdict",
    "give_verdict",
    "report_data",
    "report_record",
]
