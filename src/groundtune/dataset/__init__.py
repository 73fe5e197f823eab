"""Question-answer pairs to training, validation and test examples.

Splits follow evidence, contexts are fitted to a length without losing evidence, and every pair that does not become an
example is counted by reason. This package does not tokenise (a counter is passed in), train, or write files.
"""

from groundtune.dataset.examples import Built, CountTokens, build_dataset, build_examples
from groundtune.dataset.preview import Preview, preview_tokens
from groundtune.dataset.split import split_pairs

__all__ = [
    "Built",
    "CountTokens",
    "Preview",
    "build_dataset",
    "build_examples",
    "preview_tokens",
    "split_pairs",
]
