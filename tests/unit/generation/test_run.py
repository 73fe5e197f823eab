"""The runner: same pairs every time, nothing asked twice, whole after a kill."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT, GenerationConfig
from groundtune.errors import DataError, GenerationError
from groundtune.generation import Generated, generate
from groundtune.generation.running.requesting import RULE_NOT_ASKED
from groundtune.llm import Ledger, LLMClient, LLMRequest, LLMResponse, OfflineWriter
from groundtune.llm.providers import make_client
from groundtune.types import Chunk, Group, Rule

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
THINGS = ["makara", "lot", "sipariş", "fatura", "teklif", "rota", "depo", "sayım", "rezervasyon", "uygunsuzluk"]


def make_chunk(number: int) -> Chunk:
    thing = THINGS[number % len(THINGS)].capitalize().replace("İ", "i")
    text = (
        f"## {thing} {number}\n\n{thing} numarası, kaydın açıldığı günü gösteren {number + 3} haneli koddur. "
        f"{thing} kayıtları {number + 20} yıl saklanır. {thing} satırları `tbl_{number:03d}` tablosunda tutulur."
    )
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    crumbs = ("Stok", "Kayıtlar", f"{thing} {number}")
    return Chunk(
        f"c{number:03d}",
        "Stok",
        "Kayıtlar",
        crumbs[-1],
        crumbs,
        "tr",
        text,
        60,
        False,
        False,
        (),
        (),
        2,
        "a.md",
        1,
        3,
        sha256,
    )


CHUNKS = [make_chunk(number) for number in range(40)]
GROUPS = [
    Group(f"individual-tr-{index:04d}", Rule.INDIVIDUAL, item.section_heading, "tr", (item.chunk_id,), 60)
    for index, item in enumerate(CHUNKS, start=1)
]
GROUPS += [
    Group(
        f"horizontal_siblings-tr-{index:04d}",
        Rule.HORIZONTAL_SIBLINGS,
        "Kayıtlar",
        "tr",
        (CHUNKS[index].chunk_id, CHUNKS[index + 10].chunk_id),
        120,
    )
    for index in range(1, 9)
]


def nearest(home: Chunk, count: int) -> Sequence[Chunk]:
    return [item for item in CHUNKS if item.chunk_id != home.chunk_id][:count]


class CountingWriter(OfflineWriter):
    """The real writer, with a note of every key it was asked for."""

    def __init__(self, fail_after: int | None = None) -> None:
        self.keys: list[str] = []
        self.fail_after = fail_after

    async def complete(self, request: LLMRequest) -> LLMResponse:
        if self.fail_after is not None and len(self.keys) >= self.fail_after:
            raise GenerationError("the writer gave up")
        self.keys.append(request.key)
        return await super().complete(request)


def run(
    ledger: Path,
    client: LLMClient,
    *,
    config: GenerationConfig | None = None,
    groups: Sequence[Group] = GROUPS,
    chunks: Sequence[Chunk] = CHUNKS,
) -> Generated:
    return generate(
        groups,
        chunks,
        config=config or GenerationConfig(),
        prompts=PROMPTS,
        client=client,
        ledger=ledger,
        nearest=nearest,
        seed=7,
    )


def test_two_runs_over_new_ledgers_give_the_same_pairs_and_result(tmp_path: Path) -> None:
    one, two = run(tmp_path / "a.sqlite", OfflineWriter()), run(tmp_path / "b.sqlite", OfflineWriter())
    assert one.pairs == two.pairs
    assert one.result == two.result
    assert len(one.pairs) > 80


def test_pairs_follow_the_order_of_their_groups_and_ids_are_unique(tmp_path: Path) -> None:
    pairs = run(tmp_path / "a.sqlite", OfflineWriter()).pairs
    order = [group.group_id for group in GROUPS]
    places = [order.index(pair.group_id) for pair in pairs if pair.answerable]
    assert places == sorted(places)
    assert len({pair.pair_id for pair in pairs}) == len(pairs)
    assert [pair.answerable for pair in pairs] == sorted((pair.answerable for pair in pairs), reverse=True)


def test_nothing_in_the_ledger_is_asked_again_and_the_result_does_not_tell(tmp_path: Path) -> None:
    first = run(tmp_path / "a.sqlite", OfflineWriter())
    again = CountingWriter()
    second = run(tmp_path / "a.sqlite", again)
    assert again.keys == []
    assert (first.asked, first.reused, second.asked, second.reused) == (48, 0, 0, 48)
    assert second.result == first.result


def test_a_changed_chunk_asks_only_for_its_own_groups_and_leaves_other_ids_alone(tmp_path: Path) -> None:
    everything = GenerationConfig(min_pairs=9, max_pairs=9)
    first = run(tmp_path / "a.sqlite", OfflineWriter(), config=everything)
    changed = list(CHUNKS)
    text = CHUNKS[30].text.replace("50 yıl", "99 yıl")
    changed[30] = replace(CHUNKS[30], text=text, sha256=hashlib.sha256(text.encode()).hexdigest())
    client = CountingWriter()
    second = run(tmp_path / "a.sqlite", client, config=everything, chunks=changed)
    assert len(client.keys) == 1
    before = {pair.pair_id for pair in first.pairs if pair.answerable}
    after = {pair.pair_id for pair in second.pairs if pair.answerable}
    assert len(before - after) == len(after - before) == 1


def test_equal_requests_of_two_groups_are_asked_once(tmp_path: Path) -> None:
    twin = Group("individual-tr-9999", Rule.INDIVIDUAL, "x", "tr", GROUPS[0].chunk_ids, 60)
    client = CountingWriter()
    generated = run(tmp_path / "a.sqlite", client, groups=[GROUPS[0], twin])
    assert len(client.keys) == 1
    assert {pair.group_id for pair in generated.pairs if pair.answerable} == {GROUPS[0].group_id}
    assert generated.result.skips["question and answer repeated from another group"] > 0


def test_rules_that_are_not_asked_are_counted(tmp_path: Path) -> None:
    generated = run(tmp_path / "a.sqlite", OfflineWriter(), config=GenerationConfig(rules=(Rule.HORIZONTAL_SIBLINGS,)))
    assert generated.result.skips[RULE_NOT_ASKED] == 40
    assert generated.asked == 8
    assert all(len(pair.evidence_chunk_ids) >= 2 for pair in generated.pairs)


def test_the_tables_of_the_result_add_up(tmp_path: Path) -> None:
    generated = run(tmp_path / "a.sqlite", OfflineWriter())
    counts, details = generated.result.counts, generated.result.details
    assert counts["pairs"] == len(generated.pairs) == counts["answerable"] + counts["unanswerable"]
    assert sum(row["pairs"] for row in details["by_rule"]) == counts["answerable"]
    assert sum(details["by_type"].values()) == sum(details["by_difficulty"].values()) == counts["pairs"]
    assert details["coverage"] == {"chunks": 40, "cited": 40, "share": 1.0}
    json.dumps(details)


def test_a_writer_that_gives_up_keeps_what_it_had_answered(tmp_path: Path) -> None:
    with pytest.raises(GenerationError, match="gave up"):
        run(tmp_path / "a.sqlite", CountingWriter(fail_after=11))
    client = CountingWriter()
    generated = run(tmp_path / "a.sqlite", client)
    assert len(client.keys) == 48 - 11
    assert generated.pairs == run(tmp_path / "b.sqlite", OfflineWriter()).pairs


def test_a_group_that_names_a_missing_chunk_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"group individual-tr-0001: chunk 'c000'"):
        run(tmp_path / "a.sqlite", OfflineWriter(), chunks=CHUNKS[1:])


def test_a_language_without_a_prompt_section_is_an_error(tmp_path: Path) -> None:
    group = Group("individual-de-0001", Rule.INDIVIDUAL, "x", "de", ("c000",), 60)
    with pytest.raises(DataError, match=r"prompts\.de"):
        run(tmp_path / "a.sqlite", OfflineWriter(), groups=[group])


def test_no_groups_make_no_pairs(tmp_path: Path) -> None:
    generated = run(tmp_path / "a.sqlite", OfflineWriter(), groups=[])
    assert generated.pairs == []


def test_the_default_client_signs_as_what_it_is() -> None:
    assert make_client(GenerationConfig()).writer == "offline-rules/1"


_SLOW_RUN = """
import asyncio, importlib.util, sys
from pathlib import Path

spec = importlib.util.spec_from_file_location("runs", sys.argv[1])
runs = importlib.util.module_from_spec(spec)
spec.loader.exec_module(runs)

class SlowWriter(runs.OfflineWriter):
    async def complete(self, request):
        await asyncio.sleep(0.04)
        return await super().complete(request)

runs.run(Path(sys.argv[2]), SlowWriter())
"""


@pytest.mark.slow
def test_a_run_killed_at_any_moment_continues_to_the_pairs_of_an_unbroken_run(tmp_path: Path) -> None:
    unbroken = run(tmp_path / "whole.sqlite", OfflineWriter())
    ledger = tmp_path / "killed.sqlite"
    for answered in (5, 25):
        process = subprocess.Popen([sys.executable, "-c", _SLOW_RUN, __file__, str(ledger)])
        try:
            _wait_for_answers(ledger, answered, process)
        finally:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    with Ledger(ledger) as book:
        kept = len(book)
    assert 25 <= kept < 48
    client = CountingWriter()
    continued = run(ledger, client)
    assert len(client.keys) == 48 - kept
    assert continued.pairs == unbroken.pairs
    assert continued.result == unbroken.result


def _wait_for_answers(ledger: Path, wanted: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if ledger.exists():
            try:
                with Ledger(ledger) as book:
                    if len(book) >= wanted:
                        return
            except DataError:
                pass  # its tables are being made
        assert process.poll() is None, "the run ended before it could be killed"
        time.sleep(0.005)
    raise AssertionError("no answers within a minute")
