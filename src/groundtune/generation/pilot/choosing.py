"""Which groups a pilot asks: few, and as unlike one another as there are."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.files import sha256_text
from groundtune.types import Group, Language, Rule

_PARTS = 3
"""Short, middling and long groups of a rule and language."""


def choose_groups(groups: Sequence[Group], count: int, *, seed: int) -> list[Group]:
    """At most `count` groups, in the order given; the same for the same groups and seed, on every machine.

    Rules take turns, in each round languages take turns within the rules, and from rule to rule the choice begins at another
    length, so that ten groups of eleven rules are of ten rules, all languages and all lengths.
    """
    lanes: dict[tuple[Rule, Language], list[Group]] = {}
    for group in groups:
        lanes.setdefault((group.rule, group.language), []).append(group)
    order = sorted(lanes, key=lambda lane: _rank(seed, lane[0].value, lane[1]))
    lengths = {lane: _by_length(lanes[lane], place, seed) for place, lane in enumerate(_alternating(order))}
    chosen: set[str] = set()
    turn = 0
    while len(chosen) < min(count, len(groups)):
        for members in lengths.values():
            if turn < len(members) and len(chosen) < count:
                chosen.add(members[turn].group_id)
        turn += 1
    return [group for group in groups if group.group_id in chosen]


def _rank(seed: int, *words: str) -> str:
    return sha256_text("/".join((str(seed), "pilot", *words)))


def _alternating(lanes: Sequence[tuple[Rule, Language]]) -> list[tuple[Rule, Language]]:
    """First one lane of every rule, the languages in turn; then the second of each, and so on."""
    waiting = list(lanes)
    languages = sorted({language for _, language in lanes})
    ordered: list[tuple[Rule, Language]] = []
    while waiting:
        left: list[tuple[Rule, Language]] = []
        for turn, rule in enumerate(dict.fromkeys(rule for rule, _ in waiting)):
            own = [lane for lane in waiting if lane[0] is rule]
            own.sort(key=lambda lane: (languages.index(lane[1]) - turn) % len(languages))
            ordered.append(own[0])
            left += own[1:]
        waiting = left
    return ordered


def _by_length(groups: Sequence[Group], place: int, seed: int) -> list[Group]:
    """Thirds by length in turn, beginning at another one for every lane; within a third by a seeded hash."""
    ranked = sorted(groups, key=lambda group: (group.token_count, group.group_id))
    size = -(-len(ranked) // _PARTS)
    thirds = [
        sorted(ranked[part * size : (part + 1) * size], key=lambda group: _rank(seed, group.group_id))
        for part in range(_PARTS)
    ]
    thirds = thirds[place % _PARTS :] + thirds[: place % _PARTS]
    return [third[turn] for turn in range(size) for third in thirds if turn < len(third)]
