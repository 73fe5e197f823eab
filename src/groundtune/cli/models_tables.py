"""What a person sees of `groundtune models inspect`: the model, its tokenizer, and the memory that training takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from groundtune.cli.display import Facts, Sheet, output, show_facts
from groundtune.evaluation.verdict import wording

if TYPE_CHECKING:
    from groundtune.models.inspecting import Inspection, MemoryNeed

METHODS = {"full": "full fine-tuning", "lora": "LoRA", "qlora": "QLoRA"}


def show_inspection(found: Inspection, template: Mapping[str, Any]) -> None:
    """Model, tokenizer, memory, whether prefixes can be shared, and what keeps it from being trained."""
    console = output()
    show_facts(console, found.name, model_lines(found))
    show_facts(console, "Tokenizer", tokenizer_lines(found, template))
    tokens = wording.plural(found.memory_tokens, "token")
    title = f"Memory to train it, {tokens} in a pass, products in {found.memory_precision}"
    memory = Sheet(title, "", "weights", "gradients", "optimizer", "activations", "in all")
    for need in found.memory:
        *parts, total = memory_row(need)
        memory.row(*parts, Text(total, "bold"))
    memory.show(console, "an estimate; --json has the formula and what it leaves out")
    verdict = ("yes, ", "green") if found.sharing.applies else ("no, ", "yellow")
    by = "" if found.sharing.probed else " (by its architecture; --probe asks the model)"
    console.print(
        Text.assemble(("Prefix sharing: ", "bold"), verdict, found.sharing.why, (by, "dim")),
    )
    for problem in found.problems:
        console.print(Text.assemble(("problem: ", "bold red"), problem))


def model_lines(found: Inspection) -> Facts:
    """Sizes, files and licence, for a person."""
    sizes, adapter = found.sizes, found.adapter
    tied = "also the last layer" if sizes.tied else "and as many in the last layer"
    lines = [
        ("architecture", found.architecture, found.model_type),
        ("parameters", f"{sizes.parameters:,}", wording.compact(sizes.parameters)),
        ("of the embedding", f"{sizes.embedding:,}", f"{wording.percent(sizes.embedding / sizes.parameters)}, {tied}"),
        (
            f"LoRA of rank {found.rank}",
            f"{sizes.lora:,}",
            f"{wording.percent(sizes.lora / sizes.parameters, 2)}, train.adapter.rank",
        ),
    ]
    if adapter is not None:
        trained = f"{adapter.parameters:,}" if adapter.parameters is not None else "–"
        told = f"rank {adapter.rank} on {', '.join(adapter.targets)}; the base is {adapter.base}"
        lines.insert(0, ("adapter", trained, told))
    heads = f"{sizes.kv_heads} for keys and values" if sizes.kv_heads != sizes.heads else ""
    window = f"some layers see the last {sizes.window:,}" if sizes.window else ""
    lines += [
        ("layers", _figure(sizes.layers), wording.plural(sizes.experts, "expert") if sizes.experts else ""),
        ("width", _figure(sizes.width), f"feed-forward {_figure(sizes.feed_forward)}"),
        ("heads", _figure(sizes.heads), heads),
        ("context", _figure(sizes.context_tokens), "; ".join(filter(None, (f"positions {sizes.positions}", window)))),
        ("vocabulary", f"{sizes.vocabulary:,}", "rows of the embedding"),
    ]
    return [*lines, *_file_lines(found)]


def _file_lines(found: Inspection) -> Facts:
    licence = found.licence
    where = f"says {licence.told_by}" if licence.name else f"look into {licence.told_by}" if licence.told_by else ""
    name = licence.name or "not told"
    if found.kind == "preset":
        return [("weights", "none yet", "a preset: model.preset makes it"), ("licence", "yours", "")]
    if found.weights is None:
        return [("weights", "not known", "the hub does not answer"), ("licence", name, where)]
    quantised = f"stored by {found.quantised}" if found.quantised else ""
    files = wording.plural(found.weights.files, "file")
    dtype = found.weights.dtype or "type not known"
    return [
        ("weights", wording.size(found.weights.bytes), ", ".join(filter(None, (dtype, files, quantised)))),
        ("licence", name, " ".join(filter(None, (where, licence.link)))),
    ]


def tokenizer_lines(found: Inspection, template: Mapping[str, Any]) -> Facts:
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
    return (METHODS[need.method], *(wording.size(part) for part in parts))


def _figure(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"
