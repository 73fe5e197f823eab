"""Instruction data of every usual format, read into `Conversation` row by row, and written back.

Files (JSON, JSON Lines, CSV, Parquet, text; gzip too), folders, patterns, Hugging Face ids and the names of LLaMA-Factory's
``dataset_info.json``. A row that cannot be read becomes a `LeftOut` with one of `REASONS`; no row disappears. This package
does not filter, mix, render or tokenise.
"""

from groundtune.dataset.formats.detection import detect_format
from groundtune.dataset.formats.losses import Loss
from groundtune.dataset.formats.reading import read_source, source_files, source_with_count
from groundtune.dataset.formats.reasons import MAX_ROW_BYTES, REASONS, Reason
from groundtune.dataset.formats.registry import Registry, RegistryEntry, load_registry
from groundtune.dataset.formats.writing import write_conversations

__all__ = [
    "MAX_ROW_BYTES",
    "REASONS",
    "Loss",
    "Reason",
    "Registry",
    "RegistryEntry",
    "detect_format",
    "load_registry",
    "read_source",
    "source_files",
    "source_with_count",
    "write_conversations",
]
