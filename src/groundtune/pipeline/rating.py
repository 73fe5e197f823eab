"""Which answers people rate, and what their ratings come to: joins the evaluation's answers, the documents and the ratings.

What this module does not do: talk to a person (:mod:`groundtune.cli.rate`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import ConfigError, DataError
from groundtune.files import read_records, write_records
from groundtune.pipeline import held_out
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Message

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord, Question
    from groundtune.evaluation.people import Import, Item, PeopleSummary, RatingFile


def rating_file(workspace: Workspace) -> RatingFile:
    from groundtune.evaluation.people import RatingFile

    return RatingFile(workspace.ratings)


def people_summary(workspace: Workspace) -> PeopleSummary | None:
    """What people said of the answers there are; None where nobody has rated anything."""
    from groundtune.evaluation.people import summarise

    given = rating_file(workspace).read()
    if not given.ratings:
        return None
    return summarise(given, read_answers(workspace), seed=workspace.config.seed)


def read_answers(workspace: Workspace) -> list[AnswerRecord]:
    """Raises `DataError` where nothing has been evaluated."""
    from groundtune.evaluation import AnswerRecord

    path = workspace.answers
    if not path.exists():
        raise DataError(f"{path}: no such file, so there are no answers to rate; `groundtune evaluate` makes them")
    return read_records(path, AnswerRecord)


def items_to_rate(workspace: Workspace, rater: str, *, systems: tuple[str, ...], questions: int) -> list[Item]:
    """What this rater is shown, in order, rated or not.

    Args:
        systems: two whose answers are put side by side; empty: what tuning did, with the same passages where there are any.
        questions: at most so many, the same ones for every rater.

    Raises:
        ConfigError: the systems are not two of those that answered.
        DataError: nothing has been evaluated, or other questions than there are now.
    """
    from groundtune.evaluation.people import choose_records, shown_to

    records = read_answers(workspace)
    if not records:
        raise DataError(f"{workspace.evaluation / 'answers.jsonl'}: holds no question, so there is nothing to rate")
    pair = _two(systems, list(records[0].answers))
    seed = workspace.config.seed
    chosen = choose_records(records, count=questions, seed=seed)
    passages, questions_asked = _asked(workspace)
    return [
        _item(record, shown, passages, questions_asked) for record, shown in shown_to(rater, chosen, pair, seed=seed)
    ]


def _two(systems: tuple[str, ...], there: list[str]) -> tuple[str, str]:
    from groundtune.evaluation import BARE_COMPARED, COMPARED

    pairs = [pair for pair in (*COMPARED, *BARE_COMPARED) if set(pair) <= set(there)]
    if not systems and pairs:
        return pairs[0]
    if len(systems) != 2 or systems[0] == systems[1] or not set(systems) <= set(there):
        raise ConfigError(
            f"--systems {','.join(systems)!r}: expected two of {', '.join(there)}, with a comma between them"
        )
    return systems[0], systems[1]


def _asked(workspace: Workspace) -> tuple[Mapping[str, str], Mapping[str, Question]]:
    """The texts of the chunks, and the questions as they were asked; by id."""
    chunks = read_records(workspace.chunks, Chunk) if workspace.has_documents else []
    questions = held_out.gather_questions(workspace, chunks).questions
    return {chunk.chunk_id: chunk.text for chunk in chunks}, {question.question_id: question for question in questions}


def _item(
    record: AnswerRecord, shown: tuple[str, str], passages: Mapping[str, str], questions: Mapping[str, Question]
) -> Item:
    from groundtune.evaluation.people import Item

    question = questions.get(record.question_id)
    if question is None:
        raise DataError(
            f"question {record.question_id!r} of the answers is not among the questions there are now; "
            "`groundtune evaluate` asks those"
        )
    first, second = (record.answers[system] for system in shown)
    # of both systems together: whose passages they are is not to be seen
    given = sorted({*first.chunk_ids, *second.chunk_ids})
    return Item(
        question_id=record.question_id,
        language=record.language,
        question=record.question,
        reference=record.reference,
        texts=(first.text, second.text),
        systems=shown,
        history=_before(question),
        passages=(*question.passages, *(passages[chunk_id] for chunk_id in given if chunk_id in passages)),
        lost_passages=sum(chunk_id not in passages for chunk_id in given),
    )


def _before(question: Question) -> tuple[Message, ...]:
    """What was said before the question."""
    if question.turns:
        # the result of a tool may come after the question
        return question.turns[:-1] if question.turns[-1].role == "user" else question.turns
    return tuple(
        message
        for exchange in question.history
        for message in (Message("user", exchange.question), Message("assistant", exchange.answer))
    )


def export_forms(items: list[Item], rater: str, path: Path, *, reference_shown: bool) -> int:
    """Blind forms to be filled in, one a line; how many."""
    from groundtune.evaluation.people import form_of

    return write_records(path, (form_of(item, rater, reference_shown=reference_shown) for item in items))


def export_ratings(workspace: Workspace, path: Path) -> int:
    """All ratings that stand, also of answers that have changed since; how many."""
    return write_records(path, rating_file(workspace).read().ratings)


def import_ratings(workspace: Workspace, path: Path) -> Import:
    """Add the ratings and the filled-in forms of a file. Raises `DataError` naming every line that is neither."""
    from groundtune.evaluation.people import read_import

    file = rating_file(workspace)
    found = read_import(path, read_answers(workspace), file.read().ratings)
    file.append(found.ratings)
    return found
