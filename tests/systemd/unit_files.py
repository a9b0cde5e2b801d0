"""Unit files as systemd reads them: sections, keys, and the values a key has been given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "systemd"
SERVICES = ("catflap", "catflap-link", "catflap-update", "catflap-later")

_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "sec": 1.0, "min": 60.0}


@dataclass(frozen=True, slots=True)
class Unit:
    """One file; ``lines`` are (section, key, value) in their order."""

    name: str
    lines: tuple[tuple[str, str, str], ...]

    def all(self, key: str) -> list[str]:
        """Return every value that a key is given."""
        return [value for _, known, value in self.lines if known == key]

    def one(self, key: str) -> str:
        """Return the only value of a key."""
        (value,) = self.all(key)
        return value

    def seconds(self, key: str) -> float:
        """Return a time span, in seconds."""
        match = re.fullmatch(r"(\d+)(ms|s|sec|min|)", self.one(key))
        assert match is not None
        return int(match[1]) * _SECONDS[match[2]]


def unit(path: str) -> Unit:
    """Return a file below ``systemd/``."""
    section, found = "", []
    for line in (UNITS / path).read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith(("#", ";")):
            key, _, value = line.partition("=")
            found.append((section, key, value))
    return Unit(path, tuple(found))


def service(name: str) -> Unit:
    """Return a service."""
    return unit(f"{name}.service")
