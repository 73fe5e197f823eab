"""The conversation about one group: a request, and what its answer calls for, until the pairs are there or given up.

An unreadable answer is asked for once more with the error quoted; one that was cut at its token limit keeps its complete pairs
and is asked for the rest. Every further request is made from the answers before it alone, so the same answers make the same
conversation in every run, and a killed run goes on inside it. What this module does not do: send anything (`ask` does, or
reads the ledger), or check pairs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from groundtune.generation.answers.parsing import Parsed, classify, parse_answer
from groundtune.generation.prompts import repair_request, rest_request
from groundtune.llm import RETRY, AnswerState, LLMRequest, LLMResponse, RequestRefused, parse_task

MAX_RESTS = 4
"""How often the rest of a cut answer is asked for; a group of 28 pairs in answers of a tenth of that is out of proportion."""

REFUSED = "the request was refused"
DECLINED = "the model declined to write about the group"
UNREADABLE = "answer could not be read, nor the one asked for again"
NO_PAIR_FITS = "answer was cut at max_output_tokens before its first pair was complete"
STILL_CUT = "answer was still cut at max_output_tokens after asking for the rest several times"


class Ask(Protocol):
    """The answer to a request, from the ledger or from the model."""

    def __call__(
        self, request: LLMRequest, *, tags: Mapping[str, str], classify: Callable[[LLMResponse], AnswerState]
    ) -> Awaitable[LLMResponse]: ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A request with its answer, as read."""

    request: LLMRequest
    response: LLMResponse
    parsed: Parsed


@dataclass(frozen=True, slots=True)
class Conversation:
    """Every turn, unreadable ones included, and why it ended without all pairs, if it did."""

    turns: tuple[Turn, ...]
    failure: str = ""
    detail: str = ""

    @property
    def readable(self) -> tuple[Turn, ...]:
        """Those that hold pairs."""
        return tuple(turn for turn in self.turns if turn.parsed.state in ("complete", "truncated"))


def pairs_asked_for(request: LLMRequest) -> int:
    """How many a request asks for, by its own task line; 0 where it has none."""
    task = parse_task(request.full_prompt)
    return 0 if task is None else task.num_pairs


async def converse(first: LLMRequest, ask: Ask, *, tags: Mapping[str, str], num_pairs: int) -> Conversation:
    """Ask for a group's pairs until the answer is whole. A refused request ends it; whatever else `ask` raises is raised."""
    turns: list[Turn] = []
    try:
        return await _converse(first, ask, tags, num_pairs, turns)
    except RequestRefused as refusal:
        return Conversation(tuple(turns), REFUSED, str(refusal))


async def _converse(
    first: LLMRequest, ask: Ask, tags: Mapping[str, str], num_pairs: int, turns: list[Turn]
) -> Conversation:
    last = await _ask_readable(first, ask, tags, turns)
    rests = 0
    while last is not None and last.parsed.state == "truncated":
        questions = [str(pair.get("question", "")) for turn in turns for pair in _pairs(turn)]
        if not questions:
            return Conversation(tuple(turns), NO_PAIR_FITS, f"{last.response.output_tokens} tokens")
        if len(questions) >= num_pairs:
            return Conversation(tuple(turns))
        # an answer without a new pair would be asked for in the same words again
        if rests == MAX_RESTS or not last.parsed.pairs:
            return Conversation(tuple(turns), STILL_CUT, f"{len(questions)} of {num_pairs} pairs")
        rests += 1
        rest = rest_request(first, questions, num_pairs - len(questions))
        last = await _ask_readable(rest, ask, {**tags, "purpose": "rest"}, turns)
    if last is None:
        end = turns[-1].parsed
        return Conversation(tuple(turns), DECLINED if end.state == "declined" else UNREADABLE, end.error)
    return Conversation(tuple(turns))


async def _ask_readable(request: LLMRequest, ask: Ask, tags: Mapping[str, str], turns: list[Turn]) -> Turn | None:
    """The first readable answer of at most two, or None; every answer goes to `turns`."""
    turn = await _turn(request, ask, tags)
    turns.append(turn)
    if turn.parsed.state == "malformed":
        again = repair_request(request, turn.response.text, turn.parsed.error)
        turn = await _turn(again, ask, {**tags, "purpose": "repair"})
        turns.append(turn)
    return turn if turn.parsed.state in ("complete", "truncated") else None


async def _turn(request: LLMRequest, ask: Ask, tags: Mapping[str, str]) -> Turn:
    response = await ask(request, tags=tags, classify=classify)
    return Turn(request, response, parse_answer(response.text, response.stop_reason))


def _pairs(turn: Turn) -> tuple[Mapping[str, object], ...]:
    return turn.parsed.pairs if turn.parsed.state in ("complete", "truncated") else ()


def asked_again(request: LLMRequest, retry: int) -> LLMRequest:
    """The same request under another key, for a user who has a failed group tried again. Providers never see the number."""
    return replace(request, parameters={**request.parameters, RETRY: retry}) if retry else request
