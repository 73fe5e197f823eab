"""Sentences with a condition: "... ise ...", "...dığında ...", "If ..., ..."; the question asks for what follows from it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import is_anchored, leans
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.structure import plain
from groundtune.llm.offline.topics import Topic, first_small, resolve_subject
from groundtune.llm.offline.turkish import capitalise, is_finite
from groundtune.types import Difficulty, QuestionType

_TR_CONDITION = re.compile(r"(?:[rzy]s[ae]|\w{3,}[kntşlm]s[ae]|yoksa|ise)$")
_TR_NOT_CONDITION = frozenset(["gerekirse", "varsa", "yoksa", "ise", "neyse", "nasılsa", "oysa"])
_TR_WHEN = re.compile(r"(?:[dt][ıiuü]ğ[ıiuü]nd[ae]|[ıiuü]l[ıi]nca|[ıiuü]nce|[lnrt][ıiuü]nca|ulunca|ülünce|ununca)$")
_TR_NOT_WHEN = frozenset(["önce", "sonunca", "öncelikle", "birinci", "önünce"])
_TR_PURPOSE = re.compile(r"(?:mak|mek)$")
_TR_IMPERATIVE = re.compile(r"(?:[^ıiuü]|y)[ıiuü]n(?:[ıiuü]z)?$")
_TR_OPENERS = re.compile(r"^(?:Ancak|Ayrıca|Ardından|Böylece|Not|Bununla birlikte),? ", re.IGNORECASE)
_ANNOUNCES = re.compile(r"aşağıda|şu adım|following|these steps|steps below|as shown")
"""The sentence only leads to what comes after it."""
_EN_IF = re.compile(r"^(If|When|Once|After) ([^,;:]{10,110}), (?:then )?(.+)\.$", re.DOTALL)
_EN_IF_LATER = re.compile(r"^([^,;:]{10,90}) (if|when) ([^,;:]{8,90})\.$", re.DOTALL)
_EN_TO = re.compile(r"^To ([a-z][^,;:]{6,80}), (.+)\.$", re.DOTALL)
_EN_IMPERATIVE = re.compile(
    r"^(?:click|press|select|navigate|open|choose|enter|use|go|run|set|add|create|tap|scan|simply|first|you (?:can|must|need|should|have))\b",
    re.IGNORECASE,
)


def conditions(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """At most one draft for a sentence of passage `number`."""
    text = plain(sentence)
    if "](" in sentence or not 6 <= len(text.split()) <= 45 or _ANNOUNCES.search(lower_case(text, topic.language)):
        return
    asked = _turkish(text, topic) if topic.language == "tr" else _english(text, topic)
    if asked is None:
        return
    question, subject, how = asked
    yield Draft(
        question=question,
        answer=text,
        type=QuestionType.PROCEDURAL if how else QuestionType.INFERENTIAL,
        difficulty=Difficulty.MEDIUM if how else Difficulty.HARD,
        quotes=(Quote(number, sentence),),
        subject=subject,
        form="how" if how else "condition",
        weight=(82 if how else 84) - max(0, len(question.split()) - 11) * 2,
    )


def _turkish(text: str, topic: Topic) -> tuple[str, str, bool] | None:
    """Question, its subject, and whether it asks how something is done."""
    text = resolve_subject(_TR_OPENERS.sub("", text).rstrip("."), topic)
    words = re.split(r"[;:] ", text)[0].split()
    if (
        sum(
            _turkish_kind(lower_case(word.strip(",*\"'`()"), "tr"), words, index) is not None
            for index, word in enumerate(words)
        )
        != 1
    ):
        return None
    for index, word in enumerate(words[:15]):
        bare = lower_case(word.strip(",*\"'`()"), "tr")
        kind = _turkish_kind(bare, words, index)
        if kind is None:
            continue
        if index < 1 or len(words) - index < 3 or words[index - 1] == "ne":
            return None
        asked = " ".join(words[: index + (2 if kind == "purpose" else 1)]).rstrip(",")
        asked = capitalise(asked)
        if asked.count("(") != asked.count(")") or any(
            is_finite(word) and word.endswith(",") for word in words[:index]
        ):
            return None
        if leans(asked, "tr") or not (is_anchored(asked, topic) or len(asked.split()) >= 5):
            return None
        tells = _TR_IMPERATIVE.search(lower_case(words[-1].strip("`*'\")"), "tr")) is not None
        ending = "ne yapılmalıdır?" if tells or kind == "purpose" else "ne olur?"
        if kind == "purpose" and not tells and not re.search(r"(?:malı|meli|gerek|ebilir|abilir)", words[-1]):
            return None
        return f"{asked} {ending}", " ".join(words[:index]), kind == "purpose"
    return None


def _turkish_kind(bare: str, words: list[str], index: int) -> str | None:
    if _TR_CONDITION.search(bare) and bare not in _TR_NOT_CONDITION:
        return "condition"
    if _TR_WHEN.search(bare) and bare not in _TR_NOT_WHEN and len(bare) > 6:
        return "when"
    if _TR_PURPOSE.search(bare) and index + 1 < len(words) and words[index + 1].rstrip(",") == "için":
        return "purpose"
    return None


def _english(text: str, topic: Topic) -> tuple[str, str, bool] | None:
    if match := _EN_TO.match(text):
        if is_anchored(match[1], topic) and _EN_IMPERATIVE.match(match[2]):
            return f"How do you {match[1]}?", match[1], True
        return None
    if match := _EN_IF.match(text):
        if leans(match[2], "en") or (len(match[2].split()) < 4 and not is_anchored(match[2], topic)):
            return None
        lead = match[1].lower()
        if _EN_IMPERATIVE.match(match[3]):
            return f"What should be done {lead} {match[2]}?", match[2], False
        return f"What happens {lead} {match[2]}?", match[2], False
    match = _EN_IF_LATER.match(text)
    if match and is_anchored(text, topic) and is_anchored(match[3], topic) and len(match[3].split()) >= 3:
        return f"What happens {match[2]} {match[3]}?", first_small(match[3], "en"), False
    return None
