"""`groundtune models`: what a model is, before it is trained or downloaded whole; and old checkpoints as model folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import AsJson, check_new, print_json

if TYPE_CHECKING:
    from groundtune.models.inspecting import Inspection, Sharing

CHECK_FAILED = 1

models_app = typer.Typer(
    help="Look at models: sizes, tokenizer, licence, memory; convert old checkpoints.", no_args_is_help=True
)


@models_app.command("inspect", epilog="Example: groundtune models inspect tiny-v1 --rank 16 --tokens 2048")
def inspect(
    name_or_path: Annotated[str, typer.Argument(help="Model folder, adapter folder, Hugging Face id, or preset.")],
    rank: Annotated[
        int, typer.Option("--rank", min=1, help="Rank of the LoRA adapter whose size and memory are told.")
    ] = 8,
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="Tokens in a forward pass (train.max_pack_tokens), for the memory.")
    ] = 4096,
    precision: Annotated[
        str,
        typer.Option(
            "--precision", metavar="bfloat16|float32", help="Precision of the matrix products, for the memory."
        ),
    ] = "bfloat16",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Tell the memory with train.gradient_checkpointing on.")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Load the weights and ask the model whether prefixes can be shared.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a model is, whether it can be trained, and what memory that needs, without loading its weights."""
    from dataclasses import replace

    from groundtune.cli.models_tables import show_inspection
    from groundtune.errors import ConfigError
    from groundtune.files import as_plain
    from groundtune.models.inspecting import FORMULA, LEFT_OUT, inspect_model

    if precision not in ("bfloat16", "float32"):
        raise ConfigError(f"--precision {precision!r}: expected bfloat16 or float32")
    found = inspect_model(
        name_or_path,
        rank=rank,
        tokens=tokens,
        precision="float32" if precision == "float32" else "bfloat16",
        checkpointing=checkpointing,
    )
    if probe:
        found = replace(found, sharing=_probe(found))
    template = template_record(found)
    if as_json:
        record = as_plain(found)
        for need, each in zip(record["memory"], found.memory, strict=True):
            need["total"] = each.total
        record |= {"chat_template": template, "memory_formula": FORMULA, "memory_leaves_out": LEFT_OUT}
        print_json(record)
    else:
        show_inspection(found, template)
    if found.problems:
        raise typer.Exit(CHECK_FAILED)


@models_app.command(
    "convert",
    epilog="Example: groundtune models convert step-100.pt --tokenizer my-tokenizer --preset tiny-v1 -o my-model",
)
def convert(
    file: Annotated[Path, typer.Argument(help="What torch.save wrote: .pt, .pth, .ckpt or .bin.")],
    tokenizer: Annotated[str, typer.Option("--tokenizer", help="Folder or Hugging Face id of its tokenizer.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not be there yet.")],
    preset: Annotated[str | None, typer.Option("--preset", help="Its architecture, where it is a preset.")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", help="Its config.json, where that is not beside the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write an old checkpoint as a model folder of safetensors, with every weight by its own name or none at all."""
    from groundtune.errors import ConfigError
    from groundtune.files import as_plain
    from groundtune.models import convert_checkpoint
    from groundtune.models.checkpoint import CHECKPOINT_SUFFIXES, is_checkpoint

    check_new(out)
    if not is_checkpoint(file):
        found = "is a folder" if file.is_dir() else "has another ending"
        raise ConfigError(f"{file}: {found}; expected a checkpoint file ({', '.join(CHECKPOINT_SUFFIXES)})")
    if preset is not None and config is not None:
        raise ConfigError("--preset and --config both say the architecture; give one of the two")
    if config is not None and (config.name != "config.json" or not config.is_file()):
        raise ConfigError(
            f"--config {config}: is no file of the name config.json; give the one that describes the model"
        )
    made = convert_checkpoint(
        file, out, tokenizer=tokenizer, preset=preset, described_by=config.parent if config is not None else None
    )
    if as_json:
        print_json({"folder": str(out), **as_plain(made)})
    else:
        typer.echo(f"{out}: {made.architecture}, {made.parameters:,} parameters, {made.layers} layers, as safetensors")


def _probe(found: Inspection) -> Sharing:
    """The answer of the model itself."""
    from groundtune.errors import TrainingError
    from groundtune.models import fresh_model, load_model, preset_architecture
    from groundtune.models.inspecting import Sharing
    from groundtune.prefix import PreparedModel, probe_model

    model = fresh_model(preset_architecture(found.name)) if found.kind == "preset" else load_model(found.name)
    try:
        with PreparedModel(model) as prepared:
            probe_model(prepared)
    except TrainingError as error:
        return Sharing(False, str(error), probed=True)
    limit = found.sharing.up_to_tokens
    return Sharing(True, "asked: branches stay strangers, and come out as they do alone", limit, probed=True)


def template_record(found: Inspection) -> dict[str, Any]:
    """The chat template: whether there is one, whether groundtune can render it exactly, and what it knows."""
    if found.tokenizer is None or not found.tokenizer.has_template:
        why = "no chat template: name one in model.chat_template (chatml, llama3, gemma, mistral, alpaca, plain)"
        return {"present": False, "handled": False, "why": why if found.tokenizer else "", "knows": [], "stop_ids": []}
    from groundtune.chat import stop_token_ids
    from groundtune.errors import TemplateError
    from groundtune.models import open_tokenizer

    tokenizer = open_tokenizer(found.tokenizer_from)
    try:
        stops = list(stop_token_ids(tokenizer))
        knows = _known_to(tokenizer)
    except TemplateError as error:
        return {"present": True, "handled": False, "why": str(error), "knows": [], "stop_ids": []}
    return {"present": True, "handled": True, "why": "", "knows": knows, "stop_ids": stops}


def _known_to(tokenizer: Any) -> list[str]:
    """What conversations may have under this template; how several turns are trained. Raises `TemplateError` when none can be."""
    from groundtune.chat import render_examples
    from groundtune.errors import TemplateError
    from groundtune.types import Message, ToolCall

    turn = (Message("user", "a"), Message("assistant", "b"))
    render_examples(tokenizer, turn)
    call = Message("assistant", "", tool_calls=(ToolCall("look_up", '{"name": "b"}', "a1b2c3d4e"),))
    tool = '{"type": "function", "function": {"name": "look_up", "description": "", "parameters": {"type": "object", "properties": {"name": {"type": "string", "description": ""}}, "required": ["name"]}}}'
    asked: dict[str, tuple[tuple[Message, ...], dict[str, Any]]] = {
        "system prompt": ((Message("system", "c"), *turn), {}),
        "several turns": ((*turn, *turn), {}),
        "thoughts": (turn, {"thinking": True}),
        "tools": ((turn[0], call), {"tools": (tool,)}),
    }
    known = []
    for what, (messages, settings) in asked.items():
        try:
            examples = render_examples(tokenizer, messages, **settings)
        except TemplateError:
            continue
        known.append(f"{what} (one example each)" if len(examples) > 1 else what)
    return known
