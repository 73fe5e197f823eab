"""English moves the question word to the front, so each kind of sentence needs a pattern of its own.

"Lot records are kept for 10 years" -> "How long are lot records kept?"; what fits no pattern is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from groundtune.llm.offline.anchors import is_anchored, leans
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import plain
from groundtune.llm.offline.topics import Topic, first_small
from groundtune.types import Difficulty, QuestionType

_SUBJECT = r"((?:(?:The|A|An|Each|Every) )?[\w`'/().-]+(?: [\w`'/().-]+){0,8}?)"
_TIME = r"(\d[\d.,]* (?:calendar |working )?(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?))"
_QUANTITY = r"(?:about |at most |at least |up to |exactly )?([-+±]?\d[\d.,]*(?: ?%| [\w²°/%.]+(?: [\w²°/]+)?)?)"
_CLAUSE_IN_SUBJECT = re.compile(
    r"\b(?:if|when|which|who|because|while|where|is|are|was|can|may|must|will|has|have|and|only)\b", re.IGNORECASE
)
_MAX_QUESTION_WORDS = 17

Asked = tuple[str, str, int]
"""Question, form, weight."""


def moved_questions(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """At most one draft for a sentence of passage `number`."""
    text = plain(sentence)
    if "](" in sentence or leans(text, "en") or not is_anchored(text, topic) or not text.endswith("."):
        return
    clause = re.split(r"[;:] ", text.rstrip("."))[0]
    for pattern, ask in _PATTERNS:
        match = pattern.match(clause)
        asked = ask(match) if match else None
        if asked is None or len(asked[0].split()) > _MAX_QUESTION_WORDS or leans(asked[0].rstrip("?"), "en"):
            continue
        # an answer to a yes-or-no question says so first
        answer = f"No. {text}" if asked[1] == "may" else text
        yield Draft(
            question=asked[0],
            answer=answer,
            type=QuestionType.FACTUAL,
            difficulty=Difficulty.EASY if len(text.split()) <= 16 else Difficulty.MEDIUM,
            quotes=(Quote(number, sentence),),
            subject=_subject(match[1] if match else ""),
            form=asked[1],
            weight=asked[2] - max(0, len(asked[0].split()) - 11) * 2,
        )
        return


def _subject(text: str) -> str:
    return re.sub(r"^(?:The|A|An|Each|Every) ", "", text)


def _small(text: str) -> str:
    return first_small(text, "en")


def _plain_subject(text: str) -> bool:
    return _CLAUSE_IN_SUBJECT.search(text) is None


def _how_long(match: re.Match[str]) -> Asked | None:
    return (f"How long {match[2]} {_small(match[1])} {match[3]}?", "value", 90) if _plain_subject(match[1]) else None


def _within(match: re.Match[str]) -> Asked | None:
    if not _plain_subject(match[1]):
        return None
    return f"Within what time {match[2]} {_small(match[1])} {match[3]}?", "value", 86


def _attribute(match: re.Match[str]) -> Asked | None:
    if not _plain_subject(match[1]):
        return None
    return f"What is the {match[2]} of {_small(match[1])}?", "value", 90


def _amount(match: re.Match[str]) -> Asked | None:
    return (
        (f"What is {_small(match[1])}?", "value", 86)
        if _plain_subject(match[1]) and match[1].startswith("The ")
        else None
    )


def _at_most(match: re.Match[str]) -> Asked | None:
    bound = "at most" if match[1].lower() == "at most" else "at least"
    return f"How many {match[3]} {match[4]} {bound}?", "value", 84


def _only(match: re.Match[str]) -> Asked | None:
    return f"Who {match[2]} {match[3]}?", "name", 88


def _by_role(match: re.Match[str]) -> Asked | None:
    return (f"Who {match[2]} {_small(match[1])} {match[3]} by?", "name", 82) if _plain_subject(match[1]) else None


def _requires(match: re.Match[str]) -> Asked | None:
    if not _plain_subject(match[1]):
        return None
    return f"What {'does' if match[2] == 'requires' else 'do'} {_small(match[1])} require?", "value", 82


def _thing(code: str, after: str) -> str:
    if after:
        return after
    if re.match(r"`(?:GET|POST|PUT|PATCH|DELETE) ", code):
        return "endpoint"
    return "table" if re.match(r"`[a-z]+(?:_[a-z]+)+`$", code) else ""


def _which_place(match: re.Match[str]) -> Asked | None:
    """SUBJECT is/are VERB PREPOSITION `code` [table|endpoint|...]"""
    noun = _thing(match[5], match[6] or "")
    if not noun or not _plain_subject(match[1]):
        return None
    preposition = match[4].capitalize()
    return f"{preposition} which {noun} {match[2]} {_small(match[1])} {match[3]}?", "name", 90


def _where(match: re.Match[str]) -> Asked | None:
    return (f"Where {match[2]} {_small(match[1])}?", "name", 86) if _plain_subject(match[1]) else None


def _cannot(match: re.Match[str]) -> Asked | None:
    if not _plain_subject(match[1]) or re.search(r"\b(?:and|but|or|until|unless|it)\b", match[3]):
        return None
    return f"{match[2].removesuffix('not').strip().capitalize()} {_small(match[1])} {match[3]}?", "may", 76


_VERB = r"(\w+(?:ed|en|pt|ld|t|ad|wn|ut|nd))"
_PATTERNS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Asked | None]], ...] = (
    (re.compile(rf"^{_SUBJECT} (is|are) {_VERB} for {_TIME}\b"), _how_long),
    (re.compile(rf"^{_SUBJECT} (must|can|may|should) (be \w+) within {_TIME}\b"), _within),
    (re.compile(rf"^{_SUBJECT} has (?:a|an) ([a-z]+(?: [a-z]+){{0,3}}) of {_QUANTITY}"), _attribute),
    (re.compile(r"^(At most|At least) (\d[\d.,]*) ([a-z]+(?: [a-z-]+){0,3}?) ((?:can|may|must|are|is) .+)$"), _at_most),
    (re.compile(r"^(Only) (?:the |a |an )?[\w ()]+? (may|can|must) (.+)$"), _only),
    (
        re.compile(
            rf"^{_SUBJECT} (is|are) {_VERB} (in|to|from|by|with|through|at|on) (?:the )?(`[^`]+`)(?: (table|endpoint|parameter|field|screen|column))?"
        ),
        _which_place,
    ),
    (re.compile(rf"^{_SUBJECT} (is|are) at [A-Z][\w ]+ > "), _where),
    (re.compile(rf"^{_SUBJECT} (cannot|can not|may not|must not) (\w[\w `'/-]+)$"), _cannot),
    (re.compile(rf"^{_SUBJECT} (is) {_QUANTITY}(?:$|,| and )"), _amount),
    (re.compile(rf"^{_SUBJECT} (requires|require) (.+)$"), _requires),
    (re.compile(rf"^{_SUBJECT} (is|are) {_VERB} by (?:the )?[A-Z]{{3,}}_[A-Z_]+"), _by_role),
)
