"""Tokenised datasets as transformers and TRL know them, read as examples of the prefix tree.

Every column that would make a trainer compute something else than the plain sequence of tokens is looked at, and an
example that a tree cannot stand for is refused by its index. What this module does not do: tokenise, truncate, mask.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from groundtune.errors import DataError
from groundtune.prefix.examples import TokenIds, TokenisedExamples, Weights

IGNORED = -100
"""Label of a token that is not supervised: transformers' own convention."""

READ_AT_ONCE = 1000
"""Examples taken from a `datasets.Dataset` at a time."""

MASKS = ("completion_mask", "assistant_masks")
"""Columns of TRL's that mark supervised tokens with 1. Where a dataset has both, a token needs both marks, as in TRL."""

SEEN = ("input_ids", "labels", *MASKS, "weights", "attention_mask", "position_ids", "seq_lengths")
"""Columns that are looked at."""

IMAGES = ("image", "images", "pixel_values")


def read_examples(dataset: Any) -> TokenisedExamples:
    """All examples of a `datasets.Dataset`, or of a sequence or map-style dataset of mappings, in their order.

    Raises:
        DataError: an example lacks labels, or is one that trainers would not compute as a plain sequence of its tokens.
    """
    if isinstance(dataset, Mapping) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise DataError(
            f"share_prefixes was given {type(dataset).__name__}; expected one split, with a length: all examples have to be known "
            "to find what they share"
        )
    if not len(dataset):
        raise DataError("share_prefixes was given an empty dataset; expected examples with input_ids and labels")
    ids, weights = [], []
    for index, example in enumerate(_examples(dataset)):
        token_ids, token_weights = _Reader(index, example).read()
        ids.append(token_ids)
        weights.append(token_weights)
    ends = np.cumsum([len(each) for each in ids], dtype=np.int64)
    return TokenisedExamples(
        np.concatenate(ids), np.concatenate(weights), np.concatenate([np.zeros(1, np.int64), ends])
    )


def is_datasets(dataset: Any) -> bool:
    """Whether it is a `datasets.Dataset`, without importing that package: who has one has done so."""
    module = sys.modules.get("datasets")
    return module is not None and isinstance(dataset, module.Dataset)


def _examples(dataset: Any) -> Iterator[Any]:
    if not is_datasets(dataset) or dataset.format["type"] == "custom":
        yield from (dataset[index] for index in range(len(dataset)))
        return
    names = [name for name in (*SEEN, *IMAGES) if name in dataset.column_names]
    for batch in dataset.with_format("numpy", columns=names).iter(READ_AT_ONCE) if names else [{}]:
        columns = [batch[name] for name in names]
        yield from (dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)) if names else [{}]


@dataclass(frozen=True, slots=True)
class _Reader:
    """One example; the messages say which."""

    index: int
    example: Any

    def read(self) -> tuple[TokenIds, Weights]:
        """Token ids, and the weight of each as a target."""
        if not isinstance(self.example, Mapping) or "input_ids" not in self.example:
            self._fail("has no input_ids; expected a tokenised dataset")
        if image := next((name for name in IMAGES if self._column(name) is not None), None):
            self._fail(f"has {image}; rows of shared prefixes carry text only")
        ids = self._array("input_ids", None)
        if ids.dtype.kind not in "iu" or not len(ids) or ids.min() < 0 or ids.max() >= np.iinfo(np.int32).max:
            self._fail(f"has input_ids that are no token ids ({ids.dtype}, {len(ids)} of them)")
        length = self._length(ids)
        weights = self._weights(ids)
        return ids[:length].astype(np.int32), weights[:length].astype(np.float32)

    def _column(self, name: str) -> Any:
        return self.example.get(name)

    def _array(self, name: str, length: int | None) -> npt.NDArray[Any]:
        array = np.asarray(self.example[name])
        if array.ndim != 1 or (length is not None and len(array) != length):
            expected = "one dimension" if length is None else f"one value for each of {length} input_ids"
            self._fail(f"has {name} of shape {array.shape}; expected {expected}")
        return array

    def _length(self, ids: npt.NDArray[Any]) -> int:
        """Tokens without padding at the end. What would be another sequence than 0 .. length - 1 is refused."""
        length = len(ids)
        if self._column("attention_mask") is not None:
            seen = self._array("attention_mask", length) != 0
            length = int(seen.sum())
            if not seen[:length].all():
                self._fail("is padded on the left or masked inside; expected attention_mask to be 0 at the end only")
        if self._column("position_ids") is not None:
            positions = self._array("position_ids", len(ids))[:length]
            if not np.array_equal(positions, np.arange(length)):
                self._fail("has position_ids that do not count from 0; expected single examples, not packed ones")
        if self._column("seq_lengths") is not None and np.size(self.example["seq_lengths"]) > 1:
            self._fail("is packed of several (seq_lengths); expected single examples: set packing=False")
        return length

    def _weights(self, ids: npt.NDArray[Any]) -> npt.NDArray[Any]:
        masks = [name for name in MASKS if self._column(name) is not None]
        supervised = np.ones(len(ids), bool)
        for name in masks:
            marks = self._array(name, len(ids))
            if not np.isin(marks, (0, 1)).all():
                self._fail(
                    f"has a {name} of other values than 0 and 1; trainers that rows are made for know no fractions"
                )
            supervised &= marks.astype(bool)
        if self._column("labels") is not None:
            labelled = self._labelled(ids)
            if masks and not np.array_equal(labelled[1:], supervised[1:]):
                self._fail(f"has labels and {' and '.join(masks)} that disagree; leave out what does not hold")
            supervised = labelled
        elif not masks and self._column("weights") is None:
            self._fail(f"has no labels; expected labels ({IGNORED}: not supervised), {' or '.join(MASKS)}")
        if self._column("weights") is None:
            return supervised
        weights: npt.NDArray[Any] = self._array("weights", len(ids)) * supervised
        return weights

    def _labelled(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
        labels = self._array("labels", len(ids))
        supervised: npt.NDArray[np.bool_] = labels != IGNORED
        wrong = np.flatnonzero(supervised & (labels != ids))
        # the first label is never a target
        if (wrong := wrong[wrong > 0]).size:
            at = int(wrong[0])
            self._fail(
                f"has the label {labels[at]} at token {at}, which is {ids[at]}; expected the token itself or {IGNORED}: labels are "
                "not shifted, the trainer does that"
            )
        return supervised

    def _fail(self, what: str) -> NoReturn:
        raise DataError(f"share_prefixes: example {self.index} {what}")
