"""Ask a writer about every group, keep each answer in the ledger, check it, and hand on what passed.

What this module does not do: write prompts or judge pairs (its neighbours do), write files, or decide what is stale.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from groundtune.config import GenerationConfig, PromptConfig
from groundtune.errors import DataError
from groundtune.generation.ledger import Ledger
from groundtune.generation.prompts import num_pairs, request_for
from groundtune.generation.summary import summarise
from groundtune.generation.unanswerable import Nearest, make_unanswerable
from groundtune.generation.verify import as_row, check_answer, drop_repeated
from groundtune.llm import LLMClient, LLMRequest, LLMResponse, OfflineWriter
from groundtune.progress import ProgressBar
from groundtune.types import Chunk, Group, Language, Pair, StageResult

IN_FLIGHT = 8
"""Requests that wait for an answer at the same time."""

RULE_NOT_ASKED = "group of a rule that generation.rules leaves out"


@dataclass(frozen=True, slots=True)
class Generated:
    """The pairs, in the order of their groups, unanswerable ones last.

    `asked` and `reused` count groups whose request was sent now or was found in the ledger. They differ between runs
    that give the same pairs, so they are no part of `result`.
    """

    pairs: list[Pair]
    result: StageResult
    asked: int
    reused: int


@dataclass(frozen=True, slots=True)
class _Job:
    """A group with its chunks, in prompt order, and its request."""

    group: Group
    chunks: tuple[Chunk, ...]
    request: LLMRequest


def make_client(config: GenerationConfig) -> LLMClient:
    """The writer that `config.provider` names."""
    return {"offline": OfflineWriter}[config.provider]()


def generate(
    groups: Sequence[Group],
    chunks: Sequence[Chunk],
    *,
    config: GenerationConfig,
    prompts: Mapping[Language, PromptConfig],
    client: LLMClient,
    ledger: Path,
    nearest: Nearest,
    seed: int,
) -> Generated:
    """Write pairs for `groups`. Stopped at any moment and called again, it goes on where it was.

    Args:
        groups: those whose rule is not in `config.rules` are left out and counted.
        prompts: give the refusals, and the languages to tell apart.
        ledger: SQLite file, made when missing.
        nearest: neighbours of a chunk, for the near-misses.

    Raises:
        DataError: a group names a chunk or language that is not there, or the ledger cannot be read.
        StorageError: the ledger cannot be written.
        GenerationError: the writer gave up; everything answered until then is in the ledger.
    """
    by_id = {chunk.chunk_id: chunk for chunk in chunks}
    wanted = [group for group in groups if group.rule in config.rules]
    skips: Counter[str] = Counter()
    if len(wanted) < len(groups):
        skips[RULE_NOT_ASKED] = len(groups) - len(wanted)
    jobs = [_job(group, by_id, config, prompts, client.model) for group in wanted]
    languages = tuple(prompts)

    def check(job: _Job, raw: str) -> _Checked:
        pairs, rejected = check_answer(
            raw, job.group, job.chunks, config=config, languages=languages, writer=client.writer
        )
        return _Checked(pairs, tuple((item.reason.value, as_row(item)) for item in rejected))

    with Ledger(ledger) as book:
        asked = _ask_missing(jobs, book, client, check)
        pairs, tokens = _collect(jobs, book, check, skips)
    pairs, repeated = drop_repeated(pairs)
    skips.update(item.reason.value for item in repeated)
    refused, passed = make_unanswerable(pairs, by_id, config=config, prompts=prompts, nearest=nearest, seed=seed)
    skips.update(passed)
    pairs += refused
    requested = sum(num_pairs(group.token_count, config) for group in wanted)
    result = summarise(wanted, chunks, pairs, skips=skips, tokens=tokens, requested=requested, writer=client.writer)
    return Generated(pairs, result, asked=len(asked), reused=len(jobs) - len(asked))


@dataclass(frozen=True, slots=True)
class _Checked:
    pairs: list[Pair]
    rejected: tuple[tuple[str, Mapping[str, str]], ...]


_Check = Callable[[_Job, str], _Checked]


def _job(
    group: Group,
    by_id: Mapping[str, Chunk],
    config: GenerationConfig,
    prompts: Mapping[Language, PromptConfig],
    model: str,
) -> _Job:
    if group.language not in prompts:
        raise DataError(f"group {group.group_id}: language {group.language!r} has no prompts.{group.language} section")
    try:
        chunks = tuple(by_id[chunk_id] for chunk_id in group.chunk_ids)
    except KeyError as error:
        raise DataError(
            f"group {group.group_id}: chunk {error.args[0]!r} is not among the chunks; run `groundtune group` again"
        ) from error
    return _Job(group, chunks, request_for(group, chunks, config, model))


def _ask_missing(jobs: Sequence[_Job], book: Ledger, client: LLMClient, check: _Check) -> list[_Job]:
    """Ask for what the ledger lacks, each request once. Returns the groups asked for."""
    missing: dict[str, _Job] = {}
    with ProgressBar("writing pairs", total=len(jobs), unit="groups") as bar:
        for job in jobs:
            key = job.request.key
            if key in missing or book.find(key) is not None:
                bar.advance()
            else:
                missing[key] = job

        def finish(job: _Job, response: LLMResponse) -> None:
            checked = check(job, response.text)
            book.record(
                job.request,
                response,
                rule=job.group.rule,
                language=job.group.language,
                accepted=[asdict(pair) for pair in checked.pairs],
                rejected=[dict(row) for _, row in checked.rejected],
            )
            bar.advance()

        asyncio.run(_ask_all(list(missing.values()), client, finish))
    return list(missing.values())


async def _ask_all(jobs: Sequence[_Job], client: LLMClient, finish: Callable[[_Job, LLMResponse], None]) -> None:
    """`IN_FLIGHT` at a time. After a failure nothing new is sent, and what is in flight is still kept."""
    waiting = iter(jobs)
    failures: list[BaseException] = []

    async def work() -> None:
        for job in waiting:
            if failures:
                return
            try:
                finish(job, await client.complete(job.request))
            except BaseException as error:
                failures.append(error)
                raise

    outcomes = await asyncio.gather(*(work() for _ in range(min(IN_FLIGHT, len(jobs)))), return_exceptions=True)
    for outcome in (*failures, *outcomes):
        if isinstance(outcome, BaseException):
            raise outcome


def _collect(
    jobs: Sequence[_Job], book: Ledger, check: _Check, skips: Counter[str]
) -> tuple[list[Pair], tuple[int, int]]:
    """Check every raw answer again, so that the pairs depend on the answers and today's rules alone."""
    pairs: list[Pair] = []
    tokens_in = tokens_out = 0
    counted: set[str] = set()
    for job in jobs:
        key = job.request.key
        response = book.find(key)
        if response is None:
            raise DataError(f"{book.path}: the answer to group {job.group.group_id} has gone; run the command again")
        checked = check(job, response.text)
        pairs += checked.pairs
        skips.update(reason for reason, _ in checked.rejected)
        if key not in counted:
            counted.add(key)
            tokens_in += response.input_tokens
            tokens_out += response.output_tokens
    return pairs, (tokens_in, tokens_out)
