"""Turkish asks where the answer stands: "12 alt lota bölünür" becomes "kaç alt lota bölünür?".

So a question is the sentence with one figure, code, path or name replaced by a question word that carries its case. Only
sentences that name their subject and have exactly one thing of the kind that is replaced are used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import is_anchored
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import plain
from groundtune.llm.offline.topics import Topic, resolve_subject
from groundtune.llm.offline.turkish import capitalise, first_clause, how_many_case, possessed_endings
from groundtune.llm.offline.word_lists import NAMING_BEFORE_FIGURE, NOT_COUNTED, POINTING_BEFORE_COUNT
from groundtune.types import Difficulty, QuestionType

_MAX_QUESTION_WORDS = 17

_COUNTED = re.compile(
    r"(?:[a-zçğıöşü]{2,}|(?:TL|USD|EUR|MB|KB|GB|kV|V|N|°C|m/dk|m/dak|kg|mm|cm|m|km|km/sa|TL/kg|TL/t)(?:'[a-zçğıöşü]+)?)[,)]?"
)
"""What may stand behind "kaç": any noun in small letters, and of units with other letters these."""
_COUNT_WORD = re.compile(r"(?<!\w)(?P<before>[\wçğıöşü']+ )?(?:iki|üç|dört|beş|yedi|sekiz|dokuz)(?= [a-zçğıöşü]{3,})")
_FIGURE = re.compile(
    r"(?<![\w.,:/%×±'-])(?P<percent>%)?(?P<figure>\d{1,3}(?:\.\d{3})+(?:,\d+)?|\d+(?:,\d+)?)(?:'(?P<suffix>[a-zçğıöşü]+))?(?![\w./×:-]*\d)(?![\w/×-])"
)
_TIME = re.compile(
    r"(?<![\d.,–-])(?P<before>saat )?(?P<hour>[0-2]?\d[.:][0-5]\d)'(?P<suffix>[dt][ae](?:n|ki)?|[aeyn]+)\b(?![–-])"
)
_ANY_NUMBER = re.compile(r"\d")
_MONTHS = re.compile(r"\b(?:ocak|şubat|mart|nisan|mayıs|haziran|temmuz|ağustos|eylül|ekim|kasım|aralık)\b")
_ROLE = re.compile(r"\b[A-ZÇĞİÖŞÜ]{3,}_[A-ZÇĞİÖŞÜ]{3,}(?:_[A-ZÇĞİÖŞÜ]+)*\b(?!')")
_ERROR = re.compile(r"\b[A-Z]{2,4}-\d{3}\b")
_PLACE = re.compile(r"(?:\*\*[^*]+ > [^*]+\*\*)")
_CODE = re.compile(r"`[^`]+`")
_STATE = re.compile(r"`[A-ZÇĞİÖŞÜ_]{4,}`|\b[A-ZÇĞİÖŞÜ]{4,}\b(?!_)")
_STORE = re.compile(r"\b[A-Z]{2}-0\d\b")
_FINITE = re.compile(r"(?:[ıiuüae]r|m[ae]z|[ıiuü]yor|m[ae]l[ıi])(?:l[ae]r)?$")
"""Looser than `is_finite`: at the end of a sentence a verb is expected."""


def in_place_questions(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """Drafts for a sentence of passage `number`: at most one for each kind of thing it holds."""
    if "](" in sentence:
        return
    resolved = resolve_subject(sentence, topic)
    clause = _first_clause(resolved)
    if not clause or not is_anchored(plain(clause), topic) or _ASKS_ALREADY.search(lower_case(clause, "tr")):
        return
    for question, form, weight in (*_names(clause, of_module=resolved == sentence), *_figures(clause)):
        question = capitalise(plain(question)).rstrip(". ") + "?"
        if not 4 <= len(question.split()) <= _MAX_QUESTION_WORDS or "olmak üzere" in question:
            continue
        yield Draft(
            question=question,
            answer=plain(sentence),
            type=QuestionType.FACTUAL,
            difficulty=Difficulty.EASY if len(sentence.split()) <= 16 else Difficulty.MEDIUM,
            quotes=(Quote(number, sentence),),
            subject=" ".join(plain(clause).split()[:2]),
            form=form,
            weight=weight - max(0, len(question.split()) - 11) * 2,
        )


def _first_clause(sentence: str) -> str | None:
    """The first clause, if it has a finite verb and does not begin in the middle of something."""
    clause = first_clause(sentence.rstrip("."))
    words = plain(clause).split()
    if len(words) < 4 or not _FINITE.search(lower_case(words[-1].strip("`'*)"), "tr")):
        return None
    return clause


def _figures(clause: str) -> Iterator[tuple[str, str, int]]:
    """A question for the one time of day, count word or figure of the clause."""
    text = plain(_CODE.sub("`x`", clause))
    if _MONTHS.search(lower_case(text, "tr")):
        return
    times = list(_TIME.finditer(text))
    if len(times) == 1 and _ANY_NUMBER.search(text.replace(times[0][0], "")) is None:
        asked = f"saat {how_many_case(times[0]['suffix']) or 'kaçta'}"
        yield _unmask(clause, text, times[0], asked), "value", 84
    elif _ANY_NUMBER.search(text) is None:
        yield from _count_word(clause, text)
    else:
        yield from _figure(clause, text)


def _count_word(clause: str, text: str) -> Iterator[tuple[str, str, int]]:
    found = list(_COUNT_WORD.finditer(text))
    if len(found) != 1:
        return
    before = found[0]["before"] or ""
    # "dört durumdan biri", "iki ayrı": the count is not what the sentence is about
    aside = re.match(r" (?:ayrı\b|\w+ bir(?:i|in))", text[found[0].end() :])
    if before.strip() not in POINTING_BEFORE_COUNT and not aside:
        yield _unmask(clause, text, found[0], f"{before}kaç"), "value", 76


def _figure(clause: str, text: str) -> Iterator[tuple[str, str, int]]:
    found = list(_FIGURE.finditer(text))
    if len(found) != 1 or len(re.findall(r"\d+(?:[.,]\d+)*", text)) != 1:
        return
    match = found[0]
    before, after = text[: match.start()].split(), text[match.end() :].split()
    word = how_many_case(match["suffix"] or "")
    if word is None or _is_name(before):
        return
    if match["percent"]:
        yield _unmask(clause, text, match, f"yüzde {word}"), "value", 86
    elif match["suffix"]:
        if re.fullmatch(r"[dt][ıiuü]r", match["suffix"]):
            yield _unmask(clause, text, match, word), "value", 86
    elif after and after[0] not in NOT_COUNTED and _COUNTED.fullmatch(after[0]):
        yield _unmask(clause, text, match, word), "value", 86


def _is_name(before: list[str]) -> bool:
    """Whether the figure belongs to a name ("TS EN 60228"), an order ("ilk 3") or an approximation."""
    if not before or _is_extreme(before):
        return False
    return (before[-1][:1].isupper() and len(before) > 1) or before[-1] in NAMING_BEFORE_FIGURE


def _is_extreme(before: list[str]) -> bool:
    return before[-2:] in (["en", "çok"], ["en", "az"], ["en", "fazla"])


def _unmask(clause: str, text: str, match: re.Match[str], replacement: str) -> str:
    """`text` with the match replaced and the code spans of `clause` put back."""
    codes = iter(_CODE.findall(clause))
    asked = text[: match.start()] + replacement + text[match.end() :]
    return re.sub(r"`x`", lambda _: next(codes, "`x`"), asked)


def _names(clause: str, *, of_module: bool) -> Iterator[tuple[str, str, int]]:
    """Questions for what is named by a noun behind it: a table, screen, endpoint, parameter, role, error, status, warehouse."""
    for pattern, nouns, weight in _NAMED_KINDS:
        found = list(pattern.finditer(clause))
        if len(found) != 1 or (nouns == ("modül",) and (not of_module or clause.count("modül") > 1)):
            continue
        asked = _ask_which(clause, found[0], nouns)
        if asked is not None:
            # asked for at the start of the sentence, the rest of it is the fact that is known
            yield asked, "name", weight - (12 if found[0].start() == 0 else 0)
    roles = list(_ROLE.finditer(clause))
    if len(roles) == 1:
        yield from _who(clause, roles[0])


def _ask_which(clause: str, match: re.Match[str], nouns: tuple[str, ...]) -> str | None:
    rest = clause[match.end() :]
    for noun in nouns:
        for ending, bare in sorted(possessed_endings(noun).items(), key=lambda item: -len(item[0])):
            found = re.match(rf" {ending}(?![\w'])", rest)
            if found:
                before = re.sub(r"(?:\b[Yy]aln[ıi]z(?:ca)? )$", "", clause[: match.start()])
                after = rest[found.end() :]
                if before.endswith("("):
                    return None
                if noun in _PARTS_OF_SCREENS and re.search(r"\w{3,}n[ıiuü]n $", before):
                    bare = ending  # "ekranının Üretim sekmesinde": the genitive keeps the possessed form
                if noun == "hata" and bare == noun and re.match(r" (?:ver|al)[ıi]r", after):
                    bare = "hatayı"
                return f"{before}hangi {bare}{after}"
    return None


_PARTS_OF_SCREENS = frozenset(["sekme", "alan", "düğme", "kutu", "seçenek", "menü", "hızlı sekme"])
_ASKS_ALREADY = re.compile(r"\b(?:hangi\w*|kaç\w*|nasıl|kimin?|ne kadar|nerede)\b")
_PLACES = ("ekran", "sayfa", "pencere", "menü", "yol", "liste", "sekme", "düğme", "form")
_NAMED_KINDS: tuple[tuple[re.Pattern[str], tuple[str, ...], int], ...] = (
    (_PLACE, _PLACES, 90),
    (
        _CODE,
        (
            "biçim",
            "tablo",
            "uç",
            "uç nokta",
            "adres",
            "istek",
            "çağrı",
            "parametre",
            "alan",
            "sütun",
            "durum",
            "rol",
            "kod",
            "ekran",
        ),
        90,
    ),
    (_ERROR, ("hata", "kod"), 85),
    (re.compile(r"(?<![\w-])[A-ZÇĞİÖŞÜ][a-zçğıöşü]+(?= modül)"), ("modül",), 84),
    (_STORE, ("depo",), 82),
    (_STATE, ("durum", "rol"), 80),
    (_ROLE, ("rol",), 85),
    (
        re.compile(r"\*\*[^*>]+\*\*"),
        ("düğme", "sekme", "ekran", "alan", "sayfa", "seçenek", "menü", "kutu", "hızlı sekme"),
        78,
    ),
)


def _who(clause: str, match: re.Match[str]) -> Iterator[tuple[str, str, int]]:
    """A bare role name right before the verb, with its object before it, is the one who does it."""
    rest = clause[match.end() :]
    if not re.fullmatch(r" \w+(?: \w+(?:bilir|maz|mez))?", rest) or re.search(
        r" (?:olur|olmaz|kalır|rolüdür|görünür)$", rest
    ):
        return
    before = re.sub(r"(?:\b[Yy]aln[ıi]z(?:ca)?,? )$", "", clause[: match.start()])
    if not re.search(r"[ıiuüae]\w? $", before) or re.search(r"(?:\bbir|\bve|\bveya|,) $", before):
        return
    yield f"{before}kim{rest}", "name", 83
