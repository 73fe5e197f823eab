"""Whether what an answer says stands in its passages."""

from __future__ import annotations

import re

from groundtune.evaluation.measures.measure import Observed

_FIGURE = re.compile(r"\d+(?:[.,]\d+)*")


def unsupported_numbers(observed: Observed) -> tuple[str, ...]:
    """Numbers of the answer that stand nowhere in its passages or the question; empty where it had no passages."""
    if not observed.passages:
        return ()
    known = set(_FIGURE.findall(" ".join((*observed.passages, observed.question.question))))
    return tuple(dict.fromkeys(found for found in _FIGURE.findall(observed.text) if found not in known))
