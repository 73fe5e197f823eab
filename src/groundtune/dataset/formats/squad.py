"""Questions over passages in SQuAD's form (XQuAD, PolicyQA), flat or nested, as grounded conversations.

The wording is that of groundtune's own grounded pairs, so such sets practise what an assistant over documents has to do: the
passage, the question, the answer as it stands there; a question the passage does not answer gets the refusal. What this
module does not do: check that answers stand in their passages.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.dataset.formats.reasons import Malformed, Reason, bad_text, shown
from groundtune.dataset.formats.streams import cut_off, open_bytes
from groundtune.language import detect_language
from groundtune.types import Message

PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
MAX_FILE_BYTES = 500_000_000
"""Of a nested file, which is one JSON value and read at once."""

_NESTED = re.compile(rb'^\s*\{(?=.{0,2000}?"(?:data|paragraphs)"\s*:\s*\[).{0,4000}?"paragraphs"', re.DOTALL)


def nested_rows(path: Path) -> Iterator[tuple[int, dict[str, Any] | Malformed]] | None:
    """The questions of a nested file as flat rows, numbered from 1; None for a file of any other form."""
    if ".json" not in [suffix.lower() for suffix in path.suffixes]:
        return None
    with open_bytes(path) as (reader, _):
        if not _NESTED.match(reader.peek(8192)[:8192].removeprefix(b"\xef\xbb\xbf")):
            return None
    return _flattened(path)


def _flattened(path: Path) -> Iterator[tuple[int, dict[str, Any] | Malformed]]:
    with open_bytes(path) as (reader, source):
        text = reader.read(MAX_FILE_BYTES + 1)
        if len(text) > MAX_FILE_BYTES:
            yield 1, Malformed(Reason.TOO_LARGE, "", f"over {MAX_FILE_BYTES:,} bytes in one JSON value")
            return
        if (damage := cut_off(source)) is not None:
            yield 1, damage
            return
    try:
        value = json.loads(text.removeprefix(b"\xef\xbb\xbf"))
    except UnicodeDecodeError as error:
        yield 1, Malformed(Reason.NOT_UTF8, "", f"byte {error.start}")
        return
    except (ValueError, RecursionError) as error:
        yield 1, Malformed(Reason.NOT_JSON, "", shown(str(error)))
        return
    number = 0
    for number, row in enumerate(_questions(value), start=1):
        yield number, row
    if not number:
        yield 1, Malformed(Reason.NOT_LIST, "data", shown(value))


def _questions(value: Mapping[str, Any]) -> Iterator[dict[str, Any] | Malformed]:
    articles = value.get("data")
    for article in articles if isinstance(articles, list) else []:
        title = article.get("title", "") if isinstance(article, dict) else ""
        paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
        if not isinstance(paragraphs, list):
            yield Malformed(Reason.NOT_LIST, "paragraphs", shown(paragraphs))
            continue
        for paragraph in paragraphs:
            questions = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not isinstance(questions, list):
                yield Malformed(Reason.NOT_LIST, "qas", shown(questions))
                continue
            for question in questions:
                if not isinstance(question, dict):
                    yield Malformed(Reason.NOT_OBJECT, "qas", shown(question))
                    continue
                row = {"title": title, "context": paragraph.get("context"), **question}
                yield bad_text(row) or row


def grounded_turns(context: str, title: str, question: str, answer: str | None, language: str) -> tuple[Message, ...]:
    """System, passage and question, answer; without an answer the refusal. `language` "" is found from the text."""
    known = language if language in PROMPTS else detect_language(f"{question}\n{context}", list(PROMPTS))
    prompt = PROMPTS[known]
    place = f"[1] {title.replace('_', ' ')}".rstrip()
    asked = f"{prompt.context_label}:\n{place}\n{context.strip()}\n\n{prompt.question_label}:\n{question.strip()}"
    return (
        Message("system", prompt.system),
        Message("user", asked),
        Message("assistant", prompt.refusal if answer is None else answer),
    )


def answers_of(value: Any, column: str) -> list[str]:
    """Texts of the answers, nested (a list of objects) or flat (an object of lists); each once. Raises `Malformed`."""
    texts = value.get("text") if isinstance(value, dict) else value
    if not isinstance(texts, list):
        raise Malformed(Reason.NOT_LIST, column, shown(value))
    found = [each.get("text") if isinstance(each, dict) else each for each in texts]
    for each in found:
        if not isinstance(each, str):
            raise Malformed(Reason.NOT_TEXT, column, shown(each))
    return list(dict.fromkeys(text.strip() for text in found if isinstance(text, str)))
