"""Instruction data as token ids and weights on disk: made once for a key, on all cores, and mapped back into memory.

This package does not read sources, filter or mix, and it does not train.
"""

from groundtune.dataset.prepared.preparing import prepare
from groundtune.dataset.prepared.rendering import Told, count_targets, encode_text, place_of, tell
from groundtune.dataset.prepared.shards import Row, Shard, read_shard
from groundtune.dataset.prepared.sides import SIDES, PreferencePairs, Side, pair_up, side_of
from groundtune.dataset.prepared.store import CHOSEN_ONLY, Block, Prepared, open_prepared, prepared_key, shard_path
from groundtune.dataset.prepared.taking import ConversationFile, Taken, rows_of
from groundtune.dataset.prepared.workers import count_processes, work_in_blocks

__all__ = [
    "CHOSEN_ONLY",
    "SIDES",
    "Block",
    "ConversationFile",
    "PreferencePairs",
    "Prepared",
    "Row",
    "Shard",
    "Side",
    "Taken",
    "Told",
    "count_processes",
    "count_targets",
    "encode_text",
    "open_prepared",
    "pair_up",
    "place_of",
    "prepare",
    "prepared_key",
    "read_shard",
    "rows_of",
    "shard_path",
    "side_of",
    "tell",
    "work_in_blocks",
]
