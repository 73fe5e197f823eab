"""Answers on record and their figures, with intervals: of systems and their differences, losses, search, raters' agreement.

What this package does not do: measure one answer (:mod:`groundtune.evaluation.measures`) or put figures into words.
"""
