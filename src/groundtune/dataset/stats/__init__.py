"""What a dataset consists of, in numbers: lengths, trained share, kinds, languages, copies, and what shared prefixes save.

Plain records that go to JSON as they are. This package prints nothing and judges nothing.
"""

from groundtune.dataset.stats.computing import as_conversation, example_stats, prepared_stats
from groundtune.dataset.stats.figures import Bin, DataStats, Duplicates, Lengths, Saving, SourceStats, SplitStats

__all__ = [
    "Bin",
    "DataStats",
    "Duplicates",
    "Lengths",
    "Saving",
    "SourceStats",
    "SplitStats",
    "as_conversation",
    "example_stats",
    "prepared_stats",
]
