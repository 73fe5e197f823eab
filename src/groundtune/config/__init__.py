"""The configuration file: its sections, its defaults, and errors that name the line.

One YAML file drives every verb. Each stage depends only on the sections it is given, so a change re-runs only what
depends on it. What this package does not do: read documents, load models, or import anything heavy.
"""

from groundtune.config.data import (
    AugmentConfig,
    BalanceConfig,
    CurriculumConfig,
    DataConfig,
    DataFormat,
    FilterConfig,
    PhaseConfig,
    SourceConfig,
)
from groundtune.config.documents import (
    ENGLISH_PROMPT,
    TURKISH_PROMPT,
    DatasetConfig,
    DocumentsConfig,
    FlowConfig,
    FoundationConfig,
    GenerationConfig,
    GroupingConfig,
    JudgeConfig,
    PromptConfig,
    RelationsConfig,
    RetrievalConfig,
)
from groundtune.config.evaluating import AnswerJudgeConfig, ChecklistConfig, EvaluationConfig, ForgettingConfig
from groundtune.config.learning import ComputingConfig, OptimizerConfig, PretrainConfig, RoundConfig
from groundtune.config.models import PRESETS, ModelConfig, TokenizerConfig
from groundtune.config.reading import convert_file, default_config, load_config
from groundtune.config.section import Positive, Section, Share
from groundtune.config.training import HARMLESS, AdapterConfig, PreferenceConfig, TrainConfig
from groundtune.config.whole import Config, NextConfig, Note
from groundtune.config.writers import REACHING, PriceConfig, Provider, RunOptions, WriterConfig

__all__ = [
    "ENGLISH_PROMPT",
    "HARMLESS",
    "PRESETS",
    "REACHING",
    "TURKISH_PROMPT",
    "AdapterConfig",
    "AnswerJudgeConfig",
    "AugmentConfig",
    "BalanceConfig",
    "ChecklistConfig",
    "ComputingConfig",
    "Config",
    "CurriculumConfig",
    "DataConfig",
    "DataFormat",
    "DatasetConfig",
    "DocumentsConfig",
    "EvaluationConfig",
    "FilterConfig",
    "FlowConfig",
    "ForgettingConfig",
    "FoundationConfig",
    "GenerationConfig",
    "GroupingConfig",
    "JudgeConfig",
    "ModelConfig",
    "NextConfig",
    "Note",
    "OptimizerConfig",
    "PhaseConfig",
    "Positive",
    "PreferenceConfig",
    "PretrainConfig",
    "PriceConfig",
    "PromptConfig",
    "Provider",
    "RelationsConfig",
    "RetrievalConfig",
    "RoundConfig",
    "RunOptions",
    "Section",
    "Share",
    "SourceConfig",
    "TokenizerConfig",
    "TrainConfig",
    "WriterConfig",
    "convert_file",
    "default_config",
    "load_config",
]
