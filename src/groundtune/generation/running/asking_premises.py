"""Questions with a false premise for the groups chosen for them: what is missing is sent, then all are read out of the ledger.

What this module does not do: word requests or check questions (:mod:`groundtune.generation.unanswerable.false_premise` does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.config import PromptConfig
from groundtune.generation.running.collecting import items_of
from groundtune.generation.running.replaying import Replay
from groundtune.generation.running.requesting import Asking
from groundtune.generation.running.sending import Conversation, Sent
from groundtune.generation.running.sessions import premise_conversation
from groundtune.generation.unanswerable.false_premise import check_premises
from groundtune.generation.verification import Rejection
from groundtune.llm import Ledger
from groundtune.types import Language, Pair


@dataclass(slots=True)
class Premises:
    """What came of the chosen groups, in their order."""

    pairs: list[Pair] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)
    """Groups that were given up, by reason."""
    asked: int = 0
    missing: int = 0
    """Groups without an answer so far."""
    cause: Exception | None = None
    answers: Collection[str] = ()
    """Keys of the answers that were read."""


def ask_premises(
    asking: Asking,
    pairs: Sequence[Pair],
    book: Ledger,
    send: Callable[[Sequence[Conversation], int], Sent],
    *,
    prompts: Mapping[Language, PromptConfig],
    writer: str,
) -> Premises:
    """Have every chosen group answered. `pairs` are the answerable ones: their questions are no traps."""
    asked = list(asking.false_premises())
    found = Premises(asked=len(asked))
    if not asked:
        return found
    replay = Replay(book)
    missing = [(group, first) for group, _, first in asked if replay.conversation(first) is None]
    conversations = [premise_conversation(replay.latest(first), group) for group, first in missing]
    found.cause = send(conversations, len(asked) - len(missing)).cause
    replay = Replay(book)
    found.answers = replay.found
    by_group: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_group.setdefault(pair.group_id, []).append(pair)
    for group, chunks, first in asked:
        conversation = replay.conversation(first)
        if conversation is None:
            found.missing += 1
            continue
        if conversation.failure:
            found.failures[f"false premises of a group: {conversation.failure}"] += 1
        accepted, rejections = check_premises(
            items_of(conversation),
            group,
            chunks,
            config=asking.config,
            prompts=prompts,
            writer=writer,
            pairs=by_group.get(group.group_id, ()),
        )
        found.pairs += accepted
        found.rejections += rejections
    return found
