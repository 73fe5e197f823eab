"""The prompts of augmentation: one file a language beside this module, and how their places are filled.

A language without a file gets the English text with its own name as the language to write in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

import yaml

from groundtune.types import Language

LANGUAGES: tuple[Language, ...] = ("en", "tr")
"""That prompts are written in."""


@lru_cache(maxsize=8)
def wording(language: Language) -> Mapping[str, Any]:
    """The texts of `language`: ``language_name``, ``rephrase``, ``brief``, ``self_instruct``, ``function_words``."""
    folder = resources.files(__package__) / "prompts_text"
    file = folder / f"{language}.yaml"
    known = file.is_file()
    values: dict[str, Any] = yaml.safe_load((file if known else folder / "en.yaml").read_text(encoding="utf-8"))
    if not known:
        values["language_name"] = f"the language with the code {language!r}"
    return values


def fill(template: str, **values: str | int) -> str:
    """Every ``{name}`` in one pass, so that braces inside a value stay as they are.

    >>> fill("{a} and {b} and {c}", a="{b}", b=2)
    '{b} and 2 and {c}'
    """
    return re.sub(r"\{(\w+)\}", lambda match: str(values.get(match[1], match[0])), template).strip()
