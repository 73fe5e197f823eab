"""Killed at any moment and started again, a training ends with the same bytes as one that was left alone."""

import subprocess
import sys
from pathlib import Path

import pytest

JOB = '''
import os, signal, sys, time
from pathlib import Path
from groundtune.config import AdapterConfig, ModelConfig, PretrainConfig, TrainConfig
from groundtune.models import build_llama, quiet_transformers, train_tokenizer
from groundtune.training import SamplePrompt, Tokenised, fine_tune, pretrain
import torch.utils.tensorboard, transformers.trainer  # before the first fork: importing is what takes long

ADAPTER = AdapterConfig(rank=4, dropout=0.1, dora=True, rslora=True, quantise="nf4", modules_to_save=("embed_tokens",))

def job(kind, folder):
    text = "Makara karti acilir. Lot numarasi girilir ve kaydedilir. "
    tokenizer = train_tokenizer([text] * 3, vocab_size=320, chat_template="x")
    small = ModelConfig(layers=1, width=16, heads=2, kv_heads=1, feed_forward=32, context_tokens=64, copying_start=False)
    model = build_llama(small, tokenizer, seed=1, dropout=0.1)
    if kind == "pretrain":
        config = PretrainConfig(epochs=2, sequence_tokens=32, batch_sequences=4, dropout=0.1)
        pretrain([text * 12], tokenizer, model, config=config, seed=5, out=folder / "run", recall_share=0.3, computing=TrainConfig(threads=1),
                 checkpoint_seconds=0.0)
        return
    if not (folder / "base").exists():
        with quiet_transformers():
            model.save_pretrained(folder / "making")
        (folder / "making").rename(folder / "base")
    rows = [tuple(20 + (place + step) % 50 for step in range(6 + place % 9)) for place in range(26)]
    rows = [Tokenised(ids, tuple(step > 2 for step in range(len(ids)))) for ids in rows]
    config = TrainConfig(epochs=2 if kind == "adapter" else 3, examples_per_step=8, max_pack_tokens=64, dropout=0.1,
                         learning_rate=3e-3, threads=1, neftune_alpha=5.0, label_smoothing=0.1, adapter=ADAPTER if kind == "adapter" else None)
    fine_tune(rows[:20], rows[20:], base=folder / "base", tokenizer=tokenizer, config=config, seed=5,
              run_folder=folder / "run", sample_prompts=[SamplePrompt("?", (20, 21), "22")], sample_tokens=4,
              checkpoint_seconds=0.0)

def attempt(kind, folder, limit):
    """Run the job in a child; kill it after `limit` seconds. Returns whether it came to its end."""
    child = os.fork()
    if child == 0:
        job(kind, folder)
        os._exit(0)
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert status == 0, status
            return True
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return False

for kind in ("fine_tune", "pretrain", "adapter"):
    folder = Path(sys.argv[1]) / kind
    for name in ("whole", "killed"):
        (folder / name).mkdir(parents=True)
    started = time.monotonic()
    assert attempt(kind, folder / "whole", 100.0)
    length = time.monotonic() - started
    kills = 0
    # shares of the unbroken run's time: every restart pays for its start, so some work is always left to the next one
    for share in (0.35, 0.45, 0.5, 0.55, 0.6, 0.65):
        if attempt(kind, folder / "killed", length * share):
            break
        kills += 1
    else:
        assert attempt(kind, folder / "killed", 100.0)
    print(kills)
'''


def results(folder: Path) -> dict[str, bytes]:
    """Every file of a finished run that holds no clock."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "timings.json" and "tensorboard" not in path.parts
    }


@pytest.mark.slow
def test_a_run_killed_again_and_again_ends_with_the_same_bytes(tmp_path) -> None:
    done = subprocess.run([sys.executable, "-c", JOB, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(int(kills) >= 2 for kills in done.stdout.split())
    for kind in ("fine_tune", "pretrain", "adapter"):
        whole, killed = results(tmp_path / kind / "whole" / "run"), results(tmp_path / kind / "killed" / "run")
        assert any(name.endswith("model.safetensors") for name in whole)
        assert list(whole) == list(killed)
        assert [name for name in whole if whole[name] != killed[name]] == []
