"""Which chunks, sentences, table rows and code blocks no accepted answerable pair rests on, and which groups to ask about them.

It reads evidence offsets only: a passage that an answer uses without quoting it counts as not covered. It does not ask anything
or write prompts.
"""

from groundtune.generation.coverage.map import ChunkCoverage, Coverage, Totals, UnitCoverage, coverage
from groundtune.generation.coverage.top_up import TopUp, uncovered_focus
from groundtune.generation.coverage.units import Unit, split_units

__all__ = [
    "ChunkCoverage",
    "Coverage",
    "TopUp",
    "Totals",
    "Unit",
    "UnitCoverage",
    "coverage",
    "split_units",
    "uncovered_focus",
]
