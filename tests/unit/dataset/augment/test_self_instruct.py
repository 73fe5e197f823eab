"""New tasks are new, are of the language asked for, and come again from the record."""

import asyncio
import json
import random
import re
from functools import partial
from pathlib import Path

import pytest

from groundtune.config import WriterConfig
from groundtune.dataset import augment
from groundtune.dataset.augment import Asker, NotMade, Task, read_seed_tasks
from groundtune.dataset.augment.checks import ROUGE_LIMIT, rouge_l
from groundtune.dataset.quality.texts import words_of
from groundtune.errors import DataError
from groundtune.llm import Ledger, LLMResponse
from groundtune.llm.dispatch import Dispatcher

REAL = Path(__file__).parents[5] / "shared/data/instruct_seed/seed_tasks.jsonl"
CONFIG = WriterConfig(provider="openai", model="rules", base_url="http://127.0.0.1:9/v1")
VERBS = [
    "describe",
    "explain",
    "compare",
    "rewrite",
    "shorten",
    "translate",
    "classify",
    "sort",
    "count",
    "praise",
    "doubt",
    "plan",
]
THINGS = [
    "harbours",
    "invoices",
    "bicycles",
    "gardens",
    "bridges",
    "novels",
    "recipes",
    "storms",
    "teachers",
    "clocks",
    "maps",
    "engines",
]
MANNERS = [
    "in rhyme",
    "as a letter",
    "for children",
    "with two reasons",
    "without adjectives",
    "like a lawyer",
    "for a blind reader",
]

SEEDS = [
    Task(f"seed_{n}", f"Say something about number {n} of {n * 7}.", "" if n % 2 else "x", "Yes.") for n in range(12)
]


class RuleWriter:
    """A client that makes up tasks from word lists, by a generator seeded with the prompt."""

    model = "rules"
    writer = "rules/1"

    def __init__(self, reply=None):
        self.reply, self.requests = reply, []

    async def complete(self, request):
        self.requests.append(request)
        choice = random.Random(request.prompt)
        tasks = [self.reply(choice) if self.reply else new_task(choice) for _ in range(5)]
        text = json.dumps({"tasks": tasks})
        return LLMResponse(text, 3, 4, "end", self.model)


def ask(kind, client, book=None, **options):
    """Through a dispatcher, with a ledger of its own unless there is one."""

    async def work(ledger):
        asker = Asker(client, Dispatcher(client, ledger, config=CONFIG), CONFIG)
        return await kind(asker=asker, **options)

    if book is not None:
        return asyncio.run(work(book))
    with Ledger(Path(":memory:")) as own:
        return asyncio.run(work(own))


def self_instruct(seeds, *, client, book=None, **options):
    return ask(partial(augment.self_instruct, seeds), client, book, **options)


def new_task(choice):
    pick = f"{choice.choice(VERBS)} {choice.choice(THINGS)} and {choice.choice(THINGS)} {choice.choice(MANNERS)}"
    return {"instruction": pick.capitalize() + ".", "input": choice.choice(["", "Some material."]), "output": "A text."}


def make(count, client, book=None, **more):
    options = {"language": "en", "seed": 1} | more
    return self_instruct(SEEDS, count=count, client=client, book=book, **options)


def test_tasks_become_conversations_with_their_examples_named():
    done = make(12, RuleWriter())
    assert [each.conversation_id for each in done.conversations] == [f"self-instruct:{n}" for n in range(1, 13)]
    one = next(each for each in done.conversations if "\n\n" in each.messages[0].content)
    assert one.messages[0].content.endswith(".\n\nSome material.")
    assert one.messages[1].content == "A text."
    assert one.language == "en"
    assert one.fields["augmented"] == "self-instruct"
    assert set(one.fields["from"]) <= {task.task_id for task in SEEDS} | {f"self-instruct:{n}" for n in range(99)}
    assert len(one.fields["from"]) == 8


def test_no_two_instructions_are_near_each_other():
    done = make(60, RuleWriter(), existing=["Describe harbours and gardens in rhyme."])
    said = [words_of(each.messages[0].content.split("\n")[0]) for each in done.conversations]
    said.append(words_of("Describe harbours and gardens in rhyme."))
    nearest = max(rouge_l(one, other) for place, one in enumerate(said) for other in said[:place])
    assert nearest < ROUGE_LIMIT
    assert {each.reason for each in done.left_out} == {NotMade.NEAR_EXISTING}
    assert all(each.found.startswith("ROUGE-L ") for each in done.left_out)


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ({"instruction": SEEDS[3].instruction, "output": "Yes."}, NotMade.NEAR_EXISTING),
        ({"instruction": "Write.", "output": "Yes."}, NotMade.TOO_SHORT),
        ({"instruction": "word " * 151, "output": "Yes."}, NotMade.TOO_LONG),
        (
            {"instruction": "Copy the following text.", "input": "Some Text", "output": " some text "},
            NotMade.OUTPUT_IS_INPUT,
        ),
        ({"instruction": "Write a poem on rain.", "output": " "}, NotMade.EMPTY),
        (
            {"instruction": "Schreibe bitte ein kurzes Gedicht über den Regen im Herbst.", "output": "Ja."},
            NotMade.OTHER_LANGUAGE,
        ),
        ({"instruction": "Write a poem on rain."}, NotMade.NOT_OF_FORM),
        ({"instruction": "Write a poem on rain.", "output": 5}, NotMade.NOT_OF_FORM),
    ],
)
def test_what_does_not_pass_is_named_and_a_barren_round_ends_it(task, reason):
    client = RuleWriter(lambda _: task)
    done = make(100, client)
    assert done.conversations == []
    assert {each.reason for each in done.left_out} == {reason}
    assert len(client.requests) == 8


def test_written_tasks_are_shown_in_later_rounds():
    client = RuleWriter()
    make(60, client)
    shown = [re.findall(r"instruction: (.*)", request.prompt) for request in client.requests]
    seeds = {task.instruction for task in SEEDS}
    assert all(set(some) <= seeds for some in shown[:8])
    assert all(len(set(some) - seeds) == 2 for some in shown[8:])
    assert {len(some) for some in shown} == {8}


def test_the_bound_on_requests_holds():
    client = RuleWriter()
    make(1000, client, max_requests=11)
    assert len(client.requests) == 11


def test_a_run_that_stopped_goes_on_from_the_record(tmp_path):
    whole = make(60, RuleWriter())
    with Ledger(tmp_path / "a.sqlite") as book:
        make(30, RuleWriter(), book)
        before = len(book)
        assert before
        client = RuleWriter()
        again = make(60, client, book)
        assert len(client.requests) == again.asked == len(book) - before
    assert again.conversations == whole.conversations
    assert again.left_out == whole.left_out


def test_turkish_tasks_are_asked_for_in_turkish():
    client = RuleWriter(
        lambda _: {"instruction": "Yağmur üzerine kısa ve kafiyeli bir şiir yazar mısın?", "output": "Evet."}
    )
    done = make(1, client, language="tr")
    assert client.requests[0].system.startswith("İnsanların bir yapay zekâ asistanına")
    assert "dili Türkçe olsun" in client.requests[0].prompt
    assert [each.language for each in done.conversations] == ["tr"]


@pytest.mark.skipif(not REAL.is_file(), reason="needs shared/data")
def test_the_classic_seed_tasks_are_read_whole():
    seeds = read_seed_tasks(REAL)
    assert len(seeds) == 175
    assert seeds[1].input == "Night : Day :: Right : Left"
    client = RuleWriter()
    done = self_instruct(seeds, count=20, language="en", client=client, seed=1)
    assert len(done.conversations) == 20


def test_a_seed_file_of_another_form_is_named(tmp_path):
    path = tmp_path / "seeds.jsonl"
    good = '{"id": "s", "instruction": "i", "instances": [{"input": "", "output": "o"}], "name": "n"}'
    path.write_text(f'{good}\n{{"id": "s", "instruction": "i", "instances": []}}\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"seeds\.jsonl:2: not a seed task \(instances"):
        read_seed_tasks(path)
    path.write_text("\n", encoding="utf-8")
    with pytest.raises(DataError, match="no seed tasks in it"):
        read_seed_tasks(path)
    with pytest.raises(DataError, match="no seed tasks"):
        self_instruct([], count=1, language="en", client=RuleWriter(), seed=1)
