"""How varied a model's questions are, in figures that do not grow or fall with how many it wrote.

Plain type-token ratios and compression ratios fall and rise with the length of the text (Shaib et al. 2024, "Standardizing the
Measurement of Text Diversity", arXiv 2403.00553), and models in a pilot write differently many pairs. So words are counted in
windows of one size, bytes in pieces of one size, and likeness is averaged over pairs of questions.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np

from groundtune.generation.pilot.resampling import Floats
from groundtune.language import lower_case
from groundtune.types import Language, Pair

WINDOW_WORDS = 50
"""Of questions, about five of them; a group with fewer words is left out of the figure."""
PIECE_BYTES = 1000
"""Of questions and answers, about four pairs; zlib finds repetition within 32 kB."""
RUN_WORDS = 4
"""Length of the runs that count as repeated, as in Shaib et al. (2024) and Salkar et al. (2022)."""
GRAM_CHARACTERS = 3


def words(text: str, language: Language) -> list[str]:
    """Lower case, without the marks around them.

    >>> words("LOT nedir, `STK-1` (ISI)?", "tr")
    ['lot', 'nedir', 'stk-1', 'ısı']
    """
    stripped = (word.strip("\"'“”‘’«»()[]{}.,;:!?…*_`") for word in lower_case(text, language).split())
    return [word for word in stripped if word]


def distinct_in_windows(pairs: Sequence[Pair], n: int) -> tuple[float, float]:
    """Sum over all windows of the share of distinct n-grams, and the number of windows.

    Distinct-n is by Li et al. (2016), "A Diversity-Promoting Objective Function"; windows of one size that move by a word by
    Covington and McFall (2010), "Cutting the Gordian Knot: The Moving-Average Type-Token Ratio". N-grams do not reach from one
    question into the next, so a window of 50 words of five questions holds 45 pairs of words.
    """
    grams: list[tuple[str, ...] | None] = []
    for pair in pairs:
        each = words(pair.question, pair.language)
        grams += [tuple(each[place : place + n]) for place in range(len(each) - n + 1)]
        grams += [None] * min(n - 1, len(each))  # the places of words at which no n-gram begins
    windows = len(grams) - WINDOW_WORDS + 1
    if windows < 1:
        return 0.0, 0.0
    inside = Counter(grams[:WINDOW_WORDS])
    total = 0.0
    for place in range(windows):
        if place:
            _take(inside, grams[place - 1])
            inside[grams[place + WINDOW_WORDS - 1]] += 1
        filled = WINDOW_WORDS - inside[None]
        total += (len(inside) - (None in inside)) / filled if filled else 0.0
    return total, float(windows)


def _take(inside: Counter[tuple[str, ...] | None], gram: tuple[str, ...] | None) -> None:
    inside[gram] -= 1
    if not inside[gram]:
        del inside[gram]


def compressed(pairs: Sequence[Pair]) -> tuple[float, float]:
    """Bytes in whole pieces of `PIECE_BYTES`, and what zlib makes of them; their ratio is higher for text that repeats itself.

    Original over compressed size as in Shaib et al. (2024).
    """
    text = "\n".join(f"{pair.question}\n{pair.answer}" for pair in pairs).encode("utf-8", "surrogatepass")
    pieces = [text[start : start + PIECE_BYTES] for start in range(0, len(text) - PIECE_BYTES + 1, PIECE_BYTES)]
    return float(len(pieces) * PIECE_BYTES), float(sum(len(zlib.compress(piece, 9)) for piece in pieces))


def similarity_sums(groups: Sequence[Sequence[Pair]]) -> tuple[Floats, Floats]:
    """Cosines of character 3-grams between questions, summed by pairs of groups, and how many pairs of questions there are.

    Both ``(groups, groups)``, symmetric; the diagonal counts each pair of questions of one group once. Questions of different
    languages are not compared. The sum over two groups is the product of their summed unit vectors, so the cost grows with the
    number of questions, not of pairs of them.
    """
    size = len(groups)
    summed = [_summed_vectors(pairs) for pairs in groups]
    cosines, counts = np.zeros((size, size)), np.zeros((size, size))
    for i in range(size):
        for j in range(i, size):
            for language in summed[i]:
                if language in summed[j]:
                    cosine, count = _compared(summed[i][language], summed[j][language], same=i == j)
                    cosines[i, j] += cosine
                    counts[i, j] += count
            cosines[j, i], counts[j, i] = cosines[i, j], counts[i, j]
    return cosines, counts


_Summed = tuple[dict[str, float], int]
"""Sum of the unit vectors of some questions, and how many they are."""


def _compared(one: _Summed, other: _Summed, *, same: bool) -> tuple[float, int]:
    """Summed cosines, and the number of them. A group's product with itself holds every pair twice and each question with itself."""
    vector, number = one
    product = sum(weight * other[0].get(gram, 0.0) for gram, weight in vector.items())
    if same:
        return ((product - number) / 2 if number > 1 else 0.0), number * (number - 1) // 2
    return product, number * other[1]


def _summed_vectors(pairs: Sequence[Pair]) -> dict[Language, _Summed]:
    found: dict[Language, _Summed] = {}
    for pair in pairs:
        text = " ".join(lower_case(pair.question, pair.language).split())
        grams = Counter(
            text[place : place + GRAM_CHARACTERS] for place in range(max(1, len(text) - GRAM_CHARACTERS + 1))
        )
        length = sqrt(sum(count * count for count in grams.values()))
        vector, number = found.get(pair.language, ({}, 0))
        for gram, count in grams.items():
            vector[gram] = vector.get(gram, 0.0) + count / length
        found[pair.language] = vector, number + 1
    return found


def shared_run_sums(groups: Sequence[Sequence[Pair]]) -> Floats:
    """How many pairs of questions share a run of `RUN_WORDS` words, by pairs of groups; laid out as `similarity_sums`."""
    sums = np.zeros((len(groups), len(groups)))
    holders: dict[tuple[str, ...], list[int]] = {}
    home = [place for place, pairs in enumerate(groups) for _ in pairs]
    for number, pair in enumerate(pair for pairs in groups for pair in pairs):
        each = words(pair.question, pair.language)
        before: set[int] = set()
        for at in range(len(each) - RUN_WORDS + 1):
            holding = holders.setdefault((pair.language, *each[at : at + RUN_WORDS]), [])
            before.update(holding)
            holding.append(number)
        for other in before - {number}:
            i, j = home[number], home[other]
            sums[i, j] += 1
            if i != j:
                sums[j, i] += 1
    return sums


def within_and_across(sums: Floats, weights: Floats) -> Floats:
    """The sum over all pairs of questions in each resample, ``(resamples,)``.

    A group that is drawn twice is not compared with itself: that its questions are alike says nothing.
    """
    across = np.triu(sums, 1)
    found: Floats = np.einsum("bi,ij,bj->b", weights, across, weights, optimize=True) + weights @ np.diag(sums)
    return found
