"""What is asked about a changed set of documents: what is new, once, and the same after every kill."""

import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.errors import DataError
from groundtune.files import sha256_text
from groundtune.generation.planning import (
    CHUNK_GONE,
    GROUP_GONE,
    CarriedAnswer,
    Focus,
    Job,
    Plan,
    add_top_ups,
    carry,
    plan,
    preview,
    retired_pairs,
)
from groundtune.llm import Ledger, LLMRequest, LLMResponse
from groundtune.types import Chunk, Group, Rule

Documents = dict[str, tuple[str, ...]]
"""Texts of each group, by the name of the group; a text is ``heading|words``."""


def make_chunk(chunk_id: str, text: str) -> Chunk:
    heading, words = text.split("|")
    sha256 = sha256_text(words)
    crumbs = ("Stok", heading)
    return Chunk(chunk_id, "Stok", "", heading, crumbs, "tr", words, 60, False, False, (), (), 2, "a.md", 1, 2, sha256)


def make_set(documents: Documents, rule: Rule = Rule.MODULE) -> tuple[list[Group], dict[str, Chunk]]:
    """Ids are counted through the set, so they shift with every edit."""
    chunks: dict[str, Chunk] = {}
    groups = []
    for number, (name, texts) in enumerate(sorted(documents.items()), start=1):
        ids = [f"c{len(chunks) + place:03}" for place in range(len(texts))]
        chunks.update((chunk_id, make_chunk(chunk_id, text)) for chunk_id, text in zip(ids, texts, strict=True))
        groups.append(Group(f"{rule}-tr-{number:04}", rule, name[0], "tr", tuple(ids), 60 * len(ids)))
    return groups, chunks


def make_request(group: Group, chunks: Sequence[Chunk], focus: Focus | None, /) -> LLMRequest:
    shown = [[chunk.breadcrumb, chunk.text] for chunk in chunks]
    asked = None if focus is None else [focus.numbers, focus.quotes]
    return LLMRequest("s", json.dumps([group.rule, group.token_count, shown, asked]), {}, "m")


def plan_for(book: Ledger, documents: Documents, rule: Rule = Rule.MODULE) -> Plan:
    groups, chunks = make_set(documents, rule)
    return plan(groups, chunks, book, make_request)


def passages_asked(job: Job) -> list[str]:
    numbers = range(1, len(job.chunks) + 1) if job.focus is None else job.focus.numbers
    return [job.chunks[number - 1].sha256 for number in numbers]


def answer(book: Ledger, job: Job) -> None:
    """One pair on each passage asked about, and one on it and the next passage of the group."""
    items = []
    numbers = range(1, len(job.chunks) + 1) if job.focus is None else job.focus.numbers
    for number in numbers:
        for cited in ((number,), (number, number % len(job.chunks) + 1)):
            quotes = [{"chunk": n, "quote": job.chunks[n - 1].text} for n in dict.fromkeys(cited)]
            items.append({"question": f"{job.key[:6]} {cited}?", "answer": "x", "evidence": quotes})
    response = LLMResponse(json.dumps({"pairs": items}), 1, 1, "end", "m")
    book.record(job.request(), response, state="complete", tags={})


def read(book: Ledger) -> Any:
    def items(key: str) -> list[dict[str, Any]]:
        response = book.find(key)
        return [] if response is None else json.loads(response.text)["pairs"]

    return items


def ask_all(book: Ledger, planned: Plan) -> list[Job]:
    """The jobs that were asked; equal ones once."""
    asked = []
    for job in planned.jobs:
        if job.key and book.find(job.key) is None:
            answer(book, job)
            asked.append(job)
    return asked


def step(book: Ledger, documents: Documents, rule: Rule = Rule.MODULE) -> list[Job]:
    return ask_all(book, plan_for(book, documents, rule))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


FOUR: Documents = {"A": ("1|a", "2|b", "3|c", "4|d")}


def test_a_first_set_asks_every_group_whole_and_the_same_set_again_asks_nothing(book: Ledger) -> None:
    documents = {**FOUR, "B": ("5|e",)}
    groups, chunks = make_set(documents)
    first = plan(groups, chunks, book, make_request)
    whole = [make_request(group, [chunks[name] for name in group.chunk_ids], None).key for group in groups]
    assert [(job.kind, job.key, job.focus, job.carried) for job in first.jobs] == [
        ("whole", key, None, ()) for key in whole
    ]
    assert len(ask_all(book, first)) == 2
    again = plan_for(book, documents)
    assert again == first
    assert list(again.pending(book.states())) == []


def test_only_the_changed_passage_is_asked_about_and_all_passages_are_shown(book: Ledger) -> None:
    step(book, FOUR)
    (job,) = step(book, {"A": ("1|a", "2|B", "3|c", "4|d")})
    assert (job.kind, job.focus) == ("changes", Focus((2,)))
    assert len(job.chunks) == 4


def test_a_chunk_that_left_another_order_or_another_heading_asks_nothing(book: Ledger) -> None:
    step(book, FOUR)
    for texts in (("1|a", "2|b", "4|d"), ("3|c", "1|a", "4|d", "2|b"), ("1|a", "9|b", "3|c", "4|d")):
        planned = plan_for(book, {"A": texts})
        assert [job.kind for job in planned.jobs] == ["kept"]
        assert len(planned.jobs[0].carried) == 1


def test_a_group_of_one_chunk_that_changed_is_asked_whole(book: Ledger) -> None:
    step(book, {"A": ("1|a",)}, Rule.INDIVIDUAL)
    (job,) = step(book, {"A": ("1|A",)}, Rule.INDIVIDUAL)
    assert (job.kind, job.carried) == ("whole", ())


def test_a_group_of_which_less_than_half_is_left_is_asked_whole(book: Ledger) -> None:
    step(book, FOUR)
    (job,) = step(book, {"A": ("1|a", "2|B", "3|C", "4|D")})
    assert (job.kind, job.carried) == ("whole", ())


def test_an_earlier_request_serves_one_group_the_likest(book: Ledger) -> None:
    step(book, {"A": ("1|a", "2|b", "3|c", "4|d", "5|e")})
    planned = plan_for(book, {"A": ("1|a", "2|b"), "B": ("3|c", "4|d", "5|e")})
    assert [job.kind for job in planned.jobs] == ["whole", "kept"]


def test_groups_of_another_rule_are_no_forerunners(book: Ledger) -> None:
    step(book, FOUR)
    assert [job.kind for job in plan_for(book, FOUR, Rule.SUBMODULE).jobs] == ["whole"]


def test_other_prompts_ask_everything_again_whatever_the_texts(book: Ledger) -> None:
    step(book, FOUR)
    groups, chunks = make_set({"A": ("1|a", "2|B", "3|c", "4|d")})

    def other(group: Group, chunks: Sequence[Chunk], focus: Focus | None, /) -> LLMRequest:
        return replace(make_request(group, chunks, focus), system="another")

    planned = plan(groups, chunks, book, other)
    assert [(job.kind, job.carried) for job in planned.jobs] == [("whole", ())]
    assert list(retired_pairs(planned, read(book))) == []


def test_a_wording_that_changed_unseen_by_the_fingerprint_is_planned_anew(book: Ledger) -> None:
    plan_for(book, FOUR)
    groups, chunks = make_set(FOUR)

    def other(group: Group, chunks: Sequence[Chunk], focus: Focus | None, /) -> LLMRequest:
        request = make_request(group, chunks, focus)
        return replace(request, system="for groups of four") if len(chunks) == 4 else request

    planned = plan(groups, chunks, book, other)
    assert next(planned.pending(book.states())).request().system == "for groups of four"


def test_prompts_that_change_during_a_run_are_an_error(book: Ledger) -> None:
    job = replace(plan_for(book, FOUR).jobs[0], make_request=lambda *parts: replace(make_request(*parts), system="new"))
    with pytest.raises(DataError, match=r"group module-tr-0001: .*run the same command again"):
        job.request()


def test_an_unanswered_or_unfinished_request_is_no_forerunner(book: Ledger) -> None:
    changed: Documents = {"A": ("1|a", "2|B", "3|c", "4|d")}
    plan_for(book, FOUR)
    assert [job.kind for job in plan_for(book, changed).jobs] == ["whole"]
    book.record(plan_for(book, FOUR).jobs[0].request(), LLMResponse("", 1, 1, "end", "m"), state="malformed", tags={})
    changed["A"] = ("1|a", "2|BB", "3|c", "4|d")
    assert [job.kind for job in plan_for(book, changed).jobs] == ["whole"]
    changed["A"] = ("1|a", "2|BBB", "3|c", "4|d")
    groups, chunks = make_set(changed)
    assert [job.kind for job in plan(groups, chunks, book, make_request, settled=lambda key: True).jobs] == ["changes"]


def test_equal_groups_share_what_they_carry_and_ask_once(book: Ledger) -> None:
    step(book, {"A": FOUR["A"], "AB": FOUR["A"]})
    changed = ("1|a", "2|B", "3|c", "4|d")
    planned = plan_for(book, {"A": changed, "AB": changed})
    assert planned.jobs[0].key == planned.jobs[1].key
    assert [job.kind for job in planned.jobs] == ["changes", "changes"]


def test_a_group_that_names_a_missing_chunk_is_an_error(book: Ledger) -> None:
    groups, chunks = make_set(FOUR)
    del chunks["c001"]
    with pytest.raises(DataError, match=r"group module-tr-0001: chunk 'c001'"):
        plan(groups, chunks, book, make_request)


def test_a_text_that_comes_back_is_not_asked_about_again_and_its_pairs_are_back(book: Ledger) -> None:
    step(book, FOUR)
    step(book, {"A": ("1|a", "2|B", "3|c", "4|d")})
    step(book, {"A": ("1|a", "2|B", "3|C", "4|d")})
    planned = plan_for(book, {"A": ("1|a", "2|b", "3|C", "4|d")})
    (job,) = planned.jobs
    assert job.kind == "kept"
    kept = [item for carried in job.carried for item in carry(carried, read(book)(carried.key), 4)[0]]
    assert {item["evidence"][0]["quote"] for item in kept} == {"a", "b", "C", "d"}
    (back,) = plan_for(book, FOUR).jobs
    assert (back.kind, back.key) == ("whole", job.root)


def test_numbers_of_carried_pairs_are_those_of_today(book: Ledger) -> None:
    step(book, FOUR)
    (job,) = plan_for(book, {"A": ("0|new", "4|d", "2|b", "1|a")}).jobs
    (carried,) = job.carried
    assert carried.numbers == (4, 3, None, 2)
    kept, gone = carry(carried, read(book)(carried.key), 4)
    assert [[quote["chunk"] for quote in item["evidence"]] for item in kept] == [[4], [4, 3], [3], [2], [2, 4]]
    assert all(job.chunks[quote["chunk"] - 1].text == quote["quote"] for item in kept for quote in item["evidence"])
    assert [[quote["quote"] for quote in item["evidence"]] for item in gone] == [["b", "c"], ["c"], ["c", "d"]]


def test_what_cannot_be_read_as_evidence_is_left_to_the_checks() -> None:
    answer = CarriedAnswer("k", (None, None), (2, None))
    items = [
        {"question": "?", "evidence": [{"chunk": 7, "quote": "x"}]},
        {"question": "?", "evidence": [{"chunk": "2", "quote": "x"}, "y"]},
        {"question": "?"},
        {"question": "?", "evidence": [{"chunk": 1, "quote": "x"}], "follow_ups": [{"evidence": [{"chunk": 2}]}]},
        {"question": "?", "evidence": [], "follow_ups": [{"evidence": [{"chunk": 1}]}]},
    ]
    kept, gone = carry(answer, items, 3)
    assert kept[0]["evidence"][0]["chunk"] > 3
    assert kept[1:3] == items[1:3]
    assert gone == [items[3]]
    assert kept[3]["follow_ups"][0]["evidence"][0]["chunk"] == 2


def test_a_text_that_stands_twice_in_a_group_keeps_its_places(book: Ledger) -> None:
    step(book, {"A": ("1|a", "2|b", "3|a", "4|c")})
    (job,) = plan_for(book, {"A": ("1|a", "3|a", "4|c")}).jobs
    assert job.carried[0].numbers == (1, None, 2, 3)


def test_retired_pairs_name_their_reason_and_are_kept_in_the_ledger(book: Ledger) -> None:
    step(book, {**FOUR, "B": ("5|e", "6|f")})
    before = len(book)
    planned = plan_for(book, {"A": ("1|a", "2|B", "3|c", "4|d")})
    retired = list(retired_pairs(planned, read(book)))
    assert Counter(pair.reason for pair in retired) == {CHUNK_GONE: 3, GROUP_GONE: 4}
    assert {pair.quotes for pair in retired if pair.reason == CHUNK_GONE} == {("a", "b"), ("b",), ("b", "c")}
    assert all(len(pair.chunk_sha256s) == len(pair.quotes) for pair in retired)
    assert len(book) == before


def test_the_preview_counts_groups_passages_and_pairs(book: Ledger) -> None:
    step(book, {**FOUR, "B": ("5|e", "6|f"), "C": ("7|g", "8|h"), "D": ("9|i", "9|j")})
    documents = {
        "A": ("1|a", "2|B", "3|c", "4|d"),
        "B": ("6|f", "5|e"),
        "C": ("7|g", "8|h"),
        "E": ("x|x", "y|y", "z|z"),
    }
    planned = plan_for(book, documents)
    seen = preview(planned, read(book), book.states())
    assert (seen.unchanged, seen.kept, seen.changed, seen.new, seen.gone) == (1, 1, 1, 1, 1)
    assert (seen.passages, seen.pairs_kept, seen.pairs_retired) == (1 + 3, 5 + 4, 3 + 4)
    ask_all(book, planned)
    after = preview(plan_for(book, documents), read(book), book.states())
    assert (after.unchanged, after.changed, after.new, after.passages) == (3, 0, 0, 0)


def test_a_first_set_has_nothing_to_preview(book: Ledger) -> None:
    seen = preview(plan_for(book, FOUR), read(book), book.states())
    assert (seen.kept, seen.changed, seen.gone, seen.pairs_kept, seen.pairs_retired) == (0, 0, 0, 0, 0)
    assert (seen.new, seen.passages) == (1, 4)


def test_top_ups_stay_with_their_set_and_their_pairs_go_on_with_it(book: Ledger) -> None:
    documents = {**FOUR, "B": ("5|e", "6|f")}
    planned = plan_for(book, documents)
    ask_all(book, planned)
    focus = Focus((2, 3), ("b", "c"))
    more = add_top_ups(planned, [(planned.jobs[0].group, focus)], book)
    assert [job.kind for job in more.jobs] == ["whole", "top_up", "whole"]
    assert plan_for(book, documents) == more
    assert add_top_ups(more, [(planned.jobs[0].group, focus)], book).jobs == more.jobs
    (job,) = ask_all(book, more)
    assert job.request().key == job.key
    (moved,) = plan_for(book, {"A": ("1|a", "2|b", "3|c", "4|D")}).jobs
    assert [carried.key for carried in moved.carried] == [planned.jobs[0].key, job.key]
    unchanged = plan_for(book, {**FOUR, "B": ("5|e", "6|g")}).jobs[0]
    assert (unchanged.kind, [carried.key for carried in unchanged.carried]) == ("whole", [job.key])


def test_top_ups_of_unknown_groups_and_passages_are_refused(book: Ledger) -> None:
    planned = plan_for(book, FOUR)
    group = planned.jobs[0].group
    with pytest.raises(ValueError, match=r"has 4 passages, found \(5,\)"):
        add_top_ups(planned, [(group, Focus((5,)))], book)
    with pytest.raises(ValueError, match="not in the plan"):
        add_top_ups(planned, [(replace(group, group_id="x"), Focus((1,)))], book)


class KilledError(Exception):
    pass


class KillableLedger(Ledger):
    notes_left = 10**9

    def note(self, kind: str, name: str, value: Any) -> None:
        if not self.notes_left:
            raise KilledError
        self.notes_left -= 1
        super().note(kind, name, value)


def test_killed_at_every_moment_of_planning_the_next_run_plans_the_same(tmp_path: Path) -> None:
    before: Documents = {**FOUR, "B": ("5|e", "6|f"), "C": ("7|g",)}
    after: Documents = {"A": ("1|a", "2|B", "3|c", "4|d"), "B": ("6|f",), "D": ("8|h", "9|i")}
    for notes in range(20):
        with KillableLedger(tmp_path / f"{notes}.sqlite") as book:
            step(book, before)
            book.notes_left = notes
            with suppress(KilledError):
                plan_for(book, after)
            killed = not book.notes_left
        with Ledger(tmp_path / f"{notes}.sqlite") as book:
            again = facts(plan_for(book, after))
        if notes == 0:
            first = again
        assert again == first
    assert not killed, "the last of these plans was not killed"


def test_requests_that_were_planned_and_never_answered_are_neither_gone_nor_retired(book: Ledger) -> None:
    plan_for(book, FOUR)
    planned = plan_for(book, {"B": ("5|e", "6|f")})
    assert planned.unused == ()
    assert preview(planned, read(book), book.states()).gone == 0


# -- laws over any history of edits


@dataclass
class History:
    """What was asked so far in each group, by its name, as an onlooker would write it down."""

    about: dict[str, set[str]] = field(default_factory=dict)
    shown: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    def grew_out(self, name: str, texts: Sequence[str]) -> bool:
        """Whether half of the texts were shown together in an earlier request of the group."""
        now = Counter(texts)
        return any(2 * sum((now & Counter(then)).values()) >= len(texts) for then in self.shown.get(name, ()))

    def note(self, name: str, job: Job) -> None:
        self.about.setdefault(name, set()).update(passages_asked(job))
        self.shown.setdefault(name, []).append(tuple(chunk.sha256 for chunk in job.chunks))


Edit = tuple[str, int, int]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["change", "change", "add", "remove", "swap", "heading", "drop", "back", "repeat"]),
        st.integers(0, 3),
        st.integers(0, 5),
    ),
    min_size=1,
    max_size=4,
)


def edited(documents: Documents, edits: Sequence[Edit], number: int) -> Documents:
    """`documents` after `edits`; words of one group never stand in another, so that each group is its own history."""
    result = {name: list(texts) for name, texts in documents.items()}
    for place, (kind, which, where) in enumerate(edits):
        name = "ABCD"[which]
        texts = result.setdefault(name, [f"h|{name}{letter}" for letter in "abcd"])
        at = where % len(texts)
        heading, words = texts[at].split("|")
        if kind == "change":
            texts[at] = f"{heading}|{name}{number}.{place}"
        elif kind == "add":
            texts.insert(at, f"h|{name}{number}+{place}")
        elif kind == "remove" and len(texts) > 1:
            del texts[at]
        elif kind == "swap":
            texts[at], texts[0] = texts[0], texts[at]
        elif kind == "heading":
            texts[at] = f"h{number}|{words}"
        elif kind == "back":
            texts[at] = f"h|{name}{'abcd'[where % 4]}"
        elif kind == "repeat":
            texts.append(texts[at])
        elif kind == "drop" and len(result) > 1:
            del result[name]
    return {name: tuple(texts) for name, texts in result.items()}


def facts(planned: Plan) -> list[Any]:
    return [(job.kind, job.key, job.root, job.focus, [carried.key for carried in job.carried]) for job in planned.jobs]


@settings(max_examples=tries(150), deadline=None)
@given(st.lists(st.tuples(EDITS, st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=7))
def test_whatever_the_history_nothing_is_asked_twice_and_everything_is_asked_once(
    history: list[tuple[list[Edit], int, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _check_history(Path(folder) / "ledger.sqlite", history)


def _check_history(path: Path, history: list[tuple[list[Edit], int, int]]) -> None:
    documents: Documents = {name: tuple(f"h|{name}{letter}" for letter in "abcd") for name in "ABC"}
    onlooker = History()
    finished: list[tuple[Documents, list[Any]]] = []
    for number, (edits, killed_after, back) in enumerate([([], 9, 0), *history]):
        documents = edited(documents, edits, number)
        with Ledger(path) as book:
            planned = plan_for(book, documents)
            pending = list(planned.pending(book.states()))
            for name, job in zip(sorted(documents), planned.jobs, strict=True):
                _check_job(onlooker, name, job, job in pending, planned)
            for job in pending[:killed_after]:
                answer(book, job)
        with Ledger(path) as book:
            again = plan_for(book, documents)
            assert facts(again) == facts(planned)
            ask_all(book, again)
            assert list(again.pending(book.states())) == []
            for name, job in zip(sorted(documents), planned.jobs, strict=True):
                if job.key:
                    onlooker.note(name, job)
            _check_pairs(book, again)
            finished.append((documents, facts(planned)))
            earlier, then = finished[back % len(finished)]
            returned = plan_for(book, earlier)
            assert facts(returned) == then
            assert list(returned.pending(book.states())) == []


def _check_job(onlooker: History, name: str, job: Job, pending: bool, planned: Plan) -> None:
    texts = [chunk.sha256 for chunk in job.chunks]
    if pending:
        about = set(passages_asked(job))
        if onlooker.grew_out(name, texts):
            assert not about & onlooker.about[name], "asked about a text again"
        else:
            assert job.kind == "whole"
    covered: set[str] = set()
    for key in ([job.key] if job.key else []) + [carried.key for carried in job.carried]:
        asked = planned.asked[key]
        assert asked.asked_about <= set(asked.sha256s)
        covered |= asked.asked_about
    assert set(texts) <= covered, "a text that no request was about"


def _check_pairs(book: Ledger, planned: Plan) -> None:
    """Every pair handed in is used or retired, never both; a used one quotes texts of its group."""
    for job in planned.jobs:
        for carried in job.carried:
            for item in carry(carried, read(book)(carried.key), len(job.chunks))[0]:
                assert all(job.chunks[quote["chunk"] - 1].text == quote["quote"] for quote in item["evidence"])
    retired = Counter(pair.request for pair in retired_pairs(planned, read(book)))
    used: Counter[str] = Counter()
    for job in planned.jobs:
        if job.key:
            used[job.key] = len(read(book)(job.key))
    for job in planned.jobs:
        for carried in job.carried:
            if not any(other.key == carried.key for other in planned.jobs):
                kept = len(carry(carried, read(book)(carried.key), len(job.chunks))[0])
                used[carried.key] = max(used[carried.key], kept)
    for key in planned.asked:
        handed_in = len(read(book)(key))
        assert retired[key] + used[key] == handed_in
