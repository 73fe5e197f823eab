"""What the model card tells beyond the report: base, sources and licences, from the files of this machine and without its paths."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from groundtune.config import SourceConfig
from groundtune.manifest import read_manifest
from groundtune.pipeline.instruction import source_name
from groundtune.pipeline.workspace import Workspace

if TYPE_CHECKING:
    from groundtune.evaluation.card import CardFacts, SourceFacts
    from groundtune.evaluation.verdict import ReportData

ADAPTER_CONFIG = "adapter_config.json"


def card_facts(workspace: Workspace, data: ReportData) -> CardFacts:
    """Nothing is fetched: of a hub id that is all there is on this machine."""
    from groundtune.evaluation.card import CardFacts

    config = workspace.config
    is_adapter = (workspace.tuned / ADAPTER_CONFIG).exists()
    last = ([config.train, *(each.config.train for each in workspace.following)])[-1]
    base = _name_of(workspace)
    return CardFacts(
        base=base,
        base_hub_id=base if base and not Path(workspace.named_source).exists() else "",
        base_licence="" if workspace.from_scratch else _base_licence(workspace.named_source),
        method="preference" if last.preference is not None else "adapter" if is_adapter else "full",
        is_adapter=is_adapter,
        languages=config.documents.languages,
        documents=workspace.source.name if workspace.has_documents else "",
        documents_licence=(config.documents.licence or _licence(workspace.source)) if workspace.has_documents else "",
        sources=tuple(_sources(workspace)),
        model_folder=(PurePosixPath(data.config["workdir"]) / workspace.tuned.relative_to(workspace.root)).as_posix(),
        run_folder=(PurePosixPath(data.config["workdir"]) / workspace.run.relative_to(workspace.root)).as_posix(),
        parameters=data.flow.parameters,
    )


def licence_inputs(workspace: Workspace) -> dict[str, Path]:
    """The files in which `card_facts` looks for a licence, as far as they are there: the card is written again with them."""
    folders = {"documents": workspace.source} if workspace.has_documents else {}
    if not workspace.from_scratch:
        folders["base"] = Path(workspace.named_source)
    for number, source in enumerate(workspace.config.data.sources if workspace.has_data else (), start=1):
        if source.path is not None:
            folders[f"data {number}"] = workspace.config.resolve(source.path)
    return {
        f"licence of {name}: {file.name}": file
        for name, folder in folders.items()
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if file.is_file() and _may_tell(file.name)
    }


def _may_tell(name: str) -> bool:
    return name in ("README.md", "config.json") or name.upper().startswith(("LICENSE", "LICENCE"))


def _name_of(workspace: Workspace) -> str:
    """The hub id, or the name of the folder; empty of a model from scratch."""
    if workspace.from_scratch:
        return ""
    named = workspace.named_source
    return Path(named).name if Path(named).exists() else named


def _base_licence(source: str) -> str:
    if Path(source).exists():
        return _licence(Path(source))
    from huggingface_hub import try_to_load_from_cache

    card = try_to_load_from_cache(source, "README.md")
    return _licence(Path(card).parent) if isinstance(card, str) else ""


def _licence(folder: Path) -> str:
    """What the card in a folder says, or where its text is; empty where nothing is there."""
    if not folder.is_dir():
        return ""
    from groundtune.models.inspecting import read_licence

    found = read_licence(folder)
    if found.name:
        return f"{found.name} ({found.link})" if found.link else found.name
    return f"see {found.told_by}" if found.told_by else ""


def _licence_of_file(workspace: Workspace, source: SourceConfig) -> str:
    return _licence(workspace.config.resolve(source.path)) if source.path is not None else ""


def _sources(workspace: Workspace) -> list[SourceFacts]:
    from groundtune.evaluation.card import SourceFacts

    if not workspace.has_data:
        return []
    manifest = read_manifest(workspace.data)
    table = manifest.details.get("sources", []) if manifest is not None else []
    rows = {row["source"]: row["rows"] for row in table}
    return [
        SourceFacts(
            name=Path(source_name(source)).name if source.hub is None else source_name(source),
            hub_id=source.hub or "",
            rows=rows.get(source_name(source)),
            licence=source.licence or _licence_of_file(workspace, source),
        )
        for source in workspace.config.data.sources
    ]
