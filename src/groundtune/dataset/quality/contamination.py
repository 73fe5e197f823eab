"""Training rows that give away what is asked in validation, in test, or in a benchmark.

Two methods. A *near copy* of a prompt (edit similarity, :mod:`groundtune.dataset.quality.near`) is left out for validation
and test rows as well as for benchmarks. For benchmarks a row is also left out when 13 words in a row, in whatever turn, are
those of a question: Brown and others, *Language Models are Few-Shot Learners* (2020), appendix C, lower case and without
punctuation. Words that more than ten questions share ("which of the following ...") do not count (the paper asks in how many training
documents they stand, which a stream cannot know beforehand); a question of fewer than 13 words is left to the near copies. The
13 words are not held against validation and test rows: rows of one set share contexts and wordings by design, and half of it
would go. What this module does not see: a question in other words.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from hashlib import blake2b
from pathlib import Path

from groundtune.dataset.quality.benchmarks import read_questions
from groundtune.dataset.quality.near import Match, NearIndex, NearText
from groundtune.dataset.quality.reasons import Reason, left_out
from groundtune.dataset.quality.texts import prompt_text, said, words_of
from groundtune.types import Conversation, LeftOut

GRAM_WORDS = 13
COMMON_QUESTIONS = 10
"""Words that more questions than this have in common are a manner of asking, not a question."""


def decontaminate(
    train: Iterable[Conversation],
    held_out: Iterable[Conversation],
    benchmarks: Sequence[Path] = (),
    *,
    similarity: float = 0.9,
) -> Iterator[Conversation | LeftOut]:
    """The rows of `train` in order, those that give something away as `LeftOut`.

    Held-out rows and benchmarks are kept in memory as tables (at most 530 bytes a prompt, and 100 a word of a benchmark);
    `train` is streamed.

    Raises:
        DataError: a benchmark file cannot be read.
        StorageError: the temporary folder is full.
    """
    with ExitStack() as stack:
        checks: list[HeldOutPrompts | BenchmarkQuestions] = [
            HeldOutPrompts(stack.enter_context(NearIndex(similarity)), held_out)
        ]
        if benchmarks:
            checks.append(BenchmarkQuestions(stack.enter_context(NearIndex(similarity)), benchmarks))
        yield from _passed(train, checks)


def _passed(
    train: Iterable[Conversation], checks: Sequence[HeldOutPrompts | BenchmarkQuestions]
) -> Iterator[Conversation | LeftOut]:
    for conversation in train:
        reasons = (check(conversation) for check in checks)
        yield next((reason for reason in reasons if reason is not None), conversation)


class HeldOutPrompts:
    """Call it with one training row after the other. Raw text has no prompt; it is compared as a whole."""

    def __init__(self, index: NearIndex, held_out: Iterable[Conversation]) -> None:
        self._index = index
        for conversation in held_out:
            if (text := _prompt(conversation)).prompt:
                index.add(conversation.conversation_id, text)

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        text = _prompt(conversation)
        found = self._index.match(text) if text.prompt and len(self._index) else None
        if found is None:
            return None
        return left_out(conversation, Reason.NEAR_COPY_OF_HELD_OUT, found=_figure(found))


class BenchmarkQuestions:
    """Call it with one row after the other. Raises `DataError` when a file cannot be read."""

    def __init__(self, index: NearIndex, files: Sequence[Path]) -> None:
        self._index = index
        self._names: list[str] = []
        self._grams: dict[bytes, int] = {}
        """Hash of 13 words to the number of the first question that has them."""
        shared: Counter[bytes] = Counter()
        for path in files:
            for number, question in enumerate(read_questions(path), start=1):
                for gram in dict.fromkeys(_grams(question)):
                    self._grams.setdefault(gram, len(self._names))
                    shared[gram] += 1
                self._names.append(f"{path.name}, question {number}")
                index.add(self._names[-1], NearText.of(question, ""))
        for gram, count in shared.items():
            if count > COMMON_QUESTIONS:
                del self._grams[gram]

    def __call__(self, conversation: Conversation) -> LeftOut | None:
        places = [("text", conversation.text)] if conversation.text else []
        for index, message in enumerate(conversation.messages):
            if message.role == "system":
                continue
            place = f"messages[{index}].content"
            places.append((place, said(message)))
            if message.role == "user" and (found := self._index.match(NearText.of(message.content, ""))):
                return left_out(conversation, Reason.NEAR_COPY_OF_BENCHMARK, field=place, found=_figure(found))
        for place, text in places:
            for gram in _grams(text):
                if gram in self._grams:
                    name = self._names[self._grams[gram]]
                    return left_out(conversation, Reason.WORDS_OF_BENCHMARK, field=place, found=f"as in {name}")
        return None


def _prompt(conversation: Conversation) -> NearText:
    return NearText.of(conversation.text or prompt_text(conversation), "")


def _figure(found: Match) -> str:
    return f"{found.similarity:.3f} like {found.name}"


def _grams(text: str) -> Iterator[bytes]:
    words = words_of(text)
    for start in range(len(words) - GRAM_WORDS + 1):
        line = " ".join(words[start : start + GRAM_WORDS])
        yield blake2b(line.encode("utf-8", "surrogatepass"), digest_size=8).digest()
