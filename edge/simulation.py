"""The flap in front of a simulated night: real daemon, model and stores; only the hardware is a twin. Floor 7."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge import assembly
from edge import config as configs
from edge.adapters.bolts import bolt_flap
from edge.adapters.clock import SimClock
from edge.adapters.guard import GuardFlap, limits_of
from edge.adapters.sim import World, load_scene, open_world, shipped_scene
from edge.adapters.sim.control import JoinedControl, SimControl
from edge.adapters.sim.guard import SimGuard
from edge.assembly import Devices
from edge.files import DiskFiles

if TYPE_CHECKING:
    from edge.adapters.sim import Scene
    from edge.config import Config
    from edge.files import Files
    from edge.ports import Flap

GUARD_UP_S = 600.0
"""The simulated guard had power this long before its scene began: a bucket that counts as full has run empty."""

NIGHTFALL = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
"""What the wall clock shows at the beginning of a scene that does not say."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A scene made ready: its world, its clock, the configuration it asks for and the twins of the hardware.

    ``script`` is the owner of the scene; the socket beside it is open to a person as on the device.
    """

    scene: Scene
    world: World
    clock: SimClock
    config: Config
    devices: Devices
    files: Files
    script: SimControl


class FillingDisk(DiskFiles):
    """The real disk, until the scene says that it is full."""

    def __init__(self, world: World) -> None:
        """Take the world that says so."""
        self._world = world

    def write(self, path: Path, data: bytes) -> None:
        """Write, or fail as a full disk does."""
        if self._world.disk_full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(path, data)


def find_scene(name: str) -> Path:
    """Return the file of a shipped scene, or of a path.

    Raises:
        ConfigError: there is no such scene.
    """
    path = Path(name)
    return path if path.suffix == ".toml" else shipped_scene(name)


def scene_config(scene: Scene, state_directory: Path) -> Config:
    """Return the owner's configuration of a scene, with simulated hardware.

    Raises:
        ConfigError: the scene's configuration is not one.
    """
    table = dict(scene.config)
    for section, values in (
        ("camera", {"kind": "sim"}),
        ("pins", {"factory": "sim"}),
        ("state", {"directory": str(state_directory)}),
        ("control", {"path": str(state_directory / "control.sock")}),
    ):
        table[section] = {**table.get(section, {}), **values}
    return configs.parse(table, f"{scene.title}: [config]")


def stage(path: Path, state_directory: Path, speed: float | None, *, endless: bool = False) -> Stage:
    """Set a scene up.

    Args:
        path: the scene's file.
        state_directory: where the journal and the spool go.
        speed: simulated seconds per real second; None: as fast as the machine can.
        endless: begin again when the scene is over, for ever.

    Raises:
        ConfigError: the scene or its configuration is not what it may be.
    """
    scene = load_scene(path)
    scene = replace(scene, endless=endless)
    config = scene_config(scene, state_directory)
    clock = SimClock(scene.starts or NIGHTFALL, speed)
    world = open_world(scene, clock)
    reader = None if config.chip.kind == "none" else lambda: world.chip_reader
    script = SimControl(scene, clock)
    devices = Devices(
        open_camera=world.camera,
        flap=_flap(config, world),
        sensors=world.sensors,
        lamp=world.lamp,
        indicator=world.indicator,
        open_chip_reader=reader,
        open_control=lambda: JoinedControl(script, assembly.open_control(config)),
    )
    return Stage(scene, world, clock, config, devices, FillingDisk(world), script)


def _flap(config: Config, world: World) -> Flap:
    """Return the world's coils, behind a guard where the scene has one."""
    if config.guard.kind == "none":
        return bolt_flap(world.flaps, config.lock, world.clock)
    guard = SimGuard(world.clock, limits_of(config.lock), world.flaps[0], up_s=GUARD_UP_S)
    return GuardFlap(guard, "guard.kind sim", config.lock, world.clock, ())
