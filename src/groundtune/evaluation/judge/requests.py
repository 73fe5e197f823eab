"""From cases to requests: which verdicts there are to be, and what the judge is shown for each.

Requests are functions of texts alone: no system's name, no id and no place in a list is in them, so the judge is blind, and
equal answers are one request. What this module does not do: send them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.config import AnswerJudgeConfig
from groundtune.evaluation.figures.marks import TIE
from groundtune.evaluation.judge.forms import verdict_schema
from groundtune.evaluation.judge.records import Case, Judgement, Kind
from groundtune.evaluation.judge.wording import fenced, fill, judge_words
from groundtune.llm import RETRY, LLMRequest, render_passages

MAX_VERDICT_TOKENS = 2048
"""Four reasons and marks take three hundred; what is left is for models that think aloud. More would only hold back budget.
The same whatever `max_output_tokens` is: that limits what is sent (`LLMRequest.most_tokens`), and is no part of a verdict's key."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A verdict that is to be had: the judgement without it, and what is asked; None where nothing is to be asked."""

    judgement: Judgement
    request: LLMRequest | None


def plan_verdicts(cases: Sequence[Case], config: AnswerJudgeConfig) -> list[Wanted]:
    """Every verdict on `cases`, in their order: marks of each system, then each two systems side by side in both orders."""
    return [wanted for case in cases for wanted in (*_marks(case, config), *_side_by_side(case, config))]


def of_round(request: LLMRequest, number: int) -> LLMRequest:
    """`request` under another key for each time that the user has a failed one taken up; the judge never sees the number."""
    return replace(request, parameters={**request.parameters, RETRY: number}) if number else request


def ask_again(request: LLMRequest, error: str, language: str) -> LLMRequest:
    """`request` with what was wrong with the answer to it."""
    said = fill(judge_words(language)["again"], error=" ".join(error.split())[:200])
    return replace(request, prompt=f"{request.prompt}\n\n{said}")


def _marks(case: Case, config: AnswerJudgeConfig) -> Iterator[Wanted]:
    if not config.rubric:
        return
    for system, answers in case.answers.items():
        if case.source == "documents":
            shown = [*_question(case), _answer(case, "answer", answers[0])]
            yield _wanted(case, "rubric", (system,), shown, config)
            continue
        for number in range(1, len(case.turns) + 1):
            shown = _conversation(case, answers, number)
            yield _wanted(case, "turn", (system,), shown, config, turn=number)


def _side_by_side(case: Case, config: AnswerJudgeConfig) -> Iterator[Wanted]:
    if not config.pairwise:
        return
    kind: Kind = "pair" if case.source == "documents" else "conversation"
    for order in (order for first, second in case.pairs for order in ((first, second), (second, first))):
        if case.answers[order[0]] == case.answers[order[1]]:
            yield Wanted(replace(_judgement(case, kind, order), preferred=TIE, asked=False), None)
            continue
        given = [case.answers[system] for system in order]
        if kind == "pair":
            shown = [
                *_question(case),
                *(_answer(case, name, each[0]) for name, each in zip(("first", "second"), given, strict=True)),
            ]
        else:
            shown = _two_conversations(case, given)
        yield _wanted(case, kind, order, shown, config)


def _wanted(
    case: Case,
    kind: Kind,
    systems: tuple[str, ...],
    shown: Sequence[tuple[str, str]],
    config: AnswerJudgeConfig,
    *,
    turn: int = 0,
) -> Wanted:
    words = judge_words(case.language)
    parameters: dict[str, Any] = {"max_tokens": MAX_VERDICT_TOKENS}
    if config.temperature is not None:
        parameters["temperature"] = config.temperature
    note = "" if case.answerable else f"{words['unanswerable'].strip()}\n\n"
    request = LLMRequest(
        system=words["system"].strip(),
        prompt=f"{fenced(shown)}\n\n{note}{fill(words[kind], number=str(turn))}",
        schema=verdict_schema(kind),
        model=config.model or "",
        parameters=parameters,
        context=_passages(case),
    )
    return Wanted(_judgement(case, kind, systems, turn), request)


def _judgement(case: Case, kind: Kind, systems: tuple[str, ...], turn: int = 0) -> Judgement:
    return Judgement(case.case_id, case.source, kind, case.language, case.category, systems, turn)


def _passages(case: Case) -> str:
    """The same for every request about a question, so that providers may cache it."""
    if not case.passages:
        return ""
    return f"{judge_words(case.language)['labels']['passage']}:\n\n{render_passages(case.passages)}"


def _question(case: Case) -> list[tuple[str, str]]:
    labels = judge_words(case.language)["labels"]
    shown = []
    if case.history:
        said = (f"{labels[message.role]}: {message.content}" for message in case.history)
        shown.append((labels["earlier"], "\n\n".join(said)))
    shown.append((labels["question"], case.turns[0]))
    if case.answerable and case.references and case.references[0]:
        shown.append((labels["reference"], case.references[0]))
    return shown


def _answer(case: Case, name: str, text: str) -> tuple[str, str]:
    labels = judge_words(case.language)["labels"]
    return labels[name], text.strip() or labels["empty"]


def _conversation(case: Case, answers: Sequence[str], judged: int) -> list[tuple[str, str]]:
    """Turns to and including the one that is judged."""
    labels = judge_words(case.language)["labels"]
    shown = []
    for number, (said, answer) in enumerate(zip(case.turns[:judged], answers, strict=False), start=1):
        shown.append((fill(labels["turn"], number=str(number)), said))
        if number == judged:
            shown += _right(case, number)
        name = "said_judged" if number == judged else "said"
        shown.append((fill(labels[name], number=str(number)), answer.strip() or labels["empty"]))
    return shown


def _two_conversations(case: Case, given: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    labels = judge_words(case.language)["labels"]
    shown = []
    for number, said in enumerate(case.turns, start=1):
        shown.append((fill(labels["turn"], number=str(number)), said))
        shown += _right(case, number)
    for name, answers in zip(("first_conversation", "second_conversation"), given, strict=True):
        for number, answer in enumerate(answers, start=1):
            label = f"{labels[name]}, {fill(labels['said'], number=str(number))}"
            shown.append((label, answer.strip() or labels["empty"]))
    return shown


def _right(case: Case, number: int) -> list[tuple[str, str]]:
    right = case.references[number - 1] if case.references else ""
    return [(fill(judge_words(case.language)["labels"]["right"], number=str(number)), right)] if right else []
