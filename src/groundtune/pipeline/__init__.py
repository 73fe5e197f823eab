"""The stages in order, and what joins them: nothing else in groundtune knows the order or the file names.

Reads and writes the files of a work folder and calls the packages; it does no work of its own.
"""

from groundtune.pipeline.assistant import open_assistant
from groundtune.pipeline.engine import Outcome, Stage, read_timings
from groundtune.pipeline.inspection import audit_data, data_stats, preview_examples
from groundtune.pipeline.stages import GOALS, STAGES, run_up_to
from groundtune.pipeline.workspace import Workspace

__all__ = [
    "GOALS",
    "STAGES",
    "Outcome",
    "Stage",
    "Workspace",
    "audit_data",
    "data_stats",
    "open_assistant",
    "preview_examples",
    "read_timings",
    "run_up_to",
]
