"""Earlier answers read for today's groups: which of their pairs stay, and which are retired because their text is gone.

A retired pair stays in the ledger and is written down with its reason; it is back when its text is. What this module does not
do: read raw answers (callers hand in how), or check pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from groundtune.generation.planning.asked import Asked
from groundtune.generation.planning.jobs import CarriedAnswer, Plan
from groundtune.types import Language, Rule

CHUNK_GONE = "a text that the pair rests on has changed or gone"
GROUP_GONE = "no group is left that goes on from the one the pair was written for"

Item = Mapping[str, Any]
"""A pair as it was handed in: ``evidence`` is a list of ``{"chunk": n, "quote": text}``; ``follow_ups`` are further turns."""

ReadItems = Callable[[str], Sequence[Item]]
"""Every readable pair of the conversation that began with the request of this key, in order."""


@dataclass(frozen=True, slots=True)
class Retired:
    """A pair that is no longer used, as it was handed in."""

    reason: str
    question: str
    answer: str
    rule: Rule
    language: Language
    request: str
    """Key of the request that began the conversation it is from; the raw answers are in the ledger under it."""
    chunk_sha256s: tuple[str, ...]
    """Of the texts it rests on, in order of first mention."""
    quotes: tuple[str, ...]


def carry(answer: CarriedAnswer, items: Sequence[Item], num_passages: int) -> tuple[list[Item], list[Item]]:
    """The items whose evidence is all there still, with the numbers of today's passages, and the others as they were.

    A number that the earlier prompt did not have becomes one that today's has not either, so that the checks of pairs say so.

    Args:
        num_passages: of the group that carries the answer on.
    """
    kept: list[Item] = []
    gone: list[Item] = []
    for item in items:
        numbers = [number for number in _numbers(item) if 1 <= number <= len(answer.numbers)]
        if any(answer.numbers[number - 1] is None for number in numbers):
            gone.append(item)
        else:
            kept.append(_renumbered(item, answer.numbers, num_passages))
    return kept, gone


def retired_pairs(plan: Plan, read: ReadItems) -> Iterator[Retired]:
    """The pairs in the ledger that rest on texts which have gone from their groups, oldest request first.

    A pair that any group still uses is not retired. Requests with other prompts, settings or another model are not
    looked at: they are another set of pairs.
    """
    own = {job.key for job in plan.jobs}
    carrying: dict[str, list[tuple[CarriedAnswer, int]]] = {}
    for job in plan.jobs:
        for answer in job.carried:
            carrying.setdefault(answer.key, []).append((answer, len(job.chunks)))
    unused = {asked.key for asked in plan.unused}
    for asked in sorted(plan.asked.values(), key=lambda asked: (asked.plan, asked.key)):
        if asked.key in unused:
            yield from (_retired(asked, item, GROUP_GONE) for item in read(asked.key))
        elif asked.key in carrying and asked.key not in own:
            items = read(asked.key)
            left = [carry(answer, items, size)[1] for answer, size in carrying[asked.key]]
            for item in items:
                if all(any(item is other for other in gone) for gone in left):
                    yield _retired(asked, item, CHUNK_GONE)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a changed set of documents asks and keeps, before anything is sent."""

    unchanged: int
    """Groups whose own request is answered."""
    kept: int
    """Groups that changed without a new text (one left, or another order or heading): nothing is asked."""
    changed: int
    """Groups that are asked about their new texts alone."""
    new: int
    """Groups that are asked whole."""
    gone: int
    """Groups asked earlier that no group goes on from."""
    passages: int
    """Asked about, in changed and new groups."""
    pairs_kept: int
    """Of earlier groups, as handed in: checks come later."""
    pairs_retired: int


def preview(plan: Plan, read: ReadItems, answered: Container[str]) -> Preview:
    """Count what `plan` does; `answered` are the keys of answers and failures in the ledger."""
    counts = {"unchanged": 0, "kept": 0, "changed": 0, "new": 0}
    passages = pairs_kept = 0
    roots = {job.root for job in plan.jobs}
    for job in plan.jobs:
        if job.kind == "top_up":
            continue
        pairs_kept += sum(len(carry(answer, read(answer.key), len(job.chunks))[0]) for answer in job.carried)
        if not job.key:
            counts["kept"] += 1
        elif job.key in answered:
            counts["unchanged"] += 1
        else:
            counts["new" if job.focus is None else "changed"] += 1
            passages += len(job.chunks if job.focus is None else job.focus.numbers)
    gone = {asked.root for asked in plan.unused} - roots
    retired = sum(1 for _ in retired_pairs(plan, read))
    return Preview(**counts, gone=len(gone), passages=passages, pairs_kept=pairs_kept, pairs_retired=retired)


def _turns(item: Item) -> Iterator[Item]:
    yield item
    follow_ups = item.get("follow_ups")
    yield from (turn for turn in follow_ups if isinstance(turn, Mapping)) if isinstance(follow_ups, list) else ()


def _evidence(turn: Item) -> list[Any]:
    evidence = turn.get("evidence")
    return evidence if isinstance(evidence, list) else []


def _number(quote: Any) -> int | None:
    number = quote.get("chunk") if isinstance(quote, Mapping) else None
    return number if isinstance(number, int) and not isinstance(number, bool) else None


def _numbers(item: Item) -> list[int]:
    found = (_number(quote) for turn in _turns(item) for quote in _evidence(turn))
    return list(dict.fromkeys(number for number in found if number is not None))


def _renumbered(item: Item, numbers: Sequence[int | None], num_passages: int) -> Item:
    def today(quote: Any) -> Any:
        number = _number(quote)
        if number is None:
            return quote
        known = numbers[number - 1] if 1 <= number <= len(numbers) else None
        # no text is silently taken for another: an unknown number stays unknown
        return {**quote, "chunk": num_passages + max(number, 1) if known is None else known}

    def turn(value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("evidence"), list):
            return value
        return {**value, "evidence": [today(quote) for quote in value["evidence"]]}

    renumbered = turn(item)
    if isinstance(item.get("follow_ups"), list):
        renumbered = {**renumbered, "follow_ups": [turn(value) for value in item["follow_ups"]]}
    return dict(renumbered)


def _retired(asked: Asked, item: Item, reason: str) -> Retired:
    known = [number for number in _numbers(item) if 1 <= number <= len(asked.sha256s)]
    quotes = [quote.get("quote") for turn in _turns(item) for quote in _evidence(turn) if isinstance(quote, Mapping)]
    return Retired(
        reason,
        str(item.get("question", "")),
        str(item.get("answer", "")),
        asked.rule,
        asked.language,
        asked.key,
        tuple(asked.sha256s[number - 1] for number in known),
        tuple(str(quote) for quote in quotes if quote),
    )
