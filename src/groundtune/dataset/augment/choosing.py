"""Which training rows are augmented: so many of each kind, by the rank of a hash of seed and id.

So a row that is added later moves few of the others, and nothing depends on the order of rows. What this module does not do: tell
training rows from others (its caller hands in training rows only), or ask for anything.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from groundtune.config.data import AugmentConfig
from groundtune.dataset.augment.outcome import Refused
from groundtune.dataset.augment.rephrase import fingerprint_of
from groundtune.dataset.augment.rows import find_instruction, language_of, plain_turns
from groundtune.types import Conversation, Language

MOST_COMPARED = 5000
"""Instructions that new tasks must not be near, besides the seeds'; comparing takes their number times a word count."""

_LANGUAGE_ROWS = 1000
"""First rows whose language is looked at."""

_REPEAT = re.compile(r"(?<=\d)#\d+\Z")


@dataclass(slots=True)
class Choice:
    """Plain rows of the training data, and those to augment."""

    num_plain: int = 0
    """Rows that can be augmented, repeats not counted."""
    rephrase: list[Conversation] = field(default_factory=list)
    brief: list[Conversation] = field(default_factory=list)
    prompts: set[str] = field(default_factory=set)
    """Fingerprints of all of them, where wordings are asked for."""
    instructions: list[str] = field(default_factory=list)
    """At most `MOST_COMPARED`, where new tasks are asked for."""
    language: Language = "en"
    """That most rows are in."""


def choose_rows(conversations: Sequence[Conversation], config: AugmentConfig, *, seed: int) -> Choice:
    """Read the rows once, and those that are chosen once more."""
    choice = Choice()
    places = array("Q")
    ranks = {kind: array("Q") for kind in ("rephrase", "brief")}
    languages: Counter[Language] = Counter()
    for place, row in enumerate(conversations):
        instruction = _instruction(row)
        if instruction is None:
            continue
        places.append(place)
        for kind, numbers in ranks.items():
            numbers.append(_rank(seed, kind, row.conversation_id))
        if config.rephrase_share:
            choice.prompts.add(fingerprint_of(row))
        if config.self_instruct and len(choice.instructions) < MOST_COMPARED:
            choice.instructions.append(instruction)
        if len(places) <= _LANGUAGE_ROWS:
            languages[language_of(row)] += 1
    choice.num_plain = len(places)
    shares = {"rephrase": config.rephrase_share, "brief": config.brief_share}
    for kind, share in shares.items():
        chosen = _first_by_rank(ranks[kind], round(share * len(places)))
        setattr(choice, kind, [conversations[places[number]] for number in chosen])
    if languages:
        choice.language = max(sorted(languages), key=languages.__getitem__)
    return choice


def _instruction(row: Conversation) -> str | None:
    """Of a row that can be augmented and is no repeat of another."""
    if _REPEAT.search(row.conversation_id):
        return None
    try:
        first, _ = plain_turns(row)
    except Refused:
        return None
    return find_instruction(row.messages[first].content).text


def _rank(seed: int, kind: str, conversation_id: str) -> int:
    digest = sha256(f"{seed}:augment:{kind}:{conversation_id}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")


def _first_by_rank(ranks: array[int], count: int) -> list[int]:
    """Places of the `count` lowest, in order.

    >>> _first_by_rank(array("Q", [5, 1, 9, 3]), 2)
    [1, 3]
    """
    order = np.argsort(np.asarray(ranks, dtype=np.uint64), kind="stable")
    return sorted(int(place) for place in order[:count])
