"""One thing measured about answers, and what it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from groundtune.config import PromptConfig
from groundtune.evaluation.asking.questions import Question
from groundtune.evaluation.measures.refusals import refuses_in_other_words
from groundtune.evaluation.measures.words import is_refusal
from groundtune.types import Language

Group = Literal["answers", "evidence", "unknown", "behaviour"]
"""What it tells of: nearness to the reference, support by the passages, knowing what it does not know, manners."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer with everything a measure may look at."""

    question: Question
    text: str
    token_ids: tuple[int, ...]
    stopped: bool
    passages: tuple[str, ...]
    """In the prompt; empty where the model was given none."""
    prompts: Mapping[Language, PromptConfig]

    @property
    def refused(self) -> bool:
        """As it is configured in any language, or in other words: a refusal in another language is still no false answer."""
        return refuses_in_other_words(self.text, self.question.question) or any(
            is_refusal(self.text, prompt, language) for language, prompt in self.prompts.items()
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure of each answer, over which questions, and which way is better."""

    key: str
    label: str
    meaning: str
    group: Group
    population: Literal["answerable", "unanswerable", "all"]
    """For words about it; `value` decides."""
    better: Literal["higher", "lower"]
    is_rate: bool
    """Whether each value is 0 or 1, so that the mean is a share of answers."""
    value: Callable[[Observed], float | None]
    """None where it does not apply."""
    balanced: bool = False
    """Whether its figure is the mean of two shares, of answerable and of unanswerable questions, however many there are of each."""
