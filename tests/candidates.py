"""Bundles to be tried: the factory's under another version, as good as it or spoilt on purpose."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from edge import bundle
from edge.messages import LABELS, Label
from edge.slots import SlotName, SlotRecord, Slots, TrialKind

if TYPE_CHECKING:
    from pathlib import Path


def candidate(target: Path, version: str, favours: Label | None = None, temperature: float | None = None) -> Path:
    """Return a copy of the factory's bundle.

    One that ``favours`` a label says it of whatever it is shown; at a high ``temperature`` it is sure of nothing.
    """
    shutil.copytree(bundle.factory_directory(), target)
    path = target / bundle.MANIFEST
    manifest = json.loads(path.read_bytes())
    manifest["version"] = version
    if favours is not None:
        manifest["calibration"]["bias"][LABELS.index(favours)] += 12.0
    if temperature is not None:
        manifest["calibration"]["temperature"] = temperature
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return target


def push(slots: Slots, source: Path, share: float = 0.0) -> SlotRecord:
    """Put a bundle on trial, as the updater does once it is verified."""
    told = bundle.load(source)
    record = SlotRecord(
        SlotName.A, told.model_id, told.manifest.version, told.manifest_sha256, "", ("key",), "a test's wish"
    )
    slots.install(source, record)
    slots.begin_trial(TrialKind.SHADOW)
    if share:
        slots.begin_trial(TrialKind.AB, share)
    return record
