"""Thoughts between tags in an assistant's content: which tags a template knows, joining, parting.

What this module does not do: decide whether a template keeps thoughts (:mod:`groundtune.chat.modes`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from groundtune.types import Message

_CLOSING = re.compile(r"</([\w:]*(?:think|thought|reason)[\w:]*)>|\[/(THINK\w*)\]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tags:
    """What stands around thoughts; ``known``: whether the template itself names the closing one."""

    opening: str
    closing: str
    known: bool

    def joined(self, thinking: str, content: str, veil: str = "") -> str:
        """Thoughts in front of a content; `veil` goes into every closing tag.

        >>> Tags("<think>", "</think>", known=False).joined("Hm.", "Yes.")
        '<think>\\nHm.\\n</think>\\n\\nYes.'
        """
        thoughts = thinking.strip("\n")
        text = f"{self.opening}\n{thoughts}\n{self.closing}\n\n{content}"
        return text.replace(self.closing, self.closing[:2] + veil + self.closing[2:])

    def parted(self, message: Message) -> Message:
        """The thoughts that open the message's content in their field, everything behind them as content."""
        begin = message.content.lstrip()
        if not begin.startswith(self.opening) or self.closing not in begin:
            return message
        thoughts, content = begin[len(self.opening) :].split(self.closing, 1)
        return replace(message, thinking=thoughts.strip(), content=content.lstrip())


@lru_cache(maxsize=64)
def tags_of(template: str) -> Tags:
    """The tags that `template` names, or ``<think>``.

    >>> tags_of("{{ m.content.split('</seed:think>')[-1] }}")
    Tags(opening='<seed:think>', closing='</seed:think>', known=True)
    """
    found = _CLOSING.search(template)
    if found is None:
        return Tags("<think>", "</think>", known=False)
    name = found[1] or found[2]
    return Tags(f"<{name}>" if found[1] else f"[{name}]", found.group(), known=True)
