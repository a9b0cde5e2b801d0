"""The simulated world: a small scene before the flap, and twins of camera, pins and reader that look at it. Floor 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.adapters.sim.scene import (
    Expectation,
    ExpectedVisit,
    Scene,
    load_scene,
    parse_scene,
    shipped_scene,
)
from edge.adapters.sim.world import Happening, Truth, World

if TYPE_CHECKING:
    from edge.adapters.clock import SimClock

__all__ = (
    "Expectation",
    "ExpectedVisit",
    "Happening",
    "Scene",
    "Truth",
    "World",
    "load_scene",
    "open_world",
    "parse_scene",
    "shipped_scene",
)


def open_world(scene: Scene, clock: SimClock) -> World:
    """Begin a scene: a world with ``camera()``, flap, sensors, lamp, indicator and chip_reader, the ports' twins."""
    return World(scene, clock)
