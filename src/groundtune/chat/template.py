"""The chat template of models that groundtune makes from scratch.

Models that come with a template of their own keep it; nothing here is used for them.
"""

from __future__ import annotations

from importlib.resources import files

LLAMA3_TEMPLATE: str = (
    files(__package__ or "groundtune.chat").joinpath("llama3.jinja").read_text(encoding="utf-8").strip()
)
"""Jinja source, to be set as ``tokenizer.chat_template``.

``<|begin_of_text|>`` once; every message is ``<|start_header_id|>role<|end_header_id|>``, two line feeds, the content
untrimmed, ``<|eot_id|>``. The generation prompt is the assistant's header with its line feeds.
"""
