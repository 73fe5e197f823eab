"""Conversations that are too long: refused, skipped, or made to fit by taking away what is only given.

Never touched are an answer that is trained, its stop token, the system prompt, and the first and last paragraph of a user's
text (the instruction and the question). What this module does not do: cut tokens, or choose grounded chunks; those are
dropped where examples are made (:mod:`groundtune.dataset`).
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from groundtune.chat.render import Rendered, TrainOn, render_examples, trained_turns
from groundtune.errors import DataError, TemplateError
from groundtune.types import Conversation, Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Overlong = Literal["error", "skip", "truncate_left", "truncate_context"]

TOO_LONG = "longer than data.max_tokens"
TOO_LONG_WITHOUT_TURNS = "longer than data.max_tokens even without earlier turns"
TOO_LONG_WITHOUT_PARAGRAPHS = "longer than data.max_tokens even without paragraphs that may go"

_Attempt = Callable[[Sequence[Message]], list[Rendered] | None]
"""Renders messages; None where they are still too long, or the template refuses them."""


def fit(
    tokenizer: PreTrainedTokenizerBase,
    conversation: Conversation,
    *,
    max_tokens: int,
    policy: Overlong,
    train_on: TrainOn = "all",
    thinking: bool | None = None,
) -> list[Rendered] | str:
    """The examples of `conversation`, none over `max_tokens`; or the reason why there are none, a fixed sentence.

    ``truncate_left`` drops whole turns, oldest first, so that what is left begins as the template accepts it; turns that
    would have been trained go with them. ``truncate_context`` drops paragraphs of the longest user or tool text before the
    last trained turn, from its end. Both first drop what stands behind the last trained turn. Of a conversation that is one
    example a turn, each is made to fit by itself.

    Raises:
        DataError: one is too long, and `policy` is ``"error"``.
        TemplateError: as :func:`groundtune.chat.render_examples`.
    """

    def render_all(messages: Sequence[Message]) -> list[Rendered]:
        return render_examples(tokenizer, messages, tools=conversation.tools, train_on=train_on, thinking=thinking)

    examples = render_all(conversation.messages)
    longest = max(len(each.token_ids) for each in examples)
    if longest <= max_tokens:
        return examples
    if policy == "error":
        raise DataError(
            f"{conversation.origin.file}:{conversation.origin.row}: {longest} tokens, over data.max_tokens ({max_tokens}); raise "
            "it, or set data.overlong to skip, truncate_left or truncate_context"
        )
    if policy == "skip":
        return TOO_LONG
    turns = trained_turns(conversation.messages, train_on)
    parts = _one_each(conversation.messages, turns) if len(examples) > 1 else [conversation.messages[: turns[-1] + 1]]
    shorten = _without_turns if policy == "truncate_left" else _without_paragraphs
    fitting: list[Rendered] = []
    for messages, rendered in zip(parts, examples, strict=True):
        found = _fitting([_without_tail(rendered)], max_tokens)
        if found is None:
            found = shorten(messages, lambda shorter: _tried(render_all, shorter, max_tokens))
        if found is None:
            return TOO_LONG_WITHOUT_TURNS if policy == "truncate_left" else TOO_LONG_WITHOUT_PARAGRAPHS
        fitting += found
    return fitting


def _tried(
    render_all: Callable[[Sequence[Message]], list[Rendered]], messages: Sequence[Message], max_tokens: int
) -> list[Rendered] | None:
    """The examples of `messages` where the template accepts them and they fit."""
    try:
        return _fitting([_without_tail(each) for each in render_all(messages)], max_tokens)
    except TemplateError:
        return None


def _fitting(examples: list[Rendered], max_tokens: int) -> list[Rendered] | None:
    return examples if all(len(each.token_ids) <= max_tokens for each in examples) else None


def _without_tail(rendered: Rendered) -> Rendered:
    """Up to the last trained token, which is a stop token."""
    end = len(rendered.trained) - rendered.trained[::-1].index(True)
    return Rendered(rendered.token_ids[:end], rendered.trained[:end], rendered.weights[:end])


def _one_each(messages: Sequence[Message], turns: Sequence[int]) -> list[tuple[Message, ...]]:
    """For each trained turn the conversation up to it, that turn alone trained."""
    return [
        tuple(replace(message, train=index == turn) for index, message in enumerate(messages[: turn + 1]))
        for turn in turns
    ]


def _without_turns(messages: Sequence[Message], attempt: _Attempt) -> list[Rendered] | None:
    """What fits with the fewest turns dropped: the system prompt, then all from a later user's message on."""
    lead = tuple(messages[:1]) if messages and messages[0].role == "system" else ()
    begins = [begin for begin in range(len(lead) + 1, len(messages)) if messages[begin].role == "user"]
    return next(filter(None, (attempt((*lead, *messages[begin:])) for begin in begins)), None)


def _without_paragraphs(messages: Sequence[Message], attempt: _Attempt) -> list[Rendered] | None:
    """What fits with the fewest paragraphs dropped, always one of the text that is longest then."""
    parts = [message.content.split("\n\n") if message.role in ("user", "tool") else [] for message in messages]
    # of a user's text the last paragraph stays too
    spare = [
        len(paragraphs) - (2 if message.role == "user" else 1)
        for message, paragraphs in zip(messages, parts, strict=True)
    ]
    sizes = [len(message.content) for message in messages]
    order: list[int] = []
    while places := [place for place, count in enumerate(spare) if count > 0]:
        place = max(places, key=lambda each: sizes[each])
        sizes[place] -= len(parts[place][spare[place]]) + 2
        spare[place] -= 1
        order.append(place)

    def fits(count: int) -> list[Rendered] | None:
        return attempt(_shortened(messages, parts, Counter(order[:count])))

    # the first count that fits: fewer paragraphs are never more tokens
    count = bisect_left(range(1, len(order) + 1), True, key=lambda each: fits(each) is not None) + 1
    return fits(count) if count <= len(order) else None


def _shortened(
    messages: Sequence[Message], parts: Sequence[Sequence[str]], dropped: Mapping[int, int]
) -> tuple[Message, ...]:
    """`messages` with so many paragraphs dropped, by place: from the end, but of a user's text never the last."""
    shorter = list(messages)
    for place, count in dropped.items():
        paragraphs = parts[place]
        end = len(paragraphs) - (1 if messages[place].role == "user" else 0)
        content = "\n\n".join([*paragraphs[: end - count], *paragraphs[end:]])
        shorter[place] = replace(messages[place], content=content)
    return tuple(shorter)
