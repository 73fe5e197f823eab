"""The whole configuration, and what must hold between its sections."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, model_validator

from groundtune.config.data import DataConfig
from groundtune.config.documents import (
    ENGLISH_PROMPT,
    TURKISH_PROMPT,
    DatasetConfig,
    DocumentsConfig,
    GenerationConfig,
    GroupingConfig,
    PromptConfig,
    RetrievalConfig,
)
from groundtune.config.evaluating import EvaluationConfig
from groundtune.config.learning import PretrainConfig
from groundtune.config.models import PRESET_ENTRIES, ModelConfig, TokenizerConfig
from groundtune.config.section import Section
from groundtune.config.training import TrainConfig
from groundtune.types import Language


@dataclass(frozen=True, slots=True)
class Note:
    """What became of a key that is no setting."""

    place: str
    """``file.yaml:12``."""
    key: str
    text: str


class NextConfig(Section):
    """One more training, which begins where the one before it ended: with its best weights."""

    data: DataConfig
    """What it learns from; preference pairs where `train.preference` is set."""
    train: TrainConfig
    """Its name is the run's, another one than those before it."""


class Config(Section):
    """The whole file. Paths inside are relative to `folder`."""

    project: str = "groundtune"
    workdir: str = "groundtune-out"
    seed: int = Field(20260930, ge=0, lt=2**32)
    documents: DocumentsConfig = DocumentsConfig()
    grouping: GroupingConfig = GroupingConfig()
    generation: GenerationConfig = GenerationConfig()
    prompts: dict[Language, PromptConfig] = Field({"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT})
    data: DataConfig = DataConfig()
    dataset: DatasetConfig = DatasetConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    pretrain: PretrainConfig = PretrainConfig()
    train: TrainConfig = TrainConfig()
    then: tuple[NextConfig, ...] = ()
    """Trainings after `train`, in their order, such as preference tuning after fine-tuning. The last one's model is the
    result: it is evaluated, and what chat opens."""
    evaluation: EvaluationConfig = EvaluationConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    _folder: Path = Path()
    _link: int | None = None
    _notes: tuple[Note, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _fill_prompts(cls, value: Any) -> Any:
        """A prompt section may set one field of a known language; the rest keep their default."""
        if isinstance(value, dict) and isinstance(value.get("prompts"), dict):
            known = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
            filled: dict[str, Any] = dict(known)
            for language, prompt in value["prompts"].items():
                if isinstance(prompt, dict) and language in known:
                    filled[language] = known[language].model_dump() | prompt
                else:
                    filled[language] = prompt
            value = value | {"prompts": filled}
        return value

    @model_validator(mode="before")
    @classmethod
    def _data_alone(cls, value: Any) -> Any:
        """A file that names data sources and says nothing of documents has none."""
        if isinstance(value, dict) and "documents" not in value and _has_sources(value.get("data")):
            value = value | {"documents": {"path": None}}
        return value

    @model_validator(mode="before")
    @classmethod
    def _entries_of_preset(cls, value: Any) -> Any:
        """A preset has its known size with as many tokenizer entries as one may have, unless the file says otherwise."""
        if isinstance(value, dict) and _names_preset(value.get("model")):
            tokenizer = value.get("tokenizer", {})
            if isinstance(tokenizer, dict):
                value = value | {"tokenizer": {"vocab_size": PRESET_ENTRIES, **tokenizer}}
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        _check_what_is_trained_on(self)
        _check_preference(self)
        if self.documents.path is not None:
            _check_documents(self)
        _check_lengths(self)
        _check_chain(self)
        return self

    def following(self, number: int, base: str) -> Config:
        """The configuration of the training `then[number]`, on the model in `base`. Raises pydantic's ValidationError."""
        link = self.then[number]
        config = Config(
            project=self.project,
            workdir=f"{self.workdir}/then/{link.train.name}",
            seed=self.seed,
            documents=DocumentsConfig(path=None, languages=self.documents.languages),
            data=link.data,
            model=ModelConfig(path=base),
            train=link.train,
            prompts=self.prompts,
            evaluation=self.evaluation,
            retrieval=self.retrieval,
            # for what augmentation has written
            generation=self.generation,
        )
        object.__setattr__(config, "_folder", self._folder)
        object.__setattr__(config, "_link", number)
        return config

    @property
    def folder(self) -> Path:
        """Of the configuration file; what relative paths in it start from."""
        return self._folder

    @property
    def link(self) -> int | None:
        """Which training of `then` this is the configuration of; None for the file's own."""
        return self._link

    def as_written(self, text: str) -> str:
        """`text` about this configuration with its keys as the file has them: those of a training of `then` under that one."""
        return text if self._link is None else under_link(text, self._link)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader of the file should know: how another tool's keys were taken."""
        return self._notes

    def resolve(self, path: str) -> Path:
        """A path of the configuration as a path of this machine."""
        return (self._folder / Path(path).expanduser()).resolve()

    @property
    def work(self) -> Path:
        """The folder everything is written to."""
        return self.resolve(self.workdir)


def _has_sources(data: Any) -> bool:
    if isinstance(data, dict):
        return bool(data.get("sources"))
    return isinstance(data, DataConfig) and bool(data.sources)


def _names_preset(model: Any) -> bool:
    preset = model.get("preset") if isinstance(model, dict) else getattr(model, "preset", None)
    return preset is not None


def _check_what_is_trained_on(config: Config) -> None:
    """There is something to train on, and a model that can be trained on it."""
    if config.documents.path is None:
        if not config.data.sources:
            raise ValueError("documents.path is null and data.sources is empty: there is nothing to train on; give one")
        if config.model.path is None:
            raise ValueError(
                "model.path is null, which makes a model from the documents' text, and documents.path is null; set "
                "model.path to the folder or Hugging Face id of a model"
            )
        if config.data.share is not None:
            raise ValueError(
                f"data.share ({config.data.share}) is a share beside grounded pairs, and there are none without "
                f"documents.path; take it out"
            )
    if config.data.registry is None:
        names = [source.name for source in config.data.sources if source.name is not None]
        if names:
            raise ValueError(
                f"data.sources names {names[0]!r}, an entry of a registry; set data.registry to the folder of its "
                f"dataset_info.json"
            )


def _check_preference(config: Config) -> None:
    """Pairs of answers come from instruction data, and both answers have to be compared whole."""
    if config.train.preference is None:
        return
    if config.documents.path is not None or not config.data.sources:
        raise ValueError(
            "train.preference learns from data.sources with chosen and rejected answers alone; set documents.path to null and name "
            "a source, or take train.preference out"
        )
    if config.data.overlong not in ("skip", "error"):
        raise ValueError(
            f"data.overlong is {config.data.overlong}, which may cut the two answers of a pair differently; with train.preference "
            "it is skip or error"
        )
    if config.data.augment is not None and config.data.augment.wanted:
        raise ValueError(
            f"data.augment.{config.data.augment.wanted[0]} has rows with one answer written, and train.preference learns from pairs "
            "of answers alone; take one of the two out"
        )
    if config.data.curriculum is not None:
        raise ValueError(
            "data.curriculum orders answers, and train.preference has pairs of them; take one of the two out"
        )


def _check_chain(config: Config) -> None:
    """Each further training by itself, as if it stood in a file of its own."""
    names = [config.train.name]
    for number, link in enumerate(config.then):
        if link.train.name in names:
            raise ValueError(
                f"then.{number}.train.name is {link.train.name!r}, which a training before it has; give each its own, since it names "
                "the run's folder"
            )
        names.append(link.train.name)
        try:
            config.following(number, ".")
        except ValidationError as error:
            reasons = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
            raise ValueError(under_link(reasons, number)) from error


_OWN_KEY = re.compile(
    "|".join(
        rf"(?<![\w./-]){section}\.(?:{'|'.join(fields)})\b"
        for section, fields in {"data": DataConfig.model_fields, "train": TrainConfig.model_fields}.items()
    )
)
"""A setting that each training of `then` has for itself."""


def under_link(text: str, number: int) -> str:
    """`text` about the training `then[number]`, with its keys as the file has them.

    >>> under_link("train.epochs is 0, and data/train.jsonl is empty", 1)
    'then.1.train.epochs is 0, and data/train.jsonl is empty'
    """
    return _OWN_KEY.sub(lambda key: f"then.{number}.{key[0]}", text)


def _check_documents(config: Config) -> None:
    for language in config.documents.languages:
        if language not in config.prompts:
            raise ValueError(
                f"documents.languages names {language!r}; prompts.{language} (system, refusal, labels) is missing"
            )
    if config.dataset.valid_share + config.dataset.test_share >= 0.9:
        raise ValueError("dataset.valid_share + dataset.test_share leave under a tenth of the data for training")
    if config.evaluation.max_new_tokens >= config.dataset.max_tokens:
        raise ValueError(
            f"evaluation.max_new_tokens ({config.evaluation.max_new_tokens}) leaves no room for a prompt in "
            f"dataset.max_tokens ({config.dataset.max_tokens})"
        )


def _check_lengths(config: Config) -> None:
    """The longest example of each kind fits the model, and a forward pass."""
    examples = {}
    if config.documents.path is not None:
        examples["dataset.max_tokens"] = config.dataset.max_tokens
    if config.data.sources:
        examples["data.max_tokens"] = config.data.max_tokens
    pieces = dict(examples)
    if config.model.path is None:
        pieces["pretrain.sequence_tokens"] = config.pretrain.sequence_tokens
        for name, tokens in examples.items():
            if tokens > config.model.context_tokens:
                raise ValueError(
                    f"{name} ({tokens}) is above model.context_tokens ({config.model.context_tokens}); lower the first "
                    f"or raise the second"
                )
    for name, tokens in pieces.items():
        if tokens > config.train.max_pack_tokens:
            raise ValueError(
                f"{name} ({tokens}) is above train.max_pack_tokens ({config.train.max_pack_tokens}), and an example is "
                f"computed in one piece; raise train.max_pack_tokens, or lower {name}"
            )
