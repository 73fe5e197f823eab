"""Batches in the ledger: what is out, with the requests themselves and the money set aside for each.

The requests are kept, and not their keys alone, because a batch may come back when no group asks for them any more: what
was paid for is recorded all the same. What this module does not do: talk to a provider.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from groundtune.files import sha256_text
from groundtune.llm import Ledger, LLMRequest

_BATCHES = "batch"
_TRIES = "batch tries"

State = Literal["sending", "out", "done"]


@dataclass(frozen=True, slots=True)
class Item:
    """A request that a conversation needs."""

    request: LLMRequest
    tags: Mapping[str, str]
    dollars: float
    """At most, in a batch."""


@dataclass(frozen=True, slots=True)
class BatchOut:
    """A batch that is on its way, or may be."""

    name: str
    """Its name in the ledger; it has one before it has an id."""
    batch_id: str
    """The provider's; empty when it is not known whether the batch was submitted."""
    submitted_at: float
    """Seconds since 1970."""
    writer: str
    """Of the client that submitted it: no other can collect it."""
    reservations: Mapping[str, int]
    """Number of the reservation in the ledger, by request key."""
    foreign: tuple[str, ...] = ()
    """Ids of batches that were taken for it and turned out to be somebody else's."""


def batches_out(book: Ledger) -> tuple[BatchOut, ...]:
    """Every batch that is not collected yet, oldest first."""
    return tuple(
        BatchOut(name, value["id"], value["at"], value["writer"], value["reservations"], tuple(value["foreign"]))
        for name, value in book.notes(_BATCHES)
        if value["state"] != "done"
    )


def reservations_out(book: Ledger) -> frozenset[int]:
    """Of batches that are out: not lost when a run begins, as others are that a killed run left (`Ledger.lose_left`)."""
    return frozenset(number for batch in batches_out(book) for number in batch.reservations.values())


def other_ids(book: Ledger, batch: BatchOut) -> frozenset[str]:
    """Of batches that are surely not this one: all others that this ledger submitted, and those looked into in vain."""
    ids = (value["id"] for name, value in book.notes(_BATCHES) if name != batch.name)
    return frozenset(batch_id for batch_id in (*ids, *batch.foreign) if batch_id)


def open_batch(
    book: Ledger, items: Sequence[Item], *, writer: str, at: float, budget_dollars: float | None
) -> BatchOut | None:
    """Set money aside for the first of `items`, as many as the budget has room for, and write down that they are about to be
    submitted, whole or not at all. None when there is no room for one."""
    names = [name for name, _ in book.notes(_BATCHES)]
    name = f"{int(names[-1]) + 1 if names else 1:06}"
    # first, because it is useless and harmless by itself, and the next open batch of the name overwrites it
    book.note(f"{_BATCHES} {name}", "requests", _packed(items))

    def batch(reservations: Mapping[str, int]) -> BatchOut:
        return BatchOut(name, "", at, writer, reservations)

    reservations = book.reserve_all(
        {item.request.key: item.dollars for item in items},
        budget=budget_dollars,
        kind=_BATCHES,
        name=name,
        value=lambda numbers: _value(batch(numbers), "sending"),
    )
    return batch(reservations) if reservations else None


def submitted(book: Ledger, batch: BatchOut, batch_id: str) -> BatchOut:
    """Write down the provider's id."""
    out = replace(batch, batch_id=batch_id)
    book.note(_BATCHES, batch.name, _value(out, "out"))
    return out


def mistaken(book: Ledger, batch: BatchOut) -> BatchOut:
    """The id was somebody else's: it is not known again whether the batch was submitted."""
    sending = replace(batch, batch_id="", foreign=(*batch.foreign, batch.batch_id))
    book.note(_BATCHES, batch.name, _value(sending, "sending"))
    return sending


def never_submitted(book: Ledger, batch: BatchOut) -> None:
    """Nothing was billed: the money is free again."""
    for number in batch.reservations.values():
        book.release(number)
    _forget(book, batch)


def lost(book: Ledger, batch: BatchOut) -> None:
    """It may have been billed, and its answers cannot be had: the money counts as spent."""
    for number in batch.reservations.values():
        book.lose(number)
    _forget(book, batch)


def close_batch(book: Ledger, batch: BatchOut) -> None:
    """Everything in it is recorded and every reservation ended."""
    # its requests go first: a batch without any is closed again after a kill, requests without a batch would stay for ever
    book.forget_note(f"{_BATCHES} {batch.name}", "requests")
    book.note(_BATCHES, batch.name, {**_value(batch, "done"), "reservations": {}})


def _forget(book: Ledger, batch: BatchOut) -> None:
    if batch.batch_id:
        close_batch(book, batch)
    else:
        book.forget_note(f"{_BATCHES} {batch.name}", "requests")
        book.forget_note(_BATCHES, batch.name)


def requests_of(book: Ledger, batch: BatchOut) -> Iterator[tuple[LLMRequest, dict[str, str]]]:
    """The requests of a batch with their tags, in the order in which they were submitted; none when it was being closed."""
    packed = dict(book.notes(f"{_BATCHES} {batch.name}")).get("requests")
    if packed is None:
        return
    texts, schemas = packed["texts"], {name: json.loads(text) for name, text in packed["schemas"].items()}
    for row in packed["requests"]:
        request = LLMRequest(
            texts[row["system"]], row["prompt"], schemas[row["schema"]], row["model"], row["parameters"], row["context"]
        )
        if request.key in batch.reservations:
            yield request, row["tags"]


def _packed(items: Sequence[Item]) -> dict[str, Any]:
    """System texts and schemas once each: they are the same for most requests of a batch."""
    texts: dict[str, str] = {}
    schemas: dict[str, str] = {}
    rows = []
    for item in items:
        request, schema = item.request, json.dumps(item.request.schema, ensure_ascii=False)
        system_name, schema_name = sha256_text(request.system), sha256_text(schema)
        texts[system_name] = request.system
        schemas[schema_name] = schema
        rows.append(
            {
                "system": system_name,
                "prompt": request.prompt,
                "schema": schema_name,
                "model": request.model,
                "parameters": request.parameters,
                "context": request.context,
                "tags": item.tags,
            }
        )
    return {"texts": texts, "schemas": schemas, "requests": rows}


def _value(batch: BatchOut, state: State) -> dict[str, Any]:
    return {
        "id": batch.batch_id,
        "state": state,
        "at": batch.submitted_at,
        "writer": batch.writer,
        "reservations": dict(batch.reservations),
        "foreign": batch.foreign,
    }


def read_tries(book: Ledger) -> dict[str, list[str]]:
    """By request key the names of the batches that came back without an answer to it."""
    return dict(book.notes(_TRIES))


def keep_tries(book: Ledger, key: str, names: Sequence[str]) -> None:
    """None: the request is answered or given up."""
    if names:
        book.note(_TRIES, key, list(names))
    else:
        book.forget_note(_TRIES, key)
