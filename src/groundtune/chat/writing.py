"""A chat template at work: conversations as the mappings it reads, the text it writes, its refusals as `TemplateError`.

Two things differ from template to template and are found by trying, never by a model's name:

- *Thoughts.* Templates that know them take ``reasoning_content``. Others know content alone; there the thoughts stand in
  front of it between tags. Some of those cut everything up to the closing tag out of every finished turn; the turn itself
  is then written with the tag veiled from the template, which is the text that the assistant sends.
- *Arguments of tool calls* are mappings; a template that fails on those, or prints them the way Python does, gets JSON text.

The clock stands still (:mod:`groundtune.chat.clock`). What this module does not do: tell what is trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

from groundtune.chat.clock import without_clock
from groundtune.chat.functions import arguments_of, tool_mappings
from groundtune.chat.thoughts import Tags, tags_of
from groundtune.chat.tokens import ControlTokens, control_tokens, guard_contents, unused_character
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MARK = re.compile(r"\{%[-+]?\s*generation\s*[-+]?%\}")


class Form(Enum):
    """How thoughts are handed to the template."""

    FIELD = "as reasoning_content"
    TEXT = "in the content, between tags"
    VEILED = "in the content of the turn itself, with the closing tag veiled"


@dataclass(frozen=True, slots=True)
class Writer:
    """One template with its settings. ``source`` is the template's own text."""

    tokenizer: PreTrainedTokenizerBase
    control: ControlTokens
    source: str
    tags: Tags
    switches: Mapping[str, bool] = field(default_factory=dict)
    keeps_thoughts: bool = True
    form: Form = Form.FIELD
    in_parts: bool = False
    """Whether contents are lists of parts (``{"type": "text", "text": ...}``), as templates for images want them."""

    def write(
        self, conversation: Sequence[Mapping[str, Any]], tools: Sequence[Any] = (), *, add_generation_prompt: bool
    ) -> str:
        """The template's text. Its own refusals, in its own words, become `TemplateError`."""
        with _own_words():
            if conversation:
                settings = self._settings(tools, add_generation_prompt)
                return str(self.tokenizer.apply_chat_template(self._shaped(conversation), tokenize=False, **settings))
            # what is sent before anything was said: the tokenizer's own method takes no empty conversation
            return self.write_marked(conversation, tools, add_generation_prompt=add_generation_prompt)[0]

    def write_marked(
        self, conversation: Sequence[Mapping[str, Any]], tools: Sequence[Any] = (), *, add_generation_prompt: bool
    ) -> tuple[str, list[tuple[int, int]]]:
        """The template's text, and the stretches of it (begin, end) that the template marks as generated."""
        from transformers.utils.chat_template_utils import render_jinja_template

        settings = {**self.tokenizer.special_tokens_map, **self._settings(tools, add_generation_prompt)}
        marking = bool(_MARK.search(self.source))
        with _own_words():
            # it is annotated as giving a text
            given: Any = render_jinja_template(
                conversations=[self._shaped(conversation)], return_assistant_tokens_mask=marking, **settings
            )
        texts, spans = given
        return texts[0], spans[0] if marking else []

    def _settings(self, tools: Sequence[Any], add_generation_prompt: bool) -> dict[str, Any]:
        return {
            "tools": list(tools) or None,
            "chat_template": without_clock(self.source),
            "add_generation_prompt": add_generation_prompt,
            **self.switches,
        }

    def _shaped(self, conversation: Sequence[Mapping[str, Any]]) -> list[Any]:
        if not self.in_parts:
            return list(conversation)
        return [{**each, "content": [{"type": "text", "text": each["content"]}]} for each in conversation]


@contextmanager
def _own_words() -> Iterator[None]:
    """What stops a template becomes `TemplateError`, in the template's own words where it has some."""
    from jinja2.exceptions import TemplateError as JinjaError

    try:
        yield
    except TemplateError:
        raise
    except (JinjaError, TypeError, ValueError, LookupError, ArithmeticError, AttributeError) as error:
        raise TemplateError(f"the chat template refuses the conversation: {error}") from error


def source_of(tokenizer: PreTrainedTokenizerBase, *, with_tools: bool = False) -> str:
    """The template that `tokenizer` uses: a tokenizer may have one of its own for tools.

    Raises:
        TemplateError: there is none.
    """
    if not tokenizer.chat_template:
        raise TemplateError(
            "the tokenizer has no chat template; set tokenizer.chat_template, LLAMA3_TEMPLATE for example, or name one with "
            "model.chat_template"
        )
    try:
        # whether there are any is all that is asked
        return str(tokenizer.get_chat_template(None, [{}] if with_tools else None))
    except ValueError as error:
        raise TemplateError(f"the tokenizer's chat templates cannot be used: {error}") from error


def plain_writer(
    tokenizer: PreTrainedTokenizerBase, control: ControlTokens | None = None, *, with_tools: bool = False
) -> Writer:
    """The template without any settings."""
    source = source_of(tokenizer, with_tools=with_tools)
    return Writer(tokenizer, control or control_tokens(tokenizer), source, tags_of(source))


class Transcript:
    """A conversation as its template writes it, up to any message, with or without a generation prompt.

    Texts still hold the guard (:mod:`groundtune.chat.tokens`); ``guard`` is "" where none was needed.
    """

    def __init__(self, writer: Writer, messages: Sequence[Message], tools: Sequence[str] = ()) -> None:
        prepared = tuple(_prepared(message, number, writer) for number, message in enumerate(messages, start=1))
        schemas = tool_mappings(tools)
        texts = [json.dumps(schema, ensure_ascii=False) for schema in schemas]
        guarded = guard_contents(prepared, writer.control, writer.source, texts)
        self.writer = writer
        self.guard = guarded.guard
        self.restore = guarded.restore
        self.messages = guarded.messages
        self.tools: list[Any] = [json.loads(text) for text in guarded.others] if guarded.guard else schemas
        self.arguments = [
            [arguments_of(call, number) for call in message.tool_calls]
            for number, message in enumerate(self.messages, start=1)
        ]
        self._veil = ""
        self._calls_as_text = False
        self._written: dict[tuple[int, bool], str] = {}
        if any(self.arguments):
            self._choose_arguments()

    def before(self, end: int, *, asked: bool) -> str:
        """The first `end` messages; `asked`: with the generation prompt."""
        key = (end, asked)
        if key not in self._written:
            self._written[key] = self._write(self._mappings(end), asked)
        return self._written[key]

    def told(self, index: int) -> str:
        """The messages up to and with `index`, an assistant's, as the template writes the turn just made."""
        if self.writer.form is not Form.VEILED or not self.messages[index].thinking:
            return self.before(index + 1, asked=False)
        self._veil = self._veil or self._unused()
        last = self._mapping(index, Form.VEILED)
        return self._write([*self._mappings(index), last], False).replace(self._veil, "")

    def followed(self, index: int, *others: Message) -> str:
        """The messages up to and with `index`, then `others`."""
        return self._write([*self._mappings(index + 1), *map(_plain, others)], False)

    def marked(self, index: int) -> tuple[str, list[tuple[int, int]]] | None:
        """:meth:`told`, and what of it the template marks as generated; None where it marks nothing."""
        if not _MARK.search(self.writer.source):
            return None
        conversation = self._mappings(index + 1)
        if self.writer.form is Form.VEILED and self.messages[index].thinking:
            # the veil would stand in the text and move the marks
            return None
        return self.writer.write_marked(conversation, self.tools, add_generation_prompt=False)

    def without_tools(self, end: int, *, asked: bool) -> str:
        """:meth:`before`, as if there were no tools."""
        tools, self.tools = self.tools, []
        try:
            return self._write(self._mappings(end), asked)
        finally:
            self.tools = tools

    def without_thoughts(self) -> Transcript:
        """The same conversation as if nobody had thought."""
        bare = [replace(message, thinking="") for message in self.messages]
        return Transcript(self.writer, bare, [json.dumps(each) for each in self.tools])

    def changed(self, index: int, end: int, *, asked: bool) -> str:
        """The first `end` messages with another content in `index`."""
        conversation = self._mappings(end)
        conversation[index] = {**conversation[index], "content": "another text"}
        return self._write(conversation, asked)

    def _write(self, conversation: Sequence[Mapping[str, Any]], asked: bool) -> str:
        text = self.writer.write(conversation, self.tools, add_generation_prompt=asked)
        if self.guard and f"\\u{ord(self.guard):04x}" in text.lower():
            raise TemplateError(
                "the chat template writes JSON with escapes, so control-token text inside it cannot be kept apart; take it "
                "out of the messages"
            )
        return text

    def _mappings(self, end: int) -> list[dict[str, Any]]:
        # in finished turns, what the template cuts out of the content is not even offered
        form = Form.FIELD if self.writer.form is Form.VEILED else self.writer.form
        return [self._mapping(index, form) for index in range(end)]

    def _mapping(self, index: int, form: Form) -> dict[str, Any]:
        message = self.messages[index]
        made = _plain(message)
        if message.thinking and form is Form.FIELD:
            made["reasoning_content"] = message.thinking
        elif message.thinking:
            veil = self._veil if form is Form.VEILED else ""
            made["content"] = self.writer.tags.joined(message.thinking, message.content, veil)
        if message.tool_calls:
            made["tool_calls"] = [
                {
                    **({"id": call.call_id} if call.call_id else {}),
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments if self._calls_as_text else arguments},
                }
                for call, arguments in zip(message.tool_calls, self.arguments[index], strict=True)
            ]
        return made

    def _unused(self) -> str:
        held = self.writer.source + "".join(message.content + message.thinking for message in self.messages)
        return unused_character(held + self.guard)

    def _choose_arguments(self) -> None:
        """As mappings, unless the template cannot print those as JSON."""
        end = 1 + max(number for number, calls in enumerate(self.arguments) if calls)
        refused: TemplateError | None = None
        try:
            text = self.before(end, asked=False)
        except TemplateError as error:
            refused, text = error, ""
        if refused is None and not any(
            str(each) in text and str(each) != json.dumps(each, ensure_ascii=False)
            for calls in self.arguments
            for each in calls
        ):
            return
        self._calls_as_text = True
        self._written.clear()
        try:
            self.before(end, asked=False)
        except TemplateError:
            self._calls_as_text = False
            if refused is None:
                raise


def _plain(message: Message) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if message.name:
        made["name"] = message.name
    return made


def _prepared(message: Message, number: int, writer: Writer) -> Message:
    if message.role != "assistant":
        if message.thinking or message.tool_calls:
            raise TemplateError(
                f"message {number} ({message.role}): has thoughts or tool calls; expected those of an assistant only"
            )
        return message
    # where the template parts content itself, or thoughts are to go, they are taken as what they are
    if not message.thinking and (writer.tags.known or not writer.keeps_thoughts):
        message = writer.tags.parted(message)
    return replace(message, thinking="") if message.thinking and not writer.keeps_thoughts else message
