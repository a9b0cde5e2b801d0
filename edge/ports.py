"""What the house needs of the world, as Protocols. Floor 1. Adapters implement them; tests/contracts holds them to it.

No method swallows a failure: what cannot be done raises HardwareError, and the caller names the state it leads to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    import numpy as np
    import numpy.typing as npt

    from edge.messages import BootMoment, FlapCommand, Frame, Image, Label, Mode, Reply, Request, SensorReading, Visit


class Camera(Protocol):
    """A source of frames. Opened by its constructor (HardwareError when it cannot be), closed by ``close``."""

    def newest(self, timeout_s: float) -> Frame | None:
        """Return the newest frame not yet returned, waiting at most ``timeout_s``; None when there is none by then.

        Older frames that nobody asked for are dropped, never queued (a source that is being replayed drops nothing).

        Raises:
            HardwareError: the source is gone.
            EOFError: a recorded source has ended.
        """

    def still(self) -> Image | None:
        """Return the large picture that belongs to the frame last returned; None where there is only the grey one."""

    def close(self) -> None:
        """Release the device; may be called twice."""


class Flap(Protocol):
    """The coil of the bolt. It knows power, not cats."""

    def apply(self, command: FlapCommand) -> None:
        """Take a command; ENERGISE holds for ``command.lease_s`` unless renewed.

        Raises:
            HardwareError: the pin cannot be driven; the coil is then to be taken as resting.
        """

    def powered(self) -> bool:
        """Return whether the coil has power now, read back from the pin; a lease that has run out counts as no."""

    def close(self) -> None:
        """Rest the coil and release the pin; may be called twice."""


class Sensors(Protocol):
    """The input pins."""

    def read(self) -> SensorReading:
        """Return the pins as they are now."""

    def close(self) -> None:
        """Release the pins; may be called twice."""


class Lamp(Protocol):
    """The infra-red lamp."""

    def set(self, level: float) -> None:
        """Set the brightness, 0 (off) to 1."""

    def level(self) -> float:
        """Return the brightness last set, 0..1."""

    def close(self) -> None:
        """Switch off and release the pin; may be called twice."""


class Indicator(Protocol):
    """The status light."""

    def show(self, on: bool) -> None:
        """Switch the light."""

    def close(self) -> None:
        """Switch off and release the pin; may be called twice."""


class ChipReader(Protocol):
    """A reader of FDX-B transponders."""

    def poll(self) -> tuple[str, ...]:
        """Return the chips read since the last call, without waiting: 15 digits each, country code first.

        Raises:
            HardwareError: the reader is gone.
        """

    def close(self) -> None:
        """Release the line; may be called twice."""


class Control(Protocol):
    """Where the owner's word comes in. What comes out of it has been checked; nobody's word waits for another's."""

    def poll(self) -> tuple[Request, ...]:
        """Return the commands said since the last call, without waiting: a bounded number, the others keep.

        What is no command is answered here, with why, and never comes out. Each request that does is to be answered
        before the next call.

        Raises:
            HardwareError: nobody can be heard any more.
        """

    def answer(self, request: Request, reply: Reply) -> None:
        """Tell whoever asked, without waiting; one who is gone or does not listen is dropped."""

    def close(self) -> None:
        """Hang up; may be called twice."""


class Clock(Protocol):
    """Time. Monotonic for every timeout, boot time for what outlives the process, wall time only for people to read."""

    def monotonic_ns(self) -> int:
        """Return nanoseconds that never go back and never jump."""

    def wall(self) -> datetime:
        """Return the wall time in UTC, as far as the device knows it."""

    def boot(self) -> BootMoment:
        """Return the time since the machine's boot: within one it never goes back, and no process's end ends it."""

    def synchronised(self) -> bool:
        """Return whether the machine says that its wall clock was set from a good one, such as the network's."""

    def wait(self, seconds: float) -> None:
        """Let ``seconds`` pass. A simulated clock jumps."""


class Interpreter(Protocol):
    """The model's runtime, loaded with one model."""

    @property
    def runtime(self) -> str:
        """Name and version, such as ``ai-edge-litert 2.1.6``."""

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Run the model on one input, int8, (1, height, width, 1); return copies of its outputs, int8, manifest order.

        Raises:
            HardwareError: the runtime failed.
        """


class Heartbeat(Protocol):
    """What the service manager hears."""

    def ready(self) -> None:
        """Say once that the loop is about to turn."""

    def beat(self) -> None:
        """Say that one tick is finished; nothing else may call this."""

    def status(self, text: str) -> None:
        """Say in one line how things are."""

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""

    def close(self) -> None:
        """Let go of the line to the service manager; may be called twice."""


class Record(Protocol):
    """Where the loop's memory goes. Nothing here raises for a full, read-only or broken disk: it counts and goes on."""

    def visit(self, visit: Visit) -> None:
        """Keep a finished visit: journal row, canonical line and, where worth it, a spool record."""

    def event(self, kind: str, detail: str) -> None:
        """Keep something that happened outside the course of a visit."""

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Keep what the owner said of the house: a mode over the configuration's (None: its own), the panic lock."""

    def heat(self, heat_s: float) -> None:
        """Keep the coil's stored heat, in seconds with power, so that a restart does not forget it."""

    def label(self, visit_id: str, label: Label) -> str | None:
        """Keep what the owner says that a finished visit was; return in one line why it cannot be, None where it is."""
