"""Names of columns, keys and roles: what they are called by default, and what the configuration or a registry says.

What this module does not do: read values.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from groundtune.config import DataFormat
from groundtune.errors import ConfigError
from groundtune.types import Role

Speaker = Role | Literal["call"]
"""Who speaks; ``call`` is an assistant whose text is the JSON of a tool call (ShareGPT's ``function_call``)."""

USUAL_ROLES: Mapping[str, Speaker] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "gpt4", "gpt-4", "model", "bard", "bing", "claude", "ai", "bot", "chatbot"),
        "assistant",
    ),
    **dict.fromkeys(
        ("tool", "observation", "function", "function_response", "tool_response", "tool_result", "ipython"), "tool"
    ),
    **dict.fromkeys(("function_call", "tool_call", "tool_calls"), "call"),
}
"""Role names that are understood without being said, in small letters."""

COLUMN_KEYS: Mapping[str, str] = {
    "messages": "messages",
    "conversations": "messages",
    "prompt": "prompt",
    "instruction": "prompt",
    "query": "query",
    "input": "query",
    "response": "response",
    "output": "response",
    "completion": "response",
    "history": "history",
    "system": "system",
    "tools": "tools",
    "chosen": "chosen",
    "rejected": "rejected",
    "kto_tag": "label",
    "label": "label",
    "text": "text",
    "language": "language",
    "images": "images",
    "videos": "videos",
    "audios": "audios",
}
"""What may stand on the left in ``columns``, ours and LLaMA-Factory's, and the part of a row it means."""

TAG_KEYS = ("role_tag", "content_tag", "user_tag", "assistant_tag", "observation_tag", "function_tag", "system_tag")
_TAG_SPEAKERS: Mapping[str, Speaker] = {
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "call",
    "system_tag": "system",
}

_EVERYWHERE: Mapping[str, tuple[str, ...]] = {
    "system": ("system", "system_prompt"),
    "tools": ("tools", "functions"),
    "language": ("language",),
    "images": ("images", "image"),
    "videos": ("videos", "video"),
    "audios": ("audios", "audio"),
}
_LABEL = {"label": ("label", "kto_tag")}
DEFAULT_COLUMNS: Mapping[DataFormat, Mapping[str, tuple[str, ...]]] = {
    "alpaca": {
        **_EVERYWHERE,
        "prompt": ("instruction",),
        "query": ("input", "context"),
        "response": ("output", "response"),
        "instances": ("instances",),
        "history": ("history",),
        # a plain `label` beside an Alpaca answer is most often a class, not a verdict on the answer
        "label": ("kto_tag",),
    },
    "sharegpt": {**_EVERYWHERE, **_LABEL, "messages": ("conversations", "conversation", "messages")},
    "messages": {**_EVERYWHERE, **_LABEL, "messages": ("messages", "conversations", "conversation")},
    "prompt_completion": {
        **_EVERYWHERE,
        **_LABEL,
        "prompt": ("prompt", "question"),
        "query": ("input", "context"),
        "response": ("completion", "response", "answer"),
    },
    "preference": {
        **_EVERYWHERE,
        "messages": ("conversations", "messages", "conversation"),
        "prompt": ("prompt", "question", "instruction"),
        "query": ("input", "context"),
        "chosen": ("chosen",),
        "rejected": ("rejected",),
    },
    "text": {"text": ("text", "content"), "language": ("language",)},
    "squad": {
        "context": ("context",),
        "prompt": ("question",),
        "answers": ("answers",),
        "impossible": ("is_impossible",),
        "title": ("title",),
        "language": ("language",),
    },
}
"""Columns that each format looks for, the first that the row has."""

NEEDED: Mapping[DataFormat, tuple[tuple[str, ...], ...]] = {
    "alpaca": (("prompt",), ("response", "instances")),
    "sharegpt": (("messages",),),
    "messages": (("messages",),),
    "prompt_completion": (("prompt",), ("response",)),
    "preference": (("chosen",), ("rejected",)),
    "text": (("text",),),
    "squad": (("context",), ("prompt",), ("answers",)),
}
"""Parts that a row must have: one of each group."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of one source are to be read: a format and every name in it."""

    format: DataFormat
    columns: Mapping[str, tuple[str, ...]]
    """Part to the columns that may hold it."""
    said: frozenset[str] = frozenset()
    """Parts whose column the configuration names."""
    role_key: str = ""
    """Of a message; empty: ``role`` or ``from``, whichever is there."""
    content_key: str = ""
    roles: Mapping[str, Speaker] = field(default_factory=lambda: USUAL_ROLES)
    language: str = ""
    """Of the source, where the configuration says it."""


def nearest(name: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    """The end of an error about an unknown name."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def said_columns(columns: Mapping[str, str], where: str) -> dict[str, str]:
    """``columns`` of a source with our names of the parts. Raises `ConfigError` for an unknown one."""
    parts = {}
    for key, name in columns.items():
        if key not in COLUMN_KEYS:
            raise ConfigError(f"{where}: unknown column key {key!r}; {nearest(key, COLUMN_KEYS)}")
        parts[COLUMN_KEYS[key]] = name
    return parts


def make_layout(
    data_format: DataFormat,
    columns: Mapping[str, str],
    tags: Mapping[str, str],
    *,
    only_said: bool,
    where: str,
    language: str = "",
) -> Layout:
    """The layout of a source.

    Args:
        columns: part to column, from :func:`said_columns`.
        tags: as in LLaMA-Factory's ``dataset_info.json``; role names that are said are understood besides the usual ones.
        only_said: columns that are not said are not looked for, as LLaMA-Factory does.

    Raises:
        ConfigError: for an unknown tag.
    """
    for tag in tags:
        if tag not in TAG_KEYS:
            raise ConfigError(f"{where}: unknown tag {tag!r}; {nearest(tag, TAG_KEYS)}")
    defaults = {} if only_said else DEFAULT_COLUMNS[data_format]
    role_key, content_key = {"sharegpt": ("from", "value"), "messages": ("role", "content")}.get(data_format, ("", ""))
    named = {tags[tag]: speaker for tag, speaker in _TAG_SPEAKERS.items() if tag in tags}
    return Layout(
        format=data_format,
        columns={**defaults, **{part: (name,) for part, name in columns.items()}},
        said=frozenset(columns),
        role_key=tags.get("role_tag", role_key),
        content_key=tags.get("content_tag", content_key),
        roles={**USUAL_ROLES, **named},
        language=language,
    )
