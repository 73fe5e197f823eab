"""The same instruction in other words, with the same answer.

Checked by code: every number, name, quotation and piece of code of the original is there and no number is new, the language
is the same, it is not nearly the original, and no other row asks in these words. What this module does not do: tell whether
the new wording means the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field
from rapidfuzz.distance import Levenshtein

from groundtune.dataset.augment.asking import AnswerForm, Asker, parse
from groundtune.dataset.augment.checks import invented_numbers, lost_parts, other_language
from groundtune.dataset.augment.outcome import Augmented, NotMade, Refused, augmented_from, not_made
from groundtune.dataset.augment.rows import find_instruction, language_of, plain_turns, with_content
from groundtune.dataset.augment.wording import fill, wording
from groundtune.dataset.quality.texts import caseless
from groundtune.files import sha256_text
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.types import Conversation, Language, LeftOut

LEAST_WORDS = 3
"""Of an instruction, so that there is something to put otherwise."""

SAME_FROM = 0.95
"""Edit similarity from which a wording is the original again."""

_LONGEST_TIMES, _LONGEST_MORE = 2, 15


class Wordings(AnswerForm):
    """Other wordings of one instruction."""

    instructions: list[str] = Field(min_length=1)


async def rephrase(
    conversations: Sequence[Conversation], *, asker: Asker, count: int = 1, taken: set[str] | None = None
) -> Augmented:
    """`count` other wordings of each row's first instruction, as ``id~rephrase1``, ``id~rephrase2`` ...

    Args:
        taken: fingerprints of prompts that are there already (`fingerprint_of`), besides those of `conversations`.

    Raises:
        GenerationError: the writer gave up; what was answered until then is in the ledger.
    """
    requests = [_request(row, count, asker) for row in conversations]
    answers, asked = await asker.ask_of(conversations, requests, Wordings, kind="rephrase", label="rephrasing")
    known = {fingerprint_of(row) for row in conversations} | (taken or set())
    made: list[Conversation] = []
    left_out: list[LeftOut] = []
    for row, answer in zip(conversations, asked, strict=True):
        outcomes = [answer] if isinstance(answer, Refused) else _read(row, answer, count, known)
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                left_out.append(not_made(row.origin, outcome, "rephrase"))
            else:
                made.append(outcome)
    return answers.augmented(made, left_out)


def _request(row: Conversation, count: int, asker: Asker) -> LLMRequest | Refused:
    try:
        first, _ = plain_turns(row)
    except Refused as refused:
        return refused
    instruction = find_instruction(row.messages[first].content).text
    if len(instruction.split()) < LEAST_WORDS:
        return Refused(NotMade.NO_WORDS, instruction)
    texts: Mapping[str, Any] = wording(language_of(row))
    prompt = fill(texts["rephrase"]["user"], count=count, language_name=texts["language_name"], instruction=instruction)
    return asker.request(texts["rephrase"]["system"].strip(), prompt, Wordings)


def _read(row: Conversation, response: LLMResponse, count: int, taken: set[str]) -> Sequence[Conversation | Refused]:
    """What became of every wording; those that pass are added to `taken`."""
    try:
        wordings = parse(response, Wordings).instructions[:count]
    except Refused as refused:
        return [refused]
    first, _ = plain_turns(row)
    original = find_instruction(row.messages[first].content)
    outcomes: list[Conversation | Refused] = []
    for number, text in enumerate(wordings, start=1):
        try:
            check_wording(original.text, " ".join(text.split()), language_of(row))
        except Refused as refused:
            outcomes.append(refused)
            continue
        content = original.with_text(" ".join(text.split()))
        made = augmented_from(row, with_content(row.messages, first, content), kind="rephrase", number=number)
        prompt = fingerprint_of(made)
        outcomes.append(Refused(NotMade.REPEATED, text) if prompt in taken else made)
        taken.add(prompt)
    return outcomes


def check_wording(original: str, text: str, language: Language) -> None:
    """Raises `Refused` when `text` cannot stand for `original`."""
    if not text:
        raise Refused(NotMade.EMPTY)
    if Levenshtein.normalized_similarity(caseless(original), caseless(text)) >= SAME_FROM:
        raise Refused(NotMade.SAME_WORDS, text)
    if lost := lost_parts(original, text):
        raise Refused(NotMade.LOST, lost[0])
    if invented := invented_numbers(text, [original]):
        raise Refused(NotMade.INVENTED, invented[0])
    longest = _LONGEST_TIMES * len(original.split()) + _LONGEST_MORE
    if len(text.split()) > longest:
        raise Refused(NotMade.TOO_LONG, f"{len(text.split())} words, at most {longest}")
    if found := other_language(text, language):
        raise Refused(NotMade.OTHER_LANGUAGE, f"{found}, not {language}")


def fingerprint_of(row: Conversation) -> str:
    """Of all that is said to the assistant, in the form that copies have in common."""
    said = caseless("\n".join(message.content for message in row.messages if message.role != "assistant"))
    return sha256_text(said)[:16]
