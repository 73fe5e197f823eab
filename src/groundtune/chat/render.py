"""Messages to token ids, and which of them are trained: one renderer for training, evaluation and serving.

The trained tokens are found by construction. The conversation up to an assistant's turn is rendered with the template's
generation prompt: that is what a server sends. Whatever the template writes after it, up to and including the first
control token, is what the assistant has to produce, and just that is trained. No marker is searched for and no model is
a special case; a template that cannot be handled exactly is refused.

The text is cut where each assistant's turn begins and ends, and each piece is encoded as the continuation of the ids
before it. So no token spans the border between what is given and what is produced, and the ids of a prompt are an exact
prefix of the ids that are trained: ``render(t, m).token_ids`` begins with ``render_prompt(t, m[:k])`` for every
assistant message ``m[k]``.

What this module does not do: tools, images, cutting to a length, batching.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from groundtune.chat.tokens import ControlTokens, Guarded, control_tokens, encode, guard_contents, joins
from groundtune.errors import TemplateError
from groundtune.types import Message

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Rendered:
    """A tokenised conversation.

    ``token_ids`` and ``trained`` have one entry a token. Trained are the assistant's content as the template writes it
    and the control token that ends the turn; nothing of the header.
    """

    token_ids: list[int]
    trained: list[bool]


@dataclass(frozen=True, slots=True)
class Piece:
    text: str
    trained: bool


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> Rendered:
    """A conversation as training sees it, loss on every assistant turn.

    Raises:
        TemplateError: no assistant message, a blank one, or a template that does not let its turns be told apart
            exactly; the message says why.
    """
    if not any(message.role == "assistant" for message in messages):
        raise TemplateError(f"{len(messages)} messages without an assistant's among them; there is nothing to train on")
    return _render(tokenizer, messages, add_generation_prompt=False)


def render_prompt(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The ids that are sent to the model for it to write the next assistant turn.

    Raises:
        TemplateError: as :func:`render`.
    """
    return _render(tokenizer, messages, add_generation_prompt=True).token_ids


def stop_token_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Ids at which generation stops: the one the template ends an assistant turn with, then the tokenizer's eos.

    Raises:
        TemplateError: the template ends no turn with a control token.
    """
    rendered = render(tokenizer, (Message("user", "a"), Message("assistant", "b")))
    ends = [number for number, trained in zip(rendered.token_ids, rendered.trained, strict=True) if trained][-1:]
    if tokenizer.eos_token_id is not None:
        ends.append(int(tokenizer.eos_token_id))
    return tuple(dict.fromkeys(ends))


def _render(
    tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, add_generation_prompt: bool
) -> Rendered:
    control = control_tokens(tokenizer)
    guarded = guard_contents(messages, control, str(tokenizer.chat_template or ""))
    token_ids: list[int] = []
    trained: list[bool] = []
    before = ""
    for piece in cut_at_turns(tokenizer, guarded.messages, control, add_generation_prompt=add_generation_prompt):
        added = _continue(tokenizer, token_ids, before, piece.text, guarded, control)
        token_ids += added
        trained += [piece.trained] * len(added)
        before += piece.text
    return Rendered(token_ids, trained)


def _continue(
    tokenizer: PreTrainedTokenizerBase,
    ids_before: list[int],
    text_before: str,
    text: str,
    guarded: Guarded,
    control: ControlTokens,
) -> list[int]:
    """Ids of `text` behind `ids_before`, which stay as they are."""
    added = encode(tokenizer, text, guarded.guard, control)
    if not ids_before or joins(tokenizer, ids_before, added, guarded.restore(text)):
        return added
    # tokenizers that write a space in front of every text: only the whole shows what belongs here
    whole = encode(tokenizer, text_before + text, guarded.guard, control)
    if whole[: len(ids_before)] == ids_before:
        return whole[len(ids_before) :]
    raise TemplateError(
        f"tokens merge across the border between prompt and answer (at {guarded.restore(text)[:20]!r}), so the prompt's ids "
        "are no prefix of the whole; expected a tokenizer that can continue a prompt exactly"
    )


def cut_at_turns(
    tokenizer: PreTrainedTokenizerBase,
    messages: tuple[Message, ...],
    control: ControlTokens,
    *,
    add_generation_prompt: bool,
) -> list[Piece]:
    """The rendered text, cut where assistant turns begin and end; joined, the pieces are the whole text."""
    whole = _apply(tokenizer, messages, add_generation_prompt=add_generation_prompt)
    pieces: list[Piece] = []
    end = 0
    for index, message in enumerate(messages):
        if message.role != "assistant":
            continue
        prompt, turn = _turn(tokenizer, messages, index, control)
        if not whole.startswith(prompt + turn):
            raise TemplateError(
                f"message {index + 1} (assistant): the chat template writes this turn differently once others follow, so "
                "what is trained would not be what is produced; expected a template that keeps earlier turns as they were"
            )
        pieces += [Piece(whole[end : len(prompt)], False), Piece(turn, True)]
        end = len(prompt) + len(turn)
    pieces.append(Piece(whole[end:], False))
    return [piece for piece in pieces if piece.text]


def _turn(
    tokenizer: PreTrainedTokenizerBase, messages: tuple[Message, ...], index: int, control: ControlTokens
) -> tuple[str, str]:
    """What is sent for assistant message `index`, and what the assistant has to write, its stop token included."""
    where = f"message {index + 1} (assistant)"
    content = messages[index].content.strip()
    if not content:
        raise TemplateError(f"{where}: found {messages[index].content!r}; expected an answer to train on")
    if index == 0:
        raise TemplateError(f"{where}: stands in front; expected a system or user message before the first answer")
    given = messages[:index]
    prompt = _apply(tokenizer, given, add_generation_prompt=True)
    told = _apply(tokenizer, messages[: index + 1], add_generation_prompt=False)
    if not told.startswith(prompt):
        raise TemplateError(
            f"{where}: the conversation with this answer does not begin with its generation prompt ({prompt[-40:]!r} at the "
            "end), so trained tokens cannot be told apart exactly; expected a template whose generation prompt is a prefix"
        )
    rest = told[len(prompt) :]
    stop = control.pattern.search(rest)
    if stop is None:
        raise TemplateError(
            f"{where}: the chat template ends the turn with no control token (found {rest[-40:]!r}), so the model would "
            "never learn to stop; expected an end-of-turn token"
        )
    body = rest[: stop.start()].strip()
    # a template may open the turn with something of its own (empty thoughts); but where it has no generation prompt,
    # text in front of the content is the header, which nobody will send
    headless = prompt == _apply(tokenizer, given, add_generation_prompt=False)
    if not body.endswith(content) or (headless and body != content):
        raise TemplateError(
            f"{where}: the chat template writes {rest[:60]!r} where the answer should stand; expected the answer, unchanged "
            "but for white space at its ends, right after the generation prompt"
        )
    return prompt, rest[: stop.end()]


def _apply(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, add_generation_prompt: bool) -> str:
    """The chat template's text. Its own refusals, in its own words, become `TemplateError`."""
    from jinja2.exceptions import TemplateError as JinjaError

    if not messages:
        raise TemplateError("no messages; expected at least one")
    if not tokenizer.chat_template:
        raise TemplateError(
            "the tokenizer has no chat template; set tokenizer.chat_template, LLAMA3_TEMPLATE for example"
        )
    conversation = [{"role": message.role, "content": message.content} for message in messages]
    try:
        return str(
            tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=add_generation_prompt)
        )
    except (JinjaError, TypeError, ValueError) as error:
        raise TemplateError(f"the chat template refuses the conversation: {error}") from error
