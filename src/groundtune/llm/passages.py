"""How passages and the task stand in a prompt, and how they are read back out of it.

A prompt shows each passage as a numbered block between fences of equals signs::

    ===== [1] Stok > Lot Takibi > Lot numarası
    Lot numarası, ... koddur.
    =====

The fence is longer than any run of equals signs that begins a line of a passage, so no passage can end its own block.
Numbers count from 1 within a prompt; chunk ids never appear, because they shift when a document grows and would make
every later request a new one. The line ``task: ...`` says in short what the instructions around it say in words. Questions that
are not to be asked again stand behind dashes, one a line.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.types import Language, Rule

_SHORTEST_FENCE = 5
_OPENING = re.compile(r"^(={5,}) \[1\] ", re.MULTILINE)
_TASK = re.compile(
    r"^task: language=(\S+) rule=(\S+) pairs=(\d+) max_words=(\d+)(?: focus=(\d+(?:,\d+)*))?$", re.MULTILINE
)
_ASKED = re.compile(r"^- (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Passage:
    """One numbered block of a prompt."""

    number: int
    breadcrumb: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class Task:
    """What is asked about the passages of a prompt."""

    language: Language
    rule: Rule
    num_pairs: int
    max_words: int
    """Of an answer."""
    focus: tuple[int, ...] = ()
    """Numbers of the passages of which every pair rests on at least one; empty for all."""


def render_passages(passages: Sequence[Passage]) -> str:
    """The numbered blocks. Line breaks inside a title become blanks.

    >>> print(render_passages([Passage(1, ("Stok", "Sayım"), "Sayım yılda bir yapılır.")]))
    ===== [1] Stok > Sayım
    Sayım yılda bir yapılır.
    =====
    """
    runs = (len(run) for passage in passages for run in re.findall(r"^=+", passage.text, re.MULTILINE))
    fence = "=" * max(_SHORTEST_FENCE, max(runs, default=0) + 1)
    blocks = []
    for passage in passages:
        trail = " > ".join(" ".join(title.split()) for title in passage.breadcrumb)
        blocks.append(f"{fence} [{passage.number}] {trail}\n{passage.text}\n{fence}")
    return "\n\n".join(blocks)


def parse_passages(prompt: str) -> list[Passage]:
    """The blocks of `prompt`, in order; empty when it has none. The inverse of `render_passages`."""
    opening = _OPENING.search(prompt)
    if opening is None:
        return []
    fence = re.escape(opening.group(1))
    block = re.compile(rf"^{fence} \[(\d+)\] ([^\n]*)\n(.*?)\n{fence}$", re.MULTILINE | re.DOTALL)
    return [
        Passage(int(match[1]), tuple(title for title in match[2].split(" > ") if title), match[3])
        for match in block.finditer(prompt, opening.start())
    ]


def render_task(task: Task) -> str:
    """
    >>> render_task(Task("tr", Rule.INDIVIDUAL, 4, 60))
    'task: language=tr rule=individual pairs=4 max_words=60'
    >>> render_task(Task("en", Rule.MODULE, 4, 60, focus=(1, 3)))
    'task: language=en rule=module pairs=4 max_words=60 focus=1,3'
    """
    line = f"task: language={task.language} rule={task.rule} pairs={task.num_pairs} max_words={task.max_words}"
    return f"{line} focus={','.join(map(str, task.focus))}" if task.focus else line


def parse_task(prompt: str) -> Task | None:
    """The last task line of `prompt`: passages and quoted answers come before it, so they cannot speak for the task."""
    found = _TASK.findall(prompt)
    if not found:
        return None
    language, rule, pairs, words, focus = found[-1]
    numbers = tuple(int(number) for number in focus.split(",")) if focus else ()
    return Task(language, Rule(rule), int(pairs), int(words), numbers)


def render_asked(questions: Sequence[str]) -> str:
    """Questions that are not to be asked again, one a line.

    >>> print(render_asked(["Lot nedir?", "Kim\\nsayar?"]))
    - Lot nedir?
    - Kim sayar?
    """
    return "\n".join(f"- {' '.join(question.split())}" for question in questions)


def parse_asked(prompt: str) -> frozenset[str]:
    """What stands behind dashes in `prompt`: the questions of `render_asked`, and whatever else is a list there."""
    return frozenset(line.strip() for line in _ASKED.findall(prompt))
