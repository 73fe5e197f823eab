"""Requests for groups: the prompt texts filled with passages, and how many pairs a group is asked for.

The texts are files beside this module, one a language. A language without a file gets the English text with its own name
as the language to write in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from math import sqrt

import yaml

from groundtune.config import GenerationConfig
from groundtune.generation.schema import answer_schema
from groundtune.llm import LLMRequest, Passage, Task, render_passages, render_task
from groundtune.types import Chunk, Group, Language, Rule

FULL_TOKENS = 2000
"""A group of this many tokens is asked for `max_pairs`."""

PARAMETERS: Mapping[str, float] = {"max_tokens": 8192, "temperature": 0.0}


@dataclass(frozen=True, slots=True)
class PromptTexts:
    language_name: str
    system: str
    user: str
    rules: Mapping[Rule, str]


@lru_cache(maxsize=8)
def prompt_texts(language: Language) -> PromptTexts:
    """The texts of `language`, or the English ones that ask for it."""
    folder = resources.files(__package__) / "prompts_text"
    file = folder / f"{language}.yaml"
    known = file.is_file()
    values = yaml.safe_load((file if known else folder / "en.yaml").read_text(encoding="utf-8"))
    name = values["language_name"] if known else f"the language with the code {language!r}"
    rules = {rule: values["rules"][rule.value].strip() for rule in Rule}
    return PromptTexts(name, values["system"].strip(), values["user"].strip(), rules)


def num_pairs(tokens: int, config: GenerationConfig) -> int:
    """How many pairs a group of `tokens` is asked for.

    Grows from `min_pairs` with the square root of the tokens and reaches `max_pairs` at `FULL_TOKENS`: long groups hold
    more facts, but not in proportion, because they say things again.

    >>> [num_pairs(tokens, GenerationConfig(min_pairs=2, max_pairs=8)) for tokens in (20, 200, 500, 1000, 2000, 9000)]
    [3, 4, 5, 6, 8, 8]
    """
    share = min(1.0, sqrt(tokens / FULL_TOKENS))
    return config.min_pairs + round((config.max_pairs - config.min_pairs) * share)


def request_for(group: Group, chunks: Sequence[Chunk], config: GenerationConfig, model: str) -> LLMRequest:
    """The request for the chunks of `group`, in its order; passage ``[n]`` is ``chunks[n - 1]``."""
    texts = prompt_texts(group.language)
    passages = [Passage(number, chunk.breadcrumb, chunk.text) for number, chunk in enumerate(chunks, start=1)]
    task = Task(group.language, group.rule, num_pairs(group.token_count, config), config.max_answer_words)
    values = {
        "passages": render_passages(passages),
        "num_pairs": str(task.num_pairs),
        "language_name": texts.language_name,
        "max_words": str(task.max_words),
        "guidance": texts.rules[group.rule],
        "task": render_task(task),
    }
    return LLMRequest(texts.system, _fill(texts.user, values), answer_schema(), model, PARAMETERS)


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Every ``{name}`` of the template in one pass, so that braces inside a passage stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
