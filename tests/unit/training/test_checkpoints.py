"""A checkpoint that is not whole is never continued, and a disk that is full leaves the last good one and the best weights."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import StorageError
from groundtune.models import build_llama, quiet_transformers, train_tokenizer
from groundtune.training import Tokenised, fine_tune
from groundtune.training.checkpoints import find_checkpoint, publish_checkpoint
from groundtune.training.trainer import SupervisedTrainer

TOKENIZER = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
SMALL = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)
ROWS = [tuple(20 + (place + step) % 50 for step in range(6 + place % 9)) for place in range(20)]
EXAMPLES = [Tokenised(ids, tuple(step > 2 for step in range(len(ids)))) for ids in ROWS]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / "model"
    with quiet_transformers():
        build_llama(SMALL, TOKENIZER, seed=1).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def whole(base, tmp_path_factory):
    """The folder of a run to which nothing happened, and its record."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    return folder, run(base, folder)


class KilledError(BaseException):
    pass


def run(base, folder, **changes):
    # 16 examples in steps of 4 are 4 steps an epoch
    settings = {
        "epochs": 2,
        "examples_per_step": 4,
        "learning_rate": 3e-3,
        "threads": 1,
        "report_to": ["none"],
    } | changes
    return fine_tune(
        EXAMPLES[:16], EXAMPLES[16:], base=base, tokenizer=TOKENIZER, config=TrainConfig(save_steps=1, **settings), seed=7,
        run_folder=folder, checkpoint_seconds=1e9,
    )  # fmt: skip


def killed(base, folder, monkeypatch, *, before=7, **changes):
    original = SupervisedTrainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step + 1 == before:
            raise KilledError
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTrainer, "training_step", step)
        with pytest.raises(KilledError):
            run(base, folder, **changes)


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json"
    }


def make_checkpoint(folder: Path, step: int) -> Path:
    staged = folder / "checkpoints" / ".partial-making" / f"checkpoint-{step}"
    (staged / "parts").mkdir(parents=True)
    (staged / "model.safetensors").write_bytes(bytes(range(200)) * step)
    (staged / "parts" / "0.pt").write_bytes(b"optimizer" * step)
    publish_checkpoint(staged, folder, "this run", keep=2)
    return folder / "checkpoints" / f"checkpoint-{step}"


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garble(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x81
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, empty, garble, Path.unlink])
@pytest.mark.parametrize("name", ["model.safetensors", "parts/0.pt", "files.json", "fingerprint"])
def test_a_damaged_checkpoint_is_not_continued_and_the_one_before_it_is(tmp_path, name, damage) -> None:
    older, newer = make_checkpoint(tmp_path, 4), make_checkpoint(tmp_path, 5)
    assert find_checkpoint(tmp_path, "this run").path == newer
    damage(newer / name)
    found = find_checkpoint(tmp_path, "this run")
    assert found.path == older
    assert not newer.exists()
    if name != "fingerprint":  # by which it is known
        [told] = found.damaged
        assert told.startswith("checkpoint-5 is damaged (")
        assert name in told
    damage(older / name)
    assert find_checkpoint(tmp_path, "this run").path is None


def test_weights_of_another_run_under_the_right_fingerprint_are_told_apart(tmp_path) -> None:
    mine = make_checkpoint(tmp_path / "mine", 5)
    other = make_checkpoint(tmp_path / "other", 5)
    swapped = bytes(reversed((other / "model.safetensors").read_bytes()))
    (mine / "model.safetensors").write_bytes(swapped)
    found = find_checkpoint(tmp_path / "mine", "this run")
    assert found.path is None
    assert found.damaged == ("checkpoint-5 is damaged (model.safetensors is not what was written)",)


def test_a_run_goes_on_from_the_checkpoint_before_a_damaged_one_and_says_so(base, whole, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "killed"
    killed(base, folder, monkeypatch, keep_checkpoints=2)
    truncate(folder / "checkpoints" / "checkpoint-6" / "optimizer.pt")
    continued = run(base, folder, keep_checkpoints=2)
    assert continued.resumed_from_step == 5
    assert len(continued.notes) == len(whole[1].notes) + 1
    assert continued.notes[0].startswith("checkpoint-6 is damaged (optimizer.pt has ")
    assert continued.notes[0].endswith("and was not used: the run went on from checkpoint-5")
    assert results(whole[0]) == results(folder)


def test_a_run_without_a_whole_checkpoint_begins_anew(base, whole, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "killed"
    killed(base, folder, monkeypatch)
    garble(folder / "checkpoints" / "checkpoint-6" / "model.safetensors")
    continued = run(base, folder)
    assert continued.resumed_from_step == 0
    assert continued.notes[0].endswith("and was not used: the run began anew")
    assert results(whole[0]) == results(folder)


# the files of this model: state and journal some 1 to 5 KB, random numbers 14 KB, weights 60 KB, the optimizer 120 KB
@pytest.mark.parametrize("limit", [3000, 90_000])
def test_a_disk_that_fills_leaves_the_last_checkpoint_and_the_best_weights(
    base, whole, tmp_path, monkeypatch, limit
) -> None:
    folder = tmp_path / "full"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    original = SupervisedTrainer.training_step

    def step(self, *args, **kwargs):
        if self.state.global_step + 1 == 6:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        return original(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(SupervisedTrainer, "training_step", step)
        try:
            with pytest.raises(StorageError) as caught:
                run(base, folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    told = str(caught.value)
    assert told.startswith(f"cannot write {folder}")
    assert told.endswith(
        (
            "raise the limit and run the same command again",
            "check that the disk has room, then run the same command again",
        )
    )
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["checkpoint-5"]
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["best", "checkpoints"]
    continued = run(base, folder)
    assert continued.resumed_from_step == 5
    assert results(whole[0]) == results(folder)


FULL = '''
import os, resource, shutil, sys, traceback
from pathlib import Path
from groundtune.config import ModelConfig, TrainConfig
from groundtune.errors import StorageError
from groundtune.models import build_llama, quiet_transformers, train_tokenizer
from groundtune.training import Tokenised, fine_tune
from groundtune.training.trainer import SupervisedTrainer
import transformers.trainer

work = Path(sys.argv[1])
tokenizer = train_tokenizer(["Stok ekranı, stok ekranı."] * 3, vocab_size=300, chat_template="x")
small = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=48, context_tokens=96, copying_start=False)
with quiet_transformers():
    build_llama(small, tokenizer, seed=1).save_pretrained(work / "base")
rows = [tuple(20 + (place + step) % 50 for step in range(6 + place % 9)) for place in range(20)]
rows = [Tokenised(ids, tuple(step > 2 for step in range(len(ids)))) for ids in rows]
original = SupervisedTrainer.training_step

def job(folder, limit, before):
    """Files larger than `limit` bytes cannot be written from the step `before` on."""
    def step(self, *args, **kwargs):
        if limit and self.state.global_step + 1 == before:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return original(self, *args, **kwargs)
    SupervisedTrainer.training_step = step
    config = TrainConfig(epochs=2, examples_per_step=4, learning_rate=3e-3, threads=1, report_to=["none"], save_steps=int(sys.argv[2]))
    fine_tune(rows[:16], rows[16:], base=work / "base", tokenizer=tokenizer, config=config, seed=7, run_folder=folder,
              checkpoint_seconds=1e9)

def attempt(folder, limit, before=0):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            job(folder, limit, before)
        except StorageError as error:
            print("refused", limit, before, error, sep="|", flush=True)
            os._exit(3)
        except BaseException:
            traceback.print_exc()
            os._exit(4)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

assert attempt(work / "whole", 0) == 0
for limit in map(int, sys.argv[3].split(",")):
    for before in map(int, sys.argv[4].split(",")):
        folder = work / f"full-{limit}-{before}"
        assert attempt(folder, limit, before) == 3
        shutil.copytree(folder, work / f"left-{limit}-{before}")
        assert attempt(folder, 0) == 0
'''


def fill_disk(work: Path, save_steps: int, limits: list[int], before: list[int]) -> list[list[str]]:
    """Each attempt that was refused, after proving that all end as one that was not."""
    work.mkdir()
    arguments = [str(work), str(save_steps), ",".join(map(str, limits)), ",".join(map(str, before))]
    done = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    whole = results(work / "whole")
    for folder in sorted(work.glob("full-*")):
        assert results(folder) == whole, folder.name
    refused = [line.split("|") for line in done.stdout.splitlines() if line.startswith("refused")]
    assert len(refused) == len(limits) * len(before)
    for _, limit, step, told in refused:
        left = work / f"left-{limit}-{step}"
        assert told.startswith("cannot write ")
        assert "\\n" not in told
        assert [path.name for path in left.rglob(".partial-*")] == []
        for path in (left / "metrics.jsonl", left / "best" / "config.json"):
            if path.exists():
                [json.loads(line) for line in path.read_text().splitlines()] if path.suffix == ".jsonl" else json.loads(
                    path.read_text()
                )
        if int(step) > 5:
            # of the first epoch
            assert (left / "best" / "model.safetensors").stat().st_size == (
                work / "whole" / "best" / "model.safetensors"
            ).stat().st_size
    return refused


@pytest.mark.slow
def test_a_disk_that_fills_anywhere_leaves_what_was_there(tmp_path) -> None:
    # in every file of a checkpoint, in the first, second and last epoch; and where only best/ and metrics.jsonl are written
    refused = fill_disk(tmp_path / "often", 1, [64, 700, 1300, 3000, 15_000, 30_000, 90_000], [2, 6, 8])
    refused += fill_disk(tmp_path / "seldom", 0, [64, 700, 3000, 30_000], [2, 8])
    assert len({told.partition("/left-")[0] for _, _, _, told in refused}) > 1
