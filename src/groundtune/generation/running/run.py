"""Ask a model about every group, keep each answer in the ledger, check it, and hand on what passed.

Nothing is decided by what was seen while asking: when all is answered, the pairs are read out of the ledger anew, so a run that
was stopped, killed and continued gives the pairs of an unbroken one. What this module does not do: write files, or decide what
is stale.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import fsum
from pathlib import Path

from groundtune.config import GenerationConfig, PromptConfig, RunOptions
from groundtune.errors import GenerationError
from groundtune.generation.coverage import Coverage, coverage, uncovered_focus
from groundtune.generation.planning import Focus, Plan, Retired, add_top_ups, preview, retired_pairs
from groundtune.generation.prompts import prompt_hash
from groundtune.generation.running.asking import pairs_asked_for
from groundtune.generation.running.asking_premises import Premises, ask_premises
from groundtune.generation.running.collecting import Collected, Collector
from groundtune.generation.running.judging_pairs import Judged, judge_pairs
from groundtune.generation.running.replaying import Replay
from groundtune.generation.running.requesting import RULE_NOT_ASKED, Asking, first_request, pending_jobs, tags_of
from groundtune.generation.running.sending import Sent
from groundtune.generation.running.sessions import Session, group_conversation
from groundtune.generation.running.unfinished import NOT_JUDGED, PART_NOT_YET, PREMISES_NOT_YET, Begun
from groundtune.generation.statistics import RunRecord, summarise
from groundtune.generation.unanswerable.near_misses import Nearest, make_unanswerable
from groundtune.generation.verification import Rejection, drop_repeated
from groundtune.llm import AccountFailure, Ledger, LLMClient
from groundtune.types import Chunk, Group, Language, Pair, StageResult

TOLD_REFUSALS = 3
"""Kinds of refusals that are quoted, the most frequent first; the ledger has all."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The pairs, in the order of their groups, unanswerable ones last, and everything that is told about them."""

    pairs: list[Pair]
    rejections: list[Rejection]
    retired: list[Retired]
    coverage: Coverage
    result: StageResult
    record: RunRecord
    """What differs between runs that give the same pairs."""

    @property
    def asked(self) -> int:
        return self.record.groups_asked

    @property
    def reused(self) -> int:
        return self.record.groups_reused


def generate(
    groups: Sequence[Group],
    chunks: Sequence[Chunk],
    *,
    config: GenerationConfig,
    prompts: Mapping[Language, PromptConfig],
    ledger: Path,
    nearest: Nearest,
    seed: int,
    client: LLMClient | None = None,
    prompts_folder: Path | None = None,
    options: RunOptions | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> Generated:
    """Write pairs for `groups`. Stopped at any moment and called again, it goes on where it was.

    Args:
        groups: those whose rule is not in `config.rules` are left out and counted.
        prompts: give the refusals, and the languages to tell apart.
        ledger: SQLite file, made when missing.
        nearest: neighbours of a chunk, for the near-misses.
        client: asked in place of the one that `config` names.
        prompts_folder: prompt files of the user's own.
        tell: takes sentences for people: what a changed set of documents asks and keeps, what a server is like.

    Raises:
        DataError: a group names a chunk or language that is not there, or the ledger cannot be read.
        StorageError: the ledger cannot be written.
        GenerationError: groups are without an answer, and `config.allow_incomplete` is off; what was answered is in the ledger.
        BatchesOutError: batches are with the provider.
        KeyboardInterrupt: the user stopped it.
    """
    asking = Asking.of(
        groups,
        chunks,
        config=config,
        prompts=prompts,
        prompts_folder=prompts_folder,
        model=client.model if client is not None else None,
        seed=seed,
    )
    with Ledger(ledger) as book:
        run = _Run(book, asking, prompts, options or RunOptions(), client, tell)
        try:
            return run.finish(chunks, nearest)
        finally:
            # also when batches are out or the budget is reached
            for note in run.session.notes:
                tell(f"note: {note}")


@dataclass
class _Run:
    """One run over one ledger."""

    book: Ledger
    asking: Asking
    prompts: Mapping[Language, PromptConfig]
    options: RunOptions
    client: LLMClient | None
    tell: Callable[[str], None]
    started: float = field(default_factory=time.monotonic)
    asked: set[str] = field(default_factory=set)
    """Groups that were sent something about now."""

    def __post_init__(self) -> None:
        self.session = Session(
            self.book,
            self.asking.config,
            seed=self.asking.seed,
            wait=self.options.wait,
            give_up_unknown=self.options.retry_failed,
            client=self.client,
        )

    def finish(self, chunks: Sequence[Chunk], nearest: Nearest) -> Generated:
        config, asking = self.asking.config, self.asking
        self.session.collect_batches()
        plan = asking.plan(self.book)
        self._tell_changes(plan)
        begun = Begun(self.book, plan)
        if self.options.retry_failed and not begun.retry:
            self._take_up_failed(plan)
            begun.begin_retry()
        sent, collected = self._ask_groups(plan)
        if self.options.top_up and not begun.top_up and not collected.unanswered:
            begun.begin_top_up()
            plan = self._top_up(plan, collected, chunks)
            sent, collected = self._ask_groups(plan)
        self._check_complete(sent, collected)
        if self.options.top_up and collected.unanswered:
            self.session.note("nothing was topped up: a top-up comes when all groups are answered")
        for reason, count in collected.refusals.most_common(TOLD_REFUSALS):
            self.session.note(f"{count} groups: {reason}; --retry-failed asks again")
        pairs, repeated = drop_repeated(collected.pairs, similarity=config.near_duplicate_similarity)
        judged = self._judge(pairs)
        premises = self._false_premises(judged.pairs)
        later = [*repeated, *judged.rejections]
        undone = {
            RULE_NOT_ASKED: asking.not_asked,
            PART_NOT_YET: collected.in_part,
            NOT_JUDGED: judged.missing,
            PREMISES_NOT_YET: premises.missing,
        }
        skips = Counter({reason: count for reason, count in undone.items() if count}) + premises.failures
        skips.update(collected.partial_failures)
        refused, passed = make_unanswerable(
            judged.pairs, asking.chunks, config=config, prompts=self.prompts, nearest=nearest, seed=asking.seed
        )
        skips.update(passed)
        skips.update(each.reason.value for each in premises.rejections)
        found = [*judged.pairs, *refused, *premises.pairs]
        covered = coverage(chunks, found)
        result = summarise(
            collected.outcomes,
            found,
            covered,
            skips=skips,
            repeated=Counter(each.reason.value for each in later),
            requested=sum(pairs_asked_for(job.request()) for job in plan.jobs if job.key),
            writer=self.session.writer,
            beside=self._dollars_beside({"judge": judged.answers, "false premises": premises.answers}),
        )
        result = replace(result, details={**result.details, "prompts_sha256": self._note_prompts()})
        rejections = [*collected.rejections, *later, *premises.rejections]
        retired = list(retired_pairs(plan, Replay(self.book).items))
        if not collected.unanswered:
            begun.end()
        return Generated(found, rejections, retired, covered, result, self._record(collected))

    def _dollars_beside(self, answers: Mapping[str, Collection[str]]) -> dict[str, float]:
        known = self.book.dollars() if any(answers.values()) else {}
        sums = {name: fsum(known.get(key) or 0.0 for key in keys) for name, keys in answers.items()}
        return {name: dollars for name, dollars in sums.items() if dollars}

    def _note_prompts(self) -> str:
        """The version of the prompts, which the ledger keeps beside the texts themselves."""
        texts = self.asking.texts
        version = prompt_hash(texts)
        self.book.note("prompts", version, {"profile": self.asking.config.profile, "languages": sorted(texts)})
        return version

    def _tell_changes(self, plan: Plan) -> None:
        """What a changed set of documents means, before anything is sent."""
        answered = self.book.states().keys() | self.book.failures().keys()
        if not any(job.carried for job in plan.jobs) and not plan.unused:
            return
        seen = preview(plan, Replay(self.book).items, answered)
        if seen.changed or seen.new or seen.gone or seen.pairs_retired:
            self.tell(
                f"the documents changed: {seen.unchanged} groups are as they were, {seen.kept + seen.changed} changed, {seen.new} are "
                f"new, {seen.gone} are gone; {seen.pairs_kept} earlier pairs are kept, {seen.pairs_retired} retired, and "
                f"{seen.passages} passages asked about (what that costs: groundtune generate --estimate)"
            )

    # asking

    def _ask_groups(self, plan: Plan) -> tuple[Sent, Collected]:
        pending = list(pending_jobs(plan, self.book))
        replay = Replay(self.book)
        self.asked |= {job.group.group_id for job in pending}
        total = sum(1 for job in plan.jobs if job.key)
        sent = self.session.send(
            "writing pairs",
            [group_conversation(partial(first_request, job, replay), tags_of(job)) for job in pending],
            done=total - len(pending),
            unit="groups",
        )
        collector = Collector(
            self.book, config=self.asking.config, languages=tuple(self.prompts), writer=self.session.writer
        )
        return sent, collector.collect(plan)

    def _take_up_failed(self, plan: Plan) -> None:
        replay = Replay(self.book)
        for job in plan.jobs:
            found = replay.conversation(job.request()) if job.key else None
            if found is not None and found.failure:
                replay.take_up_again(job.request())
        self.book.forget_failures()

    def _top_up(self, plan: Plan, collected: Collected, chunks: Sequence[Chunk]) -> Plan:
        groups = {group.group_id: group for group in self.asking.groups}
        covered = coverage(chunks, collected.pairs)
        top_ups = uncovered_focus(covered, list(groups.values()), chunks)
        wanted = [(groups[each.group_id], Focus(each.focus, each.quotes)) for each in top_ups]
        return add_top_ups(plan, wanted, self.book)

    def _judge(self, pairs: Sequence[Pair]) -> Judged:
        judge = self.asking.config.judge
        if judge is None:
            return Judged(list(pairs))
        judged = judge_pairs(
            pairs, self.asking.chunks, judge, self.book, self.session.judge(), texts=self.asking.judge_texts
        )
        if judged.missing:
            self._leave_out(f"{judged.missing} of {len(pairs)} pairs are not judged yet", judged.cause)
        return judged

    def _false_premises(self, pairs: Sequence[Pair]) -> Premises:
        session = self.session
        premises = ask_premises(
            self.asking,
            pairs,
            self.book,
            lambda conversations, done: session.send("writing false premises", conversations, done=done, unit="groups"),
            prompts=self.prompts,
            writer=session.writer,
        )
        if premises.missing:
            self._leave_out(f"{premises.missing} of {premises.asked} groups have no false premises yet", premises.cause)
        return premises

    def _leave_out(self, what: str, cause: Exception | None) -> None:
        """Stop, or go on without it and say why."""
        said = f"{what}{_because(cause)}"
        if not self.asking.config.allow_incomplete:
            raise GenerationError(
                f"{said}; everything answered is kept: run the same command again, or set generation.allow_incomplete: true to go on "
                "with the pairs there are"
            )
        self.session.note(f"{said}; the run goes on without, as generation.allow_incomplete says")

    def _check_complete(self, sent: Sent, collected: Collected) -> None:
        if not collected.unanswered:
            return
        if isinstance(sent.cause, AccountFailure) and not self.asking.config.allow_incomplete:
            answered = len(collected.outcomes) - collected.unanswered
            raise AccountFailure(
                f"{sent.cause}. {answered} of {len(collected.outcomes)} groups are answered and kept; the same command goes on"
            )
        self._leave_out(f"{collected.unanswered} of {len(collected.outcomes)} groups have no answer yet", sent.cause)

    def _record(self, collected: Collected) -> RunRecord:
        spending = self.book.spending
        asked = [each for each in collected.outcomes if each.group.group_id in self.asked]
        priced = self.session.priced
        return RunRecord(
            seconds=round(time.monotonic() - self.started, 3),
            groups_asked=len(asked),
            groups_reused=len(collected.outcomes) - len(asked),
            groups_unanswered=collected.unanswered,
            pairs=sum(len(each.pairs) for each in asked),
            requests=self.session.requests,
            tries_again=dict(sorted(self.session.tries_again.items())),
            dollars=round(spending.answered - self.session.spent_before, 6) if priced else None,
            spent_dollars=round(spending.answered, 6) if priced else None,
            lost_dollars=round(spending.lost, 6) if priced else None,
        )


def _because(cause: Exception | None) -> str:
    return f" ({cause})" if cause is not None else ""
