"""A block of conversations to token ids and weights, or to the reason why one has none.

Conversations go through the one renderer of :mod:`groundtune.chat`, raw text through the tokenizer alone. What this module
does not do: files, processes, or the choice of what stands in a block.

Legend: n examples of one conversation, N tokens of all of them together.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from groundtune.chat import Rendered, fit, render_many
from groundtune.chat.fitting import TOO_LONG
from groundtune.config import DataConfig
from groundtune.errors import DataError, TemplateError
from groundtune.types import Conversation, LeftOut, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

REFUSED = "the chat template does not render it"
NOTHING_TRAINED = "no token of it is trained"
NOT_DESIRED = "its answer is marked as not desired"
NO_TEXT = "text without a token to train"
NOT_ENCODABLE = "half a surrogate pair in the text"

_PLACE = re.compile(r"(?:conversation \d+: )?message (\d+) \([a-z]+\): ?")


@dataclass(frozen=True, slots=True)
class Rows:
    """What became of one conversation: n examples, one after the other."""

    token_ids: NDArray[np.int32]
    """[N]"""
    weights: NDArray[np.float32]
    """[N], of the token as a target; 0: not trained."""
    sizes: list[int]
    """[n] tokens of each example."""
    shortened: bool = False
    """Whether something was taken out of the conversation to make it fit."""


@dataclass(frozen=True, slots=True)
class Told:
    """A conversation as the chat template is given it."""

    messages: tuple[Message, ...]
    tools: tuple[str, ...]
    thinking: bool | None


def tell(conversation: Conversation, config: DataConfig) -> Told:
    """Messages, tools and mode of thinking; ``data.no_think_share`` of the conversations with thoughts lose them.

    Which ones is decided by a hash of the conversation's id, so it is the same on every run and in every order.
    """
    messages = conversation.messages
    if not config.no_think_share or not any(message.thinking for message in messages):
        return Told(messages, conversation.tools, None)
    digest = hashlib.sha256(f"no_think\x1f{conversation.conversation_id}".encode("utf-8", "surrogatepass")).digest()
    if int.from_bytes(digest[:8], "big") >= config.no_think_share * 2**64:
        return Told(messages, conversation.tools, True)
    plain = tuple(replace(message, thinking="") if message.thinking else message for message in messages)
    return Told(plain, conversation.tools, False)


def render_block(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], config: DataConfig
) -> Iterator[Rows | LeftOut]:
    """For each conversation, in order, its examples, or why it has none.

    Of preference data the chosen answers are what is trained.

    Raises:
        DataError: a conversation that is too long where ``data.overlong`` is ``error``, or one that cannot be rendered
            where ``data.strict`` is set; names file and line.
    """
    chats = [each for each in conversations if each.kind != "text" and each.desired is not False]
    found = zip(chats, _render_chats(tokenizer, chats, config), strict=True)
    for conversation in conversations:
        if conversation.kind == "text":
            rows = _render_text(tokenizer, conversation, config.max_tokens)
        elif conversation.desired is False:
            rows = LeftOut(conversation.origin, NOT_DESIRED)
        else:
            _, rows = next(found)
        if isinstance(rows, LeftOut) and config.strict and rows.reason != NOT_DESIRED:
            raise DataError(
                f"{place_of(conversation)}: {rows.reason} {rows.field} ({rows.found}); data.strict stops at it"
            )
        yield rows


def place_of(conversation: Conversation) -> str:
    """``file:row``."""
    return f"{conversation.origin.file}:{conversation.origin.row}"


def _render_chats(
    tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Conversation], config: DataConfig
) -> Iterator[Rows | LeftOut]:
    told = [tell(conversation, config) for conversation in conversations]
    many = render_many(
        tokenizer,
        [each.messages for each in told],
        tools=[each.tools for each in told],
        train_on=config.train_on,
        thinking=[each.thinking for each in told],
        refusals="collect",
    )
    sizes = np.diff(many.offsets)
    targets = count_targets(many.weights, many.offsets)
    borders = np.searchsorted(many.owners, np.arange(len(conversations) + 1)).tolist()
    for index, conversation in enumerate(conversations):
        first, end = borders[index], borders[index + 1]
        if index in many.refused:
            yield _refusal(conversation, many.refused[index])
        elif first < end and sizes[first:end].max() > config.max_tokens:
            yield _fit(tokenizer, conversation, told[index], int(sizes[first:end].max()), config)
        else:
            place = slice(int(many.offsets[first]), int(many.offsets[end]))
            rows = Rows(many.token_ids[place], many.weights[place], sizes[first:end].tolist())
            yield _trained_rows(conversation, rows, targets[first:end] > 0)


def _refusal(conversation: Conversation, words: str) -> LeftOut:
    """The renderer's sentence, its place in the field and the rest in what was found."""
    place = _PLACE.match(words)
    field = f"messages[{int(place[1]) - 1}]" if place else "messages"
    return LeftOut(conversation.origin, REFUSED, field, (words[place.end() :] if place else words)[:80])


def _fit(
    tokenizer: PreTrainedTokenizerBase, conversation: Conversation, told: Told, num_tokens: int, config: DataConfig
) -> Rows | LeftOut:
    if config.overlong == "error":
        raise DataError(
            f"{place_of(conversation)}: conversation {conversation.conversation_id!r} has {num_tokens} tokens, over data.max_tokens "
            f"({config.max_tokens}); raise it, or set data.overlong to skip, truncate_left or truncate_context"
        )
    if config.overlong == "skip":
        return LeftOut(conversation.origin, TOO_LONG, "messages", f"{num_tokens} tokens")
    try:
        found = fit(
            tokenizer,
            replace(conversation, messages=told.messages),
            max_tokens=config.max_tokens,
            policy=config.overlong,
            train_on=config.train_on,
            thinking=told.thinking,
        )
    except TemplateError as error:
        return _refusal(conversation, str(error))
    if isinstance(found, str):
        return LeftOut(conversation.origin, found, "messages", f"{num_tokens} tokens")
    rows = _in_arrays(found)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(rows.sizes, dtype=np.int64)])
    return _trained_rows(conversation, rows, count_targets(rows.weights, offsets) > 0)


def _in_arrays(rendered: Sequence[Rendered]) -> Rows:
    sizes = [len(each.token_ids) for each in rendered]
    ids = np.fromiter((number for each in rendered for number in each.token_ids), np.int32, sum(sizes))
    weights = np.fromiter((weight for each in rendered for weight in each.weights), np.float32, sum(sizes))
    return Rows(ids, weights, sizes, shortened=True)


def count_targets(weights: NDArray[np.float32], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """[n] trained tokens of each example. Its first token is none: nothing stands before it that could predict it.

    >>> count_targets(np.array([1, 0, 1, 1, 0], np.float32), np.array([0, 3, 5])).tolist()
    [1, 0]
    """
    weighed = weights > 0
    weighed[offsets[:-1][np.diff(offsets) > 0]] = False
    return np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(weighed, dtype=np.int64)])[offsets])


def _trained_rows(conversation: Conversation, rows: Rows, trained: NDArray[np.bool_]) -> Rows | LeftOut:
    """`rows` without examples that train nothing."""
    if trained.all() and len(trained):
        return rows
    if not trained.any():
        return LeftOut(conversation.origin, NOTHING_TRAINED, "messages")
    kept = np.repeat(trained, rows.sizes)
    sizes = [size for size, keep in zip(rows.sizes, trained.tolist(), strict=True) if keep]
    return Rows(rows.token_ids[kept], rows.weights[kept], sizes, rows.shortened)


def _render_text(tokenizer: PreTrainedTokenizerBase, conversation: Conversation, max_tokens: int) -> Rows | LeftOut:
    """Windows of `max_tokens`. Each begins with the last token of the one before, so that every token is predicted once."""
    try:
        conversation.text.encode("utf-8")
    except UnicodeEncodeError as error:
        return LeftOut(conversation.origin, NOT_ENCODABLE, "text", f"at character {error.start}")
    ids = encode_text(tokenizer, conversation.text)
    if len(ids) < 2:
        return LeftOut(conversation.origin, NO_TEXT, "text", conversation.text[:80])
    windows = [ids[first : first + max_tokens] for first in range(0, len(ids) - 1, max_tokens - 1)]
    sizes = list(map(len, windows))
    weights = np.ones(sum(sizes), dtype=np.float32)
    weights[np.cumsum([0, *sizes[:-1]])] = 0
    return Rows(np.concatenate(windows), weights, sizes)


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> NDArray[np.int32]:
    """[N] ids of a text that stands for itself, between the tokenizer's begin and end tokens where it has them.

    Text that reads like a control token stays text.
    """
    ids: Iterable[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)[
        "input_ids"
    ]
    begin = [tokenizer.bos_token_id] if tokenizer.bos_token_id is not None else []
    end = [tokenizer.eos_token_id] if tokenizer.eos_token_id is not None else []
    return np.array([*begin, *ids, *end], dtype=np.int32)
