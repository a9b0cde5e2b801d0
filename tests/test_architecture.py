"""The floors of the house: who may import whom, and what the lower floors never load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

EDGE = Path(__file__).parent.parent / "edge"

FLOORS: dict[str, int] = {
    "messages": 0,
    "errors": 0,
    "hours": 0,
    "coils": 0,
    "config": 1,
    "ports": 1,
    "codec": 1,
    "files": 1,
    "gate": 2,
    "quality": 2,
    "features": 2,
    "scoring": 2,
    "evaluation": 2,
    "policy": 2,
    "identity": 2,
    "door": 2,
    "coil": 2,
    "drift": 2,
    "opening": 2,
    "worth": 2,
    "canonical": 2,
    "keeper": 2,
    "record": 2,
    "house": 2,
    "walltime": 2,
    "answers": 2,
    "entry": 3,
    "housekeeper": 3,
    "driftkeeper": 3,
    "owner": 3,
    "visits": 3,
    "trials": 3,
    "journal": 3,
    "spool": 3,
    "galleries": 3,
    "bundle": 3,
    "inbox": 3,
    "pipeline": 4,
    "recorder": 4,
    "shadow": 4,
    "trialbook": 4,
    "modelkeeper": 5,
    "slots": 4,
    "adapters": 5,
    "unpacking": 4,
    "updater": 4,
    "assembly": 6,
    "trying": 6,
    "daemon": 7,
    "update": 7,
    "link": 7,
    "replay": 7,
    "doctor": 7,
    "simulation": 7,
    "rest": 7,
    "demo": 8,
    "commands": 9,
    "cli": 10,
}
"""The lowest floor is 0; `edge` itself holds nothing but the version."""

FORBIDDEN_BELOW_4 = (
    "ai_edge_litert", "gpiozero", "picamera2", "serial", "socket", "structlog", "systemd_watchdog", "tflite_runtime",
)  # fmt: skip


def _room(path: Path) -> str:
    return path.relative_to(EDGE).parts[0].removesuffix(".py")


def _modules() -> list[Path]:
    return sorted(path for path in EDGE.rglob("*.py") if path != EDGE / "__init__.py")


def _imports(path: Path) -> set[tuple[str, str]]:
    """Return (room, written form) of every import of the house in a file."""
    found: set[tuple[str, str]] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "edge":
            found |= {(alias.name, f"edge.{alias.name}") for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("edge."):
            found.add((str(node.module).split(".")[1], str(node.module)))
        elif isinstance(node, ast.Import):
            found |= {(alias.name.split(".")[1], alias.name) for alias in node.names if alias.name.startswith("edge.")}
    return found


def test_every_room_has_a_floor() -> None:
    """A module without a floor is a module nobody has thought about."""
    assert sorted(FLOORS) == sorted({_room(path) for path in _modules()})


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(EDGE)))
def test_a_module_imports_from_lower_floors_only(path: Path) -> None:
    """A module imports only from lower floors; rooms of one floor are strangers, files of one room are not."""
    room = _room(path)
    wrong = [text for other, text in _imports(path) if other != room and FLOORS.get(other, -1) >= FLOORS[room]]
    assert [] == wrong


def test_each_loop_beats_in_one_place() -> None:
    """One heartbeat per finished tick and from nowhere else; the network process, another unit, has one of its own."""
    calls = [
        _room(path)
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "beat"
    ]
    assert ["link", "pipeline"] == sorted(calls)


def test_nothing_imports_relatively() -> None:
    """Imports are absolute, so that the floor of what is imported can be read off the line."""
    relative = [
        str(path)
        for path in _modules()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    assert [] == relative


def test_lower_floors_load_no_hardware_and_no_network() -> None:
    """Floors 0 to 3 load neither hardware, network nor ML libraries (numpy and OpenCV excepted)."""
    rooms = [name for name, floor in FLOORS.items() if floor <= 3]
    code = "import sys\n" + "".join(f"import edge.{name}\n" for name in rooms) + "print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in result.stdout.splitlines()}
    assert set() == loaded & set(FORBIDDEN_BELOW_4)
