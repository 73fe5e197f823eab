"""The tokenizer of a work folder, with the chat template that the configuration asks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def load_workspace_tokenizer(workspace: Workspace) -> PreTrainedTokenizerBase:
    """Raises `TrainingError` or `TemplateError`."""
    from groundtune.chat import tokenizer_with_template
    from groundtune.models import load_tokenizer

    tokenizer = load_tokenizer(workspace.tokenizer_source)
    template = workspace.config.model.chat_template
    if template is None:
        return tokenizer
    file = template_file(workspace)
    return tokenizer_with_template(tokenizer, str(file) if file else template)


def template_file(workspace: Workspace) -> Path | None:
    """The Jinja file of `model.chat_template`; None for a built-in template, or none."""
    template = workspace.config.model.chat_template
    if template is None:
        return None
    path = workspace.config.resolve(template)
    return path if path.is_file() else None


def template_input(workspace: Workspace) -> dict[str, Path]:
    """As a stage's input."""
    file = template_file(workspace)
    return {"chat template": file} if file else {}
