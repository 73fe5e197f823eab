"""The picture of a run's curves."""

import json
import math
import struct

import pytest

from groundtune.training.curves import draw_curves, smoothed


def write_run(folder, steps: int = 40, *, valid: bool = True, **odd) -> None:
    lines = [
        {"kind": "step", "step": step, "epoch": step / 20, "train_loss": 2 + math.exp(-step / 9), "learning_rate": 1e-3 / step,
         "grad_norm": 1.0 + step % 3, **odd}
        for step in range(1, steps + 1)
    ]  # fmt: skip
    if valid:
        lines.append({"kind": "evaluation", "step": 10, "epoch": 0.5, "valid_loss": 2.5, "best": True})
        lines.append({"kind": "epoch", "step": 20, "epoch": 1, "train_loss": 2.4, "valid_loss": 2.6, "best": False})
    lines.append({"kind": "epoch", "step": 40, "epoch": 2, "train_loss": 2.1, "valid_loss": None, "best": False})
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines))


def test_the_same_figures_give_the_same_bytes_wherever_they_are(tmp_path) -> None:
    pictures = []
    for name in ("one", "two"):
        write_run(tmp_path / name)
        path = draw_curves(tmp_path / name, name="demo", max_grad_norm=1.0)
        assert path == tmp_path / name / "curves.png"
        pictures.append(path.read_bytes())
    assert pictures[0] == pictures[1]
    width, height = struct.unpack(">II", pictures[0][16:24])
    assert (width, height) == (1105, 1040)
    assert b"tEXt" not in pictures[0]
    assert b"tIME" not in pictures[0]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["curves.png", "metrics.jsonl"]


def test_a_run_without_validation_or_with_nothing_usual_is_drawn_too(tmp_path) -> None:
    write_run(tmp_path / "bare", steps=3, valid=False)
    assert draw_curves(tmp_path / "bare", name="bare") is not None
    write_run(tmp_path / "broken", steps=12, train_loss=float("inf"), grad_norm=1e-9)
    assert draw_curves(tmp_path / "broken", name="broken", max_grad_norm=1.0) is not None


def test_fewer_than_two_steps_are_no_curve(tmp_path) -> None:
    write_run(tmp_path, steps=1)
    assert draw_curves(tmp_path, name="short") is None
    assert not (tmp_path / "curves.png").exists()


def test_smoothing_is_a_mean_of_what_was() -> None:
    assert smoothed([3.0] * 5) == pytest.approx([3.0] * 5)
    assert smoothed([]) == []
