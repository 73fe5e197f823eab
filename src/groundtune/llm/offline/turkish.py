"""Turkish suffixes: vowel harmony, consonant change, and the endings of figures and codes as they are read aloud.

Enough for the frames of the offline writer, not a morphology: what cannot be inflected surely is left to frames that do
not inflect it.
"""

from __future__ import annotations

import re

from groundtune.language import lower_case
from groundtune.llm.offline.word_lists import NOUNS_IN_R

_VOWELS = "aeıioöuü"
_FOURFOLD = {"a": "ı", "ı": "ı", "e": "i", "i": "i", "o": "u", "u": "u", "ö": "ü", "ü": "ü"}
_TWOFOLD = {"a": "a", "ı": "a", "o": "a", "u": "a", "e": "e", "i": "e", "ö": "e", "ü": "e"}
_VOICELESS = "fstkçşhp"
_DIGITS = ("sıfır", "bir", "iki", "üç", "dört", "beş", "altı", "yedi", "sekiz", "dokuz")
_TENS = ("", "on", "yirmi", "otuz", "kırk", "elli", "altmış", "yetmiş", "seksen", "doksan")
_READINGS = {
    "tl": "tele", "kg": "kilogram", "g": "gram", "mm": "milimetre", "cm": "santimetre", "m": "metre", "km": "kilometre",
    "mm²": "milimetrekare", "kv": "kilovolt", "v": "volt", "a": "amper", "mb": "megabayt", "kb": "kilobayt",
    "gb": "gigabayt", "°c": "derece", "dk": "dakika", "dak": "dakika", "sn": "saniye", "usd": "dolar", "eur": "avro",
    "m/dk": "metre", "m/dak": "metre", "kn": "kilonewton", "n": "newton", "mω": "megaohm", "pc": "pikokulon",
}  # fmt: skip


def fourfold(word: str) -> str:
    """The vowel ı/i/u/ü that harmonises with the last vowel of `word`.

    >>> [fourfold(word) for word in ("alan", "depo", "ürün", "test")]
    ['ı', 'u', 'ü', 'i']
    """
    return _FOURFOLD[_last_vowel(word)]


def twofold(word: str) -> str:
    """The vowel a/e that harmonises with the last vowel of `word`."""
    return _TWOFOLD[_last_vowel(word)]


def _last_vowel(word: str) -> str:
    for letter in reversed(lower_case(read_aloud(word), "tr")):
        if letter in _VOWELS:
            return letter
        if letter in "âîû":
            return {"â": "a", "î": "i", "û": "u"}[letter]
    return "e"


def read_aloud(word: str) -> str:
    """The last spoken word of a figure or unit; other words are their own reading.

    >>> [read_aloud(word) for word in ("12", "40", "100", "3.000", "0,85", "kg", "lot")]
    ['iki', 'kırk', 'yüz', 'bin', 'beş', 'kilogram', 'lot']
    """
    stripped = word.strip("`*'\"().%")
    last = re.split(r"[\s]", stripped)[-1] if stripped else word
    if lower_case(last, "tr") in _READINGS:
        return _READINGS[lower_case(last, "tr")]
    digits = re.search(r"(\d+)$", re.sub(r"(?<=\d)\.(?=\d{3}(?!\d))", "", last))
    if digits is None:
        return last
    figure = digits[1]
    if figure.strip("0") == "":
        return _DIGITS[0]
    zeros = len(figure) - len(figure.rstrip("0"))
    if zeros == 0:
        return _DIGITS[int(figure[-1])]
    if zeros == 1:
        return _TENS[int(figure[-2])]
    return "yüz" if zeros == 2 else "bin" if zeros < 6 else "milyon"


def _ends_voiceless(word: str) -> bool:
    return lower_case(read_aloud(word), "tr")[-1:] in _VOICELESS


def question_particle(word: str) -> str:
    """
    >>> [question_particle(word) for word in ("zorunlu", "otomatik", "açık", "ödenmiş", "büyük")]
    ['mu', 'mi', 'mı', 'mi', 'mü']
    """
    return "m" + fourfold(word)


def copula(word: str) -> str:
    """The ending -dır of `word`, with an apostrophe after a figure or code.

    >>> [word + copula(word) for word in ("lot", "alan", "12", "40", "365", "STK-204")]
    ['lottur', 'alandır', "12'dir", "40'tır", "365'tir", "STK-204'tür"]
    """
    consonant = "t" if _ends_voiceless(word) else "d"
    mark = "'" if needs_apostrophe(word) else ""
    return f"{mark}{consonant}{fourfold(word)}r"


def needs_apostrophe(word: str) -> bool:
    """Proper names, codes and figures take their suffixes after an apostrophe."""
    last = word.split()[-1] if word.split() else word
    return last[:1].isupper() or last[-1:].isdigit() or last[-1:] == "`"


def sentence_case(title: str) -> str:
    """A heading in running text: words in small letters, but codes, abbreviations and mixed-case names as they are.

    >>> sentence_case("Mal Kabul Kaydı Oluşturma"), sentence_case("OEE Hesabı"), sentence_case("İletken direnci testi (E01)")
    ('mal kabul kaydı oluşturma', 'OEE hesabı', 'iletken direnci testi (E01)')
    """
    return " ".join(word if _keeps_case(word) else lower_case(word, "tr") for word in title.split())


def _keeps_case(word: str) -> bool:
    inner = word.strip("()[].,:;\"'`*")
    if word.startswith("(") or (not inner.isascii() and not re.match(r"[a-zçğıöşüâîû]", lower_case(inner[:1], "tr"))):
        return True  # units and symbols: (Ω/km)
    return (
        any(letter.isupper() for letter in inner[1:])
        or any(letter.isdigit() for letter in inner)
        or "`" in word
        or "'" in word
    )


def capitalise(text: str) -> str:
    """First letter in capitals, the Turkish way.

    >>> capitalise("irsaliye"), capitalise("`lot_no` alanı")
    ('İrsaliye', '`lot_no` alanı')
    """
    if text[:1] == "i":
        return "İ" + text[1:]
    return text[:1].upper() + text[1:]


_NOUNS = {
    "tablo": "tablosu", "alan": "alanı", "ekran": "ekranı", "uç": "ucu", "adres": "adresi", "istek": "isteği",
    "parametre": "parametresi", "rol": "rolü", "depo": "deposu", "durum": "durumu", "hata": "hatası", "kod": "kodu",
    "hat": "hattı", "sütun": "sütunu", "düğme": "düğmesi", "sekme": "sekmesi", "menü": "menüsü", "yol": "yolu",
    "uç nokta": "uç noktası", "çağrı": "çağrısı", "sayfa": "sayfası", "pencere": "penceresi", "form": "formu",
    "liste": "listesi", "biçim": "biçimi", "modül": "modülü", "sorgu": "sorgusu", "seçenek": "seçeneği", "kutu": "kutusu", "hızlı sekme": "hızlı sekmesi",
}  # fmt: skip


def possessed_endings(noun: str) -> dict[str, str]:
    """Every case of the possessed `noun`, as in ``stk_lots tablosunda``, to the bare form, as in ``hangi tabloda``.

    >>> endings = possessed_endings("tablo")
    >>> endings["tablosunda"], endings["tablosundadır"], endings["tablosuna"], endings["tablosuyla"]
    ('tabloda', 'tablodadır', 'tabloya', 'tabloyla')
    >>> possessed_endings("hat")["hattına"], possessed_endings("uç")["ucundan"], possessed_endings("istek")["isteğiyle"]
    ('hatta', 'uçtan', 'istekle')
    >>> possessed_endings("rol")["rolündeki"]
    'roldeki'
    """
    owned = _NOUNS[noun]
    vowel_final = noun[-1] in _VOWELS
    soft = noun if vowel_final else owned[:-1]
    # the possessed form tells the harmony where the stem misleads: rol, rolü, rolde
    two, four = twofold(owned), fourfold(owned)
    hard = "t" if noun[-1] in _VOICELESS else "d"
    glide, link = ("y", "n") if vowel_final else ("", "")
    with_ = f"{noun}y" if vowel_final else noun
    pairs = {
        "": (owned, noun),
        "nda": (f"nd{two}", f"{noun}{hard}{two}"),
        "ndan": (f"nd{two}n", f"{noun}{hard}{two}n"),
        "na": (f"n{two}", f"{soft}{glide}{two}"),
        "nı": (f"n{four}", f"{soft}{glide}{four}"),
        "nın": (f"n{four}n", f"{soft}{link}{four}n"),
        "yla": (f"yl{two}", f"{with_}l{two}"),
        "dır": (f"d{four}r", f"{noun}{hard}{four}r"),
        "ndadır": (f"nd{two}d{_FOURFOLD[two]}r", f"{noun}{hard}{two}d{_FOURFOLD[two]}r"),
        "ndaki": (f"nd{two}ki", f"{noun}{hard}{two}ki"),
    }
    forms = {owned + ending: bare for key, (ending, bare) in pairs.items() if key}
    forms[owned] = noun
    return forms


NOUNS = tuple(_NOUNS)
"""Nouns that name what a code, path or identifier before them is."""


def how_many_case(suffix: str) -> str | None:
    """``kaç`` with the case that the figure it replaces had: the figure's suffix without its apostrophe.

    >>> [how_many_case(suffix) for suffix in ("", "dir", "ten", "i", "e", "te", "ini", "luk")]
    ['kaç', 'kaçtır', 'kaçtan', 'kaçı', 'kaça', 'kaçta', 'kaçını', 'kaçlık']
    >>> how_many_case("nci") is None
    True
    """
    for pattern, ending in _HOW_MANY:
        if re.fullmatch(pattern, suffix):
            return "kaç" + ending
    return None


_HOW_MANY = (
    (r"", ""),
    (r"[dt][ıiuü]r", "tır"),
    (r"[dt][ae]n", "tan"),
    (r"[dt][ae]", "ta"),
    (r"[dt][ae]ki", "taki"),
    (r"s?[ıiuü]", "ı"),
    (r"y[ıiuü]", "ı"),
    (r"y?[ae]", "a"),
    (r"s?[ıiuü]n[ıiuü]", "ını"),
    (r"s?[ıiuü]n[ae]", "ına"),
    (r"s?[ıiuü]n[ae]n?", "ına"),
    (r"s?[ıiuü]nd[ae]n", "ından"),
    (r"s?[ıiuü][dt][ıiuü]r", "ıdır"),
    (r"n?[ıiuü]n", "ın"),
    (r"l[ıiuü]k", "lık"),
    (r"y?l[ae]", "la"),
)


_FINITE = re.compile(r"(?:[aeıiuü]r|m[ae]z|m[ae]l[ıi]|[dt][ıiuü]r|[ıiuü]yor)$")


def is_finite(word: str) -> bool:
    """Whether `word` surely closes a clause: "kapanır", "gündür", "verilemez". Unsure words are no.

    >>> [is_finite(word) for word in ("kapanır", "gündür", "edilemez", "satır", "miktar")]
    [True, True, True, False, False]
    """
    bare = lower_case(word.strip("`*'\"(),.;:"), "tr")
    if len(bare) < 4 or bare in NOUNS_IN_R or re.search(r"l[ae]r$", bare):
        return False
    return _FINITE.search(bare) is not None


def first_clause(text: str) -> str:
    """`text` up to the first finite verb that a comma, "ve", "ancak" or a semicolon follows.

    >>> first_clause("Sepet darası 38 kg'dır ve ekranda tutulur")
    "Sepet darası 38 kg'dır"
    """
    words = re.split(r"[;:] ", text)[0].split(" ")
    for index, word in enumerate(words[:-1]):
        joined = words[index + 1] in ("ve", "ancak", "ama", "fakat", "veya", "ya")
        if (word.endswith(",") or joined) and is_finite(word):
            return " ".join(words[: index + 1]).rstrip(",")
    return " ".join(words)
