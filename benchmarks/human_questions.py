"""The verdict on questions that people wrote: XQuAD Turkish over retrieved passages, PolicyQA over its own ones.

    python benchmarks/human_questions.py DATA OUT [--only xquad|policyqa]

DATA holds qa_xquad/xquad.tr.json and qa_policyqa/data/dev.json. Each becomes a project below OUT (documents, a training file, a
file of questions, groundtune.yaml) that `groundtune run` is started on: a model of 4 million parameters from scratch, trained on
every other article and asked about the rest. Of XQuAD every sixth article is no document, so its questions have no answer.
Minutes on 4 cores; the figures stand in the report.html of each project.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

UNTOLD = 6
"""Every so many-th article of XQuAD is not among the documents."""

SYSTEM = {
    "tr": "Belge asistanısın. Soruyu verilen bağlamdan yanıtla. Cevap bağlamda yoksa 'Bu konuda bilgim yok.' de.",
    "en": "You answer questions from the context that is given. If the answer is not in it, say 'I have no information about this.'",
}

Article = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=PROJECTS)
    given = parser.parse_args()
    for name, write in PROJECTS.items():
        if given.only in (None, name):
            folder = given.out / name
            folder.mkdir(parents=True, exist_ok=True)
            write(given.data, folder)
            subprocess.run([sys.executable, "-m", "groundtune", "run", "groundtune.yaml"], cwd=folder, check=True)


def xquad(data: Path, folder: Path) -> None:
    """Passages are searched for; questions of articles that are no documents have no answer."""
    articles = json.loads((data / "qa_xquad" / "xquad.tr.json").read_text(encoding="utf-8"))["data"]
    chunks, asked, trained = [], [], []
    for number, article in enumerate(articles):
        told = number % UNTOLD != UNTOLD - 1
        for place, paragraph in enumerate(article["paragraphs"]):
            text = paragraph["context"].strip("\ufeff \n")
            chunk = f"xquad-{number:02d}-{place}"
            if told:
                module = article["title"].replace("_", " ")
                chunks.append({"chunk_id": chunk, "module": module, "language": "tr", "text": text})
            if number % 2 == 0:
                trained.append(_trained(article, place, text, paragraph["qas"], step=1))
            else:
                asked += [_asked(question, chunk if told else None) for question in paragraph["qas"]]
    _write_lines(folder / "questions.jsonl", asked)
    _write_project(folder, chunks, trained, "questions.jsonl", language="tr", share=0.05)


def policyqa(data: Path, folder: Path) -> None:
    """Passages are the file's own, since a question does not say whose policy it means."""
    whole = json.loads((data / "qa_policyqa" / "data" / "dev.json").read_text(encoding="utf-8"))
    articles = whole["data"]
    chunks = [
        {"module": article["title"], "language": "en", "text": paragraph["context"]}
        for article in articles
        for paragraph in article["paragraphs"]
    ]
    trained = [
        _trained(article, place, paragraph["context"], paragraph["qas"][:3], step=3, every=3)
        for article in articles[::2]
        for place, paragraph in enumerate(article["paragraphs"])
    ]
    questions = {"version": whole["version"], "data": articles[1::2]}
    (folder / "questions.json").write_text(json.dumps(questions), encoding="utf-8")
    _write_project(folder, chunks, trained, "questions.json", language="en", share=0.0)


PROJECTS = {"xquad": xquad, "policyqa": policyqa}


def _trained(
    article: Article, place: int, text: str, questions: list[Any], *, step: int, every: int = 1
) -> dict[str, Any]:
    """A paragraph with its questions, and (of `every` so many-th) one of another paragraph, which it does not answer."""
    others = article["paragraphs"][(place + step) % len(article["paragraphs"])]["qas"]
    found = list(questions)
    if place % every == 0 and others[0]["question"] not in {each["question"] for each in questions}:
        missing = {"id": f"{others[0]['id']}-not-here", "question": others[0]["question"], "answers": []}
        found.append(missing | {"is_impossible": True})
    return {"title": article["title"], "paragraphs": [{"context": text, "qas": found}]}


def _asked(question: dict[str, Any], chunk: str | None) -> dict[str, Any]:
    row = {"id": question["id"], "question": question["question"], "language": "tr"}
    if chunk is None:
        return row | {"answerable": False}
    return row | {"answers": sorted({each["text"] for each in question["answers"]}), "evidence": chunk}


def _write_project(
    folder: Path,
    chunks: Sequence[dict[str, Any]],
    trained: Sequence[dict[str, Any]],
    questions: str,
    *,
    language: str,
    share: float,
) -> None:
    _write_lines(folder / "docs.jsonl", chunks)
    (folder / "train.json").write_text(json.dumps({"data": trained}, ensure_ascii=False), encoding="utf-8")
    config = {
        "project": folder.name,
        "workdir": "work",
        "seed": 7,
        "documents": {"path": "docs.jsonl", "languages": [language], "id_prefix": folder.name},
        "generation": {"min_pairs": 2, "max_pairs": 4},
        "dataset": {"max_tokens": 640, "max_context_chunks": 3, "valid_share": share, "test_share": share},
        "data": {
            "sources": [{"path": "train.json", "format": "squad", "language": language}],
            "valid_share": 0.05,
            "max_tokens": 1400,
        },
        "tokenizer": {"vocab_size": 6000},
        "model": {"layers": 4, "width": 256, "heads": 4, "kv_heads": 4, "feed_forward": 512, "context_tokens": 1536},
        "pretrain": {"epochs": 1, "learning_rate": 1e-3},
        "train": {
            "name": "demo",
            "epochs": 2,
            "examples_per_step": 4,
            "learning_rate": 6e-4,
            "drills": 350,
            "max_pack_tokens": 4096,
        },
        "evaluation": {"questions": questions, "max_questions": 240, "max_new_tokens": 48},
        "prompts": {language: {"system": SYSTEM[language]}},
    }
    text = yaml.safe_dump(config, allow_unicode=True, sort_keys=False)
    (folder / "groundtune.yaml").write_text(text, encoding="utf-8")


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
