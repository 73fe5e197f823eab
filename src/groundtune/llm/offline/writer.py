"""The keyless writer: reads the passages out of a prompt and answers with pairs made by rules.

A rule-based stand-in for a real writer, and it says so in its name. It knows nothing but the request, exactly like a
model behind a network; it does not understand the text, and where no rule is sure it writes fewer pairs than asked.
A change of the rules changes its answers, so it must raise the number in `NAME`: the ledger is keyed by it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

from groundtune.errors import GenerationError
from groundtune.llm.client import LLMRequest, LLMResponse
from groundtune.llm.offline.code import code_questions
from groundtune.llm.offline.conditions import conditions
from groundtune.llm.offline.definitions import definitions
from groundtune.llm.offline.drafts import Draft, choose
from groundtune.llm.offline.english_questions import moved_questions
from groundtune.llm.offline.lists import inline_list, is_labelled, list_questions
from groundtune.llm.offline.relations import Study, relation_questions
from groundtune.llm.offline.sentences import ends_as_sentence, split_sentences
from groundtune.llm.offline.steps import step_questions
from groundtune.llm.offline.structure import Block, Code, ItemList, Page, Paragraph, Table, read_page
from groundtune.llm.offline.tables import table_questions
from groundtune.llm.offline.topics import Topic, topic_of
from groundtune.llm.offline.turkish_questions import in_place_questions
from groundtune.llm.offline.turkish_rules import rule_questions
from groundtune.llm.passages import Task, parse_asked, parse_passages, parse_task
from groundtune.types import Language, Rule

NAME = "offline-rules/1"
LANGUAGES = ("tr", "en")
"""Documentation in another language gets no pairs from this writer."""

_SHORT_ANSWER_WORDS = 60
_LONGEST_ANSWER_WORDS = 100
"""A whole procedure may be this long; everything else stays within `_SHORT_ANSWER_WORDS`."""


class OfflineWriter:
    """Answers requests whose prompt holds passages and a task line (:mod:`groundtune.llm.passages`)."""

    model = NAME
    writer = NAME

    async def complete(self, request: LLMRequest) -> LLMResponse:
        """Pairs as JSON, ``{"pairs": [...]}``; the same request always gets the same text.

        Raises:
            GenerationError: the prompt has no task line, so it was not made for groups of passages.
        """
        task = parse_task(request.full_prompt)
        if task is None:
            raise GenerationError(
                f"{NAME}: the prompt has no 'task:' line; it can only write pairs for groups of chunks"
            )
        # of the context alone where there is one: an answer that the prompt quotes may look like passages
        passages = request.context or request.prompt
        drafts = write_drafts(passages, task, asked=parse_asked(request.prompt))
        text = json.dumps({"pairs": [_as_json(draft) for draft in drafts]}, ensure_ascii=False)
        return LLMResponse(
            text=text,
            input_tokens=_estimate_tokens(request.system + request.full_prompt),
            output_tokens=_estimate_tokens(text),
            stop_reason="end",
            model=NAME,
        )

    async def close(self) -> None:
        """Nothing is held open."""


def write_drafts(prompt: str, task: Task, *, asked: Collection[str] = ()) -> list[Draft]:
    """The pairs handed in for the passages of `prompt`: at most `task.num_pairs`, none of whose questions is in `asked`,
    each resting on a passage of `task.focus` if there is one."""
    if task.language not in LANGUAGES:
        return []
    studies = [_study(read_page(passage), task.language) for passage in parse_passages(prompt)]
    longest = min(task.max_words, _LONGEST_ANSWER_WORDS)
    if task.rule is Rule.INDIVIDUAL or len(studies) < 2:
        drafts = [draft for study in studies for draft in study.drafts if _is_short(draft)]
    else:
        drafts = list(relation_questions(studies, task.rule, task.language, min(task.max_words, _SHORT_ANSWER_WORDS)))
    wanted = [draft for draft in drafts if draft.question not in asked and _in_focus(draft, task)]
    return choose(wanted, task.num_pairs, max_words=longest)


def _in_focus(draft: Draft, task: Task) -> bool:
    return not task.focus or any(quote.number in task.focus for quote in draft.quotes)


def _is_short(draft: Draft) -> bool:
    return draft.form in ("steps", "list") or len(draft.answer.split()) <= _SHORT_ANSWER_WORDS


def _study(page: Page, language: Language) -> Study:
    drafts = [draft for block in page.blocks for draft in _drafts(block, topic_of(block.trail, language), page.number)]
    return Study(page, tuple(drafts))


def _drafts(block: Block, topic: Topic, number: int) -> Iterator[Draft]:
    if isinstance(block, Paragraph):
        yield from _sentence_drafts(block.text, topic, number)
    elif isinstance(block, Table):
        yield from table_questions(block, topic, number)
    elif isinstance(block, Code):
        yield from code_questions(block, topic, number)
    elif isinstance(block, ItemList) and block.ordered:
        yield from step_questions(block, topic, number)
    else:
        yield from list_questions(block, topic, number)
        for item in block.items:
            if ends_as_sentence(item) and not is_labelled(item):
                yield from _sentence_drafts(item, topic, number)


def _sentence_drafts(text: str, topic: Topic, number: int) -> Iterator[Draft]:
    for sentence in split_sentences(text):
        if not ends_as_sentence(sentence) or "{%" in sentence or "{{" in sentence or "|" in sentence:
            continue
        yield from definitions(sentence, topic, number)
        yield from inline_list(sentence, topic, number)
        yield from conditions(sentence, topic, number)
        if topic.language == "tr":
            yield from in_place_questions(sentence, topic, number)
            yield from rule_questions(sentence, topic, number)
        else:
            yield from moved_questions(sentence, topic, number)


def _as_json(draft: Draft) -> dict[str, Any]:
    return {
        "question": draft.question,
        "answer": draft.answer,
        "type": draft.type.value,
        "difficulty": draft.difficulty.value,
        "evidence": [{"chunk": quote.number, "quote": quote.text} for quote in draft.quotes],
    }


def _estimate_tokens(text: str) -> int:
    """About four bytes of UTF-8 a token; nothing is billed here."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)
