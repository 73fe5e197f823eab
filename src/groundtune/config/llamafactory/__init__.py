"""LLaMA-Factory's YAML, read as it is: each of its keys becomes a native setting, a note, or an error that names its line.

What this package does not do: know every past or future key (those of 0.9.5 are there), or read data sets.
"""

from groundtune.config.llamafactory.conversion import Conversion, convert, is_llamafactory
from groundtune.config.llamafactory.converting import Setting
from groundtune.config.llamafactory.keys import ACCEPTED, KNOWN, MAPPED
from groundtune.config.llamafactory.refused import REFUSED
from groundtune.config.llamafactory.writing import native_yaml

__all__ = [
    "ACCEPTED",
    "KNOWN",
    "MAPPED",
    "REFUSED",
    "Conversion",
    "Setting",
    "convert",
    "is_llamafactory",
    "native_yaml",
]
