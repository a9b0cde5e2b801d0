"""Small worlds for the tests of the simulated world."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.adapters.clock import SimClock
from edge.adapters.sim import World, open_world, parse_scene
from edge.messages import BoltAction, FlapCommand

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENING = datetime(2026, 11, 21, 21, 0, tzinfo=UTC)
CHIP = "276098100000001"
HOLD = FlapCommand(BoltAction.ENERGISE, 0.5)


def world_of(folder: Path = Path(), **table: Any) -> World:  # noqa: ANN401 - a scene's table holds anything
    """Return a lit world of a scene that is given as keywords."""
    world = open_world(parse_scene(table, "test", folder), SimClock(EVENING))
    world.lamp.set(1.0)
    return world


def cat(**more: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    """Return the plan of a cat that walks to the flap at once and pushes."""
    return {"kind": "cat", "name": "Mimi", "chip": CHIP, "arrives_s": 0.0, "behaviour": ["approach", "push"], **more}


def live(world: World, seconds: float) -> Iterator[float]:
    """Let the world live in steps of a frame; yields the time after each."""
    for _ in range(round(seconds / world.step_s)):
        world.clock.advance(world.until_next_frame_s())
        world.catch_up()
        yield world.clock.monotonic_ns() / 1e9


def pass_time(world: World, seconds: float) -> None:
    """Let time pass."""
    for _ in live(world, seconds):
        pass


def hold_open(world: World, seconds: float) -> None:
    """Keep the coil's lease alive for a while."""
    for _ in live(world, seconds):
        world.flap.apply(HOLD)


def happened(world: World, what: str) -> list[str]:
    """Return to whom something happened, in order."""
    return [entry.who for entry in world.log if entry.what == what]
