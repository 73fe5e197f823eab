"""How much of a proof the fast suite goes through; `make prove` goes through all of it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest
from hypothesis import settings

FEWEST = 5


def tries(proof: int) -> int:
    """Examples of a law: `proof` of them in the profile `prove`, and in any other its share of the profile's own number.

    The profile `fast` has a tenth of what `prove` has.
    """
    return max(FEWEST, proof * settings().max_examples // settings.get_profile("prove").max_examples)


def diagonal(rows: Sequence[Any], columns: Sequence[Any]) -> list[Any]:
    """Every pair as parameters of a test; those off a diagonal, on which each row and each column stands, are slow."""
    return [
        pytest.param(row, column, marks=() if (at - place) % min(len(rows), len(columns)) == 0 else pytest.mark.slow)
        for (at, row), (place, column) in product(enumerate(rows), enumerate(columns))
    ]
