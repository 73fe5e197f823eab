"""A model as a whole, from its name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from transformers import AutoConfig

from groundtune.config import PRESETS
from groundtune.errors import TrainingError
from groundtune.models.explaining import explained
from groundtune.models.inspecting.memory import MemoryNeed, Precision, memory_needs
from groundtune.models.inspecting.sources import (
    Licence,
    Weights,
    fetch_description,
    hub_weights,
    read_licence,
    read_weights,
)
from groundtune.models.inspecting.structure import Sharing, Sizes, empty_model, shape_of, sharing_of, sizes_of
from groundtune.models.inspecting.tokenizers import TokenizerFacts, tokenizer_facts
from groundtune.models.loading import ADAPTER_CONFIG_NAME, is_adapter, local_folder, read_settings
from groundtune.models.presets import preset_architecture
from groundtune.models.quiet import quiet_transformers
from groundtune.models.tokenizer_loading import open_tokenizer

Kind = Literal["folder", "adapter", "hub", "preset"]


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an adapter adds to its base, which the rest of the inspection is of."""

    base: str
    rank: int | None
    targets: tuple[str, ...]
    parameters: int | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is to be known of a model before it is trained."""

    name: str
    kind: Kind
    architecture: str
    model_type: str
    quantised: str
    """By which method its weights are stored; empty for plain ones."""
    sizes: Sizes
    weights: Weights | None
    """None for a preset, which has none yet, and for a hub id whose description is on this machine while the hub does not
    answer."""
    licence: Licence
    tokenizer: TokenizerFacts | None
    tokenizer_from: str
    """Folder or hub id to load it from; empty where there is none."""
    stop_ids: tuple[int, ...]
    """Of the generation configuration."""
    rank: int
    memory_tokens: int
    memory_precision: Precision
    memory: tuple[MemoryNeed, ...]
    sharing: Sharing
    adapter: AdapterFacts | None = None
    problems: tuple[str, ...] = ()
    """What would keep it from being trained."""


def inspect_model(
    source: str, *, rank: int = 8, tokens: int = 4096, precision: Precision = "bfloat16", checkpointing: bool = False
) -> Inspection:
    """Look at a folder, an adapter's folder, a hub id or a preset, without loading weights.

    Args:
        rank: of the adapter whose size is told.
        tokens: in a forward pass, for the memory.

    Raises:
        TrainingError: there is no such folder or id, no network, no configuration, code to be trusted, no causal language model.
    """
    asked: dict[str, Any] = {"rank": rank, "tokens": tokens, "precision": precision, "checkpointing": checkpointing}
    if source in PRESETS:
        return _describe(source, "preset", preset_architecture(source), None, **asked)
    folder = local_folder(source)
    if folder is not None and is_adapter(folder):
        return _inspect_adapter(source, folder, **asked)
    kind: Kind = "hub" if folder is None else "folder"
    described = folder or fetch_description(source)
    return _describe(source, kind, _config_of(described, source), described, **asked)


def _inspect_adapter(source: str, folder: Path, **asked: Any) -> Inspection:
    settings = read_settings(folder / ADAPTER_CONFIG_NAME)
    base = settings.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise TrainingError(
            f"{folder / ADAPTER_CONFIG_NAME}: base_model_name_or_path is {base!r}; expected the folder or hub id of the base model"
        )
    # beginning with a dot it is a way from the adapter's folder, as `load_model` has it
    place = folder / base if base.startswith(".") else Path(base)
    if base.startswith(".") and not place.is_dir():
        raise TrainingError(
            f"{folder / ADAPTER_CONFIG_NAME}: names {base!r} as its base model, and {place.resolve()} is none"
        )
    of_base = inspect_model(str(place.resolve()) if base.startswith(".") else base, **asked)
    held = read_weights(folder, adapter=True)
    targets = settings.get("target_modules") or ()
    facts = AdapterFacts(
        base=base,
        rank=settings.get("r") if isinstance(settings.get("r"), int) else None,
        targets=(targets,) if isinstance(targets, str) else tuple(sorted(targets)),
        parameters=held.parameters,
        bytes=held.bytes,
    )
    inspection = replace(
        of_base, name=source, kind="adapter", adapter=facts, problems=(*held.problems, *of_base.problems)
    )
    if not (folder / "tokenizer.json").is_file():
        return inspection
    # an adapter is asked with the tokenizer it was trained with
    told, from_where, problems = _tokenizer(folder, of_base.sizes)
    return replace(inspection, tokenizer=told, tokenizer_from=from_where, problems=(*inspection.problems, *problems))


def _config_of(folder: Path, source: str) -> Any:
    if not (folder / "config.json").is_file():
        raise TrainingError(
            f"{source}: holds no config.json, so it is not a model; give the folder that a training wrote"
        )
    read_settings(folder / "config.json")
    with explained(source), quiet_transformers():
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def _describe(
    source: str,
    kind: Kind,
    config: Any,
    folder: Path | None,
    *,
    rank: int,
    tokens: int,
    precision: Precision,
    checkpointing: bool,
) -> Inspection:
    model = empty_model(config, source)
    sizes = sizes_of(model, rank=rank)
    weights = None if folder is None else _weights(folder, source, kind, config)
    facts, from_where, problems = _tokenizer(folder, sizes)
    quantised = _quantised(config)
    if weights is not None:
        problems = (*weights.problems, *_too_few(weights, sizes, quantised), *problems)
    return Inspection(
        name=source,
        kind=kind,
        architecture=type(model).__name__,
        model_type=str(config.model_type),
        quantised=quantised,
        sizes=sizes,
        weights=weights,
        licence=Licence("", "") if folder is None else read_licence(folder),
        tokenizer=facts,
        tokenizer_from=from_where,
        stop_ids=_stop_ids(folder, config),
        rank=rank,
        memory_tokens=tokens,
        memory_precision=precision,
        memory=memory_needs(
            shape_of(model, sizes),
            parameters=sizes.parameters,
            linear_parameters=sizes.linear,
            lora_parameters=sizes.lora,
            tokens=tokens,
            precision=precision,
            checkpointing=checkpointing,
        ),
        sharing=sharing_of(model),
        problems=problems,
    )


def _weights(folder: Path, source: str, kind: Kind, config: Any) -> Weights | None:
    if kind != "hub" or any(folder.glob("*.safetensors")):
        return read_weights(folder)
    try:
        found = hub_weights(source)
    except TrainingError:
        return None
    # the hub may know sizes alone
    return replace(found, dtype=found.dtype or str(config.dtype or "").removeprefix("torch."))


def _tokenizer(folder: Path | None, sizes: Sizes) -> tuple[TokenizerFacts | None, str, tuple[str, ...]]:
    """What is known of the tokenizer, where it lies, and what is wrong with it: a model may well lie without one."""
    if folder is None:
        return None, "", ()
    try:
        facts = tokenizer_facts(open_tokenizer(folder), embedding_rows=sizes.vocabulary)
    except TrainingError as error:
        return None, "", (str(error),)
    return facts, str(folder), facts.problems


def _quantised(config: Any) -> str:
    held = getattr(config, "quantization_config", None)
    if not held:
        return ""
    settings = held if isinstance(held, dict) else held.to_dict()
    return str(settings.get("quant_method") or "an unnamed method")


def _too_few(weights: Weights, sizes: Sizes, quantised: str) -> tuple[str, ...]:
    if quantised or weights.parameters is None or weights.parameters >= sizes.parameters:
        return ()
    return (
        f"the weight files hold {weights.parameters:,} numbers and the architecture has {sizes.parameters:,}: some weights are missing",
    )


def _stop_ids(folder: Path | None, config: Any) -> tuple[int, ...]:
    """Where generation ends by the model's own files."""
    ends = getattr(config, "eos_token_id", None)
    path = folder / "generation_config.json" if folder is not None else None
    if path is not None and path.is_file():
        ends = read_settings(path).get("eos_token_id", ends)
    return (ends,) if isinstance(ends, int) else tuple(ends or ())
