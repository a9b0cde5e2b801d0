"""A flap with an owner, and the owner's repository: what the tests of the update service start from."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tuf_made import NOW, Repository, tar

from edge.bundle import FILES, MANIFEST, factory_directory
from edge.files import DiskFiles
from edge.slots import MODELS, Slots
from edge.trying import Tried
from edge.update import Parts, update
from edge.updater import bind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from edge.answers import Answer

Entries = dict[str, bytes]
FACTORY: Entries = {name: (factory_directory() / name).read_bytes() for name in (MANIFEST, *FILES)}


def bundle_of(version: str, change: Callable[[dict[str, Any]], None] | None = None, **files: bytes) -> Entries:
    """The factory's bundle under another version; ``change`` alters its manifest, ``files`` its files.

    A file is named with ``_`` for its dot. The manifest agrees with the files, as a careless maker's would.
    """
    entries = FACTORY | {name.replace("_", ".", 1): data for name, data in files.items()}
    manifest = json.loads(FACTORY[MANIFEST])
    manifest["version"] = version
    for about in manifest["files"]:
        data = entries[about["name"]]
        about |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    if change is not None:
        change(manifest)
    return entries | {MANIFEST: json.dumps(manifest).encode()}


def custom_of(entries: Entries) -> dict[str, Any]:
    """What is signed beside a bundle."""
    manifest = json.loads(entries[MANIFEST])
    digest = hashlib.sha256(entries[MANIFEST]).hexdigest()[:8]
    return {
        "kind": "catflap-bundle",
        "model_id": f"{manifest['name']} {manifest['version']} {digest}",
        "version": manifest["version"],
        "hardware": "catflap-1",
        "runtimes": manifest["runtimes"],
    }


class QuickFiles(DiskFiles):
    """The real disk without the waiting: what is synced when is another test's question."""

    def write(self, path: Path, data: bytes) -> None:
        """Write."""
        path.write_bytes(data)

    def sync_directory(self, path: Path) -> None:
        """Do not wait."""


@dataclass
class Flap:
    """A flap that trusts its owner's first root. ``clock`` is the system's, ``tried`` what came as far as a trial.

    ``verdict`` is what every trial says.
    """

    state: Path
    repository: Repository = field(default_factory=Repository)
    clock: datetime = NOW
    tried: list[str] = field(default_factory=list)
    events: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    verdict: Tried = field(default_factory=lambda: Tried(ok=True, why="tried by the test"))
    files: DiskFiles = field(default_factory=QuickFiles)

    def __post_init__(self) -> None:
        """Adopt it."""
        bind(self.trust, self.repository.files["metadata/1.root.json"], self.files)
        self.slots = Slots(self.state / MODELS, self.files)

    @property
    def trust(self) -> Path:
        """What it trusts."""
        return self.state / "trust"

    @property
    def inbox(self) -> Path:
        """What was pushed."""
        return self.state / "incoming"

    @property
    def target(self) -> Path:
        """The one target that lies in the inbox."""
        (found,) = (self.inbox / "targets").iterdir()
        return found

    def offer(self, entries: Entries | bytes, custom: object = None, **more: object) -> None:
        """Let the owner sign a bundle, or whatever is to travel as one, as the one to have."""
        data = entries if isinstance(entries, bytes) else tar(sorted(entries.items()))
        said = custom_of(entries) if custom is None and isinstance(entries, dict) else custom or CUSTOM
        self.repository.signed["targets"].targets.clear()
        self.repository.files = {name: data for name, data in self.repository.files.items() if "targets/" not in name}
        self.repository.add_target("model.tar", data, {**said, **more} if isinstance(said, dict) else said)
        self.repository.release()

    def deliver(self) -> None:
        """Put the repository into the inbox in place of what lies there."""
        shutil.rmtree(self.inbox, ignore_errors=True)
        self.repository.write(self.inbox)
        (self.inbox / "targets").mkdir(exist_ok=True)

    def update(self) -> Answer:
        """Run the update service once."""
        return update(self.state, Parts(self.files, self._wall, self._tell, self._try_out, self.slots))

    def push(self, version: str) -> Answer:
        """Push an honest bundle."""
        self.offer(bundle_of(version))
        self.deliver()
        return self.update()

    def _wall(self) -> datetime:
        self.asked += 1
        return self.clock

    def _tell(self, kind: str, detail: str) -> None:
        self.events.append((kind, detail))

    def _try_out(self, directory: Path) -> Tried:
        self.tried.append(json.loads((directory / MANIFEST).read_bytes())["version"])
        return self.verdict


CUSTOM = custom_of(bundle_of("0.4.0"))
