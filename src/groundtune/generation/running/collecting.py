"""Raw answers in the ledger to checked pairs, group by group: the same pairs for the same answers, whenever they came.

What this module does not do: ask for anything, or compare pairs of different groups.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from groundtune.config import GenerationConfig
from groundtune.generation.planning import Job, Plan, carry
from groundtune.generation.running.asking import REFUSED, Conversation
from groundtune.generation.running.replaying import Replay
from groundtune.generation.statistics import GroupOutcome, Usage
from groundtune.generation.verification import Rejection, check_pairs
from groundtune.llm import Ledger
from groundtune.types import Language, Pair

NOT_YET = "not answered yet"


@dataclass(slots=True)
class Collected:
    """What all groups came to; `outcomes` in their order, one each."""

    outcomes: list[GroupOutcome] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    unanswered: int = 0
    """Groups with a conversation that lacks an answer."""
    in_part: int = 0
    """Those among them that have pairs to show all the same."""
    refusals: Counter[str] = field(default_factory=Counter)
    """What providers said of conversations that ended in a refused request."""
    partial_failures: Counter[str] = field(default_factory=Counter)
    """Why groups that have pairs to show have not all of them, by reason."""

    @property
    def pairs(self) -> list[Pair]:
        """Accepted, in the order of groups."""
        return [pair for outcome in self.outcomes for pair in outcome.pairs]


class Collector:
    """Reads the groups of a plan."""

    def __init__(self, book: Ledger, *, config: GenerationConfig, languages: Sequence[Language], writer: str) -> None:
        self._replay = Replay(book)
        self._dollars = book.dollars()
        self._config = config
        self._languages = tuple(languages)
        self._writer = writer
        self._counted: set[str] = set()
        """Answers that stand in some group's usage: one that two groups share is paid for once."""

    def collect(self, plan: Plan) -> Collected:
        found = Collected()
        for _, jobs in groupby(plan.jobs, key=lambda job: job.group.group_id):
            self._collect_group(list(jobs), found)
        return found

    def _collect_group(self, jobs: Sequence[Job], found: Collected) -> None:
        group, chunks = jobs[0].group, jobs[0].chunks
        conversations = [self._replay.conversation(job.request()) for job in jobs if job.key]
        answered = [conversation for conversation in conversations if conversation is not None]
        items = [*self._carried(jobs), *(pair for each in answered for pair in items_of(each))]
        pairs, rejections = check_pairs(
            items, group, chunks, config=self._config, languages=self._languages, writer=self._writer
        )
        found.rejections += rejections
        reasons = Counter(each.reason.value for each in rejections)
        failures = [each.failure for each in answered if each.failure]
        missing = len(answered) < len(conversations)
        found.unanswered += missing
        found.refusals.update(each.detail for each in answered if each.failure == REFUSED)
        if items:
            found.in_part += missing
            found.partial_failures.update(f"part of a group: {failure}" for failure in failures)
        unanswered = NOT_YET if missing else next(iter(failures), "")
        found.outcomes.append(
            GroupOutcome(
                group,
                tuple(pairs),
                dict(sorted(reasons.items())),
                self._usage(answered),
                # a group of which some answer is there has pairs to show, and is counted by them
                unanswered=unanswered if not items else "",
            )
        )

    def _carried(self, jobs: Sequence[Job]) -> Iterator[Any]:
        """What earlier answers about the group hold that still stands."""
        for job in jobs:
            for answer in job.carried:
                kept, _ = carry(answer, self._replay.items(answer.key), len(job.chunks))
                yield from kept

    def _usage(self, conversations: Iterable[Conversation]) -> Usage:
        answers = []
        again = rests = 0
        for conversation in conversations:
            before = None
            for turn in conversation.turns:
                key = turn.request.key
                if key not in self._counted:
                    self._counted.add(key)
                    answers.append((turn.response, self._dollars.get(key)))
                    again += before == "malformed"
                    rests += before == "truncated"
                before = turn.parsed.state
        return Usage.of(answers, asked_again=again, asked_for_rest=rests)


def items_of(conversation: Conversation) -> list[dict[str, Any]]:
    """The pairs of its readable answers, as handed in."""
    return [pair for turn in conversation.readable for pair in turn.parsed.pairs]
