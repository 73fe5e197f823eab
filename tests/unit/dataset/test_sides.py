"""The two sides of a preference row: the same prompt, what follows it trained, nothing else."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from groundtune.config import DataConfig
from groundtune.dataset.prepared import SIDES, PreferencePairs, pair_up, prepare, side_of
from groundtune.models import train_tokenizer
from groundtune.types import Conversation, Message, Origin, ToolCall

CHATML = (
    "{% for m in messages %}{% if 'forbidden' in m.content %}{{ raise_exception('no') }}{% endif %}"
    "<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
ASKED, CALLED, FOUND = (
    Message("user", "Where is lot 12?"),
    Message("assistant", "Let me look.", tool_calls=(ToolCall("find", "{}"),)),
    Message("tool", "ramp 3"),
)


def said(content: str) -> Message:
    return Message("assistant", content)


def row(number: int, messages: tuple[Message, ...], rejected: tuple[Message, ...]) -> Conversation:
    return Conversation(f"s:{number}", Origin("s", "s.jsonl", number), messages, rejected=rejected)


def both(conversation: Conversation) -> tuple[Conversation, Conversation]:
    [[chosen], [rejected]] = ([*side_of([conversation], side)] for side in SIDES)
    return chosen, rejected


def told(side: Conversation) -> list[tuple[str, str, bool | None]]:
    return [(turn.role, turn.content, turn.train) for turn in side.messages]


def test_turns_that_both_answers_begin_with_are_of_the_prompt() -> None:
    chosen, rejected = both(row(1, (ASKED, CALLED, FOUND, said("Ramp 3.")), (CALLED, FOUND, said("No idea."))))
    prompt = [("user", ASKED.content, None), ("assistant", CALLED.content, False), ("tool", "ramp 3", None)]
    assert told(chosen) == [*prompt, ("assistant", "Ramp 3.", True)]
    assert told(rejected) == [*prompt, ("assistant", "No idea.", True)]


def test_every_answer_keeps_a_turn_of_its_own() -> None:
    chosen, rejected = both(row(1, (ASKED, CALLED), (CALLED, FOUND, said("Ramp 3."))))
    assert [turn for _, _, turn in told(chosen)] == [None, True]
    assert [turn for _, _, turn in told(rejected)] == [None, True, None, True]


@pytest.mark.parametrize(
    "prompt",
    [
        (Message("system", "Greet."),),
        (Message("system", "Be brief."), ASKED),
        (ASKED, said("Ramp 3."), Message("user", "And 13?")),
        (ASKED, Message("system", "Be brief.")),
    ],
)
def test_both_sides_have_the_whole_prompt(prompt: tuple[Message, ...]) -> None:
    # as the reader cuts: behind the last user turn, and without one behind the system prompt
    users = [at for at, turn in enumerate(prompt) if turn.role == "user"]
    kept = users[-1] + 1 if users else len(prompt)
    for side in both(row(1, (*prompt, said("Yes.")), (*prompt[kept:], said("No.")))):
        assert [turn.content for turn in side.messages[:-1]] == [turn.content for turn in prompt]
        assert [turn.train for turn in side.messages if turn.role == "assistant"][-1] is True
        assert not any(turn.train for turn in side.messages[:-1])


def pairs_of(rows: list[Conversation], folder: Path, **settings: object) -> PreferencePairs:
    tokenizer = train_tokenizer(["Where is lot 12? Ramp 3."] * 9, vocab_size=300, chat_template=CHATML)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.eos_token = "<|im_end|>"
    config = DataConfig(**{"max_tokens": 200, "processes": 1, **settings})
    return pair_up(
        *(
            prepare(list(side_of(rows, side)), tokenizer, config, folder=folder / side, key=side, processes=1)
            for side in SIDES
        )
    )


def test_a_row_of_which_the_template_refuses_one_side_leaves_the_others_paired(tmp_path: Path) -> None:
    rows = [row(number, (ASKED, said(f"Ramp {number}.")), (said(f"No {number}."),)) for number in range(6)]
    rows[1] = row(1, rows[1].messages, (said("forbidden"),))
    rows[3] = row(3, (ASKED, said("forbidden")), rows[3].rejected)
    rows[4] = row(4, rows[4].messages, (said("No " * 150),))
    rows[5] = row(5, (Message("user", "forbidden"), said("Yes.")), rows[5].rejected)
    pairs = pairs_of(rows, tmp_path)
    assert (len(pairs.chosen), len(pairs.rejected), pairs.one_sided, pairs.in_parts) == (2, 2, 3, 0)
    for number in range(2):
        ids = [
            side.token_ids[side.offsets[number] : side.offsets[number + 1]] for side in (pairs.chosen, pairs.rejected)
        ]
        shared = len([*itertools.takewhile(lambda two: two[0] == two[1], zip(*ids, strict=False))])
        for side in (pairs.chosen, pairs.rejected):
            weights = side.weights[side.offsets[number] : side.offsets[number + 1]]
            assert np.flatnonzero(weights)[0] <= shared
