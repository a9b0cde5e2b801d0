"""What a flap's life lives on, made beforehand: visits of a simulated night, and an owner's signed pushes."""

from __future__ import annotations

import shutil
from datetime import timedelta
from typing import TYPE_CHECKING

from flap_life import NOW, Supplies
from push_keys import Keyring
from push_repository import Repository
from push_tar import pack, ustar
from small_bundles import small_bundle

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.assembly import Host
from edge.daemon import Daemon, StopFlag, Stores

if TYPE_CHECKING:
    from pathlib import Path

PUSHES = 120
"""More than a life comes to; ``crash_states`` shows with the last that a flap still works."""

FILLING = 12_000
"""Characters in each file of a bundle: so that each takes several blocks of the disk."""


class FixedPassphrase:
    """Knows the passphrase of keys that protect nothing."""

    def new(self, what: str) -> str:
        """Return it."""
        return self.known(what)

    def known(self, what: str) -> str:  # noqa: ARG002 - the form of the port
        """Return it."""
        return "keys of a disk under test"


def supplies(directory: Path) -> Supplies:
    """Return supplies, made where they are missing; the simulated night takes half a minute."""
    made = Supplies(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if not (directory / "visits").exists():
        _visits(directory)
    if not made.push(PUSHES).exists():
        make_pushes(made, PUSHES)
    return made


def _visits(directory: Path) -> None:
    """Let the real daemon record the shipped night, and keep what its spool then holds."""
    night = directory / "night"
    shutil.rmtree(night, ignore_errors=True)
    night.mkdir()
    stage = simulation.stage(simulation.find_scene("night"), night, None)
    Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), Stores(stage.files)).run(StopFlag())
    records = [path for path in (night / "spool").iterdir() if (path / "visit.json").exists()]
    for path in records:
        shutil.copytree(path, directory / ".visits" / path.name)
    (directory / ".visits").rename(directory / "visits")
    shutil.rmtree(night)


def make_pushes(made: Supplies, count: int) -> None:
    """Let an owner sign so many bundles, each newer than the one before, and pack what is then pushed."""
    for name in ("owner", "pushes"):
        shutil.rmtree(made.directory / name, ignore_errors=True)
    owner = made.directory / "owner"
    number = 0
    keys = Keyring(owner / "offline", owner / "daily", FixedPassphrase())
    repository = Repository(owner, keys, lambda: NOW - timedelta(minutes=count - number))
    repository.create()
    (made.directory / "root.json").write_bytes(repository.root_bytes())
    (made.directory / "pushes").mkdir()
    for number in range(1, count + 1):
        bundle = small_bundle(owner / "bundles" / str(number), f"{number}.0.0", "content " * (FILLING // 8))
        repository.publish(pack(bundle))
        made.push(number).write_bytes(ustar(repository.files().items()))
        shutil.rmtree(bundle)
