"""The twins of the hardware: each keeps its port's promises and looks at the world. They ship as product code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2

from edge.adapters.sim.scene import What
from edge.errors import HardwareError
from edge.messages import REST, Frame, Image, SensorReading

if TYPE_CHECKING:
    from edge.adapters.sim.mechanics import Bolt
    from edge.adapters.sim.world import World
    from edge.messages import FlapCommand, Grey


class SimCamera:
    """A camera in front of the world (`edge.ports.Camera`): 320x240 uint8, one frame every 1/fps s of the clock.

    ``newest`` moves the clock to the next frame's instant, and the world with it; while the loop hangs in the scene it
    does not come back, and the world lives on.
    """

    def __init__(self, world: World) -> None:
        """Open it.

        Raises:
            HardwareError: the camera is not there just now.
        """
        self._world = world
        self._seq = -1
        self._last: Frame | None = None
        self._closed = False
        self._check()

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the frame of the next instant; None when it hangs or the instant is later than ``timeout_s``.

        Raises:
            HardwareError: the camera is gone.
            EOFError: the scene is over.
        """
        world = self._world
        self._check()
        while world.happens(What.LOOP_HANGS) and not world.over:
            world.clock.advance(world.until_next_frame_s())
            world.catch_up()
        if world.over:
            raise EOFError("the scene is over")
        wait_s = world.until_next_frame_s()
        if world.happens(What.CAMERA_HANGS) or wait_s > timeout_s:
            world.clock.advance(timeout_s)
            world.catch_up()
            return None
        world.clock.advance(wait_s)
        world.catch_up()
        self._last = self._take()
        return self._last

    def still(self) -> Image | None:
        """Return the frame last returned, twice as large: the world has no finer picture."""
        if self._last is None:
            return None
        return cv2.resize(self._last.grey, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC).astype("uint8", copy=False)

    def close(self) -> None:
        """Close it; a closed camera gives no more frames."""
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise HardwareError("the simulated camera was closed")
        if self._world.happens(What.CAMERA_LOST):
            raise HardwareError("the simulated camera does not answer: its cable is loose in this scene")

    def _take(self) -> Frame:
        self._seq += 1
        now_ns = self._world.clock.monotonic_ns()
        last = self._last
        if last is not None and self._world.happens(What.CAMERA_STALLS):
            return Frame(self._seq, last.captured_ns, last.grey)
        if last is not None and self._world.happens(What.CAMERA_FREEZES):
            return Frame(self._seq, now_ns, last.grey)
        grey: Grey = self._world.picture().grey
        return Frame(self._seq, now_ns, grey)


class SimFlap:
    """The coil of one bolt (`edge.ports.Flap`)."""

    def __init__(self, world: World, bolt: Bolt) -> None:
        """Take hold of a bolt of the world's."""
        self._world = world
        self._bolt = bolt

    def apply(self, command: FlapCommand) -> None:
        """Give it power, or none.

        Raises:
            HardwareError: the pin is broken in this scene just now.
        """
        self._world.catch_up()
        if self._world.happens(What.BOLT_FAILS):
            raise HardwareError("the simulated bolt's pin cannot be driven in this scene")
        self._world.drive(self._bolt, command)

    def powered(self) -> bool:
        """Return whether the pin gives the coil power now."""
        self._world.catch_up()
        return self._bolt.powered

    def close(self) -> None:
        """Rest."""
        self._world.drive(self._bolt, REST)


class SimSensors:
    """PIR, reed switch, button and the bolt's own contact (`edge.ports.Sensors`)."""

    def __init__(self, world: World) -> None:
        """Look at the world."""
        self._world = world

    def read(self) -> SensorReading:
        """Return the pins as they are now."""
        self._world.catch_up()
        return self._world.reading()

    def close(self) -> None:
        """There is nothing to release."""


class SimLamp:
    """The infra-red lamp (`edge.ports.Lamp`): its level shows in the picture."""

    def __init__(self) -> None:
        """Start dark, as a lamp does."""
        self._level = 0.0

    def set(self, level: float) -> None:
        """Set the brightness, 0..1."""
        self._level = level

    def level(self) -> float:
        """Return the brightness last set."""
        return self._level

    def close(self) -> None:
        """Switch off."""
        self._level = 0.0


class SimIndicator:
    """The status light (`edge.ports.Indicator`)."""

    def __init__(self) -> None:
        """Start dark."""
        self.on = False

    def show(self, on: bool) -> None:
        """Switch it."""
        self.on = on

    def close(self) -> None:
        """Switch off."""
        self.on = False


class SimChipReader:
    """The reader at the flap (`edge.ports.ChipReader`): it hears only who is near, and not every time."""

    def __init__(self, world: World) -> None:
        """Listen to the world."""
        self._world = world

    def poll(self) -> tuple[str, ...]:
        """Return the chips read since the last call.

        Raises:
            HardwareError: the reader is gone in this scene just now.
        """
        self._world.catch_up()
        if self._world.happens(What.CHIP_READER_FAILS):
            raise HardwareError("the simulated chip reader does not answer in this scene")
        return self._world.take_chips()

    def close(self) -> None:
        """There is nothing to release."""
