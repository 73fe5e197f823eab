"""What a run did not get to, in the words of its result; and what one that was left had begun over and above its plan.

Both are there for the next run: it goes on where something is undone, and does not begin a second time what was begun.
What this module does not do: ask anything.
"""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.generation.planning import Plan
from groundtune.generation.running.collecting import NOT_YET
from groundtune.llm import Ledger

PART_NOT_YET = "part of a group not answered yet"
PREMISES_NOT_YET = "false premises of a group not answered yet"
NOT_JUDGED = "pair was not judged yet"
_UNDONE = frozenset({NOT_YET, PART_NOT_YET, PREMISES_NOT_YET, NOT_JUDGED})

_BEGUN = "begun"
_RETRY = "retry of failures"
_TOP_UP = "top-up"


def is_undone(skips: Mapping[str, int]) -> bool:
    """Whether the same command has something left to ask.

    >>> is_undone({"not answered yet": 2}), is_undone({"question repeated in its group": 2})
    (True, False)
    """
    return not _UNDONE.isdisjoint(skips)


class Begun:
    """Notes of the ledger about a top-up or a retry that a run was left in: the same command finishes it, and asks for no other."""

    def __init__(self, book: Ledger, plan: Plan) -> None:
        self._book = book
        self._plan = plan

    @property
    def retry(self) -> bool:
        """Whether failures of this plan were taken up by a run that has not ended."""
        return self._noted(_RETRY) == {"plan": self._plan.name}

    def begin_retry(self) -> None:
        """Called when all of them are taken up: each is taken up once, so a run killed before that does the rest."""
        self._book.note(_BEGUN, _RETRY, {"plan": self._plan.name})

    @property
    def top_up(self) -> bool:
        """Whether this plan was topped up by a run that has not ended."""
        noted = self._noted(_TOP_UP)
        return noted.get("plan") == self._plan.name and noted.get("before") != self._top_ups

    def begin_top_up(self) -> None:
        """Called before it is decided: a run killed before that decides the same again."""
        self._book.note(_BEGUN, _TOP_UP, {"plan": self._plan.name, "before": self._top_ups})

    def end(self) -> None:
        """Everything is answered."""
        for name, _ in list(self._book.notes(_BEGUN)):
            self._book.forget_note(_BEGUN, name)

    @property
    def _top_ups(self) -> int:
        return sum(job.kind == "top_up" for job in self._plan.jobs)

    def _noted(self, name: str) -> dict[str, object]:
        found = dict(self._book.notes(_BEGUN)).get(name)
        return found if isinstance(found, dict) else {}
