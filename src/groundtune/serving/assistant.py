"""One question, its chunks, its streamed answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.config import PromptConfig
from groundtune.errors import DataError
from groundtune.language import detect_language
from groundtune.types import Hit, Language, Message, Retriever


@dataclass(frozen=True)
class Reply:
    """What the model was given, and its answer as it comes. Without a passage the model is not asked: the answer is the refusal."""

    language: Language
    hits: tuple[Hit, ...]
    """The chunks in the prompt, best first."""
    dropped: int
    """Chunks found that did not fit."""
    pieces: Iterator[str]
    from_documents: bool = True
    """Whether passages were looked for."""


@dataclass(frozen=True)
class Dialogue:
    """Talks without documents, with a model tuned on instruction data: what was said so far is the prompt."""

    max_prompt_tokens: int
    count_tokens: Callable[[Sequence[Message]], int]
    """Tokens of the rendered prompt."""
    stream: Callable[[Sequence[Message]], Iterator[str]]
    """Text pieces of the model's answer to the rendered prompt."""
    turns: list[Message] = field(default_factory=list)
    """Questions and answers in turn; the oldest go where the prompt would grow too long."""

    def ask(self, question: str) -> Reply:
        """Start the answer; it is remembered when it has come to its end. Raises `DataError` for an empty question."""
        asked = Message("user", _checked(question))
        if (size := self.count_tokens((asked,))) > self.max_prompt_tokens:
            raise DataError(f"the question has too many tokens ({size}, at most {self.max_prompt_tokens}); shorten it")
        while self.turns and self.count_tokens((*self.turns, asked)) > self.max_prompt_tokens:
            del self.turns[:2]
        return Reply("", (), 0, self._answered(asked), from_documents=False)

    def _answered(self, asked: Message) -> Iterator[str]:
        said = ""
        for piece in self.stream((*self.turns, asked)):
            said += piece
            yield piece
        # a template takes no blank answer into a conversation
        if said.strip():
            self.turns.extend((asked, Message("assistant", said.strip())))


def _checked(question: str) -> str:
    if not question.strip():
        raise DataError("the question is empty; type one, or leave with Ctrl-D")
    return question.strip()


@dataclass(frozen=True)
class Assistant:
    """Answers from documents: everything it needs is handed in, nothing is kept between questions."""

    retriever: Retriever
    prompts: Mapping[Language, PromptConfig]
    languages: Sequence[Language]
    top_k: int
    max_prompt_tokens: int
    count_tokens: Callable[[Sequence[Message]], int]
    """Tokens of the rendered prompt."""
    stream: Callable[[Sequence[Message]], Iterator[str]]
    """Text pieces of the model's answer to the rendered prompt."""

    def ask(self, question: str) -> Reply:
        """Find chunks in the question's language and start the answer. Raises `DataError` for an empty question."""
        question = _checked(question)
        language = detect_language(question, self.languages)
        prompt = self.prompts[language]
        if (size := self.count_tokens(_messages(prompt, (), question))) > self.max_prompt_tokens:
            raise DataError(f"the question has too many tokens ({size}, at most {self.max_prompt_tokens}); shorten it")
        found = tuple(self.retriever.search(question, top_k=self.top_k, language=language))
        hits = fit_context(prompt, found, question, count_tokens=self.count_tokens, max_tokens=self.max_prompt_tokens)
        if not hits:
            # an answer from no passage could only be made up
            return Reply(language, (), len(found), iter((prompt.refusal,)))
        messages = _messages(prompt, hits, question)
        return Reply(language, hits, len(found) - len(hits), self.stream(messages))


def fit_context(
    prompt: PromptConfig,
    hits: Sequence[Hit],
    question: str,
    *,
    count_tokens: Callable[[Sequence[Message]], int],
    max_tokens: int,
) -> tuple[Hit, ...]:
    """The best hits whose rendered prompt keeps within `max_tokens`: a hit that does not fit is passed over."""
    kept: tuple[Hit, ...] = ()
    for hit in hits:
        if count_tokens(_messages(prompt, (*kept, hit), question)) <= max_tokens:
            kept = (*kept, hit)
    return kept


def _messages(prompt: PromptConfig, hits: Sequence[Hit], question: str) -> tuple[Message, ...]:
    # when it is asked: the room is also imported for the name of a file, by runs that render nothing
    from groundtune.chat import grounded_messages

    # in reading order, as in training: there the evidence is not always first either
    chunks = sorted((hit.chunk for hit in hits), key=lambda chunk: (chunk.source, chunk.line_start))
    return grounded_messages(prompt, chunks, question)
