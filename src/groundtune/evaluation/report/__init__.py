"""The report: one self-contained HTML file from the figures of a whole run.

No request leaves the page: styles, script and charts are inside it, and its content security policy forbids the rest.
Documents and answers are untrusted and are escaped everywhere. What this package does not do: read files or clocks, so
the same data give the same bytes.
"""

from groundtune.evaluation.report.data import (
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
from groundtune.evaluation.report.render import render_report
from groundtune.evaluation.report.verdict import Verdict, give_verdict

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
    "render_report",
    "report_data",
    "report_record",
]
