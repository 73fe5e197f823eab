"""Chunks that belong together, put side by side by eleven structural rules.

Each rule is one function over the metadata of the chunks and the ``relations`` section of the configuration. What this
package does not do: read documents, ask questions about the groups, or write files.
"""

from groundtune.grouping.build import RULES, GroupList, build_groups
from groundtune.grouping.describe import describe_groups

__all__ = ["RULES", "GroupList", "build_groups", "describe_groups"]
