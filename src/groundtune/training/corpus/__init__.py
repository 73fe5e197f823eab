"""Text of any amount as training examples: read as a stream, tokenised once into files, cut and mixed when it is asked for.

:func:`find_sources` says which files patterns mean, :func:`store_corpus` makes token files of them, :class:`Mixture` is a
round's sequences, and :class:`SequencePacker` with :class:`SequenceSteps` are what the trainer takes. What this package does
not do: train (:mod:`groundtune.training.pretraining`), or read documentation (:mod:`groundtune.documents`).
"""

from groundtune.training.corpus.corpus import KINDS, Corpus, open_corpus, store_corpus, too_short
from groundtune.training.corpus.sequences import Mixture, permuted
from groundtune.training.corpus.sources import LeftOut, Source, find_sources, normalised, read_texts
from groundtune.training.corpus.steps import SequencePacker, SequenceSteps
from groundtune.training.corpus.store import TokenStore, open_store, side_of, store_texts

__all__ = [
    "KINDS",
    "Corpus",
    "LeftOut",
    "Mixture",
    "SequencePacker",
    "SequenceSteps",
    "Source",
    "TokenStore",
    "find_sources",
    "normalised",
    "open_corpus",
    "open_store",
    "permuted",
    "read_texts",
    "side_of",
    "store_corpus",
    "store_texts",
    "too_short",
]
