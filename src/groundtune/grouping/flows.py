"""Processes: which chunk describes a step, and which chains of steps the documentation writes out with arrows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from groundtune.grouping.outline import Outline
from groundtune.grouping.proposal import Proposal
from groundtune.types import Chunk

FOUND_STEPS = 3
"""Fewest steps, described in as many chunks, for a chain in the text to count as a flow."""

STEP_WORDS = 6
"""Words of a step at most: more is a sentence."""

_CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_ARROWS = ("->", "→", "⇒", "➔", "➜")
_ARROW = re.compile(rf"\s*(?:{'|'.join(_ARROWS)})\s*")
_BREAK = re.compile(r"[.;:|()\n]|,\s|\*\*")


def find_step(outline: Outline, term: str) -> Chunk | None:
    """The chunk that best describes `term`: the one under a heading of that name, else under a heading that holds the
    term, else the one whose text holds it most often. None when nothing does. Suffixes may follow the term."""
    wanted = outline.fold(term)
    if not wanted:
        return None
    return outline.by_heading.get(wanted) or _in_heading(outline, wanted) or _in_text(outline, wanted)


def written_flows(outline: Outline) -> Iterator[Proposal]:
    """Chains of at least `FOUND_STEPS` steps whose steps have headings of their own."""
    for chunk in outline.chunks:
        for steps in arrow_chains(chunk.text):
            found = (outline.by_heading.get(outline.fold(step)) for step in steps)
            described = tuple(dict.fromkeys(step for step in found if step is not None))
            if len(described) >= FOUND_STEPS:
                yield Proposal(" → ".join(steps), described)


def arrow_chains(text: str) -> list[tuple[str, ...]]:
    """
    >>> arrow_chains("Akış: teklif -> satış siparişi → iş emri. `a -> b` ve c -> d")
    [('teklif', 'satış siparişi', 'iş emri')]
    """
    if not any(arrow in text for arrow in _ARROWS):
        return []
    chains = []
    for line in _BREAK.split(_CODE.sub(" ", text)):
        steps = tuple(step.strip(" *_-\"'") for step in _ARROW.split(line))
        if len(steps) >= FOUND_STEPS and all(step and len(step.split()) <= STEP_WORDS for step in steps):
            chains.append(steps)
    return chains


def holds_term(text: str, term: str) -> bool:
    """Whether a folded term stands at the beginning of a word of a folded text; a suffix may follow.

    >>> holds_term("açık iş emrinden", "iş emri"), holds_term("demri", "emri")
    (True, False)
    """
    # the plain search first: it is ten times faster and mostly says no
    return term in text and _at_word_start(term).search(text) is not None


def _in_heading(outline: Outline, wanted: str) -> Chunk | None:
    """Under the shortest heading that holds the term, which is the one most about it."""
    holding = [(heading, chunk) for heading, chunk in outline.by_heading.items() if holds_term(heading, wanted)]
    return min(holding, key=lambda item: (len(item[0]), outline.positions[item[1].chunk_id]))[1] if holding else None


def _in_text(outline: Outline, wanted: str) -> Chunk | None:
    pattern = _at_word_start(wanted)
    counts = [len(pattern.findall(text)) if wanted in text else 0 for text in outline.folded_texts]
    most = max(counts, default=0)
    return outline.chunks[counts.index(most)] if most else None


@lru_cache(maxsize=4096)
def _at_word_start(term: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(term)}")
