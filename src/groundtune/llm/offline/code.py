"""Code blocks: which request or query does what, which tables a query reads, what an example holds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.llm.offline.anchors import leans
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.sentences import split_sentences
from groundtune.llm.offline.structure import Code, plain
from groundtune.llm.offline.topics import Topic
from groundtune.llm.offline.turkish import capitalise
from groundtune.types import Difficulty, QuestionType

_REQUEST = re.compile(r"^((?:GET|POST|PUT|PATCH|DELETE) \S+)", re.MULTILINE)
_TR_REQUEST = re.compile(r"^Aşağıdaki (?:HTTP )?(istek|çağrı|örnek istek),? (.+) (\w+(?:[ıiuüae]r))\s*[:.]$")
_EN_REQUEST = re.compile(
    r"^The (?:following )?(request|call) (?:below )?((?:returns|lists|creates|opens|adds|reads|closes|shows|gets|sends|starts|splits|reserves|posts) .+?)\s*[:.]$"
)
_TR_QUERY = re.compile(r"^(.+) sorgu\s*:$")
_EN_QUERY = re.compile(
    r"^(?:The (?:following )?|A )query (?:below )?(?:that )?((?:returns|lists|finds|shows|gives|counts|sums) .+?)\s*[:.]$"
)
_TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+([a-z]\w*_\w+)", re.IGNORECASE)
_SQL_COMMENT = re.compile(r"^\s*-- (.{10,90})$", re.MULTILINE)


def code_questions(block: Code, topic: Topic, number: int) -> Iterator[Draft]:
    """Drafts for a code block of passage `number`."""
    if block.language in ("http", "") and (request := _REQUEST.search(block.body)):
        yield from _request(request[1], block, topic, number)
    if block.language == "sql":
        yield from _tables(block, topic, number)


def _last_sentence(text: str) -> str:
    sentences = split_sentences(text)
    return plain(sentences[-1]) if sentences else ""


def _request(line: str, block: Code, topic: Topic, number: int) -> Iterator[Draft]:
    intro = _last_sentence(block.intro)
    match = (_TR_REQUEST if topic.language == "tr" else _EN_REQUEST).match(intro)
    if match is None:
        return
    if topic.language == "tr":
        if leans(match[2], "tr"):
            return
        question, answer = f"{capitalise(match[2])} hangi {match[1]} {match[3]}?", f"`{line}` isteği."
    else:
        question, answer = f"Which {match[1]} {match[2]}?", f"The request `{line}`."
    yield Draft(
        question, answer, QuestionType.INFERENTIAL, Difficulty.MEDIUM, (Quote(number, line),), match[2], "code", 84
    )


def _tables(block: Code, topic: Topic, number: int) -> Iterator[Draft]:
    """The tables that a query with a stated purpose names."""
    tables = list(dict.fromkeys(_TABLES.findall(block.body)))
    if not tables or len(tables) > 4:
        return
    names = [f"`{table}`" for table in tables]
    comment = _SQL_COMMENT.search(block.body)
    intro = _last_sentence(block.intro)
    if topic.language == "tr":
        match = _TR_QUERY.match(intro)
        if match and not leans(match[1], "tr"):
            purpose = f"{match[1]} sorgu"
        elif comment and not leans(comment[1], "tr"):
            purpose = f"“{comment[1].rstrip('.')}” sorgusu"
        else:
            return
        listed = ", ".join(names[:-1]) + f" ve {names[-1]}" if len(names) > 1 else names[0]
        question, answer = (
            f"{capitalise(purpose)} hangi tabloları kullanır?",
            f"Sorgu {listed} tablo{'larını' if len(names) > 1 else 'sunu'} kullanır.",
        )
    else:
        match = _EN_QUERY.match(intro)
        if match and not leans(match[1], "en"):
            purpose = f"the query that {match[1]}"
        elif comment and not leans(comment[1], "en"):
            purpose = f"the query “{comment[1].rstrip('.')}”"
        else:
            return
        listed = ", ".join(names[:-1]) + f" and {names[-1]}" if len(names) > 1 else names[0]
        question, answer = f"Which tables does {purpose} use?", f"The query uses {listed}."
    yield Draft(
        question,
        answer,
        QuestionType.LIST,
        Difficulty.MEDIUM,
        (Quote(number, block.body.strip("\n")),),
        purpose,
        "code",
        74,
    )
