"""Rows a second of the data layer: reading, preparing (render, tokenise, mask, write) and the audit.

    .venv/bin/python benchmarks/instruction.py --data alpaca_en_demo.json --rows 50000

The rows are those of an Alpaca file again and again, each with its number added, so that no two are equal; real text learns more
new words and is slower. A tokenizer of 8,000 entries is trained on the file on the spot. Memory is the largest resident set
of this process and of the largest of its copies.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from groundtune.chat import LLAMA3_TEMPLATE
from groundtune.config import DataConfig, SourceConfig
from groundtune.dataset.audit import audit_prepared
from groundtune.dataset.formats import read_source
from groundtune.dataset.prepared import ConversationFile, prepare, prepared_key
from groundtune.files import sha256_file, write_records
from groundtune.models import train_tokenizer
from groundtune.types import Conversation


def numbered(rows: list[dict[str, str]], count: int) -> Iterator[dict[str, str]]:
    for number in range(count):
        row = rows[number % len(rows)]
        yield row | {"instruction": f"{number}. {row['instruction']}"}


def told(name: str, rows: int, began: float) -> None:
    seconds = time.perf_counter() - began
    own, copies = (
        resource.getrusage(who).ru_maxrss // 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    sys.stdout.write(f"{name:28} {rows / seconds:9,.0f} rows/s {seconds:7.1f} s   {own:,} MiB, a copy {copies:,} MiB\n")


def measure(data: Path, count: int, processes: list[int], folder: Path) -> None:
    rows = json.loads(data.read_text(encoding="utf-8"))
    texts = [f"{row['instruction']} {row['input']} {row['output']}" for row in rows]
    tokenizer = train_tokenizer(texts, vocab_size=8000, chat_template=LLAMA3_TEMPLATE)
    source, conversations = folder / "rows.jsonl", folder / "conversations.jsonl"
    write_records(source, numbered(rows, count))
    began = time.perf_counter()
    found = list(read_source(SourceConfig(path=str(source)), folder=folder, registry=None))
    told("read, one process", len(found), began)
    write_records(conversations, (each for each in found if isinstance(each, Conversation)))
    del found
    config = DataConfig()
    key = prepared_key(sha256_file(conversations), tokenizer, config)
    for number in processes:
        began = time.perf_counter()
        prepared = prepare(
            ConversationFile(conversations), tokenizer, config, folder=folder / f"{number}", key=key, processes=number
        )
        told(f"prepare, {number} processes", count, began)
    began = time.perf_counter()
    report = audit_prepared(
        {"train": (ConversationFile(conversations), prepared)},
        tokenizer,
        config,
        rows_read=count,
        processes=processes[-1],
    )
    told(f"audit, {processes[-1]} processes", count, began)
    sys.stdout.write(f"audit {'passed' if report.passed else 'FAILED'}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="rows a second of the data layer")
    parser.add_argument("--data", type=Path, required=True, help="Alpaca-style JSON: instruction, input, output")
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="groundtune-instruction-") as folder:
        measure(options.data, options.rows, options.processes, Path(folder))


if __name__ == "__main__":
    main()
