"""Pairs to examples: the context put before the question, within the length limit, and nothing lost without a count.

An example that is too long gives up whole context chunks, never evidence and never part of a chunk. A later turn of a
conversation stands behind the turns before it, which are not trained again there. What this module does not do: choose
splits, write files, shuffle (the trainer does).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from groundtune.chat import grounded_messages
from groundtune.config import DatasetConfig, PromptConfig
from groundtune.dataset.clusters import Opening, evidence_by_conversation, opening_of
from groundtune.dataset.split import split_pairs
from groundtune.dataset.summary import summarise
from groundtune.errors import DataError
from groundtune.types import SPLITS, Chunk, Example, Language, Message, Pair, Split, StageResult

CountTokens = Callable[[Sequence[Message]], int]
"""Tokens of a whole rendered conversation: ``lambda messages: len(render(tokenizer, messages).token_ids)``."""

STRADDLES = "evidence or question in two splits"
EMPTY = "empty question or answer"
EVIDENCE_TOO_LONG = "evidence alone is over dataset.max_tokens"
CHUNK_TOO_LONG = "a single context chunk is over dataset.max_tokens"


@dataclass(frozen=True, slots=True)
class Built:
    """The examples of each split, in the order of their pairs, and what happened on the way.

    In ``result``: ``counts`` hold pairs read, examples by split, examples shortened and chunks dropped from them;
    ``skips`` are pairs left out by reason; pairs read = examples + pairs left out.
    """

    examples: dict[Split, list[Example]]
    result: StageResult


@dataclass(frozen=True, slots=True)
class _Settings:
    """What is the same for every pair."""

    chunks: Mapping[str, Chunk]
    order: Mapping[str, int]
    """Position of each chunk in the documentation."""
    conversations: Mapping[Opening, Sequence[str]]
    """Evidence of all turns of each conversation."""
    prompts: Mapping[Language, PromptConfig]
    config: DatasetConfig
    count_tokens: CountTokens


@dataclass(frozen=True, slots=True)
class _Fitted:
    """An example within the limit, its length, and how many chunks it gave up."""

    example: Example
    num_tokens: int
    num_dropped: int


def build_dataset(
    pairs: Sequence[Pair],
    chunks: Sequence[Chunk],
    *,
    prompts: Mapping[Language, PromptConfig],
    config: DatasetConfig,
    count_tokens: CountTokens,
    seed: int,
) -> Built:
    """Split by evidence, then build the examples.

    Raises:
        DataError: pairs contradict each other or the chunks; names the pair.
    """
    splits = split_pairs(pairs, valid_share=config.valid_share, test_share=config.test_share, seed=seed)
    return build_examples(pairs, chunks, splits, prompts=prompts, config=config, count_tokens=count_tokens)


def build_examples(
    pairs: Sequence[Pair],
    chunks: Sequence[Chunk],
    splits: Mapping[str, Split],
    *,
    prompts: Mapping[Language, PromptConfig],
    config: DatasetConfig,
    count_tokens: CountTokens,
) -> Built:
    """Every pair that has a split as an example of at most ``config.max_tokens`` tokens.

    Context chunks keep the order of the pair (reading order). Over ``max_context_chunks`` or ``max_tokens``, chunks that
    are not evidence, nor evidence of an earlier turn, go first from the end; of a near-miss, those farthest from the
    passage that was taken out go first, and one stays. A pair that is still too long is left out.

    Raises:
        DataError: a pair names a chunk that is not there, its context contradicts its evidence, or its language has no
            prompt.
    """
    settings = _Settings(
        chunks={chunk.chunk_id: chunk for chunk in chunks},
        order={chunk.chunk_id: index for index, chunk in enumerate(chunks)},
        conversations=evidence_by_conversation(pairs),
        prompts=prompts,
        config=config,
        count_tokens=count_tokens,
    )
    fitted: dict[Split, list[_Fitted]] = {split: [] for split in SPLITS}
    left_out: dict[str, list[str]] = defaultdict(list)
    for pair in pairs:
        if pair.pair_id not in splits:
            left_out[STRADDLES].append(pair.pair_id)
            continue
        _check(pair, settings)
        if not pair.question.strip() or not pair.answer.strip():
            left_out[EMPTY].append(pair.pair_id)
            continue
        found = _fit(pair, splits[pair.pair_id], settings)
        if isinstance(found, _Fitted):
            fitted[found.example.split].append(found)
        else:
            left_out[found].append(pair.pair_id)
    examples = {split: [item.example for item in items] for split, items in fitted.items()}
    return Built(examples, _result(len(pairs), fitted, left_out, config))


def _check(pair: Pair, settings: _Settings) -> None:
    """Raises `DataError` where a pair contradicts the chunks or itself."""
    for chunk_id in (*pair.context_chunk_ids, *pair.evidence_chunk_ids):
        if chunk_id not in settings.chunks:
            raise DataError(f"pair {pair.pair_id!r}: chunk {chunk_id!r} is not among the chunks; write the pairs again")
    needed = pair.answerable or bool(pair.assumption)
    for chunk_id in pair.evidence_chunk_ids:
        if needed and chunk_id not in pair.context_chunk_ids:
            kind = "answerable" if pair.answerable else "a false premise"
            raise DataError(f"pair {pair.pair_id!r}: {kind}, but its context misses the evidence chunk {chunk_id!r}")
        if not needed and chunk_id in pair.context_chunk_ids:
            raise DataError(
                f"pair {pair.pair_id!r}: unanswerable, but its context holds the evidence chunk {chunk_id!r}"
            )
    for item in pair.evidence:
        # pairs may have been edited by hand since code checked them
        if settings.chunks[item.chunk_id].text[item.start : item.end] != item.quote:
            raise DataError(
                f"pair {pair.pair_id!r}: the quote {item.quote[:60]!r} is not what stands at {item.start}-{item.end} of chunk "
                f"{item.chunk_id!r}; quote it exactly, or write the pairs again"
            )
    if pair.language not in settings.prompts:
        raise DataError(
            f"pair {pair.pair_id!r}: language {pair.language!r} has no prompt; expected one of {', '.join(sorted(settings.prompts))}"
            f", so add prompts.{pair.language} to the configuration"
        )


def _fit(pair: Pair, split: Split, settings: _Settings) -> _Fitted | str:
    """The example with as much context as fits, or the reason why none does."""
    given = list(dict.fromkeys(pair.context_chunk_ids))
    leaving = _leaving_order(pair, given, settings)
    context = list(given)
    for chunk_id in leaving[: max(0, len(given) - settings.config.max_context_chunks)]:
        context.remove(chunk_id)
    leaving = [chunk_id for chunk_id in leaving if chunk_id in context]
    while True:
        passages = [settings.chunks[chunk_id] for chunk_id in context]
        messages = grounded_messages(
            settings.prompts[pair.language], passages, pair.question, pair.answer, history=pair.history
        )
        num_tokens = settings.count_tokens(messages)
        if num_tokens <= settings.config.max_tokens:
            return _Fitted(_example(pair, messages, split, context), num_tokens, len(given) - len(context))
        if not leaving:
            return CHUNK_TOO_LONG if _is_near_miss(pair) else EVIDENCE_TOO_LONG
        context.remove(leaving.pop(0))


def _leaving_order(pair: Pair, given: Sequence[str], settings: _Settings) -> list[str]:
    """Chunks that may be given up, the first to go first."""
    evidence = pair.evidence_chunk_ids
    if not _is_near_miss(pair):
        # what an earlier turn rests on stays as well: its answer is shown
        earlier = settings.conversations.get(opening_of(pair), ()) if pair.history else ()
        return [chunk_id for chunk_id in reversed(given) if chunk_id not in (*evidence, *earlier)]
    # near misses are what teaches a refusal: far passages go first, and among equals the later
    order = settings.order
    places = [order[chunk_id] for chunk_id in evidence]
    far_first = sorted(
        given,
        key=lambda chunk_id: (min((abs(order[chunk_id] - place) for place in places), default=0), order[chunk_id]),
        reverse=True,
    )
    return far_first[:-1]


def _is_near_miss(pair: Pair) -> bool:
    """Unanswerable because its evidence was taken out; evidence that contradicts a false premise stays in the context."""
    return not pair.answerable and not pair.assumption


def _example(pair: Pair, messages: tuple[Message, ...], split: Split, context: Sequence[str]) -> Example:
    return Example(
        example_id=pair.pair_id,
        messages=messages,
        language=pair.language,
        split=split,
        pair_id=pair.pair_id,
        rule=pair.rule,
        type=pair.type,
        difficulty=pair.difficulty,
        answerable=pair.answerable,
        question=pair.question,
        context_chunk_ids=tuple(context),
        evidence_chunk_ids=pair.evidence_chunk_ids,
    )


def _result(
    num_pairs: int,
    fitted: Mapping[Split, Sequence[_Fitted]],
    left_out: Mapping[str, Sequence[str]],
    config: DatasetConfig,
) -> StageResult:
    everything = [item for items in fitted.values() for item in items]
    counts: dict[str, int] = {
        "pairs read": num_pairs,
        **{str(split): len(fitted[split]) for split in SPLITS},
        "examples with a shortened context": sum(item.num_dropped > 0 for item in everything),
        "context chunks dropped": sum(item.num_dropped for item in everything),
    }
    details = summarise(
        {split: [item.example for item in items] for split, items in fitted.items()},
        {item.example.example_id: item.num_tokens for item in everything},
        asked={
            "train": 1 - config.valid_share - config.test_share,
            "valid": config.valid_share,
            "test": config.test_share,
        },
    )
    details["left_out"] = {reason: list(pair_ids) for reason, pair_ids in left_out.items()}
    details["shortened"] = [item.example.pair_id for item in everything if item.num_dropped]
    return StageResult(counts, {reason: len(pair_ids) for reason, pair_ids in left_out.items()}, details)
