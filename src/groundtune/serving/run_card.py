"""`run.json`: what a finished run needs to be talked to, with paths relative to itself so that the folder can move."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from groundtune.config import PromptConfig
from groundtune.errors import DataError
from groundtune.files import read_record
from groundtune.types import Language

RUN_CARD_PLACE = "card/run.json"
"""Below the run folder."""


@dataclass(frozen=True)
class RunCard:
    """Written below the run folder by the pipeline, read by `chat`."""

    project: str
    chunks: str
    """Path of chunks.jsonl, relative to the run folder; "" of a model without documents."""
    model: str
    """Path of the tuned model, relative to the run folder."""
    base: str
    """Of the model before fine-tuning: a path relative to the run folder, or a Hugging Face id."""
    languages: tuple[Language, ...]
    prompts: dict[Language, dict[str, str]]
    top_k: int
    max_tokens: int
    """Of a whole example in training: the prompt and its answer stay within it in chat too."""
    max_new_tokens: int

    def prompt(self, language: Language) -> PromptConfig:
        return PromptConfig(**self.prompts[language])


def read_run_card(run: Path) -> RunCard:
    """Raises `DataError` when `run` is not the folder of a finished training run."""
    path = run / RUN_CARD_PLACE
    if not path.is_file():
        raise DataError(
            f"{run}: not the folder of a finished run ({RUN_CARD_PLACE} is not in it); expected something like WORKDIR/runs/NAME"
        )
    card = read_record(path, RunCard)
    for name in (card.chunks, card.model):
        if name and not (run / name).exists():
            raise DataError(f"{path}: names {name!r}, which is not there; run `groundtune run` again")
    return card
