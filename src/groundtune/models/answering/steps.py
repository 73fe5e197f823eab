"""What the queries of one call of the model see: prompts on their way in, or one token more of every answer.

Legend: R rows, S slots of a row, C columns, N tokens of the step, H query heads, G key heads, E width of a head, Q queries
of a row, K keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from groundtune.models.answering.attention import Scoring, attend
from groundtune.models.answering.store import Store

BLOCK_QUERIES = 256
"""Queries of a prompt that look at the keys before the last of them together: the future is then mostly not computed."""

KEPT_MASK = 1 << 24
"""Elements of the masks of a step that are kept for the next layer; longer prompts have theirs made anew in each."""

MaskKey = tuple[int | None, bool]


def _added(seen: torch.Tensor, distance: torch.Tensor, scoring: Scoring, dtype: torch.dtype) -> torch.Tensor:
    """The mask to add, [..., 1 or H, Q, K], of what is seen and how far away it is, [..., Q, K] both."""
    if scoring.window is not None:
        seen = seen & (distance < scoring.window)
    seen, distance = seen.unsqueeze(-3), distance.unsqueeze(-3)
    if scoring.slopes_H is None:
        return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
    # at least float32 also in a half-precision model: distances of thousands are counted exactly
    slopes_H = scoring.slopes_H.to(device=seen.device, dtype=torch.promote_types(scoring.slopes_H.dtype, torch.float32))
    bias = (distance * -slopes_H[:, None, None]).to(dtype)
    return bias.masked_fill_(~seen, -torch.inf)


def _heads(held_CW: torch.Tensor, groups: int) -> torch.Tensor:
    """[..., C, W] as [..., G, C, E], a view."""
    apart_CGE: torch.Tensor = held_CW.unflatten(-1, (groups, -1))
    return apart_CGE.transpose(-2, -3)


@dataclass(frozen=True, slots=True)
class Piece:
    """The new tokens of one row: neighbours in the step, and the last of the row's columns."""

    row: int
    start: int
    stop: int
    columns: int
    """Of the row, those of the new tokens included."""
    seen: np.ndarray | None
    """bool [new tokens, columns]; None where every token sees all before it and the row begins with them."""


class PromptStep:
    """New rows are filled. A token that several rows need is computed in the first and written into all."""

    def __init__(
        self, store: Store, pieces: Sequence[Piece], positions_N: torch.Tensor, sources: list[int], places: list[int]
    ) -> None:
        device = positions_N.device
        self._store = store
        self._pieces = pieces
        self._positions_N = positions_N
        self._sources = torch.tensor(sources, device=device)
        self._places = torch.tensor(places, device=device)
        self._masks: dict[tuple[MaskKey, int, int], torch.Tensor] = {}
        self._kept = 0

    def attend(
        self, layer: int, query_HNE: torch.Tensor, key_GNE: torch.Tensor, value_GNE: torch.Tensor, scoring: Scoring
    ) -> torch.Tensor:
        groups = len(key_GNE)
        key_NW, value_NW = (
            each.transpose(0, 1).flatten(1)[self._sources.to(each.device)] for each in (key_GNE, value_GNE)
        )
        keys_RCW, values_RCW = self._store.write(layer, key_NW, value_NW, self._places)
        seen_NHE = query_HNE.new_empty(query_HNE.shape[1], len(query_HNE), value_GNE.shape[-1])
        for number, piece in enumerate(self._pieces):
            key = _heads(keys_RCW[piece.row, : piece.columns], groups)[None]
            value = _heads(values_RCW[piece.row, : piece.columns], groups)[None]
            plain = piece.seen is None and scoring.slopes_H is None and scoring.cap is None and scoring.sinks_H is None
            if plain and (scoring.window is None or scoring.window >= piece.columns):
                whole = attend(query_HNE[None, :, piece.start : piece.stop], key, value, None, scoring)
                seen_NHE[piece.start : piece.stop] = whole[0].transpose(0, 1)
                continue
            before = piece.columns - (piece.stop - piece.start)
            for start in range(piece.start, piece.stop, BLOCK_QUERIES):
                stop = min(start + BLOCK_QUERIES, piece.stop)
                keys = before + stop - piece.start
                mask = self._mask(number, start, stop, keys, scoring, query_HNE)
                block = attend(query_HNE[None, :, start:stop], key[:, :, :keys], value[:, :, :keys], mask, scoring)
                seen_NHE[start:stop] = block[0].transpose(0, 1)
        return seen_NHE

    def _mask(
        self, number: int, start: int, stop: int, keys: int, scoring: Scoring, query: torch.Tensor
    ) -> torch.Tensor:
        name = ((scoring.window, scoring.slopes_H is not None), number, start)
        if name in self._masks:
            return self._masks[name].to(query.device)
        piece = self._pieces[number]
        first = start - piece.start
        if piece.seen is None:
            seen = np.tri(stop - start, keys, first, dtype=bool)
        else:
            seen = piece.seen[first : first + stop - start, :keys]
        positions_K = self._store.positions[piece.row, :keys]
        distance = self._positions_N[start:stop, None] - positions_K[None]
        mask = _added(torch.from_numpy(seen).to(distance.device), distance, scoring, query.dtype)[None]
        if self._kept + mask.numel() <= KEPT_MASK:
            self._kept += mask.numel()
            self._masks[name] = mask
        return mask.to(query.device)


class AnswerStep:
    """One token of each answer.

    Args:
        rows, slots: of each token's question.
        positions_N: of the tokens.
        places: where each token goes: row * columns + column.
    """

    def __init__(
        self, store: Store, rows: Sequence[int], slots: Sequence[int], positions_N: torch.Tensor, places: Sequence[int]
    ) -> None:
        device = positions_N.device
        self._store = store
        self._places = torch.tensor(places, device=device)
        self._columns = max(store.used)
        live = len(store.used)
        count = np.zeros(live, dtype=np.int64)
        turn = np.empty(len(rows), dtype=np.int64)
        for place, row in enumerate(rows):
            turn[place] = count[row]
            count[row] += 1
        # rows with fewer answers than others repeat their first: what it sees is computed and left
        grid_RQ = np.zeros((live, count.max()), dtype=np.int64)
        first = np.zeros(live, dtype=np.int64)
        for place in range(len(rows) - 1, -1, -1):
            first[rows[place]] = place
        grid_RQ[:] = first[:, None]
        grid_RQ[np.asarray(rows), turn] = np.arange(len(rows))
        self._grid_RQ = torch.from_numpy(grid_RQ).to(device)
        self._rows_N = torch.tensor(rows, device=device)
        self._turn_N = torch.from_numpy(turn).to(device)
        seen_RSC = store.seen[:live, :, : self._columns]
        slots_RQ = torch.tensor(slots, device=device)[self._grid_RQ]
        self._seen_RQK = seen_RSC[torch.arange(live, device=device)[:, None], slots_RQ]
        self._distance_RQK = positions_N[self._grid_RQ][:, :, None] - store.positions[:live, None, : self._columns]
        self._masks: dict[MaskKey, torch.Tensor] = {}

    def attend(
        self, layer: int, query_HNE: torch.Tensor, key_GNE: torch.Tensor, value_GNE: torch.Tensor, scoring: Scoring
    ) -> torch.Tensor:
        groups, live, device = len(key_GNE), len(self._grid_RQ), query_HNE.device
        key_NW, value_NW = (each.transpose(0, 1).flatten(1) for each in (key_GNE, value_GNE))
        keys_RCW, values_RCW = self._store.write(layer, key_NW, value_NW, self._places)
        name = (scoring.window, scoring.slopes_H is not None)
        if name not in self._masks:
            self._store.windows.update([] if scoring.window is None else [scoring.window])
            self._masks[name] = _added(self._seen_RQK, self._distance_RQK, scoring, query_HNE.dtype)
        seen_RHQE = attend(
            query_HNE.transpose(0, 1)[self._grid_RQ.to(device)].transpose(1, 2),
            _heads(keys_RCW[:live, : self._columns], groups),
            _heads(values_RCW[:live, : self._columns], groups),
            self._masks[name].to(device),
            scoring,
        )
        return seen_RHQE[self._rows_N.to(device), :, self._turn_N.to(device)]
