"""Kill the real daemon with the coil on, and measure how long the coil keeps its power.

    python tools/bench_deaths.py [--repeats 5]

Each trial starts ``dying_daemon.py`` on a scene in real time, waits until the cat has opened the bolt, lets it die in
one of three ways and notes when the bolt's level falls. This process is what outlives the daemon: it holds the pin's
level (the last datagram that came), and it stands in for systemd over the real notify protocol: READY=1 and WATCHDOG=1
datagrams, SIGKILL when ``WATCHDOG_S`` pass without one (``WatchdogSignal=SIGKILL``: a stopped process would not even
see SIGABRT), and ``ExecStopPost=`` as a process of its own as soon as the daemon is gone.

The pin is the pessimistic one: it keeps its level when its process dies, as Raspberry Pi kernels do without
``dtparam=strict_gpiod``. With the guard the pin is ``guard_process.py``'s, which runs the firmware's own logic.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NS = 1_000_000_000
ROOT = Path(__file__).resolve().parent.parent
DAEMON = ROOT / "tools" / "dying_daemon.py"
GUARD = ROOT / "tools" / "guard_process.py"
SCENE = ROOT / "tests" / "scenarios" / "opens_for_own_clean_cat.toml"

WATCHDOG_S = 10.0
"""``WatchdogSec=`` of the daemon's unit."""

STOP_POST_S = 0.5
"""What the bound grants ``ExecStopPost=`` to start and to drive the pin low."""

LEASE_S, TICK_S = 0.5, 0.1
"""The default lease and the time between two frames of the scene: what the guard's bound is made of."""

PIN_SOCKET = "pin"
POLL_S = 0.01
OPENS_WITHIN_S = 60.0
DIES_AFTER_S = (0.2, 0.7)
"""The daemon dies at a random moment of this span after the bolt has opened, at any phase of a tick."""

REST_PIN = "import socket, sys; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'0', sys.argv[1])"


class Death(StrEnum):
    """How a daemon ends without being asked."""

    KILLED = "kill_9"
    STOPPED = "sigstop"
    HUNG = "hung_interpreter"


SIGNALS = {Death.KILLED: signal.SIGKILL, Death.STOPPED: signal.SIGSTOP, Death.HUNG: signal.SIGUSR1}


def notified(datagram: bytes) -> dict[str, str]:
    """Return the variables of one sd_notify(3) datagram; raises ValueError for a line that assigns nothing."""
    return dict(line.split("=", 1) for line in datagram.decode().splitlines() if line)


@dataclass(slots=True)
class Watchdog:
    """systemd's side of WATCHDOG=1: armed by READY=1, due ``within_s`` after the last of either."""

    within_s: float
    beats: int = 0
    _due_ns: int | None = None

    def hear(self, datagram: bytes, now_ns: int) -> None:
        """Take one datagram from the daemon."""
        told = notified(datagram)
        self.beats += told.get("WATCHDOG") == "1"
        if "1" in (told.get("READY"), told.get("WATCHDOG")):
            self._due_ns = now_ns + int(self.within_s * NS)

    def late_ns(self, now_ns: int) -> int | None:
        """Return how long the daemon has been due, 0 at the very moment; None while it is not."""
        return now_ns - self._due_ns if self._due_ns is not None and now_ns >= self._due_ns else None


@dataclass(slots=True)
class Pin:
    """The level of a pin, as its datagrams say: it stays where it was until somebody drives it."""

    changes: list[tuple[int, bool]] = field(default_factory=list)

    def hear(self, datagram: bytes, now_ns: int) -> None:
        """Take one datagram, ``1`` or ``0``; raises ValueError for anything else."""
        self.changes.append((now_ns, bool(("0", "1").index(datagram.decode()))))

    @property
    def high(self) -> bool:
        """Whether it is high now; low before the first word."""
        return bool(self.changes) and self.changes[-1][1]

    @property
    def changed_ns(self) -> int:
        """When it last changed; raises IndexError before the first word."""
        return self.changes[-1][0]


@dataclass(frozen=True, slots=True)
class Trial:
    """One death: from the signal to the low pin.

    Attributes:
        death: which.
        off_s: how long the coil kept its power.
        late_s: how late the service manager's stand-in itself was with its SIGKILL, for this machine has other work;
            None where the pin was low before the watchdog was due.
    """

    death: Death
    off_s: float
    late_s: float | None


class Manager:
    """One daemon's service manager and the pin it leaves behind. Use it once."""

    def __init__(self, command: list[str], sockets: Path, stop_post: list[str]) -> None:
        """Start the daemon with NOTIFY_SOCKET; hear it, its pin and its end.

        Args:
            command: the daemon.
            sockets: where ``pin`` and ``notify`` are bound.
            stop_post: what runs when the daemon has ended; empty: nothing.
        """
        self.pin, self.watchdog = Pin(), Watchdog(WATCHDOG_S)
        self.late_ns: int | None = None
        self._stop_post, self._stop_posts = stop_post, list[subprocess.Popen[bytes]]()
        self._selector = selectors.DefaultSelector()
        self._closing = ExitStack()
        self._listen(sockets / PIN_SOCKET, self.pin.hear)
        self._listen(sockets / "notify", self.watchdog.hear)
        environment = {**os.environ, "NOTIFY_SOCKET": str(sockets / "notify"), "PYTHONPATH": str(ROOT)}
        self._child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        self._child_fd = os.pidfd_open(self._child.pid)
        self._closing.callback(os.close, self._child_fd)
        self._selector.register(self._child_fd, selectors.EVENT_READ, None)

    def _listen(self, address: Path, hear: Callable[[bytes, int], None]) -> None:
        line = self._closing.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        line.bind(str(address))
        self._selector.register(line, selectors.EVENT_READ, lambda now_ns: hear(line.recv(4096), now_ns))

    def turn(self) -> None:
        """Wait at most ``POLL_S`` for a word or for the daemon's end, and act as systemd would."""
        for key, _events in self._selector.select(POLL_S):
            if key.data is None:
                self._ended()
            else:
                key.data(time.monotonic_ns())
        if self.late_ns is None:
            self.late_ns = self.watchdog.late_ns(time.monotonic_ns())
            if self.late_ns is not None:
                self._child.kill()

    def _ended(self) -> None:
        """Run ExecStopPost= once the daemon is gone; nobody waits for it here, for the pin is what counts."""
        self._selector.unregister(self._child_fd)
        self._child.wait()
        if self._stop_post:
            self._stop_posts.append(subprocess.Popen(self._stop_post))

    def turn_until(self, done: Callable[[], bool], within_s: float, otherwise: str) -> None:
        """Turn until ``done``; raises RuntimeError, saying ``otherwise``, when that takes longer than ``within_s``."""
        ends = time.monotonic() + within_s
        while not done():
            if time.monotonic() > ends:
                raise RuntimeError(otherwise)
            self.turn()

    def turn_for(self, seconds: float) -> None:
        """Let time pass."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            self.turn()

    def kill(self, number: int) -> int:
        """Send a signal to the daemon, and return the moment just before."""
        now_ns = time.monotonic_ns()
        os.kill(self._child.pid, number)
        return now_ns

    def close(self) -> None:
        """End what is left."""
        self._child.kill()  # does nothing to a child that was waited for
        self._child.wait()
        for process in self._stop_posts:
            process.wait()
        self._selector.close()
        self._closing.close()


def trial(death: Death, delay_s: float, guard_library: Path | None) -> Trial:
    """Let one daemon die ``delay_s`` after its bolt has opened.

    Raises:
        RuntimeError: the bolt did not open, or did not rest again within twice the watchdog's time.
    """
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        sockets = Path(place)
        daemon = [sys.executable, str(DAEMON), str(SCENE), str(sockets / "state")]
        pin, stop_post = str(sockets / PIN_SOCKET), list[str]()
        if guard_library is None:
            daemon += ["--pin", pin]
            stop_post = [sys.executable, "-I", "-S", "-c", REST_PIN, pin]
        else:  # the coil hangs on the guard: there is nothing that ExecStopPost= could rest
            daemon += ["--guard", stack.enter_context(running_guard(guard_library, pin))]
        manager = Manager(daemon, sockets, stop_post)
        stack.callback(manager.close)
        manager.turn_until(lambda: manager.pin.high, OPENS_WITHIN_S, "the bolt did not open")
        manager.turn_for(delay_s)
        if not manager.pin.high:
            raise RuntimeError("the bolt rested before the daemon died: the trial says nothing")
        died_ns = manager.kill(SIGNALS[death])
        manager.turn_until(lambda: not manager.pin.high, 2 * WATCHDOG_S, f"{death}: the pin is still high")
        late_s = None if manager.late_ns is None else manager.late_ns / NS
        return Trial(death, (manager.pin.changed_ns - died_ns) / NS, late_s)


@contextmanager
def running_guard(library: Path, pin: str) -> Iterator[str]:
    """Run a guard that drives ``pin``, and yield the path of its serial line."""
    command = [sys.executable, str(GUARD), str(library), pin]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(iter(process.stdout or ())).strip()
        finally:
            process.kill()


def built_guard(place: Path) -> Path:
    """Compile the guard's logic for this machine; raises CalledProcessError with what make said on standard error."""
    command = ["make", "-s", "-C", str(ROOT / "firmware" / "guard"), "host", f"OUT={place}", "PROFILE=1"]
    subprocess.run(command, check=True)
    return place / "guard-1.so"


def bound_s(death: Death, *, guard: bool) -> float:
    """Return how long the coil may keep its power after a death."""
    if guard:
        return LEASE_S + TICK_S
    return STOP_POST_S if death is Death.KILLED else WATCHDOG_S + STOP_POST_S


def summary(trials: list[Trial], *, guard: bool) -> dict[str, Any]:
    """Return one JSON line's content for the trials of one kind of death."""
    death = trials[0].death
    times_s = sorted(trial.off_s for trial in trials)
    late_s = [trial.late_s for trial in trials if trial.late_s is not None]
    return {
        "figure": f"coil_off_after_{death}_{'with' if guard else 'without'}_guard",
        "value": {"least": round(times_s[0], 3), "most": round(times_s[-1], 3)},
        "unit": "s",
        "bound": bound_s(death, guard=guard),
        "trials": len(times_s),
        "watchdog_killed": len(late_s),
        "stand_in_late_s": round(max(late_s, default=0.0), 3),
    }


def lines(repeats: int) -> Iterator[dict[str, Any]]:
    """Let daemons die ``repeats`` times in each way, without and with the guard; yield a line for each."""
    rng = random.Random(1)  # noqa: S311 - phases of a tick, no secrets
    with tempfile.TemporaryDirectory() as place:
        for guard in (None, built_guard(Path(place))):
            for death in Death:
                trials = [trial(death, rng.uniform(*DIES_AFTER_S), guard) for _ in range(repeats)]
                yield summary(trials, guard=guard is not None)


def main() -> int:
    """Run the trials; exit status 1 when a bound did not hold."""
    parser = argparse.ArgumentParser(description="how long the coil keeps its power when the daemon dies")
    parser.add_argument("--repeats", type=int, default=5)
    held = True
    for line in lines(parser.parse_args().repeats):
        print(json.dumps(line), flush=True)
        held = held and line["value"]["most"] <= line["bound"]
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
