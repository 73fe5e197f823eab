"""A rater's way through the questions, key by key: what each key does, and what is asked next.

It stores a rating through the function it is given, before it goes on. What this module does not do: read keys
(:mod:`groundtune.cli.rating_session`) or draw (:mod:`groundtune.cli.rating_screen`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from groundtune.evaluation.figures.marks import CRITERIA
from groundtune.evaluation.people.items import Item
from groundtune.evaluation.people.ratings import BEST, WORST, Preferred, Rating

Told = Literal["", "expected a mark", "expected a preference", "nothing to undo", "skipped", "rated", "undone"]
"""What a key did, where a rater should be told."""

PREFERENCES: dict[str, Preferred] = {"a": "a", "b": "b", "t": "tie"}


class Session:
    """Where a rater stands: `item` is what is asked, None when every question is rated or skipped; `left` when the rater has
    gone.

    Args:
        items: all questions of this rater, in order.
        rated: the rater's earlier ratings of them, oldest first; their questions are not asked again.
        store: puts a rating on the disk.
        reference_shown: whether the right answer is in sight from the beginning.
    """

    def __init__(
        self,
        rater: str,
        items: Sequence[Item],
        rated: Sequence[Rating],
        store: Callable[[Rating], None],
        *,
        reference_shown: bool = False,
    ) -> None:
        self.rater = rater
        self.items = items
        self.rated_now = 0
        self.passages_shown = False
        self.help_shown = False
        self.left = False
        self._store = store
        self._always_reference = reference_shown
        self._ratings = {rating.subject: rating for rating in rated}
        # who has seen the right answer to a question has seen it, whatever is taken back or comes between
        self._seen = {(rating.source, rating.question_id) for rating in rated if rating.reference_shown}
        by_subject = {item.subject(rater): item for item in items}
        # what undo goes back through
        self._path = [by_subject[rating.subject] for rating in rated if rating.subject in by_subject]
        self._skipped: list[Item] = []
        self._begin()

    def _begin(self) -> None:
        """The next question that is neither rated nor skipped."""
        waiting = (item for item in self.items if not self._is_rated(item) and item not in self._skipped)
        self._turn_to(next(waiting, None))

    def _turn_to(self, item: Item | None) -> None:
        self.item = item
        self.marks: list[int] = []
        self.passages_shown = self.help_shown = False
        self.reference_shown = self._always_reference

    @property
    def rated(self) -> int:
        """Questions rated, today and before."""
        return sum(self._is_rated(item) for item in self.items)

    @property
    def skipped(self) -> int:
        return len(self._skipped)

    @property
    def number(self) -> int:
        """Of the question that is asked, among all; from 1."""
        return self.items.index(self.item) + 1 if self.item is not None else len(self.items)

    @property
    def wanted_marks(self) -> int:
        """Four where both answers are the same, which are marked once; otherwise eight."""
        return len(CRITERIA) * (1 if self.item is not None and self.item.same else 2)

    @property
    def asked(self) -> tuple[Literal["a", "b"], str] | None:
        """The answer and the criterion whose mark is due; None when only the preference is."""
        given = len(self.marks)
        if given >= self.wanted_marks:
            return None
        return ("a" if given < len(CRITERIA) else "b"), CRITERIA[given % len(CRITERIA)]

    def press(self, key: str) -> Told:
        """One key, of any case; what it did."""
        key = key.lower()
        if self.item is None:
            # the last one can still be taken back
            return self._undo() if key == "u" else self._leave()
        if self.help_shown:
            self.help_shown = False
            return ""
        if key == "q":
            return self._leave()
        if key == "?":
            self.help_shown = True
        elif key == "p":
            self.passages_shown = not self.passages_shown
        elif key == "r":
            self.reference_shown = not self.reference_shown
            self._seen.add((self.item.source, self.item.question_id))
        elif key == "s":
            return self._skip()
        elif key == "u":
            return self._undo()
        elif self.asked is not None:
            return self._mark(key)
        else:
            return self._prefer(key)
        return ""

    def _leave(self) -> Told:
        self.left = True
        return ""

    def _mark(self, key: str) -> Told:
        if key not in tuple(str(mark) for mark in range(WORST, BEST + 1)):
            return "expected a mark"
        self.marks.append(int(key))
        if self.item is not None and self.item.same and len(self.marks) == self.wanted_marks:
            return self._finish("tie")
        return ""

    def _prefer(self, key: str) -> Told:
        return self._finish(PREFERENCES[key]) if key in PREFERENCES else "expected a preference"

    def _finish(self, preferred: Preferred) -> Told:
        item = self.item
        assert item is not None
        first, second = (dict(zip(CRITERIA, self.marks[start:], strict=False)) for start in (0, -len(CRITERIA)))
        seen = self._always_reference or (item.source, item.question_id) in self._seen
        shown = seen and bool(item.reference)
        rating = item.rated(self.rater, (first, second), preferred, reference_shown=shown)
        self._store(rating)
        self._ratings[rating.subject] = rating
        self._path.append(item)
        self.rated_now += 1
        self._begin()
        return "rated"

    def _skip(self) -> Told:
        assert self.item is not None
        self._skipped.append(self.item)
        self._path.append(self.item)
        self._begin()
        return "skipped"

    def _undo(self) -> Told:
        """The last mark; at the beginning of a question, the question before it."""
        if self.marks:
            self.marks.pop()
            return "undone"
        if not self._path:
            return "nothing to undo"
        item = self._path.pop()
        if item in self._skipped:
            self._skipped.remove(item)
        else:
            self._withdraw(item)
        self._turn_to(item)
        return "undone"

    def _withdraw(self, item: Item) -> None:
        rating = self._ratings.pop(item.subject(self.rater))
        self._store(replace(rating, withdrawn=True))
        self.rated_now = max(0, self.rated_now - 1)

    def _is_rated(self, item: Item) -> bool:
        return item.subject(self.rater) in self._ratings
