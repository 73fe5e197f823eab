"""The texts told to a language model: built-in ones, or those of a user's folder, checked.

A folder holds files named ``{part}.{language}.yaml``; the parts are the profile (``v1``, ``v2``), ``rules`` and
``false_premise``. What the folder lacks is taken from the built-in files, and a language that has neither gets the English
text with an instruction to write in that language.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from groundtune.errors import ConfigError
from groundtune.files import make_folder, sha256_text, write_text
from groundtune.generation.answers.schema import Profile
from groundtune.generation.prompts.checking import PARTS, check_names, read_part
from groundtune.generation.prompts.languages import language_name
from groundtune.types import Language, Rule

BUILT_IN: tuple[Language, ...] = ("en", "tr")


@dataclass(frozen=True, slots=True)
class PromptTexts:
    """What one language's requests are made of; places in braces not yet filled."""

    language_name: str
    system: str
    context: str
    user: str
    rules: Mapping[Rule, str]
    false_premise_system: str
    false_premise_user: str


@lru_cache(maxsize=32)
def prompt_texts(language: Language, profile: Profile = "v2") -> PromptTexts:
    """The built-in texts of `language`, or the English ones that ask for it.

    >>> prompt_texts("tr").language_name, prompt_texts("de").language_name
    ('Türkçe', 'German')
    """
    return _assemble(None, profile, language)


def load_prompts(folder: Path | None, profile: Profile, languages: Iterable[Language]) -> dict[Language, PromptTexts]:
    """The texts of every language, from `folder` where it has them; None: all built-in.

    Raises:
        ConfigError: the folder is missing or holds nothing to use, or a file of it is not YAML, has an unknown or missing
            key, rule or place. Says the file and, where there is one, the line.
    """
    if folder is None:
        return {language: prompt_texts(language, profile) for language in languages}
    check_names(folder)
    texts = {language: _assemble(folder, profile, language) for language in languages}
    if not any((folder / f"{part}.{name}.yaml").is_file() for part in _parts(profile) for name in (*texts, "en")):
        raise ConfigError(
            f"{folder}: no file in it is used by profile {profile!r} for {', '.join(texts)}; expected one such as "
            f"{profile}.{next(iter(texts), 'en')}.yaml, which `groundtune init --prompts` writes"
        )
    return texts


def load_judge_texts(folder: Path | None, languages: Iterable[Language]) -> dict[Language, dict[str, str]]:
    """What the judge is told in each language, from `folder` where it has it; English where there is none in the language.

    Raises:
        ConfigError: as `load_prompts`.
    """
    return {language: _source(folder, "judge", language)[0] for language in languages}


def prompt_hash(texts: Mapping[Language, PromptTexts]) -> str:
    """sha256 over all texts: the version of the prompts. Equal texts have equal hashes wherever they were read from."""
    value = {language: asdict(texts[language]) for language in sorted(texts)}
    return sha256_text(json.dumps(value, ensure_ascii=False, sort_keys=True))


def write_prompts(folder: Path) -> list[Path]:
    """Copy the built-in files to `folder`, for editing; returns them.

    Raises:
        ConfigError: one of them is there already; nothing is written then.
        StorageError: the folder cannot be written.
    """
    files = [folder / f"{part}.{language}.yaml" for part in PARTS for language in BUILT_IN]
    for file in files:
        if file.exists():
            raise ConfigError(f"{file}: exists already; move it away or choose another folder, so that no edit is lost")
    make_folder(folder)
    for file in files:
        write_text(file, _built_in(file.name))
    return files


@dataclass(frozen=True, slots=True)
class Wording:
    """What code adds to requests in a language."""

    other_language: str
    focus: str
    uncovered: str
    repair: str
    rest: str


@lru_cache(maxsize=8)
def wording(language: Language) -> Wording:
    """Of `language`, or English."""
    known = language if language in BUILT_IN else "en"
    values = yaml.safe_load(_built_in(f"wording.{known}.yaml"))
    return Wording(**{key: text.strip() for key, text in values.items()})


def _parts(profile: Profile) -> tuple[str, ...]:
    return (profile, "rules", "false_premise")


def _assemble(folder: Path | None, profile: Profile, language: Language) -> PromptTexts:
    sources = {part: _source(folder, part, language) for part in _parts(profile)}
    values = {part: text for part, (text, _) in sources.items()}
    name = values[profile]["language_name"] if sources[profile][1] == language else language_name(language)
    systems = {}
    for part in (profile, "false_premise"):
        systems[part] = values[part]["system"]
        if sources[part][1] != language:
            systems[part] += "\n\n" + wording("en").other_language.replace("{language_name}", name)
    return PromptTexts(
        language_name=name,
        system=systems[profile],
        context=values[profile]["context"],
        user=values[profile]["user"],
        rules={rule: values["rules"]["rules"][rule.value] for rule in Rule},
        false_premise_system=systems["false_premise"],
        false_premise_user=values["false_premise"]["user"],
    )


def _source(folder: Path | None, part: str, language: Language) -> tuple[dict[str, Any], Language]:
    """A part's texts and the language they are written in: the folder before the built-in files, `language` before English."""
    for name in dict.fromkeys((language, "en")):
        file = None if folder is None else folder / f"{part}.{name}.yaml"
        if file is not None and file.is_file():
            return read_part(file.read_bytes(), file, part), name
        if name in BUILT_IN:
            path = Path(f"{part}.{name}.yaml")
            return read_part(_built_in(path.name).encode(), path, part), name
    raise AssertionError("English is built in")


def _built_in(name: str) -> str:
    folder = resources.files("groundtune.generation") / "prompts_text"
    return (folder / name).read_text(encoding="utf-8")
