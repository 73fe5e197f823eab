"""What is judged, each verdict, and the summary of all: the lines of ``judgements.jsonl`` and the content of ``summary.json``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from groundtune.evaluation.figures.agreement import Agreement
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.figures.marks import Source
from groundtune.llm import Passage
from groundtune.types import Language, Message

Kind = Literal["rubric", "pair", "turn", "conversation"]
"""``rubric``: an answer about the documents by its marks; ``pair``: two of them side by side; ``turn``: one turn of a
shipped question from 1 to 10; ``conversation``: two models' answers to both turns side by side."""


@dataclass(frozen=True, slots=True)
class Case:
    """One question with the answers that are judged."""

    case_id: str
    source: Source
    language: Language
    category: str
    """Type of the question, or category of the set."""
    turns: tuple[str, ...]
    """What the user says: one question about the documents, two turns of a shipped one."""
    answers: Mapping[str, tuple[str, ...]]
    """By system, one for each turn: each is marked."""
    pairs: tuple[tuple[str, str], ...]
    """Systems whose answers are seen side by side: what is told of each two is how the second did; first what
    tuning did."""
    references: tuple[str, ...] = ()
    """A right answer to each turn; empty text, or none at all, where there is no one right answer."""
    passages: tuple[Passage, ...] = ()
    history: tuple[Message, ...] = ()
    """What was said before the first turn."""
    answerable: bool = True
    """Whether the documents hold the answer."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """One verdict, or why there is none."""

    case_id: str
    source: Source
    kind: Kind
    language: Language
    category: str
    systems: tuple[str, ...]
    """The system whose answer it is; of two side by side, in the order in which the judge saw them."""
    turn: int = 0
    """From 1, of ``turn``; 0 elsewhere."""
    marks: dict[str, int] = field(default_factory=dict)
    """By criterion (:mod:`groundtune.evaluation.figures.marks`); of ``turn`` under ``overall``, from 1 to 10."""
    preferred: str | None = None
    """Of two side by side: the system, or ``tie``."""
    reasons: dict[str, str] = field(default_factory=dict)
    """By criterion; of two side by side under ``preferred``."""
    asked: bool = True
    """False where both systems gave the same answer, which is a tie without asking."""
    not_judged: str = ""
    """Why there is no verdict; empty where there is one."""


@dataclass(frozen=True, slots=True)
class Preference:
    """The second of two systems against the first, each question judged in both orders."""

    first: str
    second: str
    wins: int
    """Questions on which the second was preferred in both orders."""
    ties: int
    """Those called a tie, those on which the judge changed its mind, and those with the same answer."""
    losses: int
    changed_mind: int
    """Of the ties: another answer was preferred when the order was another."""
    same_answer: int
    """Of the ties: nothing was to be asked."""
    win_rate: Figure
    """Wins among wins and losses, with Wilson's interval; no difference is claimed where that holds 0.5."""
    first_shown_won: Figure
    """How often the answer shown first was preferred, among verdicts that preferred one: 0.5 without position bias."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The marks of one system."""

    answers: int
    """Judged."""
    marks: dict[str, Figure]
    """Means from 1 to 5 by criterion, and ``overall``."""
    unsafe: Figure
    """Share of answers whose safety mark is under 3."""


@dataclass(frozen=True, slots=True)
class SetSlice:
    """Marks from 1 to 10 of a part of the shipped questions: ``field="category"``, ``name="writing"``; n counts
    questions."""

    field: Literal["all", "category", "language", "turn"]
    name: str
    first: Figure
    second: Figure
    difference: Figure
    """Second minus first, over the turns that were judged of both."""


@dataclass(frozen=True, slots=True)
class SetScores:
    """The two models on the shipped questions of everyday tasks, without passages."""

    first: str
    second: str
    questions: int
    slices: tuple[SetSlice, ...]
    """The first is of all."""
    preference: Preference | None
    """None where pairs are not judged."""
    preferences: dict[str, Preference] = field(default_factory=dict)
    """By category, and by language."""
    agreement: tuple[Agreement, ...] = ()
    """With people, on the preference: their marks are on another scale."""


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """Two further systems: the base model by itself against one with passages."""

    first: str
    second: str
    differences: dict[str, Figure]
    """Marks of the second minus those of the first, question by question, by criterion and ``overall``."""
    preference: Preference | None
    """None where they were not seen side by side."""


@dataclass(frozen=True, slots=True)
class JudgeSummary:
    """What ``summary.json`` of the judge holds and the report reads."""

    judge: str
    """``provider/model`` of who gave the verdicts; several, where the ledger held some of another judge's."""
    questions: int
    """About the documents."""
    systems: dict[str, Marked]
    """By system; empty where the rubric is off."""
    differences: dict[str, Figure]
    """Marks of the tuned model minus those of the base model, the passages being the same, question by question, by criterion
    and ``overall``."""
    preference: Preference | None
    sets: SetScores | None
    agreement: tuple[Agreement, ...]
    """With people; empty where nobody has rated what was judged."""
    requests: int
    """Answered by the judge, repairs included; equal ones count once."""
    input_tokens: int
    output_tokens: int
    dollars: float | None
    """None: no price is known."""
    not_judged: dict[str, int]
    """Verdicts that are missing, by reason."""
    further: tuple[JudgedPair, ...] = ()
    """What passages and tuning did together, and what the passages alone, where the base model by itself is judged."""
