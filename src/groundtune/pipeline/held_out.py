"""What an evaluation works on: the questions to ask, and the examples whose loss is measured."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from groundtune.errors import DataError
from groundtune.files import read_records
from groundtune.pipeline.learning import model_files
from groundtune.pipeline.material import tokenise
from groundtune.pipeline.workspace import Workspace
from groundtune.types import SPLITS, Chunk, Conversation, Example, Pair, Split

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from groundtune.evaluation import Kinds, Question
    from groundtune.prefix import TokenisedExamples

NO_TEXT = "test row that does not end with an answer in words"
NOT_PREPARED = "test row that was not rendered: prepared/left_out.jsonl tells why"


@dataclass(frozen=True)
class Asked:
    """Questions, and what was left out on the way to them, by reason."""

    questions: list[Question]
    file: str = ""
    """Its name, where they are from a file of one's own."""
    skips: dict[str, int] = field(default_factory=dict)


def question_file(workspace: Workspace) -> Path | None:
    named = workspace.config.evaluation.questions
    return None if named is None else workspace.config.resolve(named)


def inputs(workspace: Workspace) -> dict[str, Path]:
    """The files that an evaluation depends on."""
    files = {"tuned": workspace.tuned} | model_files("base", workspace.base_source)
    if workspace.has_documents:
        files |= {str(split): workspace.split(split) for split in SPLITS}
        files |= {"chunks": workspace.chunks, "pairs": workspace.pairs}
    if workspace.has_data:
        files |= {f"data {split}": workspace.conversations(split) for split in SPLITS}
        files |= {f"prepared {split}": workspace.prepared(split) / "index.json" for split in SPLITS}
    own = question_file(workspace)
    return files | ({} if own is None else {"questions": own})


def gather_questions(workspace: Workspace, chunks: Sequence[Chunk]) -> Asked:
    """Of the file of one's own where there is one; else of the test split: of the documents, or of the instruction data.

    Raises:
        DataError: see `read_own`.
    """
    from groundtune.evaluation import question_of

    own = read_own(workspace, chunks)
    if own is not None:
        return own
    if not workspace.has_documents:
        return _held_out_rows(workspace)
    histories = {pair.pair_id: pair.history for pair in read_records(workspace.pairs, Pair)}
    examples = read_records(workspace.split("test"), Example)
    return Asked([question_of(example, histories.get(example.pair_id, ())) for example in examples])


def read_own(workspace: Workspace, chunks: Sequence[Chunk] = ()) -> Asked | None:
    """The questions of the file of one's own; None where there is no such file.

    Raises:
        DataError: of the file; or where only some of its questions bring passages and there are no documents for the others.
    """
    from groundtune.evaluation import read_questions

    own = question_file(workspace)
    if own is None:
        return None
    config = workspace.config
    read = read_questions(own, prompts=config.prompts, likely=config.documents.languages, chunks=chunks)
    without = sum(not question.passages for question in read.questions)
    if not workspace.has_documents and 0 < without < len(read.questions):
        raise DataError(
            f"{own}: {without} of {len(read.questions)} questions bring no passage, and there are no documents to find one "
            "in; give all of them passages, or none"
        )
    return Asked(list(read.questions), own.name, read.left_out)


def _held_out_rows(workspace: Workspace) -> Asked:
    from groundtune.dataset.prepared import ConversationFile, open_prepared
    from groundtune.evaluation import question_of_conversation

    rendered = set(open_prepared(workspace.prepared("test")).owners.tolist())
    languages, likely = list(workspace.config.prompts), workspace.config.documents.languages
    questions, skips = [], Counter[str]()
    for number, row in enumerate(ConversationFile(workspace.conversations("test"))):
        question = question_of_conversation(row, languages, likely)
        if question is None or number not in rendered:
            skips[NO_TEXT if question is None else NOT_PREPARED] += 1
        else:
            questions.append(question)
    return Asked(questions, skips=dict(skips))


@dataclass(frozen=True)
class Measured:
    """Examples whose loss is measured, and what each is."""

    examples: TokenisedExamples
    kinds: list[Kinds]
    clusters: list[int]
    """The same for those that hang together."""


def gather_examples(workspace: Workspace, tokenizer: PreTrainedTokenizerBase) -> dict[Split, Measured]:
    """Validation, test, and a sample of what was trained on, as many grounded and other examples as the test split has (or,
    where that is empty, the validation split), so that their losses can be compared. Empty splits are absent.
    """
    from groundtune.evaluation import choose_examples

    # drills are left out: they are practice, and nothing held out is like them
    grounded = {split: _grounded(workspace, split) for split in SPLITS}
    rows = {split: range(_prepared_examples(workspace, split)) for split in SPLITS}
    like: Split = "test" if grounded["test"] or rows["test"] else "valid"
    seed = workspace.config.seed
    names = [example.example_id for example in grounded["train"]]
    grounded["train"] = [
        grounded["train"][place] for place in choose_examples(names, most=len(grounded[like]), seed=seed)
    ]
    sampled = choose_examples([f"data {number}" for number in rows["train"]], most=len(rows[like]), seed=seed)
    places: dict[Split, Sequence[int]] = {**rows, "train": sampled}
    return {
        split: _measured(workspace, tokenizer, split, grounded[split], places[split])
        for split in SPLITS
        if grounded[split] or places[split]
    }


def _grounded(workspace: Workspace, split: Split) -> list[Example]:
    return read_records(workspace.split(split), Example) if workspace.has_documents else []


def _prepared_examples(workspace: Workspace, split: Split) -> int:
    from groundtune.dataset.prepared import open_prepared

    return len(open_prepared(workspace.prepared(split))) if workspace.has_data else 0


def _measured(
    workspace: Workspace,
    tokenizer: PreTrainedTokenizerBase,
    split: Split,
    grounded: Sequence[Example],
    places: Sequence[int],
) -> Measured:
    """Grounded examples, and those of the prepared ones at `places`."""
    from groundtune.evaluation import clusters_of, kinds_of
    from groundtune.prefix import TokenisedExamples
    from groundtune.training.examples import in_columns

    parts = [in_columns(tokenise(tokenizer, [example.messages for example in grounded]))]
    told: list[Example | Conversation] = [*grounded]
    if places:
        prepared, rows = _rows(workspace, split, places)
        parts.append(prepared)
        told += rows
    return Measured(TokenisedExamples.joined(parts), list(map(kinds_of, told)), clusters_of(told))


def _rows(workspace: Workspace, split: Split, places: Sequence[int]) -> tuple[TokenisedExamples, list[Conversation]]:
    """Prepared examples, and the conversation that each is of."""
    from groundtune.dataset.prepared import ConversationFile, open_prepared

    prepared = open_prepared(workspace.prepared(split))
    owners = prepared.owners[list(places)].tolist()
    wanted = set(owners)
    by_number = {
        number: row for number, row in enumerate(ConversationFile(workspace.conversations(split))) if number in wanted
    }
    return prepared.examples().subset(list(places)), [by_number[owner] for owner in owners]
