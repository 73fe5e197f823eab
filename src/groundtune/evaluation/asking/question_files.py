"""Questions of one's own: SQuAD's JSON (1 and 2), or records with a question and its answers, a line each or in one array.

A record has `question` and one of `answer`, `answers`, `reference`, `references` (a text, or several of which any will do), or
``"answerable": false``, whose right answer is the refusal of its language. What else it may say: `id`, `language`, `type`,
`difficulty`, the passages it is asked over (`context`, `contexts`, `passages`), and `evidence`: chunk ids, or texts that stand
in the chunk which holds the answer.

What this module does not do: choose among the questions, or search passages for those that bring none.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from groundtune.config import PromptConfig
from groundtune.errors import DataError
from groundtune.evaluation.asking.questions import Question, language_of
from groundtune.files import parse_json, read_text
from groundtune.types import Chunk, Language

ANSWERS = ("answer", "answers", "reference", "references")
PASSAGES = ("context", "contexts", "passages")
KNOWN = ("id", "question", *ANSWERS, *PASSAGES, "language", "answerable", "type", "difficulty", "evidence")

NOWHERE = "evidence that stands in no chunk of the documents: the recall of search is not measured on it"
AMBIGUOUS = "evidence that stands in several chunks of the documents: the recall of search is not measured on it"

_SURROGATE = re.compile("[\ud800-\udfff]")
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|\n+")
_SQUAD_KEYS = {"id", "question", "answers", "is_impossible", "plausible_answers"}


@dataclass(frozen=True, slots=True)
class QuestionFile:
    """The questions of a file, in its order, and what of it is not used, by reason."""

    questions: tuple[Question, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Row:
    place: str
    """``questions.jsonl:12``; in a file of one value the way to it, ``dev.json: data[0].paragraphs[2].qas[1]``."""
    value: Mapping[str, Any]
    evidence: tuple[tuple[str, ...], ...] = ()
    """Of SQuAD: each with what to look for in turn."""
    unused: tuple[str, ...] = ()


def read_questions(
    path: Path,
    *,
    prompts: Mapping[Language, PromptConfig],
    likely: Sequence[Language] = (),
    chunks: Sequence[Chunk] = (),
) -> QuestionFile:
    """All questions of a file.

    Args:
        prompts: the languages that may be asked in.
        likely: of these, one of which a question that does not say, or says another, is taken to be in; empty: any of them.
        chunks: of the documents, in which evidence is looked for.

    Raises:
        DataError: naming file, line and field: no valid JSON, a field that is missing, empty or of the wrong type, an id that
            stands twice, a file without questions.
    """
    places = _Places(chunks)
    left_out: Counter[str] = Counter()
    known: dict[str, str] = {}
    questions: list[Question] = []
    for number, row in enumerate(_rows(path), start=1):
        question = _question(row, f"{path.stem}:{number}", prompts, likely)
        if question.question_id in known:
            raise DataError(
                f"{row.place}: field 'id': {question.question_id!r} stands twice, first in {known[question.question_id]}; expected "
                "one of each"
            )
        known[question.question_id] = row.place
        left_out.update(f"column {name!r} of the questions, which is not used" for name in row.unused)
        questions.append(places.with_evidence(question, row, left_out) if chunks else question)
    if not questions:
        raise DataError(
            f"{path}: holds no question; expected SQuAD's JSON, or a record with 'question' and 'answer' a line"
        )
    return QuestionFile(tuple(questions), dict(sorted(left_out.items())))


def _rows(path: Path) -> Iterator[_Row]:
    text = read_text(path).removeprefix("\ufeff")
    try:
        value = parse_json(text, path)
    except DataError:
        # several values are lines; what begins as one value of several lines is not
        if path.suffix.lower() == ".json":
            raise
        yield from _lines(text, path)
        return
    if isinstance(value, dict) and "data" in value and "question" not in value:
        yield from _squad(value, path)
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield _record(each, f"{path}: [{number}]")
    else:
        yield _record(value, f"{path}:1")


def _lines(text: str, path: Path) -> Iterator[_Row]:
    # not splitlines(): U+2028 and U+0085 are line ends to it and ordinary characters to JSON
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _record(parse_json(line, path, number), f"{path}:{number}")


def _record(value: Any, place: str) -> _Row:
    if not isinstance(value, dict):
        raise DataError(f"{place}: found {_shown(value)}; expected a record with 'question' and 'answer'")
    evidence = _texts(value, "evidence", place)
    return _Row(place, value, tuple((each,) for each in evidence), tuple(key for key in value if key not in KNOWN))


def _squad(value: Mapping[str, Any], path: Path) -> Iterator[_Row]:
    for a, article in enumerate(_objects(value, "data", f"{path}: ")):
        for p, paragraph in enumerate(_objects(article, "paragraphs", f"{path}: data[{a}].")):
            at = f"{path}: data[{a}].paragraphs[{p}]"
            context = _text(paragraph, "context", at)
            for q, asked in enumerate(_objects(paragraph, "qas", f"{at}.")):
                yield _squad_row(asked, context, f"{at}.qas[{q}]")


def _squad_row(asked: Mapping[str, Any], context: str, place: str) -> _Row:
    answers = [dict(each) for each in _objects(asked, "answers", f"{place}.")] if "answers" in asked else []
    for number, answer in enumerate(answers):
        _texts(answer, "text", f"{place}.answers[{number}]", needed=True)
    value = {
        "id": asked.get("id"),
        "question": asked.get("question"),
        "passages": [context] if context else [],
        "answers": [answer["text"] for answer in answers],
        "answerable": not _flag(asked, "is_impossible", place, default=False),
    }
    sentence = _sentence(context, answers[0].get("answer_start")) if answers else ""
    sought = tuple(each for each in (context, sentence) if each)
    return _Row(
        place, value, (sought,) if sought and answers else (), tuple(key for key in asked if key not in _SQUAD_KEYS)
    )


def _sentence(context: str, start: object) -> str:
    """The sentence of the context that a place is in."""
    if not isinstance(start, int) or isinstance(start, bool) or not 0 <= start < len(context):
        return ""
    ends = [0, *(match.end() for match in _SENTENCE_END.finditer(context)), len(context)]
    return next(context[low:high] for low, high in pairwise(ends) if low <= start < high)


def _question(row: _Row, number: str, prompts: Mapping[Language, PromptConfig], likely: Sequence[Language]) -> Question:
    value, place = row.value, row.place
    question = _text(value, "question", place, needed=True)
    references = tuple(dict.fromkeys(each for key in ANSWERS for each in _texts(value, key, place)))
    answerable = _flag(value, "answerable", place, default=True)
    if answerable and not references:
        raise DataError(
            f"{place}: field 'answer': found nothing; give an answer, or \"answerable\": false for a question without one"
        )
    if not answerable and references:
        raise DataError(
            f"{place}: field 'answerable': found false beside the answer {_shown(references[0])}; take one of the two out"
        )
    language = language_of(question, _word(value, "language", place), list(prompts), likely)
    return Question(
        question_id=_identity(value, place) or number,
        question=question,
        references=references or (prompts[language].refusal,),
        language=language,
        answerable=answerable,
        passages=tuple(each for key in PASSAGES for each in _texts(value, key, place)),
        type=_word(value, "type", place),
        difficulty=_word(value, "difficulty", place),
    )


@dataclass(slots=True)
class _Places:
    """In which chunk a text stands, blanks and line ends apart."""

    chunks: Sequence[Chunk]
    _ids: set[str] = field(init=False)
    _texts: list[tuple[str, str]] = field(init=False)
    _found: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ids = {chunk.chunk_id for chunk in self.chunks}
        self._texts = [(chunk.chunk_id, _one_line(chunk.text)) for chunk in self.chunks]

    def with_evidence(self, question: Question, row: _Row, left_out: Counter[str]) -> Question:
        found: list[str] = []
        for sought in row.evidence:
            standing = [self._where(each) for each in sought]
            chosen = next((ids[0] for ids in standing if len(ids) == 1), None)
            if chosen is not None:
                found.append(chosen)
            else:
                left_out[AMBIGUOUS if any(standing) else NOWHERE] += 1
        # recall over a part of the evidence would say too much
        whole = tuple(dict.fromkeys(found)) if len(found) == len(row.evidence) else ()
        return replace(question, evidence_chunk_ids=whole)

    def _where(self, sought: str) -> list[str]:
        if sought in self._ids:
            return [sought]
        if sought not in self._found:
            text = _one_line(sought)
            self._found[sought] = [chunk_id for chunk_id, chunk in self._texts if text in chunk]
        return self._found[sought]


def _objects(value: Mapping[str, Any], key: str, place: str) -> list[Mapping[str, Any]]:
    found = value.get(key)
    if not isinstance(found, list):
        raise DataError(f"{place}{key}: found {_shown(found)}; expected a list")
    for number, each in enumerate(found):
        if not isinstance(each, dict):
            raise DataError(f"{place}{key}[{number}]: found {_shown(each)}; expected an object")
    return found


def _texts(value: Mapping[str, Any], key: str, place: str, *, needed: bool = False) -> list[str]:
    """A text or a list of texts, none of them empty; of a field that is not there none, or an error where it is needed."""
    found = value.get(key)
    listed = found if isinstance(found, list) else [] if found is None else [found]
    if needed and not listed:
        raise DataError(f"{place}: field {key!r}: found nothing; expected a text")
    for each in listed:
        if not isinstance(each, str) or not each.strip("\ufeff \t\r\n"):
            raise DataError(f"{place}: field {key!r}: found {_shown(each)}; expected a text that is not empty")
        if _SURROGATE.search(each):
            raise DataError(f"{place}: field {key!r}: half a surrogate pair; expected whole Unicode characters")
    return [unicodedata.normalize("NFC", each.strip("\ufeff \t\r\n")) for each in listed]


def _text(value: Mapping[str, Any], key: str, place: str, *, needed: bool = False) -> str:
    """One text; empty where it is not there and not needed."""
    if isinstance(value.get(key), list):
        raise DataError(f"{place}: field {key!r}: found {_shown(value[key])}; expected one text")
    return "".join(_texts(value, key, place, needed=needed))


def _word(value: Mapping[str, Any], key: str, place: str) -> str:
    found = value.get(key)
    if found is not None and not isinstance(found, str):
        raise DataError(f"{place}: field {key!r}: found {_shown(found)}; expected a text")
    return found or ""


def _flag(value: Mapping[str, Any], key: str, place: str, *, default: bool) -> bool:
    found = value.get(key)
    if found is not None and not isinstance(found, bool):
        raise DataError(f"{place}: field {key!r}: found {_shown(found)}; expected true or false")
    return default if found is None else found


def _identity(value: Mapping[str, Any], place: str) -> str:
    found = value.get("id")
    if isinstance(found, int) and not isinstance(found, bool):
        return str(found)
    return _word(value, "id", place)


def _one_line(text: str) -> str:
    return " ".join(text.replace("\ufeff", " ").split())


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value!r:.80}"
