"""Rows thinned out until the values of a column have given shares.

As many rows stay as the scarcest value allows. Which ones is decided by a hash of seed and id, so the choice hardly changes
when rows are added, and order is kept. What this module does not do: repeat rows of a scarce value (a source's weight does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from groundtune.config import BalanceConfig
from groundtune.dataset.quality.reasons import Reason, left_out
from groundtune.errors import ConfigError, DataError
from groundtune.types import Conversation, LeftOut

_NEAR_ONE = 1e-6


@dataclass(frozen=True, slots=True)
class Balanced:
    """Rows in order, those that went as `LeftOut`, and a line for each value."""

    rows: list[Conversation | LeftOut]
    table: list[dict[str, Any]]
    """Keys ``field``, ``value``, ``asked``, ``rows_before``, ``share_before``, ``rows_after``, ``share_after``; the shares
    before are of all rows, other values have ``None`` for a value."""


def balance(conversations: Sequence[Conversation], config: BalanceConfig, *, seed: int) -> Balanced:
    """Thin out `conversations` to ``config.shares`` of ``config.field``. Needs all rows at once.

    Raises:
        ConfigError: the shares do not add up to 1.
        DataError: no row has a value that a share is asked for.
    """
    if abs(sum(config.shares.values()) - 1) > _NEAR_ONE or min(config.shares.values()) < 0:
        raise ConfigError(
            f"data.filters.balance: the shares of {config.field!r} are {config.shares}; expected numbers of at least 0 that "
            f"add up to 1 (they add up to {sum(config.shares.values()):g})"
        )
    values = [value_of(conversation, config.field) for conversation in conversations]
    before = Counter(values)
    wanted = _wanted(before, config) if conversations else dict.fromkeys(config.shares, 0)
    kept = _chosen(conversations, values, wanted, f"{seed}:{config.field}")
    rows: list[Conversation | LeftOut] = []
    for index, conversation in enumerate(conversations):
        found = f"{config.field} is {values[index]!r}"
        if index in kept:
            rows.append(conversation)
        elif values[index] in wanted:
            rows.append(left_out(conversation, Reason.THINNED_OUT, field=config.field, found=found))
        else:
            rows.append(left_out(conversation, Reason.VALUE_NOT_BALANCED, field=config.field, found=found))
    return Balanced(rows, _table(config, before, wanted))


def value_of(conversation: Conversation, column: str) -> str | None:
    """A column's value as text; ``language`` and ``source`` are known without a column; None where there is none.

    >>> from groundtune.types import Origin
    >>> value_of(Conversation("a:1", Origin("a", "a.json", 1), fields={"difficulty": 3}), "difficulty")
    '3'
    """
    value = conversation.fields.get(column)
    if value is None and column == "language":
        value = conversation.language or None
    if value is None and column == "source":
        value = conversation.origin.source
    return None if value is None else str(value)


def _wanted(before: Mapping[str | None, int], config: BalanceConfig) -> dict[str, int]:
    """Rows of each value: the shares of the largest total for which there are enough of each, rounded down."""
    asked = {value: share for value, share in config.shares.items() if share > 0}
    for value, share in asked.items():
        if not before.get(value):
            there = ", ".join(f"{name!r} ({count})" for name, count in sorted(before.items(), key=str))
            raise DataError(
                f"data.filters.balance: no row has {config.field} {value!r}, whose share is {share:g}; found {there}; "
                f"take {value!r} out of the shares"
            )
    total = min(before[value] / share for value, share in asked.items())
    # a hair more, so that 3 rows of a share of 0.3 are 3 and not 2.9999999999999996
    return {value: int(total * share + _NEAR_ONE) for value, share in config.shares.items()}


def _chosen(
    conversations: Sequence[Conversation], values: Sequence[str | None], wanted: Mapping[str, int], seed: str
) -> set[int]:
    places: dict[str, list[int]] = {value: [] for value in wanted}
    for index, value in enumerate(values):
        if value in places:
            places[value].append(index)
    chosen: set[int] = set()
    for value, indices in places.items():
        indices.sort(key=lambda index: (_rank(seed, conversations[index].conversation_id), index))
        chosen.update(indices[: wanted[value]])
    return chosen


def _rank(seed: str, conversation_id: str) -> bytes:
    return sha256(f"balance:{seed}:{conversation_id}".encode("utf-8", "surrogatepass")).digest()


def _table(config: BalanceConfig, before: Mapping[str | None, int], wanted: Mapping[str, int]) -> list[dict[str, Any]]:
    all_before, all_after = max(1, sum(before.values())), max(1, sum(wanted.values()))
    others = sum(count for value, count in before.items() if value not in wanted)
    lines: list[tuple[str | None, float, int, int]] = [
        (value, share, before.get(value, 0), wanted[value]) for value, share in config.shares.items()
    ]
    if others:
        lines.append((None, 0.0, others, 0))
    return [
        {
            "field": config.field,
            "value": value,
            "asked": share,
            "rows_before": was,
            "share_before": was / all_before,
            "rows_after": now,
            "share_after": now / all_after,
        }
        for value, share, was, now in lines
    ]
