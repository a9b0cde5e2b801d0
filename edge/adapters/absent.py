"""What stands where there is no hardware and none is pretended: a replay has no bolt, no lamp and no pins. Floor 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.errors import HardwareError
from edge.messages import SensorReading

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from edge.messages import FlapCommand, Label, Mode, Reply, Request, Visit


class AbsentFlap:
    """No coil: takes every command and never has power."""

    def apply(self, command: FlapCommand) -> None:
        """Do nothing."""

    def powered(self) -> bool:
        """Return False."""
        return False

    def close(self) -> None:
        """Nothing to release."""


class AbsentSensors:
    """No pins."""

    def read(self) -> SensorReading:
        """Return that nothing is wired."""
        return SensorReading(pir=None, flap_open=None, button=None)

    def close(self) -> None:
        """Nothing to release."""


class AbsentLamp:
    """No lamp; its level never changes, so the gate never waits for it."""

    def set(self, level: float) -> None:
        """Do nothing."""

    def level(self) -> float:
        """Return 0."""
        return 0.0

    def close(self) -> None:
        """Nothing to release."""


class AbsentIndicator:
    """No light."""

    def show(self, on: bool) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Nothing to release."""


class AbsentControl:
    """No way in: nobody says anything."""

    def poll(self) -> tuple[Request, ...]:
        """Return nothing."""
        return ()

    def answer(self, request: Request, reply: Reply) -> None:
        """Do nothing: nobody asked."""

    def close(self) -> None:
        """Nothing to release."""


class AbsentInterpreter:
    """No model: whatever is seen is no evidence."""

    runtime = "none"

    def invoke(self, tensor: npt.NDArray[np.int8]) -> tuple[npt.NDArray[np.int8], ...]:
        """Fail: nothing is said of a picture by nobody."""
        raise HardwareError(f"there is no usable model to judge a patch of {tensor.shape[1:3]}; rules only")


class AbsentRecord:
    """No memory: forgets everything. Whoever wants to keep some of it overrides that."""

    def visit(self, visit: Visit) -> None:
        """Forget it."""

    def event(self, kind: str, detail: str) -> None:
        """Forget it."""

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Forget it."""

    def heat(self, heat_s: float) -> None:
        """Forget it."""

    def label(self, visit_id: str, label: Label) -> str | None:  # noqa: ARG002 - there is nothing to look it up in
        """Refuse: no visit is known."""
        return f"nothing is kept here, so that there is no visit {visit_id}"


class AbsentHeartbeat:
    """Nobody listens."""

    def ready(self) -> None:
        """Do nothing."""

    def beat(self) -> None:
        """Do nothing."""

    def status(self, text: str) -> None:
        """Do nothing."""

    def stopping(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Nothing to release."""
