"""Choosing by likelihood, against what the model's own logits say."""

import pytest
import torch

from groundtune.config import ModelConfig
from groundtune.errors import EvaluationError
from groundtune.evaluation.forgetting import compare_tasks, read_tasks, sequences_of
from groundtune.models import build_llama, train_tokenizer
from groundtune.training import Tokenised, measure_each_loss
from groundtune.training.documents import encode_text

TASKS = read_tasks()
SOME = TASKS[::9]
TOKENIZER = train_tokenizer([task.stem for task in TASKS], vocab_size=420, chat_template="x")
SHAPE = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=64, copying_start=False, context_tokens=512)
BOS = 0


def encode(text):
    return encode_text(TOKENIZER, text)


def model(seed):
    return build_llama(SHAPE, TOKENIZER, seed=seed).eval()


def direct(of, task, choice):
    """Summed loss of the tokens behind the stem, one sequence at a time, from all logits."""
    stem = [BOS, *encode(task.stem)]
    ids = [BOS, *encode(f"{task.stem} {choice}")]
    with torch.no_grad():
        logits = of(torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return -sum(float(logits[place - 1, ids[place]]) for place in range(len(stem), len(ids)))


def losses(of, tasks):
    sequences = [each for task in tasks for each in sequences_of(task, encode, (BOS,))]
    tokenised = [
        Tokenised(each.input_ids, tuple(place >= each.start for place in range(len(each.input_ids))))
        for each in sequences
    ]
    return measure_each_loss(of, tokenised, max_pack_tokens=2048, threads=1)[0]


def test_losses_through_the_shared_stem_are_those_of_each_choice_by_itself():
    first = model(1)
    expected = [direct(first, task, choice) for task in SOME for choice in task.choices]
    assert losses(first, SOME) == pytest.approx(expected, rel=1e-4)


def test_the_choice_is_the_likeliest_for_its_characters():
    first, second = model(1), model(2)
    summary, records = compare_tasks(SOME, losses(first, SOME), losses(second, SOME))
    for task, record in zip(SOME, records, strict=True):
        for of, chosen in ((first, record.before), (second, record.after)):
            scores = [-direct(of, task, choice) / len(choice) for choice in task.choices]
            assert scores[chosen] == pytest.approx(max(scores), rel=1e-4)
    right = sum(record.after == task.answer for task, record in zip(SOME, records, strict=True))
    assert summary.whole.after.value == right / len(SOME)
    assert summary.whole.after.n == len(SOME)


def test_a_model_that_has_not_changed_has_forgotten_exactly_nothing():
    same = losses(model(1), TASKS)
    summary, _ = compare_tasks(TASKS, same, list(same))
    assert (summary.gained, summary.lost) == (0, 0)
    for each in (summary.whole, *summary.slices):
        assert each.difference.value == 0.0
        assert each.before == each.after


def test_exchanging_the_models_flips_every_sign():
    first, second = losses(model(1), TASKS), losses(model(2), TASKS)
    one, other = compare_tasks(TASKS, first, second)[0], compare_tasks(TASKS, second, first)[0]
    assert one.whole.difference.value
    assert (one.gained, one.lost) == (other.lost, other.gained)
    for each, turned in zip((one.whole, *one.slices), (other.whole, *other.slices), strict=True):
        assert each.difference.value == pytest.approx(-turned.difference.value)
        assert each.difference.low == pytest.approx(-turned.difference.high)


def test_a_model_that_knows_every_answer_scores_one_and_one_that_never_does_scores_nought():
    knows = [0.0 if place == task.answer else 9.0 for task in TASKS for place in range(4)]
    never = [9.0 if place == task.answer else 0.0 for task in TASKS for place in range(4)]
    summary, _ = compare_tasks(TASKS, never, knows)
    assert (summary.whole.before.value, summary.whole.after.value) == (0.0, 1.0)
    assert (summary.gained, summary.lost) == (200, 0)
    assert {(each.field, each.name, each.before.n) for each in summary.slices} == {
        *(("language", name, 100) for name in ("tr", "en")),
        *(("kind", name, 40) for name in ("facts", "arithmetic", "language", "logic", "reading")),
    }


def test_a_choice_without_a_token_of_its_own_is_an_error_that_names_the_task():
    with pytest.raises(EvaluationError, match=f"{TASKS[0].task_id}.*no token.*forgetting.tasks: false"):
        sequences_of(TASKS[0], lambda _: [7, 8], ())


def test_losses_of_another_number_are_refused():
    with pytest.raises(EvaluationError, match="3 losses for 1 tasks"):
        compare_tasks(TASKS[:1], [1.0] * 3, [1.0] * 4)


def test_weights_that_give_no_number_are_an_error():
    with pytest.raises(EvaluationError, match="general tasks after tuning is not a finite number"):
        compare_tasks(TASKS[:1], [1.0] * 4, [1.0, 1.0, float("nan"), 1.0])
