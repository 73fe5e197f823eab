"""A project whose pairs a scripted provider writes, and what must hold of every run of it, checked from the outside.

`Work` drives the real command; the rest reads what it left: the ledger, the pairs, and the server's own log. What this module
does not do: start processes or servers (callers hand them in).
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripted_log import Log, Usage
from scripted_requests import key_of

from groundtune.config import load_config
from groundtune.files import read_records
from groundtune.generation.verification import check_pairs, drop_repeated
from groundtune.llm import Ledger
from groundtune.types import Chunk, Group, Pair

PROVIDERS = ("anthropic", "openai")
MODEL = "scripted-1"
PRICE = {"input": 3.0, "output": 15.0, "cache_read": 0.3, "cache_write": 3.75, "batch_discount": 0.5}
"""Dollars a million tokens."""

CONFIGURATION = """\
project: written
workdir: out
seed: 11
documents:
  path: docs
  languages: [tr, en]
  chunk_tokens: 60
generation:
  min_pairs: 3
  max_pairs: 5
"""

TABLE = "| Alan | Açıklama | Uzunluk |\n| --- | --- | --- |\n| Yıl | Üretim yılının son iki hanesi | {a} |\n| Hat | Üretim hattının kodu | {b} |"
TURKISH = (
    """\
# {name}

{name}, fabrikadaki {what} kayıtlarını tutan modüldür. {name} kaydı `TBL_{code}` tablosunda {years} yıl saklanır.

## {name} Açılışı

{name} açılışı, yeni bir {what} kaydının onaya gönderilmesidir. Onay {days} iş günü içinde verilir.

1. {name} ekranını açın ve kayıt numarasını girin.
2. Gelen miktarı tartım fişine göre yazın.
3. Kaydet düğmesine basın; hareket kendiliğinden oluşur.

## {name} Kodu

{name} kodu, bir {what} kaydının hangi hattan geldiğini gösteren koddur. Kod {digits} karakterdir ve elle değiştirilemez.

"""
    + TABLE
)
ENGLISH = """\
# {name}

{name} is the part of the system that keeps the {what} records. Every {what} record stays in the table `TBL_{code}` for {years} years.

## Opening a {name}

Opening is the step in which a new {what} record is sent for approval. Approval takes {days} working days.

- A failed record is tried again after {digits} hours.
- After three failures a message goes to the administrator.
"""
TURKISH_NAMES = (
    "makara", "fatura", "teklif", "rota", "sayım", "rezervasyon", "uygunsuzluk", "sevkiyat", "reçete", "bakım", "numune", "kantar",
)  # fmt: skip
ENGLISH_NAMES = ("work order", "credit note", "price list", "shift plan")


def made_up_documents(turkish: int = 12, english: int = 4) -> dict[str, str]:
    """Markdown by path: each about a thing of its own, with a definition, steps, a table."""
    documents = {}
    for number, what in enumerate((*TURKISH_NAMES[:turkish], *ENGLISH_NAMES[:english])):
        text = TURKISH if number < turkish else ENGLISH
        place = "tr" if number < turkish else "en"
        documents[f"{place}/m{number % 3}/{number:02}.md"] = text.format(
            name=what.title(),
            what=what,
            code=f"{number:03}",
            years=number + 5,
            days=number + 2,
            digits=number + 9,
            a=number + 2,
            b=number + 3,
        )
    return documents


@dataclass(frozen=True)
class Work:
    """A folder with groundtune.yaml and docs/, and the command run in it by a forker (tests/pipeline/conftest.py)."""

    folder: Path
    forker: Any
    provider: str = "anthropic"
    url: str = ""

    @classmethod
    def written(
        cls, folder: Path, forker: Any, documents: Mapping[str, str], configuration: str = CONFIGURATION
    ) -> Work:
        for name, text in documents.items():
            path = folder / "docs" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        (folder / "groundtune.yaml").write_text(configuration, encoding="utf-8")
        return cls(folder, forker)

    def at(self, server: Any, provider: str) -> Work:
        """The same folder, asking `server`."""
        return Work(self.folder, self.forker, provider, server.url if provider == "anthropic" else server.openai_url)

    # -- the command

    def arguments(self, *arguments: str, **settings: Any) -> tuple[str, ...]:
        given = {"provider": self.provider, "model": MODEL, "base_url": self.url, "prices": {MODEL: PRICE}, **settings}
        overrides = [f"generation.{name}={json.dumps(value)}" for name, value in given.items()]
        return (*arguments, *(part for override in overrides for part in ("--set", override)))

    def start(self, verb: str = "generate", *flags: str, first: str = "", **settings: Any) -> Any:
        return self.forker.start(self.folder, self.arguments(verb, *flags, **settings), stdin="", first=first)

    def call(self, verb: str = "generate", *flags: str, first: str = "", **settings: Any) -> Any:
        return self.start(verb, *flags, first=first, **settings).end()

    def succeed(self, verb: str = "generate", *flags: str, **settings: Any) -> Any:
        done = self.call(verb, *flags, **settings)
        assert done.status == 0, f"{verb} {' '.join(flags)} ended with {done.status}:\n{done.err}"
        return done

    # -- what it left

    @property
    def generation(self) -> Path:
        return self.folder / "out" / "generation"

    @property
    def ledger(self) -> Path:
        return self.generation / "ledger.sqlite"

    @property
    def made(self) -> dict[str, bytes]:
        """The files of the stage that depend on answers alone."""
        names = ("pairs.jsonl", "rejected.jsonl", "retired.jsonl", "coverage.json", "manifest.json")
        return {name: (self.generation / name).read_bytes() for name in names}

    @property
    def manifest(self) -> dict[str, Any]:
        value = json.loads((self.generation / "manifest.json").read_text(encoding="utf-8"))
        assert isinstance(value, dict)
        return value

    @property
    def record(self) -> dict[str, Any]:
        value = json.loads((self.generation / "last_run.json").read_text(encoding="utf-8"))
        assert isinstance(value, dict)
        return value

    @property
    def chunks(self) -> list[Chunk]:
        return read_records(self.folder / "out" / "documents" / "chunks.jsonl", Chunk)

    @property
    def groups(self) -> list[Group]:
        return read_records(self.folder / "out" / "grouping" / "groups.jsonl", Group)

    @property
    def pairs(self) -> list[Pair]:
        return read_records(self.generation / "pairs.jsonl", Pair)

    def rows(self, name: str) -> list[dict[str, Any]]:
        lines = (self.generation / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def at_most(self) -> float:
        """What the ledger says that its provider can ask for."""
        with Ledger(self.ledger) as book:
            return book.spending.at_most

    def answered_keys(self) -> set[str]:
        """Of the answers in the ledger, as the server names them; read without leaving a trace beside a file that was killed."""
        if not self.ledger.exists():
            return set()
        query = "SELECT model, text, prompt FROM answers JOIN texts ON sha256 = system_sha256"
        with closing(sqlite3.connect(self.ledger)) as connection:
            try:
                return {key_of(*row) for row in connection.execute(query)}
            except sqlite3.OperationalError:  # killed before it had its tables
                return set()


def bill(log: Log, price: Mapping[str, float] = PRICE) -> float:
    """Dollars by the server's own books."""
    live = sum(_dollars(usage, price) for usage in log.billed.values())
    return live + (1 - price["batch_discount"]) * sum(
        _dollars(usage, price) for usage in log.billed_in_batches.values()
    )


def _dollars(usage: Usage, price: Mapping[str, float]) -> float:
    return sum(getattr(usage, kind) * price[kind] for kind in ("input", "output", "cache_read", "cache_write")) / 1e6


def assert_groups_add_up(work: Work) -> Counter[str]:
    """Every group is answered or has failed for a reason; the reasons. All figures of the manifest are counted again."""
    manifest = work.manifest
    details, counts = manifest["details"], manifest["counts"]
    unanswered = Counter(details["unanswered"])
    assert counts["groups"] == len(work.groups) == details["groups_answered"] + unanswered.total()
    assert counts.get("groups unanswered", 0) == unanswered.total()
    pairs = work.pairs
    assert counts["pairs"] == len(pairs) == counts["answerable"] + counts["unanswerable"]
    assert (
        counts["answerable"]
        == sum(pair.answerable for pair in pairs)
        == sum(row["pairs"] for row in details["by_rule"])
    )
    reasons = Counter(row["reason"] for row in work.rows("rejected"))
    assert reasons == Counter(details["rejections"])
    assert details["rejected"] == reasons.total()
    return unanswered


def assert_pairs_are_valid(work: Work) -> None:
    """Every pair that was handed on passes all checks when it is handed in again, by itself and among the others."""
    config = load_config(work.folder / "groundtune.yaml")
    chunks = {chunk.chunk_id: chunk for chunk in work.chunks}
    groups = {group.group_id: group for group in work.groups}
    pairs = work.pairs
    assert pairs
    assert len({pair.pair_id for pair in pairs}) == len(pairs)
    for pair in pairs:
        for item in pair.evidence:
            assert chunks[item.chunk_id].text[item.start : item.end] == item.quote
        if not pair.answerable:
            _assert_refuses(pair, config.prompts[pair.language].refusal)
            continue
        group = groups[pair.group_id]
        again, rejections = check_pairs(
            [_handed_in(pair, group)],
            group,
            [chunks[chunk_id] for chunk_id in group.chunk_ids],
            config=config.generation,
            languages=tuple(config.prompts),
            writer=pair.writer,
        )
        assert not rejections, (pair.pair_id, rejections)
        assert again == [pair]
    _, repeated = drop_repeated(
        [pair for pair in pairs if pair.answerable], similarity=config.generation.near_duplicate_similarity
    )
    assert not repeated


def _assert_refuses(pair: Pair, refusal: str) -> None:
    assert pair.answer == refusal
    if pair.assumption:
        assert set(pair.evidence_chunk_ids) <= set(pair.context_chunk_ids)
    else:
        assert not set(pair.evidence_chunk_ids) & set(pair.context_chunk_ids)


def _handed_in(pair: Pair, group: Group) -> dict[str, Any]:
    places = {chunk_id: number for number, chunk_id in enumerate(group.chunk_ids, start=1)}
    evidence = [{"chunk": places[item.chunk_id], "quote": item.quote} for item in pair.evidence]
    return {
        "question": pair.question, "answer": pair.answer, "type": pair.type.value, "difficulty": pair.difficulty.value, "evidence": evidence,
    }  # fmt: skip


def assert_paid_for(work: Work, log: Log, budget: float | None = None) -> None:
    """The server's bill is within what the ledger says at most, and that within the budget."""
    owed, at_most = bill(log), work.at_most()
    assert owed <= at_most + 1e-9, f"the server asks for ${owed:.6f}, the ledger holds ${at_most:.6f}"
    if budget is not None:
        assert at_most <= budget + 1e-9, f"${at_most:.6f} of ${budget:.6f}"


def attempts(log: Log, keys: Iterable[str]) -> dict[str, int]:
    """How often each of the keys was sent to the server so far."""
    return {key: log.keys[key].attempts for key in keys}
