"""The same few groups through several models: what each wrote, how sure the figures are, and which model to take.

Pure functions over `GroupOutcome`; the requests are sent elsewhere. It compares shape, variety and price of what passed the
checks; whether an answer is good it cannot know.
"""

from groundtune.generation.pilot.choosing import choose_groups
from groundtune.generation.pilot.measures import MEASURES, Measure
from groundtune.generation.pilot.recommending import GUARDS, Recommendation
from groundtune.generation.pilot.report import PilotReport, compare_models
from groundtune.generation.pilot.resampling import Interval
from groundtune.generation.pilot.results import Difference, ModelResult

__all__ = [
    "GUARDS",
    "MEASURES",
    "Difference",
    "Interval",
    "Measure",
    "ModelResult",
    "PilotReport",
    "Recommendation",
    "choose_groups",
    "compare_models",
]
