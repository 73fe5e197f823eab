"""Right answers of people over real passages: how often a measure cries wolf. Skipped where shared/data is not there."""

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundtune.config import ENGLISH_PROMPT, TURKISH_PROMPT
from groundtune.evaluation import MEASURES, Question
from groundtune.evaluation.measures import Observed
from groundtune.evaluation.measures.refusals import refuses_in_other_words

DATA = Path(__file__).parents[4] / "shared" / "data"
PROMPTS = {"tr": TURKISH_PROMPT, "en": ENGLISH_PROMPT}
FILES = {
    "xquad.tr": ("qa_xquad/xquad.tr.json", "tr"),
    "xquad.en": ("qa_xquad/xquad.en.json", "en"),
    "policyqa": ("qa_policyqa/data/dev.json", "en"),
}

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is not on this machine")


def questions(path: str, language: str) -> Iterator[Question]:
    for document in json.loads((DATA / path).read_text(encoding="utf-8"))["data"]:
        for paragraph in document["paragraphs"]:
            for asked in paragraph["qas"]:
                references = tuple(dict.fromkeys(answer["text"] for answer in asked["answers"]))
                yield Question(asked["id"], asked["question"], references, language, passages=(paragraph["context"],))


@pytest.mark.parametrize("name", FILES)
def test_reference_answers_set_off_no_alarm(name: str) -> None:
    wrong: dict[str, list[str]] = defaultdict(list)
    some = list(questions(*FILES[name]))[::4]
    for question in some:
        token_ids = tuple(range(len(question.reference.split())))
        observed = Observed(question, question.reference, token_ids, True, question.passages, PROMPTS)
        for measure in MEASURES:
            value = measure.value(observed)
            wanted = 1.0 if measure.better == "higher" else 0.0
            # the spans of PolicyQA begin and end inside of words, which its passages then do not hold
            if value is not None and value != wanted and measure.key != "evidence_support":
                wrong[measure.key].append(question.reference)
    assert {key: texts for key, texts in wrong.items() if len(texts) > 0.004 * len(some)} == {}


@pytest.mark.parametrize("name", FILES)
def test_hardly_a_sentence_of_real_documents_is_taken_for_a_refusal(name: str) -> None:
    passages = dict.fromkeys(question.passages[0] for question in questions(*FILES[name]))
    sentences = [sentence for passage in passages for sentence in passage.split(". ")]
    assert len(sentences) > 900
    # a sentence like "it is not known whether" in an article says of the world what a refusal says of the passages
    taken = [sentence for sentence in sentences if refuses_in_other_words(sentence)]
    assert len(taken) < 0.002 * len(sentences), taken
