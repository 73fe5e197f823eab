"""What a template can do about thoughts, found by asking it: how they are handed over, and which variable switches them.

A small conversation is rendered in each possible way; whatever shows in the text is what the template does. What this module
does not do: read a model's name, or guess where nothing shows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from groundtune.chat.tokens import ControlTokens
from groundtune.chat.writing import Form, Transcript, Writer, plain_writer
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_USUAL = ("enable_thinking", "thinking")
_SWITCH = re.compile(r"think|reason", re.IGNORECASE)
_NO_SWITCH = re.compile(r"effort|budget|level|content|history|preserve|keep|clear|tok", re.IGNORECASE)
"""Variables that name an amount, a text, or what becomes of earlier thoughts."""
_INVERSE = re.compile(r"^no_|disable|skip|without", re.IGNORECASE)

_THOUGHT, _ANSWER = "first one thing, then another", "that is it"
_TALK = (Message("user", "what?"), Message("assistant", _ANSWER, thinking=_THOUGHT))

_CALLING = (
    Message("user", "what?"),
    Message("assistant", "", thinking=_THOUGHT, tool_calls=(ToolCall("look_up", '{"word": "it"}', "call00001"),)),
)
_TOOL = '{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}'

_KNOWN_SETTINGS = 128

_Settings = tuple[Mapping[str, bool], Form, bool, bool]
_known: dict[tuple[Any, ...], _Settings] = {}


def writer_for(
    tokenizer: PreTrainedTokenizerBase,
    *,
    with_tools: bool = False,
    thinking: bool | None = None,
    control: ControlTokens | None = None,
) -> Writer:
    """The tokenizer's template, set to think, not to think, or to what it does by itself.

    Raises:
        TemplateError: there is no template, or it cannot be set so.
    """
    writer = plain_writer(tokenizer, control, with_tools=with_tools)
    names = tuple((name, str(text)) for name, text in sorted(tokenizer.special_tokens_map.items()))
    key = (type(tokenizer), writer.source, names, thinking)
    if key not in _known:
        if len(_known) >= _KNOWN_SETTINGS:
            _known.clear()
        in_parts = _wants_parts(writer)
        switches = _switches(replace(writer, in_parts=in_parts), thinking)
        form, kept = _form(replace(writer, in_parts=in_parts, switches=switches))
        _known[key] = (switches, form, kept, in_parts)
    switches, form, kept, in_parts = _known[key]
    if thinking and not switches and not (form is Form.FIELD or writer.tags.known):
        raise TemplateError(
            "thinking is asked for, and the chat template knows no thoughts; leave thinking unset, or use a template with "
            "reasoning_content or enable_thinking"
        )
    return replace(
        writer,
        switches=switches,
        keeps_thoughts=thinking is not False,
        form=form if kept else Form.FIELD,
        in_parts=in_parts,
    )


def _wants_parts(writer: Writer) -> bool:
    """Whether the template writes contents only when they come as lists of parts."""

    def writes(in_parts: bool) -> bool:
        plain = Transcript(replace(writer, in_parts=in_parts), [replace(each, thinking="") for each in _TALK])
        try:
            return _ANSWER in plain.before(2, asked=False)
        except TemplateError:
            return False

    return not writes(False) and writes(True)


def _form(writer: Writer) -> tuple[Form, bool]:
    """The first form in which thoughts come out in front of the answer, behind the generation prompt; and whether any does.

    A template that shows them in one form, if not behind its prompt, is not asked for another.
    """
    for form in Form:
        if form is Form.VEILED and not writer.tags.known:
            continue
        transcript = Transcript(replace(writer, form=form), _TALK)
        try:
            told, prompt = transcript.told(1), transcript.before(1, asked=True)
        except TemplateError:
            continue
        thought, answer = told.find(_THOUGHT, len(prompt)), told.rfind(_ANSWER)
        over = prompt.rstrip().endswith(writer.tags.closing)
        if told.startswith(prompt) and 0 <= thought < answer and not over:
            return form, True
        if _THOUGHT in told or (form is Form.FIELD and _thinks_before_calls(writer)):
            break
    return Form.FIELD, False


def _thinks_before_calls(writer: Writer) -> bool:
    """Whether the template takes thoughts from their field in turns that call a tool; in others it then means to drop them."""
    try:
        return _THOUGHT in Transcript(replace(writer, form=Form.FIELD), _CALLING, (_TOOL,)).before(2, asked=False)
    except TemplateError:
        return False


def _switches(writer: Writer, thinking: bool | None) -> Mapping[str, bool]:
    if thinking is None:
        return {}
    for name in switch_names(writer.source):
        wanted = thinking is not bool(_INVERSE.search(name))
        if _switches_something(writer, name):
            return {name: wanted}
    if thinking:
        return {}
    raise TemplateError(
        "no thinking is asked for, and the chat template has no switch for it (no variable like enable_thinking changes what "
        "it writes); leave thinking unset, or use a template that knows both"
    )


def _switches_something(writer: Writer, name: str) -> bool:
    on, off = ([_shown(replace(writer, switches={name: value}), end) for end in (1, 2)] for value in (True, False))
    spelled = any("True" in text or "False" in text for text in (*on, *off))
    return on != off and "" not in (*on, *off) and not spelled


def _shown(writer: Writer, end: int) -> str:
    try:
        return Transcript(writer, _TALK[:end]).before(end, asked=end == 1)
    except TemplateError:
        return ""


@lru_cache(maxsize=64)
def switch_names(template: str) -> tuple[str, ...]:
    """Variables that `template` asks for and whose name speaks of thinking, the usual ones first.

    >>> switch_names("{% if enable_thinking is defined and enable_thinking is false %}{{ messages }}{% endif %}")
    ('enable_thinking',)
    """
    names = sorted(
        name for name in asked_for(template) if _SWITCH.search(name) and (name in _USUAL or not _NO_SWITCH.search(name))
    )
    return tuple(sorted(names, key=lambda name: _USUAL.index(name) if name in _USUAL else len(_USUAL)))


@lru_cache(maxsize=64)
def asked_for(template: str) -> frozenset[str]:
    """Names that `template` expects to be given.

    Raises:
        TemplateError: it is no Jinja template.
    """
    from jinja2 import Environment, meta
    from jinja2.exceptions import TemplateError as JinjaError
    from jinja2.ext import Extension
    from jinja2.nodes import Node, Scope
    from jinja2.parser import Parser

    class Generation(Extension):
        tags = {"generation"}  # noqa: RUF012 - as jinja2 declares it

        def parse(self, parser: Parser) -> Node:
            line = next(parser.stream).lineno
            return Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    environment = Environment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"])
    try:
        return frozenset(meta.find_undeclared_variables(environment.parse(template)))
    except JinjaError as error:
        raise TemplateError(f"the chat template refuses the conversation: {error}") from error
