"""What a grounded model reads: passages first, then the question. The one wording of training, evaluation and chat.

What this module does not do: choose the passages, or know about tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

from groundtune.config import PromptConfig
from groundtune.types import Chunk, Exchange, Message


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
    prompt: PromptConfig,
    chunks: Sequence[Chunk],
    question: str,
    answer: str | None = None,
    *,
    history: Sequence[Exchange] = (),
) -> tuple[Message, ...]:
    """System, user (context, then question), and the assistant's `answer` where there is one.

    The context stands in front so that all questions over it share their beginning. After a `history` the context stands
    before its first question, once, and a later question has its label alone. Answers of the history are not trained: each
    is the answer of an example of its own, and would count again with every turn that follows.
    """
    context = f"{prompt.context_label}:\n{render_context(chunks)}\n\n"
    messages = [Message("system", prompt.system)]
    for exchange in history:
        messages.append(Message("user", context + _asked(prompt, exchange.question)))
        messages.append(Message("assistant", exchange.answer, train=False))
        context = ""
    messages.append(Message("user", context + _asked(prompt, question)))
    if answer is not None:
        messages.append(Message("assistant", answer))
    return tuple(messages)


def _asked(prompt: PromptConfig, question: str) -> str:
    return f"{prompt.question_label}:\n{question.strip()}"


def _place(chunk: Chunk) -> str:
    titles = list(dict.fromkeys(chunk.breadcrumb))
    opening = chunk.text.strip().split("\n", 1)[0]
    if titles and opening.startswith("#") and opening.strip("# ") == titles[-1]:
        titles.pop()
    if len(titles) > 3:
        titles = [titles[0], "…", titles[-1]]
    return " > ".join(titles)
