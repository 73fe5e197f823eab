"""Bullet lists: what a heading or the line above them promises, and what a bold label in them stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from groundtune.language import lower_case
from groundtune.llm.offline.anchors import leans
from groundtune.llm.offline.drafts import Draft, Quote
from groundtune.llm.offline.steps import IMPERATIVE as _EN_IMPERATIVE
from groundtune.llm.offline.structure import ItemList, plain
from groundtune.llm.offline.topics import Topic, is_generic, running
from groundtune.llm.offline.turkish import capitalise, sentence_case
from groundtune.types import Difficulty, QuestionType

_MAX_LIST_WORDS = 70
_LABEL = re.compile(r"^\*\*([^*]{2,50}?):?\*\*:?\s*(?:\([^)]{1,30}\):\s*)?(?:[–—-]\s+)?(.+)$", re.DOTALL)
_ERROR = re.compile(r"^`?[A-Z]{2,5}-\d{2,5}`?$")
_TR_INTRO_PLURAL = re.compile(
    r"^(.{4,70}?(?:l[ae]r[ıi]?)) (?:şunlardır|aşağıdadır|aşağıdaki gibidir|şöyledir|aşağıda listelenmiştir)\s*:$",
    re.IGNORECASE,
)
_EN_INTRO_PLURAL = re.compile(r"^(The .{4,70}?s) (?:are|are as follows|are the following)\s*:$")
_INCOMING = {"tr": ("gelen veri",), "en": ("incoming data",)}
_EXCHANGE = {"tr": "veri alışverişi", "en": "data exchange"}
_OUTGOING = {"tr": ("giden veri", "verilen veri"), "en": ("outgoing data",)}


def list_questions(block: ItemList, topic: Topic, number: int) -> Iterator[Draft]:
    """The whole list, and its labelled items."""
    items = [plain(item) for item in block.items]
    if len(items) < 2 or any("```" in item or "|" in item for item in block.items):
        return
    question = _whole(block, topic)
    answer = "\n".join(f"- {item}" for item in items)
    if question and len(answer.split()) <= _MAX_LIST_WORDS:
        yield Draft(
            question, answer, QuestionType.LIST, Difficulty.MEDIUM, (Quote(number, block.text),), topic.name, "list", 92
        )
    for item in block.items:
        draft = _labelled(item, topic, number)
        if draft is not None:
            yield draft


def _whole(block: ItemList, topic: Topic) -> str | None:
    """A question for all items, from the line above them or from a heading in the plural."""
    intro = plain(block.intro)
    if topic.language == "tr":
        match = _TR_INTRO_PLURAL.match(intro)
        if match and not leans(match[1], "tr"):
            return f"{match[1]} nelerdir?"
        heading = lower_case(topic.heading, "tr")
        if heading in ("alt modüller", "alt bölümler") and topic.module:
            return f"{topic.module} modülünün {heading}i nelerdir?"
        if re.search(r"l[ae]r[ıi]?$", heading) and not topic.is_generic and (not intro or intro.endswith(":")):
            return f"{capitalise(sentence_case(topic.heading))} nelerdir?"
        return None
    match = _EN_INTRO_PLURAL.match(intro)
    if match and not leans(match[1], "en"):
        return f"What are {match[1][0].lower()}{match[1][1:]}?"
    if re.search(
        r"\b(?:that|which|provides|needs|is|are|how|what|why)\b", topic.heading.lower()
    ) or _EN_IMPERATIVE.match(topic.heading):
        return None
    if (
        topic.heading.lower().endswith("s")
        and not topic.is_generic
        and not topic.heading.lower().endswith("ss")
        and (not intro or intro.endswith(":"))
    ):
        return f"What are the {running(topic.heading, 'en')}?"
    return None


def is_labelled(item: str) -> bool:
    """Whether the item begins with a bold label, so that its sentence alone would miss its subject."""
    return _LABEL.match(item) is not None or re.match(r"^`[^`]+`\s*:|^\[[^\]]+\]\([^)]*\)\s*:", item) is not None


def _labelled(item: str, topic: Topic, number: int) -> Draft | None:
    match = _LABEL.match(item)
    if match is None:
        return None
    label, text = plain(match[1]).rstrip(":"), plain(match[2])
    if (
        len(text.split()) < 2
        or "](" in item
        or lower_case(text, topic.language).rstrip(".") == lower_case(label, topic.language)
    ):
        return None
    if text.startswith("="):
        if len(label.split()) > 5:
            return None
        frame = "{} nasıl hesaplanır?" if topic.language == "tr" else "How is {} calculated?"
        said = f"{label} {text}".rstrip(".") + "."
        return Draft(
            frame.format(label),
            said,
            QuestionType.FACTUAL,
            Difficulty.EASY,
            (Quote(number, item),),
            label,
            "labelled item",
            84,
        )
    exchange = _exchange(label, topic)
    if exchange:
        question, kind, weight = exchange, QuestionType.LIST, 80
    elif _ERROR.match(label):
        frame = "{} hata kodu ne anlama gelir?" if topic.language == "tr" else "What does error code {} mean?"
        question, kind, weight = frame.format(label), QuestionType.FACTUAL, 85
    else:
        asked = _what_label(label, topic)
        if asked is None:
            return None
        question, kind, weight = asked, QuestionType.FACTUAL, 64
    repeats = lower_case(text, topic.language).startswith(lower_case(label, topic.language))
    answer = text if repeats else f"{label}: {text}"
    answer = answer if answer.endswith((".", "!")) else answer + "."
    return Draft(question, answer, kind, Difficulty.EASY, (Quote(number, item),), label, "labelled item", weight)


def _exchange(label: str, topic: Topic) -> str | None:
    """Data handed between modules, told by the heading above the list."""
    heading = lower_case(topic.heading, topic.language)
    incoming = heading.startswith(_INCOMING.get(topic.language, ()))
    outgoing = heading.startswith(_OUTGOING.get(topic.language, ()))
    both = _EXCHANGE.get(topic.language, "-") in heading
    if not (incoming or outgoing or both) or not topic.module or len(label.split()) > 2:
        return None
    if both and not (incoming or outgoing):
        if topic.language == "tr":
            return f"{topic.module} modülü ile {label} modülü arasında hangi veri alışverişi vardır?"
        return f"Which data do {_english_module(topic)} and the {label} module exchange?"
    if topic.language == "tr":
        return (
            f"{topic.module} modülü {label} modülünden hangi verileri alır?"
            if incoming
            else f"{topic.module} modülü {label} modülüne hangi verileri verir?"
        )
    owner = _english_module(topic)
    verb, preposition = ("receive", "from") if incoming else ("pass on", "to")
    return f"Which data does {owner} {verb} {preposition} the {label} module?"


def _english_module(topic: Topic) -> str:
    return (
        "the module"
        if not topic.parent
        else f"the {topic.parent}"
        if "module" in topic.parent.lower()
        else f"the {topic.module} module"
    )


def _what_label(label: str, topic: Topic) -> str | None:
    if (
        is_generic(label, topic.language)
        or len(label.split()) > 6
        or leans(label, topic.language)
        or ">" in label
        or "," in label
    ):
        return None
    owner = topic.parent if topic.is_generic else topic.heading
    if lower_case(label, topic.language) == lower_case(owner, topic.language) or not owner:
        return None
    if topic.language == "tr":
        if re.search(r"l[ae]r[ıi]$", owner) and "ve" not in owner.split():
            ending = "ndan" if owner.endswith("ı") else "nden"
            return f"{capitalise(sentence_case(owner))}{ending} {label} ne anlama gelir?"
        return f"{owner} bölümünde “{label}” ne anlama gelir?"
    return f'What does "{label}" mean in {running(owner, "en")}?'


_TR_INLINE = re.compile(
    r"^((?:[\w'’]+ ){1,6}?[\w'’]+?l[ae]r[ıi]) ((?:[^,;:.()]{2,50}, )+[^,;:.()]{2,50} ve [^,;:.()]{2,60}?(?:'?[dt][ıiuü]r))\.$"
)
_EN_INLINE = re.compile(
    r"^(The (?:[\w'’-]+ ){0,6}?[\w'’-]+s) are ((?:[^,;:.()]{2,50}, )+(?:[^,;:.()]{2,50} )?and [^,;:.()]{2,60})\.$"
)


def inline_list(sentence: str, topic: Topic, number: int) -> Iterator[Draft]:
    """A sentence that enumerates: "Sistemde izlenen para birimleri USD, EUR ve GBP'dir."."""
    text = plain(sentence)
    if topic.language == "tr":
        match = _TR_INLINE.match(text)
        if match is None:
            return
        subject = match[1]
        if subject.startswith("Modülün ") and topic.module:
            subject = f"{topic.module} modülünün {subject.removeprefix('Modülün ')}"
        if leans(subject, "tr") or len(match[2].split(",")[0].split()) > 4:
            return
        question = f"{subject} nelerdir?"
    else:
        match = _EN_INLINE.match(text)
        if match is None or leans(match[1], "en") or re.search(r"\b(?:is|are|was|now)\b", match[2]):
            return
        subject = (
            match[1] if len(match[1].split()) > 2 or not topic.module else f"{match[1]} of the {topic.module} module"
        )
        question = f"What are {subject[0].lower()}{subject[1:]}?"
    yield Draft(
        question, text, QuestionType.LIST, Difficulty.EASY, (Quote(number, sentence),), subject, "inline list", 90
    )
