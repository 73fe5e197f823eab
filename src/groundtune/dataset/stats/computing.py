"""The figures of prepared instruction data and of grounded examples.

What this module does not do: print, or change anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from groundtune.chat import render_many
from groundtune.dataset.prepared import Prepared, count_targets
from groundtune.dataset.stats.counting import (
    SAMPLED_LANGUAGES,
    Counting,
    candidates_among,
    most_frequent_first,
)
from groundtune.dataset.stats.figures import DataStats, Lengths, Saving, SplitStats, share_of
from groundtune.progress import ProgressBar
from groundtune.types import SPLITS, Conversation, Example, Language, Origin, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.prefix import TokenisedExamples

Ints = npt.NDArray[np.int64]

BLOCK_EXAMPLES = 4096


def prepared_stats(
    splits: Mapping[Split, tuple[Iterable[Conversation], Prepared]], *, languages: Sequence[Language] = ()
) -> DataStats:
    """Of prepared instruction data: the conversations, in the order they were prepared in, and what was made of them.

    Conversations that were left out are not counted. `languages` are those to be expected. Memory: about 200 bytes a
    conversation, and a tree of all tokens that is mapped, not held.
    """
    found: dict[Split, SplitStats] = {}
    total = sum(prepared.conversations for _, prepared in splits.values())
    with ProgressBar("counting", total=total, unit="rows") as bar:
        for split in SPLITS:
            if split in splits:
                conversations, prepared = splits[split]
                found[split] = _split_stats(conversations, prepared.examples(), prepared.owners, languages, bar)
    return DataStats(found)


def example_stats(
    splits: Mapping[Split, Sequence[Example]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    languages: Sequence[Language] = (),
    processes: int = 1,
) -> DataStats:
    """Of grounded examples, rendered as training renders them.

    Raises:
        TemplateError: one cannot be rendered.
    """
    from groundtune.prefix import TokenisedExamples

    found: dict[Split, SplitStats] = {}
    with ProgressBar("counting", total=sum(map(len, splits.values())), unit="examples") as bar:
        for split in SPLITS:
            if not splits.get(split):
                continue
            many = render_many(tokenizer, [each.messages for each in splits[split]], processes=processes)
            examples = TokenisedExamples(many.token_ids, many.weights, many.offsets)
            rows = [as_conversation(example, number) for number, example in enumerate(splits[split], start=1)]
            found[split] = _split_stats(rows, examples, many.owners, languages, bar)
    return DataStats(found)


def as_conversation(example: Example, number: int) -> Conversation:
    """An example in the words of instruction data, so that both are counted alike."""
    return Conversation(
        example.example_id,
        Origin("grounded", f"{example.split}.jsonl", number),
        example.messages,
        language=example.language,
        fields={
            "type": example.type.value,
            "difficulty": example.difficulty.value,
            "rule": example.rule.value,
            "answerable": "yes" if example.answerable else "no",
        },
    )


def _split_stats(
    conversations: Iterable[Conversation],
    examples: TokenisedExamples,
    owners: Ints,
    languages: Sequence[Language],
    bar: ProgressBar,
) -> SplitStats:
    trained = _trained_tokens(examples)
    num_owners = int(owners.max()) + 1 if len(owners) else 0
    made = np.bincount(owners, minlength=num_owners).tolist()
    tokens = np.bincount(owners, weights=examples.lengths, minlength=num_owners).astype(np.int64).tolist()
    answered = np.bincount(owners, weights=trained, minlength=num_owners).astype(np.int64).tolist()
    counting = Counting(candidates_among(languages), every=-(-num_owners // SAMPLED_LANGUAGES) or 1)
    for number, conversation in enumerate(conversations):
        bar.advance()
        if number < num_owners and made[number]:
            counting.add(conversation, examples=made[number], tokens=tokens[number], trained_tokens=answered[number])
    num_tokens, num_trained = len(examples.token_ids), int(trained.sum())
    return SplitStats(
        conversations=counting.conversations,
        examples=len(examples),
        tokens=num_tokens,
        trained_tokens=num_trained,
        trained_share=share_of(num_trained, num_tokens),
        lengths=Lengths.of(examples.lengths),
        trained_lengths=Lengths.of(trained),
        kinds={kind: most_frequent_first(counts) for kind, counts in counting.kinds.items()},
        languages=most_frequent_first(counting.languages),
        languages_found=most_frequent_first(counting.found),
        duplicates=counting.duplicates,
        saving=_saving(examples),
        sources=counting.by_source,
    )


def _trained_tokens(examples: TokenisedExamples) -> Ints:
    """[n] targets of each example, a few thousand examples in view at a time."""
    trained = [np.zeros(0, np.int64)]
    for first in range(0, len(examples), BLOCK_EXAMPLES):
        borders = examples.offsets[first : first + BLOCK_EXAMPLES + 1]
        trained.append(count_targets(examples.weights[borders[0] : borders[-1]], borders - borders[0]))
    return np.concatenate(trained)


def _saving(examples: TokenisedExamples) -> Saving | None:
    from groundtune.prefix import build_tree

    if not len(examples):
        return None
    statistics = build_tree(examples).statistics
    unique = statistics.unique_tokens
    return Saving(statistics.tokens, unique, round(statistics.tokens / unique, 3) if unique else 1.0)
