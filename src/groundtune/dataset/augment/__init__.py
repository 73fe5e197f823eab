"""More training rows through a writer: other wordings, brief answers, and new tasks after seed tasks.

Answers are asked for by JSON Schema through the dispatcher, kept in a ledger of :mod:`groundtune.llm`, and checked by code. Rows
made from others say so in ``fields["augmented"]`` and ``fields["from"]``, and mixing keeps them in the split of the row they were
made from. This package does not know which rows are held out unless it is told, and cannot tell whether an answer is true.
"""

from groundtune.dataset.augment.asking import Asker
from groundtune.dataset.augment.brief import make_brief
from groundtune.dataset.augment.choosing import Choice, choose_rows
from groundtune.dataset.augment.outcome import Augmented, NotMade
from groundtune.dataset.augment.rephrase import rephrase
from groundtune.dataset.augment.run import augment
from groundtune.dataset.augment.self_instruct import Task, read_seed_tasks, self_instruct

__all__ = [
    "Asker",
    "Augmented",
    "Choice",
    "NotMade",
    "Task",
    "augment",
    "choose_rows",
    "make_brief",
    "read_seed_tasks",
    "rephrase",
    "self_instruct",
]
