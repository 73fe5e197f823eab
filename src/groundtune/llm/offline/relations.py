"""Questions that need two passages: two definitions compared, one table used in two places, two facts of one subject."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import leans
from groundtune.llm.offline.drafts import Draft, Quote, stems
from groundtune.llm.offline.sentences import ends_as_sentence, split_sentences
from groundtune.llm.offline.structure import ItemList, Page, Paragraph, plain
from groundtune.llm.offline.topics import first_small, is_generic
from groundtune.llm.offline.word_lists import QUESTION_STEMS
from groundtune.types import Difficulty, Language, QuestionType, Rule

_TABLE = re.compile(r"`([a-z]{2,5}_[a-z][a-z_]+)`")
_MAX_JOINEDQUESTION_STEMS = 19
_JOINABLE = frozenset(
    ["definition", "purpose", "value", "name", "steps", "inline list", "need", "how", "table row", "code"]
)
_DRAFTS_PER_PAGE = 12
_MAX_REUSE = 2
_OPENING = frozenset(["definition", "purpose"])
"""A joined question opens with one of these: "X nedir ve X nasıl açılır?"."""
_ACROSS_MODULES = frozenset([Rule.CROSS_MODULE, Rule.MODULE_MAP, Rule.DATA_FLOW, Rule.FOUNDATION_CONSUMER])
_MODULE_WORDS = frozenset(["modül", "modul"])
_ROLE = re.compile(r"\b[A-ZÇĞİÖŞÜ]{3,}_[A-ZÇĞİÖŞÜ]{3,}(?:_[A-ZÇĞİÖŞÜ]+)*\b")
_COMPARING = frozenset([Rule.HORIZONTAL_SIBLINGS, Rule.MODULE_MAP])


@dataclass(frozen=True, slots=True)
class Study:
    """A page with the drafts that rest on it alone."""

    page: Page
    drafts: tuple[Draft, ...]


def relation_questions(studies: Sequence[Study], rule: Rule, language: Language, max_words: int) -> Iterator[Draft]:
    """Drafts that cite two of the pages each."""
    yield from _compared(studies, rule, language)
    yield from _shared_tables(studies, rule, language)
    yield from _shared_roles(studies, language)
    yield from _joined(studies, rule, language, max_words)


def _compared(studies: Sequence[Study], rule: Rule, language: Language) -> Iterator[Draft]:
    """Things that are both defined: told apart if they are of a kind, else asked for together."""
    defined = [(study.page, draft) for study in studies for draft in study.drafts if draft.form == "definition"]
    for (one, first), (two, second) in combinations(defined, 2):
        if one.number == two.number or _same(first.subject, second.subject, language):
            continue
        kin = bool((stems(first.subject, language) & stems(second.subject, language)) - _MODULE_WORDS)
        alike = rule in _COMPARING and _is_title(first, one, language) and _is_title(second, two, language)
        if kin or alike:
            weight = (90 if kin else 84) + (4 if rule is Rule.HORIZONTAL_SIBLINGS else 0)
            yield _both(
                _difference(first, second, language), first, second, QuestionType.COMPARATIVE, "compared", weight
            )
        elif one.module == two.module:
            question = _join(first.question, second.question, language)
            if question is not None:
                yield _both(question, first, second, QuestionType.FACTUAL, "joined", 70)


def _is_title(draft: Draft, page: Page, language: Language) -> bool:
    """Whether the page is about what the draft defines: a module, a submodule, or a section of that name."""
    names = {lower_case(title, language) for title in page.passage.breadcrumb}
    names |= {f"{lower_case(page.module, language)} modülü", f"the {page.module.lower()} module"}
    return lower_case(draft.subject, language) in names


def _difference(first: Draft, second: Draft, language: Language) -> str:
    if language == "tr":
        return f"{first.subject} ile {first_small_subject(second, language)} arasındaki fark nedir?"
    one, two = first_small_subject(first, language), first_small_subject(second, language)
    return f"What is the difference between {one} and {two}?"


def first_small_subject(draft: Draft, language: Language) -> str:
    """The subject in the middle of a sentence, with the article that its own question gave it."""
    if language == "tr":
        return _small(draft.subject, language)
    match = re.match(r"^What (?:is|are|does) (.+?)(?: mean)?\?$", draft.question)
    return match[1] if match else first_small(draft.subject, language)


def _same(one: str, two: str, language: Language) -> bool:
    return lower_case(one, language) == lower_case(two, language)


def _both(question: str, first: Draft, second: Draft, kind: QuestionType, form: str, weight: int) -> Draft:
    parts = [part if ends_as_sentence(part) else part + "." for part in (first.answer, second.answer)]
    glue = "\n" if "\n" in first.answer + second.answer else " "
    return Draft(
        question, glue.join(parts), kind, Difficulty.HARD, first.quotes + second.quotes, first.subject, form, weight
    )


def _shared_tables(studies: Sequence[Study], rule: Rule, language: Language) -> Iterator[Draft]:
    """A database table that sentences of two pages speak of."""
    uses: dict[str, list[tuple[Page, str]]] = {}
    for study in studies:
        for sentence in _sentences(study.page):
            for table in dict.fromkeys(_TABLE.findall(sentence)):
                if not any(page is study.page for page, _ in uses.get(table, [])):
                    uses.setdefault(table, []).append((study.page, sentence))
    for table, places in sorted(uses.items()):
        if not _is_table(table, [sentence for _, sentence in places]):
            continue
        for (one, first), (two, second) in combinations(places[:4], 2):
            names = _place_names(one, two, language)
            if names is None or len((first + second).split()) > 60:
                continue
            question = (
                f"`{table}` tablosu {_and(names)} bölümlerinde nasıl kullanılır?"
                if language == "tr"
                else f"How is the table `{table}` used in {names[0]} and in {names[1]}?"
            )
            yield Draft(
                question,
                f"{plain(first)} {plain(second)}",
                QuestionType.INFERENTIAL,
                Difficulty.HARD,
                (Quote(one.number, first), Quote(two.number, second)),
                table,
                "shared table",
                98 if rule is Rule.SHARED_TABLES else 86,
            )


def _shared_roles(studies: Sequence[Study], language: Language) -> Iterator[Draft]:
    """A role that sentences of two pages speak of."""
    known = {role for study in studies for role in _ROLE.findall(study.page.passage.text) if _is_role(role, study.page)}
    uses: dict[str, list[tuple[Page, str]]] = {}
    for study in studies:
        for sentence in _sentences(study.page):
            roles = set(_ROLE.findall(sentence)) & known
            if len(roles) == 1 and not leans(plain(sentence), language):
                places = uses.setdefault(next(iter(roles)), [])
                if not any(page is study.page for page, _ in places):
                    places.append((study.page, sentence))
    for role, places in sorted(uses.items()):
        for (one, first), (two, second) in combinations(places[:3], 2):
            names = _place_names(one, two, language)
            if names is None or len((first + second).split()) > 50:
                continue
            question = (
                f"{role} rolü {_and(names)} bölümlerinde ne yapar?"
                if language == "tr"
                else f"What does the role {role} do in {names[0]} and in {names[1]}?"
            )
            quotes = (Quote(one.number, first), Quote(two.number, second))
            answer = f"{plain(first)} {plain(second)}"
            yield Draft(question, answer, QuestionType.INFERENTIAL, Difficulty.HARD, quotes, role, "shared role", 78)


def _is_role(name: str, page: Page) -> bool:
    return re.search(rf"{name}\)? (?:rol|role\b)|(?:rol|role) {name}", page.passage.text) is not None


def _sentences(page: Page) -> Iterator[str]:
    for block in page.blocks:
        if isinstance(block, Paragraph):
            yield from (part for part in split_sentences(block.text) if part.endswith(".") and "](" not in part)
        elif isinstance(block, ItemList):
            yield from (item for item in block.items if item.endswith(".") and "](" not in item and "\n" not in item)


def _is_table(name: str, sentences: list[str]) -> bool:
    return any(
        re.search(rf"`{name}`[^.;]*?\b(?:tablo|table)|\b(?:tablo|table)\w* `{name}`", sentence)
        for sentence in sentences
    )


def _place_names(one: Page, two: Page, language: Language) -> tuple[str, str] | None:
    """The shortest names that tell two pages apart: submodules, else modules with their sections."""
    for pair in ((_owner(one, language), _owner(two, language)), (one.module, two.module), (one.title, two.title)):
        if all(pair) and not _same(pair[0], pair[1], language) and not any(is_generic(name, language) for name in pair):
            return pair
    return None


def _and(names: tuple[str, str]) -> str:
    return f"{names[0]} {'ile' if any(' ve ' in name for name in names) else 've'} {names[1]}"


def _owner(page: Page, language: Language) -> str:
    return page.module if is_generic(page.submodule, language) else page.submodule


def _joined(studies: Sequence[Study], rule: Rule, language: Language, max_words: int) -> Iterator[Draft]:
    """Two facts from two pages whose questions share their subject, asked in one breath."""
    used: Counter[str] = Counter()
    pool = [(study.page, draft) for study in studies for draft in _joinable(study)]
    for (one, first), (two, second) in combinations(pool, 2):
        if one.number == two.number or max(used[first.question], used[second.question]) >= _MAX_REUSE:
            continue
        if second.form in _OPENING and first.form not in _OPENING:
            one, first, two, second = two, second, one, first
        opens = first.form in _OPENING and second.form not in _OPENING
        if not (
            _share_subject(first, second, two, rule, language) if opens else _share_words(first, second, one, language)
        ):
            continue
        question = _join(first.question, second.question, language)
        if question is None or len((first.answer + second.answer).split()) > max_words:
            continue
        used.update((first.question, second.question))
        weight = (60 if opens else 45) + (first.weight + second.weight) // 10
        yield _both(question, first, second, QuestionType.INFERENTIAL, "joined", weight)


def _joinable(study: Study) -> list[Draft]:
    drafts = [
        draft
        for draft in study.drafts
        if (draft.form in _JOINABLE and not draft.question.startswith("Hangi "))
        or (draft.form == "labelled item" and draft.type is QuestionType.LIST)
    ]
    return sorted(drafts, key=lambda draft: -draft.weight)[:_DRAFTS_PER_PAGE]


def _share_subject(first: Draft, second: Draft, two: Page, rule: Rule, language: Language) -> bool:
    """The second question names the first's subject, or its page stands under a title of that name.

    A module's name is no subject for rules that stay inside one module: there it would join anything.
    """
    subject = stems(first.subject, language)
    if rule not in _ACROSS_MODULES:
        subject -= stems(two.module, language) | _MODULE_WORDS
    if not subject or (_same(first.subject, second.subject, language) and first.form == second.form):
        return False
    titles = [lower_case(title, language) for title in two.passage.breadcrumb[1:]]
    return subject <= stems(second.question, language) or lower_case(first.subject, language) in titles


def _share_words(first: Draft, second: Draft, page: Page, language: Language) -> bool:
    """Two plain facts whose questions have at least two words of content in common."""
    if {first.form, second.form} & {"table row", "definition", "purpose", "steps", "labelled item"}:
        return False
    shared = stems(first.question, language) & stems(second.question, language)
    return len(shared - QUESTION_STEMS - stems(page.module, language)) >= 2


def _join(first: str, second: str, language: Language) -> str | None:
    joined = f"{first.removesuffix('?')} {'ve' if language == 'tr' else 'and'} {_small(second, language)}"
    return joined if len(joined.split()) <= _MAX_JOINEDQUESTION_STEMS else None


def _small(text: str, language: Language) -> str:
    """First word in small letters, but not the name of a module or of a section."""
    if language == "tr" and re.match(r"\S+ modül|.{0,60} (?:bölümü|ekranı)n", text):
        return text
    return first_small(text, language)
