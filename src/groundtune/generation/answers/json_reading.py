"""One JSON object out of what a model wrote, and whether anything had to be mended for it.

Three steps, each only where the one before failed: strict JSON; the same without the prose, fences or thoughts around it and
with line breaks inside strings; json-repair, if that loses nothing. **The law of repair**: with blanks aside, the repaired
object written as JSON holds every character of what was handed in, in its order. What may be added is structure (quotation
marks, backslashes before them, commas, colons, brackets), what may go is a comma before a closing bracket, and quotation
marks of another kind (``'``, ``“``) may become JSON's. So no key, element or letter of a string can disappear. Text that ends
early is never repaired: a closing quotation mark would make half a sentence whole.

What this module does not do: know what the object should hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

MAX_CHARACTERS = 4_000_000
"""Far more than any model writes at once; beyond it nothing is read."""

MAX_DEPTH = 32
"""Of brackets in brackets."""

_TOO_DEEP = f"more than {MAX_DEPTH} brackets stand inside each other"
_MAX_REPAIRED = 200_000
"""Characters; json-repair takes time that grows faster than the text."""

_MAX_STARTS = 50
"""Opening braces that are tried as the beginning of the object."""

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)
_THOUGHTS = re.compile(r"\A\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL)
_HALF_OF_LITERAL = re.compile(r"t|tr|tru|f|fa|fal|fals|n|nu|nul|-|\.|[eE][+-]?|u[0-9a-fA-F]{0,4}")
_NO_TEXT = re.compile("[\\0\\ud800-\\udfff]")


class UnreadableError(ValueError):
    """Not one JSON object. The message can be quoted to the writer: what was found, and where."""

    def __init__(self, message: str, *, ends_early: bool = False, start: int = 0) -> None:
        super().__init__(message)
        self.ends_early = ends_early
        """Whether everything is right as far as it goes."""
        self.start = start
        """Where the object begins in the text, if one does."""


@dataclass(frozen=True, slots=True)
class Read:
    value: dict[str, Any]
    mended: Literal["", "around", "inside"] = ""
    """What was not as it should be: what stands around the object (or line breaks in its strings), or its punctuation."""


def read_object(text: str, key: str) -> Read:
    """The one object with `key` in `text`.

    >>> read_object('Here you are:\\n```json\\n{"pairs": []}\\n```', "pairs")
    Read(value={'pairs': []}, mended='around')

    Raises:
        UnreadableError: there is none, it ends early, it is not JSON and cannot be mended without loss, or it holds what no text
            may hold.
    """
    if len(text) > MAX_CHARACTERS:
        raise UnreadableError(f"the answer has {len(text)} characters, more than {MAX_CHARACTERS}")
    if not text.strip():
        raise UnreadableError("the answer is empty", ends_early=True)
    read = _read_as_it_is(text, key) or _read_inside(text, key)
    _check_characters(read.value)
    return read


@dataclass(frozen=True, slots=True)
class Elements:
    values: list[Any]
    closed: bool
    """The bracket after the last one was seen."""


def read_elements(text: str, start: int, key: str) -> Elements:
    """The elements of the list under `key` whose last character was seen, of an object at `start` that ends early.

    >>> read_elements('{"pairs": [{"a": "x"}, {"a": "y', 0, "pairs")
    Elements(values=[{'a': 'x'}], closed=False)

    Raises:
        UnreadableError: a complete element holds what no text may hold.
    """
    values: list[Any] = []
    closed = False
    place = _list_start(text, start, key)
    while place < len(text) and not closed:
        place = _blank_end(text, place)
        if text[place : place + 1] == "]":
            closed = True
            break
        try:
            value, place = _decode(text, place)
        except json.JSONDecodeError:
            break
        place = _blank_end(text, place)
        if place == len(text) and not isinstance(value, dict | list | str):
            break  # 12 may be the beginning of 125
        values.append(value)
        place += text[place : place + 1] == ","
    _check_characters(values)
    return Elements(values, closed)


def _list_start(text: str, start: int, key: str) -> int:
    """Where the first element under `key` begins; the end of the text where the list has not begun."""
    place = _blank_end(text, start + 1)
    while place < len(text):
        try:
            name, place = _decode(text, place)
            place = _blank_end(text, place) + 1  # the colon
            if name == key:
                opening = _blank_end(text, place)
                return opening + 1 if text[opening : opening + 1] == "[" else len(text)
            _, place = _decode(text, _blank_end(text, place))
        except json.JSONDecodeError:
            break
        place = _blank_end(text, _blank_end(text, place) + 1)  # past the comma
    return len(text)


def _read_as_it_is(text: str, key: str) -> Read | None:
    """What is JSON already; None where it is not."""
    _check_depth(text)
    try:
        value = _STRICT.decode(text)
    except json.JSONDecodeError:
        return None
    except RecursionError as error:
        raise UnreadableError(_TOO_DEEP) from error
    if not isinstance(value, dict) or key not in value:
        raise UnreadableError(
            f"expected an object with the key {key!r}, found {_shown(json.dumps(value, ensure_ascii=False))}"
        )
    return Read(value)


def _read_inside(text: str, key: str) -> Read:
    """The object somewhere in `text`, mended where that loses nothing."""
    titled = re.compile(r"\{\s*[\"'“]?" + re.escape(key))
    opening = re.compile(r"\{\s*(?:[\"'“}]|\Z|" + re.escape(key) + ")")
    failure: json.JSONDecodeError | None = None
    start = 0
    thoughts = _THOUGHTS.match(text)
    match = opening.search(text, thoughts.end() if thoughts else 0)
    for _ in range(_MAX_STARTS):
        if match is None:
            break
        place, end = match.start(), match.end()
        try:
            value, end = _decode(text, place)
        except json.JSONDecodeError as error:
            # what begins with the key is the object that was meant, braces in the prose before it are not
            if failure is None or (titled.match(text, place) and not titled.match(text, start)):
                failure, start = error, place
            if _ends_early(error, text):
                break  # all that follows is inside
        else:
            if key in value:
                if titled.search(text, end) or (failure is not None and titled.match(text, start)):
                    raise UnreadableError(f"found more than one object with the key {key!r}; expected one")
                return Read(value, "around")
        match = opening.search(text, end)
    if failure is None:
        raise UnreadableError(f"found no JSON object with the key {key!r}, the text begins {_shown(text.strip())}")
    if _ends_early(failure, text):
        raise UnreadableError(f"the JSON ends early, after {_shown(text.rstrip()[-40:])}", ends_early=True, start=start)
    return Read(_repaired(text[start:], failure, key), "inside")


def _ends_early(error: json.JSONDecodeError, text: str) -> bool:
    """Whether the only fault is that there is no more."""
    if error.msg.startswith("Unterminated string"):
        return True
    rest = text[error.pos :].strip()
    return not rest or _HALF_OF_LITERAL.fullmatch(rest) is not None


def _repaired(text: str, failure: json.JSONDecodeError, key: str) -> dict[str, Any]:
    """What json-repair makes of it, if the law of repair holds."""
    from json_repair import repair_json

    found = UnreadableError(f"{failure.msg} at character {failure.pos}, found {_shown(failure.doc[failure.pos :])}")
    last = text.rfind("}") + 1
    inner = text[:last]
    outside = text[last:].strip().strip("`").strip()
    if "Invalid" in failure.msg or len(inner) > _MAX_REPAIRED or '"' in outside:
        raise found
    try:
        value = repair_json(inner, return_objects=True, skip_json_loads=True)
        _check_characters(value)
    except (RecursionError, ValueError, IndexError) as error:
        raise found from error
    if not isinstance(value, dict) or key not in value or not loses_nothing(inner, value):
        raise found
    return value


def loses_nothing(text: str, value: Any) -> bool:
    """Whether `value` holds all of `text`; the law of repair, at the top of this module.

    >>> loses_nothing('{"a": "is "x" it",}', {"a": 'is "x" it'})
    True
    >>> loses_nothing('{"a": 1 /* b */}', {"a": 1})
    False
    """
    handed_in = list(_characters(text))
    place = 0
    for character, is_content in _written(value):
        if character != "," and handed_in[place : place + 1] == [(",", False)] and _closes(handed_in, place + 1):
            place += 1
        same = place < len(handed_in) and _matches(handed_in[place], character, is_content)
        if same:
            place += 1
        elif is_content or character not in '",:]}':
            return False
    return place == len(handed_in)


def _matches(handed_in: tuple[str, bool], character: str, is_content: bool) -> bool:
    found, escaped = handed_in
    if found == character:
        return is_content or not escaped
    if is_content or escaped:
        return False
    return (found in "'‘’“”„" and character == '"') or (found in "TF" and found.lower() == character)


def _closes(handed_in: list[tuple[str, bool]], place: int) -> bool:
    return place < len(handed_in) and handed_in[place] in ((("]"), False), ("}", False))


_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _characters(text: str) -> Iterator[tuple[str, bool]]:
    """Every character but blanks, with whether it was escaped."""
    place = 0
    for match in _ESCAPE.finditer(text):
        yield from ((letter, False) for letter in text[place : match.start()] if not letter.isspace())
        named = match[1]
        letter = chr(int(named[1:], 16)) if len(named) == 5 else _ESCAPED.get(named, named)
        if not letter.isspace():
            yield letter, True
        place = match.end()
    yield from ((letter, False) for letter in text[place:] if not letter.isspace())


def _written(value: Any) -> Iterator[tuple[str, bool]]:
    """`value` as JSON, every character but blanks, with whether it is content of a string."""
    if isinstance(value, str):
        yield '"', False
        yield from ((letter, True) for letter in value if not letter.isspace())
        yield '"', False
    elif isinstance(value, dict):
        yield "{", False
        for number, (name, inner) in enumerate(value.items()):
            yield from ((",", False),) if number else ()
            yield from _written(str(name))
            yield ":", False
            yield from _written(inner)
        yield "}", False
    elif isinstance(value, list):
        yield "[", False
        for number, inner in enumerate(value):
            yield from ((",", False),) if number else ()
            yield from _written(inner)
        yield "]", False
    else:
        yield from ((letter, False) for letter in json.dumps(value))


def _check_depth(text: str) -> None:
    if text.count("{") + text.count("[") <= MAX_DEPTH:
        return
    depth = 0
    for match in _TOKEN.finditer(text):
        sign = match[0][0]
        if sign in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise UnreadableError(_TOO_DEEP)
        elif sign in "]}":
            depth -= 1


def _check_characters(value: Any) -> None:
    """No NUL and no half of a character: neither can be written to a file that others read."""
    if isinstance(value, str):
        found = _NO_TEXT.search(value)
        if found is not None:
            name = "the character NUL" if found[0] == "\0" else "half of a character (a lone surrogate)"
            raise UnreadableError(f"found {name}, \\u{ord(found[0]):04x}, in a string; expected text")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_characters(name)
            _check_characters(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_characters(inner)


def _shown(text: str) -> str:
    cut = text[:60].encode("utf-8", "replace").decode("utf-8")
    return repr(cut + ("…" if len(text) > 60 else ""))


def _no_constant(name: str) -> NoReturn:
    raise UnreadableError(f"found {name}, which is no JSON value; expected a number")


def _without_repeated_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(items)
    if len(value) < len(items):
        names = [name for name, _ in items]
        repeated = next(name for name in names if names.count(name) > 1)
        raise UnreadableError(f"the key {_shown(repeated)} stands twice in one object")
    return value


_STRICT = json.JSONDecoder(object_pairs_hook=_without_repeated_keys, parse_constant=_no_constant)
_LENIENT = json.JSONDecoder(object_pairs_hook=_without_repeated_keys, parse_constant=_no_constant, strict=False)


def _decode(text: str, place: int) -> tuple[Any, int]:
    """The value at `place`, line breaks in strings allowed, and where it ends."""
    try:
        return _LENIENT.raw_decode(text, place)
    except RecursionError as error:
        raise UnreadableError(_TOO_DEEP) from error


def _blank_end(text: str, place: int) -> int:
    while place < len(text) and text[place] in " \t\r\n":
        place += 1
    return place
