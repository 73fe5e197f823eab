"""Questions of one's own: SQuAD's JSON (1 and 2, whole or as rows), or records with a question and its answers, a line each or in
one array.

A record has `question` and one of `answer`, `answers`, `reference`, `references` (a text, or several of which any will do), or
``"answerable": false``, whose right answer is the refusal of its language. What else it may say: `id`, `language`, `type`,
`difficulty`, the passages it is asked over (`context`, `contexts`, `passages`), and `evidence`: chunk ids, or texts that stand
in the chunk which holds the answer.

What this module does not do: choose among the questions, or search passages for those that bring none.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from groundtune.config import PromptConfig
from groundtune.errors import DataError
from groundtune.evaluation.asking.fields import flag_of, identity_of, objects_of, shown, text_of, texts_of, word_of
from groundtune.evaluation.asking.questions import Question, language_of
from groundtune.files import parse_json, read_text
from groundtune.types import Chunk, Language

ANSWERS = ("answer", "answers", "reference", "references")
PASSAGES = ("context", "contexts", "passages")
KNOWN = ("id", "question", *ANSWERS, *PASSAGES, "language", "answerable", "type", "difficulty", "evidence")

NOWHERE = "evidence that stands in no chunk of the documents: the recall of search is not measured on it"
AMBIGUOUS = "evidence that stands in several chunks of the documents: the recall of search is not measured on it"

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
        left_out.update(_other_language(row, question))
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
        raise DataError(f"{place}: found {shown(value)}; expected a record with 'question' and 'answer'")
    if isinstance(value.get("answers"), dict):
        return _squad_record(value, place)
    evidence = texts_of(value, "evidence", place)
    return _Row(place, value, tuple((each,) for each in evidence), tuple(key for key in value if key not in KNOWN))


def _squad(value: Mapping[str, Any], path: Path) -> Iterator[_Row]:
    for a, article in enumerate(objects_of(value, "data", f"{path}: ")):
        for p, paragraph in enumerate(objects_of(article, "paragraphs", f"{path}: data[{a}].")):
            at = f"{path}: data[{a}].paragraphs[{p}]"
            context = text_of(paragraph, "context", at)
            for q, asked in enumerate(objects_of(paragraph, "qas", f"{at}.")):
                yield _squad_row(asked, context, f"{at}.qas[{q}]")


def _squad_record(value: Mapping[str, Any], place: str) -> _Row:
    """A row as data set hubs keep SQuAD: the context beside the question, answers as a list of texts and one of places."""
    answers = value["answers"]
    texts, starts = answers.get("text"), answers.get("answer_start")
    if not isinstance(texts, list):
        raise DataError(f"{place}: field 'answers.text': found {shown(texts)}; expected a list of texts")
    if starts is None:
        starts = [None] * len(texts)
    if not isinstance(starts, list) or len(starts) != len(texts):
        raise DataError(
            f"{place}: field 'answers.answer_start': found {shown(starts)}; expected a place for each of {len(texts)} texts"
        )
    listed = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    # a row of version 2 says that it has no answer by having none
    asked = {"is_impossible": not listed} | {key: value[key] for key in value if key not in ("context", "title")}
    return _squad_row(asked | {"answers": listed}, text_of(value, "context", place), place)


def _squad_row(asked: Mapping[str, Any], context: str, place: str) -> _Row:
    answers = [dict(each) for each in objects_of(asked, "answers", f"{place}.")] if "answers" in asked else []
    for number, answer in enumerate(answers):
        texts_of(answer, "text", f"{place}.answers[{number}]", needed=True)
    value = {
        "id": asked.get("id"),
        "question": asked.get("question"),
        "passages": [context] if context else [],
        "answers": [answer["text"] for answer in answers],
        "answerable": not flag_of(asked, "is_impossible", place, default=False),
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
    question = text_of(value, "question", place, needed=True)
    references = tuple(dict.fromkeys(each for key in ANSWERS for each in texts_of(value, key, place)))
    answerable = flag_of(value, "answerable", place, default=True)
    if answerable and not references:
        raise DataError(
            f"{place}: field 'answer': found nothing; give an answer, or \"answerable\": false for a question without one"
        )
    if not answerable and references:
        raise DataError(
            f"{place}: field 'answerable': found false beside the answer {shown(references[0])}; take one of the two out"
        )
    language = language_of(question, word_of(value, "language", place), list(prompts), likely)
    return Question(
        question_id=identity_of(value, place) or number,
        question=question,
        references=references or (prompts[language].refusal,),
        language=language,
        answerable=answerable,
        passages=tuple(each for key in PASSAGES for each in texts_of(value, key, place)),
        type=word_of(value, "type", place),
        difficulty=word_of(value, "difficulty", place),
    )


def _other_language(row: _Row, question: Question) -> list[str]:
    """What is said of a question's language where it has no prompt."""
    said = word_of(row.value, "language", row.place)
    if not said or said == question.language:
        return []
    return [f"language {said!r} of a question, which has no prompt: asked in {question.language!r}"]


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


def _one_line(text: str) -> str:
    return " ".join(text.replace("\ufeff", " ").split())
