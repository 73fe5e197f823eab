"""Which shorter form of a conversation an example tells: whole turns or whole paragraphs may be gone, and nothing else.

Found by trying: every form that the policy allows is asked for its prompt, and the example must begin with one of them. What
this module does not do: check the example further (:mod:`groundtune.dataset.audit.turns` does, against that form).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from groundtune.dataset.audit.oracle import Asked, Oracle
from groundtune.errors import TemplateError
from groundtune.types import Message


def told_as(
    oracle: Oracle, asked: Asked, trained: Sequence[int], ids: Sequence[int], stretches: Sequence[int], policy: str
) -> tuple[Asked, list[int]] | None:
    """The form that `ids` tell and the turns trained in it, by their places there; None where there is no such form.

    `trained` are the turns trained in the whole, `stretches` where each trained stretch of the example begins.
    """
    if not stretches:
        return None
    prompt = list(ids[: stretches[0]])
    for last in trained:
        # messages keep their identity, so that a turn is found again wherever it stands
        wanted = [asked.messages[turn] for turn in trained if turn <= last][-len(stretches) :]
        for messages in forms(asked.messages[: last + 1], policy):
            form = replace(asked, messages=messages)
            turns = [place for place, message in enumerate(messages) if any(message is each for each in wanted)]
            try:
                if len(turns) == len(stretches) and oracle.prompt_ids(form, turns[0]) == prompt:
                    return form, turns
            except TemplateError:
                continue
    return None


def forms(messages: tuple[Message, ...], policy: str) -> Iterator[tuple[Message, ...]]:
    """The whole, then ever shorter ones.

    >>> turns = (Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    >>> ["".join(message.content for message in form) for form in forms(turns, "truncate_left")]
    ['sabc', 'sc']
    >>> ["|".join(message.content for message in form) for form in forms((Message("user", "a\\n\\nb\\n\\nc"),), "truncate_context")]
    ['a\\n\\nb\\n\\nc', 'a\\n\\nc']
    """
    yield messages
    if policy == "truncate_left":
        lead = messages[:1] if messages and messages[0].role == "system" else ()
        for begin in range(len(lead) + 1, len(messages)):
            if messages[begin].role == "user":
                yield (*lead, *messages[begin:])
    elif policy == "truncate_context":
        yield from _with_fewer_paragraphs(messages)


def _with_fewer_paragraphs(messages: tuple[Message, ...]) -> Iterator[tuple[Message, ...]]:
    """A paragraph less each time, of what is then the longest text that has one to give: of a user's text neither the first
    nor the last goes, of a tool's only the first stays."""
    now = list(messages)
    while True:
        longest, place, gone = 0, -1, -1
        for index, message in enumerate(now):
            paragraphs = message.content.count("\n\n") + 1
            goes = {"user": paragraphs - 2, "tool": paragraphs - 1}.get(message.role, 0)
            if goes > 0 and len(message.content) > longest:
                longest, place, gone = len(message.content), index, goes
        if place < 0:
            return
        paragraphs_left = now[place].content.split("\n\n")
        del paragraphs_left[gone]
        now[place] = replace(now[place], content="\n\n".join(paragraphs_left))
        yield tuple(now)
