"""A run: conversations with models, sent at once or in batches, replayed out of the ledger, collected into checked pairs.

What this package does not do: decide what a pair must hold (:mod:`groundtune.generation.verification`), word requests
(:mod:`groundtune.generation.prompts`) or know providers (:mod:`groundtune.llm`).
"""
