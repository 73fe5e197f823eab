"""Readers and the structure-aware chunker: a folder of Markdown, or a pre-chunked JSON file, into `Chunk` records.

It decides what is text, where a passage begins and ends, and what can be read off the passage: module, language, tables
named, modules referred to. It does not write files, decide what is stale, or relate chunks to one another.
"""

from groundtune.documents.ingestion import Ingested, ingest, source_files

__all__ = ["Ingested", "ingest", "source_files"]
