"""The table that a training leaves in the terminal."""

import io
import json

from rich.console import Console

from groundtune.cli.training_table import training_table


def shown(folder, details, seconds) -> list[list[str]]:
    epochs = [{"epoch": epoch, "seconds": value} for epoch, value in seconds.items()]
    (folder / "timings.json").write_text(json.dumps({"epochs": epochs}))
    file = io.StringIO()
    training_table(folder, "Fine-tuning", details).show(Console(file=file, width=100))
    return [line.split() for line in file.getvalue().rstrip().splitlines()]


def test_before_and_every_epoch_have_losses_perplexity_and_time(tmp_path) -> None:
    details = {
        "epochs": [
            {"epoch": 0, "step": 0, "train_loss": None, "valid_loss": 5.12, "best": False},
            {"epoch": 1, "step": 213, "train_loss": 3.9, "valid_loss": 3.34, "best": False},
            {"epoch": 2, "step": 426, "train_loss": 3.2, "valid_loss": 3.14, "best": True},
        ]
    }
    assert shown(tmp_path, details, {0: 2.0, 1: 33.2, 2: 80.0}) == [
        ["Fine-tuning"],
        ["epoch", "step", "train", "loss", "valid", "loss", "perplexity", "best", "time"],
        ["before", "0", "–", "5.120", "167", "2", "s"],
        ["1", "213", "3.900", "3.340", "28.2", "33", "s"],
        ["2", "426", "3.200", "3.140", "23.1", "★", "1", "min", "20", "s"],
    ]


def test_a_run_that_ended_inside_an_epoch_shows_its_validations_in_order(tmp_path) -> None:
    details = {
        "epochs": [{"epoch": 1, "step": 7, "train_loss": 8.0, "valid_loss": None, "best": False}],
        "evaluations": [
            {"epoch": 0.375, "step": 3, "valid_loss": 2.0, "best": True},
            {"epoch": 0.75, "step": 6, "valid_loss": 2.5, "best": False},
        ],
    }
    rows = shown(tmp_path, details, {1: 4.0})[2:]
    assert rows == [
        ["0.375", "3", "–", "2.000", "7.39", "★"],
        ["0.75", "6", "–", "2.500", "12.2"],
        ["1", "7", "8.000", "–", "2,981", "4", "s"],
    ]


def test_manifests_of_before_have_no_steps(tmp_path) -> None:
    details = {"epochs": [{"epoch": 1, "train_loss": 1.0, "valid_loss": None, "best": True}]}
    assert shown(tmp_path, details, {})[1:] == [
        ["epoch", "train", "loss", "valid", "loss", "perplexity", "best", "time"],
        ["1", "1.000", "–", "2.72", "★"],
    ]
