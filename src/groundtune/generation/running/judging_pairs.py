"""All pairs before the judge: what is not judged yet is sent, then every verdict is read out of the ledger.

What this module does not do: word requests or read verdicts (:mod:`groundtune.generation.judging` does).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from groundtune.config import JudgeConfig
from groundtune.files import as_plain
from groundtune.generation.judging import Judgement, classify_verdict, judge
from groundtune.generation.running.asking import Ask
from groundtune.generation.running.replaying import NotAnsweredError, Replay, run_now
from groundtune.generation.running.sending import Conversation, Sent
from groundtune.generation.verification import Reason, Rejection
from groundtune.llm import Ledger, LLMRequest, LLMResponse, RequestRefused
from groundtune.types import Chunk, Language, Pair


@dataclass(slots=True)
class Judged:
    """The pairs that passed, in their order."""

    pairs: list[Pair]
    rejections: list[Rejection] = field(default_factory=list)
    missing: int = 0
    """Pairs without a verdict so far; they are not among `pairs`."""
    cause: Exception | None = None
    answers: Collection[str] = ()
    """Keys of the verdicts that were read."""


def judge_pairs(
    pairs: Sequence[Pair],
    chunks: Mapping[str, Chunk],
    config: JudgeConfig,
    book: Ledger,
    send: Callable[[Sequence[Conversation], int], Sent],
    *,
    texts: Mapping[Language, Mapping[str, str]],
) -> Judged:
    """Have every pair judged, with the judge's `texts` of its language. A pair whose earlier turn is rejected goes with it."""

    def conversation(pair: Pair) -> Conversation:
        async def work(ask: Ask) -> Judgement:
            return await _judge(pair, chunks, config, ask, texts[pair.language])

        return work

    replay = Replay(book)
    missing = [pair for pair in pairs if _verdict(pair, chunks, config, replay, texts[pair.language]) is None]
    sent = send([conversation(pair) for pair in missing], len(pairs) - len(missing))
    replay = Replay(book)
    judged = Judged([], cause=sent.cause, answers=replay.found)
    gone: set[tuple[str, tuple[str, ...]]] = set()
    for pair in pairs:
        turns = (*(turn.question for turn in pair.history), pair.question)
        verdict = _verdict(pair, chunks, config, replay, texts[pair.language])
        if any((pair.group_id, turns[:end]) in gone for end in range(1, len(turns))):
            judged.rejections.append(_rejected(Reason.EARLIER_TURN, "", pair))
        elif verdict is None:
            judged.missing += 1
        elif verdict.rejection is not None:
            judged.rejections.append(verdict.rejection)
        else:
            judged.pairs.append(pair)
            continue
        gone.add((pair.group_id, turns))
    return judged


def _verdict(
    pair: Pair, chunks: Mapping[str, Chunk], config: JudgeConfig, replay: Replay, texts: Mapping[str, str]
) -> Judgement | None:
    try:
        return run_now(_judge(pair, chunks, config, replay.ask, texts))
    except NotAnsweredError:
        return None


async def _judge(
    pair: Pair, chunks: Mapping[str, Chunk], config: JudgeConfig, ask: Ask, texts: Mapping[str, str]
) -> Judgement:
    async def asked(request: LLMRequest, tags: Mapping[str, str]) -> LLMResponse:
        kind = tags["kind"]
        return await ask(
            request,
            tags=tags,
            classify=lambda response: classify_verdict(response, "necessity" if kind == "necessity" else "support"),
        )

    try:
        return await judge(pair, chunks, config, asked, texts=texts)
    except RequestRefused as refusal:
        return Judgement(_rejected(Reason.NO_VERDICT, str(refusal), pair))


def _rejected(reason: Reason, detail: str, pair: Pair) -> Rejection:
    return Rejection(reason, detail, pair.question, pair.group_id, as_plain(pair))
