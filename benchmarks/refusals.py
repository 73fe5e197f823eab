"""How many refusals in a model's own words are recognised, and how many answers are taken for one.

    python benchmarks/refusals.py [--data DATA]

The sentences below benchmarks/refusals were written for this, 75 refusals and 75 answers that look like one in each file. Those of
`*_seen` were at hand when the rules were written; those of `*_unseen` were counted a few times on the way and never read, so
they are the figure to go by until somebody reads them. DATA, where given, holds qa_xquad and qa_policyqa: every reference answer
in them with its question, none of which refuses.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from groundtune.evaluation.measures.refusals import refuses_in_other_words

WRITTEN = Path(__file__).parent / "refusals"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    given = parser.parse_args()
    for file in sorted(WRITTEN.glob("*.jsonl")):
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        found = _taken((row["question"], row["answer"]) for row in rows if row["refuses"])
        wrong = _taken((row["question"], row["answer"]) for row in rows if not row["refuses"])
        refusals = sum(row["refuses"] for row in rows)
        sys.stdout.write(
            f"{file.stem:10}  found {found} of {refusals}, taken for one {wrong} of {len(rows) - refusals}\n"
        )
    if given.data:
        for name in ("qa_xquad/xquad.tr.json", "qa_xquad/xquad.en.json", "qa_policyqa/data/dev.json"):
            pairs = list(_references(given.data / name))
            began = time.process_time()
            wrong = _taken(pairs)
            seconds = time.process_time() - began
            sys.stdout.write(
                f"{name}  taken for one {wrong} of {len(pairs):,}, {len(pairs) / seconds:,.0f} answers/s\n"
            )


def _taken(pairs: Iterable[tuple[str, str]]) -> int:
    return sum(refuses_in_other_words(answer, question) for question, answer in pairs)


def _references(path: Path) -> Iterator[tuple[str, str]]:
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                yield from {(question["question"], each["text"]) for each in question["answers"]}


if __name__ == "__main__":
    main()
