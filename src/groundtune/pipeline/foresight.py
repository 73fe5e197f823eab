"""What a training at the end of the pipeline would refuse, found out before the first stage costs time or money."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from groundtune.pipeline import forgetting
from groundtune.pipeline.chain import keys_as_written, stage_name
from groundtune.pipeline.workspace import Workspace


def check_ahead(workspace: Workspace, wanted: Collection[str]) -> None:
    """Look at the model that is given, its tokenizer and template, the adapter's targets and the device.

    Args:
        wanted: names of stages that are to be done.

    Raises:
        TrainingError: a model that cannot be loaded or adapted, a tokenizer of another model, sequences longer
            than a model takes.
        TemplateError: a chat template that cannot be rendered exactly, or none.
        ConfigError: a device or package that is not there, a benchmark that lm_eval does not know.
    """
    trainings = [workspace] if "train" in wanted else []
    trainings += [each for each in workspace.following if stage_name(each.config.train.name, "train") in wanted]
    _check_machine(workspace, trainings, pretrains="pretrain" in wanted)
    if "forgetting" in wanted:
        forgetting.check_ahead(workspace)
    if "pretrain" in wanted:
        _check_rounds(workspace)
    if workspace.from_scratch:
        _check_methods(workspace, trainings)
        return
    if not (trainings or {"dataset", "prepare"} & set(wanted)):
        return
    from groundtune.chat import stop_token_ids
    from groundtune.pipeline.tokenizers import load_workspace_tokenizer
    from groundtune.training.checking import check_trainable

    tokenizer = load_workspace_tokenizer(workspace)
    stop_token_ids(tokenizer)
    for each in trainings:
        with keys_as_written(each):
            check_trainable(workspace.named_source, tokenizer=tokenizer, config=each.config.train)


def _check_methods(workspace: Workspace, trainings: Sequence[Workspace]) -> None:
    """What trainings name of a model that is yet to be made."""
    if not trainings:
        return
    from groundtune.models.checking import planned_model
    from groundtune.training.checking import check_method

    config = workspace.config
    for each in trainings:
        with keys_as_written(each):
            check_method(planned_model(config.model, config.tokenizer.vocab_size), each.config.train)


def _check_rounds(workspace: Workspace) -> None:
    from groundtune.models import position_limit
    from groundtune.models.checking import check_model
    from groundtune.training.rounds import check_rounds, rounds_of

    config = workspace.config
    limit = (
        config.model.context_tokens if workspace.from_scratch else position_limit(check_model(workspace.named_source))
    )
    check_rounds(rounds_of(config.pretrain), limit, config.train)


def _check_machine(workspace: Workspace, trainings: Sequence[Workspace], *, pretrains: bool) -> None:
    """Devices and packages that trainings ask for."""
    if not (trainings or pretrains):
        return
    from groundtune.training.distribution import check_computing
    from groundtune.training.reporting import check_reporters

    if pretrains:
        check_computing(workspace.config.train)
    for each in trainings:
        with keys_as_written(each):
            train = each.config.train
            check_computing(train, quantised=train.adapter is not None and train.adapter.quantise is not None)
            check_reporters(train.report_to)
