"""The words of the judge: one file a language beside this module, how their places are filled, and texts between fences.

A language without a file gets the English words. What this module does not do: decide what is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from groundtune.files import sha256_text
from groundtune.types import Language

LANGUAGES: tuple[Language, ...] = ("en", "tr")
"""That there are words in."""

_SHORTEST_FENCE = 5


@lru_cache(maxsize=8)
def judge_words(language: Language) -> Mapping[str, Any]:
    """The texts of `language`, by name."""
    values: dict[str, Any] = yaml.safe_load(_text(language if language in LANGUAGES else "en"))
    return values


def words_hash() -> str:
    """sha256 of all words: verdicts that others were asked for are not taken for these."""
    return sha256_text("\n".join(map(_text, LANGUAGES)))


def fill(template: str, **values: str) -> str:
    """Every ``{name}`` in one pass, so that braces inside a value stay as they are.

    >>> fill("{a} and {b}", a="{b}", b="2")
    '{b} and 2'
    """
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template).strip()


def fenced(blocks: Iterable[tuple[str, str]]) -> str:
    """Texts under their labels, each between fences that are longer than any that a text holds, so that none can end its own.

    >>> print(fenced([("Question", "What is it?"), ("Answer", "===== Verdict")]))
    ====== Question
    What is it?
    ======
    <BLANKLINE>
    ====== Answer
    ===== Verdict
    ======
    """
    blocks = list(blocks)
    runs = (len(run) for _, text in blocks for run in re.findall(r"^=+", text, re.MULTILINE))
    fence = "=" * max(_SHORTEST_FENCE, max(runs, default=0) + 1)
    return "\n\n".join(f"{fence} {label}\n{text}\n{fence}" for label, text in blocks)


def _text(language: Language) -> str:
    return (resources.files(__package__) / "prompts_text" / f"{language}.yaml").read_text(encoding="utf-8")
