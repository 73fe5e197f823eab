"""More training rows through a writer: other wordings, brief answers, and new tasks after seed tasks.

Answers are asked for by JSON Schema, checked by code, and recorded, so that nothing is paid for twice. Rows made from others say
so in ``fields["augmented"]`` and ``fields["from"]``, and mixing keeps them in the split of the row they were made from. This
package does not choose a provider or decide which rows to augment, and cannot tell whether an answer is true.
"""

from groundtune.dataset.augment.brief import make_brief
from groundtune.dataset.augment.outcome import Augmented, NotMade
from groundtune.dataset.augment.recorder import Recorder, SqliteRecorder
from groundtune.dataset.augment.rephrase import rephrase
from groundtune.dataset.augment.self_instruct import Task, read_seed_tasks, self_instruct

__all__ = [
    "Augmented",
    "NotMade",
    "Recorder",
    "SqliteRecorder",
    "Task",
    "make_brief",
    "read_seed_tasks",
    "rephrase",
    "self_instruct",
]
