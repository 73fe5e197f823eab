"""What has been measured of a model, kept by the hash of its files in the folder ``general`` of the work folder.

Another tuning of the same base then measures the tuned model alone, and a stage that was killed goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from groundtune.files import read_json, write_json
from groundtune.pipeline.asking import known_as
from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from groundtune.evaluation.forgetting import Scored

PACKS_AT_ONCE = 4
"""Measured between two looks at the progress bar."""

LAYOUT = "1"
"""Part of every key: raised when the kept files come to mean something else."""


class MeasuredModel:
    """One model, loaded only where something of it is not known yet."""

    def __init__(self, label: str, source: str, tokenizer: PreTrainedTokenizerBase, workspace: Workspace) -> None:
        self.label = label
        self.tokenizer = tokenizer
        self._source = source
        self._workspace = workspace
        self.folder = workspace.general_known / key_of(known_as(source))[:16]

    @cached_property
    def model(self) -> PreTrainedModel:
        from groundtune.models import load_model
        from groundtune.training.distribution import check_device

        model = load_model(self._source, tokenizer=self.tokenizer)
        if check_device(self._workspace.config.train) == "cuda":
            model.to("cuda")  # type: ignore[arg-type]
        return model

    def known(self, what: str, told: Sequence[object], measure: Callable[[], Any]) -> Any:
        """What `measure` gives, as JSON: from its file, or measured now and kept.

        Args:
            told: everything but the model that it depends on.
        """
        path = self.folder / f"{what}-{key_of(told)[:16]}.json"
        if not path.exists():
            write_json(path, measure())
        return read_json(path)

    def nats(self, sequences: Sequence[Scored], what: str) -> list[float]:
        """Summed loss of each sequence over its scored tokens; what several begin with is computed once."""
        from groundtune.progress import ProgressBar
        from groundtune.training import Tokenised, measure_each_loss

        train = self._workspace.config.train
        sums: list[float] = []
        with ProgressBar(f"{what}, {self.label}", total=len(sequences), unit="sequences") as bar:
            for some in _parcels(sequences, PACKS_AT_ONCE * train.max_pack_tokens):
                found, _ = measure_each_loss(
                    self.model,
                    [
                        Tokenised(each.input_ids, tuple(place >= each.start for place in range(len(each.input_ids))))
                        for each in some
                    ],
                    max_pack_tokens=train.max_pack_tokens,
                    sharing=train.sharing,
                    threads=train.threads,
                )
                sums += found
                bar.advance(len(some))
        return sums


def _parcels(sequences: Sequence[Scored], tokens: int) -> Iterator[list[Scored]]:
    parcel: list[Scored] = []
    size = 0
    for sequence in sequences:
        if parcel and size + len(sequence.input_ids) > tokens:
            yield parcel
            parcel, size = [], 0
        parcel.append(sequence)
        size += len(sequence.input_ids)
    if parcel:
        yield parcel


def key_of(told: object) -> str:
    """sha256 over something that has a JSON form."""
    return hashlib.sha256(json.dumps([LAYOUT, told], ensure_ascii=False).encode()).hexdigest()
