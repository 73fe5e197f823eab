"""What a run will take before anything is sent: requests, tokens, dollars and minutes, by rule and by model.

Nobody outside knows a provider's tokenizer or how much a model will say, so figures are ranges, and each says what it rests on
(`Estimate.assumptions`). Sums are of whole tokens and millionths of a dollar, so they add up exactly. What this module does not
do: send anything, or build requests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, floor

from groundtune.config import GenerationConfig, PriceConfig, WriterConfig
from groundtune.generation.estimating.calibration import Calibration, Span, calibrate
from groundtune.generation.estimating.request_sizes import Pending, RequestSizes
from groundtune.llm import Ledger, LLMRequest, LLMResponse
from groundtune.llm.prices import cacheable_tokens, cost, is_local, price_date

FOLLOW_UPS = 0.1
"""At most: the share of requests that is sent once more, for an answer that could not be read."""

FIRST_TOKEN_SECONDS = (0.5, 5.0)
TOKENS_A_SECOND = (40.0, 150.0)
"""One request's. Public measurements of 2025 and 2026 say 45 (Claude Opus 4.1), 63 (Claude Sonnet 4.5), 80 to 120 (Claude Haiku
4.5) and 131 (GPT-6 Luna)."""
LOCAL_TOKENS_A_SECOND = (5.0, 100.0)
OFFLINE_TOKENS_A_SECOND = (20_000.0, 200_000.0)
BATCH_MINUTES = (1.0, 24 * 60.0)
LEAST_IN_FLIGHT = 0.5
"""Share of `max_in_flight` that a provider's limits may leave."""

SHORTEST_KNOWN_MINIMUM = 512
"""Tokens: taken for the shortest cacheable prefix of a model whose own is not known, so that the range stays wide enough."""

_NOTHING = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """Of all requests, or of those of one rule or model."""

    name: str
    requests: int = 0
    """To send, follow-ups not counted."""
    answered: int = 0
    """In the ledger already, or the same as another one; they cost nothing."""
    input_tokens: Span = _NOTHING
    """Cached ones included."""
    cached_tokens: Span = _NOTHING
    """Of them, read from the provider's cache."""
    output_tokens: Span = _NOTHING
    microdollars: Span | None = _NOTHING
    """None: no price is known."""

    @property
    def dollars(self) -> tuple[float, float] | None:
        return None if self.microdollars is None else (self.microdollars.low / 1e6, self.microdollars.high / 1e6)

    def plus(self, other: Line) -> Line:
        """The sum, under this name."""
        return Line(
            self.name,
            self.requests + other.requests,
            self.answered + other.answered,
            self.input_tokens + other.input_tokens,
            self.cached_tokens + other.cached_tokens,
            self.output_tokens + other.output_tokens,
            None if self.microdollars is None or other.microdollars is None else self.microdollars + other.microdollars,
        )


@dataclass(frozen=True, slots=True)
class Minutes:
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Estimate:
    """`by_rule` and `by_model` each add up to `total`. JSON-able by :func:`groundtune.files.as_plain`."""

    total: Line
    by_rule: tuple[Line, ...]
    by_model: tuple[Line, ...]
    minutes: Minutes
    assumptions: tuple[str, ...]
    """What the ranges rest on, in sentences."""


def estimate(
    requests: Iterable[tuple[LLMRequest, Mapping[str, str], int]],
    *,
    price: PriceConfig | None,
    known: Container[str],
    config: WriterConfig,
    ledger: Ledger | None = None,
) -> Estimate:
    """What sending `requests` will take.

    Args:
        requests: with tags (``rule`` or else ``purpose`` names the line, ``language`` decides the tokens) and the number of
            pairs asked for; 0 when the answer is a verdict.
        price: of the model they go to; None leaves dollars out.
        known: keys of requests that are answered, such as ``ledger.states()``.
        ledger: where answers to known requests are looked up, to measure what they took.
    """
    sizes = RequestSizes(known, ledger)
    for request, tags, pairs in requests:
        sizes.take(request, tags, pairs)
    groups = Counter((each.model, each.language) for each in sizes.pending)
    calibrations = {
        key: calibrate(sizes.taken[key], key[1], num_new=count, may_think=config.provider != "offline")
        for key, count in groups.items()
    }
    lines = [(model, rule, Line("", answered=count)) for (model, rule), count in sizes.answered.items()]
    seconds = [0.0, 0.0]
    for each in sizes.pending:
        line, spent = _line(each, calibrations[each.model, each.language], price, config)
        lines.append((each.model, each.rule, line))
        seconds = [seconds[0] + spent[0], seconds[1] + spent[1]]
    if price is None:
        lines = [(model, rule, replace(line, microdollars=None)) for model, rule, line in lines]
    return Estimate(
        total=_sums(replace(line, name="all") for _, _, line in lines)[0] if lines else Line("all"),
        by_rule=_sums(replace(line, name=rule) for _, rule, line in lines),
        by_model=_sums(replace(line, name=model) for model, _, line in lines),
        minutes=_minutes(seconds, len(sizes.pending), config),
        assumptions=_assumptions(calibrations, config, price),
    )


def combine(estimates: Sequence[Estimate]) -> Estimate:
    """Of runs one after another, such as writing pairs and judging them; at least one."""
    return Estimate(
        total=_sums(each.total for each in estimates)[0],
        by_rule=_sums(line for each in estimates for line in each.by_rule),
        by_model=_sums(line for each in estimates for line in each.by_model),
        minutes=Minutes(
            round(sum(each.minutes.low for each in estimates), 2),
            round(sum(each.minutes.high for each in estimates), 2),
        ),
        assumptions=tuple(dict.fromkeys(sentence for each in estimates for sentence in each.assumptions)),
    )


def _sums(lines: Iterable[Line]) -> tuple[Line, ...]:
    """One line a name, in the order of names."""
    by_name: dict[str, Line] = {}
    for line in lines:
        by_name[line.name] = by_name[line.name].plus(line) if line.name in by_name else line
    return tuple(by_name[name] for name in sorted(by_name))


def _line(
    each: Pending, calibration: Calibration, price: PriceConfig | None, config: WriterConfig
) -> tuple[Line, tuple[float, float]]:
    """What one request takes, and its seconds, fewest and most."""
    prompt = calibration.prompt_tokens(each.text, each.schema)
    output = calibration.output_tokens(each.pairs)
    # an answer that is longer than allowed comes in parts, each with the prompt again
    parts = Span(*(max(1, ceil(tokens / config.max_output_tokens)) for tokens in (output.low, output.high)))
    shared = calibration.prompt_tokens(each.shared_text, each.shared_schema, frame=False)
    least = cacheable_tokens(each.model) or SHORTEST_KNOWN_MINIMUM
    cached = shared if shared.high >= least else _NOTHING
    more = 1 + FOLLOW_UPS
    line = Line(
        "",
        requests=1,
        input_tokens=Span(prompt.low * parts.low, ceil(prompt.high * parts.high * more)),
        cached_tokens=Span(0, cached.high * parts.high),
        output_tokens=Span(output.low, ceil(output.high * more)),
    )
    if price is not None:
        batch = isinstance(config, GenerationConfig) and config.batch
        low = parts.low * _cheapest(price, prompt, cached, output.low // parts.low, batch)
        high = parts.high * _dearest(price, prompt, least, ceil(output.high / parts.high), batch) * more
        line = replace(line, microdollars=Span(floor(low * 1e6), ceil(high * 1e6)))
    slowest, fastest = _speed(config)
    return line, (
        parts.low * FIRST_TOKEN_SECONDS[0] + output.low / fastest,
        (parts.high * FIRST_TOKEN_SECONDS[1] + output.high / slowest) * more,
    )


def _cheapest(price: PriceConfig, prompt: Span, cached: Span, output: int, batch: bool) -> float:
    """Everything that can be in the cache is found there."""
    read = min(cached.low, prompt.low)
    return cost(price, LLMResponse("", prompt.low - read, output, "end", "", read), batch=batch)


def _dearest(price: PriceConfig, prompt: Span, least: int, output: int, batch: bool) -> float:
    """Nothing is found in the cache, and all of it is written there where that costs more."""
    plain = cost(price, LLMResponse("", prompt.high, output, "end", ""), batch=batch)
    if prompt.high < least:
        return plain
    return max(plain, cost(price, LLMResponse("", 0, output, "end", "", 0, prompt.high), batch=batch))


def _speed(config: WriterConfig) -> tuple[float, float]:
    if config.provider == "offline":
        return OFFLINE_TOKENS_A_SECOND
    return LOCAL_TOKENS_A_SECOND if is_local(config.base_url) else TOKENS_A_SECOND


def _minutes(seconds: Sequence[float], requests: int, config: WriterConfig) -> Minutes:
    if not requests:
        return Minutes(0.0, 0.0)
    if isinstance(config, GenerationConfig) and config.batch:
        return Minutes(*BATCH_MINUTES)
    together = min(config.max_in_flight, requests)
    fewest = max(1.0, together * LEAST_IN_FLIGHT)
    return Minutes(round(seconds[0] / together / 60, 2), round(seconds[1] / fewest / 60, 2))


def _assumptions(
    calibrations: Mapping[tuple[str, str], Calibration], config: WriterConfig, price: PriceConfig | None
) -> tuple[str, ...]:
    sentences = [sentence for calibration in calibrations.values() for sentence in calibration.sentences()]
    dated = [(model, price_date(model)) for model in sorted({model for model, _ in calibrations})]
    for model, found in dated:
        if model in config.prices:
            sentences.append(f"price of {model}: as the configuration says")
        elif price is not None and found is not None and not is_local(config.base_url):
            sentences.append(f"price of {model}: read on {found[0].isoformat()} from {found[1]}")
        elif price is None:
            sentences.append(f"price of {model}: not known, so dollars are left out; set generation.prices.{model}")
    slowest, fastest = _speed(config)
    sentences.append(
        "cached tokens: from none to every beginning that an earlier request has too, if the provider caches one of its length"
    )
    sentences.append(
        f"follow-ups: up to {FOLLOW_UPS:.0%} of requests sent again, and longer answers than max_output_tokens in parts"
    )
    sentences.append(
        f"minutes: {slowest:g} to {fastest:g} tokens a second for one request, {LEAST_IN_FLIGHT:.0%} to 100% of max_in_flight"
    )
    return tuple(dict.fromkeys(sentences))
