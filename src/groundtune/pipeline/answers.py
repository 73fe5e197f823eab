"""Answers of a model on disk, each written when it is there: a killed evaluation asks no question twice.

An answer is known by the model's files, the prompt's tokens and what ends it, so answers of a base model are found again
after another tuning, and none is ever taken for one of other weights.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from groundtune.errors import DataError
from groundtune.files import make_folder, parse_record, read_text, to_json, write_records, writing


@dataclass(frozen=True, slots=True)
class Kept:
    """A line of the file."""

    key: str
    text: str
    token_ids: tuple[int, ...]
    stopped: bool


def answer_key(model: str, prompt: Sequence[int], *, max_new_tokens: int, stop_ids: Collection[int]) -> str:
    """sha256 over all an answer depends on; `model` stands for the weights."""
    told = json.dumps([model, list(prompt), max_new_tokens, sorted(stop_ids)])
    return hashlib.sha256(told.encode()).hexdigest()


class AnswerFile:
    """Appends answers to a JSON Lines file and finds them again. A last line that a kill cut off is dropped."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept = {each.key: each for each in _read(path)}

    def __contains__(self, key: str) -> bool:
        return key in self._kept

    def __getitem__(self, key: str) -> Kept:
        return self._kept[key]

    def add(self, kept: Kept) -> None:
        self._kept[kept.key] = kept
        make_folder(self._path.parent)
        with writing(self._path), self._path.open("a", encoding="utf-8") as stream:
            stream.write(to_json(kept) + "\n")

    def settle(self, keys: Iterable[str]) -> None:
        """Put the answers into the order of `keys`: in the end a file that was written at one go and one that kills broke off are
        the same. Answers to other questions and of other models stand behind them: they were computed, and questions and
        settings may be changed back."""
        order = list(dict.fromkeys([*keys, *sorted(self._kept)]))
        if list(self._kept) != order:
            self._kept = {key: self._kept[key] for key in order}
            write_records(self._path, self._kept.values())


def _read(path: Path) -> list[Kept]:
    if not path.exists():
        return []
    _drop_cut_line(path)
    found = []
    for number, line in enumerate(read_text(path).split("\n")[:-1], start=1):
        try:
            found.append(parse_record(json.loads(line), Kept, where=f"{path}:{number}"))
        except ValueError as error:
            raise DataError(
                f"{path}:{number}: not a kept answer ({error}); delete the file, and the questions are asked again"
            ) from error
    return found


def _drop_cut_line(path: Path) -> None:
    """What stands behind the last line end was being written when the process died; it may end inside a character."""
    try:
        with path.open("rb") as stream:
            said = stream.read()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    whole = said.rfind(b"\n") + 1
    if whole < len(said):
        with writing(path):
            os.truncate(path, whole)
