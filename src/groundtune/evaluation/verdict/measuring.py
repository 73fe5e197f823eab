"""How the figures were measured, in words that follow what was in fact done."""

from __future__ import annotations

from groundtune.evaluation.comparison import EvaluationSummary
from groundtune.evaluation.figures.intervals import FEW
from groundtune.evaluation.measures import MEASURES
from groundtune.evaluation.verdict.wording import plural

PASSAGES = {
    "retrieved": (
        "“Base” got the question alone. “Base + passages” and “tuned + passages” got the same passages with it, those that "
        "search found for the question, as chat does it; a passage that would answer an unanswerable question was "
        "taken away. Where search found nothing, nothing was asked, and the answer is the refusal."
    ),
    "given": (
        "“Base” got the question alone. “Base + passages” and “tuned + passages” got the same passages with it: those that "
        "the question was written over or brings with it, not what a search would find, so the chat can do worse."
    ),
    "mixed": (
        "“Base” got the question alone. “Base + passages” and “tuned + passages” got the same passages with it: those that "
        "the question brings with it where it brings any, otherwise those that search found for it, as chat does it. Where "
        "search found nothing, nothing was asked, and the answer is the refusal."
    ),
    "none": "Both models got the question alone, without any passages.",
}
"""By the context of the evaluation."""


def how_measured(summary: EvaluationSummary) -> list[str]:
    """Paragraphs: what was asked, how answers were measured, and what the intervals are."""
    asked = plural(summary.questions.asked, "question")
    source = (
        f"{asked} of the file {summary.questions_file}"
        if summary.questions_file
        else f"{plural(summary.questions.asked, 'test question')}"
    )
    held_out = (
        ""
        if summary.questions_file or summary.context == "none"
        else " Splits follow evidence: a chunk that a test question rests on is not evidence in training."
    )
    return [
        f"Every system answered the same {source}, greedily, with at most {plural(summary.max_new_tokens, 'new token')} "
        f"each. {PASSAGES[summary.context]}{held_out}",
        "Words are compared after lower-casing by the rules of the language (dotted and dotless i are kept apart in "
        "Turkish), without punctuation and list numbers; suffixes are left alone, so a right answer in other words scores "
        "low. A refusal is an answer that begins with the configured refusal, in any configured language, or that says in "
        "other words that the passages do not hold the answer; this is read by rules, which err now and then. “Better”, "
        "“same” and “worse” of single answers go by token F1, and differ by more than 0.05; of an unanswerable "
        "question refusing is right and anything else wrong.",
        f"{INTERVALS} “Better” and “worse” of a measure are said only where the interval of the paired difference excludes "
        f"zero and at least {FEW} questions independent of one another stand behind it. {len(MEASURES)} measures are looked at side by side without "
        "correction: of so many without any true difference, about one in twenty would exclude zero by chance.",
    ]


INTERVALS = (
    "Questions that share evidence are right and wrong together, as are those that share some with one of them, so only those "
    "with none in common are taken for independent (of a file that names no evidence: those for which search puts different "
    "passages first); the number of such groups is told where it is less than n. Means, and differences of means, carry bootstrap intervals of 2,000 resamples that draw "
    "questions of the same evidence together, wider where these are few; shares carry Wilson’s intervals and their differences Newcombe’s for paired "
    "shares, both with as many questions as those of the same evidence are worth together; losses and their paired changes carry those of a ratio, "
    "over examples. Where all values are equal a bootstrap has no width, which is told as “all alike”. n is the number of questions."
)
