"""The first request about a group, in two parts: what is the same for all requests about it, and what is asked this time.

Keys of requests are pure functions of the group's text, the prompts and the configuration; chunk ids are in none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.config import GenerationConfig
from groundtune.generation.answers.schema import answer_schema
from groundtune.generation.prompts.checking import PLACE
from groundtune.generation.prompts.counting import num_pairs
from groundtune.generation.prompts.texts import PromptTexts, prompt_texts, wording
from groundtune.llm import LLMRequest, Passage, Task, render_passages, render_task
from groundtune.llm.passages import render_asked
from groundtune.types import Chunk, Group


def request_for(
    group: Group,
    chunks: Sequence[Chunk],
    config: GenerationConfig,
    model: str,
    *,
    texts: PromptTexts | None = None,
    focus: Sequence[int] | None = None,
    focus_quotes: Sequence[str] = (),
) -> LLMRequest:
    """The request for pairs over the chunks of `group`, in its order; passage ``[n]`` is ``chunks[n - 1]``.

    Args:
        texts: of the group's language; None for the built-in ones of ``config.profile``.
        focus: numbers of the passages of which every pair rests on at least one (passages that are new or changed, or that
            no pair rests on yet). The number of pairs then follows from their tokens alone. All of them are no focus, and
            the request is that of a group nobody has asked about.
        focus_quotes: sentences of them that no pair rests on; no more pairs than these are asked for.

    Raises:
        ValueError: `focus` names a number that no passage has.
    """
    texts = texts or prompt_texts(group.language, config.profile)
    numbers = tuple(sorted(set(focus or ())))
    if numbers and not 1 <= numbers[0] <= numbers[-1] <= len(chunks):
        raise ValueError(f"focus {numbers} of group {group.group_id}: expected numbers from 1 to {len(chunks)}")
    if len(numbers) == len(chunks):
        numbers = ()
    tokens = sum(chunks[number - 1].token_count for number in numbers) if numbers else group.token_count
    count = num_pairs(tokens, config)
    if focus_quotes:
        count = min(count, len(focus_quotes))
    task = Task(group.language, group.rule, count, config.max_answer_words, numbers)
    values = {
        "num_pairs": str(count),
        "language_name": texts.language_name,
        "max_words": str(task.max_words),
        "guidance": texts.rules[group.rule],
    }
    prompt = [fill(texts.user, values), *_narrowing(group.language, numbers, focus_quotes)]
    return LLMRequest(
        system=fill(texts.system, values),
        prompt=with_task("\n\n".join(prompt), task),
        schema=answer_schema(config.profile),
        model=model,
        parameters=parameters_of(config),
        context=context_of(chunks, texts),
    )


def context_of(chunks: Sequence[Chunk], texts: PromptTexts) -> str:
    """The numbered passages, with the words around them."""
    passages = [Passage(number, chunk.breadcrumb, chunk.text) for number, chunk in enumerate(chunks, start=1)]
    return fill(texts.context, {"passages": render_passages(passages)})


def parameters_of(config: GenerationConfig) -> dict[str, float]:
    """What the model is set to. Nothing for the offline writer, which knows no parameters: its answers stay in the ledger
    whatever they are set to."""
    if config.provider == "offline":
        return {}
    set_to: dict[str, float] = {"max_tokens": config.max_output_tokens}
    if config.temperature is not None:
        set_to["temperature"] = config.temperature
    return set_to


def with_task(prompt: str, task: Task) -> str:
    """`prompt` with the task line that ends every request about a group."""
    return f"{prompt}\n\n{render_task(task)}"


def fill(template: str, values: Mapping[str, str]) -> str:
    """Every ``{name}`` of the template in one pass, so that braces inside what is filled in stay as they are.

    >>> fill("{passages} {other}", {"passages": "{passages}"})
    '{passages} {other}'
    """
    return PLACE.sub(lambda match: values.get(match[1], match[0]), template)


def _narrowing(language: str, numbers: Sequence[int], focus_quotes: Sequence[str]) -> list[str]:
    words = wording(language)
    said = []
    if numbers:
        said.append(fill(words.focus, {"numbers": ", ".join(f"[{number}]" for number in numbers)}))
    if focus_quotes:
        said.append(fill(words.uncovered, {"places": render_asked(focus_quotes)}))
    return said
