"""A second opinion: what a template itself marks as generated (``{% generation %}``), against the turns that were found.

What this module does not do: find turns; most templates mark nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from groundtune.errors import TemplateError

if TYPE_CHECKING:
    from groundtune.chat.turns import Piece
    from groundtune.chat.writing import Transcript


def check_generation_marks(transcript: Transcript, examples: Sequence[Sequence[Piece]]) -> None:
    """Hold the trained pieces of `examples` against the template's own marks.

    Marks may take in the turn's opening where the generation prompt writes it already, may leave out the stop token and what
    the template writes in front of the answer, and white space counts for nothing. Anything else is a contradiction.

    Raises:
        TemplateError: the two contradict each other.
    """
    for pieces in examples:
        last = len(transcript.messages) - 1 if len(examples) == 1 else max(piece.turn for piece in pieces)
        marked = transcript.marked(last)
        if marked is None:
            return
        text, spans = marked
        begin = 0
        for piece in pieces:
            end = begin + len(piece.text)
            if piece.turn >= 0 and text[begin:end] == piece.text[: len(text) - begin]:
                _check_span(transcript, text, (begin, end), spans, piece.turn)
            begin = end


def _check_span(
    transcript: Transcript, text: str, turn: tuple[int, int], spans: Sequence[tuple[int, int]], index: int
) -> None:
    begin, end = turn
    over = [span for span in spans if span[0] < end and span[1] > begin]
    content = transcript.messages[index].content.strip()
    marked = "".join(text[max(first, begin) : min(last, end)] for first, last in over)
    behind = text[end : max((last for _, last in over), default=end)]
    behind = transcript.writer.control.pattern.sub("", behind)
    if content not in marked or behind.strip():
        raise TemplateError(
            f"message {index + 1} (assistant): the chat template marks {transcript.restore(marked + behind)[:60]!r} as generated, "
            f"but behind its own generation prompt stands {transcript.restore(text[begin:end])[:60]!r}; expected the two to agree, "
            "so mend the {% generation %} block"
        )
