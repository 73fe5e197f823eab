"""The checklist: what must hold before a model is deployed, with thresholds from ``evaluation.checklist``.

What this package does not do: measure (it reads figures), or decide for the user: a threshold set to null is not looked at, and
that is told too.
"""

from groundtune.evaluation.checklist.judging import show_value
from groundtune.evaluation.checklist.listing import check
from groundtune.evaluation.checklist.records import Checklist, Item, MarksOf, Measured, Overall, State

__all__ = ["Checklist", "Item", "MarksOf", "Measured", "Overall", "State", "check", "show_value"]
