"""Words that carry more than their letters: negations, words that turn a sentence round, numbers, and words that do not matter.

Turkish and English have lists of their own; for other languages numbers written out and negations are not known.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from groundtune.types import Language


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TURNING: Mapping[Language, frozenset[str]] = {
    "tr": _words(
        "değil değildir değilse yok yoktur var vardır hiç hiçbir asla olmadan dışında hariç ancak yalnız yalnızca sadece "
        "önce sonra en az çok fazla azami asgari üst alt tüm bütün her bazı veya ya ne gerekir gerekmez zorunlu isteğe"
    ),
    "en": _words(
        "not no never none nothing nobody neither nor without cannot unless except only before after from to in out on off at "
        "least most more less all any some or and may must should can will with above below over under up down first last "
        "minimum maximum by per"
    ),
}
"""Put another one in its place, or leave it out, and the sentence says something else."""

IDLE: Mapping[Language, frozenset[str]] = {
    "tr": _words("de da ki ise bir"),
    "en": _words("the a an do does is are be you i we my your our"),
}
"""Without them a question asks for the same."""

_UNITS: Mapping[Language, Mapping[str, int]] = {
    "tr": {
        "sıfır": 0, "bir": 1, "iki": 2, "üç": 3, "dört": 4, "beş": 5, "altı": 6, "yedi": 7, "sekiz": 8, "dokuz": 9, "on": 10,
        "yirmi": 20, "otuz": 30, "kırk": 40, "elli": 50, "altmış": 60, "yetmiş": 70, "seksen": 80, "doksan": 90,
    },
    "en": {
        "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
        "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17,
        "eighteen": 18, "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
        "eighty": 80, "ninety": 90,
    },
}  # fmt: skip
_SCALES: Mapping[Language, Mapping[str, int]] = {
    "tr": {"yüz": 100, "bin": 1000, "milyon": 1_000_000},
    "en": {"hundred": 100, "thousand": 1000, "million": 1_000_000},
}
_DOUBTFUL: Mapping[Language, frozenset[str]] = {
    "tr": _words("bir altı yedi on kırk yüz bin"),
    "en": _words("one"),
}
"""Words that are more often something else (``bir`` an article, ``altı`` its bottom): no number where one stands alone."""

_POINTS_AT_KNOWN: Mapping[Language, frozenset[str]] = {
    "tr": _words("her bu şu o diğer öteki"),
    "en": _words("the these those all other"),
}
"""Before a small number these speak of things that were named (``her iki``, ``these three``) and count nothing new."""
_SMALL = 10

_WORD = re.compile(r"[^\W\d_]+")


def written_numbers(words: Sequence[str], language: Language) -> Iterator[tuple[int, bool]]:
    """Numbers written out among lower-case `words`, and whether each is surely one.

    >>> list(written_numbers("yüz yirmi beş metre ve bir makara".split(), "tr"))
    [(125, True), (1, False)]
    >>> list(written_numbers("twenty four hours".split(), "en"))
    [(24, True)]
    >>> list(written_numbers("bu üç durum".split(), "tr"))
    [(3, False)]
    """
    units, scales = _UNITS.get(language, {}), _SCALES.get(language, {})
    if not units:
        return
    run: list[str] = []
    before = ""
    for word in (*words, ""):
        if word in units or word in scales:
            run.append(word)
        elif word != "and" or not run:  # "one hundred and twenty"
            if run:
                value = _value(run, units, scales)
                number = len(run) > 1 or run[0] not in _DOUBTFUL[language]
                yield value, number and not (before in _POINTS_AT_KNOWN[language] and value <= _SMALL)
            run, before = [], word


def _value(run: Sequence[str], units: Mapping[str, int], scales: Mapping[str, int]) -> int:
    """Turkish and English build numbers alike: hundreds multiply what is before them, thousands close it."""
    total = current = 0
    for word in run:
        if word in units:
            current += units[word]
        elif scales[word] == 100:
            current = max(current, 1) * 100
        else:
            total += max(current, 1) * scales[word]
            current = 0
    return total + current


def words_of(text: str) -> list[str]:
    """Runs of letters."""
    return _WORD.findall(text)


_NEGATED = {
    "tr": re.compile(r"m[ae]z(?:$|[sld])|m[ae]d[ıi]|m[aeıiuü]yor|m[ae]y[ae]n|m[ae]y[ıi]n|m[ae]m[ae]|s[ıiuü]z$"),
    "en": re.compile(r"n['’]t$|not$|^(?:un|in|im|dis|non|ir|il|mis)|less$"),
}


def is_negated(word: str, language: Language) -> bool:
    """Whether a lower-case word may carry a negation in itself; it can say yes to one that does not (``uncle``).

    >>> [is_negated(word, "tr") for word in ("yapılmaz", "yapılır", "değiştirilemez", "sonsuz", "kullanmayan")]
    [True, False, True, True, True]
    """
    pattern = _NEGATED.get(language)
    return pattern is not None and pattern.search(word) is not None
