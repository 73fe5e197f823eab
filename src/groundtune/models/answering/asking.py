"""Many prompts to their greedy answers, all at once or as they end; one prompt to the pieces of its answer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from groundtune.architecture import evaluating
from groundtune.models.answering.answers import AnsweringWork, Generated, Limits, check_prompts, decode_answer
from groundtune.models.answering.check import choose_way, judge
from groundtune.models.answering.plain import PaddedBatch, answer_padded, answer_singly
from groundtune.models.answering.products import packed_products
from groundtune.models.answering.shared import SharedAnswering
from groundtune.models.answering.tree import Prompt

CACHE_BYTES = 4 * 2**30
"""The same everywhere: how many answers are computed together must not depend on what a machine has free, for rounding does."""


def generate_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_questions: int,
    stop_ids: Collection[int],
    progress: Callable[[int], object] | None = None,
    cache_bytes: int = CACHE_BYTES,
    work: AnsweringWork | None = None,
) -> list[Generated]:
    """The greedy answer to each prompt (token ids), in the order given: what ``model.generate`` says to each alone, but for
    tokens that are equally likely to rounding.

    Args:
        batch_questions: answers in flight at most.
        stop_ids: tokens that end an answer.
        progress: told how many more questions are done; `ProgressBar.advance` fits.
        cache_bytes: of keys and values at most, by the longest that answers in flight may become. One prompt, or one
            group of prompts on a context, is always computed.
        work: counted up.

    Raises:
        EvaluationError: a prompt is empty, or has no room for its answer.
    """
    answers: dict[int, Generated] = {}
    for place, answer in stream_answers(
        model,
        tokenizer,
        prompts,
        max_new_tokens=max_new_tokens,
        batch_questions=batch_questions,
        stop_ids=stop_ids,
        cache_bytes=cache_bytes,
        work=work,
    ):
        answers[place] = answer
        if progress is not None:
            progress(1)
    return [answers[place] for place in range(len(prompts))]


def stream_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    batch_questions: int,
    stop_ids: Collection[int],
    cache_bytes: int = CACHE_BYTES,
    work: AnsweringWork | None = None,
) -> Iterator[tuple[int, Generated]]:
    """As `generate_answers`, each answer with its prompt's place as soon as it ends.

    Whoever writes them down and leaves the answered prompts out the next time has lost nothing when the process is killed.
    A prompt that is asked several times is computed once. The model is in evaluation mode until the iterator ends, and may
    be used between two answers.
    """
    check_prompts(model, prompts, max_new_tokens)
    work = AnsweringWork() if work is None else work
    places: dict[Prompt, list[int]] = {}
    for place, prompt in enumerate(prompts):
        places.setdefault(tuple(prompt), []).append(place)
    return _stream(
        model, tokenizer, places, Limits(batch_questions, cache_bytes, max_new_tokens), frozenset(stop_ids), work
    )


def _stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    places: dict[Prompt, list[int]],
    limits: Limits,
    stop_ids: frozenset[int],
    work: AnsweringWork,
) -> Iterator[tuple[int, Generated]]:
    if not places:
        return
    with evaluating(model), packed_products(model):
        for prompt, ids, stopped in _answers(model, list(places), limits, stop_ids, work):
            answer = Generated.of(tokenizer, ids, stopped=stopped)
            work.new_tokens += answer.new_tokens
            for place in places[prompt]:
                work.prompts += 1
                work.prompt_tokens += len(prompt)
                yield place, answer


def _answers(
    model: PreTrainedModel, prompts: list[Prompt], limits: Limits, stop_ids: frozenset[int], work: AnsweringWork
) -> Iterator[tuple[Prompt, list[int], bool]]:
    """By the fastest way that is right for the model."""
    work.way, work.reason = choose_way(model, max(map(len, prompts)) + limits.new_tokens)
    if work.way == "shared":
        return SharedAnswering(model, limits, stop_ids, work, judge(model).column_bytes).run(prompts)
    if work.way == "padded":
        return answer_padded(model, prompts, limits, stop_ids, work)
    return answer_singly(model, prompts, limits, stop_ids, work)


def stream_answer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    *,
    max_new_tokens: int,
    stop_ids: Collection[int],
) -> Iterator[str]:
    """The same greedy answer as `generate_answers`, in pieces of text as they come; never half a character.

    Joined, the pieces are `Generated.text`.
    """
    check_prompts(model, [prompt], max_new_tokens)
    model.eval()
    ids: list[int] = []
    shown = 0
    batch = PaddedBatch(model, [list(prompt)])
    while len(ids) < max_new_tokens:
        token = int(batch.next_logits().argmax())
        if token in stop_ids:
            break
        ids.append(token)
        batch.append([token])
        # the whole answer each time: an answer is short, and only the whole decodes right with every tokenizer
        text = decode_answer(tokenizer, ids)
        if len(text) > shown:
            yield text[shown:]
            shown = len(text)
