"""A keyless, deterministic writer of question-answer pairs: a rule-based stand-in for a real language model.

It reads the structure of passages (definitions, steps, tables, lists, code) in Turkish and English. It does not
understand them, and it does not paraphrase: its answers are sentences and rows of the text.
"""

from groundtune.llm.offline.writer import NAME, OfflineWriter

__all__ = ["NAME", "OfflineWriter"]
