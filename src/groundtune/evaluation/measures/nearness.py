"""How near an answer is to a reference beyond its words: letters, order, numbers, identifiers.

What this module does not do: choose among references, which `listing` does, or judge meaning.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

from groundtune.evaluation.measures.identifiers import fold, identifiers, stands_in
from groundtune.evaluation.measures.quantities import quantities, spelled_numbers
from groundtune.evaluation.measures.words import normalise_answer
from groundtune.types import Language

if TYPE_CHECKING:
    from rouge_score.rouge_scorer import RougeScorer
    from sacrebleu.metrics.chrf import CHRF


def chrf(answer: str, reference: str) -> float:
    """chrF of sacrebleu (Popović 2015: runs of 1 to 6 characters, recall counting twice), from 0 to 1.

    Text in the same language shares many short runs: about 0.15 to 0.25 is what unrelated answers score.
    """
    given, wanted = (unicodedata.normalize("NFC", text).strip() for text in (answer, reference))
    if given == wanted or not given or not wanted:
        return float(given == wanted)
    return float(_chrf().sentence_score(given, [wanted]).score) / 100


def rouge_l(answer: str, reference: str, language: Language) -> float:
    """ROUGE-L of rouge_score: F1 over the longest common run of words in order, with gaps; from 0 to 1.

    Over the words of `normalise_answer`, for the package's own tokenizer drops every letter that is not ASCII.
    """
    given, wanted = (normalise_answer(text, language) for text in (answer, reference))
    if given == wanted or not given or not wanted:
        return float(given == wanted)
    return float(_rouge().score(wanted, given)["rougeL"].fmeasure)


def number_accuracy(answer: str, reference: str, language: Language) -> float | None:
    """Share of the numbers of `reference` that `answer` gives; None where the reference has none.

    The same number in another form counts (1.234,5 and 1.234,50; 15.03.2024 and 15 Mart 2024; "üç" for 3); with another unit it
    does not, without one it does.

    >>> number_accuracy("Vade 30 gündür, oran %5.", "30 gün ve %4", "tr")
    0.5
    """
    wanted = {(each.readings, each.unit): each for each in quantities(reference, language)}
    if not wanted:
        return None
    given = quantities(answer, language)
    spelled = spelled_numbers(answer, language)
    right = sum(
        any(each.says(other) for other in given) or not spelled.isdisjoint(each.readings) for each in wanted.values()
    )
    return right / len(wanted)


def identifier_accuracy(answer: str, reference: str) -> float | None:
    """Share of the identifiers of `reference` that stand in `answer`, with or without code marks; None where it has none.

    >>> identifier_accuracy("HM-001 gerekir", "`HM-001` ve `stk_lots`")
    0.5
    """
    wanted = identifiers(reference).all
    if not wanted:
        return None
    folded = fold(answer)
    return sum(stands_in(each, folded) for each in wanted) / len(wanted)


@lru_cache(maxsize=1)
def _chrf() -> CHRF:
    from sacrebleu.metrics.chrf import CHRF  # 0.2 s to load: only when asked

    return CHRF()


class _Words:
    """The tokenizer of rouge_score, for text whose words are already apart."""

    def tokenize(self, text: str) -> list[str]:
        return text.split()


@lru_cache(maxsize=1)
def _rouge() -> RougeScorer:
    from rouge_score.rouge_scorer import RougeScorer  # 2 s to load: only when asked

    return RougeScorer(["rougeL"], tokenizer=_Words())
