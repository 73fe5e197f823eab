"""The verdict: what the figures allow to be said, in plain words.

A difference is claimed only where its 95% interval does not contain zero and at least ten questions stand behind it;
everything else is told as "no clear difference" or "too few to tell". Nothing here looks at text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from groundtune.evaluation.comparison import EvaluationSummary, QuestionCounts
from groundtune.evaluation.intervals import Figure
from groundtune.evaluation.measures import BY_KEY, Measure
from groundtune.evaluation.report.data import ReportData
from groundtune.evaluation.report.wording import (
    decimal,
    difference_interval,
    figure,
    interval,
    percent,
    plural,
    signed,
)

Reading = Literal["better", "worse", "unclear", "few", "missing"]

READINGS: dict[Reading, str] = {
    "better": "better",
    "worse": "worse",
    "unclear": "no clear difference",
    "few": "too few to tell",
    "missing": "not measured",
}

FEW = 10
"""With fewer questions than this no difference is claimed, whatever the interval says."""

SMALL = 30
"""With fewer questions than this the verdict says how few."""

HALF = 0.5
"""Below this token F1 the verdict warns, however large the gain."""

OFFLINE_WRITER = "offline-rules"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One headline, one paragraph, and what to keep in mind."""

    headline: str
    sentences: tuple[str, ...]
    cautions: tuple[str, ...]


def read(measure: Measure, difference: Figure) -> Reading:
    """What the difference of one measure allows to be said."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "missing"
    if difference.n < FEW:
        return "few"
    if difference.low <= 0 <= difference.high:
        return "unclear"
    return "better" if (difference.low > 0) == (measure.better == "higher") else "worse"


def give_verdict(data: ReportData) -> Verdict:
    """The verdict over `data`, from its figures alone."""
    summary = data.evaluation
    if summary is None or summary.questions.asked == 0:
        sentences = ["No test question was asked, so nothing is known about the answers."]
        if summary is not None and (losses := _losses(summary)):
            sentences.append(losses)
        return Verdict("Not measured", tuple(sentences), tuple(_writer_caution(data)))
    sentences = [_answers(summary), _refusals(summary), _stopping(summary), _losses(summary)]
    return Verdict(_headline(summary), tuple(filter(None, sentences)), (*_writer_caution(data), *_cautions(summary)))


def _headline(summary: EvaluationSummary) -> str:
    """From token F1 and the two refusal rates: what a reader wants to know first, gain and price together."""
    difference = summary.comparisons[0].differences
    f1, false_answers, over = (
        read(BY_KEY[key], difference[key]) for key in ("token_f1", "false_answer_rate", "over_refusal_rate")
    )
    headline = {
        "better": "The tuned model answers closer to the references than the base",
        "worse": "The tuned model answers further from the references than the base",
        "unclear": "No clear difference between the tuned model’s answers and the base’s",
        "few": "Too few questions to tell whether tuning helped",
        "missing": "No answerable question was asked",
    }[f1]
    who = "it" if f1 in ("better", "worse") else "the tuned model"
    if false_answers == "better" and over == "worse":
        return f"{headline}; {who} refuses more, both rightly and wrongly"
    if false_answers == "better":
        return f"{headline}; {who} refuses more of what it cannot know"
    if false_answers == "worse":
        return f"{headline}; {who} answers more often where it should refuse"
    if over == "worse":
        return f"{headline}; {who} refuses more of what it could answer"
    return headline


def _answers(summary: EvaluationSummary) -> str:
    """Token F1 and exact match."""
    base, tuned = summary.figures["base_context"]["token_f1"], summary.figures["tuned_context"]["token_f1"]
    change = summary.comparisons[0].differences["token_f1"]
    if base.value is None or tuned.value is None or change.value is None:
        return "No answerable question was asked, so word overlap is not measured."
    asked = plural(tuned.n, "answerable question")
    exact_base, exact_tuned = (summary.figures[system]["exact_match"] for system in ("base_context", "tuned_context"))
    told = (
        f"Over {asked}, word overlap with the reference (token F1) is {decimal(tuned.value)} for the tuned model and "
        f"{decimal(base.value)} for the base: a difference of {signed(change.value, as_points=False)} "
        f"(95% interval {difference_interval(change, BY_KEY['token_f1'])}), "
        f"{_claim(read(BY_KEY['token_f1'], change))}."
    )
    return f"{told} {percent(exact_tuned.value)} of its answers are right word for word (base: {percent(exact_base.value)})."


def _claim(reading: Reading) -> str:
    return {
        "better": "a clear gain",
        "worse": "a clear loss",
        "unclear": "which may be chance",
        "few": "from too few questions to mean anything",
        "missing": "not measured",
    }[reading]


def _refusals(summary: EvaluationSummary) -> str:
    """The false-answer and over-refusal rates, as numbers of questions."""
    tuned, base = summary.figures["tuned_context"], summary.figures["base_context"]
    false_answers, over = tuned["false_answer_rate"], tuned["over_refusal_rate"]
    if false_answers.value is None:
        first = "No question was asked that the documents in view do not answer, so false answers are not measured."
    else:
        refused = false_answers.n - round(false_answers.value * false_answers.n)
        base_refused = false_answers.n - round((base["false_answer_rate"].value or 0) * false_answers.n)
        first = (
            f"Of {plural(false_answers.n, 'question')} the documents in view do not answer, it rightly refuses "
            f"{refused} (base: {base_refused})."
        )
    if over.value is None:
        return first
    wrongly, base_wrongly = (round((figures["over_refusal_rate"].value or 0) * over.n) for figures in (tuned, base))
    return (
        f"{first} Of {plural(over.n, 'question')} they do answer, it wrongly refuses {wrongly} (base: {base_wrongly})."
    )


def _stopping(summary: EvaluationSummary) -> str:
    tuned, base = summary.figures["tuned_context"], summary.figures["base_context"]
    return (
        f"{percent(tuned['stop_rate'].value)} of its answers end by themselves (base: {percent(base['stop_rate'].value)}) "
        f"and {percent(tuned['repetition_rate'].value)} run in circles (base: {percent(base['repetition_rate'].value)})."
    )


def _losses(summary: EvaluationSummary) -> str:
    for split in ("test", "valid"):
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            name = {"test": "Test", "valid": "Validation"}[split]
            return f"{name} loss is {decimal(tuned.whole.mean)} after tuning and {decimal(base.whole.mean)} before."
    return ""


def _writer_caution(data: ReportData) -> list[str]:
    writers = data.pairs.by_writer
    offline = sum(count for writer, count in writers.items() if writer.startswith(OFFLINE_WRITER))
    if not offline:
        return []
    whole = sum(writers.values())
    who = "The question-answer pairs were" if offline == whole else f"{offline:,} of {whole:,} pairs were"
    return [
        f"{who} written by the rule-based offline stand-in ({OFFLINE_WRITER}), not by a language model or a person. It "
        "turns headings, tables, steps and definitions into questions. The scores say how well the model learnt that "
        "writer’s way of asking and answering, not how useful it would be to people."
    ]


def _cautions(summary: EvaluationSummary) -> list[str]:
    cautions = []
    tuned_f1 = summary.figures["tuned_context"]["token_f1"].value
    if tuned_f1 is not None and tuned_f1 < HALF:
        cautions.append(
            f"At a token F1 of {decimal(tuned_f1)} the tuned model’s answers agree with their references in fewer than "
            "half of the words. Read the samples below before relying on it."
        )
    if summary.echo_f1 is not None and tuned_f1 is not None:
        cautions.append(
            f"Giving the question back as the answer would score a token F1 of {decimal(summary.echo_f1)}, since the references "
            f"say much of it again; read the tuned model’s {decimal(tuned_f1)} against that, and beside the exact matches."
        )
    for key, what in (("token_f1", "answerable"), ("false_answer_rate", "unanswerable")):
        value = summary.figures["tuned_context"][key]
        if 0 < value.n < SMALL:
            measure = BY_KEY[key]
            cautions.append(
                f"Only {plural(value.n, f'{what} question')} {'was' if value.n == 1 else 'were'} asked. The tuned model’s "
                f"figure there ({measure.label}, {figure(value, measure)}) has a 95% interval of "
                f"{interval(value, measure)}."
            )
    if (sampled := _sampling_caution(summary.questions)) is not None:
        cautions.append(sampled)
    return cautions


def _sampling_caution(questions: QuestionCounts) -> str | None:
    if questions.asked >= questions.in_test:
        return None
    told = f"{questions.asked:,} of the {questions.in_test:,} test questions were asked (evaluation.max_questions)"
    if not questions.unanswerable_in_test:
        return told + "."
    return (
        f"{told}, {questions.unanswerable_asked:,} of {questions.unanswerable_in_test:,} unanswerable ones among them; "
        "those are taken first, so their share here is not that of the test split."
    )
