"""How a clause can say that there is no answer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum


class Denial(IntEnum):
    """What else must hold for a clause that denies to be a refusal."""

    NONE = 0
    """It denies nothing."""
    IF_OPEN = 1
    """Something is not there, which answers a question for yes or no, and not one for a fact."""
    IF_ASKED = 2
    """Something is not told or not in the texts; a refusal where it is what was asked for."""
    CERTAIN = 3
    """The speaker does not know, or the texts do not tell."""


def any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in patterns))


def surest(clause: str, cue: re.Pattern[str], levels: Iterable[tuple[Denial, re.Pattern[str]]]) -> Denial:
    """The first of `levels` whose words stand in `clause`; none is looked for where `cue`, which is cheap, is not there."""
    if cue.search(clause) is None:
        return Denial.NONE
    return next((level for level, pattern in levels if pattern.search(clause)), Denial.NONE)
