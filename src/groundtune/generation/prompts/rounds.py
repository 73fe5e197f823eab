"""What follows a first request: the same again with an error quoted, or the rest of an answer that was cut.

Both are made from the request before and the raw answer to it alone, with its system text, context, schema, parameters and
opening words. So their keys are the same in every run, and a provider's cache knows how they begin.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from groundtune.generation.prompts.requests import fill, with_task
from groundtune.generation.prompts.texts import wording
from groundtune.llm import LLMRequest, parse_task
from groundtune.llm.passages import Task, render_asked

QUOTED_HEAD_CHARACTERS = 3000
QUOTED_TAIL_CHARACTERS = 1000
"""Of an unreadable answer: how much of its beginning and of its end is shown again."""
QUOTED_ERROR_CHARACTERS = 600


def repair_request(first: LLMRequest, raw: str, error: str) -> LLMRequest:
    """`first` once more, with the unreadable answer `raw` (its ends, if it is long) and what was wrong with it.

    Raises:
        ValueError: `first` has no task line, so it was not made here.
    """
    body, task = _parted(first)
    shown = _ends(raw)
    longest = max((len(run) for run in re.findall(r"^~+", shown, re.MULTILINE)), default=0)
    values = {"error": _ends(" ".join(error.split()), QUOTED_ERROR_CHARACTERS, 0), "answer": shown}
    values["fence"] = "~" * max(5, longest + 1)
    said = fill(wording(task.language).repair, values)
    return replace(first, prompt=with_task(f"{body}\n\n{said}", task))


def rest_request(first: LLMRequest, questions_so_far: Sequence[str], num_left: int) -> LLMRequest:
    """For the pairs that are missing after an answer to `first` was cut: `num_left` more, none of `questions_so_far`.

    Raises:
        ValueError: `first` has no task line, or nothing is left to ask for.
    """
    if num_left < 1:
        raise ValueError(f"num_left is {num_left}: there is nothing left to ask for")
    body, task = _parted(first)
    values = {"questions": render_asked(questions_so_far), "num_left": str(num_left)}
    said = fill(wording(task.language).rest, values)
    return replace(first, prompt=with_task(f"{body}\n\n{said}", replace(task, num_pairs=num_left)))


def _parted(request: LLMRequest) -> tuple[str, Task]:
    """The prompt without its last line, and the task that line gives."""
    body, _, line = request.prompt.rpartition("\n\n")
    task = parse_task(line)
    if task is None:
        raise ValueError(f"the prompt ends with {line[:60]!r}; expected a task line")
    return body, task


def _ends(text: str, head: int = QUOTED_HEAD_CHARACTERS, tail: int = QUOTED_TAIL_CHARACTERS) -> str:
    """
    >>> _ends("abcdefghij", 3, 2)
    'abc […] ij'
    """
    if len(text) <= head + tail:
        return text
    return f"{text[:head]} […] {text[len(text) - tail :]}".rstrip()
