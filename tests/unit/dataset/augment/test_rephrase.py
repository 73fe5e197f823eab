"""Other wordings: what passes keeps everything that matters, what does not is named, and nothing is asked twice."""

import asyncio
import json
import re
from functools import partial
from pathlib import Path

import pytest

from groundtune.config import WriterConfig
from groundtune.dataset import augment
from groundtune.dataset.augment import Asker, NotMade
from groundtune.llm import AccountFailure, Ledger, LLMResponse
from groundtune.llm.dispatch import Dispatcher
from groundtune.types import Conversation, Message, Origin, ToolCall

CONFIG = WriterConfig(provider="openai", model="rules", base_url="http://127.0.0.1:9/v1")
INSTRUCTION = re.compile(r"----- (?:instruction|yönerge)\n(.*)\n-----", re.DOTALL)


class RuleWriter:
    """A client that answers by rules: what `reply` makes of the instruction in the prompt."""

    model = "rules"
    writer = "rules/1"

    def __init__(self, reply, stop_reason="end"):
        self.reply, self.stop_reason, self.prompts = reply, stop_reason, []

    async def complete(self, request):
        self.prompts.append(request.prompt)
        reply = self.reply(INSTRUCTION.search(request.prompt)[1])
        text = reply if isinstance(reply, str) else json.dumps({"instructions": reply}, ensure_ascii=False)
        return LLMResponse(text, len(request.prompt), len(text), self.stop_reason, self.model)


def ask(kind, client, book=None, **options):
    """Through a dispatcher, with a ledger of its own unless there is one."""

    async def work(ledger):
        asker = Asker(client, Dispatcher(client, ledger, config=CONFIG), CONFIG)
        return await kind(asker=asker, **options)

    if book is not None:
        return asyncio.run(work(book))
    with Ledger(Path(":memory:")) as own:
        return asyncio.run(work(own))


def rephrase(rows, *, client, book=None, **options):
    return ask(partial(augment.rephrase, rows), client, book, **options)


def row(number, question, answer="Depo görevlisi.", **more):
    messages = (Message("user", question), Message("assistant", answer))
    return Conversation(f"a:{number}", Origin("a", "a.json", number), messages, **({"language": "tr"} | more))


def turned(instruction):
    return [f"Şunu söyler misin: {instruction[0].lower()}{instruction[1:]}"]


def reasons(done):
    return [(each.origin.row, each.reason) for each in done.left_out]


def test_a_wording_takes_the_place_of_the_instruction_and_nothing_else():
    asked = row(1, "Mal kabulü 12 numaralı rampada kim yapar?", fields={"level": 2})
    done = rephrase([asked], client=RuleWriter(turned))
    [made] = done.conversations
    assert made.messages[0].content == "Şunu söyler misin: mal kabulü 12 numaralı rampada kim yapar?"
    assert made.messages[1:] == asked.messages[1:]
    assert made.conversation_id == "a:1~rephrase1"
    assert made.fields == {"level": 2, "augmented": "rephrase", "from": "a:1"}
    assert made.origin == asked.origin


def test_material_and_context_stay_letter_by_letter():
    rows = [
        row(1, "Metni kısaca özetle lütfen.\n\n  Lot 12,\tRaf 7\n", "Özet."),
        row(2, "Lot 12, Raf 7'de durur.\n\nLot numarası kaçtır acaba?\n", "12"),
    ]
    done = rephrase(rows, client=RuleWriter(turned))
    assert [each.messages[0].content for each in done.conversations] == [
        "Şunu söyler misin: metni kısaca özetle lütfen.\n\n  Lot 12,\tRaf 7\n",
        "Lot 12, Raf 7'de durur.\n\nŞunu söyler misin: lot numarası kaçtır acaba?\n",
    ]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (["Mal kabulü rampada kimin görevidir?"], NotMade.LOST),
        (["12 numaralı rampada 3 kişiden hangisi mal kabulü yapar?"], NotMade.INVENTED),
        (["Mal kabulü 12 numaralı rampada kim  yapar ?"], NotMade.SAME_WORDS),
        (["12 " + "uzun " * 60], NotMade.TOO_LONG),
        (["Wer nimmt die Ware an der Rampe mit der Nummer 12 in Empfang?"], NotMade.OTHER_LANGUAGE),
        ([" "], NotMade.EMPTY),
        ([], NotMade.NOT_OF_FORM),
        ('{"instructions": ["a"', NotMade.NOT_OF_FORM),
        ('{"instructions": "a"}', NotMade.NOT_OF_FORM),
        ('{"instructions": ["a"], "note": "b"}', NotMade.NOT_OF_FORM),
    ],
)
def test_what_does_not_pass_is_named(reply, reason):
    asked = row(1, "Mal kabulü 12 numaralı rampada kim yapar?")
    done = rephrase([asked], client=RuleWriter(lambda _: reply))
    assert done.conversations == []
    assert reasons(done) == [(1, reason)]


@pytest.mark.parametrize(("stop", "reason"), [("max_tokens", NotMade.CUT), ("refusal", NotMade.DECLINED)])
def test_an_unfinished_answer_is_not_used(stop, reason):
    done = rephrase([row(1, "Mal kabulü kim yapar?")], client=RuleWriter(turned, stop))
    assert reasons(done) == [(1, reason)]


def test_rows_that_cannot_be_rephrased_are_named_and_not_paid_for():
    call = Message("assistant", "", tool_calls=(ToolCall("f", "{}"),))
    origin = Origin("a", "a.json", 9)
    rows = [
        Conversation("a:9", origin, text="Ham metin."),
        Conversation("a:9", origin, (Message("user", "Bul bakalım şunu."), call)),
        Conversation("a:9", origin, (Message("assistant", "Merhaba."),)),
        Conversation("a:9", origin, (Message("user", "Bul bakalım şunu."),)),
        Conversation("a:9", origin),
        row(9, "Soru sor bana.", rejected=(Message("assistant", "Hayır."),)),
        row(9, "Soru sor bana.", desired=False),
        row(9, "Soru sor bana.", fields={"augmented": "brief", "from": "a:1"}),
        row(9, "   \n "),
    ]
    client = RuleWriter(turned)
    done = rephrase([*rows, row(9, "Özetle bunu.")], client=client)
    assert [each.reason for each in done.left_out] == [NotMade.UNFIT] * len(rows) + [NotMade.NO_WORDS]
    assert client.prompts == []


def test_wordings_that_other_rows_have_are_left_out():
    rows = [row(1, "Mal kabulü kim yapar?"), row(2, "Mal kabulünü yapan kimdir?"), row(3, "Kim mal kabulü yapıyor?")]
    client = RuleWriter(lambda _: ["Mal kabulünü yapan  kimdir?", "Mal kabulünden sorumlu olan kim?"])
    done = rephrase(rows, client=client, count=2)
    assert [each.conversation_id for each in done.conversations] == ["a:1~rephrase2"]
    assert [reason for _, reason in reasons(done)].count(NotMade.REPEATED) == 4
    assert [reason for _, reason in reasons(done)].count(NotMade.SAME_WORDS) == 1


def test_only_as_many_wordings_as_asked_are_taken():
    client = RuleWriter(lambda _: [f"Mal kabulünden sorumlu kişi kimdir{'?' * n}" for n in range(1, 6)])
    done = rephrase([row(1, "Mal kabulü kim yapar?")], client=client, count=2)
    assert [each.conversation_id for each in done.conversations] == ["a:1~rephrase1", "a:1~rephrase2"]


def test_the_prompt_is_in_the_language_of_the_row():
    client = RuleWriter(turned)
    english = row(2, "Who signs the release note?", "The warehouse.", language="en")
    unsaid = row(3, "Sevk irsaliyesini kim imzalar?", "Depo görevlisi imzalar.", language="")
    german = row(4, "Wer unterschreibt den Schein?", "Das Lager.", language="de")
    rephrase([row(1, "Mal kabulü kim yapar?"), english, unsaid, german], client=client)
    assert sorted(prompt.startswith("Çizgiler arasındaki") for prompt in client.prompts) == [False, False, True, True]
    assert sum("the language with the code 'de'" in prompt for prompt in client.prompts) == 1


def test_braces_in_an_instruction_fill_nothing():
    client = RuleWriter(turned)
    rephrase([row(1, "{count} ve {instruction} nedir sence?")], client=client)
    assert "{count} ve {instruction} nedir sence?" in client.prompts[0]


def test_nothing_is_asked_twice_and_the_second_run_gives_the_same(tmp_path):
    rows = [row(number, f"{number} numaralı rampada mal kabulü kim yapar?") for number in range(1, 30)]
    client = RuleWriter(turned)
    with Ledger(tmp_path / "a.sqlite") as book:
        first = rephrase([*rows, *rows[:3]], client=client, book=book)
    assert len(client.prompts) == first.asked == 29
    with Ledger(tmp_path / "a.sqlite") as book:
        second = rephrase([*rows, *rows[:3]], client=client, book=book)
    assert (second.asked, second.reused) == (0, 29)
    assert second.conversations == first.conversations
    assert second.left_out == first.left_out
    assert (second.input_tokens, second.output_tokens) == (first.input_tokens, first.output_tokens)
    assert len(client.prompts) == 29


def test_a_writer_that_gives_up_costs_nothing_that_was_answered(tmp_path):
    rows = [row(number, f"{number} numaralı rampada mal kabulü kim yapar?") for number in range(1, 30)]

    def failing(instruction):
        if instruction.startswith("20 "):
            raise AccountFailure("rules/1: gone for today")
        return turned(instruction)

    with Ledger(tmp_path / "a.sqlite") as book:
        with pytest.raises(AccountFailure, match="gone for today"):
            rephrase(rows, client=RuleWriter(failing), book=book)
        assert len(book) >= 19
        kept = len(book)
        client = RuleWriter(turned)
        done = rephrase(rows, client=client, book=book)
    assert len(client.prompts) == 29 - kept
    assert len(done.conversations) == 29
