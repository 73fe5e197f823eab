"""What LLaMA-Factory's data keys mean in native settings: which rows, how mixed, how divided, how long.

What this module does not do: read ``dataset_info.json`` or any row (:mod:`groundtune.dataset`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from groundtune.config.llamafactory.converting import Converting
from groundtune.config.llamafactory.steps import rows_of_a_step

ONLINE = "ONLINE"
"""As a `dataset_dir`: names of datasets are hub ids."""
REMOTE = "REMOTE:"


def map_data(work: Converting) -> None:
    """Everything about rows, in the order of the native section."""
    work.set("documents.path", None, why="instruction data alone")
    online = _map_registry(work)
    names, held_out = work.words("dataset"), work.words("eval_dataset")
    if not names:
        work.problem("dataset", "dataset is missing; name the data to train on")
    valid_share = _valid_share(work, bool(held_out))
    place_key = "hub" if online else "name"
    weights = _map_mixing(work, names)
    sources: list[dict[str, Any]] = []
    for name, weight in zip(names, weights, strict=True):
        sources.append(_source(work, place_key, name, "split" if valid_share else "train", weight))
    sources += [_source(work, place_key, name, "valid", 1.0) for name in held_out]
    for index, source in enumerate(sources):
        made_of = (
            ("eval_dataset", "max_samples")
            if source["use"] == "valid"
            else ("dataset", "max_samples", "interleave_probs")
        )
        origins = [key for key in made_of if work.has(key)]
        work.set(f"data.sources.{index}", source, *origins)
    work.set("data.valid_share", valid_share if valid_share < 1 else 0.0, "val_size")
    if valid_share >= 1:
        work.set("data.valid_rows", round(valid_share), "val_size")
    work.set("data.test_share", 0.0, why="LLaMA-Factory holds nothing back for a test")
    work.set("data.filters.duplicates", "off", why="LLaMA-Factory trains on every row")
    work.set("data.filters.decontaminate", False, why="LLaMA-Factory trains on every row")
    _map_turns(work)
    _map_lengths(work)


def _map_registry(work: Converting) -> bool:
    """`dataset_dir`; whether it says that names are hub ids."""
    folder = work.text("dataset_dir", "data")
    if folder == ONLINE:
        return True
    if folder.startswith(REMOTE):
        work.problem(
            "dataset_dir",
            f"dataset_dir is {folder!r}; a registry on the hub is not read yet: download it, and name its folder",
        )
    native = work.place(folder)
    if not (Path.cwd() / folder).is_dir() and (work.folder / folder).is_dir():
        native = folder
        work.note("dataset_dir", f"there is no {folder} in the current folder; the one beside the file is used")
    work.set("data.registry", native, "dataset_dir")
    return False


def _source(work: Converting, place_key: str, name: str, use: str, weight: float) -> dict[str, Any]:
    source: dict[str, Any] = {place_key: name}
    if work.text("stage", "sft") == "pt":
        source["format"] = "text"
    if work.has("max_samples"):
        rows = work.whole("max_samples", 1)
        if rows < 1:
            # nothing, for LLaMA-Factory; a native 0 would take all
            work.problem("max_samples", f"max_samples is {rows}; expected a number of rows above 0")
        source["max_rows"] = max(1, rows)
    if weight != 1.0:
        source["weight"] = weight
    return source | {"use": use}


def _valid_share(work: Converting, held_out: bool) -> float:
    """A share below 1, or from 1 on a number of rows, as LLaMA-Factory has it."""
    size = work.number("val_size", 0.0)
    if size and held_out:
        work.problem("val_size", "val_size and eval_dataset are both set; keep one of them")
    elif size < 0 or (size > 1 and size != round(size)):
        work.problem("val_size", f"val_size is {size:g}; expected a share below 1 or a whole number of rows")
    else:
        return size
    return 0.0


def _map_mixing(work: Converting, names: tuple[str, ...]) -> list[float]:
    """`mix_strategy` and `interleave_probs`; returns the weight of each dataset."""
    strategies = ("concat", "interleave_under", "interleave_over", "interleave_once")
    strategy = work.choice("mix_strategy", "concat", strategies)
    plain = [1.0] * len(names)
    if strategy == "interleave_once":
        work.note("mix_strategy", "every row is seen once and rows are shuffled, which is what concatenating does")
    mixes = {"interleave_under": "interleave_under", "interleave_over": "interleave_over"}
    work.set("data.mix", mixes.get(strategy, "concatenate"), "mix_strategy")
    probabilities = work.words("interleave_probs")
    if not probabilities:
        return plain
    if strategy == "concat":
        work.problem("interleave_probs", "interleave_probs is for interleaving; set mix_strategy, or take it out")
        return plain
    try:
        weights = [float(word) for word in probabilities]
    except ValueError:
        weights = []
    if len(weights) != len(names) or not all(weight > 0 for weight in weights):
        work.problem(
            "interleave_probs",
            f"interleave_probs is {work.values['interleave_probs']!r}; expected {len(names)} numbers above 0, one a dataset",
        )
        return plain
    # drawn without replacement until all are used up, a probability says no more than the order
    return weights if strategy in mixes else plain


def _map_turns(work: Converting) -> None:
    work.set("data.train_on", "last" if work.flag("mask_history") else "all", "mask_history")
    # true and null leave thoughts as the rows have them
    work.set("data.no_think_share", 0.0 if work.flag("enable_thinking", True) else 1.0, "enable_thinking")


def _map_lengths(work: Converting) -> None:
    longest = work.whole("cutoff_len", 2048)
    packed = work.flag("packing") or work.flag("neat_packing")
    # when it is told to pack, LLaMA-Factory keeps one place free
    work.set("data.max_tokens", longest - 1 if packed else longest, "cutoff_len", *(["packing"] if packed else []))
    if work.text("stage", "sft") == "pt":
        work.note("cutoff_len", _blocks_note(work, longest))
    else:
        _map_overlong(work, longest)
    if packed:
        work.note("neat_packing" if work.flag("neat_packing") else "packing", _packing_note(work, longest))
    if work.has("tokenized_path"):
        if (Path.cwd() / work.text("tokenized_path")).exists():
            work.problem(
                "tokenized_path",
                "tokenized_path holds LLaMA-Factory's tokenised rows, which are not read; take the key out",
            )
        else:
            work.note("tokenized_path", "tokenised rows are kept by content below workdir in any case")


def _map_overlong(work: Converting, longest: int) -> None:
    work.set("data.overlong", "skip", why="LLaMA-Factory cuts longer examples off, even inside an answer")
    remedy = (
        "raise cutoff_len to keep its pair"
        if work.text("stage", "sft") == "dpo"
        else "set data.overlong: truncate_left to keep its last turns"
    )
    work.note(
        "cutoff_len",
        f"an example of more than {longest} tokens is left out and counted, where LLaMA-Factory cuts it off, even inside "
        f"an answer; {remedy}",
    )


def _blocks_note(work: Converting, longest: int) -> str:
    batch = rows_of_a_step(work)
    if work.has("packing") and not work.flag("packing"):
        return f"a text of more than {longest} tokens is read in windows of so many, where LLaMA-Factory cuts it off"
    return (
        f"a text of more than {longest} tokens is read in windows of so many, and a step is {batch} texts or windows; "
        f"LLaMA-Factory joins texts end to end into blocks of {longest} tokens, {batch} of them a step: where texts are "
        f"short, raise train.examples_per_step for steps as large as its"
    )


def _packing_note(work: Converting, longest: int) -> str:
    batch = rows_of_a_step(work)
    return (
        f"rows are always packed, and never see each other; a step is {batch} examples, where LLaMA-Factory's is {batch} "
        f"packs of {longest} tokens: raise train.examples_per_step for steps as large as its"
    )
