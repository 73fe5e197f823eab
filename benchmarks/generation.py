"""How fast, how soon and how lean pairs are asked for: the real command and SDKs against a local server with scripted latency.

``python benchmarks/generation.py`` measures three things, each in processes of their own, and prints tables (``--json``: one
JSON object):

- throughput: answers a second with one second of latency and 64 requests in flight, as a share of the ideal (requests / 64 s),
  from the first request that reaches the server to the last answer that leaves it;
- start: from the start of the command to the first request at the server, when all but ten of the groups are answered;
- memory: the highest resident set of the process that generates, with few and with many pairs a group.

The groups are made up, and the answers canned (a pair a sentence), because what is measured is everything around them. What
this script does not do: measure a provider.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from scripted_log import Log
from scripted_process import ProviderProcess
from scripted_requests import ProviderRequest

from groundtune.llm import parse_task

THINGS = ("makara", "fatura", "teklif", "rota", "sayım", "rezervasyon", "uygunsuzluk", "sevkiyat", "reçete", "bakım")
SENTENCES = 14
"""In a group: its context is about 450 tokens."""
UNANSWERED = 10
TARGETS = {"throughput": 0.95, "start": 2.0, "memory": 300.0}

CONFIGURATION = """\
project: bench
workdir: out
documents: {{path: chunks.jsonl, languages: [tr, en]}}
grouping: {{rules: [individual]}}
generation: {{min_pairs: {pairs}, max_pairs: {pairs}, unanswerable_share: 0}}
"""

Line = dict[str, Any]


def passage(number: int) -> list[str]:
    """Sentences that say each something else, also from group to group."""
    thing = THINGS[number % len(THINGS)]
    return [
        f"`TBL_{number:05}_{place:02}` tablosu, {thing} kayıtlarının {place + 3}. alanını {number % 300 + place + 20} gün saklar ve her "
        "akşam merkez arşivine aktarır."
        for place in range(SENTENCES)
    ]


def answer(request: ProviderRequest) -> str:
    """As many pairs as the request asks for, each about a sentence of it. Called by the server."""
    sentences = [line for line in request.user.splitlines() if line.startswith("`TBL_")]
    task = parse_task(request.user)
    assert task is not None, "every request about a group has a task line"
    pairs = []
    for sentence in sentences[: task.num_pairs]:
        table, rest = sentence.split(" ", 1)
        pairs.append(
            {
                "question": f"{table} {rest.split(' ', 1)[0].rstrip(',')} hangi kayıtların hangi alanını kaç gün boyunca saklar?",
                "answer": sentence,
                "type": "factual",
                "difficulty": "easy",
                "evidence": [{"chunk": 1, "quote": sentence}],
            }
        )
    return json.dumps({"pairs": pairs}, ensure_ascii=False)


class Bench:
    """A folder for projects, and what the measurements have in common."""

    def __init__(self, folder: Path, python: str) -> None:
        self.folder = folder
        self.python = python
        self._servers = 0

    def project(self, name: str, groups: int, pairs: int) -> Path:
        folder = self.folder / name
        folder.mkdir()
        rows = ({"text": "\n".join(passage(number)), "module": f"M{number % 20}"} for number in range(groups))
        (folder / "chunks.jsonl").write_text(
            "\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8"
        )
        (folder / "groundtune.yaml").write_text(CONFIGURATION.format(pairs=pairs), encoding="utf-8")
        self.call(folder, "group")
        return folder

    def server(self, **script: Any) -> ProviderProcess:
        self._servers += 1
        return ProviderProcess(self.folder / f"log-{self._servers}.jsonl", answer="generation:answer", **script)

    def start(self, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
        with (self.folder / "output.txt").open("w") as output:
            command = [self.python, "-m", "groundtune.cli.main", *arguments]
            return subprocess.Popen(command, cwd=folder, stdout=output, stderr=output)

    def call(self, folder: Path, *arguments: str) -> tuple[float, float]:
        """Seconds and peak resident MB of one command."""
        began = time.time()
        process = self.start(folder, *arguments)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said = (self.folder / "output.txt").read_text()
            raise SystemExit(f"{' '.join(arguments)} ended with {process.returncode}:\n{said}")
        return time.time() - began, usage.ru_maxrss / 1024


def generating(server: ProviderProcess, protocol: str, in_flight: int = 64) -> list[str]:
    """Arguments of the command."""
    url = server.url if protocol == "anthropic" else server.openai_url
    settings = {"provider": protocol, "model": "scripted-1", "base_url": url, "max_in_flight": in_flight}
    return ["generate", *(part for name, value in settings.items() for part in ("--set", f"generation.{name}={value}"))]


def times(log: Log, kind: str) -> list[float]:
    return [event["time"] for event in log.events if event["event"] == kind]


def measure_throughput(bench: Bench, protocol: str, requests: int, in_flight: int, latency: float) -> Line:
    folder = bench.project(f"throughput-{time.monotonic_ns()}", requests, 5)
    with bench.server(latency_seconds=latency) as server:
        seconds, peak = bench.call(folder, *generating(server, protocol, in_flight))
        log = server.log
    spent = max(times(log, "answer")) - min(times(log, "request"))
    ideal = requests / in_flight * latency
    shutil.rmtree(folder)
    return {"seconds": spent, "ideal": ideal, "share": ideal / spent, "command_seconds": seconds, "peak_mb": peak}


def measure_memory(bench: Bench, protocol: str, groups: int, pairs: int) -> tuple[Line, Path]:
    """A whole run; its project stays."""
    folder = bench.project(f"memory-{time.monotonic_ns()}", groups, pairs)
    with bench.server() as server:
        seconds, peak = bench.call(folder, *generating(server, protocol))
        last = max(times(server.log, "answer"))
        finish = time.time() - last
    with (folder / "out" / "generation" / "pairs.jsonl").open("rb") as lines:
        written = sum(1 for _ in lines)
    return {"peak_mb": peak, "pairs": written, "seconds": seconds, "after_last_answer": finish}, folder


def forget_answers(folder: Path) -> None:
    """The project loses its last ten answers, as if it had been killed before them."""
    with closing(sqlite3.connect(folder / "out" / "generation" / "ledger.sqlite")) as book, book:
        last = "SELECT key FROM answers ORDER BY rowid DESC LIMIT ?"
        book.execute(f"DELETE FROM answers WHERE key IN ({last})", (UNANSWERED,))
    (folder / "out" / "generation" / "manifest.json").unlink()


def measure_start(bench: Bench, folder: Path, protocol: str) -> Line:
    """The command is killed before it has an answer, so that it can be measured again."""
    with bench.server(latency_seconds=3600) as server:
        began = time.time()
        process = bench.start(folder, *generating(server, protocol))
        while server.log.attempts < UNANSWERED:
            if process.poll() is not None:
                raise SystemExit(f"the command ended early:\n{(bench.folder / 'output.txt').read_text()}")
            time.sleep(0.1)
        time.sleep(0.5)
        process.kill()
        process.wait()
        log = server.log
    if log.attempts != UNANSWERED:
        raise SystemExit(f"{log.attempts} requests were sent; expected {UNANSWERED}")
    return {"seconds": min(times(log, "request")) - began}


def summary(lines: Iterable[Line]) -> Line:
    """Median, least and greatest of each figure."""
    rows = list(lines)
    return {
        name: {
            "median": round(statistics.median(row[name] for row in rows), 3),
            "least": round(min(row[name] for row in rows), 3),
            "greatest": round(max(row[name] for row in rows), 3),
        }
        for name in rows[0]
    }


def repeat(count: int, measure: Callable[[], Line]) -> Line:
    return summary([measure() for _ in range(count)])


def run(options: argparse.Namespace, bench: Bench) -> Line:
    results: Line = {"machine": machine(), "throughput": {}, "start": {}, "memory": {}}
    for protocol in options.protocols:
        if "throughput" in options.only:
            results["throughput"][protocol] = repeat(
                options.runs, lambda protocol=protocol: measure_throughput(bench, protocol, options.requests, 64, 1.0)
            )
        if not {"start", "memory"} & set(options.only):
            continue
        for pairs in options.pairs:
            line, folder = measure_memory(bench, protocol, options.groups, pairs)
            results["memory"][f"{protocol}, {pairs} pairs a group"] = summary([line])
            if "start" in options.only:
                forget_answers(folder)
                results["start"][f"{protocol}, {pairs} pairs a group"] = repeat(
                    options.runs, lambda folder=folder, protocol=protocol: measure_start(bench, folder, protocol)
                )
            shutil.rmtree(folder)
        if "start" in options.only:
            _, folder = measure_memory(bench, protocol, 2 * UNANSWERED, 5)
            forget_answers(folder)
            results["start"][f"{protocol}, {2 * UNANSWERED} groups"] = repeat(
                options.runs, lambda folder=folder, protocol=protocol: measure_start(bench, folder, protocol)
            )
    results["machine"]["load_after"] = os.getloadavg()[0]
    return results


def machine() -> Line:
    return {"python": platform.python_version(), "cores": os.cpu_count(), "load_before": os.getloadavg()[0]}


def show(results: Line, options: argparse.Namespace) -> None:
    say = sys.stdout.write
    say(f"machine: {results['machine']}\n\n")
    if results["throughput"]:
        say(
            f"| {options.requests} requests, 1 s latency, 64 in flight | share of the ideal | seconds (ideal) | whole command, s |\n|---|---|---|---|\n"
        )
        for name, line in results["throughput"].items():
            say(
                f"| {name} | {_cell(line['share'])} | {_cell(line['seconds'])} ({line['ideal']['median']}) | {_cell(line['command_seconds'])} |\n"
            )
        say(f"\ntarget: {TARGETS['throughput']}\n\n")
    if results["start"]:
        say(f"| all but {UNANSWERED} of {options.groups} groups answered | first request after, s |\n|---|---|\n")
        for name, line in results["start"].items():
            say(f"| {name} | {_cell(line['seconds'])} |\n")
        say(f"\ntarget: {TARGETS['start']} s\n\n")
    if results["memory"]:
        say(
            f"| {options.groups} groups, a whole run | peak MB | pairs | whole command, s | after the last answer, s |\n|---|---|---|---|---|\n"
        )
        for name, line in results["memory"].items():
            cells = (_cell(line[key]) for key in ("peak_mb", "pairs", "seconds", "after_last_answer"))
            say(f"| {name} | {' | '.join(cells)} |\n")
        say(f"\ntarget: {TARGETS['memory']} MB\n")


def _cell(figure: Line) -> str:
    spread = "" if figure["least"] == figure["greatest"] else f" ({figure['least']:g}-{figure['greatest']:g})"
    return f"{figure['median']:g}{spread}"


def main() -> None:
    parser = argparse.ArgumentParser(description="Throughput, start and memory of generation against a local server.")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1920, help="of a throughput run")
    parser.add_argument("--groups", type=int, default=10_000, help="of a run whose start and memory are measured")
    parser.add_argument("--pairs", type=int, nargs="+", default=[5, 12], help="a group")
    parser.add_argument("--protocols", nargs="+", default=["anthropic", "openai"], choices=["anthropic", "openai"])
    parser.add_argument(
        "--only", nargs="+", default=["throughput", "start", "memory"], choices=["throughput", "start", "memory"]
    )
    parser.add_argument("--folder", type=Path, help="for the projects; default: a temporary one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="generation-") as folder:
        results = run(options, Bench(Path(folder), sys.executable))
    if options.json:
        sys.stdout.write(json.dumps(results, indent=2) + "\n")
    else:
        show(results, options)


if __name__ == "__main__":
    main()
