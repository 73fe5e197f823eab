"""The layers of the house: imports run downward only, and rooms of the wide layer never know one another."""

import ast
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src" / "groundtune"

WORDS = [
    "errors",
    "types",
    "config",
    "files",
    "manifest",
    "language",
    "progress",
    "registration",
    "architecture",
    "unpacking",
]
LOW = ["chat", "llm", "models", "prefix"]
WIDE = ["documents", "grouping", "generation", "dataset", "training", "evaluation", "retrieval", "serving", "export"]

LAYER = (
    dict.fromkeys(WORDS, 0)
    | dict.fromkeys(LOW, 1)
    | dict.fromkeys(WIDE, 2)
    | {"pipeline": 3, "cli": 4, "studio": 4, "__main__": 5}
)
# among the words everybody speaks the order is part of the rule
WORD_ORDER = {"errors": 0, "types": 1, "config": 2, "files": 2, "language": 2, "progress": 2, "manifest": 3}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


@cache
def imports() -> set[tuple[str, str, str]]:
    found = set()
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, (
                    f"{path}: relative import; imports are absolute here, so that layers can be read off"
                )
                names = [node.module or ""]
                if node.module == "groundtune":
                    names = [f"groundtune.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "groundtune" and len(parts) > 1 and parts[1] != "__version__":
                    found.add((room_of(path), parts[1], str(path.relative_to(SOURCE))))
    return found


def test_every_room_has_a_layer():
    rooms = {room_of(path) for path in SOURCE.rglob("*.py")} - {"__init__"}
    assert rooms <= set(LAYER), f"rooms without a layer: {sorted(rooms - set(LAYER))}"


def test_imports_run_downward_only_and_neighbours_never_meet():
    wrong = []
    for room, other, path in sorted(imports()):
        if room in ("__init__", other):
            continue
        lower = LAYER[other] < LAYER[room]
        word = LAYER[room] == LAYER[other] == 0 and WORD_ORDER[other] < WORD_ORDER[room]
        if not (lower or word):
            wrong.append(f"{path} imports {other}")
    assert not wrong, "\n".join(wrong)


def test_the_rule_sees_the_imports_there_are():
    seen = {(room, other) for room, other, _ in imports()}
    assert ("cli", "pipeline") in seen
    assert ("pipeline", "documents") in seen
