"""Questions with a false premise: they take for granted what the passages contradict, and the right answer is the refusal.

A language model writes them, in a request of its own about a group; code checks that the contradiction is quoted. The
contradicting passages stay in the context, unlike those of a near-miss (:mod:`groundtune.generation.unanswerable.near_misses`): the
assistant is to notice them. What this module does not do: send anything, or judge whether a question sounds natural.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from groundtune.config import GenerationConfig, PromptConfig
from groundtune.generation.answers.parsing import first_fault
from groundtune.generation.answers.schema import FalsePremise, false_premise_schema
from groundtune.generation.prompts import PromptTexts, fill, num_pairs, prompt_texts, with_task
from groundtune.generation.prompts.requests import context_of, parameters_of
from groundtune.generation.verification.checking import find_evidence, pair_id
from groundtune.generation.verification.duplicates import Asked, same_question
from groundtune.generation.verification.languages import check_language
from groundtune.generation.verification.phrasing import check_phrasing
from groundtune.generation.verification.reasons import Fault, Reason, Rejection
from groundtune.llm import LLMRequest, Task
from groundtune.types import Chunk, Difficulty, Evidence, Group, Language, Pair, QuestionType

QUESTIONS_A_GROUP = 4
"""Asked of a chosen group; fewer leave too little for the price of its passages, more repeat the same contradiction."""


def choose_groups(
    groups: Sequence[Group], chunks: Mapping[str, Chunk], config: GenerationConfig, *, seed: int
) -> list[tuple[Group, int]]:
    """The groups that are asked for false premises, in their order, and for how many questions each.

    As many as make `config.false_premise_share` of all pairs, if all that is asked for is written and accepted. Chosen by
    a seeded hash of their text, so that a document that grows changes few choices; from more than `QUESTIONS_A_GROUP` a
    group only when there are too few groups. None with the offline writer, which does not understand what it reads.
    """
    share = config.false_premise_share
    if config.provider == "offline" or share == 0 or not groups:
        return []
    answerable = sum(num_pairs(group.token_count, config) for group in groups)
    wanted = answerable * share / (1 - share - config.unanswerable_share)
    count = min(len(groups), max(1, round(wanted / QUESTIONS_A_GROUP)))
    each = QUESTIONS_A_GROUP if count < len(groups) else max(1, round(wanted / count))

    def rank(group: Group) -> str:
        texts = "/".join(chunks[chunk_id].sha256 for chunk_id in group.chunk_ids)
        return sha256(f"{seed}/false premise/{group.rule}/{group.language}/{texts}".encode()).hexdigest()

    chosen = {group.group_id for group in sorted(groups, key=rank)[:count]}
    return [(group, each) for group in groups if group.group_id in chosen]


def false_premise_request(
    group: Group,
    chunks: Sequence[Chunk],
    config: GenerationConfig,
    model: str,
    *,
    num_questions: int = QUESTIONS_A_GROUP,
    texts: PromptTexts | None = None,
) -> LLMRequest:
    """The request for questions with a false premise about the chunks of `group`.

    It does not depend on the pairs of the group: a check made stricter would otherwise change its key, and it would be paid
    for again. `repair_request` and `rest_request` follow it as they follow any other.
    """
    texts = texts or prompt_texts(group.language, config.profile)
    values = {"num_questions": str(num_questions), "language_name": texts.language_name}
    task = Task(group.language, group.rule, num_questions, config.max_answer_words)
    return LLMRequest(
        system=texts.false_premise_system,
        prompt=with_task(fill(texts.false_premise_user, values), task),
        schema=false_premise_schema(),
        model=model,
        parameters=parameters_of(config),
        context=context_of(chunks, texts),
    )


def check_premises(
    values: Sequence[Mapping[str, Any]],
    group: Group,
    chunks: Sequence[Chunk],
    *,
    config: GenerationConfig,
    prompts: Mapping[Language, PromptConfig],
    writer: str,
    pairs: Sequence[Pair] = (),
) -> tuple[list[Pair], list[Rejection]]:
    """The accepted questions among what was handed in about one group, as unanswerable pairs, in its order, and the rest.

    Args:
        values: of all answers about the group, as `parse_answer` gives them.
        chunks: of the group, in the order of the numbers in its prompt.
        prompts: give the refusals, and the languages to tell apart.
        pairs: of the group, accepted before; a question of theirs has an answer and is no trap.
    """
    checks = _Checks(group, chunks, config, prompts, writer)
    asked = [Asked.of(pair) for pair in pairs]
    accepted: list[Pair] = []
    rejections: list[Rejection] = []
    for value in values:
        try:
            item = FalsePremise.model_validate(value)
        except ValidationError as error:
            given = value.get("question")
            question = given if isinstance(given, str) else ""
            rejections.append(Rejection(Reason.NOT_IN_SCHEMA, first_fault(error), question, group.group_id, value))
            continue
        verdict = checks.check(item)
        if isinstance(verdict, Pair):
            this = Asked.of(verdict)
            if any(same_question(this, other, config.near_duplicate_similarity) for other in asked):
                verdict = Fault(Reason.REPEATED_IN_GROUP)
            else:
                asked.append(this)
                accepted.append(verdict)
        if isinstance(verdict, Fault):
            question = item.question.strip()
            rejections.append(Rejection(verdict.reason, verdict.detail, question, group.group_id, value))
    return accepted, rejections


@dataclass(frozen=True, slots=True)
class _Checks:
    """What the questions about one group are held against."""

    group: Group
    chunks: Sequence[Chunk]
    config: GenerationConfig
    prompts: Mapping[Language, PromptConfig]
    writer: str

    def check(self, item: FalsePremise) -> Pair | Fault:
        language, question = self.group.language, item.question.strip()
        # the question alone: its answer is the refusal, which is worded by the user and not by the model
        plain = self.config.model_copy(update={"profile": "v2"})
        fault = check_phrasing(question, question, language, Difficulty.EASY, plain)
        if fault is not None:
            return fault
        found = find_evidence(item.evidence, self.chunks, language, similarity=self.config.quote_similarity)
        if isinstance(found, Fault):
            return found
        fault = check_language(question, "", language, tuple(self.prompts))
        return fault or self._pair(question, found, item.assumption.strip())

    def _pair(self, question: str, evidence: tuple[Evidence, ...], assumption: str) -> Pair:
        """Always of one type and difficulty: the passages have to be held against the question and found to differ."""
        group = self.group
        refusal = self.prompts[group.language].refusal
        return Pair(
            pair_id=pair_id(group.language, question, refusal, evidence, answerable=False),
            group_id=group.group_id,
            rule=group.rule,
            language=group.language,
            question=question,
            answer=refusal,
            type=QuestionType.INFERENTIAL,
            difficulty=Difficulty.HARD,
            answerable=False,
            context_chunk_ids=group.chunk_ids,
            evidence=evidence,
            writer=self.writer,
            assumption=assumption,
        )
