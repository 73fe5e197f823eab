"""All items together, and what they allow to be said.

What was not measured does not pass: without a failure the list is then incomplete, not passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from groundtune.config.evaluating import ChecklistConfig
from groundtune.evaluation.checklist.items import ITEMS
from groundtune.evaluation.checklist.records import Checklist, Measured, Overall


def check(config: ChecklistConfig, measured: Measured) -> Checklist:
    """Hold `measured` against the thresholds of `config`."""
    items = tuple(item for looked in ITEMS for item in looked(config, measured))
    values = config.model_dump()
    not_looked_at = tuple(
        f"evaluation.checklist.{key}" for key, value in values.items() if value is None or value is False or value == {}
    )
    failed, missing = ([item.name for item in items if item.state == state] for state in ("fail", "not measured"))
    unsure: dict[str, list[str]] = {}
    for item in items:
        if item.doubt:
            unsure.setdefault(item.doubt, []).append(item.name)
    overall: Overall = "failed" if failed else "incomplete" if missing or not items else "passed"
    return Checklist(overall, _verdict(overall, len(items), failed, missing, unsure), items, not_looked_at)


def _verdict(
    overall: Overall, number: int, failed: list[str], missing: list[str], unsure: Mapping[str, Sequence[str]]
) -> str:
    if not number:
        return "Nothing is asked of the model: every threshold in evaluation.checklist is null."
    left = f" Not measured: {_listed(missing)}." if missing else ""
    doubt = "".join(f" {why.capitalize()}: {_listed(names)}." for why, names in unsure.items())
    if overall == "failed":
        return f"The model should not be deployed: {len(failed)} of {number} checks failed ({_listed(failed)}).{left}{doubt}"
    if overall == "incomplete":
        return f"It cannot be said that the model may be deployed: no check failed, but {len(missing)} of {number} were not measured.{left}{doubt}"
    if unsure:
        return f"The model may be deployed as far as can be told: all {number} checks passed.{doubt}"
    return f"The model may be deployed: all {number} checks passed."


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
