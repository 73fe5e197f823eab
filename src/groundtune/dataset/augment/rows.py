"""Which rows can be augmented, and which part of a user's message is the instruction.

A message often carries material to work on or a context beside the instruction. Only one line of it is put otherwise, and
everything else stays letter by letter: the last line when that asks (ends in a question mark), otherwise the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from groundtune.dataset.augment.outcome import NotMade, Refused
from groundtune.dataset.augment.wording import LANGUAGES
from groundtune.language import detect_language
from groundtune.types import Conversation, Language, Message


@dataclass(frozen=True, slots=True)
class Instruction:
    """A line of a message, with what stands before and after it."""

    before: str
    text: str
    after: str

    def with_text(self, text: str) -> str:
        return f"{self.before}{text}{self.after}"


def plain_turns(conversation: Conversation) -> tuple[int, int]:
    """Places of the first user message and of the last, which the last message answers. Raises `Refused`."""
    roles = [message.role for message in conversation.messages]
    unfit = (
        conversation.kind != "chat"
        or conversation.desired is False
        or "augmented" in conversation.fields
        or "tool" in roles
        or any(message.tool_calls for message in conversation.messages)
        or roles[-2:] != ["user", "assistant"]
        or not conversation.messages[-1].content.strip()
        or not conversation.messages[roles.index("user")].content.strip()
    )
    if unfit:
        raise Refused(NotMade.UNFIT, conversation.kind)
    return roles.index("user"), len(roles) - 2


def find_instruction(content: str) -> Instruction:
    r"""
    >>> find_instruction("Translate into Turkish.\nlot number")
    Instruction(before='', text='Translate into Turkish.', after='\nlot number')
    >>> find_instruction("The lot is 12.\n\nWhich lot is it?").text
    'Which lot is it?'
    """
    lines = content.split("\n")
    filled = [index for index, line in enumerate(lines) if line.strip()]
    chosen = filled[-1] if lines[filled[-1]].rstrip().endswith(("?", "؟", "？")) else filled[0]
    before = "".join(f"{line}\n" for line in lines[:chosen])
    after = "".join(f"\n{line}" for line in lines[chosen + 1 :])
    return Instruction(before, lines[chosen], after)


def with_content(messages: Sequence[Message], index: int, content: str) -> list[Message]:
    """`messages` with other content in one of them."""
    return [replace(message, content=content) if place == index else message for place, message in enumerate(messages)]


def language_of(conversation: Conversation) -> Language:
    """What the row says it is, or the likelier of the languages that prompts are written in."""
    said = "\n".join(message.content for message in conversation.messages if message.role != "system")
    return conversation.language or detect_language(said[:2000], LANGUAGES)
