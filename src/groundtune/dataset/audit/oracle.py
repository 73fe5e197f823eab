"""What the assistant has to write in each turn, asked of the chat template itself.

A conversation is handed to the template as everywhere (:mod:`groundtune.chat.writing`), but where its masks come from is not
asked: rendered up to a turn it is what a server sends, rendered with that turn it goes on with what the assistant writes, and
the ids that somebody prepared must read as just that. What this module does not do: look at those ids
(:mod:`groundtune.dataset.audit.turns`).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from groundtune.chat import decode, render_prompt
from groundtune.chat.modes import writer_for
from groundtune.chat.tokens import ControlTokens, control_tokens
from groundtune.chat.writing import Transcript
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ANCHOR_TOKENS = 8
"""Ids decoded in front of a stretch, so that what comes out is how it reads there; any UTF-8 character fits in."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A conversation, the tools it may use and the mode of thinking it is told in."""

    messages: tuple[Message, ...]
    tools: tuple[str, ...] = ()
    thinking: bool | None = None

    def trained_turns(self, train_on: Literal["all", "last", "flagged"]) -> list[int]:
        """Places of the messages that are to be trained: a message's own word goes before `train_on`."""
        turns = [place for place, message in enumerate(self.messages) if message.role == "assistant"]
        asked = {"all": turns, "last": turns[-1:], "flagged": []}[train_on]
        flags = {place: self.messages[place].train for place in turns}
        return [
            place
            for place in turns
            if (flags[place] if flags[place] is not None else place in asked) and self.messages[place].weight > 0
        ]


@dataclass(frozen=True)
class Oracle:
    """Of one tokenizer and its chat template."""

    tokenizer: PreTrainedTokenizerBase

    @cached_property
    def control(self) -> ControlTokens:
        return control_tokens(self.tokenizer)

    @cached_property
    def control_ids(self) -> frozenset[int]:
        """Ids that the tokenizer calls special; the unknown token is none, as it stands for text."""
        return frozenset(self.control.ids.values()) - {self.tokenizer.unk_token_id}

    def transcript(self, asked: Asked) -> Transcript:
        """Raises `TemplateError` where the template cannot be set as `asked`."""
        writer = writer_for(self.tokenizer, with_tools=bool(asked.tools), thinking=asked.thinking, control=self.control)
        return Transcript(writer, asked.messages, asked.tools)

    def prompt_ids(self, asked: Asked, turn: int) -> list[int]:
        """What inference sends for message `turn` to be written."""
        return render_prompt(self.tokenizer, asked.messages[:turn], tools=asked.tools, thinking=asked.thinking)

    @cached_property
    def control_texts(self) -> tuple[str, ...]:
        """As they read in :func:`plain_form`, the longest first."""
        return tuple(sorted(map(plain_form, filter(None, self.control.ids)), key=lambda text: (-len(text), text)))

    def is_ending(self, text: str) -> bool:
        """Whether `text`, in its plain form, is nothing but control tokens and white space."""
        text = text.strip()
        while text:
            begin = next((each for each in self.control_texts if text.startswith(each)), "")
            if not begin:
                return False
            text = text[len(begin) :].lstrip()
        return True

    def is_stopped(self, text: str) -> bool:
        """Whether `text`, in its plain form, ends with a control token."""
        return text.endswith(self.control_texts)

    def read(self, token_ids: Sequence[int], first: int, end: int) -> str:
        """How the tokens from `first` to `end` read where they stand."""
        anchor = list(token_ids[max(0, first - ANCHOR_TOKENS) : first])
        before = decode(self.tokenizer, anchor) if anchor else ""
        whole = decode(self.tokenizer, [*anchor, *token_ids[first:end]])
        return whole[len(before) :] if whole.startswith(before) else decode(self.tokenizer, token_ids[first:end])

    def encodes(self, text: str, token_ids: Sequence[int]) -> bool:
        """Whether the tokenizer makes exactly these ids of `text`: the proof that is left where ids do not read as the
        text they were made from (an unknown character, a lower-cased letter)."""
        return bool(self.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] == list(token_ids))


@dataclass(frozen=True, slots=True)
class Expected:
    """What the template writes around one assistant turn, `prompt` before it and `turn` itself, and what it has to hold."""

    prompt: str
    turn: str
    """Without white space at its end."""
    said: tuple[str, ...]


def expect(transcript: Transcript, turn: int) -> Expected:
    """Raises `TemplateError` where the turn does not begin with the template's generation prompt."""
    prompt = transcript.before(turn, asked=True)
    told = transcript.told(turn)
    if not told.startswith(prompt):
        raise TemplateError(f"message {turn + 1} does not begin with the template's generation prompt")
    said = tuple(transcript.restore(part) for part in _said(transcript.messages[turn]))
    return Expected(transcript.restore(prompt), transcript.restore(told[len(prompt) :]).rstrip(), said)


def agrees(oracle: Oracle, transcript: Transcript, turn: int, expected: Expected, found: str) -> bool:
    """Whether `found` is the whole turn, its stop token included, and nothing else.

    A template may write something behind the stop token (another one, or a generation prompt that nobody asked for), and
    one may leave the stop token to the message that follows. Then the conversation that goes on decides: behind the turn's
    last words it must show just the ending that was found.
    """
    wanted, found = plain_form(expected.turn), plain_form(found)
    if found == wanted:
        return True
    said = [plain_form(part) for part in expected.said]
    if not said or not oracle.is_stopped(found) or any(part not in found or part not in wanted for part in said):
        return False
    end, other_end = (text[text.rfind(said[-1]) :] for text in (found, wanted))
    try:
        followed = plain_form(transcript.restore(transcript.followed(turn, *_answers_to(transcript.messages[turn]))))
        prompts_anyway = transcript.before(turn + 1, asked=True) == transcript.before(turn + 1, asked=False)
    except TemplateError:
        return False
    if wanted.startswith(found):
        more = wanted[len(found) :]
        return (prompts_anyway or oracle.is_ending(more)) and end in followed and other_end not in followed
    waits = found.startswith(wanted) and not oracle.is_stopped(wanted)
    return waits and found[len(wanted) :].strip() in oracle.control_texts and end in followed


def _answers_to(message: Message) -> list[Message]:
    """What may come next."""
    if not message.tool_calls:
        return [Message("user", "x")]
    return [Message("tool", "x", tool_call_id=call.call_id, name=call.name) for call in message.tool_calls]


def _said(message: Message) -> Iterator[str]:
    """What a trained turn must hold: thoughts, content, and the names of the tools it calls."""
    yield from filter(None, (message.thinking.strip(), message.content.strip()))
    for call in message.tool_calls:
        yield call.name


def same_text(found: str, wanted: str) -> bool:
    """Whether two texts agree up to Unicode's normal forms, which tokenizers may change."""
    return found == wanted or plain_form(found) == plain_form(wanted)


def plain_form(text: str) -> str:
    """Unicode's compatibility form, and SentencePiece's mark for a space as the space that it reads as."""
    return unicodedata.normalize("NFKC", text.replace("\u2581", " "))
