"""What the scripted model says: real pairs by groundtune's offline writer, in the schema asked for, and ways to spoil them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scripted_faults import draw
from scripted_requests import ProviderRequest

from groundtune.llm import LLMRequest, OfflineWriter, parse_task


def offline_answer(request: ProviderRequest) -> str:
    """Pairs about the passages of the request; without a task line the smallest value of its schema."""
    schema = request.schema or schema_in(f"{request.system}\n\n{request.user}")
    if parse_task(request.user) is None or (schema is not None and "pairs" not in schema.get("properties", {})):
        return smallest_answer(request)
    text = _written(LLMRequest(request.system, request.user, schema or {}, OfflineWriter.model))
    return _as_text(fitted(json.loads(text), schema, schema)) if schema else text


def smallest_answer(request: ProviderRequest) -> str:
    """The smallest value of the schema; fast, for measuring everything else."""
    schema = request.schema or schema_in(f"{request.system}\n\n{request.user}") or {"type": "object"}
    return _as_text(smallest(schema, schema))


ANSWERS = {"offline": offline_answer, "smallest": smallest_answer}


def _written(request: LLMRequest) -> str:
    """The offline writer awaits nothing, so one step of its coroutine is the whole of it."""
    try:
        OfflineWriter().complete(request).send(None)
    except StopIteration as done:
        return str(done.value.text)
    raise AssertionError("the offline writer waited for something")


def schema_in(text: str) -> Mapping[str, Any] | None:
    """The first JSON Schema of an object that is written out in `text`: how a model is told without a schema parameter."""
    decoder = json.JSONDecoder()
    position = text.find("{")
    while position >= 0:
        try:
            value, end = decoder.raw_decode(text, position)
        except ValueError:
            end = position + 1
        else:
            if isinstance(value, dict) and isinstance(value.get("properties"), dict):
                return value
        position = text.find("{", end)
    return None


def smallest(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """The smallest value of `schema`: required fields only, the first of an enumeration, true.

    >>> smallest({"type": "object", "properties": {"a": {"type": "integer", "minimum": 3}, "b": {}}, "required": ["a"]}, {})
    {'a': 3}
    """
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind: Any = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: smallest(schema["properties"][name], root) for name in schema.get("required", ())}
    if kind == "array":
        return [smallest(schema.get("items", {}), root) for _ in range(schema.get("minItems", 0))]
    if kind == "string":
        return "text".ljust(schema.get("minLength", 0), "x")
    return {"integer": schema.get("minimum", 1), "number": schema.get("minimum", 1.0), "boolean": True}.get(kind)


def fitted(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    """`value` with what `schema` requires and lacks filled in, and what it forbids left out."""
    schema = _resolved(schema, root)
    if isinstance(value, dict) and "properties" in schema:
        known = schema["properties"]
        kept = {name: fitted(part, known[name], root) for name, part in value.items() if name in known}
        missing = {name: smallest(known[name], root) for name in schema.get("required", ()) if name not in kept}
        return kept | missing
    if isinstance(value, list) and "items" in schema:
        return [fitted(part, schema["items"], root) for part in value]
    if "enum" in schema and value not in schema["enum"]:
        return schema["enum"][0]
    return value


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while True:
        if "$ref" in schema:
            target: Any = root
            for name in schema["$ref"].removeprefix("#/").split("/"):
                target = target[name]
            schema = target
        elif any(name in schema for name in ("anyOf", "oneOf", "allOf")):
            schema = next(schema[name] for name in ("anyOf", "oneOf", "allOf") if name in schema)[0]
        else:
            return schema


_WORDS = {
    "tr": ("İstediğiniz soru-cevap çiftleri aşağıdadır:", "Başka bir isteğiniz olursa yazabilirsiniz."),
    "en": ("Here are the question-answer pairs you asked for:", "Let me know if you would like any changes."),
}
_OTHER_LANGUAGE = {
    "tr": "What should the user of the system do before the record number {n} is saved and sent to the warehouse?",
    "en": "Kullanıcı {n} numaralı kaydı kaydetmeden ve depoya göndermeden önce hangi bilgileri denetlemelidir?",
}
_INVENTED = {
    "tr": "Bu kural yalnızca merkez şubede, her ayın on yedinci günü gece yarısından sonra uygulanır.",
    "en": "This rule is applied in the head office only, after midnight on the seventeenth day of the month.",
}


def spoiled(text: str, fault: str, request: ProviderRequest) -> str:
    """The answer `text` as the content fault leaves it. A cut at max_tokens keeps half."""
    task = parse_task(request.user)
    language = task.language if task is not None and task.language in _WORDS else "en"
    match fault:
        case "max_tokens":
            return text[: len(text) // 2]
        case "truncated":
            return text[: len(text) * 2 // 3]
        case "prose":
            before, after = _WORDS[language]
            return f"{before}\n\n```json\n{text}\n```\n\n{after}"
        case "empty":
            return ""
        case "wrong_schema":
            return _wrong_schema(text, request)
        case "wrong_language" | "invented_quote":
            return _spoiled_pairs(text, fault, language)
    return text


def _wrong_schema(text: str, request: ProviderRequest) -> str:
    """One of three usual ways to miss a schema; the same one for the same request."""
    answer = json.loads(text)
    pairs = answer.get("pairs") if isinstance(answer, dict) else None
    if not pairs:
        return _as_text({"result": answer})
    way = int(draw(f"way:{request.key}") * 3)
    if way == 0:
        return _as_text({"questions": pairs})
    if way == 1:
        return _as_text({"pairs": [{"q": pair["question"], "a": pair["answer"]} for pair in pairs]})
    return _as_text({"pairs": [{**pair, "evidence": "see the passage"} for pair in pairs]})


def _spoiled_pairs(text: str, fault: str, language: str) -> str:
    """Every second pair, from the first on, in the other language or with a quote that stands nowhere."""
    answer = json.loads(text)
    pairs = answer.get("pairs", []) if isinstance(answer, dict) else []
    for number, pair in enumerate(pairs[::2], start=1):
        if fault == "wrong_language":
            sentence = _OTHER_LANGUAGE[language].format(n=number)
            pair["question"], pair["answer"] = sentence, sentence.rstrip("?") + "."
        elif pair.get("evidence"):
            pair["evidence"][0]["quote"] = _INVENTED[language]
    return _as_text(answer)


def _as_text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
