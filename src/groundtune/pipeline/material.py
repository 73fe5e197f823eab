"""What `train` learns from: grounded pairs, drills made of the documents, and instruction data, in that order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from groundtune.errors import DataError
from groundtune.files import read_records
from groundtune.pipeline.workspace import Workspace
from groundtune.types import Chunk, Conversation, Example, Message, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.prefix import TokenisedExamples
    from groundtune.training import SamplePrompt, Tokenised


Item = TypeVar("Item")

ONE_SIDED = "only one of the two answers could be rendered within data.max_tokens"
IN_PARTS = "a side of the pair is several examples in this template"


@dataclass(frozen=True)
class Material:
    """Examples of both splits, and how many of which kind."""

    train: TokenisedExamples
    valid: TokenisedExamples
    samples: list[SamplePrompt]
    phases: list[int] | None
    """Of each training example."""
    counts: dict[str, int] = field(default_factory=dict)
    skips: dict[str, int] = field(default_factory=dict)


def gather(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> Material:
    """Everything the stage `train` is given. Raises `DataError` before the stages it needs have run."""
    from groundtune.prefix import TokenisedExamples
    from groundtune.training.examples import in_columns

    if workspace.config.train.preference is not None:
        return _preferences(workspace, tokenizer)
    pairs, drills, too_long = _grounded(workspace, tokenizer)
    train = TokenisedExamples.joined([in_columns(pairs), in_columns(drills), _prepared(workspace, "train")])
    valid = TokenisedExamples.joined([in_columns(_valid(workspace, tokenizer)), _prepared(workspace, "valid")])
    counts = {
        "train examples": len(pairs),
        "drills": len(drills),
        "instruction examples": len(train) - len(pairs) - len(drills),
    }
    return Material(
        train,
        valid,
        _samples(workspace, tokenizer),
        _phases(workspace, len(drills)),
        {name: count for name, count in counts.items() if count},
        {"drill longer than model.context_tokens or train.max_pack_tokens": too_long},
    )


def _preferences(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> Material:
    """Chosen and rejected answers in turn, of both splits."""
    from groundtune.dataset.prepared import SIDES, open_prepared, pair_up
    from groundtune.training.preference import interleave

    found = {}
    skips = {ONE_SIDED: 0, IN_PARTS: 0}
    for split in ("train", "valid"):
        pairs = pair_up(*(open_prepared(workspace.prepared_side(split, side)) for side in SIDES))
        found[split] = interleave(pairs.chosen, pairs.rejected)
        skips[ONE_SIDED] += pairs.one_sided
        skips[IN_PARTS] += pairs.in_parts
    counts = {"preference pairs": len(found["train"]) // 2}
    if not len(found["train"]):
        left_out = ", ".join(f"{count} left out: {reason}" for reason, count in skips.items() if count)
        raise DataError(
            f"no preference pair is left to train on ({left_out or 'no training row has two answers that were rendered'}); "
            "name data with chosen and rejected answers in data.sources, or raise data.max_tokens; `groundtune dataset audit` "
            "tells why rows were left out"
        )
    return Material(found["train"], found["valid"], _samples(workspace, tokenizer), None, counts, skips)


def _grounded(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> tuple[list[Tokenised], list[Tokenised], int]:
    """The pairs, the drills, and how many drills were too long to be among them."""
    if not workspace.has_documents:
        return [], [], 0
    config = workspace.config
    most_tokens = min(config.model.context_tokens, config.train.max_pack_tokens)
    drills = _drills(tokenizer, workspace)
    fitting = [drill for drill in drills if len(drill.input_ids) <= most_tokens]
    pairs = tokenise(tokenizer, [example.messages for example in read_records(workspace.split("train"), Example)])
    return pairs, fitting, len(drills) - len(fitting)


def _valid(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> list[Tokenised]:
    if not workspace.has_documents:
        return []
    return tokenise(tokenizer, [example.messages for example in read_records(workspace.split("valid"), Example)])


def _prepared(workspace: Workspace, split: Split) -> TokenisedExamples:
    from groundtune.dataset.prepared import open_prepared
    from groundtune.training.examples import in_columns

    if not workspace.has_data:
        return in_columns([])
    return open_prepared(workspace.prepared(split)).examples()


def _drills(tokenizer: PreTrainedTokenizerBase, workspace: Workspace) -> list[Tokenised]:
    """Made anew from the chunks, so that they need no file of their own."""
    from groundtune.training import make_drills

    config = workspace.config
    if not config.train.drills:
        return []
    drills = make_drills(drill_chunks(workspace), config.prompts, count=config.train.drills, seed=config.seed)
    return tokenise(tokenizer, drills)


def drill_chunks(workspace: Workspace) -> list[Chunk]:
    """Chunks that drills may be made from: splits follow evidence here too, so none that validation or test rests on, and
    none that holds one of their answers."""
    held_out = [example for split in ("valid", "test") for example in read_records(workspace.split(split), Example)]
    evidence = {chunk_id for example in held_out for chunk_id in example.evidence_chunk_ids}
    answers = [example.reference for example in held_out if example.answerable]
    return [
        chunk
        for chunk in read_records(workspace.chunks, Chunk)
        if chunk.chunk_id not in evidence and not any(answer in chunk.text for answer in answers)
    ]


def tokenise(tokenizer: PreTrainedTokenizerBase, conversations: Sequence[Sequence[Message]]) -> list[Tokenised]:
    """One example a conversation, every assistant turn trained: these have one answer each, so none is told in parts."""
    from groundtune.chat import render_many
    from groundtune.training import Tokenised

    many = render_many(tokenizer, conversations)
    rendered = (many[place] for place in range(len(many)))
    return [Tokenised(tuple(each.token_ids), tuple(each.trained)) for each in rendered]


def _samples(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> list[SamplePrompt]:
    """Validation questions, evenly spread: grounded ones where there are any."""
    if workspace.has_documents:
        return _grounded_samples(tokenizer, read_records(workspace.split("valid"), Example), workspace)
    return _instruction_samples(tokenizer, workspace)


def _grounded_samples(
    tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example], workspace: Workspace
) -> list[SamplePrompt]:
    from groundtune.chat import render_prompt
    from groundtune.training import SamplePrompt

    return [
        SamplePrompt(example.question, tuple(render_prompt(tokenizer, example.messages[:-1])), example.reference)
        for example in _evenly(examples, workspace.config.train.samples)
    ]


def _instruction_samples(tokenizer: PreTrainedTokenizerBase, workspace: Workspace) -> list[SamplePrompt]:
    from groundtune.chat import render_prompt
    from groundtune.dataset.prepared import ConversationFile, open_prepared
    from groundtune.training import SamplePrompt

    kept = set(open_prepared(workspace.prepared("valid")).owners.tolist())
    answered = [
        row
        for number, row in enumerate(ConversationFile(workspace.conversations("valid")))
        if number in kept and row.messages and row.messages[-1].role == "assistant" and row.messages[-1].content
    ]
    longest = workspace.config.data.max_tokens
    prompts = [
        (row, tuple(render_prompt(tokenizer, row.messages[:-1], tools=row.tools)))
        for row in _evenly(answered, workspace.config.train.samples)
    ]
    return [
        SamplePrompt(_question(row), prompt, row.messages[-1].content)
        for row, prompt in prompts
        if len(prompt) <= longest
    ]


def _question(row: Conversation) -> str:
    return next((message.content for message in reversed(row.messages) if message.role == "user"), "")


def _evenly(items: Sequence[Item], count: int) -> list[Item]:
    chosen = {len(items) * place // count for place in range(count)} if items else set()
    return [items[place] for place in sorted(chosen)]


def _phases(workspace: Workspace, num_drills: int) -> list[int] | None:
    """The phase of each training example; drills are practice and come first."""
    from groundtune.dataset.curriculum import phases_of
    from groundtune.dataset.prepared import ConversationFile, open_prepared
    from groundtune.dataset.stats import as_conversation

    curriculum = workspace.config.data.curriculum
    if curriculum is None:
        return None
    pairs = read_records(workspace.split("train"), Example) if workspace.has_documents else []
    rows = list(ConversationFile(workspace.conversations("train"))) if workspace.has_data else []
    told = [as_conversation(pair, number) for number, pair in enumerate(pairs, start=1)]
    phases = phases_of([*told, *rows], curriculum)
    owners = open_prepared(workspace.prepared("train")).owners.tolist() if workspace.has_data else []
    return [*phases[: len(pairs)], *([0] * num_drills), *(phases[len(pairs) + owner] for owner in owners)]
