"""Proves, from a tokenizer's own description, that a text may be cut at spaces and encoded piece by piece.

A fast tokenizer cuts a text before it looks anything up: at added tokens, then by a chain of rules. Where a cut is certain
whatever stands on its two sides, the text can be cut there beforehand, and words that were seen once need no second look
(:mod:`groundtune.chat.words`). The claim made here is about one kind of place: a space (U+0020) with no other white space
beside it, where the new piece begins with the space. It holds when no match of the splitting expression can hold a space
behind something that is not white space, and when the expression matches all white space; both are read off the
expression's source, and whatever the reader does not understand counts as no proof.

What this module does not do: encode anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ATOM = re.compile(
    r"(?P<ahead>\(\?!\\S\))"
    r"|(?P<words>\(\?i:[^()\[\]\\.*+?{}^$ ]+\))"
    r"|(?P<set>\[(?:\\[pP]\{\^?\w+\}|\\.|[^\]\\\[])+\])"
    r"|(?P<escape>\\[pP]\{\^?\w+\}|\\[A-Za-z])"
    r"|(?P<plain>[^\\()\[\]{}|.*+?^$])"
)
_QUANTITY = re.compile(r"(?:\{\d+(?:,\d*)?\}|[?*+])?\+?")
_MEMBER = re.compile(r"\\[pP]\{\^?\w+\}|\\.|[^\\](?:-[^\\])?")
_CATEGORY = re.compile(r"\\p\{(?:[LMNPS][a-z&]?|Han|Hiragana|Katakana|Hangul|Thai|Lao|Khmer|Myanmar)\}")
"""Properties that no white space has."""

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
"""What the ByteLevel rule with ``use_regex`` splits by."""


@dataclass(frozen=True, slots=True)
class _Atom:
    can_be_space: bool
    only_white_space: bool
    at_most_one: bool
    at_least_one: bool
    source: str


def pieces_are_independent(description: Mapping[str, Any]) -> bool:
    """Whether ids of a text are those of its pieces, cut before spaces that stand alone and around added tokens.

    `description` is the tokenizer's JSON (``tokenizer.json``). Understood are byte-level BPE tokenizers, unnormalised or
    normalised to NFC, in which every byte has an entry: every text then decodes to itself (or to its NFC).
    """
    model, normalizer = description["model"], description.get("normalizer")
    plain = (
        model["type"] == "BPE"
        and not any(model.get(name) for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"))
        and (normalizer is None or normalizer == {"type": "NFC"})
        and (description.get("decoder") or {}).get("type") == "ByteLevel"
        and all(symbol in model["vocab"] for symbol in _byte_symbols())
    )
    return plain and _rules_cut_at_spaces(_chain(description.get("pre_tokenizer"))) and _apart(description)


def _byte_symbols() -> list[str]:
    from tokenizers import pre_tokenizers

    return list(pre_tokenizers.ByteLevel.alphabet())


def _chain(rule: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    if rule is None:
        return []
    return list(rule["pretokenizers"]) if rule["type"] == "Sequence" else [rule]


def _rules_cut_at_spaces(chain: list[Mapping[str, Any]]) -> bool:
    """The rules act on each piece alone, and one of them, with nothing but digits parted before it, cuts at spaces."""
    known = all(
        rule["type"] == "Digits"
        or (rule["type"] == "ByteLevel" and not rule["add_prefix_space"])
        or (
            rule["type"] == "Split"
            and "Regex" in rule["pattern"]
            and rule["behavior"] == "Isolated"
            and not rule["invert"]
        )
        for rule in chain
    )
    rules = [rule for rule in chain if rule["type"] != "Digits"]
    if not known or not rules or not any(rule["type"] == "ByteLevel" for rule in rules):
        return False
    first = rules[0]
    if first["type"] == "ByteLevel":
        return bool(first["use_regex"]) and cuts_before_lone_spaces(_GPT2)
    return cuts_before_lone_spaces(first["pattern"]["Regex"])


def _apart(description: Mapping[str, Any]) -> bool:
    """Added tokens take nothing around them, hold no white space, decode to themselves, and no two can overlap."""
    tokens = description.get("added_tokens") or []
    texts = [token["content"] for token in tokens]
    symbols = set(_byte_symbols())
    alone = not any(
        token["lstrip"]
        or token["rstrip"]
        or token["single_word"]
        or (token["normalized"] and description.get("normalizer") is not None)
        or re.search(r"\s", token["content"])
        or not token["content"]
        # the decoder takes a token of byte symbols alone for bytes
        or not (token["content"].isascii() or set(token["content"]) - symbols)
        for token in tokens
    )
    beginnings = {text[:size] for text in texts for size in range(1, len(text))}
    ends = {text[-size:] for text in texts for size in range(1, len(text))}
    inside = re.compile("|".join(map(re.escape, texts)) or "(?!)")
    contained = any(inside.search(text, 1) or inside.search(text[:-1]) for text in texts)
    return alone and not contained and beginnings.isdisjoint(ends)


def cuts_before_lone_spaces(expression: str) -> bool:
    r"""Whether splitting by `expression` always begins a piece at a space between two characters of no white space.

    >>> cuts_before_lone_spaces(r" ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+(?!\S)|\s+")
    True
    >>> cuts_before_lone_spaces(r"[^\r\n]+|\s+")
    False
    """
    alternatives = _alternatives(expression)
    if alternatives is None or [r"\s+"] not in [[atom.source for atom in atoms] for atoms in alternatives]:
        return False
    return all(map(_keeps_spaces_in_front, alternatives))


def _keeps_spaces_in_front(atoms: list[_Atom]) -> bool:
    if not any(atom.at_least_one for atom in atoms):
        # an empty match would step over white space that no other alternative gets to see
        return False
    white_so_far = True
    for place, atom in enumerate(atoms):
        if atom.source == r"(?!\S)":
            # it looks at the next character, so nothing but white space may stand before it
            return white_so_far and place == len(atoms) - 1
        if atom.can_be_space and not (white_so_far and (atom.only_white_space or atom.at_most_one)):
            return False
        white_so_far = white_so_far and atom.only_white_space
    return True


def _alternatives(expression: str) -> list[list[_Atom]] | None:
    """The expression as alternatives of atoms; None where it holds anything else."""
    alternatives: list[list[_Atom]] = [[]]
    place = 0
    while place < len(expression):
        if expression[place] == "|":
            alternatives.append([])
            place += 1
            continue
        match = _ATOM.match(expression, place)
        if match is None:
            return None
        quantity = _QUANTITY.match(expression, match.end())
        times = quantity.group() if quantity else ""
        place = match.end() + len(times)
        if match.lastgroup == "ahead" and times:
            return None
        can_be_space, only_white_space = _reach(match)
        at_most_one = times in ("", "?", "?+")
        at_least_one = not times.startswith(("?", "*", "{0")) and match.lastgroup != "ahead"
        alternatives[-1].append(_Atom(can_be_space, only_white_space, at_most_one, at_least_one, match.group() + times))
    return alternatives


def _reach(match: re.Match[str]) -> tuple[bool, bool]:
    """Whether an atom may match a space (yes, where that is not clear), and whether white space is all it matches."""
    source = match.group()
    if match.lastgroup == "words":
        return False, False
    if match.lastgroup != "set":
        return _member_reach(source)
    if source.startswith("[^"):
        members = _MEMBER.findall(source[2:-1])
        return not any(member in (" ", r"\s") for member in members), False
    reaches = [_member_reach(member) for member in _MEMBER.findall(source[1:-1])]
    return any(space for space, _ in reaches), all(white for _, white in reaches)


def _member_reach(member: str) -> tuple[bool, bool]:
    if member in (" ", r"\s"):
        return True, True
    if member in (r"\r", r"\n", r"\t"):
        return False, True
    if len(member) == 3 and member[1] == "-":
        return member[0] <= " " <= member[2], False
    harmless = len(member) == 1 or member in (r"\S", r"\d", r"\w") or _CATEGORY.fullmatch(member)
    # an escaped mark is the mark itself; any other escape might be anything
    return not (harmless or re.fullmatch(r"\\[^A-Za-z0-9]", member)), False
