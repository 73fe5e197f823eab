"""All kinds over real HTTP: the right rows, each request once, within the budget, and nothing near what is held out."""

import json
import random
import re
from pathlib import Path

import pytest
from proving import diagonal
from pydantic import ValidationError
from scripted_provider import ProviderRequest, ScriptedProvider

from groundtune.config import DataConfig, PriceConfig
from groundtune.config.data import AugmentConfig
from groundtune.dataset.augment import Augmented, NotMade, augment, choose_rows
from groundtune.errors import ConfigError, DataError, GenerationError
from groundtune.llm import AccountFailure, BudgetReached, Ledger
from groundtune.types import Conversation, Message, Origin

ANSWER = (
    "Goods receipts are posted by the clerk as soon as the pallets have been counted. The clerk compares the delivery note with "
    "the purchase order, notes every difference, and sends the signed note to purchasing, where it is kept together with the "
    "invoice of the supplier and the photos of the damage for as long as the law demands it of every company."
)
VERBS = ["Describe", "Compare", "Rewrite", "Translate", "Classify", "Praise", "Doubt", "Plan", "Count", "Shorten"]
THINGS = ["harbours", "invoices", "bicycles", "gardens", "bridges", "novels", "recipes", "storms", "clocks", "engines"]
MANNERS = ["in rhyme", "as a letter", "for children", "with two reasons", "like a lawyer", "for a blind reader"]
SEED = {"id": "seed_0", "instruction": "Name a colour.", "instances": [{"input": "", "output": "Red."}]}


def model(request: ProviderRequest) -> str:
    """A model that does what is asked, by rules."""
    known = {key for key in ("instructions", "answer", "tasks") if key in (request.schema or {}).get("properties", {})}
    if known == {"instructions"}:
        asked = re.search(r"----- instruction\n(.*)\n-----", request.user, re.DOTALL)
        assert asked
        return json.dumps({"instructions": [f"Could you tell me this: {asked[1][0].lower()}{asked[1][1:]}"]})
    if known == {"answer"}:
        words = re.search(r"At most (\d+) words", request.user)
        assert words
        return json.dumps({"answer": " ".join(ANSWER.split()[: int(words[1])])})
    choice = random.Random(request.user)
    said = [
        f"{choice.choice(VERBS)} {choice.choice(THINGS)} and {choice.choice(THINGS)} {choice.choice(MANNERS)}."
        for _ in range(5)
    ]
    return json.dumps({"tasks": [{"instruction": each, "input": "", "output": "A text."} for each in said]})


def row(number: int, question: str | None = None, **more: object) -> Conversation:
    asked = Message("user", question or f"Who posts goods receipts on ramp {number}?")
    messages = (asked, Message("assistant", ANSWER))
    return Conversation(f"a:{number}", Origin("a", "a.json", number), messages, **({"language": "en"} | more))  # type: ignore[arg-type]


ROWS = [row(number) for number in range(1, 41)]


@pytest.fixture
def seeds(tmp_path: Path) -> str:
    path = tmp_path / "seeds.jsonl"
    path.write_text(json.dumps(SEED) + "\n", encoding="utf-8")
    return str(path)


def config_for(server: ScriptedProvider, protocol: str = "openai", **keys: object) -> AugmentConfig:
    url = server.url if protocol == "anthropic" else server.openai_url
    return AugmentConfig.model_validate({"provider": protocol, "model": "scripted-1", "base_url": url, **keys})


def run(config: AugmentConfig, folder: Path, rows: list[Conversation] = ROWS, **more: object) -> Augmented:
    return augment(rows, config, ledger=folder / "augment.sqlite", seed=1, resolve=Path, **more)  # type: ignore[arg-type]


KINDS = [
    ({"rephrase_share": 0.5}, {"rephrase rows": 20}),
    ({"brief_share": 0.25}, {"brief rows": 10}),
    ({"self_instruct": 7}, {"self-instruct rows": 7}),
]


@pytest.mark.parametrize(("protocol", "kind"), diagonal(["anthropic", "openai"], KINDS))
def test_each_kind_works_with_each_protocol(
    protocol: str, kind: tuple[dict[str, object], dict[str, int]], tmp_path: Path, seeds: str
) -> None:
    keys, counts = kind
    with ScriptedProvider(answer=model) as server:
        done = run(config_for(server, protocol, seed_tasks=seeds, **keys), tmp_path)
        assert server.log.answered_twice() == []
    assert done.counts == counts
    assert done.asked
    assert done.input_tokens > done.output_tokens > 0


def test_a_second_run_sends_nothing_and_gives_the_same(tmp_path: Path, seeds: str) -> None:
    with ScriptedProvider(answer=model) as server:
        config = config_for(server, rephrase_share=0.3, brief_share=0.3, self_instruct=20, seed_tasks=seeds)
        first = run(config, tmp_path)
        sent = server.log.attempts
        second = run(config, tmp_path)
        assert server.log.attempts == sent == first.asked
    assert (second.asked, second.reused) == (0, first.asked)
    assert second.conversations == first.conversations
    assert second.left_out == first.left_out
    assert second.input_tokens == first.input_tokens
    with Ledger(tmp_path / "augment.sqlite") as book:
        assert set(book.states().values()) == {"complete"}


def test_faults_of_the_server_change_nothing_of_what_is_made(tmp_path: Path, seeds: str) -> None:
    keys = {"rephrase_share": 0.3, "self_instruct": 5, "seed_tasks": seeds}
    with ScriptedProvider(answer=model) as server:
        calm = run(config_for(server, **keys), tmp_path / "calm")
    faults = {"429": 0.1, "500": 0.1, "reset": 0.1}
    with ScriptedProvider(answer=model, faults=faults, seed=3, retry_after_seconds=0.0) as server:
        rough = run(config_for(server, **keys), tmp_path / "rough")
        assert server.log.attempts > rough.asked
        assert server.log.answered_twice() == []
    assert rough.conversations == calm.conversations


def test_a_budget_ends_it_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    prices = {"scripted-1": PriceConfig(input=1, output=10).model_dump()}
    keys = {"rephrase_share": 1, "prices": prices, "max_output_tokens": 100, "max_in_flight": 2}
    with ScriptedProvider(answer=model) as server:
        with pytest.raises(BudgetReached):
            run(config_for(server, budget_dollars=0.01, **keys), tmp_path)
        with Ledger(tmp_path / "augment.sqlite") as book:
            answered, spent = len(book), book.spending.at_most
        assert 0 < answered < len(ROWS)
        assert spent <= 0.01
        done = run(config_for(server, budget_dollars=10, **keys), tmp_path)
        assert done.asked == len(ROWS) - answered
        assert server.log.answered_twice() == []
    assert len(done.conversations) == len(ROWS)


def test_a_budget_without_a_price_names_the_key_to_set(tmp_path: Path) -> None:
    config = AugmentConfig(
        provider="openai",
        model="m",
        base_url="https://gateway.example/v1",
        api_key_env="PATH",
        rephrase_share=1,
        budget_dollars=1,
    )
    with pytest.raises(ConfigError, match=r"data\.augment\.prices\.m"):
        run(config, tmp_path)


def test_a_wrong_key_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUGMENT_KEY", "wrong")
    with ScriptedProvider(answer=model, api_keys=["right"]) as server:
        with pytest.raises(AccountFailure):
            run(config_for(server, rephrase_share=1, api_key_env="AUGMENT_KEY", max_in_flight=1), tmp_path)
        assert server.log.attempts <= 2


def test_what_gets_no_answer_is_named_and_asked_again(tmp_path: Path) -> None:
    with ScriptedProvider(answer=model, faults={"500": 0.4}, seed=2) as server:
        config = config_for(server, rephrase_share=0.5, max_attempts=1)
        with pytest.raises(GenerationError, match=r"rephrasing: \d+ of 20 requests got no answer"):
            run(config, tmp_path)
        with Ledger(tmp_path / "augment.sqlite") as book:
            answered = len(book)
        done = run(config.model_copy(update={"max_attempts": 8}), tmp_path)
    assert 0 < answered < 20
    assert done.reused == answered
    assert len(done.conversations) == 20


@pytest.mark.parametrize(("fault", "reason"), [("refusal", NotMade.DECLINED), ("max_tokens", NotMade.CUT)])
def test_an_answer_that_is_none_is_counted_and_not_asked_again(fault: str, reason: NotMade, tmp_path: Path) -> None:
    with ScriptedProvider(answer=model, faults={fault: 1.0}) as server:
        config = config_for(server, rephrase_share=0.1)
        done = run(config, tmp_path)
        assert run(config, tmp_path).asked == 0
    assert done.skips == {f"augment rephrase: {reason}": 4}


def test_words_around_the_json_are_passed_over(tmp_path: Path) -> None:
    with ScriptedProvider(answer=model, faults={"prose": 1.0}) as server:
        done = run(config_for(server, rephrase_share=0.1), tmp_path)
    assert done.counts == {"rephrase rows": 4}
    assert done.left_out == []


def test_a_new_row_that_is_near_a_held_out_one_is_left_out(tmp_path: Path) -> None:
    held_out = [row(99, "Could you tell me this: who posts goods receipts on ramp 7?")]
    with ScriptedProvider(answer=model) as server:
        done = run(config_for(server, rephrase_share=1), tmp_path, held_out=held_out, near_similarity=1.0)
    assert [each.origin.row for each in done.left_out] == [7]
    assert len(done.conversations) == 39


def test_nothing_wanted_touches_nothing(tmp_path: Path) -> None:
    assert run(AugmentConfig(), tmp_path) == Augmented([], [])
    assert list(tmp_path.iterdir()) == []


def test_rows_are_chosen_by_their_ids_whatever_their_order() -> None:
    config = AugmentConfig(provider="openai", model="m", rephrase_share=0.3, brief_share=0.3)
    chosen = choose_rows(ROWS, config, seed=1)
    turned = choose_rows(ROWS[::-1], config, seed=1)
    ids = {each.conversation_id for each in chosen.rephrase}
    assert ids == {each.conversation_id for each in turned.rephrase}
    assert [each.conversation_id for each in chosen.rephrase] == sorted(ids, key=lambda name: int(name[2:]))
    assert len(ids) == 12
    assert ids != {each.conversation_id for each in chosen.brief}
    assert ids != {each.conversation_id for each in choose_rows(ROWS, config, seed=2).rephrase}
    # a row more takes the place of one at most
    more = choose_rows([*ROWS, row(41)], config, seed=1)
    assert len(ids - {each.conversation_id for each in more.rephrase}) <= 1


def test_repeats_and_rows_that_are_no_plain_instruction_are_never_chosen() -> None:
    origin = Origin("a", "a.json", 50)
    others = [
        Conversation("a:1#2", origin, ROWS[0].messages),
        Conversation("a:51", origin, ROWS[0].messages, fields={"augmented": "brief", "from": "a:1"}),
        Conversation("a:52", origin, text="Raw text."),
        Conversation("a:53", origin, ROWS[0].messages, desired=False),
    ]
    config = AugmentConfig(provider="openai", model="m", rephrase_share=1)
    choice = choose_rows([*others, *ROWS[:3]], config, seed=1)
    assert [each.conversation_id for each in choice.rephrase] == ["a:1", "a:2", "a:3"]
    assert choice.num_plain == 3


def test_new_tasks_are_in_the_language_of_most_rows_unless_one_is_said(tmp_path: Path, seeds: str) -> None:
    rows = [row(n, f"Mal kabulünü {n} numaralı rampada kim yapar?", language="tr") for n in range(5)] + ROWS[:3]
    with ScriptedProvider(answer=model) as server:
        run(config_for(server, self_instruct=1, seed_tasks=seeds), tmp_path / "a", rows)
        run(config_for(server, self_instruct=1, seed_tasks=seeds, language="en"), tmp_path / "b", rows)
        said = [request.user for request in server.requests]
    assert "dili Türkçe olsun" in said[0]
    assert "in English" in said[-1]


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ({"rephrase_share": 0.1}, "data.augment.rephrase_share is 0.1 and data.augment.provider is offline"),
        (
            {"self_instruct": 3, "seed_tasks": "x"},
            "data.augment.self_instruct is 3 and data.augment.provider is offline",
        ),
        ({"provider": "openai", "model": "m", "self_instruct": 3}, "data.augment.seed_tasks is not set"),
        ({"provider": "openai", "brief_share": 0.1}, "model is not set"),
    ],
)
def test_a_section_that_cannot_work_is_refused(keys: dict[str, object], named: str) -> None:
    with pytest.raises(ValidationError) as caught:
        DataConfig.model_validate({"augment": keys})
    assert named in str(caught.value)


def test_seed_tasks_that_are_not_there_are_named_before_anything_is_sent(tmp_path: Path) -> None:
    with ScriptedProvider(answer=model) as server:
        config = config_for(server, rephrase_share=1, self_instruct=3, seed_tasks="missing.jsonl")
        with pytest.raises(DataError, match=r"missing\.jsonl"):
            run(config, tmp_path)
        assert server.log.attempts == 0
