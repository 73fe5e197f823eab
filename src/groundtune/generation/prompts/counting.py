"""How many pairs a group is asked for."""

from __future__ import annotations

from math import log

from groundtune.config import GenerationConfig

FEW_TOKENS = 200
"""Up to this many a group is asked for `min_pairs`: a chunk of the usual size."""
MANY_TOKENS = 2400
"""From this many on it is asked for `max_pairs`: the largest group that grouping makes by default."""


def num_pairs(tokens: int, config: GenerationConfig) -> int:
    """How many pairs a group, or the part of it in focus, of `tokens` is asked for.

    ``min_pairs`` up to `FEW_TOKENS`, ``max_pairs`` from `MANY_TOKENS`, and in between a power of the tokens, so that twice
    the text always brings the same times as many pairs: ``min * (tokens / 200) ** (log(max / min) / log(12))``. By default
    that is 1.6 times, not twice, because long text says things again. The lower end follows from what a passage carries:
    200 tokens are seven to ten sentences, and five pairs leave none of them to be asked about twice.

    >>> config = GenerationConfig()  # 5 to 28
    >>> [num_pairs(tokens, config) for tokens in (20, 200, 300, 400, 600, 800, 1200, 1600, 2400, 9000)]
    [5, 5, 7, 8, 11, 13, 17, 21, 28, 28]
    >>> [num_pairs(tokens, GenerationConfig(min_pairs=4, max_pairs=8)) for tokens in (20, 200, 500, 1000, 2000, 9000)]
    [4, 4, 5, 6, 8, 8]
    """
    growth = log(max(tokens, 1) / FEW_TOKENS) / log(MANY_TOKENS / FEW_TOKENS)
    share = min(1.0, max(0.0, growth))
    # not round() of the power alone: the ends must be exact, whatever floating point makes of them
    many: float = config.min_pairs * (config.max_pairs / config.min_pairs) ** share
    return min(config.max_pairs, max(config.min_pairs, round(many)))
