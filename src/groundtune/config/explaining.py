"""What is wrong with a configuration, in one sentence that names the line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from groundtune.config.whole import Config, under_link


def describe(
    error: ValidationError,
    name: str,
    lines: Mapping[tuple[str, ...], int],
    origin: Mapping[tuple[str, ...], str],
    names: Mapping[tuple[str, ...], str],
) -> str:
    """The first problem as one sentence, and how many more there are.

    Args:
        lines: of keys.
        origin: keys to the ``--set`` that gave them.
        names: keys to what they are called in the file, where that is not their own name.
    """
    problems = error.errors()
    # an unknown key first: it is what usually causes the others
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    keys = tuple(str(part) for part in first["loc"])
    if first["type"] == "value_error":
        # told of a whole section or of the whole file: the sentence names the key it is about
        keys = _named_key(_told(first), origin, lines) or keys
    line = _nearest_line(keys, lines)
    overridden = [text for known, text in origin.items() if known[: len(keys)] == keys or keys[: len(known)] == known]
    where = overridden[-1] if overridden and keys else f"{name}:{line}" if line else name
    more = len(problems) - 1
    sentence = _sentence(first, keys, names)
    return f"{where}: {sentence}" + (f" (and {more} more problem{'s' if more > 1 else ''})" if more else "")


def _sentence(problem: ErrorDetails, keys: tuple[str, ...], names: Mapping[tuple[str, ...], str]) -> str:
    dotted = ".".join(keys)
    if problem["type"] == "extra_forbidden":
        known = _known_keys(keys[:-1])
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        return f"unknown key {dotted!r}; {hint}"
    if problem["type"] == "missing":
        return f"{dotted!r} is missing"
    if problem["type"] == "value_error":
        told = _told(problem)
        return f"{told} (from {names[keys]})" if keys in names else told
    subject = f"{names[keys]} ({dotted})" if keys in names else dotted
    return f"{subject} is {problem['input']!r}; {_expected(problem)}"


def _told(problem: ErrorDetails) -> str:
    """The words of a check of ours, which knows its section and not whether that stands in `then`."""
    told = str(problem["ctx"]["error"])
    return under_link(told, int(problem["loc"][1])) if problem["loc"][:1] == ("then",) else told


def _expected(problem: ErrorDetails) -> str:
    """pydantic's words, in those of YAML; what they quote stays as it is."""
    if problem["type"] == "tuple_type":
        return "input should be a list"
    told = problem["msg"]
    return told[:1].lower() + told[1:]


def _named_key(
    sentence: str, origin: Collection[tuple[str, ...]], lines: Collection[tuple[str, ...]]
) -> tuple[str, ...]:
    """The first dotted key in `sentence` that a ``--set`` gave, else the first that stands in the file, else none."""
    named = [tuple(dotted.split(".")) for dotted in re.findall(r"[a-z_]+(?:\.[a-z_0-9]+)+", sentence)]
    overridden = [keys for keys in named if any(keys[: len(known)] == known for known in origin)]
    return next(iter([*overridden, *(keys for keys in named if keys in lines)]), ())


def _nearest_line(keys: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int | None:
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return lines[keys[:length]]
    return None


def _known_keys(section: tuple[str, ...]) -> list[str]:
    """Names a section accepts, found by walking the models along `section`."""
    model: Any = Config
    for part in section:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            break
        field = model.model_fields.get(part)
        if field is None:
            # a language under prompts, or a list index
            continue
        model = _section_of(field.annotation)
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None
