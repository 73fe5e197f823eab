"""Deciding what each group of a set asks, once, and reading the decision again in every later run over the same set.

The decision is in the ledger before anything is asked: requests first, the plan behind them, so a plan that is there is whole,
and a run that is killed earlier decides the same again. What this module does not do: send, or look into answers.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from groundtune.errors import DataError
from groundtune.generation.planning.asked import Asked, Material, fingerprint, keep_asked, read_asked, set_name
from groundtune.generation.planning.focus import Focus, MakeRequest
from groundtune.generation.planning.jobs import CarriedAnswer, Job, JobKind, Plan
from groundtune.generation.planning.matching import Lines, match
from groundtune.llm import Ledger
from groundtune.types import Chunk, Group, Language, Rule

_SETS = "set"
"""Notes: name of a set -> which plan of the ledger it is. Written last."""

_SAMPLE_FOCUSES = (Focus((1,)), Focus((1,), ("A is 1.",)))
"""For telling apart the wordings of requests about parts of a group."""


def _never(_key: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class _Entry:
    """A job as the ledger keeps it."""

    kind: JobKind
    key: str
    root: str
    focus: Focus | None = None
    carried: tuple[str, ...] = ()


def plan(
    groups: Sequence[Group],
    chunks_by_id: Mapping[str, Chunk],
    book: Ledger,
    make_request: MakeRequest,
    *,
    settled: Callable[[str], bool] = _never,
) -> Plan:
    """What each of `groups` asks, as decided when this set was first seen with these settings.

    Args:
        settled: whether the conversation that began with this key, whose first answer is not complete, came to a good end all
            the same (asked again, or for the rest). Groups grow out of settled requests only.

    Raises:
        DataError: a group names a chunk that is not there, or the ledger cannot be read.
        StorageError: the ledger cannot be written.
    """
    asked = read_asked(book)
    wordings = _wordings(groups, asked, make_request)
    materials = [_material(group, chunks_by_id, wordings) for group in groups]
    focused = sorted({(group.rule, group.language) for group in groups})
    name = set_name(
        materials, [fingerprint(*kind, make_request, focus) for kind in focused for focus in _SAMPLE_FOCUSES]
    )
    states = book.states()
    answered = states.keys() | book.failures().keys()
    sets = dict(book.notes(_SETS))
    known = _read(book, name) if name in sets else None
    if known is None or not _still_asks(materials, known, answered, make_request):

        def good(key: str) -> bool:
            return key in answered and (states.get(key) == "complete" or settled(key))

        lines = Lines.of(asked.values(), good)
        known = _decide(materials, make_request, answered, lines, asked), []
        number = sets.get(name, len(sets))
        for material, entry in zip(materials, known[0], strict=True):
            _keep(book, asked, material, entry, number)
        _write(book, name, *known)
        book.note(_SETS, name, number)
    for material, entry in zip(materials, known[0], strict=True):
        _renew(book, asked, material, entry)
    return _plan(name, materials, *known, asked, states, set(wordings.values()), make_request)


def add_top_ups(plan: Plan, top_ups: Iterable[tuple[Group, Focus]], book: Ledger) -> Plan:
    """The plan with further requests, in the ledger before it is returned; every later run over the set has them too, and
    sets that grow out of it carry their answers. One that the plan holds already changes nothing.

    Raises:
        ValueError: a group is not in the plan, or a focus names a passage that the group has not.
    """
    main = {job.group.group_id: (place, job) for place, job in enumerate(_main(plan))}
    entries, kept = _read(book, plan.name)
    known = {entry.key for _, entry in kept}
    asked = dict(plan.asked)
    number = dict(book.notes(_SETS))[plan.name]
    added: list[tuple[int, Job]] = []
    for group, focus in top_ups:
        if group.group_id not in main:
            raise ValueError(f"group {group.group_id} is not in the plan; give one of its groups")
        place, job = main[group.group_id]
        if not focus.numbers or not set(focus.numbers) <= set(range(1, len(job.chunks) + 1)):
            raise ValueError(f"group {group.group_id} has {len(job.chunks)} passages, found {focus.numbers}")
        key = job.make_request(group, job.chunks, focus).key
        if key in known:
            continue
        known.add(key)
        entry = _Entry("top_up", key, job.root, focus)
        settings = asked[job.root].settings
        _keep(book, asked, Material(group, job.chunks, settings), entry, number)
        kept.append((place, entry))
        added.append((place, replace(job, kind="top_up", key=key, focus=focus, carried=())))
    _write(book, plan.name, entries, kept)
    return replace(plan, jobs=_in_order(plan, added), asked=asked)


def _in_order(plan: Plan, added: Sequence[tuple[int, Job]]) -> tuple[Job, ...]:
    jobs: list[list[Job]] = []
    for job in plan.jobs:
        if job.kind == "top_up":
            jobs[-1].append(job)
        else:
            jobs.append([job])
    for place, job in added:
        jobs[place].append(job)
    return tuple(job for of_group in jobs for job in of_group)


def _main(plan: Plan) -> list[Job]:
    return [job for job in plan.jobs if job.kind != "top_up"]


def _wordings(
    groups: Sequence[Group], asked: Mapping[str, Asked], make_request: MakeRequest
) -> dict[tuple[Rule, Language], str]:
    kinds = {(group.rule, group.language) for group in groups} | {(item.rule, item.language) for item in asked.values()}
    return {kind: fingerprint(*kind, make_request) for kind in sorted(kinds)}


def _material(
    group: Group, chunks_by_id: Mapping[str, Chunk], wordings: Mapping[tuple[Rule, Language], str]
) -> Material:
    try:
        chunks = tuple(chunks_by_id[chunk_id] for chunk_id in group.chunk_ids)
    except KeyError as error:
        raise DataError(
            f"group {group.group_id}: chunk {error.args[0]!r} is not among the chunks; run `groundtune group` again"
        ) from error
    return Material(group, chunks, wordings[group.rule, group.language])


def _still_asks(
    materials: Sequence[Material],
    known: tuple[Sequence[_Entry], Sequence[tuple[int, _Entry]]],
    answered: Container[str],
    make_request: MakeRequest,
) -> bool:
    """Whether what is still to be asked is worded as it was planned. Fingerprints catch a change of settings; this catches
    one that shows in other groups than the made-up ones, such as a new curve of the number of pairs."""
    entries, top_ups = known
    return all(
        make_request(materials[place].group, materials[place].chunks, entry.focus).key == entry.key
        for place, entry in (*enumerate(entries), *top_ups)
        if entry.key and entry.key not in answered
    )


def _decide(
    materials: Sequence[Material],
    make_request: MakeRequest,
    answered: set[str],
    lines: Lines,
    asked: Mapping[str, Asked],
) -> list[_Entry]:
    keys = [make_request(material.group, material.chunks, None).key for material in materials]
    first = {key: number for number, key in reversed(list(enumerate(keys)))}
    open_ones = {
        number: materials[number]
        for key, number in sorted(first.items(), key=lambda item: item[1])
        if key not in answered
    }
    matched = match(open_ones, lines, taken={key for key in first if key in answered})
    decided: dict[str, _Entry] = {}
    for key, number in first.items():
        if number in matched:
            decided[key] = _go_on(materials[number], matched[number].root, lines, make_request)
        else:
            root = asked[key].root if key in asked else key
            carried = (
                tuple(item.key for item in lines.by_root.get(root, ()) if item.key != key) if key in answered else ()
            )
            decided[key] = _Entry("whole", key, root, None, carried)
    return [decided[key] for key in keys]


def _go_on(material: Material, root: str, lines: Lines, make_request: MakeRequest) -> _Entry:
    """The line that began with `root` goes on: what was asked about in it is not asked about again."""
    known = lines.asked_about(root)
    carried = tuple(item.key for item in lines.by_root[root])
    numbers = tuple(number for number, sha256 in enumerate(material.sha256s, start=1) if sha256 not in known)
    if not numbers:
        return _Entry("kept", "", root, None, carried)
    focus = Focus(numbers)
    return _Entry("changes", make_request(material.group, material.chunks, focus).key, root, focus, carried)


def _keep(book: Ledger, asked: dict[str, Asked], material: Material, entry: _Entry, number: int) -> None:
    if not entry.key or entry.key in asked:
        return
    numbers = None if entry.focus is None else entry.focus.numbers
    group = material.group
    asked[entry.key] = Asked(
        entry.key, entry.root, material.settings, group.rule, group.language, material.sha256s, numbers, number
    )
    keep_asked(book, asked[entry.key])


def _renew(book: Ledger, asked: dict[str, Asked], material: Material, entry: _Entry) -> None:
    """A request that is the same under other settings (more pairs at most, for a small group) is one of today's settings, so
    that its line goes on when its documents change."""
    known = asked.get(entry.key)
    if known is not None and known.settings != material.settings:
        asked[entry.key] = replace(known, settings=material.settings)
        keep_asked(book, asked[entry.key])


def _plan(
    name: str,
    materials: Sequence[Material],
    entries: Sequence[_Entry],
    top_ups: Sequence[tuple[int, _Entry]],
    asked: dict[str, Asked],
    answered: Mapping[str, Any],
    wordings: set[str],
    make_request: MakeRequest,
) -> Plan:
    extra: dict[int, list[_Entry]] = {}
    for place, entry in top_ups:
        extra.setdefault(place, []).append(entry)
    jobs = tuple(
        Job(
            entry.kind,
            material.group,
            material.chunks,
            entry.key,
            entry.root,
            entry.focus,
            tuple(CarriedAnswer.of(asked[key], material.chunks) for key in entry.carried),
            make_request,
        )
        for place, (material, main) in enumerate(zip(materials, entries, strict=True))
        for entry in (main, *extra.get(place, ()))
    )
    used = {key for job in jobs for key in (job.key, *(item.key for item in job.carried))}
    unused = tuple(
        item
        for item in sorted(asked.values(), key=lambda item: (item.plan, item.key))
        if item.key in answered and item.key not in used and item.settings in wordings
    )
    return Plan(name, jobs, unused, asked)


def _write(book: Ledger, name: str, entries: Sequence[_Entry], top_ups: Sequence[tuple[int, _Entry]]) -> None:
    jobs = [_to_note(entry) for entry in entries]
    # a kind of its own for each set: the ledger reads notes by kind, and a plan of ten thousand groups is a megabyte
    book.note(f"plan {name}", "jobs", {"jobs": jobs, "top_ups": [[place, _to_note(entry)] for place, entry in top_ups]})


def _read(book: Ledger, name: str) -> tuple[list[_Entry], list[tuple[int, _Entry]]]:
    value = dict(book.notes(f"plan {name}"))["jobs"]
    return [_from_note(item) for item in value["jobs"]], [(place, _from_note(item)) for place, item in value["top_ups"]]


def _to_note(entry: _Entry) -> Any:
    """The key alone for a group that is asked whole and carries nothing, as most are."""
    if entry == _Entry("whole", entry.key, entry.key):
        return entry.key
    focus = None if entry.focus is None else [entry.focus.numbers, entry.focus.quotes]
    return [entry.kind, entry.key, entry.root, focus, entry.carried]


def _from_note(value: Any) -> _Entry:
    if isinstance(value, str):
        return _Entry("whole", value, value)
    kind, key, root, focus, carried = value
    return _Entry(kind, key, root, None if focus is None else Focus(tuple(focus[0]), tuple(focus[1])), tuple(carried))
