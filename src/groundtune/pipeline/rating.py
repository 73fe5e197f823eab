"""Which answers people rate, and what their ratings come to: joins the evaluation's answers, the documents and the ratings.

What this module does not do: talk to a person (:mod:`groundtune.cli.rating_session`, :mod:`groundtune.cli.rating_screen`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import ConfigError, DataError
from groundtune.files import read_records, write_records
from groundtune.pipeline import held_out
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Message

if TYPE_CHECKING:
    from groundtune.evaluation import AnswerRecord, Question
    from groundtune.evaluation.figures.marks import Source
    from groundtune.evaluation.judge import SetAnswers
    from groundtune.evaluation.people import Import, Item, PeopleSummary, Rateable, RatingFile


def rating_file(workspace: Workspace) -> RatingFile:
    from groundtune.evaluation.people import RatingFile

    return RatingFile(workspace.ratings)


def people_summary(workspace: Workspace) -> PeopleSummary | None:
    """What people said of the answers there are; None where nobody has rated anything."""
    from groundtune.evaluation.people import summarise

    given = rating_file(workspace).read()
    if not given.ratings:
        return None
    return summarise(given, answers_there(workspace), seed=workspace.config.seed)


def read_answers(workspace: Workspace) -> list[AnswerRecord]:
    """Raises `DataError` where nothing has been evaluated."""
    from groundtune.evaluation import AnswerRecord

    path = workspace.answers
    if not path.exists():
        raise DataError(f"{path}: no such file, so there are no answers to rate; `groundtune evaluate` makes them")
    return read_records(path, AnswerRecord)


def answers_there(workspace: Workspace) -> list[Rateable]:
    """All that people may have rated: questions about the documents, and shipped ones. Raises `DataError` as `read_answers`."""
    from groundtune.evaluation.people import rateable

    return [*map(rateable, read_answers(workspace)), *rateable_sets(_read_set_answers(workspace))]


def _read_set_answers(workspace: Workspace) -> list[SetAnswers]:
    """Empty where the shipped questions were not asked."""
    from groundtune.evaluation.judge import SetAnswers

    return read_records(workspace.set_answers, SetAnswers) if workspace.set_answers.exists() else []


def rateable_sets(answered: Iterable[SetAnswers]) -> list[Rateable]:
    """Both turns of each shipped question, rated as one."""
    from groundtune.evaluation.people import Rateable

    return [
        Rateable(
            question_id=each.id,
            language=each.language,
            kind=each.category,
            question=_in_turns(each.turns),
            reference=_in_turns(each.references) if any(each.references) else "",
            texts={model: _in_turns(said) for model, said in each.answers.items()},
            cluster=each.id,
            source="sets",
        )
        for each in answered
    ]


def _in_turns(texts: Iterable[str]) -> str:
    """
    >>> print(_in_turns(("Merhaba.", "")))
    (1) Merhaba.
    <BLANKLINE>
    (2) …
    """
    return "\n\n".join(f"({number}) {text.strip() or '…'}" for number, text in enumerate(texts, start=1))


def check_there(workspace: Workspace, source: Source) -> None:
    """Raises `DataError` where there is nothing to rate, before a name is asked for."""
    if source == "sets":
        if not _read_set_answers(workspace):
            raise DataError(
                f"{workspace.set_answers}: holds no answers to the shipped questions of everyday tasks; `groundtune judge` with "
                "evaluation.judge (provider and model) set, and its question_sets on, has both models answer them"
            )
    elif not read_answers(workspace):
        raise DataError(f"{workspace.answers}: holds no question, so there is nothing to rate")


def items_to_rate(
    workspace: Workspace, rater: str, *, systems: tuple[str, ...], questions: int, source: Source = "documents"
) -> list[Item]:
    """What this rater is shown, in order, rated or not.

    Args:
        systems: two whose answers are put side by side; empty: what tuning did, with the same passages where there are any.
        questions: at most so many, the same ones for every rater.

    Raises:
        ConfigError: the systems are not two of those that answered.
        DataError: nothing has been evaluated, or other questions than there are now.
    """
    from groundtune.evaluation.people import choose, rateable, shown_to

    check_there(workspace, source)
    sets = source == "sets"
    records = [] if sets else read_answers(workspace)
    there = rateable_sets(_read_set_answers(workspace)) if sets else [rateable(record) for record in records]
    pair = _two(systems, list(there[0].texts))
    seed = workspace.config.seed
    chosen = shown_to(rater, choose(there, count=questions, seed=seed), pair, seed=seed)
    if sets:
        return [_item(each, shown) for each, shown in chosen]
    by_id = {record.question_id: record for record in records}
    passages, asked = _asked(workspace)
    return [_document_item(each, by_id[each.question_id], shown, pair, passages, asked) for each, shown in chosen]


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


def _item(rated: Rateable, shown: tuple[str, str]) -> Item:
    from groundtune.evaluation.people import Item

    return Item(
        question_id=rated.question_id,
        language=rated.language,
        question=rated.question,
        reference=rated.reference,
        texts=(rated.texts[shown[0]], rated.texts[shown[1]]),
        systems=shown,
        source=rated.source,
    )


def _document_item(
    rated: Rateable,
    record: AnswerRecord,
    shown: tuple[str, str],
    pair: tuple[str, str],
    passages: Mapping[str, str],
    questions: Mapping[str, Question],
) -> Item:
    """With what was said before the question and what was given with it, numbered as in the prompt.

    Args:
        pair: the systems in an order that is the same whichever is shown as A.
    """
    question = questions.get(record.question_id)
    if question is None:
        raise DataError(
            f"question {record.question_id!r} of the answers is not among the questions there are now; "
            "`groundtune evaluate` asks those"
        )
    # of both systems together: whose passages they are is not to be seen
    given = list(dict.fromkeys(chunk_id for system in pair for chunk_id in record.answers[system].chunk_ids))
    return replace(
        _item(rated, shown),
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


def export_forms(workspace: Workspace, items: list[Item], rater: str, path: Path, *, reference_shown: bool) -> int:
    """Blind forms to be filled in, one a line; how many."""
    from groundtune.evaluation.people import form_of, form_salt

    salt = form_salt(workspace.form_salt)
    return write_records(path, (form_of(item, rater, salt, reference_shown=reference_shown) for item in items))


def export_ratings(workspace: Workspace, path: Path) -> int:
    """All ratings that stand, also of answers that have changed since; how many."""
    return write_records(path, rating_file(workspace).read().ratings)


def import_ratings(workspace: Workspace, path: Path) -> Import:
    """Add the ratings and the filled-in forms of a file. Raises `DataError` naming every line that is neither."""
    from groundtune.evaluation.people import form_salt, read_import

    file = rating_file(workspace)
    # where no form was ever written from here, none is to be made up
    salt = form_salt(workspace.form_salt) if workspace.form_salt.exists() else ""
    found = read_import(path, answers_there(workspace), file.read().ratings, salt)
    file.append(found.ratings)
    return found
