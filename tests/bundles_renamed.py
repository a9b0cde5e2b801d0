"""Copies of a bundle under another version, for pushing one after the other."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def with_version(source: Path, directory: Path, version: str | None) -> Path:
    """Copy a bundle's files and write another version into the manifest; None: the same. Return ``directory``."""
    shutil.copytree(source, directory)
    if version is not None:
        manifest = directory / "manifest.json"
        table = json.loads(manifest.read_text(encoding="utf-8"))
        manifest.write_text(json.dumps({**table, "version": version}), encoding="utf-8")
    return directory
