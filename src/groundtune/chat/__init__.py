"""Messages to token ids and which of them are trained; the wording of grounded questions.

One renderer serves training, evaluation and chat, so that a model is asked in exactly the form it was taught. This
package does not load tokenizers or models, or choose passages.
"""

from groundtune.chat.fitting import fit
from groundtune.chat.grounded import grounded_messages, render_context
from groundtune.chat.many import RenderedMany, render_many
from groundtune.chat.render import Rendered, render, render_examples, render_prompt, stop_token_ids
from groundtune.chat.template import BUILTIN_TEMPLATES, LLAMA3_TEMPLATE, load_template, tokenizer_with_template
from groundtune.chat.tokens import decode

__all__ = [
    "BUILTIN_TEMPLATES",
    "LLAMA3_TEMPLATE",
    "Rendered",
    "RenderedMany",
    "decode",
    "fit",
    "grounded_messages",
    "load_template",
    "render",
    "render_context",
    "render_examples",
    "render_many",
    "render_prompt",
    "stop_token_ids",
    "tokenizer_with_template",
]
