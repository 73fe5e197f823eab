"""Where every file of a run stands. The only place that knows the names below the work folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from groundtune.config import Config, RunOptions
from groundtune.errors import ConfigError
from groundtune.serving import RUN_CARD_PLACE


@dataclass(frozen=True)
class Workspace:
    """The work folder of one configuration.

    documents/chunks.jsonl, grouping/groups.jsonl, generation/{ledger.sqlite,pairs.jsonl}, tokenizer/files/,
    texts/{documents,texts,general}/, dataset/{train,valid,test}.jsonl, data/{train,valid,test,left_out,removed}.jsonl, prepared/{train,valid,test}/, base/model/, runs/NAME/{best/,metrics.jsonl,samples.json},
    runs/NAME/card/run.json, runs/NAME/evaluation/, report.html; beside each a manifest.json.
    """

    config: Config
    asking: RunOptions = field(default_factory=RunOptions)
    """What the user asks of generation in this run alone."""
    runs: Path | None = None
    """Where runs are kept, when not in its own folder: a training of `then` has its run beside the first one's."""
    earlier: tuple[Workspace, ...] = ()
    """Of the trainings before this one of `then`, the first one's first."""

    @property
    def root(self) -> Path:
        return self.config.work

    @property
    def has_documents(self) -> bool:
        """Whether there are documents, and so grounded pairs."""
        return self.config.documents.path is not None

    @property
    def has_data(self) -> bool:
        """Whether there is instruction data."""
        return bool(self.config.data.sources)

    @property
    def source(self) -> Path:
        """The documents folder, or the pre-chunked file. Raises `ConfigError` where there are none."""
        if self.config.documents.path is None:
            raise ConfigError(
                "documents.path is null, so there are no documents to read; set it, or use `groundtune train` on the data alone"
            )
        return self.config.resolve(self.config.documents.path)

    @property
    def documents(self) -> Path:
        return self.root / "documents"

    @property
    def chunks(self) -> Path:
        return self.documents / "chunks.jsonl"

    @property
    def grouping(self) -> Path:
        return self.root / "grouping"

    @property
    def groups(self) -> Path:
        return self.grouping / "groups.jsonl"

    @property
    def generation(self) -> Path:
        return self.root / "generation"

    @property
    def pairs(self) -> Path:
        return self.generation / "pairs.jsonl"

    @property
    def ledger(self) -> Path:
        return self.generation / "ledger.sqlite"

    @property
    def rejected_pairs(self) -> Path:
        return self.generation / "rejected.jsonl"

    @property
    def retired_pairs(self) -> Path:
        return self.generation / "retired.jsonl"

    @property
    def coverage(self) -> Path:
        return self.generation / "coverage.json"

    @property
    def generation_record(self) -> Path:
        """What the clock and the till said of the run that last asked; no part of what is made."""
        return self.generation / "last_run.json"

    @property
    def dataset(self) -> Path:
        return self.root / "dataset"

    def split(self, name: str) -> Path:
        return self.dataset / f"{name}.jsonl"

    @property
    def data(self) -> Path:
        """Instruction data as conversations."""
        return self.root / "data"

    @property
    def has_augmentation(self) -> bool:
        augment = self.config.data.augment
        return self.has_data and augment is not None and bool(augment.wanted)

    def read_conversations(self, split: str) -> Path:
        """As read from the sources."""
        return self.data / f"{split}.jsonl"

    def conversations(self, split: str) -> Path:
        """As they are to be trained on: with what augmentation added."""
        return self.augmented if split == "train" and self.has_augmentation else self.read_conversations(split)

    @property
    def augmented_stage(self) -> Path:
        """More training rows by a language model."""
        return self.root / "augmented"

    @property
    def augmented(self) -> Path:
        return self.augmented_stage / "train.jsonl"

    @property
    def augmentation_ledger(self) -> Path:
        return self.augmented_stage / "ledger.sqlite"

    @property
    def prepared_stage(self) -> Path:
        """Instruction data as token ids."""
        return self.root / "prepared"

    def prepared(self, split: str) -> Path:
        return self.prepared_stage / split

    def prepared_side(self, split: str, side: str) -> Path:
        """Of preference pairs."""
        return self.prepared_stage / f"{split}-{side}"

    @property
    def prepared_left_out(self) -> Path:
        return self.prepared_stage / "left_out.jsonl"

    @property
    def tokenizer_stage(self) -> Path:
        return self.root / "tokenizer"

    @property
    def base_stage(self) -> Path:
        return self.root / "base"

    @property
    def made_tokenizer(self) -> Path:
        """The tokenizer made from the documents, when the model is made from scratch."""
        return self.tokenizer_stage / "files"

    @property
    def made_base(self) -> Path:
        """The base model made here: from scratch, or from that of `model.path` by training it further on text."""
        return self.base_stage / "model"

    @property
    def from_scratch(self) -> bool:
        return self.config.model.path is None

    @property
    def makes_base(self) -> bool:
        """Whether a base model is made here, by pretraining, and fine-tuning starts from it."""
        # a training of `then` goes on from the one before it
        return self.from_scratch or (self.config.pretrain.continued and self.runs is None)

    @property
    def has_texts(self) -> bool:
        """Whether there is more text to pretrain on than the documents'."""
        pretrain = self.config.pretrain
        return self.makes_base and bool(pretrain.texts or pretrain.general)

    @property
    def texts_stage(self) -> Path:
        """Text to pretrain on, as token files."""
        return self.root / "texts"

    @property
    def texts_index(self) -> Path:
        return self.texts_stage / "index.json"

    @property
    def tokenizer_source(self) -> str:
        """Folder or hub id the tokenizer is loaded from."""
        return str(self.made_tokenizer) if self.config.model.path is None else self.named_source

    @property
    def named_source(self) -> str:
        """Folder or hub id of the model that the configuration names. Raises `ConfigError` where it names none."""
        if self.config.model.path is None:
            raise ConfigError(
                "model.path is null, which makes a model from scratch; set it to a folder or Hugging Face id"
            )
        return self.model_source(self.config.model.path)

    @property
    def base_source(self) -> str:
        """Folder or hub id of the model that fine-tuning starts from."""
        return str(self.made_base) if self.makes_base else self.named_source

    def model_source(self, path: str) -> str:
        """A path that exists beside the configuration is a folder; anything else is a hub id, passed on as it is."""
        folder = self.config.resolve(path)
        return str(folder) if folder.exists() or path.startswith((".", "/", "~")) else path

    @property
    def run(self) -> Path:
        return (self.runs or self.root / "runs") / self.config.train.name

    @property
    def card(self) -> Path:
        """What chat needs to know of the run."""
        return self.run / RUN_CARD_PLACE

    @property
    def best(self) -> Path:
        return self.run / "best"

    @property
    def following(self) -> tuple[Workspace, ...]:
        """Of the trainings of `then`, each on the best weights of the one before it."""
        made: list[Workspace] = []
        for number in range(len(self.config.then)):
            best = (made[-1] if made else self).best
            # a way from the configuration, so that both can move together; the dot tells it from an id of the hub
            base = Path(os.path.relpath(best, self.config.folder)).as_posix()
            config = self.config.following(number, base if base.startswith(".") else f"./{base}")
            made.append(Workspace(config, self.asking, self.run.parent, (self, *made)))
        return tuple(made)

    @property
    def tuned(self) -> Path:
        """The model in the end: of the last training of all."""
        return ([self, *self.following])[-1].best

    @property
    def evaluation(self) -> Path:
        return self.run / "evaluation"

    @property
    def judge_stage(self) -> Path:
        """Verdicts of a language model on the answers."""
        return self.evaluation / "judge"

    @property
    def judge_summary(self) -> Path:
        return self.judge_stage / "summary.json"

    @property
    def set_answers(self) -> Path:
        """What both models said to the shipped questions of everyday tasks."""
        return self.judge_stage / "conversations.jsonl"

    @property
    def ratings(self) -> Path:
        """What people said of the answers; it outlives them."""
        return self.evaluation / "ratings.jsonl"

    @property
    def form_salt(self) -> Path:
        """What makes the ids of blind forms unguessable."""
        return self.evaluation / "form_salt.txt"

    @property
    def errors_stage(self) -> Path:
        return self.evaluation / "errors"

    @property
    def errors(self) -> Path:
        """Failed answers by kind, each with the way back to its sources."""
        return self.errors_stage / "errors.json"

    @property
    def checklist_stage(self) -> Path:
        return self.evaluation / "checklist"

    @property
    def checklist(self) -> Path:
        """What must hold before the model is deployed, and whether it does."""
        return self.checklist_stage / "checklist.json"

    @property
    def speed(self) -> Path:
        """How fast the models answered: by the clock, so apart from the figures that are the same on every run."""
        return self.evaluation / "speed.json"

    @property
    def general(self) -> Path:
        """What tuning did to what the model could do before."""
        return self.evaluation / "general"

    @property
    def general_summary(self) -> Path:
        return self.general / "general.json"

    @property
    def general_tasks(self) -> Path:
        return self.general / "tasks.jsonl"

    @property
    def general_benchmarks(self) -> Path:
        return self.general / "benchmarks.json"

    @property
    def general_known(self) -> Path:
        """What was measured of each model, by the hash of its files; shared by all runs."""
        return self.root / "general"

    @property
    def answers(self) -> Path:
        """Every question with what each system answered, measured."""
        return self.evaluation / "answers.jsonl"

    @property
    def report(self) -> Path:
        return self.root / "report.html"

    @property
    def report_record(self) -> Path:
        """The same as JSON."""
        return self.root / "report.json"

    @property
    def model_card(self) -> Path:
        return self.root / "MODEL_CARD.md"

    @property
    def timings(self) -> Path:
        """Clock times of the stages; kept apart from the manifests, which hold none."""
        return self.root / "timings.json"
