"""All filters of a configuration, one after the other.

Rows are judged one by one first (length, repetition, language, benchmarks), then against each other (copies), then as a
whole (balance), so that a row which goes for its own faults never takes a good copy with it. Everything but the balance is
streamed. What this module does not do: decontaminate against validation and test rows; they are only known after mixing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from groundtune.config import FilterConfig
from groundtune.dataset.quality.answers import AnswerLengths, Repetition
from groundtune.dataset.quality.balance import balance
from groundtune.dataset.quality.contamination import BenchmarkQuestions
from groundtune.dataset.quality.duplicates import ExactDuplicates
from groundtune.dataset.quality.languages import LanguageCheck
from groundtune.dataset.quality.near import NearDuplicates, NearIndex
from groundtune.types import Conversation, LeftOut

Check = Callable[[Conversation], LeftOut | None]
"""Why a row goes, or None; may remember the rows it has seen."""


def apply_filters(
    conversations: Iterable[Conversation],
    config: FilterConfig,
    *,
    folder: Path,
    seed: int,
    removed: Callable[[Conversation, LeftOut], None] | None = None,
    tables: list[dict[str, Any]] | None = None,
) -> Iterator[Conversation | LeftOut]:
    """Every row of `conversations`, in order, as itself or as the reason it went.

    Args:
        folder: that ``config.benchmarks`` are relative to.
        removed: called with each row that goes, for those who keep them.
        tables: gets the shares before and after each balance, a line a value.

    Raises:
        ConfigError: the shares of a balance do not add up to 1.
        DataError: a benchmark cannot be read, or a value to balance by is nowhere.
        StorageError: the temporary folder, where near copies are looked up, is full.
    """
    with ExitStack() as stack:
        rows = _checked(conversations, _checks(config, folder, stack), removed)
        if config.balance:
            rows = iter(_balanced(list(rows), config, seed, removed, tables))
        yield from rows


def _checks(config: FilterConfig, folder: Path, stack: ExitStack) -> list[Check]:
    checks: list[Check] = []
    if config.min_answer_characters or config.max_answer_characters:
        checks.append(AnswerLengths(least=config.min_answer_characters, most=config.max_answer_characters))
    if config.max_repetition < 1:
        checks.append(Repetition(config.max_repetition))
    if config.languages:
        checks.append(LanguageCheck(config.languages))
    if config.decontaminate and config.benchmarks:
        index = stack.enter_context(NearIndex(config.near_similarity))
        checks.append(BenchmarkQuestions(index, [folder / Path(name).expanduser() for name in config.benchmarks]))
    if config.duplicates != "off":
        checks.append(ExactDuplicates())
    if config.duplicates == "near":
        checks.append(NearDuplicates(stack.enter_context(NearIndex(config.near_similarity))))
    return checks


def _checked(
    conversations: Iterable[Conversation],
    checks: list[Check],
    removed: Callable[[Conversation, LeftOut], None] | None,
) -> Iterator[Conversation | LeftOut]:
    for conversation in conversations:
        for check in checks:
            reason = check(conversation)
            if reason is not None:
                if removed is not None:
                    removed(conversation, reason)
                yield reason
                break
        else:
            yield conversation


def _balanced(
    rows: list[Conversation | LeftOut],
    config: FilterConfig,
    seed: int,
    removed: Callable[[Conversation, LeftOut], None] | None,
    tables: list[dict[str, Any]] | None,
) -> list[Conversation | LeftOut]:
    """Each balance over what the one before left, every row in its place."""
    for each in config.balance:
        places = [place for place, row in enumerate(rows) if isinstance(row, Conversation)]
        staying = [row for row in rows if isinstance(row, Conversation)]
        done = balance(staying, each, seed=seed)
        for place, conversation, outcome in zip(places, staying, done.rows, strict=True):
            rows[place] = outcome
            if removed is not None and isinstance(outcome, LeftOut):
                removed(conversation, outcome)
        if tables is not None:
            tables += done.table
    return rows
