"""Where in the documents a quote stands, to the line.

What this module does not do: read documents as passages (:mod:`groundtune.documents` does).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.errors import DataError
from groundtune.files import read_text
from groundtune.types import Chunk


@dataclass
class Documents:
    """The lines of the documents, each file read when it is first needed."""

    folder: Path | None
    """None where there are none."""
    _lines: dict[str, list[str]] = field(default_factory=dict, repr=False)

    def quoted_lines(self, quotes: Sequence[str], chunk: Chunk) -> tuple[int, int] | None:
        """From the first line quoted to the last one, 1-based and inclusive; None where there is no quote, or one stands in none of
        the chunk's lines as it is: it is from an included file, or the document has changed or is gone."""
        from groundtune.evaluation.errors import lines_of

        inside = "\n".join(self._lines_of(chunk.source)[chunk.line_start - 1 : chunk.line_end])
        found = [lines_of(quote, inside, chunk.line_start) for quote in quotes]
        known = [lines for lines in found if lines is not None]
        if not known or len(known) < len(found):
            return None
        return min(first for first, _ in known), max(last for _, last in known)

    def _lines_of(self, source: str) -> list[str]:
        if source not in self._lines:
            path = None if self.folder is None else self.folder / source
            try:
                text = read_text(path) if path is not None and path.is_file() else ""
            except DataError:
                # in another encoding than UTF-8: the lines of the chunk are told
                text = ""
            self._lines[source] = unicodedata.normalize("NFC", text).split("\n")
        return self._lines[source]
