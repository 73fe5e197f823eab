"""What is wrong with a training of `then` is told with the keys that the user wrote."""

import pytest

from groundtune.config import Config
from groundtune.errors import DataError, TrainingError
from groundtune.pipeline.chain import keys_as_written
from groundtune.pipeline.workspace import Workspace


def chain() -> Workspace:
    data = {"sources": [{"path": "rows.json"}]}
    then = [{"data": data, "train": {"name": "second"}}, {"data": data, "train": {"name": "third"}}]
    return Workspace(Config.model_validate({"model": {"path": "./model"}, "data": data, "then": then}))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "'best' has no layer 'x'; correct train.adapter.targets",
            "'best' has no layer 'x'; correct then.1.train.adapter.targets",
        ),
        (
            "lower data.max_tokens, train.sample_tokens or evaluation.max_new_tokens",
            "lower then.1.data.max_tokens, then.1.train.sample_tokens or evaluation.max_new_tokens",
        ),
        (
            "my-data.share and my-train.name are files; see train.name",
            "my-data.share and my-train.name are files; see then.1.train.name",
        ),
        ("then/third/data/train.jsonl:3: no text", "then.1 (third): then/third/data/train.jsonl:3: no text"),
    ],
)
def test_a_key_in_an_error_of_a_further_training_is_the_one_in_the_file(said, told) -> None:
    with pytest.raises(TrainingError) as raised, keys_as_written(chain().following[1]):
        raise TrainingError(said)
    assert str(raised.value) == told


@pytest.mark.parametrize("said", ["rows.jsonl:3: no text", "correct train.epochs"])
def test_an_error_that_passes_twice_names_its_training_once(said) -> None:
    third = chain().following[1]
    with pytest.raises(DataError) as once, keys_as_written(third):
        raise DataError(said)
    with pytest.raises(DataError) as twice, keys_as_written(third), keys_as_written(third):
        raise DataError(said)
    assert str(twice.value) == str(once.value)
    assert str(once.value).count("then.1") == 1


def test_an_error_of_the_first_training_stays_as_it_is() -> None:
    with pytest.raises(DataError, match=r"^correct train\.epochs$"), keys_as_written(chain()):
        raise DataError("correct train.epochs")
