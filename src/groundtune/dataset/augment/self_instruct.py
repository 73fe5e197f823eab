"""New tasks after the example of seed tasks: the method of Wang and others, *Self-Instruct* (ACL 2023), in rounds.

Each request shows tasks drawn by seed, mostly seeds and some that were written before (as in the paper, 6 and 2). A task is
kept when its instruction has a ROUGE-L below 0.7 to every instruction there is, 3 to 150 words, the language asked for,
and an output that is not its input. Requests of a round depend on the rounds before, never on timing, so a run that was
killed asks the same again and finds its answers recorded. What this module does not do: judge whether outputs are right.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from groundtune.dataset.augment.asking import AnswerForm, Asker, parse
from groundtune.dataset.augment.checks import ROUGE_LIMIT, other_language, rouge_l
from groundtune.dataset.augment.outcome import Augmented, NotMade, Refused, not_made
from groundtune.dataset.augment.wording import fill, wording
from groundtune.dataset.quality.texts import caseless, words_of
from groundtune.errors import DataError
from groundtune.files import read_text
from groundtune.llm import LLMRequest, LLMResponse
from groundtune.types import Conversation, Language, LeftOut, Message, Origin

SOURCE = "self-instruct"
SEEDS_SHOWN, WRITTEN_SHOWN = 6, 2
TASKS_ASKED = 5
"""In one request."""

REQUESTS_A_ROUND = 8
LEAST_WORDS, MOST_WORDS = 3, 150
"""Of an instruction."""

_SHOWN_CHARACTERS = 1200
"""Of an input or output that is shown; longer ones make the prompt dear and teach no more."""


@dataclass(frozen=True, slots=True)
class Task:
    task_id: str
    instruction: str
    input: str
    output: str


class NewTask(AnswerForm):
    instruction: str
    input: str = ""
    output: str


class NewTasks(AnswerForm):
    """Tasks as a writer hands them in."""

    tasks: list[NewTask] = Field(min_length=1)


class _Instance(BaseModel):
    input: str = ""
    output: str


class _Seed(BaseModel):
    """A line of the seed file; other keys (``name``, ``is_classification``) are not needed."""

    id: str
    instruction: str
    instances: list[_Instance] = Field(min_length=1)


@dataclass(slots=True)
class _Pool:
    """Every instruction there is, as words, and what was made."""

    instructions: list[list[str]]
    written: list[Task] = field(default_factory=list)
    made: list[Conversation] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    num_handed_in: int = 0


def read_seed_tasks(path: Path) -> list[Task]:
    """The tasks of a JSON Lines file in the form of self-instruct, each with its first instance.

    Raises:
        DataError: the file is missing, or a line is not of that form; the message names it.
    """
    tasks = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            seed = _Seed.model_validate_json(line)
        except ValueError as error:
            first = str(error).splitlines()[1:3]
            raise DataError(
                f"{path}:{number}: not a seed task ({' '.join(part.strip() for part in first)}); expected id, instruction "
                "and instances with input and output"
            ) from error
        tasks.append(Task(seed.id, seed.instruction, seed.instances[0].input, seed.instances[0].output))
    if not tasks:
        raise DataError(f"{path}: no seed tasks in it; expected one JSON object a line")
    return tasks


async def self_instruct(
    seeds: Sequence[Task],
    *,
    count: int,
    language: Language,
    asker: Asker,
    seed: int,
    existing: Iterable[str] = (),
    max_requests: int | None = None,
) -> Augmented:
    """`count` new tasks, or fewer when the writer runs dry: ``self-instruct:1``, ``self-instruct:2`` ...

    Args:
        existing: instructions, besides the seeds', that new ones must not be near.
        max_requests: to send at most; three times what `count` needs when None. A round without a new task ends it too.

    Raises:
        DataError: there are no seeds.
        GenerationError: the writer gave up; what was answered until then is in the ledger.
    """
    if not seeds:
        raise DataError("self-instruct: no seed tasks; expected at least one")
    pool = _Pool([words_of(text) for text in (*(task.instruction for task in seeds), *existing)])
    most = max_requests if max_requests is not None else 3 * -(-count // TASKS_ASKED)
    done = Augmented(pool.made, pool.left_out)
    sent = 0
    while len(pool.made) < count and sent < most:
        size = min(REQUESTS_A_ROUND, most - sent, -(-(count - len(pool.made)) // TASKS_ASKED))
        round_of = [_request(seeds, pool.written, sent + place, language, asker, seed) for place in range(size)]
        sent += size
        asked = [(request, language) for request, _ in round_of]
        answers = await asker.ask_all(asked, NewTasks, kind=SOURCE, label="writing new tasks")
        done = done.plus(answers.augmented([], []))
        before = len(pool.made)
        for request, shown in round_of:
            _take(pool, answers.by_key[request.key], shown, language, asker.writer)
        if len(pool.made) == before:
            break
    return replace(done, conversations=pool.made[:count], left_out=pool.left_out)


def _request(
    seeds: Sequence[Task], written: Sequence[Task], number: int, language: Language, asker: Asker, seed: int
) -> tuple[LLMRequest, list[Task]]:
    """The request with the tasks it shows."""
    choice = random.Random(f"{seed}:self-instruct:{number}")
    some = choice.sample(list(written), min(WRITTEN_SHOWN, len(written)))
    shown = choice.sample(list(seeds), min(SEEDS_SHOWN + WRITTEN_SHOWN - len(some), len(seeds))) + some
    texts: Mapping[str, Any] = wording(language)
    parts = texts["self_instruct"]
    tasks = "\n\n".join(
        fill(
            parts["task"],
            number=place,
            instruction=" ".join(task.instruction.split()),
            input=task.input.strip()[:_SHOWN_CHARACTERS] or parts["nothing"].strip(),
            output=task.output.strip()[:_SHOWN_CHARACTERS],
        )
        for place, task in enumerate(shown, start=1)
    )
    prompt = fill(
        parts["user"],
        shown=len(shown),
        number=number + 1,
        count=TASKS_ASKED,
        language_name=texts["language_name"],
        tasks=tasks,
    )
    return asker.request(parts["system"].strip(), prompt, NewTasks), shown


def _take(pool: _Pool, response: LLMResponse | Refused, shown: Sequence[Task], language: Language, writer: str) -> None:
    """Add to `pool` what passes of an answer, and the reason for everything else."""
    try:
        if isinstance(response, Refused):
            raise response
        tasks = parse(response, NewTasks).tasks
    except Refused as refused:
        pool.num_handed_in += 1
        pool.left_out.append(not_made(Origin(SOURCE, writer, pool.num_handed_in), refused, SOURCE))
        return
    for task in tasks[:TASKS_ASKED]:
        pool.num_handed_in += 1
        origin = Origin(SOURCE, writer, pool.num_handed_in)
        words = words_of(task.instruction)
        try:
            check_task(task, words, pool.instructions, language)
        except Refused as refused:
            pool.left_out.append(not_made(origin, refused, SOURCE))
            continue
        pool.instructions.append(words)
        made = _conversation(task, origin, len(pool.made) + 1, shown, language)
        pool.written.append(Task(made.conversation_id, task.instruction, task.input, task.output))
        pool.made.append(made)


def check_task(task: NewTask, words: Sequence[str], instructions: Iterable[Sequence[str]], language: Language) -> None:
    """Raises `Refused` when `task`, whose instruction has `words`, is not a new one beside `instructions`."""
    if not task.instruction.strip() or not task.output.strip():
        raise Refused(NotMade.EMPTY, task.instruction)
    if len(words) < LEAST_WORDS:
        raise Refused(NotMade.TOO_SHORT, task.instruction)
    if len(words) > MOST_WORDS:
        raise Refused(NotMade.TOO_LONG, f"{len(words)} words, at most {MOST_WORDS}")
    if caseless(task.output) in (caseless(task.input), caseless(task.instruction)):
        raise Refused(NotMade.OUTPUT_IS_INPUT, task.output)
    if found := other_language(task.instruction, language):
        raise Refused(NotMade.OTHER_LANGUAGE, f"{found}, not {language}")
    nearest = max((rouge_l(words, other) for other in instructions), default=0.0)
    if nearest >= ROUGE_LIMIT:
        raise Refused(NotMade.NEAR_EXISTING, f"ROUGE-L {nearest:.3f}: {task.instruction}")


def _conversation(
    task: NewTask, origin: Origin, number: int, shown: Sequence[Task], language: Language
) -> Conversation:
    content = task.instruction.strip()
    if task.input.strip():
        content += f"\n\n{task.input.strip()}"
    return Conversation(
        f"{SOURCE}:{number}",
        origin,
        (Message("user", content), Message("assistant", task.output.strip())),
        language=language,
        fields={"augmented": SOURCE, "from": [each.task_id for each in shown]},
    )
