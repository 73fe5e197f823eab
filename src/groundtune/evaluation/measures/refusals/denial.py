"""How a clause can say that there is no answer."""

from __future__ import annotations

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
