"""The result of the stage: counts, what was left out, and the tables that report and command line show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import fsum
from typing import Any

from groundtune.generation.coverage import Coverage
from groundtune.generation.statistics.outcome import GroupOutcome
from groundtune.generation.statistics.usage import Usage, total_usage
from groundtune.types import Difficulty, Pair, QuestionType, Rule, StageResult

DOLLAR_DIGITS = 6
"""A millionth of a dollar is about one token of a small model."""


def summarise(
    outcomes: Sequence[GroupOutcome],
    pairs: Sequence[Pair],
    coverage: Coverage,
    *,
    skips: Mapping[str, int],
    repeated: Mapping[str, int] | None = None,
    requested: int,
    writer: str,
    beside: Mapping[str, float] | None = None,
) -> StageResult:
    """The stage result: the same for the same answers, whenever and in however many runs they were given.

    Args:
        outcomes: one for each group that was to be asked, in order.
        pairs: those that are written, unanswerable ones among them.
        skips: what was left out besides rejected pairs, by reason.
        repeated: pairs that were accepted in their group and repeat one of another group, by reason.
        requested: pairs asked for.
        beside: dollars of answers that are about no group's pairs, by what they are for (judge, false premises); they are part of
            what an accepted pair costs.
    """
    rejections = Counter(repeated or {})
    unanswered: Counter[str] = Counter()
    for outcome in outcomes:
        rejections.update(outcome.rejections)
        if outcome.unanswered:
            unanswered[outcome.unanswered] += 1
    answerable = [pair for pair in pairs if pair.answerable]
    counts = {
        "groups": len(outcomes),
        "pairs requested": requested,
        "pairs": len(pairs),
        "answerable": len(answerable),
        "unanswerable": len(pairs) - len(answerable),
    }
    if unanswered:
        counts["groups unanswered"] = sum(unanswered.values())
    details = {
        "writer": writer,
        **_usage_figures(total_usage(outcome.usage for outcome in outcomes), len(answerable), beside or {}),
        **_group_figures(outcomes, answerable, rejections),
        "by_rule": _by_rule(outcomes, answerable),
        "by_type": _tally((pair.type.value for pair in pairs), [kind.value for kind in QuestionType]),
        "by_difficulty": _tally((pair.difficulty.value for pair in pairs), [level.value for level in Difficulty]),
        "by_language": _tally((pair.language for pair in pairs), sorted({each.group.language for each in outcomes})),
        "rejections": dict(sorted(rejections.items(), key=lambda item: (-item[1], item[0]))),
        "unanswered": dict(sorted(unanswered.items())),
        **coverage.as_details(),
    }
    left_out = Counter(skips) + rejections + unanswered
    return StageResult(counts, dict(sorted(left_out.items())), details)


def _usage_figures(usage: Usage, accepted: int, beside: Mapping[str, float]) -> dict[str, Any]:
    priced = usage.requests > usage.unpriced or bool(beside)
    dollars = round(usage.dollars, DOLLAR_DIGITS) if priced else None
    all_dollars = fsum((usage.dollars, *beside.values()))
    return {
        "requests": usage.requests,
        "asked_again": usage.asked_again,
        "asked_for_rest": usage.asked_for_rest,
        "input_tokens": usage.input_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "output_tokens": usage.output_tokens,
        "dollars": dollars,
        "unpriced_answers": usage.unpriced,
        **({"dollars_beside": _rounded(beside)} if beside else {}),
        "dollars_per_accepted_pair": round(all_dollars / accepted, DOLLAR_DIGITS) if priced and accepted else None,
    }


def _rounded(dollars: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DOLLAR_DIGITS) for name, value in sorted(dollars.items())}


def _group_figures(
    outcomes: Sequence[GroupOutcome], answerable: Sequence[Pair], rejections: Mapping[str, int]
) -> dict[str, Any]:
    """Pairs for each answered group, those without any counted as zero; and how many of what was handed in was accepted."""
    in_group = Counter(pair.group_id for pair in answerable)
    sizes = [in_group[each.group.group_id] for each in outcomes if not each.unanswered]
    rejected = sum(rejections.values())
    handed_in = len(answerable) + rejected
    return {
        "groups_answered": len(sizes),
        "pairs_per_group": {
            "average": round(sum(sizes) / len(sizes), 2) if sizes else None,
            "min": min(sizes, default=None),
            "max": max(sizes, default=None),
        },
        "rejected": rejected,
        "acceptance": round(len(answerable) / handed_in, 4) if handed_in else None,
    }


def _by_rule(outcomes: Sequence[GroupOutcome], answerable: Sequence[Pair]) -> list[dict[str, Any]]:
    in_pairs = Counter(pair.rule for pair in answerable)
    rows: list[dict[str, Any]] = []
    for rule in Rule:
        of_rule = [outcome for outcome in outcomes if outcome.group.rule is rule]
        if not of_rule:
            continue
        usage = total_usage(outcome.usage for outcome in of_rule)
        row = {
            "rule": rule.value,
            "groups": len(of_rule),
            "pairs": in_pairs[rule],
            "average": round(in_pairs[rule] / len(of_rule), 2),
            "rejected": sum(outcome.rejected for outcome in of_rule),
        }
        if usage.known_dollars:
            row["dollars"] = round(usage.known_dollars, DOLLAR_DIGITS)
        rows.append(row)
    return rows


def _tally(values: Iterable[str], names: Sequence[str]) -> dict[str, int]:
    counted = Counter(values)
    return {name: counted[name] for name in names}
