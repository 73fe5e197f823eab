"""The section of a model card on what the model can do, every figure with its n and interval."""

from __future__ import annotations

from groundtune.evaluation.card.markdown import line, table
from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import Figure
from groundtune.evaluation.measures import MEASURES, Measure
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.labels import LABELS
from groundtune.evaluation.verdict.verdict import READINGS, give_verdict, read
from groundtune.types import Split


def evaluation(data: ReportData) -> list[str]:
    """Verdict, table of measures, general ability, checklist, failures."""
    verdict = give_verdict(data)
    lines = [f"**{line(verdict.headline)}.**", "", *(line(each) for each in verdict.sentences)]
    if data.evaluation is not None and data.evaluation.questions.asked:
        lines += ["", *_measures(data.evaluation)]
    if data.evaluation is not None:
        lines += _losses(data.evaluation)
    lines += _general(data)
    if data.checklist is not None:
        rows = [(item.name, item.state, item.sentence) for item in data.checklist.items]
        lines += ["", f"Checklist: {line(data.checklist.sentence)}", "", *table(("Check", "result", "figure"), rows)]
    if data.errors is not None and data.errors.kinds:
        counted = [
            (kind.kind, round((kind.failed.value or 0) * kind.failed.n), kind.failed.n) for kind in data.errors.kinds
        ]
        failed = [(name, f"{number} of {asked}") for name, number, asked in counted]
        lines += ["", *table(("Failed answers by kind", "of the questions asked"), failed)]
    return lines


def _measures(summary: EvaluationSummary) -> list[str]:
    compared = summary.comparisons[0]
    before, after = (summary.figures[system] for system in (compared.first, compared.second))
    rows = []
    for measure in MEASURES:
        name = f"{measure.label} ({'↑' if measure.better == 'higher' else '↓'})"
        change = compared.differences[measure.key]
        told = _with_interval(wording.difference(change, measure), wording.difference_interval(change, measure))
        figures = (_shown(figures[measure.key], measure) for figures in (before, after))
        rows.append(
            (
                name,
                *figures,
                f"{told}, {READINGS[read(measure, change)]}" if change.n else "",
                f"{after[measure.key].n:,}",
            )
        )
    return [
        *table(("Measure", LABELS[compared.first], LABELS[compared.second], "change", "n"), rows),
        "",
        "In brackets: 95% intervals. A change is called better or worse only where its interval leaves out zero and at least ten "
        "questions stand behind it. ↑: higher is better; ↓: lower is better.",
    ]


def _losses(summary: EvaluationSummary) -> list[str]:
    """Of both models on the same examples; those of the training split are a sample."""
    splits: dict[Split, str] = {"train": "training (a sample)", "valid": "validation", "test": "test"}
    rows = []
    for split, name in splits.items():
        base, tuned = (summary.losses.get(model, {}).get(split) for model in ("base", "tuned"))
        if base is not None and tuned is not None:
            shown = [f"{each.whole.mean:.3f}" for each in (base, tuned)]
            rows.append((name, shown[0], shown[1], f"{tuned.whole.tokens:,}"))
    return ["", *table(("Loss", "base", "tuned", "tokens"), rows)] if rows else []


def _shown(figure: Figure, measure: Measure) -> str:
    return _with_interval(wording.figure(figure, measure), wording.interval(figure, measure))


def _general(data: ReportData) -> list[str]:
    """What was there before tuning."""
    if data.general is None:
        return []
    rows = []
    if (texts := data.general.texts) is not None:
        rows.append(_before_after("Perplexity on general text", texts.before.perplexity, texts.after.perplexity))
    if (tasks := data.general.tasks) is not None:
        rows.append(_before_after("General tasks answered rightly", tasks.whole.before, tasks.whole.after))
    rows += [_before_after(f"{each.task} ({each.metric})", each.before, each.after) for each in data.general.benchmarks]
    return ["", *table(("General ability", "before", "after", "n"), rows)] if rows else []


def _before_after(name: str, before: Figure, after: Figure) -> tuple[str, str, str, str]:
    shown = [_with_interval(wording.decimal(each.value), wording.span(each)) for each in (before, after)]
    return name, shown[0], shown[1], f"{after.n:,}"


def _with_interval(value: str, interval: str) -> str:
    return f"{value} [{interval}]" if interval else value
