r"""Thoughts at the start of an assistant's text, apart from it and back.

One spelling is taken apart, the one that reasoning models write and chat templates render::

    <think>\nTHOUGHTS\n</think>\n\nANSWER

Any other spelling (no line ends, blank thoughts, two blocks) stays in the text as it is, because it could not be put
together again exactly.
"""

from __future__ import annotations

_OPEN = "<think>\n"
_END = "</think>"
_CLOSE = "\n</think>\n\n"


def split_thoughts(text: str) -> tuple[str, str]:
    r"""Thoughts and answer; no thoughts when `join_thoughts` would not give `text` back.

    >>> split_thoughts("<think>\nTwo and two.\n</think>\n\nFour.")
    ('Two and two.', 'Four.')
    >>> split_thoughts("<think>Two and two.</think>Four.")
    ('', '<think>Two and two.</think>Four.')
    """
    if not text.startswith(_OPEN):
        return "", text
    thoughts, close, answer = text[len(_OPEN) :].partition(_CLOSE)
    # templates strip line ends around both parts, so there must be none to lose
    stripped = thoughts.strip() and thoughts.strip("\n") == thoughts and not answer.startswith("\n")
    if not close or not stripped or _END in thoughts:
        return "", text
    return thoughts, answer


def join_thoughts(thoughts: str, answer: str) -> str:
    """The text of an answer with its thoughts before it."""
    return f"{_OPEN}{thoughts}{_CLOSE}{answer}" if thoughts else answer
