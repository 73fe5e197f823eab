"""Brief answers: the wish and the answer fit each other, and nothing is said that was not said before."""

import asyncio
import json
import re
from functools import partial
from pathlib import Path

import pytest

from groundtune.config import WriterConfig
from groundtune.dataset import augment
from groundtune.dataset.augment import Asker, NotMade
from groundtune.llm import Ledger, LLMResponse
from groundtune.llm.dispatch import Dispatcher
from groundtune.types import Conversation, Message, Origin

CONFIG = WriterConfig(provider="openai", model="rules", base_url="http://127.0.0.1:9/v1")
ANSWER = (
    "Goods receipts are posted by the warehouse clerk on ramp 12 as soon as the pallets have been counted. The clerk "
    "compares the delivery note with the purchase order, notes every difference, and sends the signed note to purchasing "
    "in Izmir, where it is kept for ten years together with the invoice of the supplier and the photos of the damage."
)
WORDS = re.compile(r"At most (\d+) words")


class RuleWriter:
    """A client that answers with what `reply` makes of the number of words asked for."""

    model = "rules"
    writer = "rules/1"

    def __init__(self, reply):
        self.reply, self.prompts = reply, []

    async def complete(self, request):
        self.prompts.append(request.prompt)
        text = json.dumps({"answer": self.reply(int(WORDS.search(request.prompt)[1]))})
        return LLMResponse(text, 5, 7, "end", self.model)


def ask(kind, client, book=None, **options):
    """Through a dispatcher, with a ledger of its own unless there is one."""

    async def work(ledger):
        asker = Asker(client, Dispatcher(client, ledger, config=CONFIG), CONFIG)
        return await kind(asker=asker, **options)

    if book is not None:
        return asyncio.run(work(book))
    with Ledger(Path(":memory:")) as own:
        return asyncio.run(work(own))


def make_brief(rows, *, client, **options):
    return ask(partial(augment.make_brief, rows), client, **options)


def row(number, answer=ANSWER, **more):
    messages = (
        Message("system", "You help."),
        Message("user", "Hello."),
        Message("assistant", "Hello, what is it?"),
        Message("user", "Who posts goods receipts?\n"),
        Message("assistant", answer, **more),
    )
    return Conversation(f"a:{number}", Origin("a", "a.json", number), messages, language="en")


def first_words(words):
    return " ".join(ANSWER.split()[:words])


def test_the_wish_is_added_and_the_answer_keeps_to_it():
    client = RuleWriter(first_words)
    done = make_brief([row(1)], client=client, seed=1)
    [made] = done.conversations
    assert made.messages[:3] == row(1).messages[:3]
    question, wish = made.messages[3].content.split("\n")
    assert question == "Who posts goods receipts?"
    [most] = map(int, re.findall(r"\d+", wish))
    assert most == len(ANSWER.split()) // 3 // 5 * 5
    assert made.messages[4].content == first_words(most)
    assert wish in client.prompts[0]
    assert made.fields == {"augmented": "brief", "from": "a:1"}
    assert (done.asked, done.input_tokens, done.output_tokens) == (1, 5, 7)


def test_the_wish_is_worded_in_several_ways_by_seed():
    rows = [row(number) for number in range(30)]

    def wishes(seed):
        done = make_brief(rows, client=RuleWriter(first_words), seed=seed)
        return [each.messages[3].content.split("\n")[1] for each in done.conversations]

    assert len(set(wishes(1))) == 3
    assert wishes(1) == wishes(1) != wishes(2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (ANSWER, NotMade.TOO_LONG),
        ("The clerk on ramp 14 posts goods receipts.", NotMade.INVENTED),
        ("The bookkeeper posts goods receipts.", NotMade.NEW_WORDS),
        (" ", NotMade.EMPTY),
    ],
)
def test_what_does_not_pass_is_named(text, reason):
    done = make_brief([row(1)], client=RuleWriter(lambda _: text), seed=1)
    assert [each.reason for each in done.left_out] == [reason]
    assert done.left_out[0].field == "augment brief"


def test_rows_that_are_brief_already_or_hold_code_or_thoughts_are_not_paid_for():
    client = RuleWriter(first_words)
    rows = [row(1, "The warehouse clerk."), row(2, f"{ANSWER}\n```\ncode\n```"), row(3, thinking="Hm.")]
    done = make_brief(rows, client=client, seed=1)
    assert [each.reason for each in done.left_out] == [NotMade.BRIEF_ALREADY, NotMade.UNFIT, NotMade.UNFIT]
    assert client.prompts == []
