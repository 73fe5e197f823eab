"""What a reviewer tried in order to lose money, work or trust: the real SDKs over loopback, one run after the other."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scripted_answers import offline_answer
from scripted_provider import ProviderRequest, ScriptedProvider

import groundtune.llm.dispatch.pacing as pacing
from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, GenerationConfig, RunOptions, load_config
from groundtune.errors import ConfigError, DataError, GenerationError
from groundtune.generation import Asking, BatchesOutError, Generated, generate, look_ahead
from groundtune.generation.batches import batches_out, run_in_batches
from groundtune.generation.running.unfinished import NOT_JUDGED, PREMISES_NOT_YET
from groundtune.llm import AccountFailure, Ledger
from groundtune.types import Chunk, Group, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
PRICE = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75, "batch_discount": 0.5}
THINGS = ("Makara", "Fatura", "Teklif", "Rota", "Rezervasyon", "Depo", "Sevkiyat", "Numune")


def make_chunk(number: int, years: int = 0) -> Chunk:
    thing = THINGS[number]
    text = (
        f"## {thing}\n\n{thing} numarası, kaydın açıldığı günü gösteren {number + 3} haneli koddur. {thing} kayıtları "
        f"{years or number + 20} yıl saklanır. {thing} satırları `TBL_{number:03d}` tablosunda tutulur."
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    trail = ("Stok", "Kayıtlar", thing)
    return Chunk(
        f"c{number}", "Stok", "Kayıtlar", thing, trail, "tr", text, 60, False, False, (), (), 2, "a.md", 1, 3, sha256
    )


CHUNKS = [make_chunk(number) for number in range(len(THINGS))]
GROUPS = [
    Group(f"individual-tr-{number:04d}", Rule.INDIVIDUAL, chunk.section_heading, "tr", (chunk.chunk_id,), 60)
    for number, chunk in enumerate(CHUNKS, start=1)
]


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "FIRST_WAIT_SECONDS", 0.01)
    assert run_in_batches.__kwdefaults__ is not None
    monkeypatch.setitem(run_in_batches.__kwdefaults__, "poll_seconds", 0.01)


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def config_for(server: ScriptedProvider, provider: str = "anthropic", **settings: Any) -> GenerationConfig:
    url = server.url if provider == "anthropic" else server.openai_url
    given = {"provider": provider, "model": "scripted-1", "base_url": url, "prices": {"scripted-1": PRICE}}
    return GenerationConfig.model_validate(
        {**given, "min_pairs": 3, "max_pairs": 5, "unanswerable_share": 0, **settings}
    )


def judge_at(server: ScriptedProvider, **settings: Any) -> dict[str, Any]:
    return {
        "provider": "anthropic",
        "model": "judge-1",
        "base_url": server.url,
        "prices": {"judge-1": PRICE},
        **settings,
    }


def run(
    ledger: Path,
    config: GenerationConfig,
    *,
    told: list[str] | None = None,
    groups: Sequence[Group] = GROUPS,
    chunks: Sequence[Chunk] = CHUNKS,
    **options: bool,
) -> Generated:
    return generate(
        groups,
        chunks,
        config=config,
        prompts=PROMPTS,
        ledger=ledger,
        nearest=lambda chunk, count: [],
        seed=3,
        options=RunOptions(**options),
        tell=(told if told is not None else []).append,
    )


def run_until_collected(ledger: Path, config: GenerationConfig, **options: Any) -> tuple[Generated, int]:
    """The same command again and again, as a person does who does not wait; and how often it was called."""
    for calls in range(1, 12):
        try:
            return run(ledger, config, **options), calls
        except BatchesOutError:
            continue
    raise AssertionError("batches are submitted for ever")


def spent(ledger: Path) -> float:
    with Ledger(ledger) as book:
        return book.spending.at_most


# -- batches


def test_what_is_out_in_a_batch_is_not_asked_live_and_paid_for_twice(ledger: Path) -> None:
    with ScriptedProvider(batch_polls=3) as server:
        with pytest.raises(BatchesOutError, match="8 requests are with the provider"):
            run(ledger, config_for(server, batch=True))
        with pytest.raises(BatchesOutError, match="paid for twice"):
            run(ledger, config_for(server))
        assert set(server.log.calls()) == {"batch_create ok", "batch_retrieve ok"}
        made, _ = run_until_collected(ledger, config_for(server, batch=True))
        assert run(ledger, config_for(server)).pairs == made.pairs
    assert server.log.attempts == 8


def test_batches_of_a_model_that_is_not_configured_any_more_are_told_and_do_not_stop_the_others(ledger: Path) -> None:
    with ScriptedProvider(batch_polls=9) as server:
        with pytest.raises(BatchesOutError):
            run(ledger, config_for(server, batch=True))
        for config in (config_for(server, "openai"), GenerationConfig(min_pairs=3)):
            told: list[str] = []
            assert run(ledger, config, told=told).pairs
            assert any("batch msgbatch_0001 of anthropic/scripted-1 with 8 requests is out" in line for line in told)


@pytest.mark.parametrize(("provider", "refuses"), [("openai", "json_schema"), ("anthropic", "forced_tool")])
@pytest.mark.parametrize("wait", [True, False])
def test_a_batch_that_is_refused_for_its_form_is_learned_from_by_one_request(
    ledger: Path, provider: str, refuses: str, wait: bool
) -> None:
    told: list[str] = []
    with ScriptedProvider(refuses=[refuses]) as server:
        made, _ = run_until_collected(ledger, config_for(server, provider, batch=True), told=told, wait=wait)
        calls = server.log.calls()
        assert sum(count for call, count in calls.items() if call.startswith("batch_create")) == 2
        live = [event for event in server.log.events if event["event"] == "request" and not event["batch"]]
        assert len(live) == 1
        assert server.log.answered == 8
        assert server.log.answered_twice() == []
    assert len([line for line in told if "a batch was refused as a whole" in line]) == 1
    assert made.result.counts["groups"] == 8
    assert "groups unanswered" not in made.result.counts


def test_a_model_that_is_known_to_refuse_the_form_is_asked_one_request_first_in_a_later_run(ledger: Path) -> None:
    with ScriptedProvider(refuses=["json_schema"]) as server:
        config = config_for(server, "openai", batch=True)
        run_until_collected(ledger, config, groups=GROUPS[:4])
        before = server.log.calls()["batch_create ok"]
        run_until_collected(ledger, config)
        assert server.log.calls()["batch_create ok"] == before + 1
        assert server.log.calls()["chat 400"] == 2


def test_a_form_that_is_fixed_by_the_configuration_is_not_tried_again_and_again(ledger: Path) -> None:
    with ScriptedProvider(refuses=["json_schema"]) as server:
        config = config_for(server, "openai", batch=True, structured="schema")
        with pytest.raises(BatchesOutError):
            run(ledger, config)
        with pytest.raises(AccountFailure, match="set structured to auto"):
            run(ledger, config)
        assert server.log.calls()["batch_create ok"] == 1
    assert spent(ledger) == 0


def test_a_submission_of_which_nobody_knows_is_told_though_the_command_ends_early(ledger: Path) -> None:
    told: list[str] = []
    with ScriptedProvider(call_faults={"batch_create": ["reset"]}) as server:
        with pytest.raises(BatchesOutError, match="not confirmed yet"):
            run(ledger, config_for(server, batch=True), told=told)
        assert any("the same command looks for it again" in line for line in told)
        run_until_collected(ledger, config_for(server, batch=True))
        assert server.log.calls()["batch_create reset"] == 1
        assert "batch_create ok" not in server.log.calls()


def test_a_batch_service_that_is_away_says_so_and_what_is_kept(ledger: Path) -> None:
    with ScriptedProvider() as server:
        config = config_for(server, batch=True)
    waits: list[float] = []
    with pytest.raises(
        GenerationError, match=r"8 of 8 groups have no answer yet \(.*no connection.*everything answered is kept"
    ):
        _without_waiting(waits, lambda: run(ledger, config))
    assert len(waits) == 4
    assert spent(ledger) == 0


def _without_waiting(waits: list[float], work: Callable[[], object]) -> None:
    from groundtune.generation.batches.service import BatchService

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.MonkeyPatch.context() as patch:
        assert BatchService.__init__.__kwdefaults__ is not None
        patch.setitem(BatchService.__init__.__kwdefaults__, "sleep", sleep)
        work()


def test_answers_that_were_collected_when_the_command_began_are_counted(ledger: Path) -> None:
    def unreadable(request: ProviderRequest) -> str:
        return "Hayır." if int(request.key, 16) % 2 and "Hayır." not in request.user else offline_answer(request)

    with ScriptedProvider(answer=unreadable) as server:
        config = config_for(server, batch=True)
        with pytest.raises(BatchesOutError, match=r"^0 answers collected; 8 requests"):
            run(ledger, config)
        with pytest.raises(BatchesOutError, match=r"^8 answers collected; [1-7] requests"):
            run(ledger, config)


def test_what_the_budget_holds_back_is_told_beside_what_is_out(ledger: Path) -> None:
    with ScriptedProvider() as server, pytest.raises(BatchesOutError, match=r"; [1-7] more wait for money"):
        run(ledger, config_for(server, batch=True, budget_dollars=0.2))


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
def test_a_batch_that_the_provider_has_forgotten_does_not_lock_the_ledger_for_ever(ledger: Path, provider: str) -> None:
    with ScriptedProvider(batch_polls=9) as server, pytest.raises(BatchesOutError):
        run(ledger, config_for(server, provider, batch=True))
    reserved = spent(ledger)
    told: list[str] = []
    with ScriptedProvider() as server:
        config = config_for(server, provider, batch=True)
        with pytest.raises(AccountFailure, match=r"there is no batch .*If it is deleted there, --retry-failed counts"):
            run(ledger, config)
        made, _ = run_until_collected(ledger, config, retry_failed=True, told=told)
        assert server.log.answered == 8
    assert made.pairs
    assert any("is lost: " in line for line in told)
    with Ledger(ledger) as book:
        assert book.spending.lost == pytest.approx(reserved)


# -- top-up and retry


def one_pair(request: ProviderRequest) -> str:
    pairs = json.loads(offline_answer(request))["pairs"]
    place = int(request.key, 16) % max(len(pairs), 1)
    return json.dumps({"pairs": pairs[place : place + 1]}, ensure_ascii=False)


def test_a_top_up_in_batches_is_finished_by_the_same_command_and_no_other_is_begun(ledger: Path) -> None:
    with ScriptedProvider(answer=one_pair) as server:
        run(ledger, config_for(server))
        asked = server.log.attempts
        config = config_for(server, batch=True)
        with pytest.raises(BatchesOutError):
            run(ledger, config, top_up=True)
        topped = server.log.attempts
        assert topped > asked
        run(ledger, config, top_up=True)
        assert server.log.attempts == topped
        with Ledger(ledger) as book:
            assert list(book.notes("begun")) == []


@pytest.mark.parametrize("batch", [True, False])
def test_failures_are_retried_once_a_command_however_often_it_is_left(ledger: Path, batch: bool) -> None:
    with ScriptedProvider(faults=lambda request: "refusal") as server:
        run(ledger, config_for(server))
        config = config_for(server, batch=batch)
        made, calls = run_until_collected(ledger, config, retry_failed=True)
        assert calls == (2 if batch else 1)
        assert server.log.attempts == 16
        assert made.result.counts["groups unanswered"] == 8
        run_until_collected(ledger, config, retry_failed=True)
        assert server.log.attempts == 24, "asked for a second time, it is done a second time"


# -- what is missing is told, and asked by the same command


def test_a_server_that_gives_no_answer_is_named(ledger: Path) -> None:
    with ScriptedProvider(faults={"500": 1.0}) as server:
        with pytest.raises(
            GenerationError, match=r"8 of 8 groups have no answer yet .*HTTP 500: Internal server error"
        ):
            run(ledger, config_for(server, max_attempts=2))
        told: list[str] = []
        made = run(ledger, config_for(server, max_attempts=2, allow_incomplete=True), told=told)
    assert made.result.skips["not answered yet"] == 8
    assert any("HTTP 500" in line and "allow_incomplete" in line for line in told)


def premises(request: ProviderRequest) -> str:
    answer = json.loads(offline_answer(request))
    if "assumption" in json.dumps(request.schema):
        for number, pair in enumerate(answer["pairs"]):
            pair["assumption"] = "Kayıtlar silinir."
            pair["question"] = f"Kayıtlar neden her ayın {number + 11}. gününde tamamen silinir ve geri getirilemez?"
    return json.dumps(answer, ensure_ascii=False)


def test_false_premises_that_could_not_be_asked_are_not_silently_left_out(ledger: Path) -> None:
    with ScriptedProvider(answer=premises, after=(10, "no_credit")) as server:
        settings: dict[str, Any] = {"false_premise_share": 0.3, "max_in_flight": 1}
        with pytest.raises(GenerationError, match=r"groups have no false premises yet .*no credit left"):
            run(ledger, config_for(server, **settings))
        told: list[str] = []
        left = run(ledger, config_for(server, allow_incomplete=True, **settings), told=told)
        assert left.result.skips[PREMISES_NOT_YET] > 0
        assert any("no credit left" in line for line in told)
    with ScriptedProvider(answer=premises) as server:
        whole = run(ledger, config_for(server, allow_incomplete=True, **settings))
    assert PREMISES_NOT_YET not in whole.result.skips
    assert sum(bool(pair.assumption) for pair in whole.pairs) > 0


def test_a_part_of_a_group_that_was_given_up_is_counted_though_the_group_has_pairs(ledger: Path) -> None:
    with ScriptedProvider(faults=lambda request: "max_tokens" if request.number == 1 else "refusal") as server:
        made = run(ledger, config_for(server), groups=GROUPS[:1])
    assert made.pairs
    assert made.result.skips["part of a group: the model declined to write about the group"] == 1


DOCUMENT = (
    "# {0}\n\n{0}, fabrikadaki {0} kayıtlarını tutan modüldür. {0} kaydı `TBL_{1}` tablosunda {1} yıl saklanır.\n"
)


def make_project(folder: Path, server: ScriptedProvider, **settings: Any) -> Path:
    (folder / "docs").mkdir()
    for number, thing in enumerate(THINGS, start=5):
        (folder / "docs" / f"{thing}.md").write_text(DOCUMENT.format(thing, number), encoding="utf-8")
    generation = config_for(server, **settings).model_dump(mode="json", exclude_unset=True)
    values = {"project": "p", "workdir": "out", "documents": {"languages": ["tr", "en"]}, "generation": generation}
    path = folder / "groundtune.yaml"
    path.write_text(json.dumps(values), encoding="utf-8")
    return path


def test_the_same_command_asks_what_an_incomplete_run_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from groundtune.cli.stages import bring_up_to

    def command() -> dict[str, Any]:
        bring_up_to("generate", path, None, True, options=RunOptions())
        value = json.loads(capsys.readouterr().out)["stages"][-1]
        assert isinstance(value, dict)
        return value

    with ScriptedProvider(after=(4, "no_credit")) as server:
        path = make_project(tmp_path, server, allow_incomplete=True, max_in_flight=1)
        assert command()["counts"]["groups unanswered"] > 0
    with ScriptedProvider() as server:
        path.write_text(path.read_text().replace(load_config(path).generation.base_url or "", server.url))
        whole = command()
        assert whole["status"] == "done"
        assert "groups unanswered" not in whole["counts"]
        assert command()["status"] == "unchanged"


def test_a_run_without_a_pair_leaves_the_rejected_ones_to_be_looked_at(tmp_path: Path) -> None:
    from groundtune.cli.stages import bring_up_to

    with ScriptedProvider(answer=lambda request: '{"pairs": []}') as server:
        path = make_project(tmp_path, server)
        with pytest.raises(DataError, match="the answers of the model hold none"):
            bring_up_to("generate", path, None, True, options=RunOptions())
    other = tmp_path / "other"
    other.mkdir()

    def english(request: ProviderRequest) -> str:
        answer = json.loads(offline_answer(request))
        for number, pair in enumerate(answer["pairs"]):
            pair["question"] = f"What should the user of the system do before record number {number} is saved and sent?"
        return json.dumps(answer)

    with ScriptedProvider(answer=english) as server:
        path = make_project(other, server)
        with pytest.raises(DataError, match=r"rejected\.jsonl holds what was handed in"):
            bring_up_to("generate", path, None, True, options=RunOptions())
    assert (other / "out" / "generation" / "rejected.jsonl").read_text(encoding="utf-8").count("\n") > 5
    assert not (other / "out" / "generation" / "pairs.jsonl").exists()


# -- money


def test_a_judge_without_a_price_is_found_out_before_anything_is_paid_for(ledger: Path) -> None:
    with ScriptedProvider() as server:
        judge = judge_at(server, base_url="https://judges.example", prices={})
        with pytest.raises(ConfigError, match=r"generation\.judge\.prices\.judge-1"):
            run(ledger, config_for(server, budget_dollars=5.0, judge=judge))
        assert server.log.events == []


def verdicts(request: ProviderRequest) -> str:
    if "supported" in (request.schema or {}).get("properties", {}):
        return json.dumps({"reason": "read", "supported": int(request.key, 16) % 4 > 0})
    return offline_answer(request)


@pytest.mark.parametrize("writer", ["anthropic", "offline"])
def test_what_the_judge_costs_is_part_of_the_price_of_a_pair(ledger: Path, writer: str) -> None:
    with ScriptedProvider(answer=verdicts) as server:
        config = config_for(server, judge=judge_at(server))
        if writer == "offline":
            config = GenerationConfig.model_validate(
                {"min_pairs": 3, "unanswerable_share": 0, "judge": judge_at(server)}
            )
        made = run(ledger, config)
        again = run(ledger, config)
    details = made.result.details
    paid = details["dollars"] + details["dollars_beside"]["judge"]
    assert paid == pytest.approx(spent(ledger), abs=2e-6)
    assert details["dollars_beside"]["judge"] > 0
    assert details["dollars_per_accepted_pair"] == pytest.approx(paid / len(made.pairs), abs=2e-6)
    assert made.record.spent_dollars == pytest.approx(spent(ledger), abs=1e-6)
    assert again.result == made.result


def test_the_estimate_counts_the_verdicts_about_pairs_that_are_there(ledger: Path) -> None:
    with ScriptedProvider(answer=verdicts) as server:
        run(ledger, config_for(server))
        config = config_for(server, judge=judge_at(server))
        asking = Asking.of(GROUPS, CHUNKS, config=config, prompts=PROMPTS, seed=3)
        before = server.log.attempts
        total: Any = look_ahead(asking, ledger)[1]["total"]
        assert server.log.attempts == before
        run(ledger, config)
        assert total["requests"] == server.log.attempts - before > 8
        after: Any = look_ahead(asking, ledger)[1]["total"]
        assert after["requests"] == 0


def test_an_incomplete_judgement_is_told_and_counted(ledger: Path) -> None:
    with ScriptedProvider(answer=verdicts, after=(12, "no_credit")) as server:
        told: list[str] = []
        judge = judge_at(server, max_in_flight=1)
        config = config_for(server, judge=judge, allow_incomplete=True, max_in_flight=1)
        made = run(ledger, config, told=told)
    assert made.result.skips[NOT_JUDGED] > 0
    assert any("pairs are not judged yet" in line and "no credit" in line for line in told)


def test_reservations_of_a_batch_and_its_note_are_written_together_and_stop_at_the_budget(ledger: Path) -> None:
    with Ledger(ledger) as book:
        wanted = {"a": 1.0, "b": 1.0, "c": 5.0, "d": 0.1}
        numbers = book.reserve_all(wanted, budget=3.0, kind="k", name="n", value=dict)
        assert list(numbers) == ["a", "b"]
        assert dict(book.notes("k")) == {"n": numbers}
        assert book.spending.in_flight == 2.0
        assert book.reserve_all({"e": 2.0}, budget=3.0, kind="k", name="m", value=dict) == {}

        def breaks(numbers: object) -> object:
            raise RuntimeError("in the middle")

        with pytest.raises(RuntimeError):
            book.reserve_all({"e": 1.0}, budget=None, kind="k", name="m", value=breaks)
        assert book.spending.in_flight == 2.0
        assert dict(book.notes("k")) == {"n": numbers}
        assert len(book.reserve_all({"e": 9.0}, budget=None, kind="k", name="m", value=dict)) == 1
        assert batches_out(book) == ()


# -- changed settings and documents


def test_a_setting_that_changes_no_request_does_not_tear_off_the_lines_of_groups(ledger: Path) -> None:
    groups = [Group("horizontal_siblings-tr-0001", Rule.HORIZONTAL_SIBLINGS, "x", "tr", ("c0", "c1", "c2"), 180)]
    changed = [make_chunk(0, years=77), *CHUNKS[1:]]
    with ScriptedProvider() as server:
        run(ledger, config_for(server, max_pairs=9), groups=groups)
        run(ledger, config_for(server, max_pairs=8), groups=groups)
        assert server.log.attempts == 1, "three passages never make so many pairs"
        told: list[str] = []
        made = run(ledger, config_for(server, max_pairs=8), groups=groups, chunks=changed, told=told)
        assert server.log.attempts == 2
        assert any("1 changed" in line and "1 passages asked about" in line for line in told)
    assert made.retired


# -- secrets

KEY = "sk-test-4711-abcdefghijklmnop"


@pytest.mark.parametrize("section", ["generation", "generation.judge"])
def test_a_key_where_the_name_of_its_variable_belongs_is_not_shown(tmp_path: Path, section: str) -> None:
    path = tmp_path / "groundtune.yaml"
    values: dict[str, Any] = {"provider": "anthropic", "model": "m"}
    judge = {"judge": {**values, "api_key_env": KEY}} if section.endswith("judge") else {"api_key_env": KEY}
    path.write_text(json.dumps({"generation": {**values, **judge}}), encoding="utf-8")
    with pytest.raises(ConfigError, match="no name of an environment variable") as in_file:
        load_config(path)
    path.write_text(json.dumps({"generation": {**values, "judge": values}}), encoding="utf-8")
    with pytest.raises(ConfigError, match="no name of an environment variable") as override:
        load_config(path, [f"{section}.api_key_env={KEY}"])
    for caught in (in_file, override):
        assert KEY[:12] not in str(caught.value)


@pytest.mark.parametrize("provider", ["anthropic", "openai"])
@pytest.mark.parametrize("batch", [True, False])
def test_a_key_that_an_answer_repeats_is_kept_nowhere(
    ledger: Path, provider: str, batch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GROUNDTUNE_TEST_KEY", KEY)

    def repeats(request: ProviderRequest) -> str:
        answer = json.loads(offline_answer(request))
        answer["pairs"][0]["question"] = f"Anahtar {KEY} mi?"
        return json.dumps(answer, ensure_ascii=False)

    with ScriptedProvider(answer=repeats, api_keys=[KEY]) as server:
        config = config_for(server, provider, batch=batch, api_key_env="GROUNDTUNE_TEST_KEY")
        made, _ = run_until_collected(ledger, config)
    assert made.pairs
    for path in ledger.parent.iterdir():
        assert KEY[:16].encode() not in path.read_bytes()


def test_why_requests_were_refused_is_told(ledger: Path) -> None:
    told: list[str] = []
    with ScriptedProvider(after=(3, "413")) as server:
        made = run(ledger, config_for(server, max_in_flight=1), told=told)
    assert made.result.skips["the request was refused"] == 6
    [line] = [line for line in told if "HTTP 413: Request exceeds the maximum size" in line]
    assert "6 groups" in line


# -- another model


def test_answers_of_another_model_are_not_taken_for_those_of_this_one(ledger: Path) -> None:
    with ScriptedProvider() as server:
        first = run(ledger, config_for(server))
        second = run(ledger, config_for(server, "openai"))
        assert server.log.attempts == 8, "the model's name decides, not the protocol"
        third = run(ledger, config_for(server, model="another"))
        assert server.log.attempts == 16
    assert {pair.writer for pair in first.pairs} == {"anthropic/scripted-1"}
    assert {pair.writer for pair in third.pairs} == {"anthropic/another"}
    assert [replace(pair, writer="", pair_id="") for pair in first.pairs] == [
        replace(pair, writer="", pair_id="") for pair in second.pairs
    ]
