"""`groundtune judge`: a language model reads the answers, and what it thinks of them as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from groundtune.cli.options import DEFAULT_CONFIG, AsJson, Overrides, Target, print_json, read_target

if TYPE_CHECKING:
    from rich.console import Console

    from groundtune.evaluation import Figure
    from groundtune.evaluation.judge import JudgeSummary, Preference


def judge(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Have a language model (evaluation.judge) read the answers of both models, within its budget."""
    from rich.console import Console

    from groundtune.cli.show import StageLines, outcome_record
    from groundtune.evaluation.judge import JudgeSummary
    from groundtune.files import parse_record, read_json
    from groundtune.pipeline import Workspace, run_up_to

    workspace = Workspace(read_target(target, overrides))
    lines = StageLines()
    outcomes = run_up_to(workspace, "judge", on_start=lines.start, on_end=lines.end)
    said = read_json(workspace.judge_summary)
    if as_json:
        print_json(
            {"workdir": str(workspace.root), "stages": [outcome_record(each) for each in outcomes], "judge": said}
        )
        return
    summary = parse_record(said, JudgeSummary, where=str(workspace.judge_summary))
    _show(Console(highlight=False, emoji=False), summary)


def _show(console: Console, summary: JudgeSummary) -> None:
    from rich.table import Table

    table = Table("marks by " + summary.judge, "n", *summary.systems, "difference", title_justify="left")
    for name, difference in summary.differences.items():
        means = [marked.marks[name] for marked in summary.systems.values()]
        table.add_row(name, str(difference.n), *map(_told, means), _told(difference))
    if summary.differences:
        console.print(table)
    _say(console, "answers about the documents", summary.preference)
    if summary.sets is not None:
        for each in summary.sets.slices[:1]:
            line = f"everyday tasks, 1 to 10 over {each.second.n} questions: {summary.sets.first} {_told(each.first)}, "
            console.print(line + f"{summary.sets.second} {_told(each.second)}, difference {_told(each.difference)}")
        _say(console, "everyday tasks", summary.sets.preference)
    for each_agreement in summary.agreement:
        console.print(
            f"agreement of {' and '.join(each_agreement.raters)} on {each_agreement.of}: kappa {_told(each_agreement.kappa)}, "
            f"n = {each_agreement.kappa.n}",
            markup=False,
        )
    for reason, count in summary.not_judged.items():
        console.print(f"{count} verdicts are missing: {reason}", markup=False)
    cost = "no price is known" if summary.dollars is None else f"${summary.dollars:.4f}"
    tokens = summary.input_tokens + summary.output_tokens
    console.print(f"{summary.requests} requests, {tokens:,} tokens, {cost}", style="dim", markup=False)


def _say(console: Console, of: str, preference: Preference | None) -> None:
    if preference is None:
        return
    console.print(
        f"{of}: {preference.second} wins {preference.wins}, ties {preference.ties} ({preference.changed_mind} by another verdict in "
        f"the other order), loses {preference.losses} against {preference.first}; win rate {_told(preference.win_rate)}; the "
        f"answer shown first won {_told(preference.first_shown_won)}",
        markup=False,
        soft_wrap=True,
    )


def _told(figure: Figure) -> str:
    """With its interval."""
    if figure.value is None:
        return "not measured"
    interval = "" if figure.low is None else f" ({figure.low:.2f} to {figure.high:.2f})"
    return f"{figure.value:.2f}{interval}"
