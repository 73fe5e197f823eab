"""The form of each verdict, as a JSON Schema for the judge and as a reading of what comes back.

Reasons stand before marks: a model that explains before it decides decides better. What this module does not do: mend JSON;
what cannot be read is asked for once more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from groundtune.evaluation.figures.marks import CRITERIA, OVERALL, TIE
from groundtune.evaluation.judge.records import Kind
from groundtune.llm import AnswerState, LLMResponse

DECLINED = "the judge declined"
REFUSED = "the provider refused the request"
CUT = "the verdict was cut off at its length limit"
UNREADABLE = "the verdict could not be read, also when asked again"

LONGEST_REASON = 600
"""Characters that are kept."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Mark(_Form):
    reason: str
    mark: Literal[1, 2, 3, 4, 5]


class _Rubric(_Form):
    helpfulness: _Mark
    accuracy: _Mark
    clarity: _Mark
    safety: _Mark


class _Turn(_Form):
    reason: str
    mark: Literal[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]


class _Pair(_Form):
    reason: str
    better: Literal["first", "second", "tie"]


_FORMS: Mapping[Kind, type[_Form]] = {"rubric": _Rubric, "turn": _Turn, "pair": _Pair, "conversation": _Pair}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge said."""

    marks: dict[str, int]
    reasons: dict[str, str]
    preferred: str | None = None
    """Of two side by side."""


@dataclass(frozen=True, slots=True)
class Unread:
    """No verdict, and why."""

    reason: str
    """For counting."""
    error: str = ""
    """In words the judge can be shown."""


def verdict_schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema, as plain JSON."""
    schema: dict[str, Any] = json.loads(json.dumps(_FORMS[kind].model_json_schema()))
    return schema


def read_verdict(response: LLMResponse, kind: Kind, systems: tuple[str, ...]) -> Verdict | Unread:
    """
    Args:
        systems: whose answers were shown, in their order.

    >>> said = LLMResponse('{"reason": "It is right.", "better": "second"}', 9, 9, "end", "m")
    >>> read_verdict(said, "pair", ("base", "tuned")).preferred
    'tuned'
    """
    if response.stop_reason == "refusal":
        return Unread(DECLINED)
    text = response.text
    try:
        form = _FORMS[kind].model_validate_json(text[text.find("{") : text.rfind("}") + 1] or text)
    except ValidationError as error:
        if response.stop_reason == "max_tokens":
            return Unread(CUT, "it was cut off")
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "JSON"
        return Unread(UNREADABLE, f"{place}: {first['msg']}")
    if isinstance(form, _Rubric):
        marks: dict[str, _Mark] = {name: getattr(form, name) for name in CRITERIA}
        return Verdict(
            {name: each.mark for name, each in marks.items()},
            {name: _shortened(each.reason) for name, each in marks.items()},
        )
    if isinstance(form, _Turn):
        return Verdict({OVERALL: form.mark}, {OVERALL: _shortened(form.reason)})
    assert isinstance(form, _Pair)
    preferred = {"first": systems[0], "second": systems[1], "tie": TIE}[form.better]
    return Verdict({}, {"preferred": _shortened(form.reason)}, preferred)


def verdict_state(response: LLMResponse, kind: Kind) -> AnswerState:
    """For the ledger. One that is cut counts as malformed: half a verdict is none."""
    if response.stop_reason == "refusal":
        return "declined"
    return "malformed" if isinstance(read_verdict(response, kind, ("first", "second")), Unread) else "complete"


def _shortened(reason: str) -> str:
    # a broken escape can leave half of a surrogate pair, which no file takes
    said = " ".join(reason.encode("utf-8", "replace").decode().split())
    return said if len(said) <= LONGEST_REASON else said[: LONGEST_REASON - 1] + "…"
