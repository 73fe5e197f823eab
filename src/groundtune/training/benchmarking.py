"""What a fine-tuning would compute, and how fast: an epoch planned, then a few real optimizer steps timed.

The steps are those of `fine_tune`, by the same trainer on a model loaded for the purpose; what they learn is thrown away
and nothing is written. The time of a step runs from the end of the one before, so laying out its examples is part of it.
What this module does not do: validate, measure several processes, or curricula and their phases.
"""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from groundtune.config import TrainConfig
from groundtune.models import cpu_threads, quiet_transformers
from groundtune.prefix import PreparedModel, plan_steps
from groundtune.progress import ProgressBar
from groundtune.training.examples import Examples, check_examples, in_columns
from groundtune.training.finetuning import check_lengths
from groundtune.training.plan import Occasions, Plan
from groundtune.training.precision import choose_bfloat16
from groundtune.training.processes import Processes
from groundtune.training.records import Journal
from groundtune.training.running import WHOLE_LOGITS_NOTE, prepared_for
from groundtune.training.schedule import Schedule
from groundtune.training.speeds import Measured, Setting, speeds_of
from groundtune.training.steps import Indices, OptimizerSteps, Packer, Sharing
from groundtune.training.stopwatch import Limit, MemoryWatch, StepClock
from groundtune.training.trainable import Trainable, load_trainable
from groundtune.training.trainer import SupervisedTrainer, training_arguments
from groundtune.training.work import MatrixTrial, ModelSizes, Work, measure_matrix_rates, step_work

MANY_STEPS = 10**6
"""More than a measurement comes to."""


@dataclass(frozen=True, slots=True)
class EpochPlan:
    """An epoch as it will be computed: the first one, others differ a little."""

    sharing: Sharing
    examples: int
    dataset_tokens: int
    unique_tokens: int
    """Of the tree of all examples: what would be computed if one row held them all."""
    computed_tokens: int
    """Of the rows as laid out. What dealing to steps and cutting to rows repeats is in it, padding is not."""
    supervised_tokens: int
    longest_example: int
    """In tokens, as in the dataset."""
    examples_per_step: int
    steps_per_epoch: int
    epochs: int
    rows: int
    """Forward passes. Without sharing a row is a padded batch."""
    max_pack_tokens: int
    row_fill: float
    """Computed tokens over those that the rows could hold."""
    padding_share: float
    """Of the places computed; rows of shared prefixes have no padding."""
    expected_saving: float
    """Dataset tokens over computed tokens. Of tokens, not of time: attention and projection have other shares."""


class Benchmark:
    """A fine-tuning that is planned and timed instead of done.

    Raises:
        TrainingError: no examples, or one without a trained token or longer than a row may be.
    """

    def __init__(self, examples: Examples, config: TrainConfig, *, seed: int, trial: MatrixTrial | None = None) -> None:
        self._examples = in_columns(examples)
        check_examples(self._examples, "training")
        self._config = config
        self._seed = seed
        self._trial = trial or MatrixTrial()
        self._packers: dict[Sharing, Packer] = {}
        self._packer(config.sharing)

    def plan(self, sharing: Sharing) -> EpochPlan:
        """The first epoch, laid out to its last row."""
        packer, config = self._packer(sharing), self._config
        steps = self._steps(sharing, 0)
        rows = tokens = places = 0
        with ProgressBar("laying out an epoch", total=len(steps), unit="steps") as bar:
            for indices in steps:
                batches = packer.pack(indices)
                rows += len(batches)
                tokens += sum(batch.tokens for batch in batches)
                places += sum(batch.places for batch in batches)
                bar.advance()
        statistics = packer.tree.statistics
        return EpochPlan(
            sharing=sharing,
            examples=statistics.examples,
            dataset_tokens=statistics.tokens,
            unique_tokens=statistics.unique_tokens,
            computed_tokens=tokens,
            supervised_tokens=statistics.supervised_tokens,
            longest_example=int(packer.examples.lengths.max()),
            examples_per_step=config.examples_per_step,
            steps_per_epoch=len(steps),
            epochs=config.epochs,
            rows=rows,
            max_pack_tokens=config.max_pack_tokens,
            row_fill=tokens / (rows * config.max_pack_tokens),
            padding_share=1 - tokens / places,
            expected_saving=statistics.tokens / tokens,
        )

    def measure(
        self,
        plan: EpochPlan,
        limit: Limit,
        *,
        base: Path | str,
        tokenizer: PreTrainedTokenizerBase,
    ) -> tuple[Measured, Setting]:
        """Load what `fine_tune` would train on `base` and time optimizer steps, from the first of the first epoch on.

        Raises:
            TrainingError: as `load_trainable`; a base that sharing is wrong for, a loss that is no number.
        """
        loaded = load_trainable(base, tokenizer=tokenizer, config=self._config, seed=self._seed)
        check_lengths(loaded.model, self._examples, (), 0, base)
        try:
            with (
                tempfile.TemporaryDirectory(prefix="groundtune-bench-") as nowhere,
                quiet_transformers(),
                cpu_threads(self._config.threads) as threads,
            ):
                return self._measure(plan, limit, loaded, Path(nowhere), threads)
        finally:
            # a trainer refers to itself, and its optimizer would weigh on what is measured next
            del loaded
            gc.collect()

    def _measure(
        self,
        plan: EpochPlan,
        limit: Limit,
        loaded: Trainable,
        nowhere: Path,
        threads: int,
    ) -> tuple[Measured, Setting]:
        arguments = self._arguments(nowhere)
        device = arguments.device
        bfloat16, refused = choose_bfloat16(self._config.precision, device)
        dtype = torch.bfloat16 if bfloat16 else torch.float32
        loaded.trained.to(device)
        with prepared_for(self._training(plan.sharing, nowhere), loaded.trained) as prepared:
            sizes, chunked = ModelSizes.of(prepared.causal), prepared.chunked
            before = measure_matrix_rates(device, dtype, threads, self._trial)
            watch = MemoryWatch(device)
            clock = self._time_steps(plan.sharing, limit, prepared, arguments, bfloat16=bfloat16)
            memory = watch.read()
            after = measure_matrix_rates(device, dtype, threads, self._trial)
        work = self._work(plan.sharing, clock, sizes)
        best = (before.best + after.best) / 2
        measured = Measured(
            sharing=plan.sharing,
            warm_up_steps=clock.warm_up_steps,
            speeds=speeds_of(
                clock.seconds, work, sizes, best_rate=best, epoch_tokens=plan.computed_tokens, epochs=plan.epochs
            ),
            memory=memory,
            matrix_rates_before=before,
            matrix_rates_after=after,
            work=work,
            step_seconds=tuple(clock.seconds),
        )
        precision = "bfloat16" if bfloat16 else "float32"
        notes = tuple(note for note in (*loaded.notes, refused, None if chunked else WHOLE_LOGITS_NOTE) if note)
        return measured, Setting(str(device), precision, threads, type(loaded.model).__name__, sizes, notes)

    def _time_steps(
        self,
        sharing: Sharing,
        limit: Limit,
        prepared: PreparedModel,
        arguments: TrainingArguments,
        *,
        bfloat16: bool,
    ) -> StepClock:
        processes = Processes.joined(arguments.device)
        steps = OptimizerSteps(
            self._packer(sharing),
            examples_per_step=self._config.examples_per_step,
            seed=self._seed,
            processes=processes,
        )
        clock = StepClock(steps, limit, arguments.device, f"measuring, {sharing}")
        trainer = SupervisedTrainer(
            prepared,
            arguments,
            steps,
            None,
            processes=processes,
            bfloat16=bfloat16,
            folder=Path(arguments.output_dir or ""),
            fingerprint="",
            journal=Journal(),
            schedule=Schedule.of(self._config),
            occasions=Occasions.of(self._config),
            callbacks=[clock],
        )
        try:
            trainer.train()
        finally:
            clock.close()
        return clock

    def _arguments(self, nowhere: Path) -> TrainingArguments:
        """Those of the training, but saving nothing and without an end."""
        arguments = training_arguments(
            self._config, self._config, epochs=self._config.epochs, seed=self._seed, folder=nowhere, validate=False
        )
        arguments.save_strategy = SaveStrategy.NO
        arguments.max_steps = MANY_STEPS
        return arguments

    def _work(self, sharing: Sharing, clock: StepClock, sizes: ModelSizes) -> Work:
        """Of the steps that were measured, found again by their place behind the warm-up."""
        packer = self._packer(sharing)
        taken = self._endless_steps(sharing)
        measured = islice(taken, clock.warm_up_steps, clock.warm_up_steps + len(clock.seconds))
        return sum((step_work(packer, indices, sizes.windows) for indices in measured), Work())

    def _endless_steps(self, sharing: Sharing) -> Iterator[Indices]:
        epoch = 0
        while True:
            yield from self._steps(sharing, epoch)
            epoch += 1

    def _steps(self, sharing: Sharing, epoch: int) -> list[Indices]:
        tree = self._packer(sharing).tree
        return plan_steps(tree, examples_per_step=self._config.examples_per_step, seed=self._seed, epoch=epoch)

    def _packer(self, sharing: Sharing) -> Packer:
        if sharing not in self._packers:
            self._packers[sharing] = self._training(sharing, Path()).packer(self._examples)
        return self._packers[sharing]

    def _training(self, sharing: Sharing, folder: Path) -> Plan:
        config = self._config
        return Plan(
            label="measuring",
            config=config,
            epochs=config.epochs,
            computing=config,
            examples_per_step=config.examples_per_step,
            sharing=sharing,
            probe=config.probe,
            seed=self._seed,
            folder=folder,
            checkpoint_seconds=float("inf"),
        )
