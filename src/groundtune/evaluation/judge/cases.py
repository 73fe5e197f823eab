"""From answers to cases: what the judge is to be shown of a question about the documents, and of a shipped one.

What this module does not do: choose among the questions, or word what is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from groundtune.config import AnswerJudgeConfig
from groundtune.evaluation.asking.questions import Question
from groundtune.evaluation.asking.systems import BARE_COMPARED, COMPARED
from groundtune.evaluation.figures.records import AnswerRecord
from groundtune.evaluation.judge.records import Case
from groundtune.evaluation.judge.sets import SetQuestion
from groundtune.llm import Passage
from groundtune.types import Chunk, Language, Message


@dataclass(frozen=True, slots=True)
class SetAnswers:
    """A line of ``conversations.jsonl``: a shipped question with what both models said in both turns."""

    id: str
    category: str
    language: Language
    turns: tuple[str, str]
    references: tuple[str, str]
    answers: dict[str, tuple[str, str]]
    """By model."""


def document_case(
    record: AnswerRecord, question: Question, chunks: Mapping[str, Chunk], config: AnswerJudgeConfig
) -> Case:
    """The answers of base and tuned model to one question, both with the same passages, and of the base model by itself as far
    as `config` wants it judged; or both without any.

    Args:
        question: that of `record`.
        chunks: at least those in the prompt of the tuned model, by id.
    """
    with_passages = COMPARED[0][1] in record.answers
    first, second = COMPARED[0] if with_passages else BARE_COMPARED[0]
    alone = COMPARED[1][0]
    pairs = [(first, second)]
    if with_passages and config.pairwise_base:
        pairs.append((alone, second))
    systems = [alone] if with_passages and config.base else []
    return Case(
        case_id=record.question_id,
        source="documents",
        language=record.language,
        category=record.type,
        turns=(record.question,),
        answers={system: (record.answers[system].text,) for system in (*systems, first, second)},
        references=("\n".join(dict.fromkeys(record.references)),),
        passages=_passages(record.answers[second].chunk_ids, question, chunks),
        history=_history(question),
        answerable=record.answerable,
        pairs=tuple(pairs),
    )


def set_case(answered: SetAnswers) -> Case:
    return Case(
        case_id=answered.id,
        source="sets",
        language=answered.language,
        category=answered.category,
        turns=answered.turns,
        answers=answered.answers,
        references=answered.references,
        pairs=BARE_COMPARED,
    )


def set_answers(question: SetQuestion, answers: Mapping[str, tuple[str, str]]) -> SetAnswers:
    """
    Args:
        answers: of both turns, by model.
    """
    return SetAnswers(
        question.id, question.category, question.language, question.turns, question.references, dict(answers)
    )


def _passages(shown: tuple[str, ...], question: Question, chunks: Mapping[str, Chunk]) -> tuple[Passage, ...]:
    if question.passages:
        return tuple(Passage(number, (), text) for number, text in enumerate(question.passages, start=1))
    return tuple(
        Passage(number, chunks[chunk_id].breadcrumb, chunks[chunk_id].text)
        for number, chunk_id in enumerate(shown, start=1)
    )


def _history(question: Question) -> tuple[Message, ...]:
    """What was said before the question itself."""
    if question.turns:
        return question.turns[:-1]
    said = []
    for exchange in question.history:
        said += [Message("user", exchange.question), Message("assistant", exchange.answer)]
    return tuple(said)
