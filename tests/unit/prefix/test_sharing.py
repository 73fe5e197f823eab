"""Both trainers, on the same examples, shared and not: the same optimizer step. And each wrong use, which is one sentence."""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import pytest
import torch
from peft import LoraConfig
from proving import diagonal
from tokenizers import Tokenizer, models
from torch import nn
from transformers import (
    DataCollatorForSeq2Seq,
    Lfm2Config,
    Lfm2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PhiConfig,
    PhiForCausalLM,
    PreTrainedTokenizerFast,
    Trainer,
    TrainingArguments,
    default_data_collator,
)

from groundtune.errors import DataError, GroundtuneError, TrainingError
from groundtune.prefix import collate_row, evaluate_rows, prepare_model, share_prefixes
from groundtune.prefix.sharing import GuardedMask

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # trl's own, at import
    from trl import SFTConfig, SFTTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

VOCABULARY = 48
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
Example = dict[str, list[int]]


def tiny_model(dtype: torch.dtype = torch.float64, attention: str = "sdpa") -> PhiForCausalLM:
    # Phi, since its layers compute in the model's own type: Llama's norms round to float32
    return enlarged(PhiForCausalLM(PhiConfig(**SIZES, attn_implementation=attention)).to(dtype))


def enlarged(model: Any) -> Any:
    """With drawn weights ten times as large as models begin with: small ones would let a wrong mask pass."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.2)
    return model


def tokenizer() -> PreTrainedTokenizerFast:
    words = {f"w{number}": number for number in range(VOCABULARY)}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="w0")), pad_token="w0", eos_token="w2"
    )


def example(*turns: tuple[list[int], list[int]]) -> Example:
    """(asked, answered) turns; the answers are supervised."""
    ids, labels = [1], [-100]
    for asked, answered in turns:
        ids += asked + answered
        labels += [-100] * len(asked) + answered
    return {"input_ids": ids, "labels": labels}


def examples() -> list[Example]:
    """Questions over shared contexts, two of them the same, one begun by another; conversations; one that shares nothing."""
    draw = random.Random(5)

    def tokens(count: int) -> list[int]:
        return [draw.randrange(3, VOCABULARY) for _ in range(count)]

    found = []
    for _ in range(3):
        context = tokens(9)
        found += [example((context + tokens(3), tokens(draw.randrange(1, 5)))) for _ in range(4)]
        found.append(example((context, tokens(2))))
    found.append(copy.deepcopy(found[1]))
    first, second, third = ((tokens(4), tokens(3)) for _ in range(3))
    found += [example(first, second), example(first, second, third), example(first, third)]
    found.append(example((tokens(6), tokens(5))))
    found.append({"input_ids": (ids := tokens(7)), "labels": ids})
    return found


def as_rows(kind: str, given: list[Example], **options: Any) -> Any:
    return share_prefixes(datasets.Dataset.from_list(given) if kind == "trl" else given, **options)


def arguments(kind: str, folder: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "per_device_train_batch_size": 1,
        "per_device_eval_batch_size": 1,
        "gradient_accumulation_steps": 100,
        "num_train_epochs": 1,
        "learning_rate": 0.05,
        "lr_scheduler_type": "constant",
        "optim": "sgd",
        "max_grad_norm": 0.0,
        "report_to": [],
        "save_strategy": "no",
        "logging_steps": 1,
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        **changes,
    }
    if kind == "trl":
        settings.setdefault("dataset_kwargs", {"skip_prepare_dataset": True})
        return SFTConfig(**settings)
    return TrainingArguments(**settings)


def trainer_of(kind: str, model: nn.Module, folder: Path, train: Any, collator: Any, **changes: Any) -> Any:
    made: dict[str, Any] = {"train_dataset": train, "data_collator": collator}
    made |= {
        name: changes.pop(name) for name in ("eval_dataset", "peft_config", "compute_loss_func") if name in changes
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made["args"] = arguments(kind, folder, **changes)
        return SFTTrainer(model, processing_class=tokenizer(), **made) if kind == "trl" else Trainer(model, **made)


def pad_one(items: list[Any]) -> dict[str, torch.Tensor]:
    """The plain batch of one."""
    (item,) = items
    batch = {name: torch.tensor(item[name])[None] for name in ("input_ids", "labels")}
    return {**batch, "attention_mask": torch.ones_like(batch["input_ids"])}


def plain_dataset(kind: str, given: list[Example]) -> Any:
    return datasets.Dataset.from_list(given) if kind == "trl" else given


def weights_of(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def trained(kind: str, folder: Path, given: list[Example], *, share: bool, **changes: Any) -> tuple[nn.Module, Any]:
    rows = changes.pop("rows", {"max_pack_tokens": 60})
    model = tiny_model(changes.pop("dtype", torch.float64))
    if share:
        prepare_model(model)
        trainer = trainer_of(kind, model, folder, as_rows(kind, given, **rows), collate_row, **changes)
    else:
        exact = {"compute_loss_func": exact_loss} if kind == "trainer" else {}
        trainer = trainer_of(kind, model, folder, plain_dataset(kind, given), pad_one, **exact, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()
    return model, trainer


def largest_difference(shared: nn.Module, plain: nn.Module) -> float:
    """Of the two weight updates, relative to the larger update of each parameter."""
    before = weights_of(tiny_model(next(plain.parameters()).dtype))
    apart = 0.0
    for name, ours in weights_of(shared).items():
        theirs = weights_of(plain)[name]
        moved = (theirs - before[name]).abs().max()
        assert moved > 0, name
        apart = max(apart, float((ours - theirs).abs().max() / moved))
    return apart


KINDS = ("trainer", "trl")
TOLERANCE = {"trainer": 1e-10, "trl": 1e-4}
"""TRL makes log-probabilities in float32 whatever the model's type."""


def exact_loss(outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor) -> torch.Tensor:
    """transformers' own loss, but not in float32."""
    return nn.functional.cross_entropy(outputs.logits[0, :-1], labels[0, 1:], reduction="sum") / num_items_in_batch


def token_mean(model: nn.Module, given: list[Example]) -> float:
    total, count = 0.0, 0
    with torch.no_grad():
        for each in given:
            batch = pad_one([each])
            targets = (batch["labels"][:, 1:] != -100).sum()
            total += float(exact_loss(model(input_ids=batch["input_ids"]), batch["labels"], torch.tensor(1)))
            count += int(targets)
    return total / count


@pytest.mark.parametrize(("kind", "checkpointing"), diagonal(KINDS, [False, True]))
def test_an_optimizer_step_is_that_of_unshared_examples(kind: str, checkpointing: bool, tmp_path: Path) -> None:
    changes = {"gradient_checkpointing": checkpointing}
    shared, trainer = trained(kind, tmp_path, examples(), share=True, **changes)
    plain, plain_trainer = trained(kind, tmp_path, examples(), share=False, **changes)
    assert 1 < len(trainer.train_dataset) < len(examples()) / 3
    assert trainer.state.global_step == plain_trainer.state.global_step == 1
    assert largest_difference(shared, plain) < TOLERANCE[kind]
    losses = [each.state.log_history[0]["loss"] for each in (trainer, plain_trainer)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_several_epochs_of_shuffled_rows_take_as_many_steps_as_there_are_rows(kind: str, tmp_path: Path) -> None:
    _, trainer = trained(kind, tmp_path, examples(), share=True, gradient_accumulation_steps=1, num_train_epochs=2)
    assert trainer.state.global_step == 2 * len(trainer.train_dataset)


def test_trl_counts_the_tokens_of_the_dataset(tmp_path: Path) -> None:
    _, trainer = trained("trl", tmp_path, examples(), share=True, num_train_epochs=2)
    assert trainer.state.log_history[-2]["num_tokens"] == 2 * sum(len(each["input_ids"]) for each in examples())


@pytest.mark.parametrize(
    "targets",
    [pytest.param(["q_proj", "v_proj"], marks=pytest.mark.slow), "all-linear"],
    ids=["attention", "all"],
)
def test_trl_puts_an_adapter_on_a_prepared_model_and_trains_it_as_unshared(targets: Any, tmp_path: Path) -> None:
    moved = []
    for share in (True, False):
        model = enlarged(LlamaForCausalLM(LlamaConfig(**SIZES)))
        if share:
            prepare_model(model)
        lora = LoraConfig(r=2, target_modules=targets, task_type="CAUSAL_LM", init_lora_weights=False)
        given = as_rows("trl", examples(), max_pack_tokens=60) if share else plain_dataset("trl", examples())
        collator = collate_row if share else pad_one
        trainer = trainer_of("trl", model, tmp_path, given, collator, peft_config=lora, seed=4)
        before = weights_of(trainer.model)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trainer.train()
        moved.append({name: now - before[name] for name, now in weights_of(trainer.model).items() if "lora" in name})
    for name, ours in moved[0].items():
        assert (ours - moved[1][name]).abs().max() < 1e-3 * moved[1][name].abs().max(), name


def test_worker_processes_hand_rows_over(tmp_path: Path) -> None:
    shared, _ = trained("trainer", tmp_path, examples(), share=True, dataloader_num_workers=1)
    plain, _ = trained("trainer", tmp_path, examples(), share=False)
    assert largest_difference(shared, plain) < TOLERANCE["trainer"]


def test_whole_weights_count_like_repeated_targets(tmp_path: Path) -> None:
    weighted = [{**each, "weights": [1 + at % 2] * len(each["input_ids"])} for at, each in enumerate(examples())]
    repeated = [each for at, each in enumerate(examples()) for _ in range(1 + at % 2)]
    shared, _ = trained("trainer", tmp_path, weighted, share=True)
    plain, _ = trained("trainer", tmp_path, repeated, share=False)
    assert largest_difference(shared, plain) < TOLERANCE["trainer"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_trainers_evaluation_is_that_of_unshared_examples_where_batches_count_equally(
    kind: str, tmp_path: Path
) -> None:
    context = list(range(3, 15))
    given = [example(([*context, asked], [asked, 20, 21])) for asked in (30, 31, 32, 30)]
    losses = []
    for share in (True, False):
        model = tiny_model()
        if share:
            prepare_model(model)
        data = as_rows(kind, given, examples_per_row=2) if share else plain_dataset(kind, given)
        trainer = trainer_of(kind, model, tmp_path, data, collate_row if share else pad_one, eval_dataset=data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            losses.append(trainer.evaluate()["eval_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_evaluate_rows_gives_the_mean_over_supervised_tokens_however_rows_are_packed(kind: str) -> None:
    model = tiny_model()
    expected = token_mean(model, examples())
    prepare_model(model)
    model.train()
    for max_pack_tokens in (30, 60, 1000):
        found = evaluate_rows(model, as_rows(kind, examples(), max_pack_tokens=max_pack_tokens))
        assert found == pytest.approx(expected, rel=1e-12)
    assert model.training


def test_a_batch_carries_its_own_count_for_models_that_are_told_none() -> None:
    model = tiny_model()
    expected = token_mean(model, examples())
    prepare_model(model)
    (row,) = share_prefixes(examples())
    assert model(**collate_row([row])).loss.item() == pytest.approx(expected, rel=1e-12)


# --- what is read -----------------------------------------------------------------------------------------------------


def masks_of(each: Example) -> list[int]:
    return [int(label != -100) for label in each["labels"]]


@pytest.mark.parametrize(
    "change",
    [
        lambda each: {"input_ids": each["input_ids"], "completion_mask": masks_of(each)},
        lambda each: {"input_ids": each["input_ids"], "assistant_masks": masks_of(each)},
        lambda each: {**each, "completion_mask": masks_of(each)},
        lambda each: {**each, "attention_mask": [1] * len(each["input_ids"]), "text": "left alone"},
        lambda each: {
            "input_ids": each["input_ids"] + [0, 0],
            "labels": each["labels"] + [-100, -100],
            "attention_mask": [1] * len(each["input_ids"]) + [0, 0],
        },
        lambda each: {name: torch.tensor(values) for name, values in each.items()},
    ],
    ids=["completion", "assistant", "both", "attention", "padded", "tensors"],
)
def test_the_same_examples_in_other_columns_make_the_same_rows(change: Callable[[Example], dict[str, Any]]) -> None:
    given = examples()[:-1]  # the last supervises its first token, which is no target
    expected, found = share_prefixes(given), share_prefixes([change(each) for each in given])
    assert [repr(collate_row([row])) for row in found] == [repr(collate_row([row])) for row in expected]


@pytest.mark.parametrize("form", ["plain", "numpy", "torch", "transform", "chosen"])
def test_a_dataset_of_any_format_makes_the_same_rows_and_may_be_shuffled_and_saved(form: str, tmp_path: Path) -> None:
    given = datasets.Dataset.from_list(examples())
    if form in ("numpy", "torch"):
        given = given.with_format(form)
    elif form == "transform":
        given = given.with_transform(lambda batch: batch)
    elif form == "chosen":
        given = datasets.Dataset.from_list(list(reversed(examples()))).select(range(len(examples()) - 1, -1, -1))
    expected = [repr(collate_row([row])) for row in share_prefixes(examples(), max_pack_tokens=60)]
    rows = share_prefixes(given, max_pack_tokens=60)
    assert isinstance(rows, datasets.Dataset)
    assert [repr(collate_row([row])) for row in rows] == expected
    assert sorted(repr(collate_row([row])) for row in rows.shuffle(seed=1)) == sorted(expected)
    assert f"as {len(rows)} rows" in rows.info.description


def test_rows_depend_on_the_seed_alone_and_hold_no_more_examples_than_wished() -> None:
    def rows(seed: int) -> list[str]:
        return [repr(collate_row([row])) for row in share_prefixes(examples(), examples_per_row=3, seed=seed)]

    assert rows(1) == rows(1)
    assert rows(1) != rows(2)
    assert len(rows(1)) >= len(examples()) / 3


def test_examples_without_a_supervised_token_are_named_and_left_out() -> None:
    silent = {"input_ids": [1, 2, 3], "labels": [1, -100, -100]}  # a first token is never a target
    with pytest.warns(UserWarning, match="1 of 22 examples have no supervised token .*example 21"):
        rows = share_prefixes([*examples(), silent])
    assert rows.statistics.examples == 22
    with pytest.raises(DataError, match="none of the 1 examples has a supervised token"):
        share_prefixes([silent])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"input_ids": [3, 4]}, "has no labels; expected labels .-100"),
        ({"text": "Merhaba"}, "has no input_ids"),
        ({"input_ids": [3, 4, 5], "labels": [4, 5, -100]}, "label 5 at token 1, which is 4; .* not shifted"),
        ({"input_ids": [3, 4, 5], "labels": [-100, 4]}, r"labels of shape \(2,\)"),
        ({"input_ids": [[3, 4]], "labels": [[3, 4]]}, "expected one dimension"),
        ({"input_ids": [3, -1], "labels": [3, -1]}, "no token ids"),
        ({"input_ids": [], "labels": []}, "no token ids"),
        ({"input_ids": [3, 4], "completion_mask": [0, 0.5]}, "know no fractions"),
        (
            {"input_ids": [3, 4], "labels": [3, 4], "completion_mask": [0, 0]},
            "labels and completion_mask that disagree",
        ),
        ({"input_ids": [0, 3, 4], "labels": [-100, 3, 4], "attention_mask": [0, 1, 1]}, "padded on the left"),
        ({"input_ids": [3, 4, 3], "labels": [3, 4, 3], "position_ids": [0, 1, 0]}, "position_ids that do not count"),
        ({"input_ids": [3, 4, 3], "labels": [3, 4, 3], "seq_lengths": [2, 1]}, "packed of several"),
        ({"input_ids": [3, 4], "labels": [3, 4], "images": ["a.png"]}, "carry text only"),
    ],
)
def test_an_example_that_a_tree_cannot_stand_for_is_refused(wrong: dict[str, Any], message: str) -> None:
    for given in ([wrong], datasets.Dataset.from_list([wrong])):
        with pytest.raises(DataError, match=message):
            share_prefixes(given)


def test_fractional_weights_long_examples_and_datasets_without_a_length_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"weight 0\.5"):
        share_prefixes([{"input_ids": [3, 4], "weights": [0, 0.5]}])
    with pytest.raises(TrainingError, match="more than max_pack_tokens=3"):
        share_prefixes(examples(), max_pack_tokens=3)
    with pytest.raises(DataError, match="generator; expected one split"):
        share_prefixes(each for each in examples())
    with pytest.raises(DataError, match="DatasetDict; expected one split"):
        share_prefixes(datasets.DatasetDict({"train": datasets.Dataset.from_list(examples())}))
    with pytest.raises(DataError, match="empty"):
        share_prefixes([])


# --- wrong use --------------------------------------------------------------------------------------------------------


def train_with(kind: str, folder: Path, *, prepared: bool = True, collator: Any = collate_row, **changes: Any) -> None:
    model = tiny_model(attention=changes.pop("attention", "sdpa"))
    if prepared:
        prepare_model(model)
    given = changes.pop("given", examples())
    trainer = trainer_of(kind, model, folder, as_rows(kind, given, max_pack_tokens=60), collator, **changes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.train()


TINY_ROW: list[Example] = [{"input_ids": [3, 4, 5], "labels": [-100, -100, 5]}]
"""Of two tokens: the mask's columns fit its scores."""


@pytest.mark.parametrize("given", [examples(), TINY_ROW], ids=["rows", "two tokens"])
@pytest.mark.parametrize(("kind", "attention"), diagonal(KINDS, ["sdpa", "eager"]))
def test_a_model_that_was_not_prepared_is_refused(
    kind: str, attention: str, given: list[Example], tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"call prepare_model\(model\)"):
        train_with(kind, tmp_path, prepared=False, attention=attention, given=given)


def test_a_model_whose_layers_carry_state_is_refused_and_left_as_it_was() -> None:
    model = enlarged(Lfm2ForCausalLM(Lfm2Config(**SIZES, layer_types=["conv", "full_attention"])))
    with pytest.raises(TrainingError, match="carries state along the sequence"):
        prepare_model(model)
    assert "forward" not in model.__dict__
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_was_put_back_is_refused() -> None:
    model = tiny_model()
    with prepare_model(model):
        pass
    with pytest.raises(TrainingError, match=r"call prepare_model\(model\)"):
        model(**collate_row([share_prefixes(examples())[0]]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_two_rows_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="per_device_train_batch_size and per_device_eval_batch_size to 1"):
        train_with(kind, tmp_path, per_device_train_batch_size=2)


@pytest.mark.parametrize(
    ("kind", "collator"), diagonal(KINDS, [default_data_collator, DataCollatorForLanguageModeling(0)])
)
def test_another_collator_is_refused(kind: str, collator: Any, tmp_path: Path) -> None:
    with pytest.raises(GroundtuneError, match="data_collator=collate_row"):
        train_with(kind, tmp_path, collator=collator, remove_unused_columns=False)


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizers_padding_stumbles_over_rows_and_shows_what_to_do(kind: str, tmp_path: Path) -> None:
    with pytest.raises((GroundtuneError, ValueError), match="data_collator=collate_row"):
        train_with(kind, tmp_path, collator=DataCollatorForSeq2Seq(tokenizer()), remove_unused_columns=False)


def test_trls_own_preparation_does_not_touch_rows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="skip_prepare_dataset"):
        train_with("trl", tmp_path, dataset_kwargs=None)
    rows = as_rows("trl", examples())
    with pytest.raises(TrainingError, match="read as a list of tokens"):
        rows.map(lambda row: {"input_ids": row["input_ids"][:8]})


@pytest.mark.parametrize("kind", KINDS)
def test_unshared_examples_are_refused_by_the_collator(kind: str, tmp_path: Path) -> None:
    model = tiny_model()
    prepare_model(model)
    trainer = trainer_of(kind, model, tmp_path, plain_dataset(kind, examples()), collate_row)
    with pytest.raises(TrainingError, match="what share_prefixes returned"):
        trainer.train()


def test_a_trees_mask_is_handed_on_and_never_becomes_numbers() -> None:
    mask = collate_row([share_prefixes(examples())[0]])["attention_mask"]
    for same in (mask.to("cpu"), mask[:, :, :, :2], mask.clone(), mask.detach()):
        assert isinstance(same, GuardedMask)
    assert type(mask[0, 0, :, 0]) is torch.Tensor
    assert type(mask.sum()) is torch.Tensor
    for use in (lambda: mask.float(), lambda: mask == 0, lambda: torch.ones(1) + mask, lambda: mask.flatten()):
        with pytest.raises(TrainingError, match="not prepared"):
            use()
