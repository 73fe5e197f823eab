"""Whether answers on record are those of the model there is now: a training may have come between.

What this module does not do: read weights; manifests tell.
"""

from __future__ import annotations

from groundtune.files import sha256_text
from groundtune.manifest import read_manifest
from groundtune.pipeline.workspace import Workspace


def tuned_since(workspace: Workspace) -> bool:
    """Whether the model was trained again after its answers were given. False where nothing was asked or trained."""
    asked, trained = read_manifest(workspace.evaluation), read_manifest(workspace.tuned.parent)
    if asked is None or trained is None:
        return False
    folder = f"{workspace.tuned.name}/"
    # as `engine.hash_input` makes it of the folder itself
    listing = [
        f"{name.removeprefix(folder)} {value}" for name, value in trained.outputs.items() if name.startswith(folder)
    ]
    return asked.inputs.get("tuned") != sha256_text("\n".join(listing))


def answers_note(workspace: Workspace) -> str:
    """A sentence for those who look at the answers on record; empty where they are of today's model."""
    if not tuned_since(workspace):
        return ""
    return (
        f"note: the model was trained again after these answers were given ({workspace.answers}); `groundtune evaluate` asks "
        "today's model"
    )
