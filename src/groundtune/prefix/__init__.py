"""The prefix tree: examples that share prefixes are trained with each prefix computed once, and the gradient is the same.

The way through it: :func:`build_tree` merges tokenised examples, :func:`plan_steps` deals them to optimizer steps,
:func:`pack_rows` lays a step out as rows, :func:`row_tensors` makes tensors of a row, and a model that
:func:`prepare_model` prepared gives the row's loss. :func:`probe_model` refuses models that this would be wrong for.
What this package does not do: tokenise, train, or read files. Importing it loads torch and transformers.
"""

from groundtune.prefix.attention import ATTENTION
from groundtune.prefix.batch import row_tensors
from groundtune.prefix.columns import IGNORED
from groundtune.prefix.examples import TokenisedExamples
from groundtune.prefix.model import PreparedModel
from groundtune.prefix.probe import probe_model
from groundtune.prefix.rows import Owners, Row, pack_rows, row_fill
from groundtune.prefix.sharing import SharedRows, collate_row, evaluate_rows, prepare_model, share_prefixes
from groundtune.prefix.steps import plan_steps
from groundtune.prefix.tree import PrefixTree, TreeStatistics, build_tree

__all__ = [
    "ATTENTION",
    "IGNORED",
    "Owners",
    "PrefixTree",
    "PreparedModel",
    "Row",
    "SharedRows",
    "TokenisedExamples",
    "TreeStatistics",
    "build_tree",
    "collate_row",
    "evaluate_rows",
    "pack_rows",
    "plan_steps",
    "prepare_model",
    "probe_model",
    "row_fill",
    "row_tensors",
    "share_prefixes",
]
