"""Says which weights a file and a model do not have in common, in few words and without leaving any out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from groundtune.errors import TrainingError

SHOWN_NAMES = 24
"""Names (with all layers of one kind as one name) listed in an error before the rest is counted."""

_NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")


def check_names(
    source: object,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    shapes: Mapping[str, tuple[Sequence[int], Sequence[int]]] | None = None,
) -> None:
    """Refuse weights that are not exactly those of the model.

    Args:
        missing: the model needs them, the file lacks them.
        unexpected: the file has them, the model does not know them.
        shapes: name -> shape in the file and shape in the model, where the two differ.

    Raises:
        TrainingError: there is one of any kind; all of them are named.
    """
    differing = {
        f"{name} ({_told(found)}, not {_told(expected)})": None for name, (found, expected) in (shapes or {}).items()
    }
    problems = [
        f"{meaning}: {list_names(names)}"
        for meaning, names in (
            ("the model needs but the files lack", sorted(missing)),
            ("the files hold but the model does not know", sorted(unexpected)),
            ("have another shape", list(differing)),
        )
        if names
    ]
    if problems:
        raise TrainingError(
            f"{source}: the weights do not fit the architecture, so it is a checkpoint of another one; weights "
            f"{'; weights '.join(problems)}"
        )


def list_names(names: Iterable[str]) -> str:
    """Names in the order given, those that differ only in their layer's number as one.

    >>> list_names(["layers.0.norm.weight", "layers.1.norm.weight", "layers.2.norm.weight", "head.weight"])
    'layers.{0-2}.norm.weight, head.weight'
    >>> list_names(["layers.0.norm", "layers.3.norm"])
    'layers.{0,3}.norm'
    """
    kinds: dict[str, list[int]] = {}
    for name in names:
        found = _NUMBER.search(name)
        kind = name if found is None else f"{name[: found.start()]}\0{name[found.end() :]}"
        kinds.setdefault(kind, []).extend([int(found[0])] if found else [])
    listed = [kind.replace("\0", _numbers(numbers)) for kind, numbers in kinds.items()]
    more = len(listed) - SHOWN_NAMES
    return ", ".join(listed[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _numbers(numbers: list[int]) -> str:
    """``7`` for one, ``{0-3,5}`` for several."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ",".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return text if text.isdigit() else f"{{{text}}}"


def _told(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"
