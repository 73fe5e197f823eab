"""The answer's JSON Schema in the two shapes that providers take: strict, and in words.

Strict decoding takes a subset of JSON Schema: every object closed, every property required, no bounds. Sources, as of
2026-11: OpenAI's guide "Structured model outputs", section "Supported schemas"; Anthropic's guide "Structured outputs",
section "JSON Schema limitations"; `anthropic/lib/_parse/_transform.py` of the SDK. What the subset cannot say is told to
the model in the description; the checks of :mod:`groundtune.generation` hold it in any case.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

_KEPT = ("type", "enum", "const", "title", "$ref")
_BOUNDS = (
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minProperties",
    "maxProperties",
)
"""Said in the description instead."""
_WITHOUT_FORCE = (
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "$comment",
    "$schema",
    "$id",
    "discriminator",
)
"""Left out: they do not bind an answer."""


class _NotStrictError(Exception):
    """The schema says something that strict decoding cannot hold."""


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """A copy within the strict subset, or None where there is none (free-form maps, conditions, a root that is no object).

    >>> strict_schema({"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}})["properties"]
    {'n': {'type': 'integer', 'description': '(minimum: 1)'}}
    """
    try:
        strict = _strict(schema)
    except _NotStrictError:
        return None
    return strict if strict.get("type") == "object" else None


def schema_in_words(schema: Mapping[str, Any]) -> str:
    """What is added to a prompt where the server does not take a schema."""
    line = json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
    return (
        "Answer with one JSON object and nothing else: no words before or after it, no code fence. "
        f"The JSON must be valid for this JSON Schema:\n{line}"
    )


def _strict(schema: Mapping[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in schema.items() if name not in _WITHOUT_FORCE}
    if "allOf" in rest and set(rest) <= {"allOf", "description"}:
        return _only_part(rest)
    strict: dict[str, Any] = {name: rest.pop(name) for name in _KEPT if name in rest}
    if "$ref" in strict:
        return {"$ref": strict["$ref"]} | _definitions(rest)
    bounds = [f"{name}: {rest.pop(name)}" for name in _BOUNDS if name in rest]
    described = " ".join(filter(None, [rest.pop("description", ""), f"({', '.join(bounds)})" if bounds else ""]))
    if described:
        strict["description"] = described
    strict |= _definitions(rest)
    for name in ("anyOf", "oneOf"):
        if name in rest:
            strict["anyOf"] = [_strict(part) for part in rest.pop(name)]
    if "items" in rest:
        strict["items"] = _strict(_schema(rest.pop("items")))
    if strict.get("type") == "object" or "properties" in rest:
        strict |= _closed(rest)
    if rest:
        raise _NotStrictError(f"{sorted(rest)[0]} cannot be held")
    return _typed(strict)


def _typed(strict: dict[str, Any]) -> dict[str, Any]:
    """Every part has to say what it is."""
    choices = strict.get("enum", [strict["const"]] if "const" in strict else [])
    if choices and "type" not in strict and all(isinstance(choice, str) for choice in choices):
        strict["type"] = "string"
    if "type" not in strict and "anyOf" not in strict:
        raise _NotStrictError("a part of any type")
    if strict.get("type") == "array" and "items" not in strict:
        raise _NotStrictError("an array of anything")
    return strict


def _closed(rest: dict[str, Any]) -> dict[str, Any]:
    """Every property required and no other allowed. An optional property thereby has to be written, if only as empty."""
    rest.pop("required", None)
    if rest.pop("additionalProperties", False) not in (False, True):
        raise _NotStrictError("free-form keys")
    properties = rest.pop("properties", None)
    if not properties:
        raise _NotStrictError("an object without named properties")
    return {
        "type": "object",
        "properties": {name: _strict(_schema(part)) for name, part in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }


def _definitions(rest: dict[str, Any]) -> dict[str, Any]:
    if "$defs" not in rest:
        return {}
    return {"$defs": {name: _strict(part) for name, part in rest.pop("$defs").items()}}


def _only_part(rest: dict[str, Any]) -> dict[str, Any]:
    if len(rest["allOf"]) != 1:
        raise _NotStrictError("allOf")
    return _strict(rest["allOf"][0])


def _schema(part: Any) -> Mapping[str, Any]:
    if not isinstance(part, Mapping):
        raise _NotStrictError("a schema that is true or false")
    return part
