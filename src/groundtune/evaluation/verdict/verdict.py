"""The verdict: what the figures allow to be said, in plain words.

A difference is claimed only where its 95% interval does not contain zero and at least ten independent questions stand behind it;
everything else is told as "no clear difference" or "too few to tell". Nothing here looks at text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import FEW, Figure
from groundtune.evaluation.measures import BY_KEY, MEASURES, Measure
from groundtune.evaluation.verdict.cautions import cautions, writer_caution
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.labels import has_passages
from groundtune.evaluation.verdict.wording import (
    decimal,
    difference,
    difference_interval,
    interval_words,
    percent,
    plural,
    sample,
    shown,
)

Reading = Literal["better", "worse", "unclear", "few", "missing"]

READINGS: dict[Reading, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "no clear difference",
    "few": "too few to tell",
    "missing": "not measured",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What tuning did to one measure, the passages being the same; figures as they are shown."""

    measure: Measure
    before: str
    after: str
    difference: str
    interval: str
    sample: str
    """How much stands behind it: ``n = 108 in 26 groups``."""
    reading: Reading


@dataclass(frozen=True, slots=True)
class Verdict:
    """One headline, one paragraph, what changed by reading, and what to keep in mind."""

    headline: str
    sentences: tuple[str, ...]
    cautions: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    """Of every measure that could be compared, in the order of `MEASURES`."""

    def read_as(self, *readings: Reading) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.reading in readings)


def read(measure: Measure, difference: Figure) -> Reading:
    """What the difference of one measure allows to be said."""
    return read_difference(difference, higher_is_better=measure.better == "higher")


def read_difference(difference: Figure, *, higher_is_better: bool) -> Reading:
    """What a difference allows to be said."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "missing"
    if difference.witnesses < FEW:
        return "few"
    # equal differences everywhere leave no width: nothing is known of how far others lie
    if difference.low <= 0 <= difference.high or not difference.is_wide:
        return "unclear"
    return "better" if (difference.low > 0) == higher_is_better else "worse"


def give_verdict(data: ReportData) -> Verdict:
    """The verdict over `data`, from its figures alone."""
    summary = data.evaluation
    if summary is None or summary.questions.asked == 0:
        sentences = ["No test question was asked, so nothing is known about the answers."]
        if summary is not None and (losses := _losses(summary)):
            sentences.append(losses)
        return Verdict("Not measured", tuple(sentences), tuple(writer_caution(data)))
    sentences = [_answers(summary), _refusals(summary), _whole(summary)]
    return Verdict(
        headline(summary),
        tuple(filter(None, sentences)),
        (*writer_caution(data), *cautions(summary)),
        findings(summary),
    )


def findings(summary: EvaluationSummary) -> tuple[Finding, ...]:
    """What tuning did to each measure that applied to anything, before and after over the questions of the difference."""
    compared = summary.comparisons[0]
    return tuple(
        Finding(
            measure,
            shown(before, measure),
            shown(after, measure),
            difference(change, measure),
            difference_interval(change, measure),
            sample(change),
            read(measure, change),
        )
        for measure in MEASURES
        if (change := compared.differences[measure.key]).value is not None
        for before, after in (summary.paired(measure.key),)
    )


def headline(summary: EvaluationSummary) -> str:
    """From token F1 and the two refusal rates: what a reader wants to know first, gain and price together."""
    differences = summary.comparisons[0].differences
    f1, false_answers, over = (
        read(BY_KEY[key], differences[key]) for key in ("token_f1", "false_answer_rate", "over_refusal_rate")
    )
    given = " with the same passages" if has_passages(summary) else ""
    told = {
        "better": f"The tuned model answers closer to the references than the base{given}",
        "worse": f"The tuned model answers further from the references than the base{given}",
        "unclear": f"No clear difference between the tuned model’s answers and the base’s{given}",
        "few": "Too few independent questions with an answer to tell whether answers came closer to the references",
        "missing": "No answerable question was asked",
    }[f1]
    who = "it" if f1 in ("better", "worse") else "the tuned model"
    if false_answers == "better" and over == "worse":
        return f"{told}; {who} refuses more, both rightly and wrongly"
    if false_answers == "better":
        return f"{told}; {who} refuses more of what it cannot know"
    if false_answers == "worse":
        return f"{told}; {who} answers more often where it should refuse"
    if over == "worse":
        return f"{told}; {who} refuses more of what it could answer"
    if over == "better":
        return f"{told}; {who} refuses less of what it can answer"
    return told


def _answers(summary: EvaluationSummary) -> str:
    """Token F1 and exact match."""
    compared = summary.comparisons[0]
    of_base, of_tuned = (summary.figures[system] for system in (compared.first, compared.second))
    base, tuned, change = of_base["token_f1"], of_tuned["token_f1"], compared.differences["token_f1"]
    if base.value is None or tuned.value is None or change.value is None:
        return "No answerable question was asked, so word overlap is not measured."
    exact_base, exact_tuned = (figures["exact_match"].value for figures in (of_base, of_tuned))
    given = ", both with the same passages" if has_passages(summary) else ""
    groups = f" in {change.groups:,} groups that share evidence" if change.groups else ""
    return (
        f"Over {plural(tuned.n, 'answerable question')}{groups}, word overlap with the reference (token F1) is "
        f"{decimal(tuned.value)} for the tuned model and {decimal(base.value)} for the base{given}: "
        f"a difference of {_told(change)}, {_claim(read(BY_KEY['token_f1'], change))}. "
        f"{percent(exact_tuned)} of its answers are right word for word (base: {percent(exact_base)})."
    )


def _told(change: Figure) -> str:
    return (
        f"{difference(change, BY_KEY['token_f1'])} ({interval_words(difference_interval(change, BY_KEY['token_f1']))})"
    )


def _claim(reading: Reading) -> str:
    return {
        "better": "a clear gain",
        "worse": "a clear loss",
        "unclear": "which may be chance",
        "few": "from too few independent questions to mean anything",
        "missing": "not measured",
    }[reading]


def _whole(summary: EvaluationSummary) -> str:
    """What passages and tuning did together, and what the passages did alone."""
    if not has_passages(summary):
        return ""
    whole, passages = (
        summary.comparison("base", second).differences["token_f1"] for second in ("tuned_context", "base_context")
    )
    if whole.value is None or passages.value is None:
        return ""
    claims = [_claim(read(BY_KEY["token_f1"], change)) for change in (whole, passages)]
    return (
        f"Against the base by itself, passages and tuning together change token F1 by {_told(whole)}, {claims[0]}; the "
        f"passages alone by {_told(passages)}, {claims[1]}."
    )


def _refusals(summary: EvaluationSummary) -> str:
    """The false-answer and over-refusal rates, as numbers of questions."""
    compared = summary.comparisons[0]
    base, tuned = (summary.figures[system] for system in (compared.first, compared.second))
    false_answers, over = tuned["false_answer_rate"], tuned["over_refusal_rate"]
    if false_answers.value is None:
        unasked = "that the passages do not answer" if has_passages(summary) else "without an answer"
        first = f"No question was asked {unasked}, so false answers are not measured."
    else:
        refused = false_answers.n - round(false_answers.value * false_answers.n)
        base_refused = false_answers.n - round((base["false_answer_rate"].value or 0) * false_answers.n)
        first = (
            f"Of {plural(false_answers.n, 'question')} the passages do not answer, the tuned model rightly refuses {refused} "
            f"(base: {base_refused})."
        )
    if over.value is None:
        return first
    wrongly, base_wrongly = (round((figures["over_refusal_rate"].value or 0) * over.n) for figures in (tuned, base))
    return f"{first} Of {plural(over.n, 'question')} that have an answer, it wrongly refuses {wrongly} (base: {base_wrongly})."


def _losses(summary: EvaluationSummary) -> str:
    for split in ("test", "valid"):
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            name = {"test": "Test", "valid": "Validation"}[split]
            return f"{name} loss is {decimal(tuned.whole.mean)} after tuning and {decimal(base.whole.mean)} before."
    return ""
