"""lm-evaluation-harness on a small model and tasks made here, against a count by hand."""

import json
import logging
import os
import sys

import pytest
import torch

from groundtune.config import ModelConfig
from groundtune.errors import ConfigError, EvaluationError
from groundtune.evaluation.forgetting import (
    check_harness,
    check_tasks,
    compare_benchmarks,
    compare_tasks,
    read_tasks,
    run_benchmark,
    sequences_of,
)
from groundtune.evaluation.forgetting.benchmarks import main_metric
from groundtune.models import build_llama, train_tokenizer
from groundtune.training import Tokenised, measure_each_loss
from groundtune.training.documents import encode_text

TASKS = [task for task in read_tasks() if task.language == "en"]
TOKENIZER = train_tokenizer([task.stem for task in TASKS], vocab_size=420, chat_template="x")
SHAPE = ModelConfig(layers=1, width=32, heads=2, kv_heads=1, feed_forward=64, copying_start=False, context_tokens=256)
YAML = """\
task: {name}
dataset_path: json
dataset_kwargs:
  data_files: {{test: {folder}/{name}.jsonl}}
  cache_dir: {folder}/cache
output_type: multiple_choice
test_split: test
doc_to_text: "Question: {{{{question}}}}\\nAnswer:"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
metric_list:
  - {{metric: acc, aggregation: mean, higher_is_better: true}}
{more}metadata: {{version: 1.0}}
"""
NORMALISED = "  - {metric: acc_norm, aggregation: mean, higher_is_better: true}\n"
GROUP = """\
group: own_both
task: [own_facts, own_sums]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
metadata: {version: 1.0}
"""


def asked(name):
    return [task for task in TASKS if task.kind == {"own_facts": "facts", "own_sums": "arithmetic"}[name]][:11]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("lm_eval")
    made = tmp_path_factory.mktemp("tasks")
    for name in ("own_facts", "own_sums"):
        (made / f"{name}.yaml").write_text(YAML.format(name=name, folder=made, more=""))
        rows = [{"question": each.question, "choices": each.choices, "answer": each.answer} for each in asked(name)]
        (made / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (made / "both.yaml").write_text(GROUP)
    return made


def model(seed):
    return build_llama(SHAPE, TOKENIZER, seed=seed).eval()


def score(of, benchmark, folder, journal, limit=None):
    return run_benchmark(
        of, TOKENIZER, benchmark, folder=folder, limit=limit, batch_size=4, journal=journal, label=benchmark
    )


def by_hand(of, tasks):
    """Share of tasks whose right choice has the least summed loss."""
    right = 0
    for task in tasks:
        sums = []
        for choice in task.choices:
            stem, ids = (TOKENIZER(text)["input_ids"] for text in (task.stem, f"{task.stem} {choice}"))
            with torch.no_grad():
                logits = of(torch.tensor([ids])).logits[0].log_softmax(-1)
            sums.append(sum(float(logits[place - 1, ids[place]]) for place in range(len(stem), len(ids))))
        right += sums.index(max(sums)) == task.answer
    return right / len(tasks)


def test_a_task_of_ones_own_scores_what_a_count_by_hand_gives(folder, tmp_path, capsys):
    result = score(model(1), "own_facts", folder, tmp_path / "j.jsonl")
    [row] = result.rows
    expected = by_hand(model(1), asked("own_facts"))
    assert row.metrics == {"acc,none": pytest.approx(expected)}
    assert (row.questions, row.few_shot) == (11, 0)
    assert row.errors["acc,none"] == pytest.approx((expected * (1 - expected) / 10) ** 0.5)
    # the harness's own talk is kept back
    assert capsys.readouterr() == ("", "")


def test_the_shipped_tasks_are_scored_as_the_harness_scores_them(folder, tmp_path):
    tasks = [task for task in TASKS if task.kind != "reading"]
    (tmp_path / "all.yaml").write_text(YAML.format(name="own_all", folder=tmp_path, more=NORMALISED))
    rows = [{"question": each.question, "choices": each.choices, "answer": each.answer} for each in tasks]
    (tmp_path / "own_all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    [row] = score(model(3), "own_all", tmp_path, tmp_path / "j.jsonl").rows
    sequences = [each for task in tasks for each in sequences_of(task, lambda text: encode_text(TOKENIZER, text), (0,))]
    tokenised = [
        Tokenised(each.input_ids, tuple(place >= each.start for place in range(len(each.input_ids))))
        for each in sequences
    ]
    nats, _ = measure_each_loss(model(3), tokenised, max_pack_tokens=2048, threads=1)
    _, records = compare_tasks(tasks, nats, nats)
    assert [float(record.after == record.answer) for record in records] == list(row.values["acc_norm,none"])


def test_a_group_is_scored_as_a_whole_and_compared_question_by_question(folder, tmp_path):
    before, after = (score(model(seed), "own_both", folder, tmp_path / f"{seed}.jsonl") for seed in (1, 2))
    [both] = compare_benchmarks([before], [after], seed=1)
    everything = [*asked("own_facts"), *asked("own_sums")]
    assert both.task == "own_both"
    assert both.before.n == 22
    assert both.before.value == pytest.approx(by_hand(model(1), everything))
    assert both.after.value == pytest.approx(by_hand(model(2), everything))
    assert both.difference.value == pytest.approx(both.after.value - both.before.value)
    assert both.paired
    assert {row.name for row in before.rows} == {"own_both", "own_facts", "own_sums"}


def test_a_model_that_has_not_changed_has_lost_exactly_nothing(folder, tmp_path):
    result = score(model(1), "own_facts", folder, tmp_path / "j.jsonl")
    [same] = compare_benchmarks([result], [result], seed=1)
    assert same.difference.value == 0.0
    assert same.difference.low <= 0 <= same.difference.high


def test_a_killed_run_goes_on_and_ends_the_same(folder, tmp_path):
    journal = tmp_path / "j.jsonl"
    whole = score(model(1), "own_facts", folder, journal)
    lines = journal.read_text().splitlines(keepends=True)
    assert len(lines) == 44
    journal.write_text("".join(lines[:20]) + lines[20][:30])
    # what is noted is taken as it is: with other weights only the rest would change
    assert score(model(1), "own_facts", folder, journal) == whole
    assert sorted(journal.read_text().splitlines()) == sorted(line.strip() for line in lines)
    assert score(model(2), "own_facts", folder, journal) == whole


def test_the_limit_is_kept(folder, tmp_path):
    [row] = score(model(1), "own_facts", folder, tmp_path / "j.jsonl", limit=3).rows
    assert row.questions == 3
    assert row.metrics["acc,none"] == pytest.approx(by_hand(model(1), asked("own_facts")[:3]))


def test_prompts_that_the_model_has_no_room_for_are_counted(folder, tmp_path):
    texts = [f"{task.stem} {choice}" for task in asked("own_facts") for choice in task.choices]
    small = build_llama(SHAPE.model_copy(update={"context_tokens": 32}), TOKENIZER, seed=1).eval()
    expected = sum(len(TOKENIZER(text)["input_ids"]) > 33 for text in texts)
    assert 0 < expected < len(texts)
    assert score(small, "own_facts", folder, tmp_path / "j.jsonl").shortened == expected
    assert score(model(1), "own_facts", folder, tmp_path / "k.jsonl").shortened == 0


def test_a_task_without_its_questions_is_one_clear_sentence(folder, tmp_path):
    (tmp_path / "lost.yaml").write_text(YAML.format(name="own_lost", folder=tmp_path, more=""))
    with pytest.raises(EvaluationError, match="'own_lost': its questions could not be had") as caught:
        score(model(1), "own_lost", tmp_path, tmp_path / "j.jsonl")
    assert "\n" not in str(caught.value)


def test_what_the_harness_changes_is_put_back(folder, tmp_path):
    disabled, variables = logging.root.manager.disable, dict(os.environ)
    streams = sys.stdout, sys.stderr, os.fstat(2)
    with pytest.raises(EvaluationError):
        score(model(1), "own_facts", folder, tmp_path / "j.jsonl", limit=-1)
    assert (logging.root.manager.disable, dict(os.environ)) == (disabled, variables)
    assert (sys.stdout, sys.stderr, os.fstat(2)) == streams


@pytest.mark.slow
def test_an_unknown_task_is_an_error_with_the_nearest_names(folder):
    with pytest.raises(ConfigError, match=r"no task 'truthfulqa_mc3'.*did you mean truthfulqa_mc2"):
        check_tasks(["truthfulqa_mc3"], folder)


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(EvaluationError, match="pip install lm-eval"):
        check_harness()


def test_one_figure_stands_for_a_task():
    assert main_metric({"acc,none": 0.1, "acc_norm,none": 0.2}) == "acc_norm,none"
    assert main_metric({"bleu,none": 0.1, "exact_match,strict-match": 0.2, "exact_match,loose": 0.3}) == (
        "exact_match,strict-match"
    )
    assert main_metric({"word_perplexity,none": 9.0}) == "word_perplexity,none"
