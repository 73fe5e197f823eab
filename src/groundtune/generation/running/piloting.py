"""A few groups through one model, for the comparison of several: each group is asked whole, whatever the ledger holds of it.

What this module does not do: compare (:mod:`groundtune.generation.pilot` does).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from groundtune.errors import GenerationError
from groundtune.generation.planning import Job, Plan
from groundtune.generation.running.asking import Ask
from groundtune.generation.running.collecting import Collector
from groundtune.generation.running.replaying import Replay
from groundtune.generation.running.requesting import Asking, first_request, pending_jobs, tags_of
from groundtune.generation.running.sending import Conversation
from groundtune.generation.running.sessions import Session, group_conversation
from groundtune.generation.statistics import GroupOutcome
from groundtune.llm import Ledger
from groundtune.types import Language

_SECONDS = "seconds"
"""Notes: key of a group's request -> how long its conversation took when it was asked."""


def ask_model(
    asking: Asking, ledger: Path, languages: Sequence[Language], tell: Callable[[str], None] = lambda _: None
) -> list[GroupOutcome]:
    """What became of each group of `asking`; `tell` hears what a server is like, such as that its costs are estimated.

    Raises:
        GenerationError: the model could not be asked about all of them; what was answered is in the ledger.
    """
    with Ledger(ledger) as book:
        plan = _whole(asking)
        session = Session(book, asking.config, seed=asking.seed, wait=False)
        pending, replay = list(pending_jobs(plan, book)), Replay(book)
        sent = session.send(
            asking.model,
            [
                _timed(group_conversation(partial(first_request, job, replay), tags_of(job)), job, book)
                for job in pending
            ],
            done=len(plan.jobs) - len(pending),
            unit="groups",
        )
        for note in session.notes:
            tell(f"note: {note}")
        collector = Collector(book, config=asking.config, languages=languages, writer=session.writer)
        collected = collector.collect(plan)
        if sent.cause is not None and collected.unanswered:
            raise GenerationError(
                f"{asking.model}: {collected.unanswered} of {len(plan.jobs)} groups have no answer ({sent.cause}); everything answered "
                "is kept: run the same command again"
            )
        seconds = dict(book.notes(_SECONDS))
        return [
            replace(outcome, seconds=seconds.get(job.key))
            for outcome, job in zip(collected.outcomes, plan.jobs, strict=True)
        ]


def _whole(asking: Asking) -> Plan:
    """Every group by itself: a pilot compares models, and must not depend on what one of them was asked before."""
    jobs = []
    for group in asking.groups:
        chunks = tuple(asking.chunks[chunk_id] for chunk_id in group.chunk_ids)
        key = asking.request(group, chunks, None).key
        jobs.append(Job("whole", group, chunks, key, key, None, (), asking.request))
    return Plan("pilot", tuple(jobs), (), {})


def _timed(conversation: Conversation, job: Job, book: Ledger) -> Conversation:
    async def work(ask: Ask) -> object:
        began = time.monotonic()
        found = await conversation(ask)
        book.note(_SECONDS, job.key, round(time.monotonic() - began, 3))
        return found

    return work
