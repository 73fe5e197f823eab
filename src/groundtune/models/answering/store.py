"""Keys and values of the prompts and answers in flight, one row for each group of questions.

A row's columns are in the order of their computation: prompts first (shared tokens once), then the tokens of its answers as
they come, those of different answers mixed. Who sees which column is said by `seen`. Space is taken when it is needed and
kept. What this module does not do: decide who comes in.

Legend: R rows, S slots (questions) of a row, C columns, W width of all key or value heads of a layer together.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

SPARE_COLUMNS = 64
"""Taken beyond what is needed, so that not every step moves the cache."""


class Store:
    """The cache. `seen` [R, S, C] says which slot sees which column, `positions` [R, C] where a column's token stood."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self.rows = self.columns = 0
        self.used: list[int] = []
        """Columns taken in each live row; live rows come first."""
        self.keys: dict[int, torch.Tensor] = {}
        """By layer, [R, C, W]."""
        self.values: dict[int, torch.Tensor] = {}
        self.windows: set[int] = set()
        """Sliding windows that layers have told of."""
        self.seen = torch.zeros(0, slots, 0, dtype=torch.bool, device=device)
        self.positions = torch.zeros(0, 0, dtype=torch.int64, device=device)

    @property
    def column_bytes(self) -> int:
        """Of all layers. 0 before the first pass."""
        held = [*self.keys.values(), *self.values.values()]
        return sum(each.shape[-1] * each.element_size() for each in held)

    def make_room(self, rows: int, columns: int) -> None:
        """Room for at least so many rows and columns: both as asked for, where either has to grow. The live rows must fit."""
        if rows <= self.rows and columns <= self.columns:
            return
        old_rows, old_columns = len(self.used), max(self.used, default=0)
        self.rows, self.columns = rows, columns + SPARE_COLUMNS

        def grown(old: torch.Tensor, *shape: int) -> torch.Tensor:
            # zeros: what is masked must at least be a number
            new = old.new_zeros(shape)
            new[:old_rows, ..., :old_columns] = old[:old_rows, ..., :old_columns]
            return new

        for layers in (self.keys, self.values):
            for layer, old in layers.items():
                new = old.new_zeros(self.rows, self.columns, old.shape[-1])
                new[:old_rows, :old_columns] = old[:old_rows, :old_columns]
                layers[layer] = new
        self.seen = grown(self.seen, self.rows, self.seen.shape[1], self.columns)
        self.positions = grown(self.positions, self.rows, self.columns)

    def write(
        self, layer: int, key_NW: torch.Tensor, value_NW: torch.Tensor, places_N: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Put tokens into places (row * columns + column). Returns the layer's keys and values, [R, C, W]."""
        for layers, new in ((self.keys, key_NW), (self.values, value_NW)):
            if layer not in layers:
                layers[layer] = new.new_zeros(self.rows, self.columns, new.shape[-1])
            layers[layer].view(-1, new.shape[-1]).index_copy_(0, places_N.to(new.device), new)
        return self.keys[layer], self.values[layer]

    def close(self, row: int) -> int:
        """Free a live row: the last one moves into its place. Returns the row that moved."""
        last = len(self.used) - 1
        if row != last:
            columns = self.used[last]
            for held in (*self.keys.values(), *self.values.values(), self.positions):
                held[row, :columns] = held[last, :columns]
            self.seen[row] = self.seen[last]
            self.used[row] = columns
        self.used.pop()
        return last


class Trunk:
    """Keys and values of the tokens at which the walk goes on: what the next prompt shares with the last one."""

    def __init__(self) -> None:
        self.tokens: tuple[int, ...] = ()
        self._held: list[tuple[dict[int, torch.Tensor], dict[int, torch.Tensor]]] = []

    def take(self, store: Store, row: int, columns: Sequence[int], tokens: tuple[int, ...]) -> None:
        """Copy `columns` of a row, which hold `tokens`."""
        self.tokens = tokens
        self._held = []
        for layers in (store.keys, store.values):
            copied = {}
            for layer, held in layers.items():
                copied[layer] = held[row].index_select(0, torch.tensor(columns, device=held.device))
            self._held.append((layers, copied))

    def put(self, row: int, tokens: int) -> None:
        """Copy the first `tokens` into the first columns of a row of the store they came from."""
        for layers, copied in self._held if tokens else ():
            for layer, held in copied.items():
                layers[layer][row, :tokens] = held[:tokens]
