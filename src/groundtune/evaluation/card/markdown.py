"""Markdown lines and tables out of text that others wrote."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def line(text: str) -> str:
    """On one line, and no mark-up that others wrote."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + " --- |" * len(head)]
    return lines + ["| " + " | ".join(line(cell) for cell in row) + " |" for row in rows]
