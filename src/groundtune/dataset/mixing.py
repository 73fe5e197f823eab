"""Several sets of instruction data to one: which rows go to which split, how often each is seen, and in which order.

First every row finds its split, then training rows are repeated, thinned or interleaved; validation and test rows stand
once. The law: a prompt (tools, system prompt and first user message, caseless) with all its copies, repeats and
augmented forms stands in one split.

Rows are asked for by number and never held: with sources on disk a million of them cost their ids and the hashes of their prompts,
about 300 bytes each. What this module does not do: read files, or judge rows beyond what a split forbids.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

from groundtune.config import DataConfig, SourceConfig
from groundtune.dataset.drawing import interleave, so_many
from groundtune.dataset.held_out import SplitSizes, group_keys, split_groups
from groundtune.dataset.quality import decontaminate
from groundtune.errors import DataError
from groundtune.types import SPLITS, Conversation, LeftOut, Split

PROMPT_HELD_OUT = "prompt stands in a source that is held out"

_STRICTEST: tuple[Split, ...] = ("test", "valid", "train")
"""A prompt that sources are said to use for several splits goes to the first of these."""


class MixedRows(Sequence[Conversation]):
    """Rows of `sources` in an order of their own, fetched when they are asked for; what comes again is ``id#2``, ``id#3``."""

    def __init__(self, sources: Sequence[Sequence[Conversation]], places: Iterable[tuple[int, int]] = ()) -> None:
        self._sources = sources
        self._numbers, self._indices, self._times = array("H"), array("L"), array("L")
        times = [array("L", [0]) * len(rows) for rows in sources]
        for number, index in places:
            times[number][index] += 1
            self._numbers.append(number)
            self._indices.append(index)
            self._times.append(times[number][index])

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> Conversation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Conversation]: ...
    def __getitem__(self, index: int | slice) -> Conversation | list[Conversation]:
        if isinstance(index, slice):
            return [self[place] for place in range(len(self))[index]]
        row = self._sources[self._numbers[index]][self._indices[index]]
        times = self._times[index]
        return row if times == 1 else replace(row, conversation_id=f"{row.conversation_id}#{times}")

    def __iter__(self) -> Iterator[Conversation]:
        return (self[place] for place in range(len(self)))


@dataclass(frozen=True, slots=True)
class Mixed:
    """The mixture, and the book of it.

    In `table` each source has a line: ``source``; ``rows`` it was given; ``not_drawn`` by `max_rows`, `count`, `weight`,
    interleaving or `share`; ``left_out`` (see `left_out`); ``train``, ``valid``, ``test``: rows that stand there; ``seen``:
    how often training rows come up in an epoch, repeats included; ``times_seen``: ``seen`` over ``train``.
    ``rows == not_drawn + left_out + train + valid + test``.
    """

    splits: dict[Split, Sequence[Conversation]]
    table: list[dict[str, Any]]
    left_out: list[LeftOut]
    """Rows that would give a held-out prompt away: as a copy of one of a held-out source, or as a near copy."""


@dataclass(slots=True)
class _Source:
    """A source on its way into the mixture; rows are named by their place."""

    name: str
    config: SourceConfig
    rows: Sequence[Conversation]
    names: list[str]
    drawn: list[int] = field(default_factory=list)
    times: float = 1.0
    """How often a training row is seen, concatenated."""
    splits: dict[Split, list[int]] = field(default_factory=lambda: {split: [] for split in SPLITS})
    left_out: int = 0

    def names_of(self, places: Sequence[int]) -> list[str]:
        return [self.names[place] for place in places]


def mix(
    sources: Mapping[str, Sequence[Conversation]], config: DataConfig, *, seed: int, num_grounded: int = 0
) -> Mixed:
    """Mix `sources`, which are those of ``config.sources`` in the same order. What comes back reads from them.

    With ``config.filters.decontaminate`` training rows that are near copies of validation or test prompts are left out here,
    before anything is repeated. Beside `num_grounded` grounded training examples the mixture is brought to ``config.share``
    of all of them.

    Raises:
        DataError: there are other sources than the configuration has, or two rows have one id.
        StorageError: the temporary folder, where near copies are looked up, is full.
    """
    if len(sources) != len(config.sources):
        raise DataError(
            f"mixing: found {len(sources)} sets of rows ({', '.join(sources)}) for {len(config.sources)} data.sources"
        )
    keys = group_keys(row for rows in sources.values() for row in rows)
    mixing: list[_Source] = []
    names = iter(keys)
    for (name, rows), each in zip(sources.items(), config.sources, strict=True):
        mixing.append(_Source(name, each, rows, [next(names) for _ in range(len(rows))]))
        _draw(mixing[-1], config.mix == "concatenate", f"{seed}:draw")
    left_out = _divide(mixing, keys, config, seed)
    if config.filters.decontaminate:
        left_out += _clean(mixing, config.filters.near_similarity)
    train = _in_order(mixing, config, seed)
    if num_grounded and config.share is not None:
        train = _share_of(train, mixing, _count_beside(num_grounded, config.share), seed)
    places: dict[Split, list[tuple[int, int]]] = {
        split: [(number, place) for number, source in enumerate(mixing) for place in source.splits[split]]
        for split in ("valid", "test")
    }
    everything = list(sources.values())
    splits: dict[Split, Sequence[Conversation]] = {
        split: MixedRows(everything, train if split == "train" else places[split]) for split in SPLITS
    }
    return Mixed(splits, _table(mixing, train), left_out)


def _count_beside(num_grounded: int, share: float) -> int:
    return round(num_grounded * share / (1 - share))


def _draw(source: _Source, concatenated: bool, seed: str) -> None:
    """Which rows take part at all, and how often each."""
    config = source.config
    names = source.names[: config.max_rows] if config.max_rows else source.names
    source.drawn = list(range(len(names)))
    if config.count is not None:
        source.drawn = so_many(names, min(config.count, len(names)), seed)
        source.times = max(1.0, config.count / len(names)) if names else 1.0
    elif concatenated and config.weight < 1:
        source.drawn = so_many(names, round(config.weight * len(names)), seed)
    elif concatenated:
        source.times = config.weight


def _divide(mixing: Sequence[_Source], keys: Mapping[str, bytes], config: DataConfig, seed: int) -> list[LeftOut]:
    """Put the rows of every source into splits; those that a held-out source forbids are left out."""
    pinned: dict[bytes, Split] = {}
    for split in _STRICTEST:
        for source in mixing:
            if source.config.use == split:
                for place in source.drawn:
                    pinned.setdefault(keys[source.names[place]], split)
    divided = [keys[source.names[place]] for source in mixing if source.config.use == "split" for place in source.drawn]
    valid = config.valid_share if config.valid_rows is None else config.valid_rows
    sizes = SplitSizes(valid=valid, test=config.test_share)
    splits = pinned | split_groups([key for key in divided if key not in pinned], sizes, seed=seed)
    left_out: list[LeftOut] = []
    for source in mixing:
        for place in source.drawn:
            key = keys[source.names[place]]
            split = splits[key]
            # a held-out source is taken as it was given: nothing joins it
            if split == source.config.use or (source.config.use == "split" and (key not in pinned or split == "train")):
                source.splits[split].append(place)
            else:
                source.left_out += 1
                found = f"prompt of a row used for {split}"
                left_out.append(LeftOut(source.rows[place].origin, PROMPT_HELD_OUT, found=found))
    return left_out


def _clean(mixing: Sequence[_Source], similarity: float) -> list[LeftOut]:
    """Take near copies of held-out prompts out of training."""
    if not any(source.splits[split] for source in mixing for split in ("valid", "test")):
        return []
    held_out = (
        source.rows[place] for source in mixing for split in ("valid", "test") for place in source.splits[split]
    )
    trained = [(source, place) for source in mixing for place in source.splits["train"]]
    for source in mixing:
        source.splits["train"] = []
    left_out: list[LeftOut] = []
    outcomes = decontaminate((source.rows[place] for source, place in trained), held_out, similarity=similarity)
    for (source, place), outcome in zip(trained, outcomes, strict=True):
        if isinstance(outcome, LeftOut):
            source.left_out += 1
            left_out.append(outcome)
        else:
            source.splits["train"].append(place)
    return left_out


def _in_order(mixing: Sequence[_Source], config: DataConfig, seed: int) -> list[tuple[int, int]]:
    """Training rows as they come in an epoch."""
    trained = [source.splits["train"] for source in mixing]
    if config.mix != "concatenate":
        names = [source.names_of(places) for source, places in zip(mixing, trained, strict=True)]
        weights = [source.config.weight for source in mixing]
        until: Any = "first" if config.mix == "interleave_under" else "last"
        return [
            (number, trained[number][place]) for number, place in interleave(names, weights, until=until, seed=seed)
        ]
    order = []
    for number, (source, places) in enumerate(zip(mixing, trained, strict=True)):
        count = round(source.times * len(places))
        order += [(number, places[place]) for place in so_many(source.names_of(places), count, f"{seed}:repeat")]
    return order


def _share_of(
    train: Sequence[tuple[int, int]], mixing: Sequence[_Source], count: int, seed: int
) -> list[tuple[int, int]]:
    times: Counter[tuple[int, int]] = Counter()
    names = []
    for number, place in train:
        times[number, place] += 1
        names.append(f"{mixing[number].names[place]}#{times[number, place]}")
    return [train[place] for place in so_many(names, count, f"{seed}:general")]


def _table(mixing: Sequence[_Source], train: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    seen = Counter(number for number, _ in train)
    distinct = Counter(number for number, _ in set(train))
    lines = []
    for number, source in enumerate(mixing):
        held = {split: len(source.splits[split]) for split in ("valid", "test")}
        lines.append(
            {
                "source": source.name,
                "rows": len(source.rows),
                "not_drawn": len(source.rows) - source.left_out - distinct[number] - sum(held.values()),
                "left_out": source.left_out,
                "train": distinct[number],
                **held,
                "seen": seen[number],
                "times_seen": round(seen[number] / distinct[number], 4) if distinct[number] else 0.0,
            }
        )
    return lines
