"""Questions that ask the same thing again: candidates by MinHash, confirmed by edit similarity and by their words.

Two questions are the same when they are like enough letter by letter **and** differ in nothing that turns a question into
another: numbers, codes, names, negations and words such as *before* and *after* are the same, and where a word was exchanged
the two begin alike (``oluşturulur``, ``oluşturulmaktadır``). "Drum 37?" and "Drum 38?", "from the Lab module" and "from the
Lot module" are two questions, however alike their letters.

Across groups a pair is a repetition when its question is the same and it rests on a chunk that the other one rests on too, or
gives the same answer, by the same law: the same words asked over other documentation may be another question. The first pair
stays.

MinHash signatures (Broder, *On the resemblance and containment of documents*, 1997) of the questions' trigrams of letters are
cut into bands (Leskovec, Rajaraman and Ullman, *Mining of Massive Datasets*, 3.4): with 24 bands of 4 hashes, questions that
share a Jaccard part of 0.7 of their trigrams (two words in eight with another ending) meet with a probability of 0.998. What
must be equal is hashed into the bands, so that questions of one pattern about a thousand things do not meet. 100,000 pairs
take 16 s on one core of a shared machine, and 59 MB. What this module does not do: see the same question in other words.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from groundtune.files import as_plain
from groundtune.generation.verification.reasons import Reason, Rejection
from groundtune.generation.verification.tokens import exact_tokens
from groundtune.generation.verification.words import IDLE, TURNING, is_negated, words_of, written_numbers
from groundtune.language import lower_case
from groundtune.types import Language, Pair

_BANDS = 24
_HASHES_PER_BAND = 4
_ODD = 0x9E3779B97F4A7C15
MOST_CANDIDATES = 16
"""Compared letter by letter for one question."""
_LONGEST_CHAIN = 16
"""Of the questions that agree in a band only so many are looked at, latest first."""

_STEM_LETTERS = 4


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, or another text, as it is compared."""

    text: str
    """Small letters, single blanks, no closing punctuation; with the questions before it."""
    fixed: str
    """What must be equal: language, numbers, codes, negations, words that turn a question."""
    language: Language

    @staticmethod
    def of(pair: Pair) -> Asked:
        """The question of `pair`."""
        return Asked.of_text("\n".join((*(turn.question for turn in pair.history), pair.question)), pair.language)

    @staticmethod
    def of_text(said: str, language: Language) -> Asked:
        """Any text, such as an answer."""
        text = normalise(said, language)
        words = words_of(text)
        turning = TURNING.get(language, frozenset())
        fixed = (
            language,
            *sorted(exact_tokens(said)),
            *(str(value) for value, sure in written_numbers(words, language) if sure),
            *sorted(word for word in words if word in turning),
        )
        return Asked(text, " ".join(fixed), language)


def normalise(text: str, language: Language) -> str:
    """For comparing: small letters, single blanks, no closing punctuation."""
    return " ".join(lower_case(text, language).split()).rstrip(".?! ")


def same_question(one: Asked, other: Asked, similarity: float) -> bool:
    """Whether the two ask the same thing."""
    if one.fixed != other.fixed:
        return False
    if one.text == other.text:
        return True
    if Levenshtein.normalized_similarity(one.text, other.text, score_cutoff=similarity) < similarity:
        return False
    mine, theirs = _content(one), _content(other)
    for block in Levenshtein.opcodes(mine, theirs):
        if block.tag == "equal":
            continue
        ours, others = mine[block.src_start : block.src_end], theirs[block.dest_start : block.dest_end]
        if len(ours) != len(others):
            return False
        if not all(_forms_of_one(a, b, one.language) for a, b in zip(ours, others, strict=True)):
            return False
    return True


def _content(asked: Asked) -> list[str]:
    idle = IDLE.get(asked.language, frozenset())
    return [word for word in re.findall(r"\w+", asked.text) if word not in idle]


def _forms_of_one(one: str, other: str, language: Language) -> bool:
    """Whether two words begin alike and neither says no.

    >>> _forms_of_one("oluşturulur", "oluşturulmaktadır", "tr"), _forms_of_one("lab", "lot", "en")
    (True, False)
    >>> _forms_of_one("yapılır", "yapılmaz", "tr")
    False
    """
    stem = min(_STEM_LETTERS, len(one), len(other))
    return stem > 2 and one[:stem] == other[:stem] and is_negated(one, language) == is_negated(other, language)


def drop_repeated(pairs: Sequence[Pair], *, similarity: float) -> tuple[list[Pair], list[Rejection]]:
    """The pairs without repetitions, in their order, and a rejection for each one left out.

    Args:
        similarity: edit similarity of characters from which questions can be the same, from 0 to 1.
    """
    if len(pairs) < 2:
        return list(pairs), []
    met = _Meetings(pairs)
    rejections: list[Rejection] = []
    gone: set[tuple[str, tuple[str, ...]]] = set()
    kept: list[Pair] = []
    for row, pair in enumerate(pairs):
        turns = tuple(turn.question for turn in pair.history)
        first = next((other for other in met.of(row) if _repeats(pair, pairs[other], similarity)), None)
        if first is not None:
            gone.add((pair.group_id, (*turns, pair.question)))
            rejections.append(
                _rejected(Reason.REPEATED, f"first in {pairs[first].group_id}: {pairs[first].question}", pair)
            )
        elif any((pair.group_id, turns[:end]) in gone for end in range(1, len(turns) + 1)):
            rejections.append(_rejected(Reason.EARLIER_TURN, "", pair))
        else:
            met.add(row)
            kept.append(pair)
    return kept, rejections


def _repeats(pair: Pair, other: Pair, similarity: float) -> bool:
    if not same_question(Asked.of(pair), Asked.of(other), similarity):
        return False
    if pair.group_id == other.group_id or not set(pair.evidence_chunk_ids).isdisjoint(other.evidence_chunk_ids):
        return True
    # "4 digits" and "14 digits" are no repetition, however alike they are: the same is asked about two things
    mine, theirs = Asked.of_text(pair.answer, pair.language), Asked.of_text(other.answer, other.language)
    return same_question(mine, theirs, similarity)


def _rejected(reason: Reason, detail: str, pair: Pair) -> Rejection:
    return Rejection(reason, detail, pair.question, pair.group_id, as_plain(pair))


class _Meetings:
    """Which questions agree in a band with one that stayed: a chain of those for each tag, 12 bytes a band and question."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        tags = _band_tags(pairs)
        self._buckets = np.empty(tags.shape, dtype=np.int32)
        meets = np.zeros(len(pairs), dtype=np.bool_)
        for band in range(_BANDS):
            _, bucket, size = np.unique(tags[:, band], return_inverse=True, return_counts=True)
            self._buckets[:, band] = bucket
            meets |= size[bucket] > 1
        self._meets = meets
        self._latest = np.full(tags.shape, -1, dtype=np.int32)
        self._before = np.full(tags.shape, -1, dtype=np.int32)

    def of(self, row: int) -> list[int]:
        """Earlier questions that stayed, those that agree in most bands first, then in their order."""
        if not self._meets[row]:
            return []
        votes: Counter[int] = Counter()
        for band, bucket in enumerate(self._buckets[row].tolist()):
            other = int(self._latest[bucket, band])
            for _ in range(_LONGEST_CHAIN):
                if other < 0:
                    break
                votes[other] += 1
                other = int(self._before[other, band])
        return sorted(votes, key=lambda other: (-votes[other], other))[:MOST_CANDIDATES]

    def add(self, row: int) -> None:
        """The question of `row` stays."""
        if self._meets[row]:
            bands = np.arange(_BANDS)
            self._before[row] = self._latest[self._buckets[row], bands]
            self._latest[self._buckets[row], bands] = row


def _band_tags(pairs: Sequence[Pair]) -> npt.NDArray[np.uint32]:
    """A number for each question and band of its signature."""
    from datasketch import MinHash  # half a second, for scipy: only when asked

    minhash = MinHash(num_perm=_BANDS * _HASHES_PER_BAND, seed=1, hashfunc=int)
    powers = np.array([pow(_ODD, power + 1, 2**64) for power in range(_HASHES_PER_BAND)], dtype=np.uint64)
    tags = np.empty((len(pairs), _BANDS), dtype=np.uint32)
    for row, pair in enumerate(pairs):
        asked = Asked.of(pair)
        minhash.clear()
        minhash.update_batch(_trigrams(asked.text).tolist())
        bands = minhash.hashvalues.astype(np.uint64).reshape(_BANDS, _HASHES_PER_BAND)
        mixed = (bands * powers).sum(axis=1, dtype=np.uint64) + np.uint64(
            zlib.crc32(asked.fixed.encode("utf-8", "replace"))
        )
        tags[row] = ((mixed ^ (mixed >> np.uint64(29))) * np.uint64(_ODD)) >> np.uint64(32)
    return tags


def _trigrams(text: str) -> npt.NDArray[np.uint32]:
    """Distinct hashes of the runs of three letters, rising."""
    letters = np.frombuffer(f"  {text} ".encode("utf-32-le", "replace"), dtype=np.uint32).astype(np.uint64)
    runs = (letters[:-2] * np.uint64(_ODD) + letters[1:-1]) * np.uint64(_ODD) + letters[2:]
    return np.unique((runs * np.uint64(_ODD)) >> np.uint64(32)).astype(np.uint32)
