"""Turkish questions and answers for cells, columns and pairs of rows."""

from __future__ import annotations

import re

from groundtune.language import lower_case
from groundtune.llm.offline.columns import Columns, has_figure
from groundtune.llm.offline.structure import Row, plain
from groundtune.llm.offline.turkish import capitalise, copula, sentence_case

_NOUN = {
    "code": "kodu", "field": "alanı", "parameter": "parametresi", "status": "durumu", "role": "rolü", "screen": "ekranı",
    "line": "hattı", "warehouse": "deposu", "operation": "operasyonu",
}  # fmt: skip
_PLURAL_OF = {"hattı": "hatları", "deposu": "depoları"}
_PLURAL = {"code": "kodlar", "field": "alanlar", "parameter": "parametreler", "status": "durumlar", "role": "roller"}

Asked = tuple[str, str]
"""Question and answer."""


def row_name(columns: Columns, key: str) -> str | None:
    """``STK-204 hata kodu``, ```lot_no` alanı``, ``NYY 4x16 mm²``; None when the key alone says nothing.

    A bare figure or letter is named by its header: ``flanş çapı 1600``.
    """
    if columns.are_errors:
        return f"{key} hata kodu"
    noun = _NOUN.get(columns.named, "")
    if noun:
        return key if lower_case(key, "tr").endswith((noun, noun[:-1])) else f"{key} {noun}"
    if len(key) < 3 or re.fullmatch(r"[\d.,–-]+", key):
        return None if columns.holds[0] == "unasked" else f"{capitalise(columns.label(0))} {key}"
    return key


def place(columns: Columns) -> str:
    """Where a field or status stands: fields of many screens share their names."""
    if columns.named not in ("field", "status", "code", "") or columns.are_errors or not columns.topic.owner:
        return ""
    return f"{columns.topic.owner} bölümündeki "


def cell_question(columns: Columns, row: Row, column: int) -> Asked | None:
    key, value = plain(row.cells[0]), columns.amount(row, column)
    name, kind = row_name(columns, key), columns.holds[column]
    if name is None:
        return None
    where = place(columns)
    if kind == "meaning":
        return f"{where}{name} ne anlama gelir?", f"{name}: {value}."
    if kind == "remedy":
        return (
            (f"{key} hatası alınınca ne yapılmalıdır?", f"{key} hatasının çözümü: {value}.")
            if columns.are_errors
            else None
        )
    if kind == "type":
        return (f"{where}{name} hangi türdedir?", f"{name} şu türdedir: {value}.") if columns.named == "field" else None
    if kind in ("value", "default") and columns.named in ("parameter", "field"):
        noun = {"parameter": "parametresinin", "field": "alanının"}[columns.named]
        label = "varsayılan değeri" if kind == "default" else "değeri"
        ending = copula(value) if re.search(r"[\w%²]$", value) else ""
        return f"{where}{key} {noun} {label} nedir?", f"{key} {noun} {label} {value}{ending}."
    if kind == "value":
        return (
            (f"{capitalise(key)} ne kadardır?", f"{capitalise(key)}: {value}.")
            if has_figure(value) and not has_figure(key)
            else None
        )
    return _by_header(columns, name, where, column, value)


def _by_header(columns: Columns, name: str, where: str, column: int, value: str) -> Asked | None:
    label = columns.label(column)
    if not columns.is_telling(column) or re.search(r"d[ıiuü]ğ[ıiuü]\b", label):
        return None
    if columns.named == "role":
        # rights tables: the header names what is allowed
        if len(label.split()) != 1 or lower_case(value, "tr") in ("yok", "var"):
            return None
        return f"{name} için {label} yetkisi nedir?", f"{name} için {label} yetkisi: {value}."
    if not has_figure(value) or len(value.split()) > 5 or len(label) < 3:
        return None
    if re.fullmatch(r"[A-Z]{2,3}-\d.*", value) and re.search(r"(?:hat|depo)$", label):
        return f"{where}{name} için {label} hangisidir?", f"{name} için {label}: {value}."
    where = where if columns.named else ""
    return f"{where}{name} için {label} nedir?", f"{name} için {label}: {value}."


def yes_no_question(columns: Columns, row: Row, column: int, answer: bool) -> Asked | None:
    key = plain(row.cells[0])
    name, where, label = row_name(columns, key), place(columns), columns.label(column)
    if name is None:
        return None
    if columns.holds[column] == "required":
        said = f"Evet, {name} zorunludur." if answer else f"Hayır, {name} zorunlu değildir."
        return f"{where}{name} zorunlu mudur?", said
    if columns.named == "status" and len(label.split()) == 1:
        said = f"Evet, {key} durumunda {label} yapılabilir." if answer else f"Hayır, {key} durumunda {label} yapılamaz."
        return f"{where}{key} durumunda {label} yapılabilir mi?", said
    if columns.named == "parameter" and label == "kritik":
        return f"{name} kritik midir?", f"Evet, {name} kritiktir." if answer else f"Hayır, {name} kritik değildir."
    return None


def column_question(columns: Columns, keys: list[str]) -> Asked | None:
    listed = capitalise(", ".join(keys[:-1]) + f" ve {keys[-1]}.")
    heading, owner = columns.topic.heading, columns.topic.owner
    if re.search(r"l[ae]r[ıi]$", lower_case(heading, "tr")) and not columns.topic.is_generic:
        return f"{capitalise(sentence_case(heading))} nelerdir?", listed
    noun = "hata kodları" if columns.are_errors else _PLURAL.get(columns.named)
    return (f"{owner} bölümündeki {noun} nelerdir?", listed) if noun and owner else None


def comparison_question(columns: Columns, keys: tuple[str, str]) -> str | None:
    one, two = (row_name(columns, key) for key in keys)
    if one is None or two is None:
        return None
    if columns.are_errors:
        return f"{keys[0]} ile {keys[1]} hata kodları arasındaki fark nedir?"
    noun = _NOUN.get(columns.named, "")
    if noun and one.endswith(f" {noun}") and two.endswith(f" {noun}"):
        plural = f"{noun[:-1]}{'ları' if noun[-1] in 'ıu' else 'leri'}"
        return f"{keys[0]} ile {keys[1]} {_PLURAL_OF.get(noun, plural)} arasındaki fark nedir?"
    return f"{capitalise(one)} ile {two} arasındaki fark nedir?"
