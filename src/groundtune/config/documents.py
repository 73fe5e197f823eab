"""Sections of the way from documents to examples: reading, grouping, asking, splitting, finding."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from groundtune.config.section import Positive, Section, Share, Told
from groundtune.config.writers import WriterConfig
from groundtune.types import Language, Rule


class DocumentsConfig(Section):
    """Where the documentation is and how it is cut."""

    path: str | None = "docs"
    """A folder of Markdown files, or one pre-chunked .json/.jsonl file; relative to the config file. None: no documents,
    instruction data alone."""
    include: tuple[str, ...] = ("**/*.md", "**/*.markdown")
    exclude: tuple[str, ...] = ()
    languages: tuple[Language, ...] = Field(("tr", "en"), min_length=1)
    """Candidates for detection; the first is the documentation's main language."""
    chunk_tokens: int = Field(200, ge=40)
    """Size aimed at. A table or code block is never cut, so a chunk can be larger."""
    id_prefix: str = "erp-mod"
    """Chunk ids are ``{id_prefix}-{module}-{language}_chunk_{nnn}``."""
    licence: Told | None = None
    """Under which the documentation may be used: a name of SPDX (``CC-BY-4.0``) or words of your own. Told in the model card, in
    place of what a file beside the documents states."""
    tokenizer: str | None = None
    """Folder of a Hugging Face tokenizer that counts tokens; without one they are estimated from the bytes."""


class FlowConfig(Section):
    """A chain of process steps, each found by the words that name it."""

    name: str
    steps: tuple[str, ...] = Field(min_length=2)
    """One term a step, in order, such as ``satış siparişi``, ``iş emri``, ``sevkiyat``."""
    language: Language | None = None
    """Language of the terms; None takes them for the language most chunks are in."""


class FoundationConfig(Section):
    """A submodule or module that others build on, such as a product card and the screens that use it."""

    foundation: str
    """Module name, or ``Module > Submodule``."""
    consumers: tuple[str, ...] = Field(min_length=1)


class RelationsConfig(Section):
    """Relations that headings and links do not show."""

    flows: tuple[FlowConfig, ...] = ()
    foundations: tuple[FoundationConfig, ...] = ()


class GroupingConfig(Section):
    rules: tuple[Rule, ...] = tuple(Rule)
    max_tokens: int = Field(2400, ge=100)
    """A group larger than this is cut into several, between chunks."""
    max_chunks: int = Field(16, ge=1)
    relations: RelationsConfig = RelationsConfig()


class JudgeConfig(WriterConfig):
    """A second model that reads pairs with their evidence, after the checks by code."""

    necessity: bool = True
    """Whether a pair that cites several chunks must become unanswerable when one of them is taken away."""

    @model_validator(mode="after")
    def _can_judge(self) -> JudgeConfig:
        if self.provider == "offline":
            raise ValueError(
                "judge.provider is offline, whose rules cannot judge; set it to anthropic or openai, with a model"
            )
        return self


class GenerationConfig(WriterConfig):
    """Who writes the pairs, how many, and what they must stand up to."""

    profile: Literal["v1", "v2"] = "v2"
    """Prompts: ``v2`` writes typed pairs of every kind; ``v1`` questions of users only, some of them in several turns."""
    prompts_folder: str | None = None
    """Folder with prompt files of one's own, as `groundtune init --prompts` writes them; relative to the config file."""
    min_pairs: Positive = 5
    max_pairs: Positive = 28
    """Per group: between these, growing with the group's tokens."""
    rules: tuple[Rule, ...] = tuple(Rule)
    """Groups of other rules are not asked."""
    unanswerable_share: Share = 0.06
    """Share of all pairs whose evidence is taken out of the context and whose answer is the refusal."""
    false_premise_share: Share = 0.0
    """Share of all pairs whose question assumes what the context contradicts; asked of the model, never of the offline writer."""
    max_answer_words: Positive = 200
    quote_similarity: float = Field(0.92, ge=0.5, le=1)
    """How like a passage of its chunk a quote must be; 1 allows differences of blanks and typography only."""
    near_duplicate_similarity: float = Field(0.9, gt=0, le=1)
    """Edit similarity from which two questions are the same."""
    judge: JudgeConfig | None = None
    """None: checks by code alone."""
    budget_dollars: float | None = Field(None, gt=0)
    """What all requests of this ledger together may cost, those in flight included; None: no limit."""
    batch: bool = False
    """Send by the provider's batch service: cheaper, answered within a day or so; the same command collects."""
    allow_incomplete: bool = False
    """Go on with the pairs there are when groups are left unanswered (budget, time-outs), instead of stopping."""

    @model_validator(mode="before")
    @classmethod
    def _few_pairs(cls, value: Any) -> Any:
        """Who asks for few pairs at most has not asked for the usual least."""
        if isinstance(value, dict) and "min_pairs" not in value and isinstance(value.get("max_pairs"), int):
            least: int = cls.model_fields["min_pairs"].default
            value = value | {"min_pairs": max(1, min(least, value["max_pairs"]))}
        return value

    @model_validator(mode="after")
    def _ordered(self) -> GenerationConfig:
        if self.min_pairs > self.max_pairs:
            raise ValueError(f"min_pairs ({self.min_pairs}) must not be above max_pairs ({self.max_pairs})")
        if self.provider == "offline" and self.batch:
            raise ValueError("batch is true and provider is offline, which has no batch service")
        if self.unanswerable_share + self.false_premise_share > 0.5:
            raise ValueError("unanswerable_share + false_premise_share are over half of the pairs")
        return self


class PromptConfig(Section):
    """What the assistant is told, in one language."""

    system: str
    refusal: str
    """The whole answer to a question the context does not answer."""
    context_label: str
    question_label: str


TURKISH_PROMPT = PromptConfig(
    system=(
        "ERP sistemi asistanısın. Verilen bağlam bilgilerini kullanarak soruyu yanıtla. "
        'Bağlamda cevap yoksa "Bu konuda bilgim yok" de.'
    ),
    refusal="Bu konuda bilgim yok.",
    context_label="Bağlam",
    question_label="Soru",
)
ENGLISH_PROMPT = PromptConfig(
    system=(
        "You are the assistant of the ERP system. Answer the question from the context that is given. "
        'If the answer is not in the context, say "I have no information about this".'
    ),
    refusal="I have no information about this.",
    context_label="Context",
    question_label="Question",
)


class DatasetConfig(Section):
    valid_share: Share = 0.1
    test_share: Share = 0.1
    max_tokens: int = Field(1024, ge=64)
    """Of a whole rendered example. Longer ones drop context chunks that are not evidence; if that is not enough they
    are left out and counted."""
    max_context_chunks: Positive = 6


class RetrievalConfig(Section):
    top_k: Positive = 3
