"""What holds for the command as a whole: quick to start, the same options on every verb, one sentence each; and public names."""

import importlib
import importlib.metadata
import json
import pkgutil
import re
import subprocess
import sys

import pytest
import typer.main
from typer.testing import CliRunner

import groundtune
from groundtune.cli.main import app

VERBS = [
    "pilot",
    "bench",
    "init",
    "run",
    "ingest",
    "group",
    "generate",
    "dataset",
    "tokenizer",
    "pretrain",
    "train",
    "evaluate",
    "judge",
    "trace",
    "rate",
    "chat",
    "doctor",
    "models",
    "config",
]
HEAVY = (
    "torch",
    "transformers",
    "tokenizers",
    "numpy",
    "tensorboard",
    "accelerate",
    "safetensors",
    "bm25s",
    "py3langid",
)


def commands():
    """Every command a person can type, by its words; `dataset` and `tokenizer` are families."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {word}": each for word, each in inner.items()} if inner else {name: command}
    return found


COMMANDS = commands()


def loaded_by(code):
    """Top-level packages that a fresh interpreter has loaded after `code`."""
    script = f"import json, sys\n{code}\nprint(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_verbs_are_those_of_the_readme():
    assert sorted(VERBS) == sorted({name.split()[0] for name in COMMANDS})


def test_help_loads_nothing_heavy():
    help_of_everything = "\n".join(
        [
            "from groundtune.cli.main import app",
            "def help_of(*words):",
            "    try: app([*words, '--help'])",
            "    except SystemExit as end: assert not end.code",
            "help_of()",
            *(f"help_of({', '.join(map(repr, name.split()))})" for name in COMMANDS),
        ]
    )
    assert not set(HEAVY) & set(loaded_by(help_of_everything))


def test_help_is_answered_by_the_module_too():
    done = subprocess.run(
        [sys.executable, "-m", "groundtune.cli.main", "--help"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert b"dataset" in done.stdout


def test_the_console_script_is_the_same_command():
    [script] = importlib.metadata.entry_points(group="console_scripts", name="groundtune")
    assert script.value == "groundtune.cli.main:main"


def test_importing_groundtune_loads_nothing_heavy():
    assert not set(HEAVY) & set(loaded_by("import groundtune"))


ROOMS_WITHOUT_A_MODEL = [
    "config",
    "types",
    "files",
    "manifest",
    "language",
    "pipeline",
    "serving",
    "documents",
    "grouping",
    "dataset",
    "evaluation",
    "generation",
    "llm",
]


def test_rooms_that_need_no_model_load_neither_torch_nor_transformers():
    # one after the other in one interpreter: the first that loads them is named
    each_in_turn = "\n".join(
        [
            "import importlib",
            f"for room in {ROOMS_WITHOUT_A_MODEL}:",
            "    importlib.import_module(f'groundtune.{room}')",
            "    assert not {'torch', 'transformers'} & sys.modules.keys(), room",
        ]
    )
    assert "groundtune" in loaded_by(each_in_turn)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_takes_json_and_help(name):
    command = COMMANDS[name]
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options
    for asking in ("-h", "--help"):
        told = CliRunner().invoke(app, [*name.split(), asking], env={"COLUMNS": "200"})
        assert told.exit_code == 0
        assert "--json" in told.output


WITHOUT_CONFIGURATION = ("init", "doctor", "models inspect", "models convert", "tokenizer train", "tokenizer compare")


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_CONFIGURATION])
def test_every_verb_that_reads_a_configuration_takes_set(name):
    assert "--set" in {option for parameter in COMMANDS[name].params for option in parameter.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_verb_is_told_in_one_sentence(name):
    told = COMMANDS[name].help
    assert told
    assert "\n" not in told.strip()
    assert re.fullmatch(r"[A-Z][^.]*(\.(?=\w)[^.]*)*\.( \([^)]*\)\.?)?|[A-Z].* \([^)]*\)\.", told.strip()), told


@pytest.mark.parametrize("name", COMMANDS)
def test_every_argument_and_option_is_told_too(name):
    untold = [parameter.name for parameter in COMMANDS[name].params if parameter.name != "help" and not parameter.help]
    assert not untold


PACKAGES = [
    "groundtune",
    *(found.name for found in pkgutil.walk_packages(groundtune.__path__, "groundtune.") if found.ispkg),
]


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_of_a_package_is_there_and_named_once(name):
    package = importlib.import_module(name)
    assert package.__doc__, "a package says what it does and what it does not"
    names = getattr(package, "__all__", [])
    assert len(names) == len(set(names))
    missing = [each for each in names if not hasattr(package, each)]
    assert not missing
