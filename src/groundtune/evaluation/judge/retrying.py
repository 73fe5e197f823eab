"""Verdicts that the judge did not give, taken up again when the user says so: notes of the ledger, which outlive a killed run.

What this module does not do: decide which verdicts are missing, or ask.
"""

from __future__ import annotations

from groundtune.llm import Ledger

_TAKEN_UP = "retry"
"""Kind of the notes: key of a first request to how often it was taken up again."""

_BEGUN = "begun"


class Retries:
    """How often each verdict was taken up, and whether a run that did so has ended."""

    def __init__(self, book: Ledger) -> None:
        self._book = book
        self._taken_up: dict[str, int] = dict(book.notes(_TAKEN_UP))

    def rounds(self, key: str) -> int:
        """Of asking for the verdict whose first request has this key."""
        return 1 + self._taken_up.get(key, 0)

    def take_up(self, key: str) -> None:
        """Let the judge, who has answered, be asked as if for the first time."""
        self._taken_up[key] = self.rounds(key)
        self._book.note(_TAKEN_UP, key, self._taken_up[key])

    @property
    def begun(self) -> bool:
        """Whether a run took verdicts up and has not ended: the same command finishes it, and takes none up a second time."""
        return any(name == _TAKEN_UP for name, _ in self._book.notes(_BEGUN))

    def begin(self) -> None:
        """Called when all are taken up: a run that was killed before that takes up the rest. What a provider refused is sent
        again as it is."""
        self._book.forget_failures()
        self._book.note(_BEGUN, _TAKEN_UP, True)

    def end(self) -> None:
        """Everything is answered or refused anew."""
        self._book.forget_note(_BEGUN, _TAKEN_UP)
