"""Messages to token ids, and which of them are trained: one renderer for training, evaluation and serving.

The trained tokens are found by construction (:mod:`groundtune.chat.turns`): what the template writes behind the generation
prompt, thoughts, answer, tool calls and the token that ends the turn. No marker is searched for and no model is a special
case; a template that cannot be handled exactly is refused.

A prompt's ids are those of its whole text, as any server encodes it, and a turn is encoded as the continuation of those. So
no token spans the border between what is given and what is produced, and an example that trains ``m[k]`` begins with
``render_prompt(t, m[:k])``, id for id.

Where the history of a later turn is not what was produced, a conversation is one example for each trained turn, with the
history as it is sent then (:func:`render_examples`). That happens with templates that strip earlier thoughts, and with
tokenizers that join an answer's first characters to the header once both stand in a prompt.

What this module does not do: images, cutting to a length (:mod:`groundtune.chat.fitting`), many at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from groundtune.chat.generation_marks import check_generation_marks
from groundtune.chat.modes import writer_for
from groundtune.chat.tokens import encode, joins
from groundtune.chat.turns import Piece, apart, cut_at_turns, prompt_of
from groundtune.chat.writing import Transcript
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TrainOn = Literal["all", "last", "flagged"]
"""Which assistant turns are trained, where a message does not say so itself (``Message.train``)."""

_SAMPLE_CALL = (ToolCall("look_up", '{"name": "b"}', "a1b2c3d4e"),)
_SAMPLE_TOOL = (
    '{"type": "function", "function": {"name": "look_up", "description": "", "parameters": {"type": "object", '
    '"properties": {"name": {"type": "string", "description": ""}}, "required": ["name"]}}}'
)
_SAMPLE_TURNS: tuple[tuple[Message, tuple[str, ...]], ...] = (
    (Message("assistant", "b"), ()),
    (Message("assistant", "b", thinking="c"), ()),
    (Message("assistant", "", tool_calls=_SAMPLE_CALL), (_SAMPLE_TOOL,)),
    (Message("assistant", "", thinking="c", tool_calls=_SAMPLE_CALL), (_SAMPLE_TOOL,)),
    # some write calls and leave it to the system prompt to tell of tools
    (Message("assistant", "", tool_calls=_SAMPLE_CALL), ()),
)


@dataclass(frozen=True, slots=True)
class Rendered:
    """A tokenised conversation.

    ``token_ids``, ``trained`` and ``weights`` have one entry a token. Trained are the assistant's thoughts, content and tool
    calls as the template writes them, and the control token that ends the turn; nothing of the header. ``weights`` is the
    message's weight there and 0.0 elsewhere.
    """

    token_ids: list[int]
    trained: list[bool]
    weights: list[float]


def render(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    tools: Sequence[str] = (),
    train_on: TrainOn = "all",
    thinking: bool | None = None,
) -> Rendered:
    """A conversation as training sees it, in one example.

    `tools` are JSON schemas as text. `thinking` switches templates that can both think and not; with False thoughts are
    dropped, None leaves the template to itself.

    Raises:
        TemplateError: no trained assistant message, a blank one, or a template that does not let its turns be told apart
            exactly, or writes earlier turns otherwise than they were produced; the message says why.
    """
    examples = render_examples(tokenizer, messages, tools=tools, train_on=train_on, thinking=thinking)
    if len(examples) > 1:
        raise TemplateError(
            "the chat template writes a trained turn differently once others follow, so what is trained would not be what is "
            f"produced; expected {len(examples)} examples of this conversation, one a turn (render_examples)"
        )
    return examples[0]


def render_examples(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    tools: Sequence[str] = (),
    train_on: TrainOn = "all",
    thinking: bool | None = None,
) -> list[Rendered]:
    """A conversation as training sees it: one example where every trained turn keeps its form, otherwise one a turn.

    Raises:
        TemplateError: as :func:`render`, but for turns that change.
    """
    trained = trained_turns(messages, train_on)
    if not trained:
        raise nothing_to_train(messages)
    writer = writer_for(tokenizer, with_tools=bool(tools), thinking=thinking)
    transcript = Transcript(writer, messages, tools)
    examples = cut_at_turns(transcript, trained)
    check_generation_marks(transcript, examples)
    if len(examples) == 1 and (whole := _encoded(transcript, examples[0])):
        return [whole]
    rendered = [_encoded(transcript, pieces) for example in examples for pieces in apart(example)]
    return [each for each in rendered if each]


def render_prompt(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    *,
    tools: Sequence[str] = (),
    thinking: bool | None = None,
) -> list[int]:
    """The ids that are sent to the model for it to write the next assistant turn.

    Raises:
        TemplateError: the template refuses the conversation, or leaves out a message or tool.
    """
    if not messages:
        raise TemplateError("no messages; expected at least one")
    transcript = Transcript(writer_for(tokenizer, with_tools=bool(tools), thinking=thinking), messages, tools)
    return encode(tokenizer, prompt_of(transcript), transcript.guard, transcript.writer.control)


def stop_token_ids(tokenizer: PreTrainedTokenizerBase) -> tuple[int, ...]:
    """Ids at which generation stops: those the template ends an answer and a tool call with, then the tokenizer's eos.

    Raises:
        TemplateError: the template ends no turn with a control token.
    """
    ends, refusals = [], []
    for turn, tools in _SAMPLE_TURNS:
        # some templates want thoughts in every turn, many know no tools
        try:
            ends.append(_last_trained(render(tokenizer, (Message("user", "a"), turn), tools=tools)))
        except TemplateError as error:
            refusals.append(error)
    if not ends:
        raise refusals[0]
    if tokenizer.eos_token_id is not None:
        ends.append(int(tokenizer.eos_token_id))
    return tuple(dict.fromkeys(ends))


def trained_turns(messages: Sequence[Message], train_on: TrainOn) -> tuple[int, ...]:
    """Indices of the messages to train: a message's own ``train`` goes before `train_on`; weight 0 is not trained.

    Raises:
        TemplateError: a weight is negative or no number.

    >>> trained_turns((Message("user", "a"), Message("assistant", "b"), Message("assistant", "c", train=False)), "all")
    (1,)
    """
    answers = [index for index, message in enumerate(messages) if message.role == "assistant"]
    chosen = []
    for index in answers:
        message = messages[index]
        if not (message.weight >= 0 and math.isfinite(message.weight)):
            raise TemplateError(f"message {index + 1} (assistant): weight {message.weight}; expected 0 or more")
        by_default = train_on == "all" or (train_on == "last" and index == answers[-1])
        if message.weight and (by_default if message.train is None else message.train):
            chosen.append(index)
    return tuple(chosen)


def nothing_to_train(messages: Sequence[Message]) -> TemplateError:
    """The error for a conversation without a trained turn."""
    if any(message.role == "assistant" for message in messages):
        return TemplateError("no assistant message is to be trained (train, weight, train_on); expected at least one")
    return TemplateError(f"{len(messages)} messages without an assistant's among them; there is nothing to train on")


def _last_trained(rendered: Rendered) -> int:
    return [number for number, trained in zip(rendered.token_ids, rendered.trained, strict=True) if trained][-1]


def _encoded(transcript: Transcript, pieces: Sequence[Piece]) -> Rendered | None:
    """An example. None where ids that are sent for a turn do not begin with those of the turns before it: one alone always
    fits."""
    token_ids: list[int] = []
    weights: list[float] = []
    text = ""
    for piece in pieces:
        if piece.turn < 0:
            text += piece.text
            continue
        prompt = encode(transcript.writer.tokenizer, text, transcript.guard, transcript.writer.control)
        if prompt[: len(token_ids)] != token_ids:
            return None
        turn = _continue(transcript, prompt, text, piece.text)
        weights += [0.0] * (len(prompt) - len(token_ids)) + [transcript.messages[piece.turn].weight] * len(turn)
        token_ids = prompt + turn
        text += piece.text
    if pieces[-1].turn < 0:
        before = text[: len(text) - len(pieces[-1].text)]
        token_ids += _continue(transcript, token_ids, before, pieces[-1].text)
        weights += [0.0] * (len(token_ids) - len(weights))
    return Rendered(token_ids, [weight > 0 for weight in weights], weights)


def _continue(transcript: Transcript, ids_before: list[int], text_before: str, text: str) -> list[int]:
    """Ids of `text` behind `ids_before`, which stay as they are."""
    tokenizer, control, guard = transcript.writer.tokenizer, transcript.writer.control, transcript.guard
    added = encode(tokenizer, text, guard, control)
    if not ids_before or joins(tokenizer, ids_before, added, transcript.restore(text)):
        return added
    # tokenizers that write a space in front of every text: only the whole shows what belongs here
    whole = encode(tokenizer, text_before + text, guard, control)
    if whole[: len(ids_before)] == ids_before:
        return whole[len(ids_before) :]
    # behind a line feed such tokenizers write no space
    head = encode(tokenizer, "\n", "", control)
    behind = encode(tokenizer, "\n" + text, guard, control)
    if behind[: len(head)] == head and joins(tokenizer, ids_before, behind[len(head) :], transcript.restore(text)):
        return behind[len(head) :]
    raise TemplateError(
        "tokens merge across the border between prompt and answer (at "
        f"{transcript.restore(text)[:20]!r}), so the prompt's ids are no prefix of the whole; expected a tokenizer that can "
        "continue a prompt exactly"
    )
