"""Which passages were in the prompts, as the report tells it."""

import pytest

from groundtune.config import Config
from groundtune.evaluation import Question
from groundtune.pipeline.evaluating import context_of

OWN = Question("a", "?", ("r",), "tr", passages=("Bir metin.",))
FROM_DOCUMENTS = Question("b", "?", ("r",), "tr", given_chunk_ids=("c-1",))
BARE = Question("c", "?", ("r",), "tr")


@pytest.mark.parametrize(
    ("asked", "wanted", "told"),
    [
        ([OWN, OWN], "retrieved", "given"),
        ([OWN, BARE], "retrieved", "mixed"),
        ([FROM_DOCUMENTS, BARE], "retrieved", "retrieved"),
        ([FROM_DOCUMENTS, OWN], "given", "given"),
        ([FROM_DOCUMENTS, BARE], "given", "mixed"),
        ([], "given", "retrieved"),
    ],
)
def test_the_context_is_that_of_each_question(asked: list[Question], wanted: str, told: str) -> None:
    config = Config.model_validate({"evaluation": {"context": wanted}})
    assert context_of(config, asked, with_passages=True) == told
    assert context_of(config, asked, with_passages=False) == "none"
