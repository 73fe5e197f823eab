"""A person's rating of two answers, and the file that holds those of everybody.

The file only grows: a rating is one line, on the disk before the next question is shown, and what is taken back is a line
too. What this module does not do: know which answers there are now (:mod:`groundtune.evaluation.people.summary`).
"""

from __future__ import annotations

import fcntl
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from groundtune.errors import ConfigError, DataError
from groundtune.evaluation.figures.marks import CRITERIA, OVERALL, TIE, Source
from groundtune.files import make_folder, parse_json, parse_record, sha256_text, to_json, writing
from groundtune.types import OMIT_DEFAULT

Preferred = Literal["a", "b", "tie"]
Marks = dict[str, int]
"""By criterion, 1 to 5."""

Subject = tuple[str, str, tuple[tuple[str, str], ...]]
"""Who rated which answers; of two ratings with the same one the newer counts, whichever answer was A."""

WORST, BEST = 1, 5
MOST_RATER_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Rating:
    """One person's marks for two answers to a question, and which of them is the better one."""

    rater: str
    """A name or a pseudonym."""
    question_id: str
    systems: tuple[str, str]
    """Whose answers were shown as A and as B."""
    answers: tuple[str, str]
    """`answer_id` of each: what was rated, whatever the systems say later."""
    marks: tuple[Marks, Marks]
    preferred: Preferred
    reference_shown: bool = field(default=False, metadata=OMIT_DEFAULT)
    """Whether the rater had the right answer in sight."""
    withdrawn: bool = field(default=False, metadata=OMIT_DEFAULT)
    """Taken back: the earlier line of the same rater for the same answers does not count."""
    source: Source = field(default="documents", metadata=OMIT_DEFAULT)
    """Where the question is from."""

    @property
    def subject(self) -> Subject:
        return subject_of(self.rater, self.question_id, self.systems, self.answers)

    @property
    def same(self) -> bool:
        """Both systems gave one and the same answer: one thing to mark, and none the better one."""
        return self.answers[0] == self.answers[1]

    @property
    def preferred_system(self) -> str:
        """A system, or ``tie``."""
        return TIE if self.preferred == "tie" else self.systems["ab".index(self.preferred)]

    def marks_of(self, system: str) -> dict[str, float]:
        """By criterion, and ``overall``; empty for a system that is not among the two."""
        if system not in self.systems:
            return {}
        marks = self.marks[self.systems.index(system)]
        return {**marks, OVERALL: sum(marks.values()) / len(marks)}


def subject_of(rater: str, question_id: str, systems: tuple[str, str], answers: tuple[str, str]) -> Subject:
    return rater, question_id, tuple(sorted(zip(systems, answers, strict=True)))


def answer_id(question: str, answer: str) -> str:
    """What an answer is known by: 16 hexadecimal digits of the sha256 over question and answer."""
    return sha256_text(json.dumps([question, answer]))[:16]


def rater_name(text: str) -> str:
    """`text` as a name to file ratings under. Raises `ConfigError` for an empty, overlong or unprintable one."""
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if not name or len(name) > MOST_RATER_CHARACTERS or not name.isprintable():
        raise ConfigError(
            f"rater {text!r:.80}: expected a name or pseudonym of 1 to {MOST_RATER_CHARACTERS} printable characters"
        )
    return name


def parse_rating(value: Any, where: str) -> Rating:
    """A line of the file. Raises `DataError` that begins with `where`."""
    rating = parse_record(value, Rating, where=where)
    for letter, marks in zip("AB", rating.marks, strict=True):
        check_marks(marks, f"{where}: marks of {letter}")
    try:
        same = rater_name(rating.rater) == rating.rater
    except ConfigError as error:
        raise DataError(f"{where}: {error}") from error
    if not same:
        raise DataError(f"{where}: rater {rating.rater!r}: expected it as {rater_name(rating.rater)!r}")
    if rating.systems[0] == rating.systems[1]:
        raise DataError(f"{where}: systems are both {rating.systems[0]!r}, expected two")
    return rating


def check_marks(marks: Marks, where: str) -> None:
    """Raises `DataError` unless there is a mark from 1 to 5 on each criterion and on nothing else."""
    for name in marks:
        if name not in CRITERIA:
            raise DataError(f"{where}: unknown criterion {name!r}; expected {', '.join(CRITERIA)}")
    for name in CRITERIA:
        if name not in marks:
            raise DataError(f"{where}: no mark for {name}; expected one from {WORST} to {BEST}")
        if not WORST <= marks[name] <= BEST:
            raise DataError(f"{where}: {name} is {marks[name]}, expected {WORST} to {BEST}")


@dataclass(frozen=True, slots=True)
class Standing:
    """The ratings of a file that stand, in the order in which they were given."""

    ratings: tuple[Rating, ...]
    replaced: tuple[Rating, ...] = ()
    """Those that a newer one of the same rater for the same answers stands in for."""
    withdrawn: tuple[Rating, ...] = ()
    """Those that were taken back."""

    def of(self, source: Source) -> Standing:
        """What is about the questions of one source."""
        ratings, replaced, withdrawn = (
            tuple(rating for rating in some if rating.source == source)
            for some in (self.ratings, self.replaced, self.withdrawn)
        )
        return Standing(ratings, replaced, withdrawn)


def standing(lines: Iterable[Rating]) -> Standing:
    """What is left of `lines` when the newest one of each subject counts."""
    kept: dict[Subject, Rating] = {}
    replaced: list[Rating] = []
    withdrawn: list[Rating] = []
    for rating in lines:
        earlier = kept.pop(rating.subject, None)
        if earlier is not None:
            (withdrawn if rating.withdrawn else replaced).append(earlier)
        if not rating.withdrawn:
            kept[rating.subject] = rating
    return Standing(tuple(kept.values()), tuple(replaced), tuple(withdrawn))


class RatingFile:
    """A JSON Lines file that several people may append to at the same time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Standing:
        """Raises `DataError` with the line of what is no rating. A last line that a crash cut off was never confirmed to anybody
        and is not counted."""
        return standing(self._lines())

    def append(self, ratings: Sequence[Rating]) -> None:
        """On the disk, all of them, when this returns. Raises `StorageError`."""
        if not ratings:
            return
        make_folder(self.path.parent)
        text = "".join(to_json(rating) + "\n" for rating in ratings)
        with writing(self.path), locked_file(self.path) as handle:
            _mend_end(handle)
            os.lseek(handle, 0, os.SEEK_END)
            _write(handle, text.encode("utf-8"))
            os.fsync(handle)

    def _lines(self) -> Iterator[Rating]:
        if not self.path.exists():
            return
        whole, _, rest = self._bytes().rpartition(b"\n")
        try:
            lines = whole.decode("utf-8").split("\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error
        if _is_json(rest):
            lines.append(rest.decode("utf-8"))
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            yield parse_rating(parse_json(line, self.path, number), f"{self.path}:{number}")

    def _bytes(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from error


@contextmanager
def locked_file(path: Path) -> Iterator[int]:
    """A descriptor of the file, which is made where it is missing; one holder at a time, of all processes."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        # closing lets go of the lock
        os.close(handle)


def _write(handle: int, data: bytes) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _mend_end(handle: int) -> None:
    """A last line without its end is completed if it is whole, as an editor may leave it, and cut off if it is not."""
    size = os.fstat(handle).st_size
    content = os.pread(handle, size, 0)
    if not content or content.endswith(b"\n"):
        return
    begin = content.rfind(b"\n") + 1
    if _is_json(content[begin:]):
        os.lseek(handle, 0, os.SEEK_END)
        _write(handle, b"\n")
    else:
        os.ftruncate(handle, begin)


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def raters_of(ratings: Iterable[Rating]) -> tuple[str, ...]:
    """In the order in which they first rated."""
    return tuple(dict.fromkeys(rating.rater for rating in ratings))
