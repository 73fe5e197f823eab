"""The words every stage speaks: chunks, groups, pairs, examples, and the small protocols where packages meet.

Plain frozen dataclasses, standard library only. They are written to and read from JSON Lines by
:mod:`groundtune.files`; the field names here are the file formats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, Protocol

Language = str
"""ISO 639-1 code: ``"tr"``, ``"en"``."""

Role = Literal["system", "user", "assistant", "tool"]
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")


class Rule(StrEnum):
    """The eleven structural rules that combine chunks into groups."""

    INDIVIDUAL = "individual"
    SUBMODULE = "submodule"
    MODULE = "module"
    VERTICAL_STACK = "vertical_stack"
    HORIZONTAL_SIBLINGS = "horizontal_siblings"
    CROSS_MODULE = "cross_module"
    OVERVIEW_DETAIL = "overview_detail"
    DATA_FLOW = "data_flow"
    FOUNDATION_CONSUMER = "foundation_consumer"
    SHARED_TABLES = "shared_tables"
    MODULE_MAP = "module_map"


class QuestionType(StrEnum):
    """What a question asks for; `QUESTION_TYPE_LABELS` holds the name in the documentation's language."""

    FACTUAL = "factual"
    PROCEDURAL = "procedural"
    COMPARATIVE = "comparative"
    INFERENTIAL = "inferential"
    LIST = "list"


class Difficulty(StrEnum):
    EASY = "easy"
    MEDIUM = "medium"
    HARD = "hard"


QUESTION_TYPE_LABELS: Mapping[Language, Mapping[QuestionType, str]] = {
    "tr": {
        QuestionType.FACTUAL: "olgusal",
        QuestionType.PROCEDURAL: "prosedürel",
        QuestionType.COMPARATIVE: "karşılaştırmalı",
        QuestionType.INFERENTIAL: "çıkarımsal",
        QuestionType.LIST: "liste",
    },
    "en": {kind: kind.value for kind in QuestionType},
}
DIFFICULTY_LABELS: Mapping[Language, Mapping[Difficulty, str]] = {
    "tr": {Difficulty.EASY: "kolay", Difficulty.MEDIUM: "orta", Difficulty.HARD: "zor"},
    "en": {level: level.value for level in Difficulty},
}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of one source file, under one heading; the unit of retrieval and of evidence.

    ``text`` is the passage as the reader left it (NFC, LF, includes expanded, front matter and comments out), headings
    included. ``line_start`` and ``line_end`` are 1-based and inclusive, in the source file as it is on disk.
    """

    chunk_id: str
    module: str
    submodule: str
    section_heading: str
    breadcrumb: tuple[str, ...]
    """Titles from the module down to this section, ``("Stok", "Lot Takibi", "Lot numarası")``."""
    language: Language
    text: str
    token_count: int
    has_table: bool
    has_code: bool
    references_modules: tuple[str, ...]
    db_tables: tuple[str, ...]
    depth: int
    """Heading depth of the section: 1 for ``#``; 0 for text before the first heading."""
    source: str
    """Path of the source file, relative to the documents folder, with forward slashes."""
    line_start: int
    line_end: int
    sha256: str
    """Of ``text`` in UTF-8."""


@dataclass(frozen=True, slots=True)
class Group:
    """Chunks that one structural rule puts side by side, in reading order; never of two languages."""

    group_id: str
    """``{rule}-{language}-{nnnn}``, numbered from 1 within rule and language."""
    rule: Rule
    title: str
    language: Language
    chunk_ids: tuple[str, ...]
    token_count: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """A verbatim passage of a chunk that supports an answer: ``chunk.text[start:end] == quote``."""

    chunk_id: str
    quote: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question and its answer, earlier in the same conversation."""

    question: str
    answer: str


OMIT_DEFAULT: Mapping[str, bool] = {"omit_default": True}
"""Metadata of a field that is left out of files where it holds its default."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A question with its answer, the context it is asked over, and the evidence the answer rests on.

    The answer of an unanswerable pair (``answerable=False``) is the refusal of its language. A near-miss keeps the evidence that
    *would* answer it, which is not among ``context_chunk_ids``; a false premise keeps the evidence that contradicts it, which is.
    """

    pair_id: str
    group_id: str
    rule: Rule
    language: Language
    question: str
    answer: str
    type: QuestionType
    difficulty: Difficulty
    answerable: bool
    context_chunk_ids: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    writer: str
    """Who wrote it: ``"offline-rules/1"`` or ``"provider/model"``."""
    history: tuple[Exchange, ...] = field(default=(), metadata=OMIT_DEFAULT)
    """What was asked and answered before, over the same context; the question may lean on it."""
    assumption: str = field(default="", metadata=OMIT_DEFAULT)
    """What the question wrongly takes for granted; of false premises only."""

    @property
    def evidence_chunk_ids(self) -> tuple[str, ...]:
        """Distinct evidence chunk ids, in order of first mention."""
        return tuple(dict.fromkeys(item.chunk_id for item in self.evidence))


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the assistant asks for."""

    name: str
    arguments: str
    """A JSON object as text."""
    call_id: str = field(default="", metadata=OMIT_DEFAULT)


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    content: str
    thinking: str = field(default="", metadata=OMIT_DEFAULT)
    """What an assistant thought before its content."""
    tool_calls: tuple[ToolCall, ...] = field(default=(), metadata=OMIT_DEFAULT)
    tool_call_id: str = field(default="", metadata=OMIT_DEFAULT)
    """Of a tool's message: the call it answers."""
    name: str = field(default="", metadata=OMIT_DEFAULT)
    train: bool | None = field(default=None, metadata=OMIT_DEFAULT)
    """Whether an assistant's turn is trained; None leaves it to ``data.train_on``."""
    weight: float = field(default=1.0, metadata=OMIT_DEFAULT)
    """Of the loss of an assistant's turn."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a row of instruction data stands."""

    source: str
    """Name of the dataset as the configuration gives it."""
    file: str
    """File name, or hub id."""
    row: int
    """1-based line of a JSON Lines or text file; otherwise 1-based number of the row."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A row of instruction data in the one form that every format is read into.

    Exactly one of three kinds: ``messages`` (to answer as the assistant does), ``messages`` with ``rejected`` (preference:
    the last turns of ``messages`` are the chosen ones) or ``text`` (raw text; ``messages`` is empty).
    """

    conversation_id: str
    """``{source}:{row}``; what mixing repeats gets ``#2``, ``#3`` behind it."""
    origin: Origin
    messages: tuple[Message, ...] = ()
    tools: tuple[str, ...] = field(default=(), metadata=OMIT_DEFAULT)
    """JSON Schema of each function, as text: ``{"type": "function", "function": {...}}``."""
    rejected: tuple[Message, ...] = field(default=(), metadata=OMIT_DEFAULT)
    """The worse last turns, without what stands before them."""
    desired: bool | None = field(default=None, metadata=OMIT_DEFAULT)
    """Of unpaired preference data: whether the answer is a good one."""
    text: str = field(default="", metadata=OMIT_DEFAULT)
    language: Language = field(default="", metadata=OMIT_DEFAULT)
    fields: Mapping[str, Any] = field(default_factory=dict, metadata=OMIT_DEFAULT)
    """Columns of the row that no part above was made from: category, difficulty, ids."""

    @property
    def kind(self) -> Literal["chat", "preference", "text"]:
        if self.text:
            return "text"
        return "preference" if self.rejected else "chat"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A row that did not become an example, and why."""

    origin: Origin
    reason: str
    """From a fixed list of plain sentences, so that rows can be counted by it: ``"not valid JSON"``."""
    field: str = ""
    """Name of the column or place (``messages[2].content``) it is about."""
    found: str = ""
    """What was there, at most 80 characters."""


@dataclass(frozen=True, slots=True)
class Example:
    """A conversation ready to be rendered: what training, evaluation and chat all start from."""

    example_id: str
    messages: tuple[Message, ...]
    """System, user (context and question), assistant."""
    language: Language
    split: Split
    pair_id: str
    rule: Rule
    type: QuestionType
    difficulty: Difficulty
    answerable: bool
    question: str
    context_chunk_ids: tuple[str, ...]
    evidence_chunk_ids: tuple[str, ...]

    @property
    def reference(self) -> str:
        """The assistant's text."""
        return self.messages[-1].content


@dataclass(frozen=True, slots=True)
class Hit:
    """One retrieved chunk with its score, higher is better."""

    chunk: Chunk
    score: float


class Retriever(Protocol):
    """Finds the chunks nearest to a text."""

    def search(self, query: str, *, top_k: int, language: Language | None = None) -> Sequence[Hit]:
        """At most `top_k` hits, best first, ties by chunk order; only of `language` when given."""
        ...


@dataclass(frozen=True, slots=True)
class StageResult:
    """What a stage did, in numbers: stored in its manifest and shown in the report.

    ``counts`` are things made (``{"chunks": 213}``), ``skips`` are things left out by reason (``{"empty file": 1}``),
    ``details`` is JSON-able material for the report (tables by rule, type, file).
    """

    counts: Mapping[str, int]
    skips: Mapping[str, int] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
