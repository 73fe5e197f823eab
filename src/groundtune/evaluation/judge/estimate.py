"""What a judging will take before anything is sent: requests, tokens and dollars, as ranges.

Nobody outside knows a provider's tokenizer or how much a model will say. What a provider's cache would save is not counted,
nor are verdicts that are asked for again because they cannot be read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from groundtune.config import AnswerJudgeConfig
from groundtune.evaluation.judge.records import Judgement, Kind
from groundtune.llm import LLMRequest, LLMResponse, writer_name
from groundtune.llm.prices import bytes_per_token, cost, price_for, prompt_bytes, schema_bytes

OUTPUT_TOKENS: Mapping[Kind, tuple[int, int]] = {
    "rubric": (50, 600),
    "pair": (15, 250),
    "turn": (15, 250),
    "conversation": (15, 250),
}
"""Of a verdict: one short clause for each reason, to two full sentences in a language that takes many tokens. A judge that
thinks aloud takes more; `budget_dollars` holds in any case."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """From the least to the most."""

    judge: str
    requests: int
    input_tokens: tuple[int, int]
    output_tokens: tuple[int, int]
    dollars: tuple[float, float] | None
    """None: no price is known."""
    budget_dollars: float | None
    further: int = 0
    """Of the requests: about the base model by itself alone, so that without the settings `further_by` they were not sent."""
    further_by: str = ""

    def __str__(self) -> str:
        """
        >>> print(Estimate("openai/m", 624, (350_000, 600_000), (28_000, 230_000), (1.2, 5.25), 5.0))
        624 requests to openai/m, 378,000 to 830,000 tokens, $1.20 to $5.25 (evaluation.judge.budget_dollars is $5)
        """
        low, high = (sum(pair) for pair in zip(self.input_tokens, self.output_tokens, strict=True))
        further = f" ({self.further:,} about the base by itself: {self.further_by})" if self.further else ""
        requests = f"{self.requests:,} request{'' if self.requests == 1 else 's'}"
        told = [f"{requests} to {self.judge}{further}", f"{low:,} to {high:,} tokens"]
        told.append("no price is known" if self.dollars is None else "${:.2f} to ${:.2f}".format(*self.dollars))
        budget = (
            "" if self.budget_dollars is None else f" (evaluation.judge.budget_dollars is ${self.budget_dollars:g})"
        )
        return ", ".join(told) + budget


def estimate(
    requests: Sequence[tuple[LLMRequest, Sequence[Judgement]]],
    config: AnswerJudgeConfig,
    *,
    further: Collection[tuple[str, str]] = (),
) -> Estimate:
    """Of requests that are still to be sent, each once, with all that each is for: equal answers share one.

    Args:
        further: question and system, where a system is judged besides those that tuning tells apart.
    """
    price = price_for(config)
    dollars = [0.0, 0.0]
    sums = [[0, 0], [0, 0]]
    for request, (judgement, *_) in requests:
        fewest, greatest = bytes_per_token(judgement.language)
        # not every provider bills the schema
        sizes = prompt_bytes(request) / greatest, (prompt_bytes(request) + schema_bytes(request)) / fewest
        for place, (tokens, said) in enumerate(zip(sizes, OUTPUT_TOKENS[judgement.kind], strict=True)):
            response = LLMResponse("", round(tokens), said, "end", request.model)
            sums[0][place] += response.input_tokens
            sums[1][place] += response.output_tokens
            if price is not None:
                dollars[place] += cost(price, response)
    return Estimate(
        judge=writer_name(config),
        requests=len(requests),
        input_tokens=(sums[0][0], sums[0][1]),
        output_tokens=(sums[1][0], sums[1][1]),
        dollars=None if price is None else (dollars[0], dollars[1]),
        budget_dollars=config.budget_dollars,
        further=sum(all(_is_further(each, further) for each in judgements) for _, judgements in requests),
        further_by="evaluation.judge.base" + (" and pairwise_base" if config.pairwise_base else ""),
    )


def _is_further(judgement: Judgement, further: Collection[tuple[str, str]]) -> bool:
    return any((judgement.case_id, system) in further for system in judgement.systems)
