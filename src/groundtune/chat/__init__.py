"""Messages to token ids and which of them are trained; the wording of grounded questions.

One renderer serves training, evaluation and chat, so that a model is asked in exactly the form it was taught. This
package does not load tokenizers or models, choose passages, or cut conversations to a length.
"""

from groundtune.chat.grounded import grounded_messages, render_context
from groundtune.chat.many import RenderedMany, render_many
from groundtune.chat.render import Rendered, render, render_prompt, stop_token_ids
from groundtune.chat.template import LLAMA3_TEMPLATE
from groundtune.chat.tokens import decode

__all__ = [
    "LLAMA3_TEMPLATE",
    "Rendered",
    "RenderedMany",
    "decode",
    "grounded_messages",
    "render",
    "render_context",
    "render_many",
    "render_prompt",
    "stop_token_ids",
]
