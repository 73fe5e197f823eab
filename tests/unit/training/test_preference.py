"""Preference tuning: the two passes give the loss's own gradient, pairs stay together, and runs continue exactly."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from proving import tries

from groundtune.config import AdapterConfig, Config, ModelConfig, PreferenceConfig, TrainConfig
from groundtune.errors import TrainingError
from groundtune.models import build_llama, load_tokenizer, quiet_transformers, train_tokenizer
from groundtune.prefix import PreparedModel, TokenisedExamples
from groundtune.training import fine_tune
from groundtune.training.plan import Occasions
from groundtune.training.preference import Answers, PreferenceSteps, PreferenceTrainer, interleave, preference_loss
from groundtune.training.preference import pairs as laying_out
from groundtune.training.preference.pairs import members_of
from groundtune.training.processes import Processes
from groundtune.training.records import Journal
from groundtune.training.schedule import Schedule
from groundtune.training.steps import Packer
from groundtune.training.trainer import training_arguments

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=2, width=32, heads=4, kv_heads=2, feed_forward=48, context_tokens=96, copying_start=False)
LOSSES = ("sigmoid", "hinge", "ipo", "robust", "apo_zero", "simpo", "orpo")


def make_model(seed: int = 1) -> torch.nn.Module:
    with quiet_transformers():
        return build_llama(SMALL, TOKENIZER, seed=seed)


def make_pairs(number: int, start: int = 0) -> TokenisedExamples:
    """Three pairs share a prompt; the two answers of a pair begin alike every other time."""
    sides: tuple[list, list] = ([], [])
    for pair in range(start, start + number):
        prompt = [30 + (pair // 3 + step) % 40 for step in range(7)]
        alike = [90, 91] if pair % 2 else []
        for side, rows in enumerate(sides):
            answer = [*alike, *(100 + (5 * pair + 13 * side + step) % 80 for step in range(3 + (pair + side) % 4))]
            rows.append((prompt + answer, [False] * len(prompt) + [True] * len(answer)))
    chosen, rejected = (
        TokenisedExamples.from_sequences([ids for ids, _ in rows], [marks for _, marks in rows]) for rows in sides
    )
    return interleave(chosen, rejected)


def plain_sums(model: torch.nn.Module, examples: TokenisedExamples, members: np.ndarray) -> torch.Tensor:
    """Log-probability of each answer, one forward pass an example."""
    sums = []
    for member in members.tolist():
        place = slice(int(examples.offsets[member]), int(examples.offsets[member + 1]))
        ids = torch.from_numpy(examples.token_ids[place].astype(np.int64))
        logits = model(input_ids=ids[None], use_cache=False).logits[0, :-1]
        told = logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]
        sums.append(told[torch.from_numpy(examples.weights[place][1:] > 0)].sum())
    return torch.stack(sums)


def answers_of(sums: torch.Tensor, before: torch.Tensor, tokens: torch.Tensor) -> Answers:
    return Answers(sums[0::2], sums[1::2], before[0::2], before[1::2], tokens[0::2], tokens[1::2])


def make_trainer(
    model, examples, folder: Path, config: PreferenceConfig, *, occasions: Occasions | None = None, **changes
) -> PreferenceTrainer:
    train = TrainConfig(**({"examples_per_step": 5, "max_pack_tokens": 64} | changes))
    processes = Processes.joined(torch.device("cpu"))
    packer = Packer(examples, sharing=train.sharing, max_pack_tokens=train.max_pack_tokens, keep_owners=True)
    steps = PreferenceSteps(packer, examples_per_step=train.examples_per_step, seed=3, processes=processes)
    return PreferenceTrainer(
        PreparedModel(model, share=train.sharing == "tree"),
        training_arguments(train, train, epochs=1, seed=1, folder=folder, validate=False),
        steps,
        valid=None,
        processes=processes,
        bfloat16=False,
        folder=folder,
        fingerprint="",
        journal=Journal(),
        schedule=Schedule.of(train),
        occasions=occasions or Occasions(),
        callbacks=[],
        preference=config,
    )


def disturb(model: torch.nn.Module) -> None:
    """So that the model is not its own reference any more."""
    torch.manual_seed(5)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)


@pytest.mark.parametrize("sharing", ["tree", "plain"])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_two_passes_give_the_gradient_of_the_loss(tmp_path: Path, loss: str, sharing: str) -> None:
    smoothing = 0.1 if loss in ("sigmoid", "robust") else 0.0
    config = PreferenceConfig(loss=loss, beta=0.3, label_smoothing=smoothing, sft_weight=0.2)
    model, examples = make_model().double(), make_pairs(12)
    trainer = make_trainer(model, examples, tmp_path, config, sharing=sharing)
    with torch.no_grad():
        before = plain_sums(model, examples, np.arange(len(examples)))
    disturb(model)
    step = trainer.steps[0]
    found = trainer.training_step(model, step)
    gradients = [weight.grad.clone() for weight in model.parameters()]
    # prepared still: transformers' own norms are in float32 whatever the model is
    model.zero_grad()
    members = members_of(step["preference"]["pairs"])
    if loss in ("simpo", "orpo"):
        before = torch.zeros_like(before)
    tokens = torch.from_numpy(examples.total_weights[members])
    wanted = preference_loss(answers_of(plain_sums(model, examples, members), before[members], tokens), config).mean()
    wanted.backward()
    assert float(found) == pytest.approx(wanted.item(), rel=1e-6)
    largest = max(float(weight.grad.abs().max()) for weight in model.parameters())
    for mine, weight in zip(gradients, model.parameters(), strict=True):
        assert float((mine - weight.grad).abs().max()) <= 1e-10 * largest


def trl_rows(examples: TokenisedExamples, pairs: list[int]) -> list[dict[str, list[int]]]:
    """For TRL, the pairs in this order."""
    rows = []
    for pair in pairs:
        ids = [
            examples.token_ids[examples.offsets[at] : examples.offsets[at + 1]].tolist()
            for at in (2 * pair, 2 * pair + 1)
        ]
        rows.append({"prompt_ids": ids[0][:7], "chosen_ids": ids[0][7:], "rejected_ids": ids[1][7:]})
    return rows


def trl_trainer(trl, rows, model, reference, folder: Path, **changes):
    """TRL's own trainer on token ids as they are, which notes the loss of every step in `losses`."""
    import datasets

    class TokensAsTheyAre(trl.DPOTrainer):
        def _prepare_dataset(self, dataset, *_args):
            return dataset

        def _compute_loss(self, *args, **kwargs):
            loss = super()._compute_loss(*args, **kwargs)
            self.losses = [*getattr(self, "losses", []), float(loss.detach())]
            return loss

    arguments = trl.DPOConfig(
        output_dir=str(folder), use_cpu=True, report_to="none", max_length=None, bf16=False, disable_tqdm=True, **changes,
        **{name: False for name in ("activation_checkpointing",) if hasattr(trl.DPOConfig, name)},
    )  # fmt: skip
    return TokensAsTheyAre(
        model, reference, args=arguments, train_dataset=datasets.Dataset.from_list(rows), processing_class=TOKENIZER
    )


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_losses_agree_with_trl(tmp_path: Path) -> None:
    """Both models a little apart."""
    trl = pytest.importorskip("trl")
    examples = make_pairs(6)
    rows = trl_rows(examples, list(range(6)))
    members = np.arange(12)
    tokens = torch.from_numpy(examples.total_weights[members])
    with quiet_transformers():
        reference = make_model()
        with torch.no_grad():
            before = plain_sums(reference, examples, members).double()
        for loss in ("sigmoid", "hinge", "ipo", "robust", "apo_zero"):
            smoothing = 0.1 if loss == "robust" else 0.0
            model = make_model()
            settings = {"loss_type": loss, "beta": 0.3, "label_smoothing": smoothing}
            trainer = trl_trainer(trl, rows, model, reference, tmp_path, **settings)
            disturb(model)
            batch = trainer.data_collator(rows)
            with torch.no_grad():
                theirs = float(trainer._compute_loss(model, batch, return_outputs=False))
            fresh = make_model()
            disturb(fresh)
            with torch.no_grad():
                sums = plain_sums(fresh, examples, members).double()
            config = PreferenceConfig(loss=loss, beta=0.3, label_smoothing=smoothing)
            ours = float(preference_loss(answers_of(sums, before, tokens), config).mean())
            assert ours == pytest.approx(theirs, rel=1e-4), loss


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_steps_of_training_are_those_of_trl(tmp_path: Path) -> None:
    """The same pairs in the same order, AdamW and its settings: losses and, in the end, weights."""
    trl = pytest.importorskip("trl")
    examples = make_pairs(20)
    ours = make_model()
    changes = {"examples_per_step": 4, "learning_rate": 3e-3, "schedule": "constant", "warmup_share": 0.0}
    trainer = make_trainer(ours, examples, tmp_path, PreferenceConfig(beta=0.3), **changes)
    steps = [trainer.steps.indices(number) for number in range(len(trainer.steps))]
    assert [len(step) for step in steps] == [4] * 5
    trainer.train()
    with quiet_transformers():
        theirs = trl_trainer(
            trl, trl_rows(examples, np.concatenate(steps).tolist()), make_model(), None, tmp_path / "trl", beta=0.3,
            precompute_ref_log_probs=True, per_device_train_batch_size=4, learning_rate=3e-3, lr_scheduler_type="constant",
            weight_decay=0.01, num_train_epochs=1, save_strategy="no", train_sampling_strategy="sequential",
            gradient_checkpointing=False,
        )  # fmt: skip
        theirs.train()
    found = [row.train_loss for row in trainer.journal.steps]
    assert found[0] == pytest.approx(np.log(2), abs=1e-6)
    assert max(abs(loss - np.log(2)) for loss in found) > 0.05
    assert found == pytest.approx(theirs.losses, rel=1e-4)
    wanted = theirs.model.state_dict()
    for name, weight in ours.state_dict().items():
        assert float((weight - wanted[name]).abs().max()) < 1e-4, name


@settings(max_examples=tries(100), deadline=None)
@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
def test_every_pair_is_in_one_step_of_an_epoch_whole(pairs: int, per_step: int, epoch: int) -> None:
    processes = Processes.joined(torch.device("cpu"))
    packer = Packer(make_pairs(pairs), sharing="tree", max_pack_tokens=64, keep_owners=True)
    steps = PreferenceSteps(packer, examples_per_step=per_step, seed=3, processes=processes)
    steps.epoch = epoch
    seen: list[int] = []
    for number in range(len(steps)):
        step = steps[number]
        seen += step["preference"]["pairs"].tolist()
        assert step["weight"] == len(step["preference"]["pairs"]) <= per_step
        # every target of both answers is somebody's
        targets = sum(len(edges) for edges in step["preference"]["edges"])
        assert targets == packer.examples.total_weights[members_of(step["preference"]["pairs"])].sum()
    assert sorted(seen) == list(range(pairs))


def test_the_reference_does_not_depend_on_what_is_laid_out_at_once(tmp_path: Path, monkeypatch) -> None:
    model, examples = make_model().double(), make_pairs(12)
    whole = make_trainer(model, examples, tmp_path, PreferenceConfig())._train_reference
    monkeypatch.setattr(laying_out, "BLOCK_TOKENS", 40)
    assert (
        len(list(laying_out.tree_blocks(Packer(examples, sharing="tree", max_pack_tokens=64).tree, np.arange(24)))) > 5
    )
    cut = make_trainer(model, examples, tmp_path, PreferenceConfig())._train_reference
    assert float((whole - cut).abs().max()) < 1e-6 * float(whole.abs().max())


def test_pairs_that_no_step_will_meet_are_not_measured(tmp_path: Path) -> None:
    occasions = Occasions(max_steps=2)
    trainer = make_trainer(make_model(), make_pairs(30), tmp_path, PreferenceConfig(), occasions=occasions)
    met = members_of(np.concatenate([trainer.steps.indices(0), trainer.steps.indices(1)]))
    measured = np.flatnonzero(~trainer._train_reference.isnan().numpy())
    assert sorted(met) == measured.tolist()
    assert len(met) < 60


def test_an_answer_that_is_certain_has_a_loss_and_a_gradient() -> None:
    """Odds of a certain answer have no bound."""
    certain = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    likely = torch.full((1,), -2.0, dtype=torch.float64, requires_grad=True)
    nothing, tokens = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    for better, worse in ((certain, likely), (likely, certain), (certain, certain)):
        loss = preference_loss(
            Answers(better, worse, nothing, nothing, tokens, tokens), PreferenceConfig(loss="orpo")
        ).sum()
        slopes = torch.autograd.grad(loss, {better, worse})
        assert bool(torch.isfinite(loss))
        assert all(bool(torch.isfinite(slope)) for slope in slopes)


def tune(base: Path, folder: Path, tokenizer: Path | None = None, checkpoint_seconds: float = 0.0, **changes):
    settings = {
        "epochs": 4,
        "examples_per_step": 6,
        "learning_rate": 3e-3,
        "threads": 1,
        "preference": PreferenceConfig(),
    }
    return fine_tune(
        make_pairs(30), make_pairs(6), base=base, tokenizer=load_tokenizer(tokenizer) if tokenizer else TOKENIZER,
        config=TrainConfig(**(settings | changes)), seed=7, run_folder=folder, checkpoint_seconds=checkpoint_seconds,
    )  # fmt: skip


@pytest.fixture
def base(tmp_path: Path) -> Path:
    with quiet_transformers():
        make_model().save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.mark.parametrize("adapter", [None, AdapterConfig(rank=4)])
def test_tuning_moves_preferences_and_starts_from_no_difference(base: Path, tmp_path: Path, adapter) -> None:
    rate = 3e-3 if adapter is None else 1e-2
    record = tune(base, tmp_path / "run", adapter=adapter, learning_rate=rate, epochs=12, checkpoint_seconds=1e9)
    # the model is its own reference at first: every margin is 0, and the loss ln 2
    assert record.epochs[0].valid_loss == pytest.approx(np.log(2), abs=1e-6)
    assert record.epochs[-1].valid_loss < 0.6
    assert any("100% of the pairs preferred" in note for note in record.notes)


@pytest.mark.slow
def test_a_run_killed_between_steps_ends_with_the_same_bits(base: Path, tmp_path: Path, monkeypatch) -> None:
    unbroken = tune(base, tmp_path / "whole")
    step = PreferenceTrainer.training_step
    done = []

    def die_at_the_eighth(self, *args, **kwargs):
        done.append(1)
        if len(done) == 8:
            raise KeyboardInterrupt
        return step(self, *args, **kwargs)

    monkeypatch.setattr(PreferenceTrainer, "training_step", die_at_the_eighth)
    with pytest.raises(KeyboardInterrupt):
        tune(base, tmp_path / "killed")
    continued = tune(base, tmp_path / "killed")
    assert continued.resumed_from_step == 7
    assert [row.valid_loss for row in continued.epochs] == [row.valid_loss for row in unbroken.epochs]
    name = "best/model.safetensors"
    assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rows = [json.loads(line) for line in (tmp_path / "killed" / "metrics.jsonl").read_text().splitlines()]
    assert rows == [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]


def test_killed_behind_its_last_validation_it_still_says_what_was_preferred(
    base: Path, tmp_path: Path, monkeypatch
) -> None:
    """The manifest holds these notes, and is the same for every run."""
    unbroken = tune(base, tmp_path / "whole", epochs=1)
    training = PreferenceTrainer.train

    def die_afterwards(self, *args, **kwargs):
        training(self, *args, **kwargs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(PreferenceTrainer, "train", die_afterwards)
        with pytest.raises(KeyboardInterrupt):
            tune(base, tmp_path / "killed", epochs=1)
    continued = tune(base, tmp_path / "killed", epochs=1)
    assert continued.resumed_from_step == continued.steps
    assert continued.notes == unbroken.notes
    assert any("of the pairs preferred" in note for note in continued.notes)


TWO = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
import torch
from test_preference import tune
tune(Path({base!r}), Path({folder!r}), epochs=2, tokenizer=Path({base!r}))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(base: Path, tmp_path: Path) -> None:
    with quiet_transformers():
        TOKENIZER.save_pretrained(base)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    script = TWO.format(here=str(Path(__file__).parent), base=str(base), folder=str(tmp_path / "two"))
    environment = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env=os.environ | environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(2)
    ]
    ends = [(process.communicate(timeout=200)[1], process.returncode) for process in started]
    assert all(status == 0 for _, status in ends), ends
    tune(base, tmp_path / "one", epochs=2)
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert len(one) == len(two) > 10
    for mine, theirs in zip(one, two, strict=True):
        assert mine.keys() == theirs.keys()
        for name in {"train_loss", "valid_loss", "grad_norm"} & mine.keys() - {
            key for key in mine if mine[key] is None
        }:
            assert theirs[name] == pytest.approx(mine[name], rel=1e-3), (name, mine)


def test_answers_that_come_in_unequal_numbers_are_refused() -> None:
    one = TokenisedExamples.from_sequences([[5, 6]], [[False, True]])
    two = TokenisedExamples.from_sequences([[5, 6], [5, 7]], [[False, True]] * 2)
    with pytest.raises(TrainingError, match="1 chosen answers come with 2 rejected ones"):
        interleave(one, two)


def test_dropout_is_refused_because_it_would_make_the_comparison_chance() -> None:
    with pytest.raises(ValueError, match="matter of chance"):
        TrainConfig(preference=PreferenceConfig(), dropout=0.1)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (
            {"augment": {"provider": "openai", "model": "m", "rephrase_share": 0.5}},
            "data.augment.rephrase_share has rows with one answer written",
        ),
        ({"overlong": "truncate_left"}, "may cut the two answers of a pair differently"),
    ],
)
def test_settings_of_data_that_pairs_have_no_use_for_are_refused(data: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Config.model_validate(
            {
                "documents": {"path": None},
                "model": {"path": "m"},
                "data": {"sources": [{"path": "a"}], **data},
                "train": {"preference": {}},
            }
        )
