"""What a training at the end of the pipeline would refuse, found out before the first stage costs time or money."""

from __future__ import annotations

from collections.abc import Collection

from groundtune.pipeline import forgetting
from groundtune.pipeline.chain import stage_name
from groundtune.pipeline.workspace import Workspace


def check_ahead(workspace: Workspace, wanted: Collection[str]) -> None:
    """Look at the model that is given, its tokenizer and template, the adapter's targets and the device.

    Args:
        wanted: names of stages that are to be done.

    Raises:
        TrainingError: a model that cannot be loaded or adapted, a tokenizer of another model.
        TemplateError: a chat template that cannot be rendered exactly, or none.
        ConfigError: a device that is not there, a benchmark that lm_eval does not know.
    """
    trains = any(name == "train" or name.endswith(stage_name("", "train")) for name in wanted)
    if trains or "pretrain" in wanted:
        from groundtune.training.distribution import check_device

        check_device(workspace.config.train)
    if "forgetting" in wanted:
        forgetting.check_ahead(workspace)
    if workspace.from_scratch or not (trains or {"dataset", "prepare"} & set(wanted)):
        return
    from groundtune.chat import stop_token_ids
    from groundtune.pipeline.tokenizers import load_workspace_tokenizer
    from groundtune.training.checking import check_trainable

    tokenizer = load_workspace_tokenizer(workspace)
    stop_token_ids(tokenizer)
    if trains:
        for each in (workspace, *workspace.following):
            check_trainable(workspace.named_source, tokenizer=tokenizer, config=each.config.train)
