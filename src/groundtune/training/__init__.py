"""Pretraining on documents and fine-tuning of models or adapters on tokenised examples, by transformers' Trainer; exact
when interrupted.

What this package does not do: render conversations (:mod:`groundtune.chat`), build or load models
(:mod:`groundtune.models`), or judge answers (:mod:`groundtune.evaluation`). Importing it loads torch and transformers.
"""

from groundtune.training.answers import SampleAnswer
from groundtune.training.documents import pack_documents
from groundtune.training.drills import make_drills
from groundtune.training.examples import SamplePrompt, Tokenised
from groundtune.training.finetuning import fine_tune
from groundtune.training.measuring import measure_each_loss, measure_loss
from groundtune.training.pretraining import pretrain
from groundtune.training.records import EpochRow, EvaluationRow, TrainingRecord

__all__ = [
    "EpochRow",
    "EvaluationRow",
    "SampleAnswer",
    "SamplePrompt",
    "Tokenised",
    "TrainingRecord",
    "fine_tune",
    "make_drills",
    "measure_each_loss",
    "measure_loss",
    "pack_documents",
    "pretrain",
]
