"""Has the verdicts given: from the ledger where they are there, else by the judge, within the budget.

What is known about a verdict stands in the ledger alone, so a run that was killed goes on where it was, and a run with all
answers there needs no key. What this module does not do: word requests, or sum up.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from groundtune.config import AnswerJudgeConfig
from groundtune.errors import GenerationError
from groundtune.evaluation.judge.estimate import Estimate, estimate
from groundtune.evaluation.judge.forms import REFUSED, Unread, read_verdict, verdict_state
from groundtune.evaluation.judge.records import Case, Judgement
from groundtune.evaluation.judge.requests import Wanted, ask_again, of_round, plan_verdicts
from groundtune.evaluation.judge.retrying import Retries
from groundtune.llm import (
    AccountFailure,
    AnswerState,
    BudgetReached,
    Ledger,
    LLMRequest,
    LLMResponse,
    RequestRefused,
    TemporaryFailure,
    writer_name,
)
from groundtune.llm.dispatch import Dispatcher, run_all
from groundtune.llm.providers import make_client
from groundtune.progress import ProgressBar

SECTION = "evaluation.judge"

_JUDGE = "judge"
"""Tag of an answer: who gave it. The key of a request holds the model alone, and two providers may give theirs one name."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the verdicts took, over all runs. Equal requests count once, answers to other questions not at all."""

    requests: int
    input_tokens: int
    output_tokens: int
    dollars: float | None
    """None: the price of an answer is not known."""


@dataclass(frozen=True, slots=True)
class Judged:
    judgements: tuple[Judgement, ...]
    usage: Usage
    judges: tuple[str, ...]
    """``provider/model`` of who gave them, in alphabetical order: one where the ledger holds nobody else's answers."""
    refusals: Counter[str] = field(default_factory=Counter)
    """Verdicts by what the provider said when it refused their requests."""


@dataclass(frozen=True, slots=True)
class _Settled:
    judgement: Judgement
    keys: tuple[str, ...] = ()
    """Of the requests it rests on, those of earlier rounds included."""
    refusal: str = ""
    """What the provider said, where it refused."""


def judge_cases(
    cases: Sequence[Case],
    config: AnswerJudgeConfig,
    *,
    ledger: Path,
    seed: int,
    retry: bool = False,
    announce: Callable[[Estimate], None] = lambda _: None,
) -> Judged:
    """Every verdict on `cases` that the configuration asks for, in their order.

    Args:
        retry: ask again for verdicts that were refused, declined or could not be read; each once, also when the run is killed on
            the way and called again.
        announce: told what is about to be asked, before anything is; not called where nothing is to be asked.

    Raises:
        ConfigError: there is a budget, and the model's price is not known.
        GenerationError: the account, the budget or the user ended it, or some requests got no answer in this run. What was
            answered is in the ledger.
    """
    wanted = plan_verdicts(cases, config)
    with Ledger(ledger) as book:
        retries = Retries(book)
        if retry and not retries.begun:
            _take_up(wanted, book, retries)
        pending: dict[str, tuple[LLMRequest, list[Judgement]]] = {}
        for each in wanted:
            if isinstance(step := _settle(each, book, retries), LLMRequest):
                pending.setdefault(step.key, (step, []))[1].append(each.judgement)
        if pending:
            ahead = estimate(list(pending.values()), config, further=_further(cases))
            announce(ahead)
            _check_budget(ahead, config, book)
            asyncio.run(_ask(wanted, config, book, retries, seed))
        settled = [step for each in wanted if isinstance(step := _settle(each, book, retries), _Settled)]
        retries.end()
        keys = tuple(dict.fromkeys(key for each in settled for key in each.keys))
        return Judged(
            tuple(each.judgement for each in settled),
            _usage(keys, book),
            _judges(keys, book, writer_name(config)),
            Counter(each.refusal for each in settled if each.refusal),
        )


def _further(cases: Sequence[Case]) -> frozenset[tuple[str, str]]:
    """Question and system, where a system is judged besides the two that tuning tells apart."""
    return frozenset((case.case_id, system) for case in cases for system in case.answers if system not in case.pairs[0])


def _take_up(wanted: Sequence[Wanted], book: Ledger, retries: Retries) -> None:
    """What is settled without a verdict is open again. What was answered stays in the ledger."""
    for each in wanted:
        step = _settle(each, book, retries)
        if each.request is not None and isinstance(step, _Settled) and step.judgement.not_judged not in ("", REFUSED):
            retries.take_up(each.request.key)
    retries.begin()


def _check_budget(ahead: Estimate, config: AnswerJudgeConfig, book: Ledger) -> None:
    """Nothing is spent where the money cannot do. Raises `GenerationError`."""
    if config.budget_dollars is None or ahead.dollars is None:
        return
    spent = book.spending.at_most
    if spent + ahead.dollars[0] > config.budget_dollars:
        raise GenerationError(
            f"{SECTION}.budget_dollars is ${config.budget_dollars:g}, ${spent:.4f} of it is spent, and {_verdicts(ahead.requests)} "
            f"${ahead.dollars[0]:.4f} at the least; nothing was asked: raise it, or lower {SECTION}.max_questions"
        )


def _verdicts(count: int) -> str:
    return "one verdict takes" if count == 1 else f"{count:,} verdicts take"


async def _ask(wanted: Sequence[Wanted], config: AnswerJudgeConfig, book: Ledger, retries: Retries, seed: int) -> None:
    client = make_client(config)
    unanswered: list[TemporaryFailure] = []
    try:
        dispatcher = Dispatcher(
            client, book, config=config, budget_dollars=config.budget_dollars, seed=seed, section=SECTION
        )
        with ProgressBar("judging", total=len(wanted), unit="verdicts") as bar:

            async def ask(each: Wanted) -> None:
                try:
                    await _ask_one(each, dispatcher, book, retries, client.writer)
                except TemporaryFailure as failure:
                    unanswered.append(failure)
                bar.advance()

            await run_all((partial(ask, each) for each in wanted), dispatcher)
    except (AccountFailure, BudgetReached) as failure:
        given = sum(isinstance(_settle(each, book, retries), _Settled) for each in wanted)
        raise type(failure)(
            f"judging: {failure}. {given} of {len(wanted)} verdicts are there and kept; the same command goes on"
        ) from failure
    finally:
        await client.close()
    if unanswered:
        last = unanswered[-1].__cause__ or unanswered[-1]
        raise GenerationError(
            f"judging: {len(unanswered)} of {len(wanted)} verdicts were not given within {config.max_attempts} attempts (the "
            f"last: {last}); what was answered is kept, and the same command asks for the rest"
        )


async def _ask_one(wanted: Wanted, dispatcher: Dispatcher, book: Ledger, retries: Retries, judge: str) -> None:
    """Until there is nothing more to ask. Raises what `Dispatcher.ask` raises, but for a refusal, which is in the ledger."""
    judged = wanted.judgement
    tags = {"purpose": "judge answers", "kind": judged.kind, "language": judged.language, _JUDGE: judge}

    def classify(response: LLMResponse) -> AnswerState:
        return verdict_state(response, judged.kind)

    while isinstance(step := _settle(wanted, book, retries), LLMRequest):
        try:
            await dispatcher.ask(step, tags=tags, classify=classify)
        except RequestRefused:
            return


def _settle(wanted: Wanted, book: Ledger, retries: Retries) -> _Settled | LLMRequest:
    """The judgement of the last round, or the request that is to be answered for it."""
    if wanted.request is None:
        return _Settled(wanted.judgement)
    keys: list[str] = []
    for number in range(retries.rounds(wanted.request.key)):
        step = _settle_round(of_round(wanted.request, number), wanted.judgement, book, keys)
    return step


def _settle_round(request: LLMRequest, judgement: Judgement, book: Ledger, keys: list[str]) -> _Settled | LLMRequest:
    """What cannot be read is asked for once more. Adds the keys of answers to `keys`."""
    unread = Unread("")
    for again in (False, True):
        if again:
            request = ask_again(request, unread.error, judgement.language)
        response = book.find(request.key)
        if response is None:
            failure = book.find_failure(request.key)
            if failure is None:
                return request
            return _Settled(replace(judgement, not_judged=REFUSED), tuple(keys), failure.reason)
        keys.append(request.key)
        read = read_verdict(response, judgement.kind, judgement.systems)
        if not isinstance(read, Unread):
            done = replace(judgement, marks=read.marks, preferred=read.preferred, reasons=read.reasons)
            return _Settled(done, tuple(keys))
        unread = read
        if response.stop_reason == "refusal":
            break
    return _Settled(replace(judgement, not_judged=unread.reason), tuple(keys))


def _judges(keys: Collection[str], book: Ledger, configured: str) -> tuple[str, ...]:
    """Who gave the answers with these keys; the configured judge, where there are none, or an earlier groundtune kept no name."""
    tags = book.tags()
    return tuple(sorted({tags[key].get(_JUDGE, configured) for key in keys})) or (configured,)


def _usage(keys: Sequence[str], book: Ledger) -> Usage:
    answers = [answer for key in keys if (answer := book.find(key)) is not None]
    paid = list(book.dollars(dict.fromkeys(keys)).values())
    return Usage(
        requests=len(keys),
        input_tokens=sum(each.input_tokens + each.cache_read_tokens + each.cache_write_tokens for each in answers),
        output_tokens=sum(each.output_tokens for each in answers),
        dollars=None if None in paid else math.fsum(dollars for dollars in paid if dollars is not None),
    )
