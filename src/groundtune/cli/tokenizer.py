"""`groundtune tokenizer`: train one on the documents or on any text, and compare several on the same text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from groundtune.cli.options import (
    DEFAULT_CONFIG,
    AsJson,
    BuildByDefault,
    Overrides,
    Target,
    check_new,
    names_in,
    print_json,
    tell,
)

if TYPE_CHECKING:
    from groundtune.models import TokenizerSummary
    from groundtune.training.corpus import LeftOut, Source

tokenizer_app = typer.Typer(cls=BuildByDefault, help="Train tokenizers; compare them on the same text.")

TEXT_FILES = (
    "Text: .txt, .md, .jsonl and .parquet with a column text, also .gz; folders of them, or patterns in quotes."
)
MEGABYTE = 1_000_000

Languages = Annotated[
    str, typer.Option("--languages", help="Languages to tell apart in the figures, with commas; empty for none.")
]


@tokenizer_app.command("build", epilog="Example: groundtune tokenizer")
def build(target: Target = DEFAULT_CONFIG, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Train a tokenizer on the documents, when the model is made from scratch (the default)."""
    from groundtune.cli.stages import bring_up_to

    bring_up_to("tokenizer", target, overrides, as_json)


@tokenizer_app.command("train", epilog="Example: groundtune tokenizer train docs --out my-tokenizer --vocab-size 8000")
def train(
    files: Annotated[list[str], typer.Argument(help=TEXT_FILES)],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write; it must not be there yet.")],
    vocab_size: Annotated[
        int, typer.Option("--vocab-size", min=300, max=64000, help="Most entries of the vocabulary.")
    ] = 64000,
    template: Annotated[
        str, typer.Option("--chat-template", help="A built-in template or a Jinja file that the tokenizer gets.")
    ] = "llama3",
    languages: Languages = "tr,en",
    as_json: AsJson = False,
) -> None:
    """Train a byte-level BPE tokenizer on files of text, read as a stream, and tell how it fits them."""
    from groundtune.chat import load_template
    from groundtune.errors import DataError
    from groundtune.files import atomic_folder
    from groundtune.models import compare_tokenizers, train_tokenizer
    from groundtune.training.corpus import LeftOut, find_sources

    check_new(out)
    chat_template = load_template(template)
    sources = find_sources(files, Path.cwd(), setting="FILES")
    left_out = LeftOut()
    try:
        tokenizer = train_tokenizer(
            _texts(sources, left_out, "reading text"), vocab_size=vocab_size, chat_template=chat_template
        )
    except DataError as error:
        if not left_out.skips:
            raise
        raise DataError(f"FILES: no text to train a tokenizer on; {'; '.join(_reasons(left_out))}") from error
    # a second time through the files, so that they need not be held; what is left out was counted the first time
    texts = _texts(sources, LeftOut(), "counting tokens")
    summary = compare_tokenizers({out.name: tokenizer}, texts, language_of=_language_of(languages))
    with atomic_folder(out) as folder:
        tokenizer.save_pretrained(str(folder))
    _tell(summary, sources, left_out, as_json, folder=out)


@tokenizer_app.command("compare", epilog="Example: groundtune tokenizer compare my-tokenizer gpt2 --on docs")
def compare(
    tokenizers: Annotated[
        list[str], typer.Argument(metavar="TOKENIZER...", help="Folders or Hugging Face ids of tokenizers.")
    ],
    on: Annotated[list[str], typer.Option("--on", metavar="FILES", help=f"{TEXT_FILES} Several times.")],
    languages: Languages = "tr,en",
    as_json: AsJson = False,
) -> None:
    """Count the tokens that each tokenizer makes of the same text: per word, per character, by language."""
    from groundtune.models import compare_tokenizers, open_tokenizer
    from groundtune.training.corpus import LeftOut, find_sources

    sources = find_sources(on, Path.cwd(), setting="--on")
    opened = {name: open_tokenizer(name) for name in dict.fromkeys(tokenizers)}
    left_out = LeftOut()
    texts = _texts(sources, left_out, "counting tokens")
    _tell(compare_tokenizers(opened, texts, language_of=_language_of(languages)), sources, left_out, as_json)


def _texts(sources: Sequence[Source], left_out: LeftOut, label: str) -> Iterator[str]:
    """The text of all files in pieces, with a bar that is right at the end of each file: a packed one holds more text than
    its size."""
    from groundtune.progress import ProgressBar
    from groundtune.training.corpus import read_texts

    sizes = [source.path.stat().st_size for source in sources]
    with ProgressBar(label, total=max(1, sum(sizes) // MEGABYTE), unit="MB") as bar:
        before = 0
        for source, size in zip(sources, sizes, strict=True):
            read = 0
            for pieces in read_texts(source, left_out):
                for piece in pieces():
                    yield piece
                    read = min(read + len(piece.encode("utf-8", "replace")), size)
                    bar.advance((before + read) // MEGABYTE - bar.done, note=source.path.name)
            before += size
            bar.advance(before // MEGABYTE - bar.done)


def _language_of(languages: str) -> Callable[[str], str] | None:
    """What tells the language of a text. Raises `ConfigError` for one that cannot be told."""
    from groundtune.errors import ConfigError
    from groundtune.language import detect_language

    asked = names_in(languages)
    try:
        # one alone would be taken unseen
        detect_language("which of them can be told apart", [*asked, "tr", "en"])
    except ValueError as error:
        raise ConfigError(f"--languages {languages!r}: {error}; give codes such as tr,en") from error
    # enough to tell by; a language needs no more than a page
    return (lambda text: detect_language(text[:4000], asked)) if asked else None


def _tell(
    found: Mapping[str, TokenizerSummary],
    sources: Sequence[Source],
    left_out: LeftOut,
    as_json: bool,
    folder: Path | None = None,
) -> None:
    if as_json:
        record: dict[str, Any] = {"folder": str(folder)} if folder is not None else {}
        record["files"] = [source.name for source in sources]
        record["left_out"] = {"reasons": dict(left_out.skips), "places": left_out.places}
        print_json(record | {"tokenizers": {name: asdict(summary) for name, summary in found.items()}})
        return
    _show(found)
    for reason in _reasons(left_out):
        tell(reason)
    if folder is not None:
        typer.echo(f"written to {folder}")


def _reasons(left_out: LeftOut) -> list[str]:
    from groundtune.cli.display import left_out as told

    return [told(number, reason, left_out.places[reason][:3]) for reason, number in left_out.skips.items()]


def _show(found: Mapping[str, TokenizerSummary]) -> None:
    from groundtune.cli.display import Sheet, output

    languages = list(dict.fromkeys(language for summary in found.values() for language in summary.by_language))
    fits = ("a word", *(f"a word, {each}" for each in languages), "a character")
    sheet = Sheet("", "tokenizer", "entries", "tokens", *fits, "unused entries", "texts changed")
    for name, each in found.items():
        of_languages = (each.by_language.get(language) for language in languages)
        sheet.row(
            name,
            f"{each.entries:,}",
            f"{each.tokens:,}",
            f"{each.tokens_per_word:.3f}",
            *("–" if fit is None else f"{fit.tokens_per_word:.3f}" for fit in of_languages),
            f"{each.tokens_per_character:.4f}",
            f"{each.unused_entries:,}",
            f"{each.changed_texts:,}",
        )
    sheet.show(output())
