"""The real daemon before a simulated night, with a bolt whose level outlives it; ``bench_deaths`` starts and kills it.

    python tools/dying_daemon.py SCENE STATE_DIRECTORY --pin SOCKET
    python tools/dying_daemon.py SCENE STATE_DIRECTORY --guard PORT

It composes what ``catflap run --simulate`` composes (scene, model, journal, spool, systemd heartbeat, real time) and
adds one thing: every command to the simulated bolt also goes to a real adapter. With ``--pin`` that is
``edge.adapters.gpio.GpioFlap`` over gpiozero's mock pins, and each change of the level is a datagram to SOCKET: a pin
keeps its level when its process is gone, and so does the last datagram. With ``--guard`` it is ``edge.adapters.guard``
on a serial port. SIGUSR1 makes the interpreter hang in a native call that never lets go of the GIL; the product has no
such door, so this script is the only one that has.
"""

from __future__ import annotations

import argparse
import ctypes
import signal
import socket
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpiozero.pins.mock import MockFactory, MockPWMPin

from edge import simulation
from edge.adapters.clock import SystemClock
from edge.adapters.gpio import Board, GpioFlap
from edge.adapters.guard import open_guard
from edge.adapters.systemd import SystemdHeartbeat
from edge.assembly import Host
from edge.config import GuardConfig
from edge.daemon import Daemon, StopFlag, Stores, prepare_logs

if TYPE_CHECKING:
    from types import FrameType

    from edge.config import LockConfig
    from edge.messages import FlapCommand
    from edge.ports import Flap

BOLT_GPIO = 17
HIGH, LOW = b"1", b"0"
A_DAY_S = 86400


class BothFlaps:
    """The simulated bolt, so that the cat can walk in, and the adapter under test; implements ``ports.Flap``."""

    def __init__(self, simulated: Flap, tested: Flap) -> None:
        """Take both."""
        self._simulated, self._tested = simulated, tested

    def apply(self, command: FlapCommand) -> None:
        """Command both, the tested one first."""
        self._tested.apply(command)
        self._simulated.apply(command)

    def powered(self) -> bool:
        """Return what the tested one reads back."""
        return self._tested.powered()

    def close(self) -> None:
        """Rest both."""
        self._tested.close()
        self._simulated.close()


def watched_pin(address: str) -> type[MockPWMPin]:
    """Return a mock pin that tells ``address``, a Unix datagram socket, of every change of the bolt's level."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    line.connect(address)

    class WatchedPin(MockPWMPin):  # type: ignore[misc] # gpiozero has no types
        """A mock pin whose level is seen outside."""

        def _change_state(self, value: float) -> bool:
            changed = bool(super()._change_state(value))
            if changed and self.info.name == f"GPIO{BOLT_GPIO}":
                line.send(HIGH if value else LOW)
            return changed

    return WatchedPin


def open_pin(address: str, lock: LockConfig) -> Flap:
    """Return the product's GPIO flap over a watched mock pin."""
    factory: Any = MockFactory(pin_class=watched_pin(address))
    return GpioFlap("bolt", BOLT_GPIO, lock.lease_s, (SystemClock(), Board(factory, (OSError,))))


def open_tested(arguments: argparse.Namespace, lock: LockConfig) -> Flap:
    """Return the adapter that was asked for."""
    if arguments.guard is None:
        return open_pin(arguments.pin, lock)
    return open_guard(GuardConfig(kind="serial", port=arguments.guard), lock, SystemClock())


def hang(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form signal() asks for
    """Sleep in C for ever and keep the GIL, as a native call that never returns does; it burns no processor."""
    native = ctypes.PyDLL(None)
    while True:
        native.sleep(A_DAY_S)


def run(arguments: argparse.Namespace) -> None:
    """Run the daemon until it is stopped or dies."""
    stop = StopFlag()
    stop.listen()
    signal.signal(signal.SIGUSR1, hang)
    arguments.state.mkdir(parents=True)
    stage = simulation.stage(arguments.scene, arguments.state, speed=1.0, endless=True)
    prepare_logs(stage.config)
    tested = open_tested(arguments, stage.config.lock)
    devices = replace(stage.devices, flap=BothFlaps(stage.devices.flap, tested))
    Daemon(stage.config, devices, Host(stage.clock, SystemdHeartbeat()), Stores(stage.files)).run(stop)


def main() -> int:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(description="a daemon to be killed")
    parser.add_argument("scene", type=Path)
    parser.add_argument("state", type=Path)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--pin", metavar="SOCKET")
    which.add_argument("--guard", metavar="PORT")
    run(parser.parse_args())
    return 0


if __name__ == "__main__":
    sys.exit(main())
