"""Which requests a run makes: the plan over the groups, and the requests of judge and false premises that come after.

What this module does not do: send them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from groundtune.config import GenerationConfig, PromptConfig
from groundtune.errors import DataError
from groundtune.files import as_plain
from groundtune.generation.estimating.estimate import Estimate, combine, estimate
from groundtune.generation.judging import judge_requests
from groundtune.generation.planning import Focus, Job, Plan, Preview, plan, preview
from groundtune.generation.prompts import PromptTexts, load_judge_texts, load_prompts, request_for
from groundtune.generation.running.asking import pairs_asked_for
from groundtune.generation.running.collecting import Collector
from groundtune.generation.running.replaying import Replay
from groundtune.generation.unanswerable.false_premise import choose_groups, false_premise_request
from groundtune.generation.verification import drop_repeated
from groundtune.llm import Ledger, LLMRequest, model_name, writer_name
from groundtune.llm.prices import price_for
from groundtune.types import Chunk, Difficulty, Evidence, Group, Language, Pair, QuestionType

RULE_NOT_ASKED = "group of a rule that generation.rules leaves out"

TYPICAL_WORDS = (14, 45)
"""Of a question and an answer, for the cost of judging pairs that are not written yet."""


@dataclass(frozen=True)
class Asking:
    """What decides requests. `model` is what they carry."""

    groups: Sequence[Group]
    """Those whose rule is asked."""
    not_asked: int
    chunks: Mapping[str, Chunk]
    config: GenerationConfig
    texts: Mapping[Language, PromptTexts]
    judge_texts: Mapping[Language, Mapping[str, str]]
    model: str
    seed: int

    @classmethod
    def of(
        cls,
        groups: Sequence[Group],
        chunks: Sequence[Chunk],
        *,
        config: GenerationConfig,
        prompts: Mapping[Language, PromptConfig],
        prompts_folder: Path | None = None,
        model: str | None = None,
        seed: int,
    ) -> Asking:
        """Raises `DataError` for a group in a language without prompts, `ConfigError` for prompt files that cannot be used."""
        wanted = [group for group in groups if group.rule in config.rules]
        for group in wanted:
            if group.language not in prompts:
                raise DataError(
                    f"group {group.group_id}: language {group.language!r} has no prompts.{group.language} section"
                )
        languages = sorted({group.language for group in wanted})
        return cls(
            wanted,
            len(groups) - len(wanted),
            {chunk.chunk_id: chunk for chunk in chunks},
            config,
            load_prompts(prompts_folder, config.profile, languages),
            load_judge_texts(prompts_folder if config.judge else None, languages),
            model or model_name(config),
            seed,
        )

    def request(self, group: Group, chunks: Sequence[Chunk], focus: Focus | None, /) -> LLMRequest:
        return request_for(
            group,
            chunks,
            self.config,
            self.model,
            texts=self.texts.get(group.language),
            focus=focus.numbers if focus else None,
            focus_quotes=focus.quotes if focus else (),
        )

    def plan(self, book: Ledger) -> Plan:
        return plan(self.groups, self.chunks, book, self.request, settled=Replay(book).settled)

    def false_premises(self) -> Iterator[tuple[Group, tuple[Chunk, ...], LLMRequest]]:
        """The groups asked for questions with a false premise."""
        for group, count in choose_groups(self.groups, self.chunks, self.config, seed=self.seed):
            chunks = tuple(self.chunks[chunk_id] for chunk_id in group.chunk_ids)
            texts = self.texts[group.language]
            yield (
                group,
                chunks,
                false_premise_request(group, chunks, self.config, self.model, num_questions=count, texts=texts),
            )


def tags_of(job: Job) -> dict[str, str]:
    """What the ledger notes about a group's request."""
    purpose = "top-up" if job.kind == "top_up" else "pairs"
    return {
        "purpose": purpose,
        "rule": job.group.rule.value,
        "language": job.group.language,
        "group": job.group.group_id,
    }


def pending_jobs(plan: Plan, book: Ledger) -> Iterator[Job]:
    """The jobs whose conversation lacks an answer, each request once."""
    states, failures, replay = book.states(), book.failures(), Replay(book)
    seen: set[str] = set()
    for job in plan.jobs:
        if not job.key or job.key in seen:
            continue
        seen.add(job.key)
        if not replay.is_taken_up_again(job.key):
            if states.get(job.key) in ("complete", "declined") or job.key in failures:
                continue
            if job.key not in states:
                # the request is not made only to look for its answer
                yield job
                continue
        if replay.conversation(job.request()) is None:
            yield job


def first_request(job: Job, replay: Replay) -> LLMRequest:
    """What a pending job's conversation begins with now."""
    return replay.latest(job.request())


def look_ahead(asking: Asking, ledger: Path) -> tuple[Preview, dict[str, object]]:
    """What a run would ask and keep, and what it would take, as JSON-able figures. Nothing is sent."""
    with Ledger(ledger) as book:
        plan = asking.plan(book)
        answered = book.states().keys() | book.failures().keys()
        seen = preview(plan, Replay(book).items, answered)
        return seen, as_plain(estimate_requests(asking, plan, book))


def estimate_requests(asking: Asking, plan: Plan, book: Ledger) -> Estimate:
    """What the run will take, the judge and false premises included. Nothing is sent."""
    config = asking.config
    states = book.states()
    replay = Replay(book)
    pairs = [
        (replay.latest(job.request()), tags_of(job), pairs_asked_for(job.request())) for job in plan.jobs if job.key
    ]
    premises = [
        (
            request,
            {"purpose": "false premise", "rule": "false premise", "language": group.language},
            pairs_asked_for(request),
        )
        for group, _, request in asking.false_premises()
    ]
    parts = [estimate([*pairs, *premises], price=price_for(config), known=states, config=config, ledger=book)]
    if config.judge is not None:
        judged = [
            (request, {"purpose": "judge", "rule": "judge", "language": language}, 0)
            for request, language in (*_verdicts(asking, plan, book), *_verdicts_to_come(plan, book, config))
        ]
        parts.append(estimate(judged, price=price_for(config.judge), known=states, config=config.judge, ledger=book))
    return combine(parts)


def _verdicts(asking: Asking, plan: Plan, book: Ledger) -> Iterator[tuple[LLMRequest, Language]]:
    """The judge's requests about the pairs that are there, with their language."""
    config, judge = asking.config, asking.config.judge
    assert judge is not None, "called where there is a judge"
    collector = Collector(book, config=config, languages=tuple(asking.texts), writer=writer_name(config))
    pairs, _ = drop_repeated(collector.collect(plan).pairs, similarity=config.near_duplicate_similarity)
    for pair in pairs:
        for _, request in judge_requests(pair, asking.chunks, judge, texts=asking.judge_texts[pair.language]):
            yield request, pair.language


def _verdicts_to_come(plan: Plan, book: Ledger, config: GenerationConfig) -> Iterator[tuple[LLMRequest, Language]]:
    for job in pending_jobs(plan, book):
        for request in _typical_verdicts(job, config):
            yield request, job.group.language


def _typical_verdicts(job: Job, config: GenerationConfig) -> Iterator[LLMRequest]:
    """The judge's requests about as many pairs as a job asks for, of typical length; each a request of its own."""
    assert config.judge is not None, "called where there is a judge"
    cited = [chunk for chunk in job.chunks[:2] if job.group.rule.value != "individual"] or list(job.chunks[:1])
    question, answer = (" ".join(["kelime"] * words) for words in TYPICAL_WORDS)
    evidence = tuple(Evidence(chunk.chunk_id, chunk.text[:40], 0, 40) for chunk in cited)
    pair = Pair(
        "", job.group.group_id, job.group.rule, job.group.language, question, answer, QuestionType.FACTUAL, Difficulty.MEDIUM,
        True, job.group.chunk_ids, evidence, "",
    )  # fmt: skip
    chunks = {chunk.chunk_id: chunk for chunk in job.chunks}
    for number in range(pairs_asked_for(job.request())):
        for _, request in judge_requests(replace(pair, question=f"{number} {question}"), chunks, config.judge):
            yield request
