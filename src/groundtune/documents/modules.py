"""Which module and submodule a file belongs to, and the names they go by.

A module is, in this order: the front matter's ``module``; the module that the other files of the same folder declare; the
first folder below the documents folder, leaving out folders that all files share (``articles/``), language folders
(``tr/``) and fragment folders (``includes/``); for files that lie in no such folder, the first word of the file name where
at least three of them share it (``sales-…``); else the name of the documents folder.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.documents.sources import FRAGMENT_FOLDERS
from groundtune.types import Language

MIN_PREFIX_FILES = 3
"""Files of a flat folder that must share the first word of their name before it is taken for a module."""

_LOCALE = re.compile(r"[a-z]{2}[-_][A-Za-z]{2}\Z")
_NUMBERING = re.compile(r"\A\d+(?:[-_. ]+|\Z)")
_FOLDER_WORDS = frozenset({"doc", "docs", "documentation", "articles", "content", "md", "markdown"})
_NO_TOPIC = frozenset({"how", "what", "why", "about", "using", "the", "nasıl", "nasil"})
"""First words of file names that name no subject."""
_FOLDED = str.maketrans({"ı": "i", "ł": "l", "ø": "o", "ß": "ss", "æ": "ae", "đ": "d"})


@dataclass(frozen=True, slots=True)
class Placed:
    """What is known of a file when its module is chosen."""

    name: str
    """Relative path with forward slashes."""
    declared: str | None
    """Front matter `module`."""


def slug(name: str) -> str:
    """Lower-case ASCII for ids.

    >>> slug("Üretim"), slug("Project accounting"), slug("İş Emri (yeni)")
    ('uretim', 'project-accounting', 'is-emri-yeni')
    """
    folded = unicodedata.normalize("NFKD", name.replace("İ", "i").lower().translate(_FOLDED))
    ascii_name = re.sub(r"[^a-z0-9]+", "-", "".join(one for one in folded if not unicodedata.combining(one))).strip("-")
    # a script without Latin letters still needs an id that is always the same
    return ascii_name or "m" + hashlib.sha256(name.encode("utf-8")).hexdigest()[:8]


def readable(name: str) -> str:
    """A file or folder name as a title.

    >>> readable("02-lot-takibi"), readable("project-accounting")
    ('Lot takibi', 'Project accounting')
    """
    stem = _NUMBERING.sub("", name) or name
    text = unicodedata.normalize("NFC", " ".join(re.split(r"[-_ ]+", stem)).strip()) or name
    return text[:1].upper() + text[1:]


def file_stem(name: str) -> str:
    """
    >>> file_stem("tr/stok/02-lot-takibi.md")
    '02-lot-takibi'
    """
    last = name.rsplit("/", 1)[-1]
    return last.rsplit(".", 1)[0] or last


def is_language_folder(part: str, languages: Sequence[Language]) -> bool:
    """
    >>> is_language_folder("TR", ["tr"]), is_language_folder("en-US", ["tr"]), is_language_folder("stok", ["tr"])
    (True, True, False)
    """
    return part.lower() in languages or bool(_LOCALE.match(part))


def assign_modules(files: Sequence[Placed], folder_name: str, languages: Sequence[Language]) -> dict[str, str]:
    """The module of every file, by its name."""
    folders = _strip_shared({file.name: _telling_folders(file.name, languages) for file in files})
    declared = _declared_by_folder(files)
    flat = [file.name for file in files if not folders[file.name]]
    prefixes = Counter(_first_word(name) for name in flat)
    fallback = _folder_title(folder_name, languages)
    modules: dict[str, str] = {}
    for file in files:
        folder = file.name.rpartition("/")[0]
        if file.declared:
            modules[file.name] = file.declared
        elif folder in declared:
            modules[file.name] = declared[folder]
        elif folders[file.name]:
            modules[file.name] = readable(folders[file.name][0])
        elif _first_word(file.name) and prefixes[_first_word(file.name)] >= MIN_PREFIX_FILES:
            modules[file.name] = readable(_first_word(file.name))
        else:
            modules[file.name] = fallback
    return modules


def _telling_folders(name: str, languages: Sequence[Language]) -> tuple[str, ...]:
    return tuple(
        part
        for part in name.split("/")[:-1]
        if part.lower() not in FRAGMENT_FOLDERS and not is_language_folder(part, languages)
    )


def _strip_shared(folders: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Take away leading folders that say nothing, because every file that is in a folder is in them."""
    while True:
        nested = [parts for parts in folders.values() if parts]
        firsts = {parts[0] for parts in nested}
        seconds = {parts[1] for parts in nested if len(parts) > 1}
        if len(firsts) != 1 or len(seconds) < 2:
            return folders
        folders = {name: parts[1:] for name, parts in folders.items()}


def _declared_by_folder(files: Sequence[Placed]) -> dict[str, str]:
    """The one module that the files of a folder declare; folders whose files disagree are left out."""
    found: dict[str, set[str]] = {}
    for file in files:
        if file.declared:
            found.setdefault(file.name.rpartition("/")[0], set()).add(file.declared)
    return {folder: next(iter(names)) for folder, names in found.items() if len(names) == 1 and folder}


def _first_word(name: str) -> str:
    """The word before the first hyphen of a file name; "" where there is no second word."""
    words = re.split(r"[-_]+", _NUMBERING.sub("", file_stem(name)), maxsplit=1)
    word = words[0].lower()
    return word if len(words) == 2 and len(word) > 2 and word.isalpha() and word not in _NO_TOPIC else ""


def _folder_title(folder_name: str, languages: Sequence[Language]) -> str:
    """The documents folder's name without words such as "docs" and "tr", unless nothing else is there."""
    words = [word for word in re.split(r"[-_. ]+", folder_name) if word]
    telling = [word for word in words if word.lower() not in _FOLDER_WORDS and word.lower() not in languages]
    return readable(" ".join(telling or words) or "docs")
