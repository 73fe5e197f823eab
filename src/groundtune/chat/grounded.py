"""What a grounded model reads: passages first, then the question. The one wording of training, evaluation and chat.

What this module does not do: choose the passages, or know about tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.config import PromptConfig
from groundtune.types import Chunk, Message


def render_context(chunks: Sequence[Chunk]) -> str:
    """The passages in the order given, each under a bracketed number and where it stands in the documentation.

    A heading that opens the passage itself is not said twice, and of a long path only the two ends are shown::

        [1] Stok > Lot Takibi
        ## Lot numarası
        Her lot için bir numara verilir.

        [2] Stok > … > Sayım farkı
        Fark onaylanınca stok düzeltilir.
    """
    return "\n\n".join(
        f"[{number}] {_place(chunk)}".rstrip() + "\n" + chunk.text.strip("\n") for number, chunk in enumerate(chunks, 1)
    )


def grounded_messages(
    prompt: PromptConfig, chunks: Sequence[Chunk], question: str, answer: str | None = None
) -> tuple[Message, ...]:
    """System, user (context, then question), and the assistant's `answer` where there is one.

    The context stands in front so that all questions over it share their beginning.
    """
    user = f"{prompt.context_label}:\n{render_context(chunks)}\n\n{prompt.question_label}:\n{question.strip()}"
    messages = (Message("system", prompt.system), Message("user", user))
    return messages if answer is None else (*messages, Message("assistant", answer))


def _place(chunk: Chunk) -> str:
    titles = list(dict.fromkeys(chunk.breadcrumb))
    opening = chunk.text.strip().split("\n", 1)[0]
    if titles and opening.startswith("#") and opening.strip("# ") == titles[-1]:
        titles.pop()
    if len(titles) > 3:
        titles = [titles[0], "…", titles[-1]]
    return " > ".join(titles)
