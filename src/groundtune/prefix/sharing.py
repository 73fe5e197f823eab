"""The prefix tree under somebody else's trainer: TRL's SFTTrainer, or a plain transformers.Trainer.

:func:`share_prefixes` makes ready rows of a tokenised dataset, :func:`collate_row` makes a batch of one row, and
:func:`prepare_model` lets a model take it. The trainer counts a row's targets and normalises by them as it does with its
own batches, so an optimizer step has the gradient it would have without sharing. What this module does not do: tokenise,
mask, or train; and weights that are no whole numbers, which such trainers have no place for.

Wrong use ends in one sentence rather than in another loss: a row cannot be read as a list of tokens, by a padding
collator or by a truncating preparation, and its tree cannot be taken for an ordinary attention mask by a model that was
not prepared.

Legend: T tokens of a row, C the four numbers kept of each.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, overload

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.utils.data import Dataset

from groundtune.errors import DataError, TrainingError
from groundtune.prefix.batch import tree_mask
from groundtune.prefix.columns import IGNORED, is_datasets, read_examples
from groundtune.prefix.model import PreparedModel
from groundtune.prefix.probe import probe_model
from groundtune.prefix.rows import Row, pack_rows
from groundtune.prefix.steps import plan_steps
from groundtune.prefix.tree import PrefixTree, TreeStatistics, build_tree

MIXED_ROWS = 16
"""Rows whose examples are drawn together: enough that they fill up, few enough that each holds a mix of the dataset."""

Table = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class PackedRow:
    """A row between dataset and collator. It refuses to be read as a list of tokens, which would train something else."""

    table_CT: Table
    """Token ids, depths, subtree ends, and the target of each token (`IGNORED`: none)."""
    dataset_tokens: int
    """Lengths of the row's examples as in the dataset."""

    @classmethod
    def of(cls, row: Row) -> PackedRow:
        targets_T = np.full(len(row.input_ids), IGNORED, np.int32)
        targets_T[row.edge_sources] = row.edge_targets
        table = np.stack([row.input_ids, row.position_ids, row.subtree_end, targets_T]).astype(np.int32)
        return cls(table, row.dataset_tokens)

    def __repr__(self) -> str:
        return f"<row of {self.table_CT.shape[1]} tokens with shared prefixes; only data_collator=collate_row opens it>"

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TrainingError(
            "a row of shared prefixes was read as a list of tokens, which it is not; give the trainer data_collator=collate_row, "
            "and turn its padding, truncation, packing and grouping by length off"
        )

    __len__ = __iter__ = __getitem__ = __array__ = _refuse


Item = dict[str, PackedRow]
"""What the trainer's data loader hands to the collator: the row as ``labels``, which no trainer takes for an unused column,
and as ``input_ids``, for other collators to stumble over."""


def prepare_model(model: nn.Module) -> PreparedModel:
    """Prepare `model` for rows, in place, and probe it. Keep what is returned only if the model is to be put back later.

    To be called before the trainer is made; a model that already has adapters is given as it is.

    Raises:
        TrainingError: the model cannot take rows, or would compute something else on shared prefixes (layers that carry
            state along the sequence do so without any other sign). It is then as it was.
    """
    prepared = PreparedModel(model)
    try:
        probe_model(prepared)
    except TrainingError:
        prepared.restore()
        raise
    return prepared


class SharedRows(Dataset[Item]):
    """The rows of an epoch. Map-style: a trainer shuffles them anew each epoch."""

    def __init__(self, rows: Sequence[PackedRow], statistics: TreeStatistics) -> None:
        self._rows = rows
        self.statistics = statistics

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Item:
        return {"input_ids": self._rows[index], "labels": self._rows[index]}


@overload
def share_prefixes(
    dataset: Sequence[Mapping[str, Any]],
    *,
    max_pack_tokens: int = ...,
    examples_per_row: int | None = ...,
    seed: int = ...,
) -> SharedRows: ...
@overload
def share_prefixes(
    dataset: Any, *, max_pack_tokens: int = ..., examples_per_row: int | None = ..., seed: int = ...
) -> Any: ...
def share_prefixes(
    dataset: Any, *, max_pack_tokens: int = 4096, examples_per_row: int | None = None, seed: int = 0
) -> Any:
    """Ready rows of tokenised examples, for a trainer with ``per_device_train_batch_size=1`` and ``collate_row``.

    A row is a micro-batch of several examples, so an optimizer step sees the examples of
    ``gradient_accumulation_steps`` rows (times processes). Which examples share a row is drawn once, by `seed`:
    examples that share much stay together, all others are mixed. The trainer then shuffles the rows of each epoch.

    Args:
        dataset: a `datasets.Dataset`, or any sequence or map-style dataset of mappings, with ``input_ids`` and either
            ``labels`` (-100: not supervised; not shifted), or ``completion_mask`` or ``assistant_masks``. Whole
            ``weights`` may come on top; they count like repeated targets.
        max_pack_tokens: most tokens of a row. The longest example has to fit.
        examples_per_row: most examples of a row, where a step is to hold few; by default as many as fit.

    Returns:
        A `datasets.Dataset` (as TRL demands) of a `datasets.Dataset`, else `SharedRows`.

    Raises:
        DataError: the dataset has no labels, or some that a tree cannot stand for.
        TrainingError: an example is longer than a row; a weight is no whole number.
    """
    examples = read_examples(dataset)
    without = int((examples.needed == 0).sum())
    if without == len(examples):
        raise DataError(
            f"none of the {len(examples)} examples has a supervised token; expected labels other than {IGNORED}, or masks of 1"
        )
    if without:
        first = int(np.flatnonzero(examples.needed == 0)[0])
        warnings.warn(
            f"{without} of {len(examples)} examples have no supervised token and are in no row (the first: example {first})",
            stacklevel=2,
        )
    tree = build_tree(examples)
    rows = _pack(tree, max_pack_tokens, examples_per_row, seed)
    shared = SharedRows(rows, tree.statistics)
    return _as_datasets(shared, rows) if is_datasets(dataset) else shared


def collate_row(items: Sequence[Item]) -> dict[str, torch.Tensor]:
    """The batch of one row: ``input_ids``, ``position_ids``, ``labels`` and ``shift_labels`` [1, T], ``attention_mask``
    [1, 1, T, 3] (the tree; its sum is the row's dataset tokens), and ``num_items_in_batch``, for a model that is asked
    for its loss without being told a count.

    Raises:
        TrainingError: several rows at once, or something else than a row of `share_prefixes`.
    """
    if len(items) != 1:
        raise TrainingError(
            f"a batch holds {len(items)} rows; set per_device_train_batch_size and per_device_eval_batch_size to 1 (and train "
            "with one process a GPU), and gradient_accumulation_steps to the rows of a step"
        )
    row = items[0].get("labels") if isinstance(items[0], Mapping) else None
    if not isinstance(row, PackedRow):
        raise TrainingError(
            f"collate_row found {type(row).__name__} where a row was expected; give the trainer what share_prefixes returned, "
            "unchanged but for selecting and shuffling"
        )
    ids_T, depth_T, end_T, targets_T = torch.from_numpy(row.table_CT.astype(np.int64))
    return {
        "input_ids": ids_T[None],
        "position_ids": depth_T[None],
        "attention_mask": tree_mask(end_T, depth_T, row.dataset_tokens).as_subclass(GuardedMask),
        "labels": targets_T[None],
        "shift_labels": targets_T[None],
        "num_items_in_batch": (targets_T != IGNORED).sum(),
    }


MISREADINGS = (torch.Tensor.flatten, torch.flatten, torch.Tensor.__contains__)
"""What attention does to find the padding of an ordinary mask."""


class GuardedMask(torch.Tensor):
    """A row's tree that raises as soon as it is used as an attention mask is: brought together with numbers.

    Attention of a prepared model only reads integers out of it. Without this, most attention fails on its shape with a
    message about something else, and eager attention adds it to the scores of a row of 2 or 3 tokens.
    """

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        others = (each for each in (*args, *kwargs.values()) if isinstance(each, torch.Tensor))
        if func in MISREADINGS or any(other.is_floating_point() for other in others if type(other) is not cls):
            _refuse_unprepared()
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            if not isinstance(result, torch.Tensor) or result.ndim != 4:
                return result
            if result.dtype != torch.int64:
                _refuse_unprepared()
            return result.as_subclass(cls)


def _refuse_unprepared() -> NoReturn:
    raise TrainingError(
        "a row's tree reached an attention that does not know it: the model is not prepared (or no longer); call "
        "prepare_model(model) before the trainer is made, and leave its attention implementation as it is then"
    )


@torch.no_grad()
def evaluate_rows(model: nn.Module, rows: Any) -> float:
    """The mean loss of a supervised token over all `rows` (of `share_prefixes`), equal to that of unshared examples.

    A trainer's own ``eval_loss`` is the mean of its batches' means, which depends on how examples are batched unless all
    batches hold equally many supervised tokens.
    """
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    total, count = 0.0, 0
    try:
        for index in range(len(rows)):
            batch = {name: tensor.to(device) for name, tensor in collate_row([rows[index]]).items()}
            row_count = int(batch["num_items_in_batch"])
            total += float(model(**batch, use_cache=False).loss) * row_count
            count += row_count
    finally:
        model.train(was_training)
    if not count:
        raise DataError("there are no rows to evaluate; expected what share_prefixes returned")
    return total / count


# --- rows -------------------------------------------------------------------------------------------------------------


def _pack(tree: PrefixTree, max_pack_tokens: int, examples_per_row: int | None, seed: int) -> list[PackedRow]:
    if max_pack_tokens < 1:
        raise TrainingError(f"max_pack_tokens is {max_pack_tokens}; expected 1 or more")
    drawn = examples_per_row
    if drawn is None:
        rows = tree.statistics.unique_tokens / max_pack_tokens
        drawn = max(1, round(len(tree.order) * MIXED_ROWS / max(rows, 1)))
    plan = plan_steps(tree, examples_per_step=drawn, seed=seed, epoch=0)
    return [
        PackedRow.of(row)
        for indices in plan
        for row in pack_rows(tree, indices, max_pack_tokens=max_pack_tokens, separate_targets=True)
    ]


def _as_datasets(shared: SharedRows, rows: Sequence[PackedRow]) -> Any:
    datasets = sys.modules["datasets"]

    features = datasets.Features(
        {"labels": {"table": datasets.Value("large_binary"), "dataset_tokens": datasets.Value("int64")}}
    )
    packed = [{"table": row.table_CT.tobytes(), "dataset_tokens": row.dataset_tokens} for row in rows]
    about = shared.statistics
    description = (
        f"{about.examples} examples of {about.tokens} tokens, {about.unique_tokens} of them unique, as {len(rows)} rows"
    )
    return datasets.Dataset.from_dict(
        {"labels": packed}, features=features, info=datasets.DatasetInfo(description=description, features=features)
    ).with_transform(_open)


def _open(batch: dict[str, list[dict[str, Any]]]) -> dict[str, list[PackedRow]]:
    rows = [
        PackedRow(np.frombuffer(row["table"], np.int32).reshape(4, -1), row["dataset_tokens"])
        for row in batch["labels"]
    ]
    return {"input_ids": rows, "labels": rows}
