"""Joins a finished run, its documents and its model into an assistant that can be asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from groundtune.errors import DataError
from groundtune.files import read_records
from groundtune.manifest import read_manifest
from groundtune.serving import Assistant, Dialogue, read_run_card
from groundtune.types import Chunk, Message


def open_assistant(run: Path, *, base: bool = False) -> Assistant | Dialogue:
    """The assistant of a run folder; of a model without documents, a dialogue. `base` takes the model before fine-tuning.

    Raises:
        DataError: the folder is not that of a finished run, or the documents it was made from are gone.
        TrainingError: the model cannot be loaded.
    """
    card = read_run_card(run)
    if read_manifest(run) is None:
        raise DataError(f"{run}: its training has not ended; run `groundtune run` again")

    from groundtune.chat import render_prompt, stop_token_ids
    from groundtune.models import cpu_threads, load_model, load_tokenizer, stream_answer
    from groundtune.retrieval import Bm25Retriever

    tokenizer = load_tokenizer(run / card.model)
    beside = run / card.base
    source = (beside if beside.exists() else card.base) if base else run / card.model
    model = load_model(source, tokenizer=tokenizer)
    stop_ids = stop_token_ids(tokenizer)
    if card.max_new_tokens >= card.max_tokens:
        raise DataError(
            f"{run}: evaluation.max_new_tokens ({card.max_new_tokens}) leaves no room for a prompt in {card.max_tokens} tokens"
        )

    def stream(messages: Sequence[Message]) -> Iterator[str]:
        prompt = render_prompt(tokenizer, messages)
        with cpu_threads():
            yield from stream_answer(model, tokenizer, prompt, max_new_tokens=card.max_new_tokens, stop_ids=stop_ids)

    def count_tokens(messages: Sequence[Message]) -> int:
        return len(render_prompt(tokenizer, messages))

    max_prompt_tokens = card.max_tokens - card.max_new_tokens
    if not card.chunks:
        return Dialogue(max_prompt_tokens, count_tokens, stream)
    return Assistant(
        retriever=Bm25Retriever(read_records(run / card.chunks, Chunk)),
        prompts={language: card.prompt(language) for language in card.prompts},
        languages=card.languages,
        top_k=card.top_k,
        max_prompt_tokens=max_prompt_tokens,
        count_tokens=count_tokens,
        stream=stream,
    )
