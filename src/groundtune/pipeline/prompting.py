"""What each system is asked: the question as a rendered prompt, with the passages it is given or without any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from groundtune.config import Config
from groundtune.retrieval import Bm25Retriever
from groundtune.serving import fit_context
from groundtune.types import Chunk, Hit, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.evaluation import Question, System


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt for one question; without token ids nothing is asked, because there is no passage to answer from."""

    token_ids: tuple[int, ...]
    passages: tuple[str, ...] = ()
    chunk_ids: tuple[str, ...] = ()


@dataclass
class Prompting:
    """Renders questions as training and chat do."""

    config: Config
    tokenizer: PreTrainedTokenizerBase
    chunks: dict[str, Chunk]
    """Of the documents; empty where there are none."""
    position_limit: int | None = None
    """Tokens that the models take, an answer's included."""
    _retriever: Bm25Retriever | None = field(default=None, repr=False)
    _found: dict[str, tuple[Hit, ...]] = field(default_factory=dict, repr=False)

    def search(self, question: Question) -> tuple[str, ...]:
        """Ids of the chunks nearest to a question, best first, as many as `evaluation.retrieval_depth` or the prompt takes."""
        return tuple(hit.chunk.chunk_id for hit in self._hits(question))

    def fits(self, question: Question) -> bool:
        """Whether the models have room for the question, for the passages that come with it, and for an answer.

        Passages that search finds are only taken as far as there is room.
        """
        if self.position_limit is None:
            return True
        if question.passages:
            messages = self._over_own(question)
        elif given := self._given(question):
            messages = self._grounded(question, given)
        else:
            messages = self._bare(question)
        return (
            len(self._rendered(messages, question.tools)) <= self.position_limit - self.config.evaluation.max_new_tokens
        )

    def prompt(self, question: Question, system: System) -> Prompt:
        if not system.passages:
            return Prompt(self._rendered(self._bare(question), question.tools))
        if question.passages:
            return Prompt(self._rendered(self._over_own(question)), question.passages)
        chunks = self._given(question) or self._fitting(question)
        if not chunks:
            return Prompt(())
        return Prompt(
            self._rendered(self._grounded(question, chunks)),
            tuple(chunk.text for chunk in chunks),
            tuple(chunk.chunk_id for chunk in chunks),
        )

    def _given(self, question: Question) -> list[Chunk]:
        """What it was written over, where that is to be given."""
        given = question.given_chunk_ids if self.config.evaluation.context == "given" else ()
        return [self.chunks[chunk_id] for chunk_id in given]

    def _bare(self, question: Question) -> tuple[Message, ...]:
        """The question as one would ask it of a model that has no documents."""
        if question.turns:
            return question.turns
        # what the assistant of the documents is told is nothing to a model that has never had any
        turns = [Message("system", self.config.prompts[question.language].system)] if self.chunks else []
        for exchange in question.history:
            turns += [Message("user", exchange.question), Message("assistant", exchange.answer)]
        return (*turns, Message("user", question.question))

    def _over_own(self, question: Question) -> tuple[Message, ...]:
        """Over the passages that come with it."""
        return self._grounded(question, [_loose(text, question) for text in question.passages])

    def _grounded(self, question: Question, chunks: Sequence[Chunk]) -> tuple[Message, ...]:
        from groundtune.chat import grounded_messages

        prompt = self.config.prompts[question.language]
        return grounded_messages(prompt, chunks, question.question, history=question.history)

    def _fitting(self, question: Question) -> list[Chunk]:
        """What search finds, as far as the prompt holds it, in reading order: as chat does it."""
        # what would answer an unanswerable question is taken away, as it was when the question was made
        hidden = set() if question.answerable else set(question.evidence_chunk_ids) - set(question.given_chunk_ids)
        limit = self.config.dataset.max_tokens
        room = min(limit, self.position_limit or limit) - self.config.evaluation.max_new_tokens
        kept = fit_context(
            self.config.prompts[question.language],
            [hit for hit in self._hits(question) if hit.chunk.chunk_id not in hidden][: self.config.retrieval.top_k],
            question.question,
            count_tokens=lambda messages: len(self._rendered(messages)),
            max_tokens=room - self._history_tokens(question),
        )
        return sorted((hit.chunk for hit in kept), key=lambda chunk: (chunk.source, chunk.line_start))

    def _history_tokens(self, question: Question) -> int:
        """What was said before takes room beside the passages."""
        if not question.history:
            return 0
        alone = self._grounded(replace(question, history=()), ())
        return len(self._rendered(self._grounded(question, ()))) - len(self._rendered(alone))

    def _hits(self, question: Question) -> tuple[Hit, ...]:
        if question.question_id not in self._found:
            if self._retriever is None:
                self._retriever = Bm25Retriever(list(self.chunks.values()))
            depth = max(self.config.evaluation.retrieval_depth, self.config.retrieval.top_k)
            found = self._retriever.search(question.question, top_k=depth, language=question.language)
            self._found[question.question_id] = tuple(found)
        return self._found[question.question_id]

    def _rendered(self, messages: Sequence[Message], tools: Sequence[str] = ()) -> tuple[int, ...]:
        from groundtune.chat import render_prompt

        return tuple(render_prompt(self.tokenizer, messages, tools=tools))


def _loose(text: str, question: Question) -> Chunk:
    """A passage that comes with a question and stands in no document."""
    return Chunk(
        chunk_id="",
        module="",
        submodule="",
        section_heading="",
        breadcrumb=(),
        language=question.language,
        text=text,
        token_count=0,
        has_table=False,
        has_code=False,
        references_modules=(),
        db_tables=(),
        depth=0,
        source=question.question_id,
        line_start=0,
        line_end=0,
        sha256="",
    )
