"""Requests about groups as the ledger keeps them: which texts they showed, by sha256, in prompt order.

Chunk ids shift when documents grow, and file names change; the sha256 of a text does not. What this module does not do:
compare sets of documents.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sys import intern
from typing import Any

from groundtune.files import sha256_text
from groundtune.generation.planning.focus import Focus, MakeRequest
from groundtune.llm import Ledger
from groundtune.types import Chunk, Group, Language, Rule

_KIND = "group"

_SAMPLE_TOKENS = (20, 60, 150, 400, 1000, 2000, 6000)
"""Sizes of the made-up groups that settings are told apart by: the number of pairs asked for grows with a group's size."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request about a group. Passage ``[n]`` of its prompt is the text with ``sha256s[n - 1]``."""

    key: str
    root: str
    """Key of the request that the line began with: a group as it was first asked, whole. Its own key then."""
    settings: str
    """Fingerprint of what decides the wording of requests of this rule and language."""
    rule: Rule
    language: Language
    sha256s: tuple[str, ...]
    numbers: tuple[int, ...] | None
    """Of the passages asked about; None for all."""
    plan: int
    """How many plans the ledger held before the one that asked it: for order, oldest first."""

    @property
    def asked_about(self) -> frozenset[str]:
        if self.numbers is None:
            return frozenset(self.sha256s)
        return frozenset(self.sha256s[number - 1] for number in self.numbers)


@dataclass(frozen=True, slots=True)
class Material:
    """A group of today with its chunks, in prompt order, and the fingerprint of its settings."""

    group: Group
    chunks: tuple[Chunk, ...]
    settings: str

    @property
    def sha256s(self) -> tuple[str, ...]:
        return tuple(chunk.sha256 for chunk in self.chunks)


def read_asked(book: Ledger) -> dict[str, Asked]:
    """Every request about a group that was planned, answered or not, by key."""
    return {key: _from_note(key, value) for key, value in book.notes(_KIND)}


def keep_asked(book: Ledger, asked: Asked) -> None:
    book.note(
        _KIND,
        asked.key,
        {
            "root": asked.root,
            "settings": asked.settings,
            "rule": asked.rule.value,
            "language": asked.language,
            "sha256s": asked.sha256s,
            "numbers": asked.numbers,
            "plan": asked.plan,
        },
    )


def _from_note(key: str, value: Mapping[str, Any]) -> Asked:
    numbers = value["numbers"]
    return Asked(
        key,
        value["root"],
        intern(value["settings"]),
        Rule(value["rule"]),
        intern(value["language"]),
        tuple(intern(sha256) for sha256 in value["sha256s"]),
        None if numbers is None else tuple(numbers),
        value["plan"],
    )


def fingerprint(rule: Rule, language: Language, make_request: MakeRequest, focus: Focus | None = None) -> str:
    """What decides the wording of requests of a rule and language, whatever the documents: sha256 over the keys of requests for
    made-up groups. Another model, prompt file, schema, parameter or number of pairs gives another."""
    texts = ("## A\n\nA is 1.", "## B\n\nB is 2.")
    chunks = [_made_up(number, text, language) for number, text in enumerate(texts, start=1)]
    ids = tuple(chunk.chunk_id for chunk in chunks)
    groups = [Group(f"{rule}-{language}-0001", rule, "A", language, ids, tokens) for tokens in _SAMPLE_TOKENS]
    return sha256_text("\n".join(make_request(group, chunks, focus).key for group in groups))


def _made_up(number: int, text: str, language: Language) -> Chunk:
    return Chunk(
        f"c{number}",
        "A",
        "A",
        "A",
        ("A", f"A {number}"),
        language,
        text,
        20,
        False,
        False,
        (),
        (),
        2,
        "a.md",
        number,
        number,
        sha256_text(text),
    )


def set_name(materials: Sequence[Material], extra: Sequence[str]) -> str:
    """sha256 over all that decides the requests of a set: texts, their trails, sizes and order, and the settings. Not the ids."""
    digest = hashlib.sha256(json.dumps(list(extra)).encode())
    known: dict[str, str] = {}
    for material in materials:
        for chunk in material.chunks:
            if chunk.chunk_id not in known:
                known[chunk.chunk_id] = sha256_text(json.dumps([chunk.sha256, chunk.breadcrumb]))
        group = material.group
        line = [
            material.settings,
            group.rule,
            group.language,
            group.title,
            group.token_count,
            [known[chunk.chunk_id] for chunk in material.chunks],
        ]
        digest.update(json.dumps(line).encode() + b"\n")
    return digest.hexdigest()
