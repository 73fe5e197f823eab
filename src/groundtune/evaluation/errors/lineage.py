"""Where a question and its answer come from: the words that the pipeline fills in from its files.

Every place is relative (``dataset/train.jsonl:12`` to the work folder, ``stok/depo.md:12-20`` to the documents folder), so that it
says the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from groundtune.types import OMIT_DEFAULT

Nearness = Literal["same evidence", "neighbour of the evidence", "question alike"]
"""Why a training row is named: it rests on an evidence chunk of the question, on the chunk before or after one, or asks alike."""


def lines_of(quote: str, text: str, first: int) -> tuple[int, int] | None:
    """The lines that `quote` stands in, 1-based and inclusive, in a `text` that begins on line `first`; None where it does not.

    >>> lines_of("b", "# a\\n\\nb c", 10), lines_of("d", "# a\\n\\nb c", 10)
    ((12, 12), None)
    """
    at = text.find(quote)
    if at < 0:
        return None
    line = first + text.count("\n", 0, at)
    return line, line + quote.count("\n")


@dataclass(frozen=True, slots=True)
class EvidencePlace:
    """A chunk that holds the answer, and the lines of the document it was made from."""

    chunk_id: str
    source: str
    """Relative to the documents folder."""
    line_start: int
    line_end: int
    section: str
    """Headings down to it, ``Stok > Lot Takibi``."""
    quotes: tuple[str, ...]
    """What the pair quotes from it, letter by letter."""
    in_prompt: bool
    rank: int | None
    """Place among the chunks that search found, from 1; None: not among them."""

    quoted_lines: tuple[int, int] | None = field(default=None, metadata=OMIT_DEFAULT)
    """First and last line of the document that the quotes stand in; None where they were not found in its lines."""

    @property
    def place(self) -> str:
        """Of the lines quoted where they are known, else of the chunk.

        >>> from dataclasses import replace
        >>> place = EvidencePlace("c", "a.md", 3, 9, "", (), True, None)
        >>> place.place, replace(place, quoted_lines=(5, 5)).place
        ('a.md:3-9', 'a.md:5')
        """
        first, last = self.quoted_lines or (self.line_start, self.line_end)
        return f"{self.source}:{first}-{last}" if first != last else f"{self.source}:{first}"


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The request that the pair was handed in for. The prompt itself: ``groundtune trace QUESTION_ID --prompt``."""

    key: str
    model: str
    """That was asked for."""
    answered_by: str
    """As the provider named itself."""
    purpose: str
    """``pairs``, ``top-up``, ``rest``, ``repair`` or ``false premise``."""
    group: str
    """Id of the group at the time."""
    prompt_version: str
    """sha256 of the instructions, the same for all requests under the same prompt texts."""


@dataclass(frozen=True, slots=True)
class TrainingRow:
    """A training example that is near to the question."""

    example_id: str
    place: str
    """``dataset/train.jsonl:12``."""
    near: Nearness
    question: str
    answer: str
    evidence_chunk_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lineage:
    """The way back from a question."""

    pair_id: str
    """Empty for a question of one's own file."""
    writer: str
    group_id: str
    place: str
    """Of the question: ``dataset/test.jsonl:7``; empty where it stands in no split."""
    ledger: LedgerEntry | None
    """None for a question that no writer handed in, or whose entry is gone."""
    evidence: tuple[EvidencePlace, ...]
    training_rows: tuple[TrainingRow, ...]
