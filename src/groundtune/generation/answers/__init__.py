"""A writer's raw answer: the shape that is asked for, and what was in fact written read back into pairs handed in.

What this package does not do: compare pairs with passages (:mod:`groundtune.generation.verification`).
"""
