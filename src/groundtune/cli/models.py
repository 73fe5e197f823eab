"""`groundtune models`: what a model is, before it is trained or downloaded whole; and old checkpoints as model folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import AsJson, print_json

if TYPE_CHECKING:
    from groundtune.models.inspecting import Inspection, MemoryNeed, Sharing

CHECK_FAILED = 1

models_app = typer.Typer(
    help="Look at models: sizes, tokenizer, licence, memory; convert old checkpoints.", no_args_is_help=True
)

Lines = Sequence[tuple[str, str, str]]
"""Name, figure, and what to know about it."""

METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


@models_app.command("inspect")
def inspect(
    name_or_path: Annotated[str, typer.Argument(help="Model folder, adapter folder, Hugging Face id, or preset.")],
    rank: Annotated[int, typer.Option("--rank", min=1, help="Rank of the adapter whose size and memory are told.")] = 8,
    tokens: Annotated[
        int, typer.Option("--tokens", min=1, help="Tokens in a forward pass (train.max_pack_tokens), for the memory.")
    ] = 4096,
    precision: Annotated[
        str, typer.Option("--precision", help="Of the products, for the memory: bfloat16 or float32.")
    ] = "bfloat16",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Memory with train.gradient_checkpointing.")
    ] = False,
    probe: Annotated[
        bool, typer.Option("--probe", help="Load the weights and ask the model whether prefixes can be shared.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell what a model is, whether it can be trained, and what memory that needs, without loading its weights."""
    from dataclasses import replace

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
        _show(found, template)
    if found.problems:
        raise typer.Exit(CHECK_FAILED)


@models_app.command("convert")
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

    if out.exists():
        raise ConfigError(f"{out}: exists already; choose another name, or delete it first")
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


# tables


def _show(found: Inspection, template: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, emoji=False)
    _print(console, found.name, model_lines(found))
    _print(console, "Tokenizer", tokenizer_lines(found, template))
    title = f"Memory to train it, {found.memory_tokens:,} tokens in a pass, products in {found.memory_precision}"
    _print_memory(console, title, found)
    verdict = ("yes, ", "green") if found.sharing.applies else ("no, ", "yellow")
    by = "" if found.sharing.probed else " (by its architecture; --probe asks the model)"
    console.print(
        Text.assemble(("Prefix sharing: ", "bold"), verdict, found.sharing.why, (by, "dim")),
        soft_wrap=not console.is_terminal,
    )
    for problem in found.problems:
        console.print(Text.assemble(("problem: ", "bold red"), problem), soft_wrap=not console.is_terminal)


def model_lines(found: Inspection) -> Lines:
    """Sizes, files and licence, for a person."""
    sizes, adapter = found.sizes, found.adapter
    tied = "also the last layer" if sizes.tied else "and as many in the last layer"
    lines = [
        ("architecture", found.architecture, found.model_type),
        ("parameters", f"{sizes.parameters:,}", short(sizes.parameters)),
        ("of the embedding", f"{sizes.embedding:,}", f"{sizes.embedding / sizes.parameters:.0%}, {tied}"),
        (f"LoRA of rank {found.rank}", f"{sizes.lora:,}", f"{sizes.lora / sizes.parameters:.2%}, train.adapter.rank"),
    ]
    if adapter is not None:
        trained = f"{adapter.parameters:,}" if adapter.parameters is not None else "–"
        told = f"rank {adapter.rank} on {', '.join(adapter.targets)}; the base is {adapter.base}"
        lines.insert(0, ("adapter", trained, told))
    heads = f"{sizes.kv_heads} for keys and values" if sizes.kv_heads != sizes.heads else ""
    window = f"some layers see the last {sizes.window:,}" if sizes.window else ""
    lines += [
        ("layers", _figure(sizes.layers), f"{sizes.experts} experts" if sizes.experts else ""),
        ("width", _figure(sizes.width), f"feed-forward {_figure(sizes.feed_forward)}"),
        ("heads", _figure(sizes.heads), heads),
        ("context", _figure(sizes.context_tokens), "; ".join(filter(None, (f"positions {sizes.positions}", window)))),
        ("vocabulary", f"{sizes.vocabulary:,}", "rows of the embedding"),
    ]
    return [*lines, *_file_lines(found)]


def _file_lines(found: Inspection) -> Lines:
    licence = found.licence
    where = f"says {licence.told_by}" if licence.name else f"look into {licence.told_by}" if licence.told_by else ""
    name = licence.name or "not told"
    if found.kind == "preset":
        return [("weights", "none yet", "a preset: model.preset makes it"), ("licence", "yours", "")]
    if found.weights is None:
        return [("weights", "not known", "the hub does not answer"), ("licence", name, where)]
    quantised = f"stored by {found.quantised}" if found.quantised else ""
    files = f"{found.weights.files} file{'s' * (found.weights.files != 1)}"
    dtype = found.weights.dtype or "type not known"
    return [
        ("weights", size(found.weights.bytes), ", ".join(filter(None, (dtype, files, quantised)))),
        ("licence", name, " ".join(filter(None, (where, licence.link)))),
    ]


def tokenizer_lines(found: Inspection, template: dict[str, Any]) -> Lines:
    """Tokenizer, template and stop tokens, for a person."""
    facts = found.tokenizer
    if facts is None:
        return [("tokenizer", "none", "" if found.kind == "preset" else "see the problems below")]
    spare = f"{facts.spare_rows:,} rows of the embedding to spare" if facts.spare_rows >= 0 else "more than rows"
    told = "handled exactly" if template["handled"] else template["why"]
    stops = template["stop_ids"] or list(found.stop_ids)
    others = [each for each in found.stop_ids if each not in stops]
    beside = f"the model's own files add {', '.join(map(str, others))}" if others else ""
    lines = [("kind", facts.kind, ""), ("entries", f"{facts.entries:,}", spare)]
    lines += [(each.name.removesuffix("_token"), str(each.id), each.text) for each in facts.special]
    return [
        *lines,
        ("stop ids", ", ".join(map(str, stops)) or "–", beside),
        ("chat template", "yes" if template["present"] else "no", told),
        *([("", "", f"knows {', '.join(template['knows'])}")] if template["knows"] else []),
    ]


def memory_row(need: MemoryNeed) -> tuple[str, ...]:
    """One way to train in sizes: weights, gradients, optimizer, activations, all."""
    parts = (need.weights, need.gradients, need.optimizer, need.activations, need.total)
    return (METHODS[need.method], *(size(part) for part in parts))


def _print(console: Any, title: str, lines: Lines) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False,
        padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column(no_wrap=True)
    table.add_column(justify="right", overflow="fold")
    table.add_column(style="dim", overflow="fold")
    for name, figure, note in lines:
        table.add_row(name, Text(figure, style="bold"), Text(note))
    console.print(table)
    console.print()


def _print_memory(console: Any, title: str, found: Inspection) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", title_style="bold", box=None, header_style="dim", pad_edge=False)
    for column in ("", "weights", "gradients", "optimizer", "activations", "in all"):
        table.add_column(column, justify="right" if column else "left", no_wrap=True)
    for need in found.memory:
        *parts, total = memory_row(need)
        table.add_row(*parts, Text(total, style="bold"))
    console.print(table)
    console.print(Text("an estimate; --json has the formula and what it leaves out", style="dim"))
    console.print()


def _figure(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def short(count: int) -> str:
    """
    >>> short(24_697_088), short(6_738_415_616), short(17_408)
    ('24.7M', '6.74B', '17.4K')
    """
    for unit, each in (("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= each:
            return f"{count / each:.3g}{unit}"
    return str(count)


def size(count: int) -> str:
    """
    >>> size(17_408), size(24_983_040), size(405_482_496), size(3 * 2**34)
    ('17 KiB', '23.8 MiB', '387 MiB', '48 GiB')
    """
    for unit, each in (("GiB", 2**30), ("MiB", 2**20)):
        if count >= each:
            return f"{count / each:.3g} {unit}" if count < 1000 * each else f"{count / each:,.0f} {unit}"
    return f"{count / 2**10:.0f} KiB"
