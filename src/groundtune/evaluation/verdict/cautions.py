"""What a reader must keep in mind beside the verdict, and how the figures were measured."""

from __future__ import annotations

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.measures import BY_KEY
from groundtune.evaluation.verdict.data import ReportData
from groundtune.evaluation.verdict.wording import decimal, figure, interval, interval_words, plural, sample

SMALL = 30
"""With fewer questions than this the verdict says how few."""

HALF = 0.5
"""Below this token F1 the verdict warns, however large the gain."""

ECHO = 0.5
"""What giving the question back would score is told from this share of the tuned model's score on."""

OFFLINE_WRITER = "offline-rules"


def writer_caution(data: ReportData) -> list[str]:
    """Said where the rule-based stand-in wrote the questions."""
    writers = data.pairs.by_writer
    offline = sum(count for writer, count in writers.items() if writer.startswith(OFFLINE_WRITER))
    if not offline:
        return []
    whole = sum(writers.values())
    who = "The question-answer pairs were" if offline == whole else f"{offline:,} of {whole:,} pairs were"
    if data.evaluation is not None and data.evaluation.questions_file:
        return [
            f"{who} written by the rule-based offline stand-in ({OFFLINE_WRITER}), not by a language model or a person; the "
            f"questions asked here are those of {data.evaluation.questions_file}. A model that learnt that writer’s way of "
            "asking may do worse on others’."
        ]
    return [
        f"{who} written by the rule-based offline stand-in ({OFFLINE_WRITER}), not by a language model or a person. It "
        "turns headings, tables, steps and definitions into questions. The scores say how well the model learnt that "
        "writer’s way of asking and answering, not how useful it would be to people."
    ]


def cautions(summary: EvaluationSummary) -> list[str]:
    """Poor answers however large the gain, references that repeat the question, few questions, a sample of them."""
    told = []
    tuned = summary.figures[summary.comparisons[0].second]
    tuned_f1 = tuned["token_f1"].value
    if tuned_f1 is not None and tuned_f1 < HALF:
        told.append(
            f"At a token F1 of {decimal(tuned_f1)} the tuned model’s answers agree with their references in fewer than "
            "half of the words. Read the samples below before relying on it."
        )
    if summary.echo_f1 is not None and tuned_f1 is not None and summary.echo_f1 >= ECHO * tuned_f1:
        told.append(
            f"Giving the question back as the answer would score a token F1 of {decimal(summary.echo_f1)}, since the references "
            f"say some of it again; read the tuned model’s {decimal(tuned_f1)} against that, and beside the exact matches."
        )
    for key, what in (("token_f1", "answerable"), ("false_answer_rate", "unanswerable")):
        value = tuned[key]
        if 0 < value.n < SMALL:
            measure = BY_KEY[key]
            told.append(
                f"Only {plural(value.n, f'{what} question')} {'was' if value.n == 1 else 'were'} asked. The tuned model’s "
                f"figure there ({measure.label}) is {figure(value, measure)} ({interval_words(interval(value, measure))}, {sample(value)})."
            )
    if (sampled := _sampling_caution(summary)) is not None:
        told.append(sampled)
    return told


def _sampling_caution(summary: EvaluationSummary) -> str | None:
    questions = summary.questions
    if questions.asked >= questions.in_test:
        return None
    whose = f"questions of {summary.questions_file}" if summary.questions_file else "test questions"
    told = f"{questions.asked:,} of the {questions.in_test:,} {whose} were asked (evaluation.max_questions)"
    if not questions.unanswerable_in_test:
        return told + "."
    return (
        f"{told}, {questions.unanswerable_asked:,} of {questions.unanswerable_in_test:,} unanswerable ones among them; "
        "those are taken first, so their share here is not that of all."
    )
