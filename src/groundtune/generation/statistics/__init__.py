"""What a generation did, in figures: groups, pairs, rejections, tokens, dollars; by rule, type, difficulty and language.

Two records are kept apart. `summarise` makes the stage's result, a function of the answers alone, the same in every run. `RunRecord`
holds what this run saw: minutes, retries of the network, money that may be lost. It does not count sentences
(:mod:`groundtune.generation.coverage`) or print tables (:mod:`groundtune.cli.generation_tables`).
"""

from groundtune.generation.statistics.outcome import GroupOutcome
from groundtune.generation.statistics.record import RunRecord
from groundtune.generation.statistics.summary import summarise
from groundtune.generation.statistics.usage import Usage, format_dollars, total_usage

__all__ = ["GroupOutcome", "RunRecord", "Usage", "format_dollars", "summarise", "total_usage"]
