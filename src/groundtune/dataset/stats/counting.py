"""What is counted of each conversation of a split, one after the other.

What this module does not do: know where conversations come from, or lengths over all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.dataset.quality.languages import OTHERS
from groundtune.dataset.quality.texts import answer_text, prompt_key, prompt_text, row_keys
from groundtune.dataset.stats.figures import Duplicates, SourceStats, share_of
from groundtune.language import detect_language
from groundtune.types import Conversation, Language

SAMPLED_LANGUAGES = 1000
"""Conversations of a split, at most, whose language is looked at: it takes about a millisecond each."""

LEAST_LETTERS = 40
"""Of a text, for its language to be told."""

NAMED_FIELDS = ("category", "type", "task", "difficulty", "rule", "answerable")
"""Columns that rows are counted by where they hold a short text, number or truth value."""

MOST_VALUES = 40
"""Values of a column that are told apart; the rest are one."""

OTHER = "(others)"

_JUDGED_CHARACTERS = 2000


@dataclass(slots=True)
class Counting:
    """The counts of one split so far; ``every``: of so many conversations without a language one is looked at."""

    candidates: Sequence[Language]
    every: int = 1
    conversations: int = 0
    kinds: dict[str, Counter[str]] = field(default_factory=dict)
    languages: Counter[Language] = field(default_factory=Counter)
    found: Counter[Language] = field(default_factory=Counter)
    sources: dict[str, list[int]] = field(default_factory=dict)
    """Conversations, examples, tokens, trained tokens."""
    rows: set[bytes] = field(default_factory=set)
    prompts: set[bytes] = field(default_factory=set)
    repeated: int = 0
    unsaid: int = 0

    def add(self, conversation: Conversation, *, examples: int, tokens: int, trained_tokens: int) -> None:
        self.conversations += 1
        for kind, value in kinds_of(conversation):
            self._count(kind, value)
        self._language(conversation)
        self.repeated += _is_repeat(conversation)
        self.rows.add(row_keys(conversation)[1])
        self.prompts.add(prompt_key(conversation))
        source = self.sources.setdefault(conversation.origin.source, [0, 0, 0, 0])
        for place, amount in enumerate((1, examples, tokens, trained_tokens)):
            source[place] += amount

    def _count(self, kind: str, value: str) -> None:
        counts = self.kinds.setdefault(kind, Counter())
        counts[value if value in counts or len(counts) < MOST_VALUES else OTHER] += 1

    def _language(self, conversation: Conversation) -> None:
        self.languages[conversation.language] += 1
        if conversation.language:
            return
        if self.unsaid % self.every == 0:
            text = answer_text(conversation)
            if sum(map(str.isalpha, text)) < LEAST_LETTERS:
                text = f"{prompt_text(conversation)}\n{text}"
            text = text[:_JUDGED_CHARACTERS]
            enough = sum(map(str.isalpha, text)) >= LEAST_LETTERS
            self.found[detect_language(text, self.candidates) if enough else "?"] += 1
        self.unsaid += 1

    @property
    def duplicates(self) -> Duplicates:
        return Duplicates(self.conversations - len(self.rows), self.conversations - len(self.prompts), self.repeated)

    @property
    def by_source(self) -> dict[str, SourceStats]:
        return {
            name: SourceStats(conversations, examples, tokens, trained, share_of(trained, tokens))
            for name, (conversations, examples, tokens, trained) in self.sources.items()
        }


def candidates_among(languages: Sequence[Language]) -> tuple[Language, ...]:
    """Languages a text may turn out to be in; those that are expected first."""
    return tuple(dict.fromkeys((*languages, *OTHERS)))


def most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def kinds_of(conversation: Conversation) -> Iterator[tuple[str, str]]:
    """What a conversation is counted by: ``("kind", "chat")``, ``("answers", "2")``, ..."""
    yield "kind", conversation.kind
    if not conversation.text:
        answers = sum(message.role == "assistant" for message in conversation.messages)
        yield "answers", str(answers) if answers < 10 else "10 and more"
        parts = {
            "system prompt": any(message.role == "system" for message in conversation.messages),
            "tools": bool(conversation.tools),
            "tool calls": any(message.tool_calls for message in conversation.messages),
            "thoughts": any(message.thinking for message in conversation.messages),
        }
        for name, there in parts.items():
            if there:
                yield "with", name
    for name in NAMED_FIELDS:
        value = conversation.fields.get(name)
        if isinstance(value, (str, int, float)) and len(str(value)) <= 40:
            yield name, str(value)


def _is_repeat(conversation: Conversation) -> bool:
    """Whether mixing put a number behind the id that the row was read under."""
    _, mark, number = conversation.conversation_id.rpartition("#")
    return bool(mark) and number.isdigit() and number != "1"
