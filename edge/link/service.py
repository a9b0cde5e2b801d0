"""The loop of the network process: ask the store now and then, put what is new into the inbox, say so in one line.

It is built to be killed: a power cut at any call leaves the inbox old or new, and so does SIGTERM, which is left to the
kernel and ends it at once whatever it waits for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.errors import CatflapError
from edge.inbox import version_of
from edge.link.repository import listing, timestamp_of
from edge.link.stores import Limit

if TYPE_CHECKING:
    from random import Random

    from structlog.typing import FilteringBoundLogger

    from edge.inbox import Inbox
    from edge.link.stores import Store
    from edge.ports import Clock, Heartbeat

ROUND_S = 300.0
"""For all that is fetched in one round: as long as a push may take over SSH."""
TURN_S = 2.0
"""How long the loop sleeps before it says again that it lives."""
JITTER = 0.1
"""Share of the interval by which a round may come early or late: flaps that got power together ask one by one."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 60.0, 3600.0
"""After a failure: 1, 2, 4 … minutes, up to an hour (or the interval, where that is longer)."""


class Outcome(StrEnum):
    """What came of one round."""

    FETCHED = "fetched"
    UNCHANGED = "unchanged"
    BUSY = "busy"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Round:
    """One round. ``version`` is the timestamp's, as it says; ``bytes`` is what was put into the inbox."""

    outcome: Outcome
    why: str = ""
    version: int = 0
    files: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Host:
    """What the process stands on."""

    clock: Clock
    heartbeat: Heartbeat
    chance: Random
    log: FilteringBoundLogger


class Link:
    """The loop. ``store`` None: nothing is configured, and it idles."""

    def __init__(self, store: Store | None, inbox: Inbox, poll_every_s: float, host: Host) -> None:
        """Touch nothing yet."""
        self._store = store
        self._inbox = inbox
        self._every_s = poll_every_s
        self._host = host
        self._failures = 0
        self._due_ns = host.clock.monotonic_ns() + self._ns(host.chance.uniform(0.0, JITTER) * poll_every_s)

    def begin(self) -> None:
        """Say what will be done."""
        self._host.heartbeat.ready()
        if self._store is None:
            self._host.log.info("link_idles", why="link.models names no store")
            self._host.heartbeat.status("idles: link.models names no store")
        else:
            self._host.log.info("link_polls", models=self._store.shown, every_s=self._every_s)

    def turn(self) -> None:
        """Poll if it is time, else sleep a little; then say that the loop lives."""
        left_s = (self._due_ns - self._host.clock.monotonic_ns()) / 1e9
        if self._store is None:
            self._host.clock.wait(TURN_S)
        elif left_s > 0.0:
            self._host.clock.wait(min(left_s, TURN_S))
        else:
            self._poll(self._store)
        self._alive()

    def run(self) -> None:
        """Turn until killed."""
        self.begin()
        while True:
            self.turn()

    def _poll(self, store: Store) -> None:
        before, failing = self._host.clock.monotonic_ns(), self._failures > 0
        done = self._round(store)
        self._failures = self._failures + 1 if done.outcome in (Outcome.FAILED, Outcome.BUSY) else 0
        pause_s = self._pause_s()
        self._due_ns = self._host.clock.monotonic_ns() + self._ns(pause_s)
        took_s = (self._host.clock.monotonic_ns() - before) / 1e9
        self._tell(store, done, round(took_s, 2), round(pause_s, 1), quiet=not failing)

    def _round(self, store: Store) -> Round:
        """Fetch what is new; every way this can fail is put into words here, once."""
        try:
            return poll(store, self._inbox, Limit(ROUND_S, self._alive))
        except CatflapError as error:
            return Round(Outcome.FAILED, str(error))
        except OSError as error:
            return Round(Outcome.FAILED, f"the flap's disk: {error.filename or ''}: {error.strerror or error}")

    def _pause_s(self) -> float:
        even = 1.0 + self._host.chance.uniform(-JITTER, JITTER)
        if not self._failures:
            return self._every_s * even
        longest_s = max(LONGEST_PAUSE_S, self._every_s)
        doubled_s: float = min(FIRST_PAUSE_S, self._every_s) * 2.0 ** min(self._failures - 1, 20)
        return min(doubled_s, longest_s) * even

    def _tell(self, store: Store, done: Round, took_s: float, pause_s: float, *, quiet: bool) -> None:
        said = {"models": store.shown, "outcome": str(done.outcome), "took_s": took_s, "next_s": pause_s}
        log = self._host.log
        if done.outcome is Outcome.FETCHED:
            log.info("poll", **said, version=done.version, files=done.files, bytes=done.bytes)
        elif done.outcome is Outcome.UNCHANGED:
            (log.debug if quiet else log.info)("poll", **said, version=done.version)
        else:
            log.warning("poll", **said, why=done.why)
        self._host.heartbeat.status(f"{store.shown}: {done.outcome} {done.why}".strip())

    def _alive(self) -> None:
        self._host.heartbeat.beat()

    @staticmethod
    def _ns(seconds: float) -> int:
        return round(seconds * 1e9)


def poll(store: Store, inbox: Inbox, limit: Limit) -> Round:
    """Bring the inbox up to the store, where they differ. Nothing is verified: that is the update service's.

    Raises:
        StoreError: the store cannot be read, or does not fit together.
        InputError: what it holds is not what a push may be, or there is no room for it.
        OSError: the disk failed; the inbox is the old one or the new one.
    """
    timestamp = timestamp_of(store, limit)
    version = version_of(timestamp)
    if timestamp == inbox.timestamp():
        return Round(Outcome.UNCHANGED, version=version)
    found = listing(store, timestamp, limit)
    with inbox.held() as ours:
        if not ours:
            return Round(Outcome.BUSY, "another push is being received")
        inbox.fill(found.entries(store, limit), found.bytes)
    return Round(Outcome.FETCHED, "", version, len(found.metadata) + len(found.targets), found.bytes)
