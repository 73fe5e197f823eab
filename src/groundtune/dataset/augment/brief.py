"""The same question with the wish to be brief, and the answer that meets it.

The wish names a number of words, a third of the original answer's. Checked by code: the answer keeps to it, is no longer
than two thirds of the original, has no number and no content word (in whatever form) that question and answer lack,
and is in the same language. What this module does not do: judge whether the most important things were kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any

from groundtune.dataset.augment.asking import AnswerForm, Asker, parse
from groundtune.dataset.augment.checks import invented_numbers, new_content_words, other_language
from groundtune.dataset.augment.outcome import Augmented, NotMade, Refused, augmented_from, not_made
from groundtune.dataset.augment.rows import language_of, plain_turns
from groundtune.dataset.augment.wording import fill, wording
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.types import Conversation, Language, LeftOut

LEAST_WORDS = 40
"""Of an answer that can be made briefer."""

LEAST_ASKED = 10
LONGEST_SHARE = 2 / 3


class BriefAnswer(AnswerForm):
    """The answer in few words."""

    answer: str


async def make_brief(conversations: Sequence[Conversation], *, asker: Asker, seed: int) -> Augmented:
    """A brief form of each row's last answer, as ``id~brief1``; the wish is worded one of several ways, by seed and id.

    Raises:
        GenerationError: the writer gave up; what was answered until then is in the ledger.
    """
    requests = [_request(row, asker, seed) for row in conversations]
    answers, outcomes = await asker.ask_of(
        conversations, requests, BriefAnswer, kind="brief", label="writing brief answers"
    )
    made: list[Conversation] = []
    left_out: list[LeftOut] = []
    for row, answer in zip(conversations, outcomes, strict=True):
        try:
            if isinstance(answer, Refused):
                raise answer
            made.append(_brief(row, answer, seed))
        except Refused as refused:
            left_out.append(not_made(row.origin, refused, "brief"))
    return answers.augmented(made, left_out)


def _request(row: Conversation, asker: Asker, seed: int) -> LLMRequest | Refused:
    try:
        _, asking = plain_turns(row)
    except Refused as refused:
        return refused
    question, answer = row.messages[asking], row.messages[-1]
    if answer.thinking or "```" in answer.content:
        return Refused(NotMade.UNFIT, "answer with thoughts or code")
    if len(answer.content.split()) < LEAST_WORDS:
        return Refused(NotMade.BRIEF_ALREADY, f"{len(answer.content.split())} words")
    texts: Mapping[str, Any] = wording(language_of(row))
    prompt = fill(
        texts["brief"]["user"],
        constraint=_constraint(row, seed),
        words=_num_words(answer.content),
        language_name=texts["language_name"],
        question=question.content,
        answer=answer.content,
    )
    return asker.request(texts["brief"]["system"].strip(), prompt, BriefAnswer)


def _brief(row: Conversation, response: LLMResponse, seed: int) -> Conversation:
    text = parse(response, BriefAnswer).answer.strip()
    _, asking = plain_turns(row)
    question, answer = row.messages[asking], row.messages[-1]
    check_brief(text, question.content, answer.content, language_of(row))
    # at the end of a message it reads as a wish of its own, whatever stands before it
    asked = replace(question, content=f"{question.content.rstrip()}\n{_constraint(row, seed)}")
    messages = (*row.messages[:asking], asked, replace(answer, content=text))
    return augmented_from(row, messages, kind="brief", number=1)


def check_brief(text: str, question: str, answer: str, language: Language) -> None:
    """Raises `Refused` when `text` is not the brief form of `answer`."""
    if not text:
        raise Refused(NotMade.EMPTY)
    words, most = len(text.split()), _num_words(answer)
    if words > most or len(text) > LONGEST_SHARE * len(answer):
        raise Refused(NotMade.TOO_LONG, f"{words} words, at most {most}")
    if invented := invented_numbers(text, [question, answer]):
        raise Refused(NotMade.INVENTED, invented[0])
    if new := new_content_words(text, f"{question}\n{answer}", language):
        raise Refused(NotMade.NEW_WORDS, ", ".join(new))
    if found := other_language(text, language):
        raise Refused(NotMade.OTHER_LANGUAGE, f"{found}, not {language}")


def _num_words(answer: str) -> int:
    """Asked for: a third of the answer, in steps of five.

    >>> _num_words("word " * 40), _num_words("word " * 100)
    (10, 30)
    """
    return max(LEAST_ASKED, len(answer.split()) // 3 // 5 * 5)


def _constraint(row: Conversation, seed: int) -> str:
    choices = wording(language_of(row))["brief"]["constraints"]
    place = sha256(f"{seed}:brief:{row.conversation_id}".encode("utf-8", "surrogatepass")).digest()[0] % len(choices)
    return fill(choices[place], words=_num_words(row.messages[-1].content))
