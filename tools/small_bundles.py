"""Bundles of a few kilobytes: what `edge.bundle.load` verifies is all there, and no model is in it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING

from edge.bundle import FILES, MANIFEST, factory_directory, load
from edge.slots import SlotName, SlotRecord

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0" * 60 + "beef"


def small_bundle(directory: Path, version: str, content: str = "") -> Path:
    """Write a bundle of this version; ``content`` makes another one of the same version. Return its directory."""
    directory.mkdir(parents=True)
    table = json.loads((factory_directory() / MANIFEST).read_bytes())
    table.update(name="small", version=version, metrics=[], files=[])
    for name in FILES:
        data = f"{name} of {version} {content}\n".encode()
        (directory / name).write_bytes(data)
        table["files"].append({"name": name, "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)})
    (directory / MANIFEST).write_text(json.dumps(table), encoding="utf-8")
    return directory


def record_of(directory: Path, why: str = "pushed") -> SlotRecord:
    """Return what an updater would say of a bundle whose signatures it has verified."""
    bundle = load(directory)
    version = bundle.manifest.version
    return SlotRecord(SlotName.A, bundle.model_id, version, bundle.manifest_sha256, "", (KEY,), why)
