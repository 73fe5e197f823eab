"""Where a model's description comes from: a folder, or the small files of a hub id; weights by their headers, the licence."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from groundtune.errors import TrainingError
from groundtune.models.explaining import explained
from groundtune.models.loading import ADAPTER_WEIGHTS_NAME
from groundtune.models.quiet import quiet_transformers

SMALL_FILES = ("*.json", "*.jinja", "*.txt", "*.model", "README.md", "LICENSE*", "LICENCE*")
"""What is fetched of a hub id: everything but weights."""

NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "I8": "int8", "U8": "uint8"}


@dataclass(frozen=True, slots=True)
class Weights:
    """The weight files of a model, by their headers."""

    files: int
    bytes: int
    """On disk."""
    parameters: int | None = None
    """Numbers in all tensors; None where only the sizes of the files are known."""
    dtype: str = ""
    """Of most of them; empty where it is not known."""
    dtypes: Mapping[str, int] = field(default_factory=dict)
    """Numbers by type."""
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Licence:
    """What a model's card or configuration says it may be used under."""

    name: str
    """Empty where nothing says so: then it is not known, not free."""
    told_by: str
    link: str = ""


def read_weights(folder: Path, *, adapter: bool = False) -> Weights:
    """The safetensors files of `folder`: a model's, or its adapter's. Only their headers are read. Raises `TrainingError` for a
    damaged one."""
    names = sorted(path.name for path in folder.glob("*.safetensors") if (path.name == ADAPTER_WEIGHTS_NAME) == adapter)
    numbers: Counter[str] = Counter()
    for name in names:
        with explained(folder / name), safe_open(folder / name, "pt") as file:
            for tensor in file.keys():  # noqa: SIM118 (no mapping)
                part = file.get_slice(tensor)
                numbers[part.get_dtype()] += math.prod(part.get_shape())
    told = {NAMES.get(kind, kind.lower()): count for kind, count in numbers.most_common()}
    return Weights(
        files=len(names),
        bytes=sum((folder / name).stat().st_size for name in names),
        parameters=sum(numbers.values()) if names else None,
        dtype=next(iter(told), ""),
        dtypes=told,
        problems=_missing(folder, names, adapter=adapter),
    )


def _missing(folder: Path, names: list[str], *, adapter: bool) -> tuple[str, ...]:
    """What keeps the weights from being loaded."""
    if adapter:
        return () if names else (f"no {ADAPTER_WEIGHTS_NAME}: it is not a whole adapter",)
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        wanted = sorted(set((_json(index).get("weight_map") or {}).values()) - set(names))
        if wanted:
            more = f" and {len(wanted) - 3} more" if len(wanted) > 3 else ""
            return (f"{len(wanted)} weight files that {index.name} names are not there: {', '.join(wanted[:3])}{more}",)
    if names:
        return ()
    pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.pth") for path in folder.glob(kind))
    if pickled:
        return (f"no safetensors weights, and {pickled[0]} is pickled: convert it before it is trained",)
    return ("no weights: there is nothing to train from",)


def fetch_description(name: str) -> Path:
    """A folder with everything of a hub id but its weights. Raises `TrainingError`: no such id, no network, no permission."""
    from huggingface_hub import snapshot_download

    with explained(name), quiet_transformers():
        return Path(snapshot_download(name, allow_patterns=list(SMALL_FILES)))


def hub_weights(name: str) -> Weights:
    """The weight files of a hub id, as the hub lists them. Raises `TrainingError` as `fetch_description`."""
    from huggingface_hub import HfApi

    with explained(name):
        found: Any = HfApi().model_info(name, files_metadata=True)
    files = [each for each in found.siblings or () if each.rfilename.endswith(".safetensors")]
    held: Any = getattr(found, "safetensors", None)
    counts = dict(getattr(held, "parameters", None) or {})
    told = {NAMES.get(kind, kind.lower()): count for kind, count in sorted(counts.items(), key=lambda each: -each[1])}
    return Weights(
        files=len(files),
        bytes=sum(each.size or 0 for each in files),
        parameters=sum(told.values()) or None,
        dtype=next(iter(told), ""),
        dtypes=told,
        problems=() if files else ("no safetensors weights: groundtune does not load others",),
    )


def read_licence(folder: Path) -> Licence:
    """From the front matter of the model card, else config.json, else the name of a licence file.

    The card's ``license: other`` stands for its ``license_name``.
    """
    card = front_matter(folder / "README.md")
    name = str(card.get("license") or "")
    if name == "other":
        name = str(card.get("license_name") or name)
    if name:
        return Licence(name, "README.md", str(card.get("license_link") or ""))
    config = folder / "config.json"
    told = str(_json(config).get("license") or "") if config.is_file() else ""
    if told:
        return Licence(told, "config.json")
    files = sorted(path.name for path in folder.iterdir() if path.name.upper().startswith(("LICENSE", "LICENCE")))
    return Licence("", files[0] if files else "")


def front_matter(path: Path) -> dict[str, Any]:
    """What stands between the first two lines of dashes of a Markdown file; empty where there is nothing, or no mapping."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    if not lines or lines[0].strip() != "---" or "---" not in (line.strip() for line in lines[1:]):
        return {}
    end = next(place for place, line in enumerate(lines[1:], 1) if line.strip() == "---")
    try:
        held = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError:
        return {}
    return held if isinstance(held, dict) else {}


def _json(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read as JSON ({error}); copy or download it again") from error
    return held if isinstance(held, dict) else {}
