"""What each verb says that finds nothing to work on: with --json one object on standard output and the same on standard error."""

import fcntl
import json
import os
import pty
import struct
import sys
import termios

import pytest
import typer.main

from groundtune.cli.main import app, main
from groundtune.cli.options import tell


def commands():
    """Every command a person can type, by its words."""
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        inner = getattr(command, "commands", None)
        found |= {f"{name} {word}": each for word, each in inner.items()} if inner else {name: command}
    return found


COMMANDS = commands()

NEEDS_MORE = {
    "chat": ["--question", "what?"],
    "pilot": ["--models", "offline,offline"],
    "tokenizer train": ["--out", "made"],
    "tokenizer compare": ["--on", "nowhere.md"],
    "models convert": ["--tokenizer", "nowhere", "--out", "made"],
    "models inspect": ["--precision", "float8"],
}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "doctor"])
def test_a_mistake_is_one_json_object_on_standard_output(name, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    required = [
        "nowhere.yaml" for each in COMMANDS[name].params if each.param_type_name == "argument" and each.required
    ]
    monkeypatch.setattr(sys, "argv", ["groundtune", *name.split(), *required, *NEEDS_MORE.get(name, ()), "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    told = capsys.readouterr()
    value = json.loads(told.out)
    assert set(value) == {"error"}
    assert set(value["error"]) == {"kind", "message"}
    assert told.err == f"groundtune: {value['error']['message']}\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", COMMANDS)
def test_nothing_of_a_help_text_is_taken_for_mark_up(name) -> None:
    texts = [getattr(parameter, "help", None) or "" for parameter in COMMANDS[name].params]
    assert not any("[" in text for text in texts)


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "doctor"])
def test_the_example_of_a_verb_is_a_command_with_options_it_has(name) -> None:
    example = COMMANDS[name].epilog
    assert example.startswith(f"Example: groundtune {name.removesuffix(' build')}")
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert {word for word in example.split() if word.startswith("-")} <= known


def test_a_message_in_a_narrow_terminal_keeps_names_and_commands_whole(monkeypatch) -> None:
    inner, outer = pty.openpty()
    fcntl.ioctl(outer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with open(outer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        tell("another groundtune is working there; wait for it, or use --set workdir=FOLDER")
        terminal.flush()
        lines = os.read(inner, 1000).decode().splitlines()
    os.close(inner)
    assert lines == ["another groundtune is working there;", "wait for it, or use --set workdir=FOLDER"]
