"""Which earlier group a group of today grew out of: the one of its rule and language that shares most of its texts.

What this module does not do: know ledgers, or decide what is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from groundtune.generation.planning.asked import Asked, Material


@dataclass(slots=True)
class Lines:
    """Finished requests by line: a line is a group as it was first asked and everything asked as it changed."""

    by_root: dict[str, list[Asked]] = field(default_factory=dict)
    _by_text: dict[tuple[str, str], list[Asked]] = field(default_factory=dict)

    @classmethod
    def of(cls, asked: Iterable[Asked], settled: Callable[[str], bool]) -> Lines:
        lines = cls()
        for item in sorted(asked, key=lambda item: (item.plan, item.key != item.root, item.key)):
            if settled(item.key):
                lines.by_root.setdefault(item.root, []).append(item)
                for sha256 in dict.fromkeys(item.sha256s):
                    lines._by_text.setdefault((item.settings, sha256), []).append(item)
        return lines

    def sharing(self, material: Material) -> list[Asked]:
        """Of the same settings (so of the same rule and language), with at least one text of `material`."""
        texts = dict.fromkeys(material.sha256s)
        found = (item for sha256 in texts for item in self._by_text.get((material.settings, sha256), ()))
        return list({item.key: item for item in found}.values())

    def asked_about(self, root: str) -> frozenset[str]:
        return frozenset().union(*(item.asked_about for item in self.by_root.get(root, ())))


def match(materials: Mapping[int, Material], lines: Lines, taken: Collection[str]) -> dict[int, Asked]:
    """For each group by its number the earlier request it goes on from, if there is one.

    It must have shown at least half of the group's texts; the likest couples (shared texts over all texts of the two) are
    joined first, and one request serves one group. Ties go to more shared texts, then to the younger request, the smaller
    key and the earlier group, so the outcome depends on texts alone.

    Args:
        taken: keys of requests that serve another group already.
    """
    couples = [
        (-shared / (len(material.chunks) + len(asked.sha256s) - shared), -shared, -asked.plan, asked.key, number, asked)
        for number, material in materials.items()
        for asked in lines.sharing(material)
        if asked.key not in taken and 2 * (shared := _shared(material, asked)) >= len(material.chunks)
    ]
    matched: dict[int, Asked] = {}
    used: set[str] = set()
    for *_, key, number, asked in sorted(couples, key=lambda couple: couple[:5]):
        if number not in matched and key not in used:
            matched[number] = asked
            used.add(key)
    return matched


def _shared(material: Material, asked: Asked) -> int:
    return sum((Counter(material.sha256s) & Counter(asked.sha256s)).values())
