"""Answers of a model on disk."""

import json
from pathlib import Path

from groundtune.pipeline.answers import AnswerFile, Kept


def kept(key: str) -> Kept:
    return Kept(key, f"answer {key}", (1, 2), True)


def keys_of(path: Path) -> list[str]:
    return [json.loads(line)["key"] for line in path.read_text(encoding="utf-8").splitlines()]


def test_answers_to_other_questions_stay_behind_those_asked_for_and_are_found_again(tmp_path) -> None:
    path = tmp_path / "answered.jsonl"
    for keys in ("cab", "de"):
        file = AnswerFile(path)
        for key in keys:
            file.add(kept(key))
        file.settle(keys)
    assert keys_of(path) == list("deabc")
    again = AnswerFile(path)
    assert all(key in again for key in "abcde")
    assert again["b"] == kept("b")
    again.settle("cab")
    assert keys_of(path) == list("cabde")


def test_a_file_written_at_one_go_and_one_written_in_pieces_are_the_same(tmp_path) -> None:
    for name, order in (("a", "abcd"), ("b", "dbca")):
        for key in order:
            AnswerFile(tmp_path / name).add(kept(key))
        AnswerFile(tmp_path / name).settle("cadb")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
