"""Documents packed into sequences for next-token training."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from groundtune.errors import TrainingError
from groundtune.training.examples import Tokenised

SCRAP_TOKENS = (2, 10)
"""Shortest and longest scrap of a document in the passage of a recall sequence."""

RECALLED_TOKENS = (8, 64)
"""Shortest and longest stretch that a recall sequence says again."""


@dataclass(frozen=True, slots=True)
class Separators:
    """What stands around every text: the tokenizer's begin token in front and its end token behind; only the end token where
    there is no begin token, or one token is both (GPT-2, Qwen), as those models were pretrained themselves."""

    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> Separators:
        bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
        return cls(() if bos is None or bos == eos else (bos,), () if eos is None else (eos,))


def pack_documents(
    texts: Iterable[str],
    tokenizer: PreTrainedTokenizerBase,
    *,
    sequence_tokens: int,
    recall_share: float = 0.0,
    seed: int = 0,
) -> list[Tokenised]:
    """Documents end to end, ``<bos> text <eos> <bos> ...`` (see `Separators`), cut into sequences of `sequence_tokens`; all
    tokens trained.

    Every token of every document is in exactly one of these sequences; the last one is as short as what is left. With a
    `recall_share`, *recall sequences* are added until they are that share of all (see `recall_sequence`).

    Raises:
        TrainingError: no text, or a `recall_share` outside [0, 1).
    """
    if not 0.0 <= recall_share < 1.0:
        raise TrainingError(f"recall_share is {recall_share}; expected a share from 0 to below 1")
    documents = [ids for text in texts if text.strip() for ids in [encode_text(tokenizer, text)] if ids]
    if not documents:
        raise TrainingError("no text to pretrain on: every document is empty")
    around = Separators.of(tokenizer)
    stream = [token for ids in documents for token in (*around.before, *ids, *around.after)]
    plain = [stream[start : start + sequence_tokens] for start in range(0, len(stream), sequence_tokens)]
    if len(plain[-1]) < 2 and len(plain) > 1:
        # one token alone has nothing to predict: it goes to its neighbour
        last = plain.pop()
        plain[-1] = plain[-1] + last
    wanted = count_recall(len(plain), recall_share)
    chance = random.Random(f"recall-{seed}")
    recall = [recall_sequence(documents, around.before, sequence_tokens, chance) for _ in range(wanted)]
    return [Tokenised(tuple(ids), (False, *(True,) * (len(ids) - 1))) for ids in [*plain, *recall]]


def count_recall(plain: int, recall_share: float) -> int:
    """Recall sequences that are `recall_share` of all, beside so many plain ones.

    >>> count_recall(30, 0.25)
    10
    """
    return round(plain * recall_share / (1.0 - recall_share))


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of `text` as text: documentation may show "<|eot_id|>", and it must not become the token."""
    ids: list[int] = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids


def recall_sequence(
    documents: Sequence[Sequence[int]], before: Sequence[int], sequence_tokens: int, chance: random.Random
) -> list[int]:
    """A passage, then stretches of it once more, in any order, until the sequence is full.

    Which stretch comes next cannot be known, but how it goes on can, by looking back: that is what answering from a
    context rests on, and plain text of a few hundred pages teaches it slowly. Passages are put together from scraps of
    many documents, so that knowing the documents by heart does not help.
    """
    passage: list[int] = []
    wanted = chance.randint(sequence_tokens // 4, sequence_tokens // 2)
    while len(passage) < wanted:
        passage += _stretch(chance.choice(documents), chance.randint(*SCRAP_TOKENS), chance)
    sequence = [*before, *passage[:wanted]]
    while len(sequence) < sequence_tokens:
        sequence += _stretch(passage[:wanted], chance.randint(*RECALLED_TOKENS), chance)
    return sequence[:sequence_tokens]


def _stretch(ids: Sequence[int], length: int, chance: random.Random) -> Sequence[int]:
    start = chance.randint(0, max(0, len(ids) - length))
    return ids[start : start + length]
