"""What a model is, told from its files: sizes, tokenizer, licence, memory to train it, whether shared prefixes fit it.

No weights are read but the headers of their files; sizes come from an empty model of the same architecture. What this
package does not do: run code of a model's folder, render its chat template (:mod:`groundtune.chat`), or ask the model itself
whether sharing is right for it (:func:`groundtune.prefix.probe_model`).
"""

from groundtune.models.inspecting.inspection import Inspection, inspect_model
from groundtune.models.inspecting.memory import FORMULA, LEFT_OUT, MemoryNeed, Precision, Shape, memory_needs
from groundtune.models.inspecting.sources import Licence, Weights, read_licence, read_weights
from groundtune.models.inspecting.structure import Sharing, Sizes, empty_model, sharing_of, sizes_of
from groundtune.models.inspecting.tokenizers import SpecialToken, TokenizerFacts, tokenizer_facts

__all__ = [
    "FORMULA",
    "LEFT_OUT",
    "Inspection",
    "Licence",
    "MemoryNeed",
    "Precision",
    "Shape",
    "Sharing",
    "Sizes",
    "SpecialToken",
    "TokenizerFacts",
    "Weights",
    "empty_model",
    "inspect_model",
    "memory_needs",
    "read_licence",
    "read_weights",
    "sharing_of",
    "sizes_of",
    "tokenizer_facts",
]
