"""Tables: a row's meaning, a cell, a yes or no, a column as a list, and two rows compared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import ModuleType

from groundtune.language import lower_case
from groundtune.llm.offline import table_wording_english, table_wording_turkish
from groundtune.llm.offline.columns import Columns, columns_of, has_figure, is_empty
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import Row, Table, plain
from groundtune.llm.offline.topics import Topic
from groundtune.types import Difficulty, QuestionType

_MAX_LISTED = 12
_MAX_CELL_WORDS = 30
_MAX_COMPARED = 3
_YES = {"evet": True, "hayır": False, "yes": True, "no": False}
_WEIGHTS = {"meaning": 83, "remedy": 82, "value": 84, "default": 84, "type": 50}
_WORDING: dict[str, ModuleType] = {"tr": table_wording_turkish, "en": table_wording_english}


def table_questions(table: Table, topic: Topic, number: int) -> Iterator[Draft]:
    """Drafts for a table of passage `number`; tables whose headers say too little give none."""
    columns = columns_of(table, topic)
    if columns is None or len(table.rows) < 2:
        return
    rows = [row for row in table.rows if _is_usable(row)]
    for place, row in enumerate(rows):
        for column in range(1, len(table.header)):
            yield from _cell(columns, row, column, number, place)
    if len(rows) == len(table.rows):
        yield from _column_list(columns, rows, number)
    yield from _comparisons(columns, rows, number)


def _is_usable(row: Row) -> bool:
    key = plain(row.cells[0])
    return (
        0 < len(key.split()) <= 8
        and "](" not in row.text
        and "<" not in key
        and "<br" not in row.text
        and len(row.text) < 500
    )


def _cell(columns: Columns, row: Row, column: int, number: int, place: int) -> Iterator[Draft]:
    key, cell = plain(row.cells[0]), plain(row.cells[column])
    wording = _WORDING[columns.topic.language]
    if is_empty(cell) or key.count("`") > 2 or ", " in key or len(cell.split()) > _MAX_CELL_WORDS:
        return
    yes = _YES.get(lower_case(cell, columns.topic.language))
    if yes is None:
        asked = wording.cell_question(columns, row, column)
        kind, weight = QuestionType.FACTUAL, _WEIGHTS.get(columns.holds[column], 70)
    else:
        asked = wording.yes_no_question(columns, row, column, yes)
        kind, weight = QuestionType.INFERENTIAL, 66
    if asked is None:
        return
    # rows take turns, so that the first pairs of a table are not all of its first row
    turn = (place * 7) % 11
    yield Draft(asked[0], asked[1], kind, Difficulty.EASY, (Quote(number, row.text),), key, "table row", weight - turn)


def _column_list(columns: Columns, rows: list[Row], number: int) -> Iterator[Draft]:
    keys = [plain(row.cells[0]) for row in rows]
    if (
        not 3 <= len(rows) <= _MAX_LISTED
        or not columns.named
        or any(len(key.split()) > 5 or ", " in key for key in keys)
    ):
        return
    asked = _WORDING[columns.topic.language].column_question(columns, keys)
    if asked is not None:
        quotes = tuple(Quote(number, row.text) for row in rows)
        yield Draft(
            asked[0], asked[1], QuestionType.LIST, Difficulty.MEDIUM, quotes, columns.topic.name, "table column", 80
        )


def _comparisons(columns: Columns, rows: list[Row], number: int) -> Iterator[Draft]:
    """Neighbouring rows, by the columns in which they differ and which say something."""
    if columns.named in ("field", "role", "parameter"):
        return
    for place, (first, second) in enumerate(list(pairwise(rows))[:_MAX_COMPARED]):
        keys = plain(first.cells[0]), plain(second.cells[0])
        differing = _differing(columns, first, second)
        if not differing or any(key.count("`") > 2 or ", " in key or len(key.split()) > 5 for key in keys):
            continue
        question = _WORDING[columns.topic.language].comparison_question(columns, keys)
        answer = (
            "; ".join(
                f"{key}: {_said(columns, row, differing)}" for key, row in zip(keys, (first, second), strict=True)
            )
            + "."
        )
        if question is None or len(answer.split()) > 45:
            continue
        quotes = (Quote(number, first.text), Quote(number, second.text))
        weight = (45 if columns.are_errors else 72) - place
        yield Draft(
            question, answer, QuestionType.COMPARATIVE, Difficulty.MEDIUM, quotes, keys[0], "table rows", weight
        )


def _differing(columns: Columns, first: Row, second: Row) -> list[int]:
    """One column that tells what the row means, else up to two with figures or a yes and no."""
    indexes = [
        index
        for index in range(1, len(columns.headers))
        if columns.is_telling(index)
        and plain(first.cells[index]) != plain(second.cells[index])
        and not is_empty(plain(first.cells[index]))
        and not is_empty(plain(second.cells[index]))
    ]
    meanings = [index for index in indexes if columns.holds[index] == "meaning"]
    if meanings:
        return meanings[:1] if columns.named else []
    both = [
        index for index in indexes if has_figure(plain(first.cells[index])) and has_figure(plain(second.cells[index]))
    ]
    return both[:2] or (indexes[:2] if columns.named == "status" else [])


def _said(columns: Columns, row: Row, indexes: list[int]) -> str:
    parts = []
    for index in indexes:
        amount = columns.amount(row, index)
        parts.append(amount if columns.holds[index] == "meaning" else f"{columns.label(index)} {amount}")
    return ", ".join(parts)
