"""Which other modules a passage speaks of, by name or by a link into their folder.

Names of modules are ordinary words ("stok", "part"), so a name counts only where it is used as a name:

- before "modülü", "modül", "module" in any letter case: ``stok modülünde``, ``Stok, Lab ve Üretim modülleri``;
- capitalised, with a suffix after an apostrophe: ``Lab'a``;
- capitalised at the head of a screen path, or alone in a table cell or in bold: ``Stok > Lotlar``, ``**Lab:**``;
- capitalised and listed with another such name: ``**Stok ve Finans:**``;
- capitalised inside a sentence, with no capitalised neighbour that would make it part of a longer name.

Code is not searched. A link counts by the module of the file it leads to.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from groundtune.documents.plain import without_code
from groundtune.language import lower_case
from groundtune.types import Chunk

_LINK_TARGET = re.compile(r"\]\(\s*<?([^()\s<>]+)")
_MODULE_WORD = re.compile(
    r"(?:(?:,\s+|,?\s+(?:ve|veya|ile|and|or)\s+)[\w]+(?:\s\w+)?)*\s+(?:mod[uü]l\w*|modules?\b)", re.IGNORECASE
)
_APOSTROPHE_SUFFIX = re.compile(r"['’]\w")
_SCREEN_PATH = re.compile(r"\s+>\s+\S")
_CAPITAL_NEXT = re.compile(r"\s+[^\W\d_a-zçğıöşü]")
_INSIDE_SENTENCE = re.compile(r"(?:\b[^\W\d_]*[a-zçğıöşü]|[a-zçğıöşü][,;:)]|[,;])\s\Z|[\w,;]\s?[(“\"]\Z")
_LISTED_WITH = re.compile(r"(?:,\s+|,?\s+(?:ve|veya|ile|and|or)\s+)")
_WORD_BEFORE = re.compile(r"(\w+)[,;:]?\s\Z")
_LONGEST_CONTEXT = 60

_MODULE_TITLE = re.compile(r"(?:the\s+)?(.+?)\s+(?:module|modül[üu]?)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModuleNames:
    """The modules of a corpus, as texts may name them."""

    by_spelling: Mapping[str, str]
    """Module by spelling: its name, its name in lower case, and the title of its overview ("Stock Module")."""
    capitalised: frozenset[str]
    pattern: re.Pattern[str]


def module_names(chunks: Sequence[Chunk]) -> ModuleNames:
    """Collect the spellings of every module of `chunks`."""
    spellings: dict[str, str] = {}
    capitalised: set[str] = set()
    aliases = {(alias, chunk.module) for chunk in chunks for alias in _title_alias(chunk)}
    names = {(chunk.module, chunk.module) for chunk in chunks}
    # names after aliases: where one module's alias is another's name, the name wins
    for spelling, module in [*sorted(aliases), *sorted(names)]:
        for language in ("tr", "en"):
            spellings.setdefault(lower_case(spelling, language), module)
        spellings[spelling] = module
        if spelling[:1].isupper():
            capitalised.add(spelling)
    ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, ordered)) + r")(?![\w-])" if ordered else r"(?!)")
    return ModuleNames(spellings, frozenset(capitalised), pattern)


def _title_alias(chunk: Chunk) -> Iterable[str]:
    """ "Stock" of a page titled "Stock Module" in the module "Stok"."""
    if chunk.depth == 1:
        match = _MODULE_TITLE.fullmatch(chunk.section_heading)
        if match and match[1][:1].isupper():
            yield match[1]


def referenced_modules(chunk: Chunk, names: ModuleNames, module_of_source: Mapping[str, str]) -> tuple[str, ...]:
    """The modules `chunk` refers to, sorted, without its own."""
    found = set(_linked(chunk, module_of_source))
    text = without_code(chunk.text)
    for match in names.pattern.finditer(text):
        module = names.by_spelling[match[0]]
        if module not in found and module != chunk.module and _is_name(match, text, names):
            found.add(module)
    found.discard(chunk.module)
    return tuple(sorted(found))


def _linked(chunk: Chunk, module_of_source: Mapping[str, str]) -> Iterable[str]:
    folder = posixpath.dirname(chunk.source)
    for target in _LINK_TARGET.findall(chunk.text):
        path = unquote(target.split("#", 1)[0].split("?", 1)[0])
        if path and "://" not in path:
            name = posixpath.normpath(posixpath.join(folder, path))
            if name in module_of_source:
                yield module_of_source[name]


def _is_name(match: re.Match[str], text: str, names: ModuleNames) -> bool:
    """Whether a word is used as a module's name here; the cases are those of the module's docstring."""
    before = text[max(0, match.start() - _LONGEST_CONTEXT) : match.start()].rpartition("\n")[2]
    after = text[match.end() : match.end() + _LONGEST_CONTEXT].partition("\n")[0]
    if _MODULE_WORD.match(after):
        return True
    if match[0] not in names.capitalised:
        return False
    if _APOSTROPHE_SUFFIX.match(after) or _SCREEN_PATH.match(after):
        return True
    if before.rstrip().endswith("|") and after.lstrip().startswith("|"):
        return True
    if before.endswith("**") and (after.startswith(("**", ":**")) or _is_listed(match, text, names)):
        return True
    return _inside_sentence(match, text, before, after)


def _is_listed(match: re.Match[str], text: str, names: ModuleNames) -> bool:
    """Whether another capitalised module name follows after a comma or "and"."""
    link = _LISTED_WITH.match(text, match.end())
    following = names.pattern.match(text, link.end()) if link else None
    return following is not None and following[0] in names.capitalised


def _inside_sentence(match: re.Match[str], text: str, before: str, after: str) -> bool:
    line_start = text.rfind("\n", 0, match.start()) + 1
    if text.startswith("#", line_start) or text.startswith("|", line_start):
        # titles and table cells capitalise ordinary words
        return False
    if not _INSIDE_SENTENCE.search(before) or _CAPITAL_NEXT.match(after):
        return False
    previous = _WORD_BEFORE.search(before)
    return previous is None or not previous[1][0].isupper() or before.rstrip().endswith((",", ";"))
