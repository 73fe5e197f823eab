"""Checkpoints that are whole or absent, belong to this very run, and are gone when it ends.

A checkpoint is written under a temporary name and renamed, so one that can be seen is whole. It carries a fingerprint of
everything the run depends on; one of another run is thrown away, never continued.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from groundtune.errors import StorageError
from groundtune.files import TEMPORARY_PREFIX, make_folder, read_text, write_text, writing
from groundtune.prefix import TokenisedExamples

CHECKPOINTS_NAME = "checkpoints"
FINGERPRINT_NAME = "fingerprint"
_NAME = re.compile(r"checkpoint-(\d+)")


def fingerprint_run(
    settings: Mapping[str, Any],
    examples: Iterable[TokenisedExamples],
    weights: Mapping[str, torch.Tensor],
) -> str:
    """sha256 over settings, examples and the weights training starts from."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in examples:
        digest.update(b"examples")
        for column in (part.offsets, part.token_ids, part.weights):
            digest.update(column.data)
    for name in sorted(weights):
        digest.update(name.encode())
        # as bytes, because numpy has no bfloat16
        digest.update(weights[name].detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def saving(folder: Path) -> Iterator[None]:
    """Turn what torch and safetensors raise when the disk refuses (no `OSError`) into `StorageError`."""
    with writing(folder):
        try:
            yield
        except (RuntimeError, SafetensorError) as error:
            reason = str(error).strip().partition("\n")[0][:200]
            raise StorageError(
                f"cannot write {folder}: {reason}; check that the disk has room, then run the same command again"
            ) from error


def find_checkpoint(folder: Path, fingerprint: str) -> Path | None:
    """The newest checkpoint of the run with this `fingerprint`; leftovers of other runs and of kills are removed."""
    for leftover in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    checkpoints = folder / CHECKPOINTS_NAME
    if not checkpoints.is_dir():
        return None
    found: dict[int, Path] = {}
    for path in sorted(checkpoints.iterdir()):
        name = _NAME.fullmatch(path.name)
        mark = path / FINGERPRINT_NAME
        if name and mark.is_file() and read_text(mark) == fingerprint:
            found[int(name[1])] = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    return found[max(found)] if found else None


def publish_checkpoint(staged: Path, folder: Path, fingerprint: str, *, keep: int = 1) -> None:
    """Move a finished checkpoint from its temporary place into `folder` and remove all but the newest `keep`."""
    write_text(staged / FINGERPRINT_NAME, fingerprint)
    checkpoints = make_folder(folder / CHECKPOINTS_NAME)
    final = checkpoints / staged.name
    with writing(final):
        _discard(final)
        staged.rename(final)
    steps = {int(name[1]): path for path in checkpoints.iterdir() if (name := _NAME.fullmatch(path.name))}
    newest = [steps[step] for step in sorted(steps)[-keep:]]
    for path in sorted(checkpoints.iterdir()):
        if path not in newest and not path.name.startswith(TEMPORARY_PREFIX):
            shutil.rmtree(path, ignore_errors=True)


def remove_checkpoints(folder: Path) -> None:
    _discard(folder / CHECKPOINTS_NAME)


def _discard(path: Path) -> None:
    """Remove a folder, out of sight first: a kill in between must not leave a checkpoint that has its fingerprint but not its files."""
    if path.exists():
        aside = path.with_name(f"{TEMPORARY_PREFIX}{path.name}")
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
