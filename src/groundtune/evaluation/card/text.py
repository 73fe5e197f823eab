"""The text of a model card, from the same data as the report. The same data give the same bytes; no clock is in it."""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.evaluation.card.facts import CardFacts
from groundtune.evaluation.card.figures import evaluation
from groundtune.evaluation.card.markdown import line, table
from groundtune.evaluation.card.metadata import front_matter
from groundtune.evaluation.card.origins import licences, procedure, training_data
from groundtune.evaluation.verdict import wording
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.verdict import give_verdict


def render_card(data: ReportData, facts: CardFacts) -> str:
    """The whole file."""
    parts = [
        [f"# {line(data.project)}" + (f" ({line(data.run)})" if data.run else ""), "", _what(data, facts)],
        _section("Intended use and limits", _use(data, facts)),
        _section("Not measured", _not_measured(data)),
        _section("Training data", training_data(data, facts)),
        _section("Licences", licences(facts)),
        _section("Training procedure", procedure(data, facts)),
        _section("Evaluation", evaluation(data)),
        _section("How to run", _running(data, facts)),
        _section("Environment", _environment(data)),
    ]
    text = "\n\n".join("\n".join(part) for part in parts if part)
    return f"{front_matter(data, facts)}\n{text}\n"


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return [f"## {title}", "", *lines] if lines else []


def _what(data: ReportData, facts: CardFacts) -> str:
    start = f"`{line(facts.base)}`" if facts.base else "a small model made from scratch"
    about = f"questions about the documents in `{line(facts.documents)}`" if facts.documents else "instructions"
    size = f" of {wording.compact(facts.parameters)} parameters" if facts.parameters else ""
    languages = " and ".join(wording.words(language) for language in facts.languages)
    way = {"full": "all weights trained", "adapter": "an adapter trained", "preference": "preference tuning last"}
    return (
        f"A language model{size} that answers {about} in {languages}. It was made with groundtune "
        f"{data.versions.get('groundtune', '')} from {start} ({way[facts.method]})."
    )


def _use(data: ReportData, facts: CardFacts) -> list[str]:
    lines = []
    if facts.documents:
        lines += [
            "For answering questions from passages that are given with the question, as `groundtune chat` finds them by search. "
            "It was trained to say that it does not know where the passages hold no answer.",
            "",
            "Not for questions outside these documents, for advice in which an error does harm without a person checking the "
            "answer, or without passages: what it says then rests on nothing.",
        ]
    else:
        lines += ["For instructions like those it was tuned on. Answers are not held against any document."]
    verdict = give_verdict(data)
    if verdict.cautions:
        lines += ["", "Keep in mind:", "", *(f"- {line(each)}" for each in verdict.cautions)]
    return lines


def _not_measured(data: ReportData) -> list[str]:
    lines = []
    for there, what in (
        (data.people, "No person has rated its answers."),
        (data.judge, "No language model has judged its answers."),
        (data.general and data.general.texts, "What it forgot of general text was not measured."),
        (data.general and data.general.benchmarks, "No public benchmark was run."),
    ):
        if not there:
            lines.append(f"- {what}")
    lines.append(
        "- Bias and safety were not looked into beyond marks for safety by people or a judge, where there are any."
    )
    if data.checklist is not None:
        missing = [item for item in data.checklist.items if item.state == "not measured"]
        lines += [
            f"- Of the checklist, “{line(item.name)}”: {line(item.sentence.removeprefix('Not measured: '))}"
            for item in missing
        ]
        if settings := data.checklist.not_looked_at:
            lines.append(f"- No threshold was set for {', '.join(f'`{setting}`' for setting in settings)}.")
    else:
        lines.append("- No checklist was held against it.")
    return lines


def _running(data: ReportData, facts: CardFacts) -> list[str]:
    lines = ["```sh", f"groundtune chat {facts.run_folder}", "```", "", "Or with transformers alone:", "", "```python"]
    kind, package = (
        ("AutoPeftModelForCausalLM", "peft") if facts.is_adapter else ("AutoModelForCausalLM", "transformers")
    )
    folder = repr(facts.model_folder)
    if package == "transformers":
        lines.append("from transformers import AutoModelForCausalLM, AutoTokenizer")
    else:
        lines += [f"from {package} import {kind}", "from transformers import AutoTokenizer"]
    prompt = data.config.get("prompts", {}).get(data.language)
    lines += [
        "",
        f"tokenizer = AutoTokenizer.from_pretrained({folder})",
        f"model = {kind}.from_pretrained({folder})",
        "messages = [",
    ]
    if prompt is not None and facts.documents:
        asked = f"{prompt['context_label']}:\n[1] ...\n\n{prompt['question_label']}:\n..."
        lines += [
            f'    {{"role": "system", "content": {prompt["system"]!r}}},',
            f'    {{"role": "user", "content": {asked!r}}},',
        ]
    else:
        lines.append('    {"role": "user", "content": "..."},')
    lines += [
        "]",
        'inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)',
        f"answer = model.generate(**inputs, max_new_tokens={_max_new_tokens(data)}, do_sample=False)",
        'print(tokenizer.decode(answer[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True))',
        "```",
    ]
    return lines


def _max_new_tokens(data: ReportData) -> int:
    return data.evaluation.max_new_tokens if data.evaluation is not None else 96


def _environment(data: ReportData) -> list[str]:
    rows = [*data.versions.items(), *(data.machine.items())]
    return table(("What", "value"), rows)
