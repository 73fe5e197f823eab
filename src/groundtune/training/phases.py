"""Phases: parts of every epoch, so that all steps of the first come before those of the second, and so on.

Within a phase steps are planned as an epoch is without any: shuffled by seed and epoch, examples that share much kept
together. What this module does not do: decide which example belongs to which phase (:mod:`groundtune.dataset`).

Legend: n examples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from groundtune.errors import TrainingError
from groundtune.prefix import PrefixTree


@dataclass(frozen=True, eq=False)
class Phases:
    numbers: npt.NDArray[np.int64]
    """[n] of each example, from 0."""
    names: tuple[str, ...] = ()
    """By number; one without a name is called by its number."""

    @classmethod
    def of(cls, numbers: Sequence[int] | npt.NDArray[np.int64], names: Sequence[str], examples: int) -> Phases:
        """Raises `TrainingError` when there is not one number from 0 for each of the `examples`."""
        array = np.asarray(numbers, np.int64)
        if len(array) != examples:
            raise TrainingError(f"{len(array)} phases come with {examples} training examples; expected one for each")
        if examples and array.min() < 0:
            place = int(np.argmin(array))
            raise TrainingError(f"training example {place} has phase {array[place]}; expected numbers from 0")
        return cls(array, tuple(names))

    def parts(self, tree: PrefixTree) -> list[tuple[str, PrefixTree]]:
        """Name and tree of each phase that has examples, in their order; example indices are those of `tree`."""
        # an order without some examples is the tree of the others: nothing is copied but the order
        phase_of = self.numbers[tree.order]
        parts = []
        for number in np.unique(phase_of).tolist():
            ranks = np.flatnonzero(phase_of == number)
            parts.append((self._name(number), PrefixTree(tree.examples, tree.order[ranks], tree.shared_among(ranks))))
        return parts

    def _name(self, number: int) -> str:
        return self.names[number] if number < len(self.names) else f"phase {number + 1}"
