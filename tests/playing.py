"""Plays a scene to the loop, with the oracle for a model and any part broken."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from oracle import Oracle

from edge import assembly, simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.assembly import Host, Memory
from edge.errors import HardwareError
from edge.messages import REST, BoltAction, FlapCommand, Visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from edge.door import DoorState
    from edge.messages import Label, Mode
    from edge.ports import ChipReader, Flap, Interpreter, Sensors


@dataclass
class Memo:
    """The Record port, in memory."""

    visits: list[Visit] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    heats: list[float] = field(default_factory=list)
    labels: list[tuple[str, Label]] = field(default_factory=list)
    houses: list[tuple[Mode | None, bool]] = field(default_factory=list)

    def visit(self, visit: Visit) -> None:
        """Keep a visit."""
        self.visits.append(visit)

    def event(self, kind: str, detail: str) -> None:
        """Keep an event and that it has a detail."""
        self.events.append(kind if detail or kind == "camera_back" else f"{kind} without detail")

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Keep a mode and a panic lock."""
        self.houses.append((mode, panic))

    def heat(self, heat_s: float) -> None:
        """Keep a heat."""
        self.heats.append(heat_s)

    def label(self, visit_id: str, label: Label) -> str | None:
        """Keep a label, of whatever visit."""
        self.labels.append((visit_id, label))
        return None


class Watched:
    """A flap that remembers what it was told, and may break at the n-th order for power."""

    def __init__(self, inner: Flap, breaks_at: int | None, failure: HardwareError) -> None:
        """Stand before the simulated flap."""
        self.inner = inner
        self.told: list[BoltAction] = []
        self._breaks_at, self._failure = breaks_at, failure

    def apply(self, command: FlapCommand) -> None:
        """Remember, and pass on."""
        self.told.append(command.action)
        if command != REST and self.told.count(BoltAction.ENERGISE) == self._breaks_at:
            raise self._failure
        self.inner.apply(command)

    def powered(self) -> bool:
        """Return the simulated flap's."""
        return self.inner.powered()

    def close(self) -> None:
        """Close the simulated flap."""
        self.inner.close()


@dataclass(frozen=True)
class Played:
    """A scene that has ended."""

    memo: Memo
    stage: simulation.Stage
    flap: Watched
    state: DoorState


@dataclass(frozen=True)
class Broken:
    """Which parts of the rig do not work."""

    flap_breaks_at: int | None = None
    flap_failure: HardwareError = field(default_factory=lambda: HardwareError("the pin cannot be driven"))
    open_chip_reader: Callable[[], ChipReader] | None = None
    sensors: Sensors | None = None
    interpreter: Interpreter | None = None
    ticks: int | None = None


def play(scene: Path, state: Path, broken: Broken | None = None) -> Played:
    """Play a scene to the loop, with parts of it broken, and stop it as the daemon does."""
    how = broken or Broken()
    stage = simulation.stage(scene, state, None)
    memo, flap = Memo(), Watched(stage.devices.flap, how.flap_breaks_at, how.flap_failure)
    devices = replace(
        stage.devices,
        flap=flap,
        open_chip_reader=how.open_chip_reader or stage.devices.open_chip_reader,
        sensors=how.sensors or stage.devices.sensors,
    )
    loaded = assembly.model_of(stage.config)
    loaded = replace(loaded, model=replace(loaded.model, interpreter=how.interpreter or Oracle(stage.world)))
    host = Host(stage.clock, AbsentHeartbeat())
    models = assembly.one_model(stage.config, loaded)
    loop = assembly.pipeline(stage.config, models, devices, host, Memory(memo, 0.0))
    turns = 0
    try:
        while how.ticks is None or turns < how.ticks:
            loop.tick()
            turns += 1
    except EOFError:
        pass
    loop.stop()
    loop.close()
    return Played(memo, stage, flap, loop.door_state)
