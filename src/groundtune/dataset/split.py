"""Which pairs are trained on, which choose the checkpoint, which are kept for the verdict: by evidence, never by rows.

The law: no evidence chunk and no question stands in two splits. Pairs are shared out in clusters
(:mod:`groundtune.dataset.clusters`), and everything is train until it is taken for valid or test. Clusters are offered
in the order of the loss they bring (bridges to other clusters that could no longer be kept; under a quarter of a pair for
each pair gained counts as none), then by a hash of their questions with the seed. One is taken when that brings the split
nearer to its size, and nearer to its part of each language, of answerable and unanswerable pairs, and of each rule. Pairs
that cannot be kept without breaking the law are left out, and the caller counts them.

Stability: neither ids nor positions decide, only questions. A cluster's hash is the smallest of its questions' hashes,
and another hash says whether it is offered to valid or to test first. New documents add clusters, and move old ones only
where a split had just become full. Measured on made-up documentation, one module more of 17 moves about 2% of the old
pairs where no pair spans two modules, and 1% to 15% where a tenth to a quarter of all pairs do.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from groundtune.dataset.clusters import Bridge, Cluster, Stratum, build_clusters, content_rank, strata_of
from groundtune.errors import DataError
from groundtune.types import Pair, Split

_ROUNDS = 3
"""What is lost is known only at the end, and shares are of what is kept: so it is done again with the count known."""


def split_pairs(pairs: Sequence[Pair], *, valid_share: float, test_share: float, seed: int) -> dict[str, Split]:
    """The split of every pair that can be kept; pairs whose evidence would stand in two splits are absent.

    Raises:
        DataError: two pairs have one id.
    """
    for pair_id, count in Counter(pair.pair_id for pair in pairs).items():
        if count > 1:
            raise DataError(f"pair {pair_id!r}: found {count} pairs of that id; expected one, so make the ids unique")
    shares: dict[Split, float] = {"valid": valid_share, "test": test_share}
    shares = {split: share for split, share in shares.items() if share > 0}
    smallest = min(shares.values(), default=0.0) * len(pairs)
    clusters, bridges = build_clusters(pairs, max_pairs=_cluster_size(smallest), seed=seed)
    strata = strata_of(pairs)
    kept: dict[str, Split] = {}
    num_kept = len(pairs)
    for _ in range(_ROUNDS):
        # of a handful of pairs a tenth is nothing; one is better, as long as training keeps most
        least = 1.0 if num_kept > 2 * len(shares) else 0.0
        wanted = {split: max(least, share * num_kept) for split, share in shares.items()}
        sharing = _Sharing(clusters, bridges, wanted, strata, len(pairs))
        for split, offered in _offers(clusters, shares, seed).items():
            sharing.fill(split, offered, balanced=True)
        for balanced in (True, False):
            for split in shares:
                sharing.fill(split, range(len(clusters)), balanced=balanced)
        kept = sharing.result()
        if len(kept) == num_kept:
            break
        num_kept = len(kept)
    return {pair.pair_id: kept[pair.pair_id] for pair in pairs if pair.pair_id in kept}


def _cluster_size(pairs_wanted: float) -> int:
    """A fifth of the smallest split or less, as a power of two, so that a few pairs more change nothing."""
    size = 1
    while size * 2 <= pairs_wanted / 5:
        size *= 2
    return size


def _offers(clusters: Sequence[Cluster], shares: dict[Split, float], seed: int) -> dict[Split, list[int]]:
    """To which split each cluster is offered first: by hash, in proportion to the shares."""
    offers: dict[Split, list[int]] = {split: [] for split in shares}
    for number, cluster in enumerate(clusters):
        point = int(content_rank(seed, "offer", cluster.rank)[:8], 16) / 16**8 * sum(shares.values())
        for split, share in shares.items():
            point -= share
            if point < 0:
                offers[split].append(number)
                break
    return offers


@dataclass(slots=True)
class _Sharing:
    """The state of sharing out: which cluster is where, what each split holds, what is lost."""

    clusters: Sequence[Cluster]
    bridges: Sequence[Bridge]
    wanted: dict[Split, float]
    """Pairs each split should hold."""
    strata: Counter[Stratum]
    """Of all pairs."""
    num_pairs: int
    taken: dict[int, Split] = field(default_factory=dict)
    held: dict[Split, Counter[Stratum]] = field(default_factory=dict)
    num_held: Counter[Split] = field(default_factory=Counter)

    def fill(self, split: Split, offered: Iterable[int], *, balanced: bool) -> None:
        """Take clusters out of train for `split` while they bring it nearer to its size and, if asked, to its strata."""
        held = self.held.setdefault(split, Counter())
        waiting = {number for number in offered if number not in self.taken and self.clusters[number].pair_ids}
        queue = [self._key(number, split) for number in sorted(waiting)]
        heapq.heapify(queue)
        while queue:
            key = heapq.heappop(queue)
            number = key[-1]
            if number not in waiting:
                continue
            now = self._key(number, split)
            if now > key:
                heapq.heappush(queue, now)
                continue
            waiting.discard(number)
            gained, num_gained, _ = self._effect(number, split)
            left = self.wanted[split] - self.num_held[split]
            if abs(left - num_gained) >= abs(left) or (balanced and not self._balances(gained, split)):
                continue
            self.taken[number] = split
            held.update(gained)
            self.num_held[split] += num_gained
            for near in self._neighbours(number) & waiting:
                heapq.heappush(queue, self._key(near, split))

    def result(self) -> dict[str, Split]:
        """The split of each pair that is kept."""
        kept: dict[str, Split] = {}
        for number, cluster in enumerate(self.clusters):
            kept.update(dict.fromkeys(cluster.pair_ids, self._place(number)))
        for bridge in self.bridges:
            places = {self._place(number) for number in bridge.clusters}
            if len(places) == 1:
                kept.update(dict.fromkeys(bridge.pair_ids, places.pop()))
        return kept

    def _place(self, number: int) -> Split:
        return self.taken.get(number, "train")

    def _neighbours(self, number: int) -> set[int]:
        return {end for index in self.clusters[number].bridges for end in self.bridges[index].clusters}

    def _effect(self, number: int, split: Split) -> tuple[Counter[Stratum], int, int]:
        """What `split` gains by taking the cluster, by stratum and in pairs, and how many pairs more (or fewer) are lost."""
        gained = Counter(self.clusters[number].strata)
        num_gained = len(self.clusters[number].pair_ids)
        num_lost = 0
        for index in self.clusters[number].bridges:
            bridge = self.bridges[index]
            places = {self._place(end) for end in bridge.clusters if end != number}
            if places == {"train"}:
                num_lost += len(bridge.pair_ids)
            elif places == {split}:
                gained += bridge.strata
                num_gained += len(bridge.pair_ids)
                num_lost -= len(bridge.pair_ids)
        return gained, num_gained, num_lost

    def _key(self, number: int, split: Split) -> tuple[int, str, int]:
        """Grade of the loss for each pair gained (nought below a quarter, then powers of two), then the hash."""
        _, num_gained, num_lost = self._effect(number, split)
        grade = int(4 * max(num_lost, 0) / num_gained).bit_length()
        return (grade, self.clusters[number].rank, number)

    def _balances(self, gained: Counter[Stratum], split: Split) -> bool:
        """Whether the split comes nearer to its share of the kinds of pairs."""
        held = self.held[split]
        change = 0.0
        for stratum, count in self.strata.items():
            # relative to what is wanted of each kind, so that a rare one is heard
            part = max(1.0, self.wanted[split] * count / self.num_pairs)
            left = part - held[stratum]
            change += (abs(left - gained[stratum]) - abs(left)) / part
        return change < 0
