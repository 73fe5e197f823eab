"""What augmentation hands back: new conversations, the reasons for what was not made, and what was asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from groundtune.types import Conversation, LeftOut, Message, Origin


class NotMade(StrEnum):
    """Why a row has no augmented form, in a fixed list of plain sentences."""

    UNFIT = "row is not a plain instruction with an answer"
    NO_WORDS = "instruction has too few words to be put otherwise"
    BRIEF_ALREADY = "answer is brief already"
    DECLINED = "writer declined"
    PROVIDER_REFUSED = "provider refused the request"
    CUT = "writer's answer was cut at its token limit"
    NOT_OF_FORM = "writer's answer is not of the asked form"
    EMPTY = "writer left it empty"
    SAME_WORDS = "instruction was not put otherwise"
    LOST = "a number, name or code of the instruction is missing"
    INVENTED = "a number or code that the original does not have"
    TOO_LONG = "longer than asked"
    TOO_SHORT = "shorter than an instruction is"
    OTHER_LANGUAGE = "in another language than asked"
    NEW_WORDS = "brief answer says what the original does not"
    REPEATED = "same instruction as another row"
    NEAR_EXISTING = "near an instruction that is there already"
    OUTPUT_IS_INPUT = "output is the input again"


@dataclass(frozen=True, slots=True)
class Augmented:
    """New rows, in the order of the rows they were made from.

    `asked` and `reused` count requests that were sent now or found in the ledger; they differ between runs that give the
    same conversations.
    """

    conversations: list[Conversation]
    left_out: list[LeftOut]
    """What could not be made; the rows it was to be made from stand as they are."""
    asked: int = 0
    reused: int = 0
    input_tokens: int = 0
    """Of all answers used, cached ones and those found again included."""
    output_tokens: int = 0

    def plus(self, other: Augmented) -> Augmented:
        """Both, one after the other."""
        return Augmented(
            [*self.conversations, *other.conversations],
            [*self.left_out, *other.left_out],
            self.asked + other.asked,
            self.reused + other.reused,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    @property
    def counts(self) -> dict[str, int]:
        """New rows by kind, for a stage's counts."""
        kinds = Counter(str(each.fields["augmented"]) for each in self.conversations)
        return {f"{kind} rows": kinds[kind] for kind in sorted(kinds)}

    @property
    def skips(self) -> dict[str, int]:
        """What could not be made, by kind and reason, for a stage's skips."""
        reasons = Counter(f"{each.field}: {each.reason}" for each in self.left_out)
        return dict(sorted(reasons.items()))


class Refused(Exception):  # noqa: N818 - a verdict on one answer, not an error of the program
    """An answer that does not pass. Never leaves this package."""

    def __init__(self, reason: NotMade, found: str = "") -> None:
        super().__init__(reason.value, found)
        self.reason = reason
        self.found = found


def not_made(origin: Origin, refused: Refused, kind: str) -> LeftOut:
    return LeftOut(origin, refused.reason.value, f"augment {kind}", refused.found[:80])


def augmented_from(conversation: Conversation, messages: Iterable[Message], *, kind: str, number: int) -> Conversation:
    """`conversation` with other messages, under an id and with fields that say what it is."""
    fields: dict[str, Any] = {**conversation.fields, "augmented": kind, "from": conversation.conversation_id}
    return replace(
        conversation,
        conversation_id=f"{conversation.conversation_id}~{kind}{number}",
        messages=tuple(messages),
        fields=fields,
    )
