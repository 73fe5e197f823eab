"""All the text of a pretraining as token stores: the documentation, further texts, and general ones.

What this module does not do: read a configuration, or train.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from groundtune.errors import DataError, TrainingError
from groundtune.files import make_folder, sha256_text
from groundtune.training.corpus.sequences import Cut, Mixture, Recall
from groundtune.training.corpus.sources import Source
from groundtune.training.corpus.store import TokenStore, open_store, store_texts
from groundtune.training.documents import Separators, count_recall

KINDS = ("documents", "texts", "general")
"""Of stores, and what their folders are called."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """Stores by kind; those that were given."""

    stores: dict[str, TokenStore]

    @property
    def own(self) -> tuple[TokenStore, ...]:
        """What every epoch has the whole of."""
        return tuple(store for kind, store in self.stores.items() if kind != "general")

    @property
    def key(self) -> str:
        return sha256_text(" ".join(f"{kind} {store.key}" for kind, store in self.stores.items()))

    def mixture(
        self, sequence_tokens: int, *, separators: Separators, recall_share: float, general_share: float, seed: int
    ) -> Mixture:
        """The sequences that are trained on. Recall sequences are a share beside those of the documents alone: what plain text
        of a documentation is too small to teach, large texts teach by themselves.

        Raises:
            TrainingError: all texts together are shorter than one sequence.
        """
        parts = tuple(Cut(store.train, sequence_tokens) for store in self.own)
        tokens = sum(part.file.tokens for part in parts)
        if tokens < sequence_tokens:
            raise TrainingError(too_short(tokens, sequence_tokens))
        documents, general = self.stores.get("documents"), self.stores.get("general")
        recall = None
        if documents is not None and recall_share and documents.train.texts:
            count = count_recall(len(Cut(documents.train, sequence_tokens)), recall_share)
            recall = Recall(documents.train, count, separators, sequence_tokens, seed)
        return Mixture(
            parts,
            sequence_tokens,
            seed,
            recall=recall,
            general=None if general is None else Cut(general.train, sequence_tokens),
            general_share=general_share,
            key=self.key,
        )

    def held_out(self, sequence_tokens: int) -> Mixture:
        """The sequences that are validated on. General texts are none of them."""
        parts = tuple(Cut(store.valid, sequence_tokens) for store in self.own)
        return Mixture(parts, sequence_tokens, 0, key=self.key)

    @property
    def skips(self) -> dict[str, int]:
        total: Counter[str] = Counter()
        for store in self.stores.values():
            total.update(store.counts.skips)
        return dict(total.most_common())


def too_short(tokens: int, sequence_tokens: int) -> str:
    """The sentence of an error."""
    return (
        f"the text to pretrain on has {tokens} tokens, fewer than one sequence (pretrain.sequence_tokens: {sequence_tokens}); give "
        "more text, or lower it"
    )


def store_corpus(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    *,
    documents: Sequence[str] = (),
    texts: Sequence[Source] = (),
    general: Sequence[Source] = (),
    valid_share: float = 0.0,
) -> Corpus:
    """Write all text as token stores into `folder`, but for stores of the same text that stand there.

    Raises:
        TrainingError: there is no text in documents and texts.
        DataError: a file that cannot be read.
        StorageError: the folder cannot be written.
    """
    make_folder(folder)
    given: dict[str, Sequence[Source] | Sequence[str]] = {"documents": documents, "texts": texts, "general": general}
    for kind, each in given.items():
        if not each:
            # of a configuration that had it
            shutil.rmtree(folder / kind, ignore_errors=True)
    stores = {
        kind: store_texts(each, tokenizer, folder / kind, valid_share=valid_share, label=f"tokenising {kind}")
        for kind, each in given.items()
        if each
    }
    corpus = Corpus(stores)
    if not sum(store.train.texts for store in corpus.own):
        raise TrainingError(_no_text(corpus))
    if "general" in stores and not stores["general"].train.texts:
        raise TrainingError("pretrain.general: every text is empty or cannot be read; correct it, or take it out")
    return corpus


def _no_text(corpus: Corpus) -> str:
    held_out = sum(store.valid.texts for store in corpus.own)
    if held_out:
        return f"all {held_out} texts are held out by pretrain.valid_share; lower it, or give more texts"
    skips = ", ".join(f"{count} left out: {reason}" for reason, count in list(corpus.skips.items())[:3])
    return f"no text to pretrain on: every document is empty{f' ({skips})' if skips else ''}"


def open_corpus(folder: Path) -> Corpus:
    """What `store_corpus` wrote. Raises `DataError` where a store is not whole."""
    stores = {}
    for kind in KINDS:
        if (folder / kind).is_dir():
            store = open_store(folder / kind)
            if store is None:
                raise DataError(
                    f"{folder / kind}: the token files are not whole; delete {folder} and run the same command again"
                )
            stores[kind] = store
    return Corpus(stores)
