"""Text to token ids such that only the template can write control tokens.

A document may hold the literal text ``<|eot_id|>``. Encoded as it is, that text would end the turn. So every control
token's text inside a message is broken by a guard character before the template sees it (:func:`guard_contents`), and
after rendering the guards are taken out and those stretches are encoded as plain text (:func:`encode`). Conversations
without such text never have a guard and are encoded by the tokenizer in one piece.

Control tokens are the added tokens that the tokenizer itself calls special. Added tokens that it does not call special
(``<think>``, ``<tool_call>`` of some models) are ordinary vocabulary and may be written in a message.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_PRIVATE_USE = range(0xE000, 0xF900)
"""Code points that no standard gives a meaning: candidates for the guard."""

_ANCHOR_TOKENS = 8
"""Ids decoded in front of a continuation: enough to complete any UTF-8 character that ends there."""


@dataclass(frozen=True, slots=True)
class ControlTokens:
    """The tokenizer's special tokens: `ids` by text, and `pattern`, which finds them, longest first."""

    ids: dict[str, int]
    pattern: re.Pattern[str]


def control_tokens(tokenizer: PreTrainedTokenizerBase) -> ControlTokens:
    """Read anew on every call, because a tokenizer can be given more tokens."""
    ids = {token.content: number for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    for text in tokenizer.all_special_tokens:
        number = tokenizer.convert_tokens_to_ids(text)
        if isinstance(number, int):
            ids.setdefault(text, number)
    return ControlTokens(ids, _compile(tuple(sorted(filter(None, ids), key=lambda text: (-len(text), text)))))


@lru_cache(maxsize=32)
def _compile(texts: tuple[str, ...]) -> re.Pattern[str]:
    # (?!) never matches: a tokenizer without control tokens
    return re.compile("|".join(map(re.escape, texts)) or r"(?!)")


@dataclass(frozen=True, slots=True)
class Guarded:
    """Messages, and other texts, without any control token's text, and the `guard` that broke it ("": none was needed)."""

    messages: tuple[Message, ...]
    guard: str
    others: tuple[str, ...] = ()

    def restore(self, text: str) -> str:
        """`text` without guards."""
        return text.replace(self.guard, "") if self.guard else text


def guard_contents(
    messages: Sequence[Message], control: ControlTokens, template: str, others: Sequence[str] = ()
) -> Guarded:
    """Break control-token text inside messages and `others` by a character that neither they nor `template` hold.

    Raises:
        TemplateError: a message is not encodable text, or a control token is a single character and cannot be broken.
    """
    texts = [text for message in messages for text in _texts(message)]
    for number, message in enumerate(messages, start=1):
        for text in _texts(message):
            _check_encodable(text, f"message {number} ({message.role})")
    for number, text in enumerate(others, start=1):
        _check_encodable(text, f"tool {number}")
    if not any(control.pattern.search(text) for text in (*texts, *others)):
        return Guarded(tuple(messages), "", tuple(others))
    guard = unused_character(template + "".join(texts) + "".join(others))
    broken = tuple(
        _broken(message, control.pattern, guard, f"message {number} ({message.role})")
        for number, message in enumerate(messages, start=1)
    )
    tools = (_break(text, control.pattern, guard, f"tool {number}") for number, text in enumerate(others, start=1))
    return Guarded(broken, guard, tuple(tools))


def unused_character(held: str) -> str:
    """A character of private use that `held` does not hold.

    Raises:
        TemplateError: it holds all 6,400.
    """
    for code in _PRIVATE_USE:
        if chr(code) not in held:
            return chr(code)
    raise TemplateError("the messages hold every character of private use; expected text")


def _texts(message: Message) -> list[str]:
    texts = [message.content]
    if message.thinking or message.tool_calls or message.tool_call_id or message.name:
        texts += [message.thinking, message.tool_call_id, message.name]
        for call in message.tool_calls:
            texts += [call.name, _unescaped(call.arguments), call.call_id]
    return texts


def _unescaped(arguments: str) -> str:
    """JSON text whose escapes hide nothing: ``\\u003c`` is read as ``<`` sooner or later."""
    if "\\u" not in arguments:
        return arguments
    try:
        return json.dumps(json.loads(arguments), ensure_ascii=False)
    except ValueError:
        return arguments


def _check_encodable(text: str, where: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TemplateError(
            f"{where}: half a surrogate pair at character {error.start}; expected whole Unicode characters, so read the "
            "source as UTF-8 again"
        ) from error


def _broken(message: Message, pattern: re.Pattern[str], guard: str, where: str) -> Message:
    calls = tuple(
        ToolCall(
            *(_break(text, pattern, guard, where) for text in (call.name, _unescaped(call.arguments), call.call_id))
        )
        for call in message.tool_calls
    )
    return replace(
        message,
        content=_break(message.content, pattern, guard, where),
        thinking=_break(message.thinking, pattern, guard, where),
        tool_calls=calls,
        tool_call_id=_break(message.tool_call_id, pattern, guard, where),
        name=_break(message.name, pattern, guard, where),
    )


def _break(text: str, pattern: re.Pattern[str], guard: str, where: str) -> str:
    # a second look: breaking one token may uncover a shorter one that overlapped it
    for _ in range(4):
        text, found = pattern.subn(lambda match: match.group()[:1] + guard + match.group()[1:], text)
        if not found:
            break
    if left := pattern.search(text):
        raise TemplateError(
            f"{where}: holds the text of the control token {left.group()!r}, which cannot be told from the token itself; "
            "take it out of the text"
        )
    return text


def encode(tokenizer: PreTrainedTokenizerBase, text: str, guard: str, control: ControlTokens) -> list[int]:
    """Ids of rendered `text`. Control tokens in it become control tokens; guarded text becomes plain text.

    Raises:
        TemplateError: the tokenizer cannot do that exactly.
    """
    ids = _guarded_ids(tokenizer, text, guard, control) if guard and guard in text else _ids(tokenizer, text)
    meant = [control.ids[match.group()] for match in control.pattern.finditer(text)]
    # the unknown token is also what an unknown character becomes
    numbers = set(control.ids.values()) - {tokenizer.unk_token_id}
    if [number for number in ids if number in numbers] != [number for number in meant if number in numbers]:
        raise TemplateError(
            "the tokenizer finds control tokens in the text of a message, where the template wrote none; expected special "
            "tokens that match their exact text only (normalized=False, special=True)"
        )
    return ids


def _guarded_ids(tokenizer: PreTrainedTokenizerBase, text: str, guard: str, control: ControlTokens) -> list[int]:
    segments = _segments(text, control)
    apart = [_segment_ids(tokenizer, segment, control) for segment in segments]
    # with the guards still in it, `text` is safe to encode whole: if cutting changes nothing here, it never does
    if list(chain.from_iterable(apart)) != _ids(tokenizer, text):
        raise TemplateError(
            "this tokenizer encodes a text differently when it is cut at control tokens, so control-token text inside a "
            "message cannot be kept apart; take it out of the messages"
        )
    plain = [
        _segment_ids(tokenizer, segment.replace(guard, ""), control, plain=True) if guard in segment else ids
        for segment, ids in zip(segments, apart, strict=True)
    ]
    return list(chain.from_iterable(plain))


def _segments(text: str, control: ControlTokens) -> list[str]:
    """`text` cut around its control tokens, which are segments of their own."""
    pieces: list[str] = []
    end = 0
    for match in control.pattern.finditer(text):
        pieces += [text[end : match.start()], match.group()]
        end = match.end()
    pieces.append(text[end:])
    return [piece for piece in pieces if piece]


def _segment_ids(
    tokenizer: PreTrainedTokenizerBase, segment: str, control: ControlTokens, *, plain: bool = False
) -> list[int]:
    if segment in control.ids and not plain:
        return [control.ids[segment]]
    return _ids(tokenizer, segment, split_special_tokens=True)


def _ids(tokenizer: PreTrainedTokenizerBase, text: str, *, split_special_tokens: bool = False) -> list[int]:
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=split_special_tokens, verbose=False)
    return list(encoded["input_ids"])


def decode(tokenizer: PreTrainedTokenizerBase, token_ids: Sequence[int]) -> str:
    """The text of `token_ids`, control tokens included, nothing tidied."""
    return str(tokenizer.decode(list(token_ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def joins(tokenizer: PreTrainedTokenizerBase, before: Sequence[int], after: Sequence[int], text: str) -> bool:
    """Whether `after`, put behind `before`, reads as `text`; the tokenizer may have normalised its Unicode."""
    anchor = list(before[-_ANCHOR_TOKENS:])
    wanted, found = decode(tokenizer, anchor) + text, decode(tokenizer, [*anchor, *after])
    return found == wanted or unicodedata.normalize("NFKC", found) == unicodedata.normalize("NFKC", wanted)
