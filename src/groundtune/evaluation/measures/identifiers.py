"""Identifiers and codes in a text: what must be copied letter by letter to be of use.

They are: what stands in code marks (```HM-001```, a button, a field), words with an underscore, codes of letters and digits
(``HM-001``, ``H07V-K``, ``sha256``), file names, paths, addresses, and ways through menus (``Stock > Drums``). What this module
does not do: know which names exist; a plain word in capitals is no identifier.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

MOST_CHARACTERS_IN_MARKS = 80

_FENCE = re.compile(r"^[ \t]*(?:```|~~~).*$", re.MULTILINE)
_MARKED = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]+)\1(?!`)")
_ADDRESS = re.compile(r"(?:https?://|www\.)[^\s<>()\"'’`,]+|[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PATH = re.compile(r"(?<![\w/<])(?:~?/[\w.-]+(?:/[\w.-]+)+|[A-Za-z]:\\[\w.\\-]+)/?")
_MENU = re.compile(
    r"[^\W\d_a-zçğıöşü][\w-]*(?:[ ]>[ ](?:[^\W\d_a-zçğıöşü][\w-]*(?:[ ](?:(?:ve|and|of|ile)[ ])?(?=[^\W\d_a-zçğıöşü]))?)+)+"
)
_TOKEN = re.compile(r"\w+(?:[-.]\w+)*_?")
_FILE = re.compile(
    r".+\.(?:csv|json|jsonl|xml|ya?ml|md|pdf|xlsx?|docx?|txt|exe|sql|py|html?|log|ini|cfg|toml|zip|png|jpg)"
)
_CODE = re.compile(r"(?=[^\W\d_]*[^\W\d_])(?=.*\d)[^\W_]+(?:-[^\W_]+)*")
_VERSION = re.compile(r"[vV]\d+(?:\.\d+)*")
_WITH_UNIT = re.compile(r"(?:mm|cm|dm|km|m)[23]")
_I = str.maketrans("İIı", "iii")


@dataclass(frozen=True, slots=True)
class Identifiers:
    """Of one text, each once, in order of first mention, as they stand there."""

    codes: tuple[str, ...]
    """Known by their shape."""
    marked: tuple[str, ...]
    """In code marks, of any shape."""
    bare: str
    """The text with spaces in the place of the codes and of all marks: what is left to look for numbers in."""

    @property
    def all(self) -> tuple[str, ...]:
        return tuple({fold(each): each for each in (*self.marked, *self.codes)}.values())


@lru_cache(maxsize=4096)
def identifiers(text: str) -> Identifiers:
    """
    >>> identifiers("Press `Save` on HM-001, see stk_lots; 25 mm.").all
    ('Save', 'HM-001', 'stk_lots')
    >>> identifiers("Open Stock > Drums > New.").codes
    ('Stock > Drums > New',)
    """
    bare = list(_FENCE.sub(lambda match: " " * len(match[0]), text))
    marked: list[str] = []
    codes: list[str] = []
    for match in _MARKED.finditer("".join(bare)):
        content = match[2].strip()
        if content and len(content) <= MOST_CHARACTERS_IN_MARKS and any(map(str.isalpha, content)):
            (codes if is_code(content) else marked).append(content)
        # of a phrase only the marks go: there may be numbers in it
        marks = [match.span(1), (match.end() - len(match[1]), match.end())]
        for start, end in [match.span()] if is_code(content) else marks:
            bare[start:end] = " " * (end - start)
    for pattern in (_ADDRESS, _PATH, _MENU):
        for match in pattern.finditer("".join(bare)):
            codes.append(match[0].rstrip(".,;:!?"))
            bare[match.start() : match.end()] = " " * len(match[0])
    for match in _TOKEN.finditer("".join(bare)):
        if match[0].isalpha():  # most words
            continue
        for start, token in _pieces(match[0]):
            if is_code(token):
                codes.append(token)
                at = match.start() + start
                bare[at : at + len(token)] = " " * len(token)
    return Identifiers(tuple(dict.fromkeys(codes)), tuple(dict.fromkeys(marked)), "".join(bare))


def is_code(token: str) -> bool:
    """Whether the shape of one word says that it is a code.

    >>> [is_code(token) for token in ("HM-001", "stk_lots", "sha256", "orders.csv", "top-10", "v2.1", "mm2", "XLPE")]
    [True, True, True, True, False, False, False, False]
    """
    if "_" in token.strip("_"):
        return re.fullmatch(r"[\w.:/-]+", token) is not None
    if _FILE.fullmatch(token.lower()):
        return " " not in token
    if (
        not token[:1].isalpha()
        or not _CODE.fullmatch(token)
        or _VERSION.fullmatch(token)
        or _WITH_UNIT.fullmatch(token)
    ):
        return False
    # "top-10" and "yaş-30" are words with a number; "HM-001" is a code
    return "-" not in token or token.split("-")[0].isupper() or any(map(str.isdigit, token.split("-")[0]))


def _pieces(token: str) -> list[tuple[int, str]]:
    """A word with dots in it is one name where it has an underscore or the ending of a file, else each part by itself."""
    if is_code(token) or _VERSION.fullmatch(token):
        return [(0, token)]
    return [(match.start(), match[0]) for match in re.finditer(r"[^.]+", token)]


def fold(text: str) -> str:
    """For comparing: one space between words, no code or bold marks, no difference of case or of the four Turkish i.

    >>> fold("`STK_İADE`") == fold("stk_iade")
    True
    """
    plain = unicodedata.normalize("NFC", text).translate(_I).lower().replace("`", "").replace("**", "")
    return " ".join(unicodedata.normalize("NFC", plain).split())


def stands_in(identifier: str, folded: str) -> bool:
    """Whether `identifier` stands in a text that went through `fold`, and is not a part of a longer one.

    >>> stands_in("HM-001", fold("see HM-001'den")), stands_in("HM-001", fold("see HM-0012"))
    (True, False)
    """
    wanted = fold(identifier)
    place = folded.find(wanted)
    while place >= 0:
        before, after = folded[place - 1 : place], folded[place + len(wanted) :]
        if not _joins(before) and not re.match(r"\w|-\w", after):
            return True
        place = folded.find(wanted, place + 1)
    return False


def _joins(letter: str) -> bool:
    return letter == "_" or letter == "-" or letter.isalnum()
