"""The section of a model card on what the model can do, every figure with its n and interval."""

from __future__ import annotations

from groundtune.evaluation.asking.systems import LABELS
from groundtune.evaluation.card.markdown import line, table
from groundtune.evaluation.card.marks import marks
from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.measures import MEASURES, Measure
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.measuring import how_measured
from groundtune.evaluation.verdict.verdict import READINGS, give_verdict, read, read_difference
from groundtune.types import Split

MOST_SAMPLES = 5
MOST_CHARACTERS = 300
"""Of a sample answer."""


def evaluation(data: ReportData) -> list[str]:
    """Verdict, measures, losses, marks, general ability, checklist, failures, samples, and how it was measured."""
    verdict = give_verdict(data)
    lines = [f"**{line(verdict.headline)}.**", "", *(line(each) for each in verdict.sentences)]
    if data.evaluation is not None and data.evaluation.questions.asked:
        lines += ["", *_measures(data.evaluation)]
    if data.evaluation is not None:
        lines += _losses(data.evaluation)
    lines += [*marks(data), *_general(data)]
    if data.checklist is not None:
        rows = [
            (item.name, f"{item.state}, {item.doubt}" if item.doubt else item.state, item.sentence)
            for item in data.checklist.items
        ]
        lines += [
            "",
            "### Checklist",
            "",
            f"{line(data.checklist.sentence)}",
            "",
            *table(("Check", "result", "figure"), rows),
        ]
    if data.errors is not None and data.errors.kinds:
        rows = [_failed(kind.kind, kind.failed) for kind in data.errors.kinds]
        lines += ["", "### Failures", "", *table(("Failed answers by kind", "of the questions asked", "share"), rows)]
    lines += _samples(data)
    if data.evaluation is not None and data.evaluation.questions.asked:
        lines += ["", "### How it was measured"]
        lines += [part for told in how_measured(data.evaluation) for part in ("", line(told))]
    return lines


def _failed(kind: str, failed: Figure) -> tuple[str, str, str]:
    share = _with_interval(wording.percent(failed.value), wording.share_span(failed))
    return kind, f"{round((failed.value or 0) * failed.n):,} of {failed.n:,}", share


def _measures(summary: EvaluationSummary) -> list[str]:
    compared = summary.comparisons[0]
    before, after = (summary.figures[system] for system in (compared.first, compared.second))
    rows = []
    for measure in MEASURES:
        name = f"{measure.label} ({'↑' if measure.better == 'higher' else '↓'})"
        change = compared.differences[measure.key]
        told = _with_interval(wording.difference(change, measure), wording.difference_interval(change, measure))
        figures = (_shown(figures[measure.key], measure, change.n) for figures in (before, after))
        rows.append(
            (
                name,
                *figures,
                f"{told}, {READINGS[read(measure, change)]}" if change.n else "",
                wording.sample(change).removeprefix("n = "),
            )
        )
    return [
        *table(("Measure", LABELS[compared.first], LABELS[compared.second], "change", "n"), rows),
        "",
        "In brackets: 95% intervals. A change is called better or worse only where its interval leaves out zero and at least ten "
        "independent questions stand behind it; n is the number of questions that both answers could be measured on, over which the "
        "change is; a figure over more says so. ↑: higher is better; ↓: lower is better.",
        "",
        *(f"- {measure.label}: {line(measure.meaning)}." for measure in MEASURES if after[measure.key].n),
    ]


def _losses(summary: EvaluationSummary) -> list[str]:
    """Of both models on the same examples; those of the training split are a sample."""
    splits: dict[Split, str] = {"train": "training (a sample)", "valid": "validation", "test": "test"}
    rows = []
    for split, name in splits.items():
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            before, after = (
                _with_interval(wording.decimal(each.whole.mean, 3), wording.span(each.whole.figure, 3))
                for each in (base, tuned)
            )
            change = "" if tuned.whole.change is None else _change(tuned.whole.change, 3, higher_is_better=False)
            examples = wording.number(tuned.whole.examples or None)
            rows.append((name, before, after, change, examples, f"{tuned.whole.tokens:,}"))
    return ["", *table(("Loss", "base", "tuned", "change, paired", "examples", "tokens"), rows)] if rows else []


def _shown(figure: Figure, measure: Measure, n: int) -> str:
    told = _with_interval(wording.figure(figure, measure), wording.interval(figure, measure))
    return told if figure.n in (0, n) else f"{told} (n = {figure.n:,})"


def _general(data: ReportData) -> list[str]:
    """What was there before tuning."""
    if data.general is None:
        return []
    rows = []
    if (texts := data.general.texts) is not None:
        change = _with_interval(wording.signed_percent(texts.rise.value or 0), wording.percent_span(texts.rise))
        reading = read_difference(texts.rise, higher_is_better=False)
        rows.append(
            _before_after(
                "Perplexity on general text",
                texts.before.perplexity,
                texts.after.perplexity,
                f"{change}, {READINGS[reading]}",
            )
        )
    if (tasks := data.general.tasks) is not None:
        whole = tasks.whole
        rows.append(
            _before_after("General tasks answered rightly", whole.before, whole.after, _change(whole.difference))
        )
    rows += [
        _before_after(
            f"{each.task} ({each.metric})",
            each.before,
            each.after,
            _change(each.difference, higher_is_better=each.higher_is_better),
        )
        for each in data.general.benchmarks
    ]
    return ["", *table(("General ability", "before", "after", "change", "n"), rows)] if rows else []


def _before_after(name: str, before: Figure, after: Figure, change: str) -> tuple[str, str, str, str, str]:
    shown = [_with_interval(wording.decimal(each.value), wording.span(each)) for each in (before, after)]
    return name, shown[0], shown[1], change, f"{after.n:,}"


def _change(change: Figure, digits: int = 2, *, higher_is_better: bool = True) -> str:
    if change.value is None:
        return wording.MISSING
    told = _with_interval(wording.signed_decimal(change.value, digits), wording.signed_span(change, digits))
    return f"{told}, {READINGS[read_difference(change, higher_is_better=higher_is_better)]}"


def _samples(data: ReportData) -> list[str]:
    """Questions chosen before anything was answered, with what the tuned model said."""
    summary = data.evaluation
    if summary is None:
        return []
    system = summary.comparisons[0].second
    known = {record.question_id: record for record in data.records}
    rows = [
        (record.question, record.reference, _cut(record.answers[system].text))
        for question_id in summary.shown[:MOST_SAMPLES]
        if (record := known.get(question_id)) is not None
    ]
    head = ("Question, chosen before answering", "reference", LABELS[system])
    return ["", "### Samples", "", *table(head, rows)] if rows else []


def _cut(text: str) -> str:
    shown = " ".join(text.split())
    return (shown[:MOST_CHARACTERS].rstrip() + " …" if len(shown) > MOST_CHARACTERS else shown) or "(nothing)"


def _with_interval(value: str, interval: str) -> str:
    return f"{value} [{interval}]" if interval else value
