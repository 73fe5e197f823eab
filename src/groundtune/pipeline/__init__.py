"""The stages in order, and what joins them: nothing else in groundtune knows the order or the file names.

Reads and writes the files of a work folder and calls the packages; it does no work of its own.
"""

from groundtune.pipeline.assistant import open_assistant
from groundtune.pipeline.engine import Outcome, Stage, read_timings
from groundtune.pipeline.stages import STAGES, preview_examples, run_up_to
from groundtune.pipeline.workspace import Workspace

__all__ = ["STAGES", "Outcome", "Stage", "Workspace", "open_assistant", "preview_examples", "read_timings", "run_up_to"]
