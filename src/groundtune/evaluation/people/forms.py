"""Ratings as files: blind forms for people who have no groundtune, and what comes back.

A form shows a question and two answers and has empty places for marks; whose answers they are follows from its id, for those
who have the answers and the salt that stands beside them: without it, the id of a question that everybody knows would give the
systems away to whoever tries both. What this module does not do: write to the file of ratings.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

from groundtune.errors import ConfigError, DataError
from groundtune.evaluation.figures.marks import CRITERIA, Source
from groundtune.evaluation.people.items import Item, Rateable
from groundtune.evaluation.people.ratings import (
    Preferred,
    Rating,
    Subject,
    answer_id,
    check_marks,
    locked_file,
    parse_rating,
    rater_name,
    standing,
)
from groundtune.files import make_folder, parse_json, parse_record, read_text, sha256_text, writing
from groundtune.types import Language, Message

MOST_ERRORS_TOLD = 5

_SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Form:
    """A line to be filled in: eight marks from 1 to 5, and ``preferred``: ``"a"``, ``"b"`` or ``"tie"``."""

    form_id: str
    rater: str
    language: Language
    history: tuple[Message, ...]
    question: str
    passages: tuple[str, ...]
    reference: str
    """Empty where it is not to be seen."""
    answer_a: str
    answer_b: str
    marks_a: dict[str, int | None]
    marks_b: dict[str, int | None]
    preferred: Preferred | None

    @property
    def blank(self) -> bool:
        return self.preferred is None and not any(
            mark is not None for mark in (*self.marks_a.values(), *self.marks_b.values())
        )


def form_salt(path: Path) -> str:
    """What makes form ids unguessable: random, drawn once and kept in the file. Raises `StorageError`."""
    make_folder(path.parent)
    with writing(path), locked_file(path) as handle:
        salt = os.pread(handle, 2 * _SALT_BYTES, 0)
        if len(salt) < 2 * _SALT_BYTES:
            # none yet, or a crash cut it off before any form was written
            salt = secrets.token_hex(_SALT_BYTES).encode()
            os.pwrite(handle, salt, 0)
            os.fsync(handle)
    return salt.decode("ascii", "replace")


def form_of(item: Item, rater: str, salt: str, *, reference_shown: bool) -> Form:
    """An empty form; `salt` as `form_salt` has it."""
    return Form(
        form_id=_form_id(salt, item.question_id, item.systems, item.answers),
        rater=rater,
        language=item.language,
        history=item.history,
        question=item.question,
        passages=item.passages,
        reference=item.reference if reference_shown else "",
        answer_a=item.texts[0],
        answer_b=item.texts[1],
        marks_a=dict.fromkeys(CRITERIA),
        marks_b=dict.fromkeys(CRITERIA),
        preferred=None,
    )


def _form_id(salt: str, question_id: str, systems: tuple[str, str], answers: tuple[str, str]) -> str:
    return sha256_text(json.dumps([salt, question_id, systems, answers]))[:16]


def _unsalted_form_id(question_id: str, systems: tuple[str, str], answers: tuple[str, str]) -> str:
    """Of forms that an earlier groundtune wrote."""
    return sha256_text(json.dumps([question_id, systems, answers]))[:16]


@dataclass(frozen=True, slots=True)
class Import:
    """What a file of ratings and forms brings."""

    ratings: tuple[Rating, ...]
    """To be added: new ones, and ones that differ from what the same rater said before."""
    new: int
    replacing: int
    """Of `ratings`, those that stand in for an earlier one of the same rater for the same answers."""
    known: int
    """Lines that say what is known already."""
    repeated: int
    """Lines that a later one of the file stands in for."""
    blank: int
    """Forms that nobody has filled in."""
    changed: int
    """Filled-in forms over answers that are no longer the systems'; they cannot be told apart any more and are left out."""


def read_import(path: Path, there: Sequence[Rateable], present: Iterable[Rating], salt: str) -> Import:
    """The lines of a file, each a `Rating` or a filled-in `Form`, against those that stand already.

    Args:
        salt: of the forms, as `form_salt` has it.

    Raises:
        DataError: a line is neither; every such line is named, the first five with what is wrong. Nothing is taken then.
    """
    forms = _forms(there, salt)
    lines: list[Rating] = []
    wrong: list[str] = []
    blank = changed = 0
    # not splitlines(): U+2028 is a line end to it and an ordinary character to JSON
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}:{number}"
        try:
            value = parse_json(line, path, number)
            if not isinstance(value, dict) or "form_id" not in value:
                lines.append(parse_rating(value, where))
                continue
            form = parse_record(value, Form, where=where)
            if form.blank:
                blank += 1
            elif form.form_id in forms:
                lines.append(_filled(form, forms[form.form_id], where))
            else:
                changed += 1
        except DataError as error:
            wrong.append(str(error))
    if wrong:
        raise DataError(_told(wrong))
    return _against(lines, present, blank, changed)


def _told(wrong: Sequence[str]) -> str:
    more = len(wrong) - MOST_ERRORS_TOLD
    rest = [f"and {more} more wrong line{'s' if more > 1 else ''}"] if more > 0 else []
    return "\n".join([*wrong[:MOST_ERRORS_TOLD], *rest, "nothing was imported; mend the lines and import again"])


def _against(lines: Sequence[Rating], present: Iterable[Rating], blank: int, changed: int) -> Import:
    kept = standing(lines)
    earlier: Mapping[Subject, Rating] = {rating.subject: rating for rating in present}
    added = tuple(rating for rating in kept.ratings if earlier.get(rating.subject) != rating)
    new = sum(rating.subject not in earlier for rating in added)
    return Import(
        ratings=added,
        new=new,
        replacing=len(added) - new,
        known=len(kept.ratings) - len(added),
        repeated=len(lines) - len(kept.ratings),
        blank=blank,
        changed=changed,
    )


Shown = tuple[str, Source, tuple[str, str], tuple[str, str]]
"""Question id, where it is from, and the systems and the ids of their answers as A and B."""


def _forms(there: Iterable[Rateable], salt: str) -> dict[str, Shown]:
    """By form id: every two systems' answers to every question, in both orders."""
    found = {}
    for each in there:
        for pair in permutations(each.texts, 2):
            first, second = (answer_id(each.question, each.texts[system]) for system in pair)
            shown = (each.question_id, each.source, pair, (first, second))
            found[_form_id(salt, each.question_id, pair, (first, second))] = shown
            found[_unsalted_form_id(each.question_id, pair, (first, second))] = shown
    return found


def _filled(form: Form, shown: Shown, where: str) -> Rating:
    question_id, source, systems, answers = shown
    marks = []
    for letter, given in (("a", form.marks_a), ("b", form.marks_b)):
        there = {name: mark for name, mark in given.items() if mark is not None}
        check_marks(there, f"{where}: marks_{letter}")
        marks.append({name: there[name] for name in CRITERIA})
    if form.preferred is None:
        raise DataError(f"{where}: preferred is missing; expected a, b or tie")
    try:
        rater = rater_name(form.rater)
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from error
    return Rating(
        rater,
        question_id,
        systems,
        answers,
        (marks[0], marks[1]),
        form.preferred,
        reference_shown=bool(form.reference),
        source=source,
    )
