"""The three kinds of augmentation over the training rows, as the configuration asks for them.

What this module does not do: read or write rows, or say which of them are training rows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from groundtune.config.data import AugmentConfig
from groundtune.dataset.augment.asking import Asker
from groundtune.dataset.augment.brief import make_brief
from groundtune.dataset.augment.choosing import Choice, choose_rows
from groundtune.dataset.augment.outcome import Augmented
from groundtune.dataset.augment.rephrase import rephrase
from groundtune.dataset.augment.self_instruct import Task, read_seed_tasks, self_instruct
from groundtune.dataset.quality import decontaminate
from groundtune.llm import Ledger
from groundtune.llm.dispatch import Dispatcher
from groundtune.llm.providers import make_client
from groundtune.types import Conversation, LeftOut


def augment(
    conversations: Sequence[Conversation],
    config: AugmentConfig,
    *,
    ledger: Path,
    seed: int,
    resolve: Callable[[str], Path],
    held_out: Iterable[Conversation] = (),
    near_similarity: float = 0.9,
) -> Augmented:
    """New training rows made from `conversations`. Stopped at any moment and called again, it goes on where it was.

    Args:
        conversations: training rows, and no others; read twice at most.
        ledger: SQLite file of augmentation alone (its budget counts everything in it), made when missing.
        resolve: a path of the configuration to one of this machine.
        held_out: validation and test rows; a new row that is a near copy of one is left out.
        near_similarity: edit similarity from which two prompts are near copies.

    Raises:
        ConfigError: there is a budget and no price for the model.
        DataError: the seed tasks or the ledger cannot be read.
        GenerationError: the account, the budget or the user ended it, or requests got no answer. What was answered is in
            the ledger, and the same call goes on.
        KeyboardInterrupt: likewise.
    """
    if not config.wanted:
        return Augmented([], [])
    seeds: list[Task] = []
    if config.self_instruct and config.seed_tasks is not None:
        seeds = read_seed_tasks(resolve(config.seed_tasks))
    choice = choose_rows(conversations, config, seed=seed)
    made = asyncio.run(_ask(choice, seeds, config, ledger, seed))
    kept: list[Conversation] = []
    left_out = made.left_out.copy()
    for row in decontaminate(made.conversations, held_out, similarity=near_similarity):
        if isinstance(row, LeftOut):
            left_out.append(replace(row, field="augment"))
        else:
            kept.append(row)
    return replace(made, conversations=kept, left_out=left_out)


async def _ask(choice: Choice, seeds: Sequence[Task], config: AugmentConfig, ledger: Path, seed: int) -> Augmented:
    with Ledger(ledger) as book:
        client = make_client(config)
        try:
            dispatcher = Dispatcher(
                client, book, config=config, budget_dollars=config.budget_dollars, seed=seed, section="data.augment"
            )
            asker = Asker(client, dispatcher, config)
            done = await rephrase(choice.rephrase, asker=asker, count=config.rephrase_count, taken=choice.prompts)
            done = done.plus(await make_brief(choice.brief, asker=asker, seed=seed))
            if config.self_instruct:
                tasks = await self_instruct(
                    seeds,
                    count=config.self_instruct,
                    language=config.language or choice.language,
                    asker=asker,
                    seed=seed,
                    existing=choice.instructions,
                )
                done = done.plus(tasks)
            return done
        finally:
            await client.close()
