"""Requests for groups: the texts told to a language model, files of one's own in their place, and how many pairs are asked for.

It sends nothing and reads no answer. The built-in texts are YAML files in ``generation/prompts_text``; `write_prompts`
copies them for a user to edit, and `load_prompts` reads and checks what was edited.
"""

from groundtune.generation.prompts.counting import num_pairs
from groundtune.generation.prompts.requests import fill, request_for, with_task
from groundtune.generation.prompts.rounds import repair_request, rest_request
from groundtune.generation.prompts.texts import (
    PromptTexts,
    load_judge_texts,
    load_prompts,
    prompt_hash,
    prompt_texts,
    write_prompts,
)

__all__ = [
    "PromptTexts",
    "fill",
    "load_judge_texts",
    "load_prompts",
    "num_pairs",
    "prompt_hash",
    "prompt_texts",
    "repair_request",
    "request_for",
    "rest_request",
    "with_task",
    "write_prompts",
]
