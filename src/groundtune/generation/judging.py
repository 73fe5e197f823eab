"""A second model reads pairs that passed the checks by code: does the evidence support the answer, is every source needed.

Support is asked over the cited chunks alone. Necessity is asked of pairs that cite several chunks, once for each of them: the
question over the pair's context without that chunk. A chunk is necessary when the question cannot be answered without it; a
pair of which no chunk is necessary is rejected, because any one of them would have done. Requests are pure functions of the
pair and the chunks' text, chunk ids are in none of them. What this module does not do: send them, or believe a verdict it
cannot read: that is asked for once more, and then the pair is rejected.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Protocol

from groundtune.config import JudgeConfig
from groundtune.files import as_plain
from groundtune.generation.answers.json_reading import UnreadableError, read_object
from groundtune.generation.prompts import load_judge_texts
from groundtune.generation.verification import Reason, Rejection
from groundtune.llm import AnswerState, LLMRequest, LLMResponse, Passage, render_passages
from groundtune.types import Chunk, Language, Pair

Kind = Literal["support", "necessity"]
_FIELDS: Mapping[Kind, str] = {"support": "supported", "necessity": "answerable"}

MAX_VERDICT_TOKENS = 1024
"""A yes or no with a sentence takes fifty; what is left is for models that think aloud. More would only hold back budget.
The same whatever `max_output_tokens` is: that limits what is sent (`LLMRequest.most_tokens`), and is no part of a verdict's key."""

_LONGEST_REASON = 300


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the answer is supported, or the question answerable."""

    yes: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A verdict that cannot be read, and why, in words the judge can be shown."""

    error: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out about one pair."""

    rejection: Rejection | None
    necessary: tuple[str, ...] = ()
    """Cited chunks without which the question cannot be answered; empty also where it was not asked."""
    reason: str = ""
    """Of the verdict on support."""


class Ask(Protocol):
    """The answer to a request, from the ledger or from the model; `tags` say what it is for."""

    def __call__(self, request: LLMRequest, tags: Mapping[str, str]) -> Awaitable[LLMResponse]: ...


def judge_requests(
    pair: Pair,
    chunks: Mapping[str, Chunk],
    config: JudgeConfig,
    model: str = "",
    *,
    texts: Mapping[str, str] | None = None,
) -> list[tuple[Kind, LLMRequest]]:
    """The request for support, then one for each cited chunk that is taken away, in the order of
    ``pair.evidence_chunk_ids``; those only where several are cited and `config.necessity` is on.

    Args:
        chunks: at least those of the pair's context, by id.
        model: as requests to the judge's client name it; by default that of `config`.
        texts: of the pair's language; None for the built-in ones.
    """
    texts = texts or judge_texts(pair.language)
    named = model or config.model or ""
    cited = pair.evidence_chunk_ids
    in_order = tuple(name for name in pair.context_chunk_ids if name in cited)
    values = {"question": _question(pair, texts), "answer": pair.answer}
    requests: list[tuple[Kind, LLMRequest]] = [
        ("support", _request("support", values, [chunks[name] for name in in_order or cited], texts, config, named))
    ]
    if config.necessity and len(cited) > 1:
        for taken in cited:
            left = [chunks[name] for name in pair.context_chunk_ids if name != taken]
            requests.append(("necessity", _request("necessity", values, left, texts, config, named)))
    return requests


def ask_again(request: LLMRequest, error: str, texts: Mapping[str, str]) -> LLMRequest:
    """`request` with what was wrong with the answer to it."""
    said = _fill(texts["again"], {"error": " ".join(error.split())})
    return replace(request, prompt=f"{request.prompt}\n\n{said}")


def read_verdict(raw: str, kind: Kind) -> Verdict | Malformed:
    """
    >>> read_verdict('{"supported": false, "reason": "12 is not in it"}', "support")
    Verdict(yes=False, reason='12 is not in it')
    """
    key = _FIELDS[kind]
    try:
        value = read_object(raw, key).value
    except UnreadableError as error:
        return Malformed(str(error))
    if not isinstance(value[key], bool):
        return Malformed(f"{key}: expected true or false, found {str(value[key])[:40]!r}")
    reason = value.get("reason", "")
    if not isinstance(reason, str):
        return Malformed(f"reason: expected a sentence, found {str(reason)[:40]!r}")
    return Verdict(value[key], " ".join(reason.split())[:_LONGEST_REASON])


def classify_verdict(response: LLMResponse, kind: Kind) -> AnswerState:
    """The state of a verdict, for the ledger. One that is cut counts as malformed: half a yes is none."""
    if response.stop_reason == "refusal":
        return "declined"
    return "malformed" if isinstance(read_verdict(response.text, kind), Malformed) else "complete"


async def judge(
    pair: Pair,
    chunks: Mapping[str, Chunk],
    config: JudgeConfig,
    ask: Ask,
    *,
    model: str = "",
    texts: Mapping[str, str] | None = None,
) -> Judgement:
    """Ask what is to be asked about a pair, one after the other, no more once it is rejected. Raises whatever `ask` raises.

    Args:
        ask: gets tags ``purpose`` (``judge``), ``kind``, ``rule`` and ``language``; its `classify` is `classify_verdict`.
    """
    reason = ""
    necessary: list[str] = []
    answers: list[str] = []
    texts = texts or judge_texts(pair.language)
    for number, (kind, request) in enumerate(judge_requests(pair, chunks, config, model, texts=texts)):
        verdict = await _verdict(request, kind, pair, ask, texts)
        if isinstance(verdict, Malformed):
            return Judgement(_rejection(Reason.NO_VERDICT, verdict.error, pair), tuple(necessary), reason)
        if kind == "support":
            reason = verdict.reason
            if not verdict.yes:
                return Judgement(_rejection(Reason.NOT_SUPPORTED, reason, pair), (), reason)
        elif verdict.yes:
            answers.append(verdict.reason)
        else:
            necessary.append(pair.evidence_chunk_ids[number - 1])
    if answers and not necessary:
        return Judgement(_rejection(Reason.NOT_NECESSARY, answers[0], pair), (), reason)
    return Judgement(None, tuple(necessary), reason)


async def _verdict(
    request: LLMRequest, kind: Kind, pair: Pair, ask: Ask, texts: Mapping[str, str]
) -> Verdict | Malformed:
    """At most twice asked for. A judge that declines is not asked again."""
    tags = {"purpose": "judge", "kind": kind, "rule": pair.rule.value, "language": pair.language}
    verdict: Verdict | Malformed = Malformed("")
    for again in (False, True):
        if again and isinstance(verdict, Malformed):
            request = ask_again(request, verdict.error, texts)
        response = await ask(request, tags)
        if response.stop_reason == "refusal":
            return Malformed("the judge declined")
        verdict = read_verdict(response.text, kind)
        if isinstance(verdict, Verdict):
            break
    return verdict


def _request(
    kind: Kind,
    values: Mapping[str, str],
    chunks: Sequence[Chunk],
    texts: Mapping[str, str],
    config: JudgeConfig,
    model: str,
) -> LLMRequest:
    parameters: dict[str, Any] = {"max_tokens": MAX_VERDICT_TOKENS}
    if config.temperature is not None:
        parameters["temperature"] = config.temperature
    passages = [Passage(number, chunk.breadcrumb, chunk.text) for number, chunk in enumerate(chunks, start=1)]
    return LLMRequest(
        system=texts["system"],
        prompt=_fill(texts[kind], values),
        schema=_schema(kind),
        model=model,
        parameters=parameters,
        context=render_passages(passages),
    )


def _schema(kind: Kind) -> dict[str, Any]:
    """The reason first: a model that explains before it decides decides better."""
    properties = {"reason": {"type": "string"}, _FIELDS[kind]: {"type": "boolean"}}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _question(pair: Pair, texts: Mapping[str, str]) -> str:
    if not pair.history:
        return pair.question
    turns = "\n".join(_fill(texts["turn"], {"question": turn.question, "answer": turn.answer}) for turn in pair.history)
    return f"{pair.question}\n\n{_fill(texts['history'], {'turns': turns})}"


def _rejection(reason: Reason, detail: str, pair: Pair) -> Rejection:
    return Rejection(reason, detail, pair.question, pair.group_id, as_plain(pair))


@lru_cache(maxsize=8)
def judge_texts(language: Language) -> Mapping[str, str]:
    """The built-in texts of `language`, the English ones where it has none: what is judged may be in any language."""
    return load_judge_texts(None, [language])[language]


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Every ``{name}`` in one pass, so that braces inside a value stay as they are."""
    return re.sub(r"\{(\w+)\}", lambda match: values.get(match[1], match[0]), template)
