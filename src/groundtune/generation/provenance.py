"""Which request of the ledger a pair was handed in for.

A pair does not carry the key of its request: it is known by its content, whatever request it came from. So it is found again by
its question among the raw answers. What this module does not do: check pairs, or say why others were rejected.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from groundtune.generation.answers.parsing import parse_answer
from groundtune.llm import Ledger
from groundtune.llm.ledger import Entry
from groundtune.types import Pair

JUDGE = "judge"
"""Purpose of requests whose answers hold verdicts and no pairs."""


def find_entries(book: Ledger, pairs: Sequence[Pair]) -> dict[str, Entry]:
    """By the id of each pair, the request whose answer holds it. A pair that no answer holds is not there.

    A near-miss was made by code from another pair: its request is the one of that pair, which asked the same question. Of several
    requests with the same question the one with the same answer counts first, then the one about the pair's group, then the
    first by key.
    """
    wanted: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairs:
        wanted.setdefault((pair.language, _plain(pair.question)), []).append(pair)
    best: dict[str, tuple[tuple[bool, bool], Entry]] = {}
    for entry in book.entries():
        if entry.tags.get("purpose") == JUDGE:
            continue
        for turn in _turns(entry):
            question = _plain(str(turn.get("question", "")))
            for pair in wanted.get((entry.tags.get("language", ""), question), ()):
                same_answer = _plain(str(turn.get("answer", ""))) == _plain(pair.answer)
                fits = (same_answer, entry.tags.get("group") == pair.group_id)
                if pair.pair_id not in best or fits > best[pair.pair_id][0]:
                    best[pair.pair_id] = (fits, entry)
    return {pair_id: entry for pair_id, (_, entry) in best.items()}


def _turns(entry: Entry) -> Iterator[Mapping[str, Any]]:
    for item in parse_answer(entry.raw, entry.stop_reason).pairs:
        yield item
        follow_ups = item.get("follow_ups")
        yield from (turn for turn in follow_ups if isinstance(turn, dict)) if isinstance(follow_ups, list) else ()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
