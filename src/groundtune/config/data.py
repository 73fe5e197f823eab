"""Sections of instruction data: where rows come from, which are left out, and how they are mixed."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from groundtune.config.section import Positive, Section, Share, Told
from groundtune.config.writers import WriterConfig
from groundtune.types import Language

DataFormat = Literal["auto", "alpaca", "sharegpt", "messages", "prompt_completion", "preference", "text", "squad"]


class SourceConfig(Section):
    """One set of instruction data: exactly one of `name`, `path` and `hub`."""

    name: str | None = None
    """An entry of the registry (LLaMA-Factory's ``dataset_info.json``) in the folder `data.registry`."""
    path: str | None = None
    """A file, a folder, or a pattern (``more/*.jsonl.gz``); relative to the config file."""
    hub: str | None = None
    """Id of a Hugging Face dataset."""
    subset: str | None = None
    hub_split: str = "train"
    revision: str | None = None
    format: DataFormat = "auto"
    columns: dict[str, str] = Field(default_factory=dict)
    """Our name of a column to the file's: ``{"messages": "dialog", "system": "persona"}``."""
    tags: dict[str, str] = Field(default_factory=dict)
    """Names of keys and roles inside messages, as LLaMA-Factory has them: ``{"role_tag": "from"}``."""
    language: Language | None = None
    licence: Told | None = None
    """Under which the rows may be used: a name of SPDX or words of your own; told in the model card."""
    max_rows: int = Field(0, ge=0)
    """Only the first so many; 0 takes all."""
    count: int | None = Field(None, ge=1)
    """So many of them, drawn by seed; more than there are repeats some."""
    weight: float = Field(1.0, gt=0)
    """Concatenated: how often each row is seen in an epoch (0.5: half of them, by seed). Interleaved: how often this source
    is drawn from, against the others'."""
    use: Literal["split", "train", "valid", "test"] = "split"
    """Which split the rows go to; ``split`` divides them by `data.valid_share` and `data.test_share`."""

    @model_validator(mode="after")
    def _one_place(self) -> SourceConfig:
        given = [key for key in ("name", "path", "hub") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(
                f"a data source names {' and '.join(given) or 'no place'}; give exactly one of name, path, hub"
            )
        if self.count is not None and self.weight != 1.0:
            raise ValueError(
                f"a data source has both count ({self.count}) and weight ({self.weight}); give one of them"
            )
        return self


class BalanceConfig(Section):
    """Rows thinned out until the values of a column have given shares."""

    field: str
    shares: dict[str, float] = Field(min_length=1)
    """Value to share; they add up to 1. Rows of other values are left out."""


class FilterConfig(Section):
    """Which rows are left out, each by a named reason."""

    duplicates: Literal["off", "exact", "near"] = "exact"
    """``near``: MinHash candidates, confirmed by edit distance."""
    near_similarity: float = Field(0.9, gt=0, le=1)
    """Edit similarity from which two rows are near duplicates."""
    languages: tuple[Language, ...] = ()
    """Rows in other languages are left out; empty takes all."""
    min_answer_characters: int = Field(0, ge=0)
    max_answer_characters: int = Field(0, ge=0)
    """0: no limit."""
    max_repetition: float = Field(1.0, gt=0, le=1)
    """Largest share of an answer's words that stand in a 4-gram said before."""
    decontaminate: bool = True
    """Leave out training rows that a validation or test row, or a benchmark, is a near copy of."""
    benchmarks: tuple[str, ...] = ()
    """Files of questions that must not be trained on; relative to the config file."""
    balance: tuple[BalanceConfig, ...] = ()
    keep_removed: bool = True
    """Write removed rows to ``data/removed.jsonl``."""

    @field_validator("duplicates", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        # YAML 1.1 reads off as false
        return "off" if value is False else value


class PhaseConfig(Section):
    """A part of every epoch, made of the rows up to a difficulty."""

    name: str
    until: float = Field(gt=0, le=1)
    """Quantile of difficulty: the rows between the phase before and this one."""


class CurriculumConfig(Section):
    by: str = "complexity"
    """A numeric or easy/medium/hard column, or ``complexity``, which is computed from lengths and rare words."""
    phases: tuple[PhaseConfig, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rising(self) -> CurriculumConfig:
        ends = [phase.until for phase in self.phases]
        if ends != sorted(set(ends)) or ends[-1] != 1:
            raise ValueError(f"curriculum phases end at {ends}; expected rising numbers, the last one 1")
        return self


class AugmentConfig(WriterConfig):
    """More training rows by a language model: other wordings, brief answers, new tasks. Never of validation or test rows."""

    rephrase_share: float = Field(0.0, ge=0, le=1)
    """Share of the plain training rows (one who asks, one who answers, no tools) that get other wordings of their instruction."""
    rephrase_count: Positive = 1
    """Other wordings of each."""
    brief_share: float = Field(0.0, ge=0, le=1)
    """Share of the plain training rows that get a brief form: the wish for one, and an answer that meets it."""
    self_instruct: int = Field(0, ge=0)
    """New tasks with their answers, after the example of `seed_tasks`."""
    seed_tasks: str | None = None
    """JSON Lines file of tasks in the form of self-instruct (id, instruction, instances); relative to the config file."""
    language: Language | None = None
    """Of new tasks; None: the one that most training rows are in."""
    budget_dollars: float | None = Field(None, gt=0)
    """What all requests of augmentation together may cost, those in flight included; None: no limit."""

    @property
    def wanted(self) -> tuple[str, ...]:
        """Keys that ask for something."""
        return tuple(key for key in ("rephrase_share", "brief_share", "self_instruct") if getattr(self, key))

    @model_validator(mode="after")
    def _possible(self) -> AugmentConfig:
        if self.wanted and self.provider == "offline":
            key = self.wanted[0]
            raise ValueError(
                f"data.augment.{key} is {getattr(self, key)} and data.augment.provider is offline, whose rules write about "
                "documents only; set provider to anthropic or openai, with a model"
            )
        if self.self_instruct and self.seed_tasks is None:
            raise ValueError(
                f"data.augment.self_instruct is {self.self_instruct} and data.augment.seed_tasks is not set; name a file of tasks"
            )
        return self


class DataConfig(Section):
    """Instruction data: alone, or mixed among the grounded pairs.

    A file that names sources and has no ``documents`` section is about instruction data alone: its ``documents.path`` is null.
    """

    registry: str | None = None
    """Folder with LLaMA-Factory's ``dataset_info.json``; relative to the config file."""
    sources: tuple[SourceConfig, ...] = ()
    mix: Literal["concatenate", "interleave_under", "interleave_over"] = "concatenate"
    """Interleaved by seed until the first source is used up (``under``) or the last (``over``, repeating the others)."""
    share: float | None = Field(None, gt=0, lt=1)
    """Beside grounded pairs: the share of these rows among all training examples, against forgetting. None takes all."""
    valid_share: Share = 0.05
    valid_rows: int | None = Field(None, ge=1)
    """In place of `valid_share`: so many rows."""
    test_share: Share = 0.0
    filters: FilterConfig = FilterConfig()
    curriculum: CurriculumConfig | None = None
    train_on: Literal["all", "last", "flagged"] = "all"
    """Which assistant turns are trained; a message's own ``train`` goes before it. ``flagged``: only those that say so."""
    no_think_share: float = Field(0.0, ge=0, le=1)
    """Share of examples with thoughts that are turned into ones without, for a model that can do both."""
    max_tokens: int = Field(2048, ge=16)
    overlong: Literal["error", "skip", "truncate_left", "truncate_context"] = "skip"
    """What becomes of a longer example. ``truncate_left`` drops whole turns, oldest first, never the system prompt;
    ``truncate_context`` drops paragraphs of the longest given text from its end. A trained token is never cut off."""
    augment: AugmentConfig | None = None
    """Rows that a language model adds to the training split; None: none."""
    strict: bool = False
    """Stop at the first malformed row instead of counting it."""
    processes: int = Field(0, ge=0)
    """That read and tokenise; 0: one for each core."""

    @model_validator(mode="after")
    def _shares(self) -> DataConfig:
        if self.valid_share + self.test_share >= 0.9:
            raise ValueError("data.valid_share + data.test_share leave under a tenth of the data for training")
        if self.mix != "concatenate" and any(source.count for source in self.sources):
            raise ValueError(f"data.mix is {self.mix}, which draws by weight; take count out of the sources")
        return self
