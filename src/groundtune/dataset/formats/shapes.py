"""The shapes that rows have: Alpaca, dialogues, prompt and completion, preference pairs, raw text.

Each function takes a row and tells the parts of a `Conversation` it makes. What this module does not do: choose the shape
(:mod:`groundtune.dataset.formats.detection`) or name the row (:mod:`groundtune.dataset.formats.reading`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypedDict

from groundtune.config import DataFormat
from groundtune.dataset.formats.columns import Layout
from groundtune.dataset.formats.reasons import Malformed, Reason, shown
from groundtune.dataset.formats.squad import answers_of, grounded_turns
from groundtune.dataset.formats.thoughts import split_thoughts
from groundtune.dataset.formats.tools import keep_rest, read_tools
from groundtune.dataset.formats.turns import parsed_list, read_turns
from groundtune.types import Message, Role

Row = Mapping[str, Any]
Found = Mapping[str, str]
"""Part to the column of this row that holds it."""


class Parts(TypedDict, total=False):
    """What a shape makes of a row."""

    messages: tuple[Message, ...]
    tools: tuple[str, ...]
    rejected: tuple[Message, ...]
    desired: bool | None
    text: str
    extra: dict[str, Any]
    """Of messages: keys that are kept beside the columns."""
    unread: tuple[str, ...]
    """Parts that were there and not needed; their columns are kept."""


Shape = Callable[[Row, Found, Layout], Parts]


def read_alpaca(row: Row, found: Found, layout: Layout) -> Parts:
    """``instruction``, ``input`` below it, ``output``; earlier turns in ``history`` as pairs."""
    extra: dict[str, Any] = {}
    history = _history(row, found)
    if "instances" in found and "response" not in found:
        query, response, place = _instance(row[found["instances"]], found["instances"], extra)
    else:
        query, response, place = _text(row, found, "query"), _text(row, found, "response"), found["response"]
    question = Message("user", _joined(_text(row, found, "prompt"), query, found["prompt"]))
    return _chat((*history, question, _assistant(response, place)), row, found, layout, extra)


def read_dialogue(row: Row, found: Found, layout: Layout) -> Parts:
    """ShareGPT and OpenAI messages: a list of turns."""
    extra: dict[str, Any] = {}
    column = found["messages"]
    messages = read_turns(row[column], column, layout, extra)
    return _chat(messages, row, found, layout, extra)


def read_prompt_completion(row: Row, found: Found, layout: Layout) -> Parts:
    """A prompt and what follows it, each text or messages. What an assistant says inside the prompt is not trained."""
    extra: dict[str, Any] = {}
    prompt = tuple(
        replace(turn, train=False) if turn.role == "assistant" and turn.train is None else turn
        for turn in _prompt(row, found, layout, extra)
    )
    completion = _answers(row[found["response"]], found["response"], layout, extra)
    parts = _chat((*prompt, *completion), row, found, layout, extra)
    if "query" in found and not isinstance(row[found["prompt"]], str):
        parts["unread"] = ("query", *parts.get("unread", ()))  # a query belongs below a prompt that is text
    return parts


_TRANSCRIPT = re.compile(r"\n\n(Human|Assistant): ?")


def read_preference(row: Row, found: Found, layout: Layout) -> Parts:
    """Two answers to one prompt. The prompt has columns of its own, or both answers begin with it.

    Both are cut behind the last user turn, which must be the same in both: `rejected` holds what follows it.
    """
    extra: dict[str, Any] = {}
    chosen = _answers(row[found["chosen"]], found["chosen"], layout, extra)
    rejected = _answers(row[found["rejected"]], found["rejected"], layout, extra)
    prompts = [part for part in ("messages", "prompt", "query") if part in found]
    unread: tuple[str, ...] = ()
    if chosen[0].role in ("user", "system") and rejected[0].role in ("user", "system"):
        unread = tuple(prompts)
    else:
        prompt, unread = _preference_prompt(row, found, layout, extra, prompts)
        chosen, rejected = (*prompt, *chosen), (*prompt, *rejected)
    start = behind_last_user(chosen)
    if chosen[:start] != rejected[:start] or start != behind_last_user(rejected):
        raise Malformed(Reason.PARTED, found["rejected"], shown(rejected[min(start, len(rejected)) - 1].content))
    if chosen == rejected:
        raise Malformed(Reason.SAME_ANSWERS, found["rejected"], shown(rejected[-1].content))
    if not any(turn.role == "assistant" for turn in rejected[start:]):
        raise Malformed(Reason.NO_ANSWER, found["rejected"])
    parts = _chat(chosen, row, found, layout, extra)
    parts["rejected"] = rejected[start:]
    parts["unread"] = (*unread, *parts.get("unread", ()))
    return parts


def read_text(row: Row, found: Found, _layout: Layout) -> Parts:
    """Raw text for continued pretraining."""
    text = _text(row, found, "text")
    if not text or text.isspace():
        raise Malformed(Reason.EMPTY_TEXT, found["text"], shown(text))
    return {"text": text}


def read_squad(row: Row, found: Found, layout: Layout) -> Parts:
    """A question over a passage; the first answer is the one to give, further ones are kept beside it."""
    context, question = _text(row, found, "context"), _text(row, found, "prompt")
    for part, text in (("context", context), ("prompt", question)):
        if not text.strip():
            raise Malformed(Reason.EMPTY_PROMPT, found[part], shown(text))
    impossible = bool(row[found["impossible"]]) if "impossible" in found else False
    answers = answers_of(row[found["answers"]], found["answers"])
    if not impossible and answers and not answers[0]:
        raise Malformed(Reason.EMPTY_ANSWER, found["answers"], shown(row[found["answers"]]))
    # SQuAD 2's flat form has no mark: a question without answers is one the passage does not answer
    answer = None if impossible or not answers else answers[0]
    language = _text(row, found, "language") or layout.language
    parts: Parts = {"messages": grounded_turns(context, _text(row, found, "title"), question, answer, language)}
    extra: dict[str, Any] = {"answerable": answer is not None}
    if len(answers) > 1:
        extra["answers"] = answers
    parts["extra"] = extra
    return parts


SHAPES: Mapping[DataFormat, Shape] = {
    "alpaca": read_alpaca,
    "sharegpt": read_dialogue,
    "messages": read_dialogue,
    "prompt_completion": read_prompt_completion,
    "preference": read_preference,
    "text": read_text,
    "squad": read_squad,
}


def _chat(messages: tuple[Message, ...], row: Row, found: Found, layout: Layout, extra: dict[str, Any]) -> Parts:
    """What all shapes of chat share: system prompt, tools, a verdict, and that there is an answer."""
    for message in reversed(messages):
        if message.role == "assistant":
            break
    else:
        raise Malformed(Reason.NO_ANSWER, found.get("messages", ""), f"{len(messages)} messages, none of an assistant")
    parts: Parts = {"messages": messages}
    if extra:
        parts["extra"] = extra
    if len(found) == 1:
        return parts
    if "system" in found and (system := _text(row, found, "system")):
        if messages[0].role != "system":
            parts["messages"] = (Message("system", system), *messages)
        elif messages[0].content != system:
            parts["unread"] = ("system",)
    if "tools" in found and (tools := read_tools(row[found["tools"]], found["tools"])):
        parts["tools"] = tools
    if "label" in found:
        value = row[found["label"]]
        if found["label"] == "label" and "label" not in layout.said and not isinstance(value, bool):
            # a class or a number of the row, which nobody said is a verdict on the answer
            parts["unread"] = (*parts.get("unread", ()), "label")
        elif (desired := _label(value, found["label"])) is not None:
            parts["desired"] = desired
    for medium in ("images", "videos", "audios"):
        if medium in found and row[found[medium]]:
            raise Malformed(Reason.MEDIA, found[medium], shown(row[found[medium]]))
        if medium in found:
            parts["unread"] = (*parts.get("unread", ()), medium)
    return parts


def _text(row: Row, found: Found, part: str) -> str:
    """The text of a part; none where the column is not there or empty."""
    if part not in found:
        return ""
    value = row[found[part]]
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise Malformed(Reason.NOT_TEXT, found[part], shown(value))


def _joined(prompt: str, query: str, place: str) -> str:
    """The two on lines of their own, as LLaMA-Factory puts them."""
    text = f"{prompt}\n{query}" if prompt and query else prompt or query
    if not text or text.isspace():
        raise Malformed(Reason.EMPTY_PROMPT, place, shown(text))
    return text


def _assistant(text: str, place: str) -> Message:
    thinking, content = split_thoughts(text)
    if not content or content.isspace():
        raise Malformed(Reason.EMPTY_ANSWER, place, shown(text))
    return Message("assistant", content, thinking)


def _history(row: Row, found: Found) -> list[Message]:
    column = found.get("history", "")
    value = row[column] if column else None
    if isinstance(value, str):
        value = parsed_list(value, column) if value.strip() else None
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(Reason.NOT_LIST, column, shown(value))
    turns = []
    for index, pair in enumerate(value):
        place = f"{column}[{index}]"
        if not isinstance(pair, list) or len(pair) != 2:
            raise Malformed(Reason.NOT_LIST, place, shown(pair))
        for side, text in enumerate(pair):
            if not isinstance(text, str):
                raise Malformed(Reason.NOT_TEXT, f"{place}[{side}]", shown(text))
        turns += [Message("user", pair[0]), _assistant(pair[1], f"{place}[1]")]
    return turns


def _instance(value: Any, column: str, extra: dict[str, Any]) -> tuple[str, str, str]:
    """Input and output of a self-instruct seed task, which has them in a list."""
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        raise Malformed(Reason.NOT_LIST, column, shown(value))
    if len(value) > 1:
        raise Malformed(Reason.SEVERAL_ANSWERS, column, f"{len(value)} instances")
    keys = {key: key for key in ("input", "output") if key in value[0]}
    keep_rest(value[0], keys, f"{column}[0]", extra)
    try:
        return _text(value[0], keys, "input"), _text(value[0], keys, "output"), f"{column}[0].output"
    except Malformed as error:
        error.field = f"{column}[0].{error.field}"
        raise


def _prompt(row: Row, found: Found, layout: Layout, extra: dict[str, Any]) -> tuple[Message, ...]:
    """A prompt that is text (with a query below it) or messages."""
    value = row[found["prompt"]]
    if isinstance(value, (list, dict)):
        return read_turns([value] if isinstance(value, dict) else value, found["prompt"], layout, extra)
    return (Message("user", _joined(_text(row, found, "prompt"), _text(row, found, "query"), found["prompt"])),)


def _answers(value: Any, column: str, layout: Layout, extra: dict[str, Any]) -> tuple[Message, ...]:
    """An answer that is text, one message, messages, or a transcript that begins with a human."""
    if isinstance(value, (list, dict)):
        return read_turns([value] if isinstance(value, dict) else value, column, layout, extra)
    if not isinstance(value, str):
        raise Malformed(Reason.NOT_TEXT, column, shown(value))
    if value.startswith("\n\nHuman:"):
        pieces = _TRANSCRIPT.split(value)[1:]
        roles: Mapping[str, Role] = {"Human": "user", "Assistant": "assistant"}
        turns = [(roles[name], text) for name, text in zip(pieces[::2], pieces[1::2], strict=True)]
        return tuple(_assistant(text, column) if role == "assistant" else Message(role, text) for role, text in turns)
    return (_assistant(value, column),)


def _preference_prompt(
    row: Row, found: Found, layout: Layout, extra: dict[str, Any], prompts: list[str]
) -> tuple[tuple[Message, ...], tuple[str, ...]]:
    """The prompt both answers follow, and which of its columns were not needed."""
    if "messages" in found and ("messages" in layout.said or "prompt" not in found):
        turns = read_turns(row[found["messages"]], found["messages"], layout, extra)
        return turns, tuple(part for part in prompts if part != "messages")
    if "prompt" not in found:
        raise Malformed(Reason.COLUMN_MISSING, "prompt", f"columns: {', '.join(map(shown, row))}"[:80])
    needed = ("prompt", "query") if isinstance(row[found["prompt"]], str) else ("prompt",)
    return _prompt(row, found, layout, extra), tuple(part for part in prompts if part not in needed)


def behind_last_user(turns: tuple[Message, ...]) -> int:
    """How many turns there are up to the last one of a user; without a user, of the system prompt."""
    for index in range(len(turns) - 1, -1, -1):
        if turns[index].role == "user":
            return index + 1
    return next((index for index, turn in enumerate(turns) if turn.role != "system"), len(turns))


def _label(value: Any, column: str) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and not value.strip():
        return None
    known = {"true": True, "false": False, "1": True, "0": False}
    if isinstance(value, (str, int)) and str(value).strip().lower() in known:
        return known[str(value).strip().lower()]
    raise Malformed(Reason.LABEL, column, shown(value))
