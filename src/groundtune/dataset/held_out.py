"""Which prompts are held out: by the rank of a hash, so that sizes are exact and rows added later move few.

Pairs of questions and answers over evidence are split by :mod:`groundtune.dataset.split`; this is for instruction data,
where a prompt is all there is to tell rows apart.

Why ranks: the rows below a hash threshold are stable but too few or too many by the square root of their number. The
first so many by rank are exact, and a row more moves one prompt at the edge at most.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from groundtune.dataset.quality import prompt_key
from groundtune.errors import DataError
from groundtune.types import Conversation, Split


@dataclass(frozen=True, slots=True)
class SplitSizes:
    """Of validation and test: a float is a share of the rows, an int a count."""

    valid: float = 0.0
    test: float = 0.0

    def rows(self, total: int) -> dict[Split, int]:
        """
        >>> SplitSizes(valid=0.05, test=20).rows(1010)
        {'test': 20, 'valid': 50}
        """
        sizes: dict[Split, float] = {"test": self.test, "valid": self.valid}
        return {
            split: min(total, size if isinstance(size, int) else round(size * total)) for split, size in sizes.items()
        }


def group_keys(conversations: Iterable[Conversation]) -> dict[str, bytes]:
    """Conversation id to what has to stay together, in order: its prompt, or the prompt it was made from by augmentation.

    Made from several rows (a list in ``fields["from"]``) it is tied to none of them. Raises `DataError` when two rows have
    one id.
    """
    keys: dict[str, bytes] = {}
    made_from: dict[str, str] = {}
    for row in conversations:
        if row.conversation_id in keys:
            raise DataError(
                f"{row.origin.file}:{row.origin.row}: another row has the id {row.conversation_id!r}; expected one of each, so "
                "name each source once"
            )
        keys[row.conversation_id] = prompt_key(row)
        if "augmented" in row.fields and isinstance(source := row.fields.get("from"), str):
            made_from[row.conversation_id] = source
    tied = _ties(keys, made_from)
    return {name: _root(tied, key) for name, key in keys.items()} if tied else keys


def split_groups(keys: Sequence[bytes], sizes: SplitSizes, *, seed: int) -> dict[bytes, Split]:
    """The split of every key, one of which stands for each row. Where keys are distinct the sizes are exact; a key of many rows is
    taken when that brings a split nearer to its size."""
    counts = Counter(keys)
    splits: dict[bytes, Split] = dict.fromkeys(counts, "train")
    for split, wanted in sizes.rows(len(keys)).items():
        # a rank for each split: a larger test set takes from training, not the prompts that validation begins with
        ranked = sorted((key for key in counts if splits[key] == "train"), key=lambda key: _rank(key, split, seed))
        left = wanted
        for key in ranked:
            if left <= 0:
                break
            if abs(left - counts[key]) < left:
                splits[key] = split
                left -= counts[key]
    return splits


def _ties(keys: Mapping[str, bytes], made_from: Mapping[str, str]) -> dict[bytes, bytes]:
    """Prompt of a made row to that of the row it was made from (or, where that is not there, to a name for it)."""
    tied: dict[bytes, bytes] = {}
    for name, source in made_from.items():
        origin = keys.get(source) or sha256(source.encode("utf-8", "surrogatepass")).digest()[:16]
        one, other = _root(tied, keys[name]), _root(tied, origin)
        if one != other:
            tied[one] = other
    return tied


def _root(tied: Mapping[bytes, bytes], key: bytes) -> bytes:
    while key in tied:
        key = tied[key]
    return key


def _rank(key: bytes, split: Split, seed: int) -> bytes:
    return sha256(b"%d:%s:%s" % (seed, split.encode(), key)).digest()
