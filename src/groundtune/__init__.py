"""groundtune: from a folder of documentation to a small assistant that answers from it, and the proof of what tuning did."""

from groundtune.registration import register_when_needed as _register_when_needed

__version__ = "0.1.0"

_register_when_needed()
