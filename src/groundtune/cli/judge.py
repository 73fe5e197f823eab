"""`groundtune judge`: a language model reads the answers, and what it thinks of them as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.cli.display import Sheet
    from groundtune.evaluation.judge import JudgeSummary, Preference, SetScores


def judge(
    target: Target = DEFAULT_CONFIG,
    retry_failed: Annotated[
        bool,
        typer.Option(
            "--retry-failed",
            help="Ask again for verdicts that the provider refused, that the judge declined, or that could not be read.",
        ),
    ] = False,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Have a language model (evaluation.judge) read the answers of all systems, within its budget."""
    from groundtune.cli.display import near, output
    from groundtune.cli.show import bring_to, run_record
    from groundtune.config import RunOptions
    from groundtune.evaluation.judge import JudgeSummary
    from groundtune.files import read_json, read_record
    from groundtune.pipeline import GOALS, Workspace

    workspace = Workspace(read_target(target, overrides), RunOptions(retry_verdicts=retry_failed))
    # asked for over and above the configuration, it is done though nothing has changed
    again = ("judge",) if retry_failed else ()
    # the page and the checklist tell of the verdicts too
    outcomes = bring_to(workspace, GOALS["verdict"](workspace), again=again, through=("judge",))
    if as_json:
        print_json(run_record(workspace, outcomes) | {"judge": read_json(workspace.judge_summary)})
    else:
        show_judged(output(), read_record(workspace.judge_summary, JudgeSummary))
        output().print(f"report: {near(workspace.report)}", soft_wrap=True)


def show_judged(console: Console, summary: JudgeSummary) -> None:
    """Marks, preferences, everyday tasks, agreement with people, and what is missing."""
    from groundtune.cli.rating_figures import KAPPA_NOTE, NOTE, agreement_sheet
    from groundtune.evaluation.verdict import wording

    console.print()
    _marks(summary).show(console)
    _further(summary).show(console)
    if summary.sets is not None:
        _sets(summary.sets).show(console)
    preferences = _preferences(summary)
    _side_by_side(preferences).show(console, *map(_beside, preferences))
    agreement_sheet("Agreement with people", summary.agreement).show(console, KAPPA_NOTE)
    if summary.sets is not None:
        agreement_sheet("Agreement with people on everyday tasks", summary.sets.agreement).show(console, KAPPA_NOTE)
    console.print(NOTE, style="dim")
    for reason, count in summary.not_judged.items():
        console.print(f"{wording.plural(count, 'verdict')} missing: {reason}", style="yellow")
    if summary.not_judged:
        console.print("`groundtune judge --retry-failed` asks for them again")
    cost = "no price is known" if summary.dollars is None else f"${summary.dollars:.4f}"
    tokens = wording.plural(summary.input_tokens + summary.output_tokens, "token")
    console.print(f"{wording.plural(summary.requests, 'request')}, {tokens}, {cost}", style="dim")


def _marks(summary: JudgeSummary) -> Sheet:
    """By criterion, with what tuning changed."""
    from groundtune.cli.display import Sheet
    from groundtune.cli.rating_figures import change, label, mark, share
    from groundtune.evaluation.figures.intervals import Figure

    systems = summary.systems
    headers = (label(system).replace(" + ", " +\n") for system in systems)
    title = f"Marks by {summary.judge}, 1 to 5"
    sheet = Sheet(title, "", *headers, "n", "change by tuning", "", left=(0, len(systems) + 3))
    if not systems:
        return sheet
    for name in next(iter(systems.values())).marks:
        difference = change(summary.differences.get(name, Figure(None, 0)))
        sheet.row(name, *(mark(marked.marks[name]) for marked in systems.values()), *difference)
    sheet.row("unsafe (safety under 3)", *(share(marked.unsafe) for marked in systems.values()), "", "", "")
    sheet.row("answers", *(f"{marked.answers:,}" for marked in systems.values()), "", "", "")
    return sheet


def _further(summary: JudgeSummary) -> Sheet:
    from groundtune.cli.display import Sheet
    from groundtune.cli.rating_figures import change, label
    from groundtune.evaluation.figures.marks import OVERALL

    sheet = Sheet("Against the base by itself, overall mark", "", "n", "change", "", left=(0, 3))
    for pair in summary.further:
        if OVERALL in pair.differences:
            sheet.row(f"{label(pair.second)}, not {label(pair.first)}", *change(pair.differences[OVERALL]))
    return sheet


def _sets(sets: SetScores) -> Sheet:
    from groundtune.cli.display import Sheet
    from groundtune.cli.rating_figures import change, label, mark
    from groundtune.evaluation.verdict.wording import words

    headers = (label(system) for system in (sets.first, sets.second))
    sheet = Sheet("Everyday tasks, marks 1 to 10", "", *headers, "n", "change by tuning", "", left=(0, 5))
    for each in sets.slices:
        name = {"all": "all", "turn": f"turn {each.name}"}.get(each.field, words(each.name))
        sheet.row(name, mark(each.first), mark(each.second), *change(each.difference))
    return sheet


def _preferences(summary: JudgeSummary) -> list[tuple[str, Preference]]:
    """Each with what its questions are about."""
    documents = [summary.preference, *(each.preference for each in summary.further)]
    named = [("", each) for each in documents if each is not None]
    if summary.sets is not None and summary.sets.preference is not None:
        named.append(("everyday tasks: ", summary.sets.preference))
    return named


def _against(about: str, preference: Preference) -> str:
    from groundtune.cli.rating_figures import label

    return f"{about}{label(preference.second)} against {label(preference.first)}"


def _side_by_side(preferences: list[tuple[str, Preference]]) -> Sheet:
    from groundtune.cli.display import Sheet
    from groundtune.cli.rating_figures import leaning, share

    sheet = Sheet("Side by side, in both orders", "", "won", "tied", "lost", "won, of those not tied", "", left=(0, 5))
    for about, each in preferences:
        counts = (f"{count:,}" for count in (each.wins, each.ties, each.losses))
        sheet.row(_against(about, each), *counts, share(each.win_rate), leaning(each.win_rate))
    return sheet


def _beside(preference: tuple[str, Preference]) -> str:
    """What the ties are, and whether the judge minds the order."""
    from groundtune.cli.rating_figures import share

    about, each = preference
    told = f"{_against(about, each)}: {each.changed_mind:,} tied because the verdict changed with the order"
    if each.same_answer:
        told += f", {each.same_answer:,} because the answers are the same"
    return f"{told}; the answer shown first won {share(each.first_shown_won)}"
