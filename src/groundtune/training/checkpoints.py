"""Checkpoints that are whole or absent, belong to this very run, and are gone when it ends.

A checkpoint is written under a temporary name, flushed to the disk and renamed, so one that can be seen was whole. It
carries a fingerprint of everything the run depends on, and one of another run is thrown away, never continued; and a list
of its files with their checksums, so that one that a disk has spoilt since is not continued either.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from groundtune.errors import DataError, StorageError
from groundtune.files import TEMPORARY_PREFIX, make_folder, read_json, write_json, write_text, writing
from groundtune.prefix import TokenisedExamples
from groundtune.training.corpus import Mixture
from groundtune.training.memory import is_out_of_memory

CHECKPOINTS_NAME = "checkpoints"
FINGERPRINT_NAME = "fingerprint"
FILES_NAME = "files.json"
CHUNK_BYTES = 1 << 20
_NAME = re.compile(r"checkpoint-(\d+)")


def fingerprint_run(
    settings: Mapping[str, Any],
    examples: Iterable[TokenisedExamples | Mixture],
    weights: Mapping[str, torch.Tensor],
) -> str:
    """sha256 over settings, examples and the weights training starts from."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for part in examples:
        digest.update(b"examples")
        if isinstance(part, Mixture):
            digest.update(part.fingerprint.encode())
            continue
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
            if is_out_of_memory(error) or "(os error " in str(error):
                # the second is `writing`'s to put into words
                raise
            reason = str(error).strip().partition("\n")[0][:200]
            if "inline_container" in reason:
                # torch knows where in its own source it noticed, and not why
                reason = "a file could not be written to its end"
            raise StorageError(
                f"cannot write {folder}: {reason}; check that the disk has room, then run the same command again"
            ) from error


@dataclass(frozen=True, slots=True)
class FoundCheckpoint:
    path: Path | None = None
    """None: there is none to continue."""
    damaged: tuple[str, ...] = ()
    """What was wrong with newer ones of the same run, in words."""


def find_checkpoint(folder: Path, fingerprint: str) -> FoundCheckpoint:
    """The newest whole checkpoint of the run with this `fingerprint`; leftovers of other runs and of kills are removed, and
    what was damaged."""
    for leftover in sorted(folder.glob(f"{TEMPORARY_PREFIX}*")):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    checkpoints = folder / CHECKPOINTS_NAME
    if not checkpoints.is_dir():
        return FoundCheckpoint()
    found: dict[int, Path] = {}
    for path in sorted(checkpoints.iterdir()):
        name = _NAME.fullmatch(path.name)
        mark = path / FINGERPRINT_NAME
        if name and mark.is_file() and mark.read_bytes() == fingerprint.encode():
            found[int(name[1])] = path
        else:
            shutil.rmtree(path, ignore_errors=True)
    damaged: list[str] = []
    for step in sorted(found, reverse=True):
        wrong = _damage(found[step])
        if wrong is None:
            return FoundCheckpoint(found[step], tuple(damaged))
        damaged.append(f"{found[step].name} is damaged ({wrong})")
        shutil.rmtree(found[step], ignore_errors=True)
    return FoundCheckpoint(None, tuple(damaged))


def _damage(checkpoint: Path) -> str | None:
    """What is wrong with the files of a checkpoint; None when they are those that were written."""
    try:
        written = dict(read_json(checkpoint / FILES_NAME))
    except (DataError, TypeError, ValueError):
        return f"{FILES_NAME} cannot be read"
    for name, (size, checksum) in written.items():
        path = checkpoint / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != size:
            return f"{name} has {path.stat().st_size} bytes, and {size} were written"
        if _checksum(path) != checksum:
            return f"{name} is not what was written"
    return None


def _checksum(path: Path) -> int:
    """CRC-32: against disks, not against forgers."""
    found = 0
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            found = zlib.crc32(chunk, found)
    return found


def _list_files(staged: Path) -> None:
    """Flush every file of a checkpoint to the disk and write the list of them."""
    listed: dict[str, tuple[int, int]] = {}
    for path in sorted(staged.rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            listed[path.relative_to(staged).as_posix()] = (path.stat().st_size, _checksum(path))
    write_json(staged / FILES_NAME, listed)


def publish_checkpoint(staged: Path, folder: Path, fingerprint: str, *, keep: int = 1) -> None:
    """Move a finished checkpoint from its temporary place into `folder` and remove all but the newest `keep`."""
    write_text(staged / FINGERPRINT_NAME, fingerprint)
    with writing(staged):
        _list_files(staged)
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
