"""What is asked of whom: questions of the test split or of a file, which of them, and the systems that answer.

What this package does not do: load models or generate; measure answers (:mod:`groundtune.evaluation.measures`).
"""
