"""What is asked about a set of groups when part of it was asked before: only what changed, the same after every kill.

Every request about a group is noted in the ledger with the texts it showed, so that its answer can be read for whatever the
documents are now. A group whose request is answered asks nothing; one that grew out of an earlier group keeps the pairs whose
evidence is still there and asks about its new passages alone; every other group is asked whole. The decision is kept in the
ledger before anything is sent. This package does not send, read answers (its callers hand in how), or check pairs.
"""

from groundtune.generation.planning.carrying import (
    CHUNK_GONE,
    GROUP_GONE,
    Preview,
    ReadItems,
    Retired,
    carry,
    preview,
    retired_pairs,
)
from groundtune.generation.planning.focus import Focus, MakeRequest
from groundtune.generation.planning.jobs import CarriedAnswer, Job, JobKind, Plan
from groundtune.generation.planning.plan import add_top_ups, plan

__all__ = [
    "CHUNK_GONE",
    "GROUP_GONE",
    "CarriedAnswer",
    "Focus",
    "Job",
    "JobKind",
    "MakeRequest",
    "Plan",
    "Preview",
    "ReadItems",
    "Retired",
    "add_top_ups",
    "carry",
    "plan",
    "preview",
    "retired_pairs",
]
