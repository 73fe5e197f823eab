"""The configuration file: its sections, its defaults, and errors that name the line.

One YAML file drives every verb. Each stage depends only on the sections it is given, so a change re-runs only what
depends on it. Unknown keys, duplicate keys and values of the wrong type are errors that name file, line and, for a key,
the nearest known one. What this module does not do: read documents, load models, or import anything heavy.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from groundtune.errors import ConfigError
from groundtune.types import Language, Rule

Share = Annotated[float, Field(ge=0.0, lt=1.0)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """Base of every section: no unknown keys, no changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DocumentsConfig(Section):
    """Where the documentation is and how it is cut."""

    path: str = "docs"
    """A folder of Markdown files, or one pre-chunked .json/.jsonl file; relative to the config file."""
    include: tuple[str, ...] = ("**/*.md", "**/*.markdown")
    exclude: tuple[str, ...] = ()
    languages: tuple[Language, ...] = Field(("tr", "en"), min_length=1)
    """Candidates for detection; the first is the documentation's main language."""
    chunk_tokens: int = Field(200, ge=40)
    """Size aimed at. A table or code block is never cut, so a chunk can be larger."""
    id_prefix: str = "erp-mod"
    """Chunk ids are ``{id_prefix}-{module}-{language}_chunk_{nnn}``."""
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


class GenerationConfig(Section):
    """Who writes the pairs, and how many."""

    provider: Literal["offline"] = "offline"
    """``offline`` is the keyless rule-based stand-in."""
    min_pairs: Positive = 2
    max_pairs: Positive = 8
    """Per group: between these, growing with the group's tokens."""
    rules: tuple[Rule, ...] = tuple(Rule)
    """Groups of other rules are not asked."""
    unanswerable_share: Share = 0.06
    """Share of all pairs whose evidence is taken out of the context and whose answer is the refusal."""
    max_answer_words: Positive = 200

    @model_validator(mode="after")
    def _ordered(self) -> GenerationConfig:
        if self.min_pairs > self.max_pairs:
            raise ValueError(f"min_pairs ({self.min_pairs}) must not be above max_pairs ({self.max_pairs})")
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


class TokenizerConfig(Section):
    """Used when `model.path` is null: the tokenizer made from the documents."""

    vocab_size: int = Field(6000, ge=300, le=64000)


class ModelConfig(Section):
    """The model to fine-tune: one from a folder or hub, or a small one made from scratch."""

    path: str | None = None
    """Folder or Hugging Face id. None makes a tokenizer and a Llama-style model from scratch."""
    layers: Positive = 4
    width: Positive = 256
    heads: Positive = 4
    kv_heads: Positive = 4
    feed_forward: Positive = 512
    context_tokens: int = Field(1024, ge=64)
    copying_start: bool = True
    """Whether the first weights of a model from scratch can already copy from the context (docs/decisions/0004)."""

    @model_validator(mode="after")
    def _divisible(self) -> ModelConfig:
        if self.width % self.heads or (self.width // self.heads) % 2:
            raise ValueError(f"width ({self.width}) must be an even multiple of heads ({self.heads})")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        size = self.width // self.heads
        if self.path is None and self.copying_start and (min(self.layers, self.heads) < 2 or size < 32 or size % 8):
            raise ValueError(
                f"copying_start needs 2 layers, 2 heads and a head size (width / heads) that is a multiple of 8 from 32; found "
                f"{self.layers} layers, {self.heads} heads of {size}; enlarge them, or set copying_start: false"
            )
        return self


class OptimizerConfig(Section):
    """AdamW with a cosine that ends at a share of the peak, after a linear warm-up."""

    learning_rate: float = Field(5e-4, gt=0)
    warmup_share: Share = 0.1
    final_lr_share: float = Field(0.1, ge=0, le=1)
    weight_decay: float = Field(0.01, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    dropout: Share = 0.0


class ComputingConfig(Section):
    """How a training is computed: what changes its time and memory, and what is learnt by rounding only."""

    max_pack_tokens: int = Field(4096, ge=64)
    """Most tokens in one forward pass; a step of more is computed in several. Lower it when memory runs out."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the products; weights stay float32. ``auto`` is bfloat16 on a GPU that has it, and float32 on a CPU."""
    gradient_checkpointing: bool = False
    """Compute each layer again in the backward pass instead of keeping it: about a third slower, far less memory."""
    threads: int = Field(0, ge=0)
    """CPU threads; 0 leaves the choice to groundtune."""


class PretrainConfig(OptimizerConfig):
    """Next-token training of a model made from scratch on the documents' text. Not run when `model.path` is set."""

    learning_rate: float = Field(1e-3, gt=0)
    epochs: int = Field(1, ge=0)
    sequence_tokens: int = Field(256, ge=32)
    batch_sequences: Positive = 8
    """Sequences in one optimizer step."""
    recall_share: Share = 0.5
    """Share of the sequences that say parts of their own text again, so that copying from the context is practised."""


class TrainConfig(OptimizerConfig, ComputingConfig):
    """Fine-tuning on the pairs, with loss on the assistant's tokens only. Pretraining is computed in the same way."""

    name: str = Field("default", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """The run's folder below ``runs/``."""
    epochs: Positive = 3
    examples_per_step: Positive = 8
    """Examples in one optimizer step, over all processes."""
    sharing: Literal["tree", "plain"] = "tree"
    """``tree`` computes a prefix that examples of a step share once; ``plain`` computes each example by itself, for models
    that the tree is wrong for."""
    probe: bool = True
    """Whether a model is asked before training if sharing is right for it."""
    drills: int = Field(0, ge=0)
    """Conversations made from the documents' own sentences, mixed among the pairs: a model from scratch practises finding
    and copying on them (docs/decisions/0004)."""
    samples: int = Field(4, ge=0)
    """Validation questions answered before and after training."""
    sample_tokens: Positive = 96
    """Longest answer to each of them."""


class EvaluationConfig(Section):
    max_questions: int = Field(120, ge=0)
    """Test questions answered by the base and by the tuned model; 0 asks all."""
    max_new_tokens: Positive = 96
    batch_questions: Positive = 16
    show_questions: int = Field(3, ge=0)
    """Answers of both models shown at the end of a run."""


class RetrievalConfig(Section):
    top_k: Positive = 3


class Config(Section):
    """The whole file. Paths inside are relative to `folder`."""

    project: str = "groundtune"
    workdir: str = "groundtune-out"
    seed: int = Field(20260930, ge=0, lt=2**32)
    documents: DocumentsConfig = DocumentsConfig()
    grouping: GroupingConfig = GroupingConfig()
    generation: GenerationConfig = GenerationConfig()
    prompts: dict[Language, PromptConfig] = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
    dataset: DatasetConfig = DatasetConfig()
    tokenizer: TokenizerConfig = TokenizerConfig()
    model: ModelConfig = ModelConfig()
    pretrain: PretrainConfig = PretrainConfig()
    train: TrainConfig = TrainConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    retrieval: RetrievalConfig = RetrievalConfig()
    _folder: Path = Path()

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

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        for language in self.documents.languages:
            if language not in self.prompts:
                raise ValueError(
                    f"documents.languages names {language!r}; prompts.{language} (system, refusal, labels) is missing"
                )
        if self.dataset.valid_share + self.dataset.test_share >= 0.9:
            raise ValueError("dataset.valid_share + dataset.test_share leave under a tenth of the data for training")
        if self.evaluation.max_new_tokens >= self.dataset.max_tokens:
            raise ValueError(
                f"evaluation.max_new_tokens ({self.evaluation.max_new_tokens}) leaves no room for a prompt in dataset.max_tokens "
                f"({self.dataset.max_tokens})"
            )
        if self.model.path is None and self.dataset.max_tokens > self.model.context_tokens:
            raise ValueError(
                f"dataset.max_tokens ({self.dataset.max_tokens}) is above model.context_tokens ({self.model.context_tokens})"
            )
        longest = {"dataset.max_tokens": self.dataset.max_tokens}
        if self.model.path is None:
            longest["pretrain.sequence_tokens"] = self.pretrain.sequence_tokens
        for name, tokens in longest.items():
            if tokens > self.train.max_pack_tokens:
                raise ValueError(
                    f"{name} ({tokens}) is above train.max_pack_tokens ({self.train.max_pack_tokens}), and an example is "
                    f"computed in one piece; raise train.max_pack_tokens, or lower {name}"
                )
        return self

    @property
    def folder(self) -> Path:
        """Of the configuration file; what relative paths in it start from."""
        return self._folder

    def resolve(self, path: str) -> Path:
        """A path of the configuration as a path of this machine."""
        return (self._folder / Path(path).expanduser()).resolve()

    @property
    def work(self) -> Path:
        """The folder everything is written to."""
        return self.resolve(self.workdir)


def load_config(path: Path, overrides: Sequence[str] = ()) -> Config:
    """Read a configuration file, apply ``section.key=value`` overrides, check everything.

    Raises:
        ConfigError: with file and line; for an unknown key also the nearest known one.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file; `groundtune init` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    values, lines = _parse_yaml(text, path)
    return _build(values, lines, overrides, folder=path.resolve().parent, name=str(path))


def default_config(documents: Path, overrides: Sequence[str] = ()) -> Config:
    """The configuration of a documents folder that has none: every default, work beside the current folder."""
    values = {"project": documents.resolve().name, "documents": {"path": str(documents.resolve())}}
    return _build(values, {}, overrides, folder=Path.cwd(), name="(defaults)")


def _build(
    values: dict[str, Any], lines: Mapping[tuple[str, ...], int], overrides: Sequence[str], *, folder: Path, name: str
) -> Config:
    origin: dict[tuple[str, ...], str] = {}
    for override in overrides:
        keys = _apply_override(values, override)
        origin[keys] = f"--set {override}"
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_describe(error, name, lines, origin)) from error
    object.__setattr__(config, "_folder", folder)
    return config


def _apply_override(values: dict[str, Any], override: str) -> tuple[str, ...]:
    """Set ``section.key=value`` in `values`; the value is read as YAML. Returns the keys."""
    path, equals, raw = override.partition("=")
    keys = tuple(path.strip().split("."))
    if not equals or not all(keys):
        raise ConfigError(f"--set {override!r}: expected section.key=value, such as train.epochs=2")
    try:
        value = yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {override!r}: the value is not valid YAML") from error
    inner = values
    for key in keys[:-1]:
        inner = inner.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override!r}: {key!r} is not a section")
    inner[keys[-1]] = value
    return keys


def _parse_yaml(text: str, path: Path) -> tuple[dict[str, Any], dict[tuple[str, ...], int]]:
    """The YAML mapping, and the 1-based line of every key. Duplicate keys are errors: PyYAML would keep the last silently."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise ConfigError(f"{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from error
    lines: dict[tuple[str, ...], int] = {}
    if node is not None:
        _collect_lines(node, (), lines, path)
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: found a {type(values).__name__}, expected sections (key: value)")
    return values, lines


def _collect_lines(node: yaml.Node, prefix: tuple[str, ...], lines: dict[tuple[str, ...], int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            keys = (*prefix, str(key_node.value))
            line = key_node.start_mark.line + 1
            if keys in lines:
                raise ConfigError(
                    f"{path}:{line}: {'.'.join(keys)} is set twice (first on line {lines[keys]}); keep one"
                )
            lines[keys] = line
            _collect_lines(value_node, keys, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*prefix, str(index))] = item.start_mark.line + 1
            _collect_lines(item, (*prefix, str(index)), lines, path)


def _describe(
    error: ValidationError, name: str, lines: Mapping[tuple[str, ...], int], origin: Mapping[tuple[str, ...], str]
) -> str:
    """The first problem as one sentence, and how many more there are."""
    problems = error.errors()
    # an unknown key first: it is what usually causes the others
    problems.sort(key=lambda problem: problem["type"] != "extra_forbidden")
    first = problems[0]
    keys = tuple(str(part) for part in first["loc"])
    line = _nearest_line(keys, lines)
    overridden = [text for known, text in origin.items() if known[: len(keys)] == keys or keys[: len(known)] == known]
    where = overridden[-1] if overridden else f"{name}:{line}" if line else name
    dotted = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = _known_keys(keys[:-1])
        near = difflib.get_close_matches(keys[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
        message = f"{where}: unknown key {dotted!r}; {hint}"
    elif first["type"] == "missing":
        message = f"{where}: {dotted!r} is missing"
    elif first["type"] == "value_error":
        message = f"{where}: {first['ctx']['error']}"
    else:
        message = f"{where}: {dotted} is {first['input']!r}; {first['msg'].lower()}"
    more = len(problems) - 1
    return message + (f" (and {more} more problem{'s' if more > 1 else ''})" if more else "")


def _nearest_line(keys: tuple[str, ...], lines: Mapping[tuple[str, ...], int]) -> int | None:
    for length in range(len(keys), 0, -1):
        if keys[:length] in lines:
            return lines[keys[:length]]
    return None


def _known_keys(section: tuple[str, ...]) -> list[str]:
    """Names a section accepts, found by walking the models along `section`."""
    model: Any = Config
    for part in section:
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            break
        field = model.model_fields.get(part)
        if field is None:
            # a language under prompts, or a list index
            continue
        model = _section_of(field.annotation)
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _section_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _section_of(argument)
        if found is not None:
            return found
    return None
