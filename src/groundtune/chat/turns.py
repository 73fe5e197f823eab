"""Where an assistant's turn begins and ends in rendered text, found by construction.

The conversation up to the turn is rendered with the generation prompt: that is what a server sends. Whatever the template
writes behind it, up to and including the control token that ends the turn, is what the assistant has to produce. The end is
the last control token behind the turn's own words that stays there when the conversation goes on; a template that writes
none there but begins the next message with one is one whose assistant stops at that.

What this module does not do: encode, or decide which turns are trained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from groundtune.chat.functions import leaves, tool_name
from groundtune.chat.writing import Transcript
from groundtune.errors import TemplateError
from groundtune.types import Message, ToolCall


@dataclass(frozen=True, slots=True)
class Piece:
    """Rendered text; ``turn`` is the index of the message whose trained turn it is, -1 where it is not trained."""

    text: str
    turn: int = -1


@dataclass(frozen=True, slots=True)
class Turn:
    """What is sent (``prompt``), what the assistant writes (``text``, stop token included).

    ``open``: the conversation up to here ends without the stop token, which is written only when another message follows.
    """

    prompt: str
    text: str
    open: bool = False


def cut_at_turns(transcript: Transcript, trained: Sequence[int]) -> list[list[Piece]]:
    """The conversation as examples, each cut where the trained turns begin and end.

    One example, the whole text, where every trained turn stands in it as it was produced; otherwise one for each trained
    turn: what was sent for it, and the turn.

    Raises:
        TemplateError: a trained turn cannot be told apart exactly, or the template leaves a message or tool out.
    """
    turns = {index: find_turn(transcript, index) for index in trained}
    count = len(transcript.messages)
    whole = transcript.before(count, asked=False)
    last = turns.get(count - 1)
    if last and last.open and (last.prompt + last.text).startswith(whole):
        # what the next message would begin with ends this turn
        whole = last.prompt + last.text
    pieces: list[Piece] = []
    end = 0
    for index, turn in sorted(turns.items()):
        if len(turn.prompt) < end or not whole.startswith(turn.prompt + turn.text):
            break
        pieces += [Piece(whole[end : len(turn.prompt)]), Piece(turn.text, index)]
        end = len(turn.prompt) + len(turn.text)
    else:
        _check_nothing_left_out(transcript, count, asked=False)
        pieces.append(Piece(whole[end:]))
        return [[piece for piece in pieces if piece.text]]
    for index in turns:
        _check_nothing_left_out(transcript, index, asked=True)
    return [[Piece(turn.prompt), Piece(turn.text, index)] for index, turn in sorted(turns.items())]


def apart(pieces: Sequence[Piece]) -> list[list[Piece]]:
    """An example for each trained turn of `pieces`, which are one."""
    return [
        [Piece("".join(before.text for before in pieces[:place])), piece]
        for place, piece in enumerate(pieces)
        if piece.turn >= 0
    ]


def prompt_of(transcript: Transcript) -> str:
    """What is sent for the next turn.

    Raises:
        TemplateError: the template refuses, or leaves a message or tool out.
    """
    count = len(transcript.messages)
    _check_nothing_left_out(transcript, count, asked=True)
    return transcript.before(count, asked=True)


def find_turn(transcript: Transcript, index: int) -> Turn:
    """What is sent for assistant message `index`, and what the assistant has to write.

    Raises:
        TemplateError: the template does not let it be told apart exactly; the message says why.
    """
    where = f"message {index + 1} (assistant)"
    message = transcript.messages[index]
    if not message.content.strip() and not message.tool_calls:
        raise TemplateError(f"{where}: found {message.content!r}; expected an answer to train on")
    prompt = transcript.before(index, asked=True)
    told = transcript.told(index)
    if not told.startswith(prompt):
        raise _not_a_prefix(transcript, index, prompt, where)
    rest = told[len(prompt) :]
    body, text, is_open = _until_stop(transcript, index, prompt, rest, where)
    _check_body(transcript, index, body, where)
    # nothing but the answer: no header either
    if body.strip() != message.content.strip() and _is_headless(transcript, index, prompt):
        _check_no_header(transcript, index, prompt, body, where)
    return Turn(prompt, text, is_open)


def _not_a_prefix(transcript: Transcript, index: int, prompt: str, where: str) -> TemplateError:
    tags = transcript.writer.tags
    if tags.known and prompt.rstrip().endswith(tags.opening) and not transcript.messages[index].thinking:
        return TemplateError(
            f"{where}: the generation prompt opens thoughts ({tags.opening!r}), this turn has none, and the template does not "
            "write them empty; expected thoughts in the turn, or thinking=False where the template has a switch for it"
        )
    if transcript.messages[index].thinking and prompt.rstrip().endswith(tags.closing):
        return TemplateError(
            f"{where}: the generation prompt closes the thoughts ({prompt[-40:]!r} at the end), and this turn has some; expected "
            "thinking=True where the template has a switch for it, or thinking=False to train without them"
        )
    told = transcript.told(index)
    for number, message in enumerate(transcript.messages[:index], start=1):
        if _holds(prompt, message.content) and not _holds(told, message.content):
            return TemplateError(
                f"{where}: the chat template writes message {number} ({message.role}) in the generation prompt only and not once "
                "the answer follows, so trained tokens cannot be told apart exactly; expected a template that keeps it"
            )
    return TemplateError(
        f"{where}: the conversation with this answer does not begin with its generation prompt ({prompt[-40:]!r} at the "
        "end), so trained tokens cannot be told apart exactly; expected a template whose generation prompt is a prefix"
    )


def _until_stop(transcript: Transcript, index: int, prompt: str, rest: str, where: str) -> tuple[str, str, bool]:
    """The turn's own words, the turn with its stop token, and whether that is written by the next message only."""
    ends = _closing_tokens(transcript, rest)
    words = rest[: ends[0].start()] if ends else rest.rstrip()
    closing = rest[len(words) :]
    if len(ends) == 1:
        return words, rest[: ends[0].end()], False
    if not ends and (stop := _stop_before_next_prompt(transcript, index, rest)):
        return rest[: stop.start()], rest[: stop.end()], False
    behind = _behind(transcript, index, prompt + words)
    if behind is None and any(message.thinking for message in transcript.messages[: index + 1]):
        # earlier thoughts may go, but what ends the turn stays
        bare = transcript.without_thoughts()
        told = bare.before(index + 1, asked=False)
        if told.endswith(closing):
            behind = _behind(bare, index, told[: len(told) - len(closing)])
    if ends:
        tails = [rest[len(words) : end.end()] for end in ends]
        kept = [tail for tail in tails if (behind or "").startswith(tail)]
        return words, words + (kept or tails)[-1], False
    # only white space at the turn's end may have been waiting for the next message
    white = len(behind or "") - len((behind or "").lstrip())
    token = transcript.writer.control.pattern.match(behind or "", white)
    if behind is None or token is None:
        raise TemplateError(
            f"{where}: the chat template ends the turn with no control token (found {rest[-40:]!r}), so the model would "
            "never learn to stop; expected an end-of-turn token"
        )
    return words, words + behind[: token.end()], True


def _stop_before_next_prompt(transcript: Transcript, index: int, rest: str) -> re.Match[str] | None:
    """The token behind the answer in a template that writes the next generation prompt whether asked or not."""
    content = transcript.messages[index].content.strip()
    if transcript.messages[index].tool_calls or transcript.told(index) != transcript.before(index + 1, asked=True):
        return None
    return transcript.writer.control.pattern.search(rest, rest.rfind(content) + len(content))


def _behind(transcript: Transcript, index: int, text: str) -> str | None:
    """What stands behind `text` once other messages follow message `index`; None where it is no longer there."""
    try:
        followed = transcript.followed(index, *_answers_to(transcript.messages[index]))
    except TemplateError:
        return None
    return followed[len(text) :] if followed.startswith(text) else None


def _closing_tokens(transcript: Transcript, rest: str) -> list[re.Match[str]]:
    """The control tokens at the end of `rest`, with nothing but white space between and behind them."""
    ends: list[re.Match[str]] = []
    begin = len(rest)
    for found in reversed(list(transcript.writer.control.pattern.finditer(rest))):
        if rest[found.end() : begin].strip():
            break
        ends.insert(0, found)
        begin = found.start()
    return ends


def _answers_to(message: Message) -> tuple[Message, ...]:
    if not message.tool_calls:
        return (Message("user", "x"),)
    return tuple(Message("tool", "x", tool_call_id=call.call_id, name=call.name) for call in message.tool_calls)


def _check_body(transcript: Transcript, index: int, body: str, where: str) -> None:
    """Thoughts, content and calls stand in the turn's own words, in that order and unchanged but for white space."""
    message = transcript.messages[index]
    thoughts, content = message.thinking.strip(), message.content.strip()
    if thoughts and thoughts not in body:
        raise TemplateError(
            f"{where}: the chat template leaves out this turn's thoughts; expected them in what the assistant writes, so train "
            "without them (thinking=False) or with another template"
        )
    begin = body.find(thoughts) + len(thoughts)
    # a template may open the turn with something of its own (empty thoughts)
    stands = content in body[begin:] if message.tool_calls else body[begin:].rstrip().endswith(content)
    if not stands:
        raise TemplateError(
            f"{where}: the chat template writes {body[:60]!r} where the answer should stand; expected the answer, unchanged "
            "but for white space at its ends, right after the generation prompt"
        )
    for call, arguments in zip(message.tool_calls, transcript.arguments[index], strict=True):
        missing = [f"the call of {call.name}"] if not _names_call(body, call) else []
        missing += [repr(text) for text in leaves(arguments) if not _holds(body, text)]
        if missing:
            raise TemplateError(
                f"{where}: the chat template leaves out {missing[0]}; expected tool calls whole, so use a template made for tools"
            )


def _holds(text: str, part: str) -> bool:
    part = part.strip()
    return part in text or any(json.dumps(part, ensure_ascii=ascii)[1:-1] in text for ascii in (False, True))


def _names_call(text: str, call: ToolCall) -> bool:
    """Some templates write a call's id alone, which names the function."""
    return _holds(text, call.name) or bool(call.call_id and _holds(text, call.call_id))


def _is_headless(transcript: Transcript, index: int, prompt: str) -> bool:
    """Whether the template adds nothing for the assistant to go on from."""
    try:
        return prompt == transcript.before(index, asked=False)
    except TemplateError:
        return False


def _check_no_header(transcript: Transcript, index: int, prompt: str, body: str, where: str) -> None:
    """Without a generation prompt, what the template writes in front of a content is a header that nobody will send."""
    message = transcript.messages[index]
    opening, content = body.strip(), message.content.strip()
    if message.tool_calls or message.thinking:
        content = "x"
        opening = transcript.followed(index - 1, Message("assistant", content))[len(prompt) :].strip()
        fits = opening.startswith(content)
    else:
        fits = opening == content
    if not fits:
        raise TemplateError(
            f"{where}: the chat template ignores add_generation_prompt and writes {opening[:60]!r} where the answer should "
            "stand; expected the answer, unchanged but for white space at its ends, right after the generation prompt"
        )


def _check_nothing_left_out(transcript: Transcript, end: int, *, asked: bool) -> None:
    """Every message that is given, and every tool, shows in the rendering of the first `end` messages."""
    text = transcript.before(end, asked=asked)
    for number, message in enumerate(transcript.messages[:end], start=1):
        if message.role == "assistant":
            missing = next((call.name for call in message.tool_calls if not _names_call(text, call)), "")
            if missing:
                raise TemplateError(
                    f"message {number} (assistant): the chat template leaves out the call of {missing}; use a template made "
                    "for tools"
                )
        elif (
            not _holds(text, message.content) or _is_said_elsewhere(transcript, number - 1, end)
        ) and transcript.changed(number - 1, end, asked=asked) == text:
            raise TemplateError(
                f"message {number} ({message.role}): the chat template leaves it out ({message.content[:40]!r}); expected "
                "every message in the text, so use a template that knows the role"
            )
    missing = next((tool_name(each) for each in transcript.tools if not _holds(text, tool_name(each))), "")
    if transcript.tools and not missing and _is_without_tools(transcript, end, text, asked=asked):
        # their names stand in what is said, not in what the template writes
        missing = tool_name(transcript.tools[0])
    if missing:
        raise TemplateError(f"the chat template leaves out the tool {missing!r}; use a template made for tools")


def _is_without_tools(transcript: Transcript, end: int, text: str, *, asked: bool) -> bool:
    try:
        return transcript.without_tools(end, asked=asked) == text
    except TemplateError:
        return False


def _is_said_elsewhere(transcript: Transcript, index: int, end: int) -> bool:
    """Whether another message holds this one's text, so that finding it proves nothing."""
    content = transcript.messages[index].content.strip()
    return any(
        number != index and (content in other.content or content in other.thinking)
        for number, other in enumerate(transcript.messages[:end])
    )
