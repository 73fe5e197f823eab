"""groundtune: from a folder of documentation to a small assistant that answers from it, and the proof of what tuning did."""

__version__ = "0.1.0"
