"""What a conversation says, in the forms that rows are compared in.

The *prompt* of a row is what stands before its last assistant turn, without the system prompt (most rows of a set share
one, and it would make all of them look alike); its *answer* is that turn. What this module does not do: decide anything.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from groundtune.types import Conversation, Message

_WORD = re.compile(r"\w+")
_ONE_I = str.maketrans("İIı", "iii")


def folded(text: str) -> str:
    r"""NFC with every run of white space as one blank.

    >>> folded(" Lot\n\tnumarası ")
    'Lot numarası'
    """
    return " ".join(unicodedata.normalize("NFC", text).split())


def caseless(text: str) -> str:
    """Folded and in lower case, where the four forms of the letter i count as one in any language.

    >>> caseless("IŞIK") == caseless("ışık") == caseless("Işık")
    True
    """
    return folded(text).translate(_ONE_I).lower()


def words_of(text: str) -> list[str]:
    """
    >>> words_of("Ankara'da 3,5 ton!")
    ['ankara', 'da', '3', '5', 'ton']
    """
    return _WORD.findall(caseless(text))


def said(message: Message) -> str:
    """Content and tool calls: what the role says, without its thoughts."""
    return "\n".join([message.content, *(f"{call.name} {call.arguments}" for call in message.tool_calls)]).strip("\n")


def answer_index(conversation: Conversation) -> int:
    """Place of the last assistant turn among the messages; -1 when there is none."""
    for index in range(len(conversation.messages) - 1, -1, -1):
        if conversation.messages[index].role == "assistant":
            return index
    return -1


def prompt_text(conversation: Conversation) -> str:
    """All but system prompt and answer, a message after the other; empty for raw text."""
    last = answer_index(conversation)
    return "\n".join(
        said(message)
        for index, message in enumerate(conversation.messages)
        if index != last and message.role != "system"
    )


def answer_text(conversation: Conversation) -> str:
    """The last assistant turn; of a preference row the worse turns too; of raw text all of it."""
    if conversation.text:
        return conversation.text
    last = answer_index(conversation)
    turns = [conversation.messages[last]] if last >= 0 else []
    return "\n".join(said(message) for message in (*turns, *conversation.rejected))


def answers_of(conversation: Conversation) -> list[tuple[str, str]]:
    """Every text a model would learn to write, with its place: ``[("messages[1].content", "Evet.")]``."""
    if conversation.text:
        return [("text", conversation.text)]
    places = [
        (f"{part}[{index}].content", said(message))
        for part, messages in (("messages", conversation.messages), ("rejected", conversation.rejected))
        for index, message in enumerate(messages)
        if message.role == "assistant"
    ]
    return places or [("messages", "")]


def prompt_key(conversation: Conversation) -> bytes:
    """What copies of a prompt have in common: tools, system prompt and first user message, caseless; 16 bytes.

    Of raw text it is the text, and of a row without a user message all messages before the answer.
    """
    system = [message.content for message in conversation.messages if message.role == "system"]
    users = [message.content for message in conversation.messages if message.role == "user"]
    first = users[0] if users else prompt_text(conversation)
    parts = [conversation.text, *system, first]
    return digest([[caseless(part) for part in parts], [folded(tool) for tool in conversation.tools]])


def row_keys(conversation: Conversation) -> tuple[bytes, bytes]:
    """Hashes of all that is said and thought, by every role: as it stands, and folded. Ids of calls do not count."""
    plain = _contents(conversation)
    return digest(plain), digest(_folded(plain))


def digest(value: Any) -> bytes:
    """16 bytes of any JSON value; two of a billion rows agree by chance once in 10^20."""
    line = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return blake2b(line.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _contents(conversation: Conversation) -> list[Any]:
    def turns(messages: Sequence[Message]) -> list[Any]:
        return [
            [
                each.role,
                each.name,
                each.thinking,
                each.content,
                [[call.name, call.arguments] for call in each.tool_calls],
            ]
            for each in messages
        ]

    return [
        turns(conversation.messages),
        turns(conversation.rejected),
        list(conversation.tools),
        conversation.desired,
        conversation.text,
    ]


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return folded(value)
    return [_folded(item) for item in value] if isinstance(value, list) else value
