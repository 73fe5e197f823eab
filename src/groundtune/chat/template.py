"""Chat templates for tokenizers that have none, and templates from files.

Models that come with a template of their own keep it unless the configuration names another. What this module does not do:
add tokens to a vocabulary; a model would not know them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from groundtune.chat.modes import asked_for
from groundtune.errors import TemplateError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_NAMES = ("llama3", "chatml", "mistral", "gemma", "alpaca", "plain")

_CONTROL_SHAPE = re.compile(r"<\|[^<>|\s'\"{}]+\|>|<｜[^<>｜\s'\"{}]+｜>|<(?:start|end)_of_\w+>")
"""How control tokens that a template spells out look; tags of text such as ``<think>`` do not."""


def _builtin(name: str) -> str:
    return files(__package__ or "groundtune.chat").joinpath(f"{name}.jinja").read_text(encoding="utf-8").strip()


BUILTIN_TEMPLATES: Mapping[str, str] = MappingProxyType({name: _builtin(name) for name in _NAMES})
"""Jinja source by name, to be set as ``tokenizer.chat_template``.

``llama3``, ``chatml`` (tools, thoughts, ``enable_thinking``), ``mistral`` (``[INST]``), ``gemma``, ``alpaca``, ``plain``.
The last two and ``mistral`` need no control token but the tokenizer's end-of-sequence token.
"""

LLAMA3_TEMPLATE: str = BUILTIN_TEMPLATES["llama3"]
"""``<|begin_of_text|>`` once; every message is ``<|start_header_id|>role<|end_header_id|>``, two line feeds, the content
untrimmed, ``<|eot_id|>``. The generation prompt is the assistant's header with its line feeds.
"""


def load_template(name_or_path: str) -> str:
    """The Jinja source of a built-in template, or of a file.

    Raises:
        TemplateError: neither is there, or the file is no Jinja template in UTF-8.
    """
    if name_or_path in BUILTIN_TEMPLATES:
        return BUILTIN_TEMPLATES[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        near = get_close_matches(name_or_path, _NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "check the path"
        raise TemplateError(
            f"no chat template {name_or_path!r}; expected one of {', '.join(_NAMES)}, or the path of a Jinja file; {hint}"
        )
    try:
        source = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TemplateError(f"{path}: the chat template cannot be read as UTF-8 text ({error})") from error
    try:
        names = asked_for(source)
    except TemplateError as error:
        raise TemplateError(f"{path}: not a Jinja template ({error.__cause__ or error})") from error
    if "messages" not in names:
        raise TemplateError(f"{path}: never asks for messages; expected a chat template")
    return source


def tokenizer_with_template(tokenizer: PreTrainedTokenizerBase, name_or_path: str) -> PreTrainedTokenizerBase:
    """A copy of `tokenizer` with another chat template, whose control tokens it has.

    Raises:
        TemplateError: as :func:`load_template`; or the tokenizer lacks a control token of the template, and which.
    """
    source = load_template(name_or_path)
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    special.update(tokenizer.all_special_tokens)
    # a comment may name tokens too
    written = re.sub(r"\{#.*?#\}", "", source, flags=re.DOTALL)
    missing = sorted(set(_CONTROL_SHAPE.findall(written)) - special)
    if "eos_token" in asked_for(source) and not tokenizer.eos_token:
        missing.append("an end-of-sequence token (eos_token)")
    if missing:
        raise TemplateError(
            f"the tokenizer lacks control tokens that the chat template {name_or_path!r} writes: {', '.join(missing)}; expected "
            "them as special tokens, so choose another template (plain, alpaca and mistral need eos_token alone)"
        )
    copy = deepcopy(tokenizer)
    copy.chat_template = source
    return copy
