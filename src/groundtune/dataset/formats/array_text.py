"""The text of a JSON array, read piece by piece, and where each of its elements ends.

What this module does not do: decode the elements.
"""

from __future__ import annotations

import codecs
import io
import re

from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, Malformed, Reason

_PIECE = 1 << 20
_NOT_BLANK = re.compile(r"[^ \t\r\n]")
_OUTSIDE = re.compile(r'["{}\[\],]')
_INSIDE = re.compile(r'["\\]')


class ArrayText:
    """A window on the text: `window` from `position` on is what has not been taken yet.

    Bytes that are not UTF-8 become lone surrogates (``surrogateescape``), so that only their row is lost.
    """

    def __init__(self, reader: io.BufferedReader) -> None:
        self.window = ""
        self.position = 0
        self.ended = False
        self._reader = reader
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("surrogateescape")

    def more(self) -> bool:
        """Lengthen the window; what is before `position` is let go. False at the end of the file."""
        if self.ended:
            return False
        piece = self._reader.read(_PIECE)
        self.ended = not piece
        self.window = self.window[self.position :] + self._decoder.decode(piece, final=self.ended)
        self.position = 0
        return not self.ended

    def skip_blanks(self) -> None:
        while True:
            found = _NOT_BLANK.search(self.window, self.position)
            if found:
                self.position = found.start()
                return
            self.position = len(self.window)
            if not self.more():
                return

    def next_character(self) -> str:
        """The one at `position`; empty at the end of the file."""
        return self.window[self.position : self.position + 1]

    def take(self, character: str) -> bool:
        """Pass over `character` if it is the next one."""
        if not self.window.startswith(character, self.position):
            return False
        self.position += 1
        return True

    def ahead(self) -> str:
        """A little of what comes, to be shown."""
        return self.window[self.position : self.position + 60]

    def element(self) -> str | None:
        """Take the text up to where brackets and quotes say the element ends; None when the file ends first.

        Raises:
            Malformed: for an element over the limit; it has been passed over.
        """
        scan, depth, quoted, over = self.position, 0, False, False
        while True:
            found = (_INSIDE if quoted else _OUTSIDE).search(self.window, scan)
            escaped = found is not None and found[0] == "\\"
            if found is None or (escaped and found.end() == len(self.window)):
                seen = len(self.window) if found is None else found.start()
                if over := over or seen - self.position > MAX_ROW_BYTES:
                    self.position = seen
                scan = seen - self.position
                if self.more():
                    continue
                if depth or quoted:
                    return None
                return self._taken(len(self.window), over)
            scan = found.end() + escaped
            if found[0] == '"':
                quoted = not quoted
            elif found[0] in "{[":
                depth += 1
            elif found[0] in "}]" and depth:
                depth -= 1
                if not depth:
                    return self._taken(found.end(), over)
            elif not quoted and not depth:
                # a comma or the bracket that closes the list, behind something that is not an object
                return self._taken(found.start(), over)

    def _taken(self, end: int, over: bool) -> str:
        text = self.window[self.position : end]
        # a bracket that closes nothing would otherwise be met again and again
        self.position = max(end, self.position + 1) if not text else end
        if over or len(text) > MAX_ROW_BYTES:
            raise Malformed(Reason.TOO_LARGE, "", f"over {MAX_ROW_BYTES:,} bytes")
        return text
