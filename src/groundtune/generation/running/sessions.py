"""One run's dealings with models: which way requests go, what the live line says, and what it all came to.

What this module does not do: decide what is asked, or read pairs.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from groundtune.config import GenerationConfig, WriterConfig
from groundtune.errors import ConfigError
from groundtune.generation.answers.parsing import classify
from groundtune.generation.batches import BatchService, Notice, collect_batches, told
from groundtune.generation.batches.outbox import batches_out
from groundtune.generation.judging import classify_verdict
from groundtune.generation.running.asking import Ask, converse, pairs_asked_for
from groundtune.generation.running.asking import Conversation as Finished
from groundtune.generation.running.sending import (
    BatchesOutError,
    BatchSender,
    Conversation,
    LazyClient,
    LiveSender,
    Sender,
    Sent,
    named,
)
from groundtune.generation.statistics import format_dollars
from groundtune.llm import AnswerState, Ledger, LLMClient, LLMRequest, LLMResponse, writer_name
from groundtune.llm.dispatch import Event
from groundtune.llm.prices import missing_price, price_for
from groundtune.llm.providers import batch_client
from groundtune.progress import ProgressBar
from groundtune.types import Group


def group_conversation(first: LLMRequest | Callable[[], LLMRequest], tags: Mapping[str, str]) -> Conversation:
    """The conversation about a group's pairs.

    Args:
        first: its first request, or what makes it when its turn comes: ten thousand requests are 130 MB.
    """

    async def work(ask: Ask) -> Finished:
        request = first() if callable(first) else first
        return await converse(request, ask, tags=tags, num_pairs=pairs_asked_for(request))

    return work


def premise_conversation(first: LLMRequest, group: Group) -> Conversation:
    return group_conversation(
        first,
        {"purpose": "false premise", "rule": group.rule.value, "language": group.language, "group": group.group_id},
    )


class Session:
    """What a run has sent so far, and how it sends."""

    def __init__(
        self,
        book: Ledger,
        config: GenerationConfig,
        *,
        seed: int,
        wait: bool,
        give_up_unknown: bool = False,
        client: LLMClient | None = None,
    ) -> None:
        self._book = book
        self._config = config
        self._seed = seed
        self._wait = wait
        self._give_up_unknown = give_up_unknown
        self._client = LazyClient(config, client)
        self.writer = self._client.writer
        self.requests = 0
        self.tries_again: Counter[str] = Counter()
        self._notes: dict[str, None] = {}
        self._before = len(book)
        self._check_prices()
        self.spent_before = book.spending.answered
        paid = [each for each in (config, config.judge) if each is not None and each.provider != "offline"]
        self.priced = any(price_for(each) is not None for each in paid)

    def _check_prices(self) -> None:
        """Before anything is paid for: pairs that cannot be judged within a budget are pairs in vain."""
        writers: tuple[tuple[WriterConfig | None, str], ...] = (
            (self._config, "generation"),
            (self._config.judge, "generation.judge"),
        )
        for writer, section in writers:
            if writer is not None and self._config.budget_dollars is not None and price_for(writer) is None:
                raise ConfigError(missing_price(writer, section))

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know, each said once."""
        return tuple(self._notes)

    def note(self, sentence: str) -> None:
        self._notes.setdefault(sentence)

    def collect_batches(self) -> None:
        """Record what came back since the last run, also when batches are not used any more."""
        self._note_others()
        if not batches_out(self._book) or self._config.provider == "offline":
            return

        async def collect() -> None:
            client = batch_client(self._config)
            try:
                service = BatchService(
                    self._book,
                    client,
                    price=price_for(self._config),
                    max_output_tokens=self._config.max_output_tokens,
                    classify=classify_by_purpose,
                    give_up_unknown=self._give_up_unknown,
                    on_notice=self._hear,
                )
                await collect_batches(service)
            finally:
                await client.close()

        asyncio.run(collect())
        self.requests += len(self._book) - self._before

    def _hear(self, notice: Notice) -> None:
        if said := told(notice):
            self.note(said)

    def _note_others(self) -> None:
        """Batches that nothing asks for since the configuration names another model hold their money, and nobody looks for them."""
        configured = (self._config, self._config.judge)
        own = {writer_name(each) for each in configured if each is not None}
        for batch in batches_out(self._book):
            if batch.writer not in own:
                self.note(
                    f"batch {batch.batch_id or 'not confirmed yet'} of {batch.writer} with {len(batch.reservations)} requests is out; "
                    "it is collected when the configuration names that model again"
                )

    def send(self, label: str, conversations: Sequence[Conversation], *, done: int, unit: str) -> Sent:
        """Send what is missing, with a live line; `done` of them were answered before."""
        return self._send(self._config, self._client, "generation", label, conversations, done=done, unit=unit)

    def judge(self) -> Callable[[Sequence[Conversation], int], Sent]:
        """The same for the judge's requests: the conversations that are missing, and how many are done."""
        judge = self._config.judge
        assert judge is not None, "called where there is a judge"
        client = LazyClient(judge)

        def send(conversations: Sequence[Conversation], done: int) -> Sent:
            return self._send(
                judge, client, "generation.judge", "judging pairs", conversations, done=done, unit="pairs"
            )

        return send

    def _send(
        self,
        config: WriterConfig,
        client: LazyClient,
        section: str,
        label: str,
        conversations: Sequence[Conversation],
        *,
        done: int,
        unit: str,
    ) -> Sent:
        batch = self._config.batch
        if not conversations and not (batch and batches_out(self._book)):
            return Sent()
        with ProgressBar(label, total=done + len(conversations), unit=unit) as bar:
            bar.advance(done)
            line = _LiveLine(bar, len(conversations))
            sender: Sender
            if batch:
                sender = BatchSender(
                    self._book,
                    config,
                    classify=classify_by_purpose,
                    budget_dollars=self._config.budget_dollars,
                    wait=self._wait,
                    section=section,
                    seed=self._seed,
                    on_notice=self._hear,
                    collected=len(self._book) - self._before,
                    give_up_unknown=self._give_up_unknown,
                )
                sent = sender.run(conversations)
            else:
                self._check_none_out(client.writer)
                sender = LiveSender(
                    self._book,
                    config,
                    client=client,
                    budget_dollars=self._config.budget_dollars,
                    seed=self._seed,
                    on_event=line.hear,
                    section=section,
                )
                sent = sender.run([line.counted(conversation) for conversation in conversations])
        self.requests += sent.requests
        self.tries_again.update(sent.tries_again)
        for sentence in sent.notes:
            self.note(sentence)
        return sent

    def _check_none_out(self, writer: str) -> None:
        """What is with a batch service would be asked and paid for a second time."""
        out = [batch for batch in batches_out(self._book) if batch.writer == writer]
        if out:
            raise BatchesOutError(
                f"{sum(len(batch.reservations) for batch in out)} requests are with the provider in {len(out)} batches "
                f"({named(out)}), and generation.batch is off now; what is in them would be paid for twice: set generation.batch: true "
                "until they are collected"
            )


def classify_by_purpose(response: LLMResponse, tags: Mapping[str, str]) -> AnswerState:
    """A batch may come back in another run than it was sent in: the tags say what its answers are."""
    if tags.get("purpose") == "judge":
        return classify_verdict(response, "necessity" if tags.get("kind") == "necessity" else "support")
    return classify(response)


class _LiveLine:
    """Behind the bar: pairs, pairs a minute, dollars spent and projected, failures."""

    def __init__(self, bar: ProgressBar, conversations: int) -> None:
        self._bar = bar
        self._conversations = conversations
        self._ended = self._pairs = self._failed = self._retried = 0
        self._dollars = 0.0
        self._started = time.monotonic()

    def hear(self, event: Event) -> None:
        if event.kind == "answered":
            self._dollars += event.dollars or 0.0
        elif event.kind == "failed":
            self._failed += 1
        elif event.kind == "retried":
            self._retried += 1

    def counted(self, conversation: Conversation) -> Conversation:
        async def work(ask: Ask) -> object:
            found = await conversation(ask)
            if isinstance(found, Finished):
                self._pairs += sum(len(turn.parsed.pairs) for turn in found.readable)
                self._failed += bool(found.failure)
            self._ended += 1
            self._bar.advance(note=self._note())
            return found

        return work

    def _note(self) -> str:
        said = []
        minutes = (time.monotonic() - self._started) / 60
        if self._pairs and minutes > 0:
            said.append(f"{self._pairs:,} pairs, {self._pairs / minutes:,.0f} a minute")
        if self._dollars:
            projected = self._dollars * self._conversations / max(self._ended, 1)
            said.append(f"{format_dollars(self._dollars)} of about {format_dollars(projected)}")
        if self._retried:
            said.append(f"{self._retried} sent again")
        if self._failed:
            said.append(f"{self._failed} failed")
        return ", ".join(said)
