"""How many tokens a text may have for a tokenizer that nobody here has: a range, from bytes of UTF-8.

Providers keep their tokenizers to themselves, so the range is spanned by tokenizers at hand, on documentation none of them was
trained on but the dearest English one (2026-11-21, bytes a token; the sets are those of ``shared/data`` and ``examples``):

==================================  ==============  ==============
tokenizer                           Turkish         English
==================================  ==============  ==============
BPE of 2,003, general text          1.90 ... 2.68   2.28 ... 2.47
byte BPE of 8,000, other documents  2.75 ... 2.90   2.49 ... 3.14
byte BPE of 32,000, likewise        3.24 ... 3.62   3.10 ... 3.32
byte BPE of 64,000                  3.72            4.31
==================================  ==============  ==============

What this module does not do: count tokens exactly; a ledger with answers in it does (:mod:`groundtune.generation.estimating.estimate`).
"""

from __future__ import annotations

from collections.abc import Mapping

from groundtune.types import Language

BYTES_PER_TOKEN: Mapping[Language, tuple[float, float]] = {"tr": (1.9, 3.7), "en": (2.3, 4.3)}
"""Fewest and most, by language."""

_ANY_LANGUAGE = (1.0, 4.3)
"""Fewest: a script that a tokenizer writes byte by byte."""


def bytes_per_token(language: Language) -> tuple[float, float]:
    """
    >>> bytes_per_token("tr"), bytes_per_token("th")
    ((1.9, 3.7), (1.0, 4.3))
    """
    return BYTES_PER_TOKEN.get(language, _ANY_LANGUAGE)
