"""A question as the evaluation asks it: of the test split, of held-out instruction data, or from a file of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.errors import EvaluationError
from groundtune.language import detect_language
from groundtune.types import Conversation, Example, Exchange, Language, Message


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what a right answer is."""

    question_id: str
    question: str
    references: tuple[str, ...]
    """Right answers, any of which will do; the first is the one shown. Of an unanswerable question: the refusal."""
    language: Language
    answerable: bool = True
    evidence_chunk_ids: tuple[str, ...] = ()
    """The chunks that hold the answer; empty where it is not known."""
    given_chunk_ids: tuple[str, ...] = ()
    """The passages it was written over."""
    passages: tuple[str, ...] = ()
    """The passages themselves, of a question whose file brings them with it and which are no chunks."""
    history: tuple[Exchange, ...] = ()
    turns: tuple[Message, ...] = ()
    """All that is asked, as it stands, of a question from instruction data; nothing is put around it."""
    tools: tuple[str, ...] = ()
    """Of instruction data: JSON Schema of each function, as text."""
    type: str = ""
    difficulty: str = ""
    rule: str = ""
    """As in the dataset; empty where a file does not say."""
    pair_id: str = ""
    """Of the pair it was made from, which leads back to its ledger entry."""

    @property
    def reference(self) -> str:
        return self.references[0]


def question_of(example: Example, history: tuple[Exchange, ...] = ()) -> Question:
    """Raises `EvaluationError` for an example that is not held out: the model was trained or chosen on it."""
    if example.split != "test":
        raise EvaluationError(
            f"record {example.example_id!r}: split is {example.split!r}, expected 'test'; questions the model was "
            "trained or chosen on would flatter it"
        )
    return Question(
        question_id=example.example_id,
        question=example.question,
        references=(example.reference,),
        language=example.language,
        answerable=example.answerable,
        evidence_chunk_ids=example.evidence_chunk_ids,
        given_chunk_ids=example.context_chunk_ids,
        history=history,
        type=example.type.value,
        difficulty=example.difficulty.value,
        rule=example.rule.value,
        pair_id=example.pair_id,
    )


def question_of_conversation(
    row: Conversation, languages: Sequence[Language], likely: Sequence[Language] = ()
) -> Question | None:
    """The last answer of held-out instruction data as a question; None where it does not end with a text to compare with.

    Args:
        languages: those that have a prompt.
        likely: of these, one of which a row that names none of `languages` is taken to be in; empty: any of them.
    """
    asked, answer = row.messages[:-1], row.messages[-1] if row.messages else None
    if answer is None or answer.role != "assistant" or not answer.content.strip() or not asked:
        return None
    question = next((message.content for message in reversed(asked) if message.role == "user"), asked[-1].content)
    return Question(
        question_id=row.conversation_id,
        question=question,
        references=(answer.content,),
        language=language_of(question, row.language, languages, likely),
        turns=asked,
        tools=row.tools,
        type=_text(row.fields.get("category")) or row.origin.source,
        difficulty=_text(row.fields.get("difficulty")),
    )


def language_of(
    question: str, said: Language, languages: Sequence[Language], likely: Sequence[Language] = ()
) -> Language:
    """What is said of a question's language where it is one of `languages`; otherwise the likeliest of `likely`, or of them all."""
    return said if said in languages else detect_language(question, likely or languages)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
