"""How a reader would name what a block is about: its heading, made plain where the heading alone says too little."""

from __future__ import annotations

from dataclasses import dataclass

from groundtune.language import lower_case
from groundtune.llm.offline.drafts import stems
from groundtune.llm.offline.turkish import sentence_case
from groundtune.llm.offline.word_lists import GENERIC_TITLE_WORDS
from groundtune.types import Language


@dataclass(frozen=True, slots=True)
class Topic:
    """The name of a block's subject and where it belongs."""

    heading: str
    """The nearest heading, as written."""
    parent: str
    """The nearest heading above it that says something by itself, or the submodule; as written."""
    owner: str
    """The submodule, or the module where there is none, as written."""
    module: str
    stems: frozenset[str]
    """Of all titles above the block."""
    language: Language

    @property
    def is_generic(self) -> bool:
        """The heading would not say what the block is about, standing alone."""
        return is_generic(self.heading, self.language)

    @property
    def name(self) -> str:
        """The heading in running text, or the nearest one above it that says something: ``mal kabul kaydı oluşturma``."""
        return running(self.parent if self.is_generic else self.heading, self.language)


def is_generic(title: str, language: Language) -> bool:
    """
    >>> is_generic("Adım adım kayıt", "tr"), is_generic("Lot etiketi", "tr"), is_generic("Error codes", "en")
    (True, False, True)
    """
    words = lower_case(title, language).split()
    if words[:2] == ["adım", "adım"] or words[-3:] == ["step", "by", "step"]:
        return True
    return all(word in GENERIC_TITLE_WORDS.get(language, frozenset()) for word in words)


def topic_of(trail: tuple[str, ...], language: Language) -> Topic:
    """The topic of a block with the titles `trail` above it."""
    module = trail[0] if trail else ""
    owner = trail[1] if len(trail) > 1 else module
    if is_generic(owner, language):
        owner = module
    heading = trail[-1] if trail else ""
    telling = [title for title in trail[1:-1] if not is_generic(title, language)]
    parent = telling[-1] if telling else owner
    return Topic(heading, parent, owner, module, stems(" ".join(trail), language), language)


def resolve_subject(text: str, topic: Topic) -> str:
    """ "Modülün görevi" says nothing outside its page; "Stok modülünün görevi" does. So for the screens of a page."""
    first, _, rest = text.partition(" ")
    if topic.module and first in ("Modülün", "Modül", "Modül,"):
        return f"{topic.module} {first.replace('Modülün', 'modülünün').replace('Modül', 'modülü')} {rest}"
    if topic.owner and text.startswith(("Ana ekran ", "Açılış ekranı ", "Ekran yolu ")):
        kind, _, after = text.partition(" ")
        after = after.partition(" ")[2]
        name = {"Ana": "bölümünün ana ekranı", "Açılış": "bölümünün açılış ekranı", "Ekran": "ekranının yolu"}[kind]
        return f"{topic.owner} {name} {after}"
    return text


def running(title: str, language: Language) -> str:
    """A title in the middle of a sentence."""
    if language == "tr":
        return sentence_case(title)
    return " ".join(word if _keeps_case(word) else word.lower() for word in title.split())


def _keeps_case(word: str) -> bool:
    inner = word.strip("()[].,:;\"'`*")
    return any(letter.isupper() for letter in inner[1:]) or any(letter.isdigit() for letter in inner) or "`" in word


def first_small(text: str, language: Language) -> str:
    """The first word in small letters unless it is a code, an abbreviation or a name in mixed case.

    >>> first_small("Lot numarası", "tr"), first_small("NYY kablo", "tr"), first_small("The lot", "en"), first_small("`x` y", "en")
    ('lot numarası', 'NYY kablo', 'the lot', '`x` y')
    """
    word, blank, rest = text.partition(" ")
    titled = language == "en" and word not in ("The", "A", "An") and rest[:1].isupper() and not rest[1:2].isupper()
    if _keeps_case(word) or "'" in word or titled:
        return text
    return lower_case(word, language) + blank + rest
