"""What a failure inside transformers, peft, tokenizers or safetensors means to the user, in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from groundtune.errors import TrainingError


@contextmanager
def explained(source: str | Path) -> Iterator[None]:
    """Turn a failure inside transformers, peft or safetensors into what it means to the user."""
    try:
        yield
    except TrainingError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, StrictDataclassError) as error:
        raise _explain(error, source) from error


def _explain(error: Exception, source: str | Path) -> TrainingError:
    """What a failure inside transformers means to the user."""
    text = str(error)
    first_line = text.strip().partition("\n")[0][:300]
    if "trust_remote_code" in text or "remote code" in text:
        return TrainingError(
            f"{source}: needs code of its own to load; groundtune runs no code from a model's folder. Choose a model that transformers knows"
        )
    if isinstance(error, ImportError):
        return TrainingError(f"{source}: needs a package that is not installed ({first_line})")
    if isinstance(error, SafetensorError):
        return TrainingError(f"{source}: the weights file is damaged ({first_line}); copy or download it again")
    if isinstance(error, JSONDecodeError):
        return TrainingError(f"{source}: one of its .json files is damaged ({first_line}); copy or download it again")
    if isinstance(error, StrictDataclassError):
        return TrainingError(f"{source}: its config.json cannot be used ({' '.join(text.split())[:300]})")
    if "size mismatch" in text or "mismatched" in text.lower():
        return TrainingError(f"{source}: the weights have other shapes than config.json says ({first_line})")
    if isinstance(error, OSError) and not Path(source).exists():
        return TrainingError(
            f"{source}: no such folder, and no model of that name could be fetched ({first_line}); "
            "check the name, the network and, for a gated model, HF_TOKEN"
        )
    return TrainingError(f"{source}: cannot be loaded ({type(error).__name__}: {first_line})")
