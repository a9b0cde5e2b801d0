"""From one release to another: links, the one rename, and the services; and back, if the new one does not stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from install_machine import InstallError, at, done, link, says
from install_places import CURRENT, DAEMON, LINKS, PREVIOUS, SERVICES
from install_release import named

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from install_machine import Machine
    from install_places import Link
    from install_release import Release

WATCHED_S = 15
"""A daemon that says READY and hangs is killed after WatchdogSec=10; it must outlive that."""
RUNNING = frozenset({"active", "activating", "reloading", "failed"})
"""States of a unit that its owner wants to run. One that was stopped on purpose stays so."""


class NotRunningError(InstallError):
    """A release was switched to, and a service of it does not run."""


@dataclass
class Switch:
    """One switch to ``new``, with what there was before."""

    machine: Machine
    new: Release
    asked: tuple[str, ...]
    say: Callable[[str], None]
    old: Release | None = field(init=False)
    _links: dict[str, str | None] = field(init=False)
    _running: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        """Remember links and services as they are."""
        self.old = named(self.machine, CURRENT)
        paths = (CURRENT, PREVIOUS, *(one.path for one in LINKS))
        self._links = {path: says(self.machine, path) for path in paths}
        self._running = tuple(unit for unit in SERVICES if state(self.machine, unit) in RUNNING)

    def make(self, *, start: bool) -> None:
        """Switch, and restart what ran; with ``start``, start everything.

        Raises:
            InstallError: it failed. Where there was a release before, that one is current again and runs if it ran.
            NotRunningError: the same; without a release before, the new one stays in place.
        """
        try:
            self._switch()
            self._restart(SERVICES if start else self._running, self.new)
        except NotRunningError as error:
            if self.old is None or self.old == self.new:
                raise
            raise NotRunningError(f"{error}; {self._back()}") from error
        except BaseException:
            self._back()
            raise

    def _switch(self) -> None:
        for one in links(self.machine, self.new, self.asked):
            if says(self.machine, one.path) != one.target:
                link(self.machine, one.path, one.target)
        self.machine.sync()  # all that the link is about to lead to is on the disk before it does
        if self.old not in (None, self.new):
            link(self.machine, PREVIOUS, self._links[CURRENT] or "")
        link(self.machine, CURRENT, self.new.path)
        self.machine.sync()
        self.say(f"switched {CURRENT} to {self.new.name}")
        self._remove_blind()
        self._settle(self.new)

    def _remove_blind(self) -> None:
        """Remove links for which this release has nothing: an older one has fewer units."""
        wanted = {one.path for one in links(self.machine, self.new, self.asked)}
        for one in LINKS:
            if one.path not in wanted and says(self.machine, one.path) == one.target:
                at(self.machine, one.path).unlink()

    def _settle(self, release: Release) -> None:
        """Have the system read what the links lead to now."""
        self.machine.run(("systemd-tmpfiles", "--create", f"{release.share}/systemd/catflap.tmpfiles"))
        if self.machine.live:
            done(self.machine, "systemctl", "daemon-reload")
            self.machine.run(("systemctl", "try-reload-or-restart", "ssh.service"))

    def _restart(self, units: tuple[str, ...], release: Release) -> None:
        if not self.machine.live or not units:
            return
        for unit in units:
            self.machine.run(("systemctl", "reset-failed", unit))
            if self.machine.run(("systemctl", "restart", unit)).status != 0:
                raise NotRunningError(f"{unit} of {release.name} does not start; see: journalctl -u {unit}")
        self._watch(units, release)

    def _watch(self, units: tuple[str, ...], release: Release) -> None:
        """Look every second whether each unit is active, and still the same process."""
        first = {unit: _process(self.machine, unit) for unit in units}
        for second in range(WATCHED_S if DAEMON in units else 1):
            for unit in units:
                stands = state(self.machine, unit) == "active" and _process(self.machine, unit) == first[unit]
                if not stands:
                    raise NotRunningError(f"{unit} of {release.name} does not stay up; see: journalctl -u {unit}")
            if second + 1 < WATCHED_S:
                self.machine.pause(1.0)
        self.say(f"running: {', '.join(units)}")

    def _back(self) -> str:
        """Undo the switch as far as it went, whatever else fails; say what there is now."""
        for path, target in self._links.items():
            if target is None:
                at(self.machine, path).unlink(missing_ok=True)
            elif says(self.machine, path) != target:
                link(self.machine, path, target)
        if self.old is None:
            return "nothing was there before"
        try:
            self._settle(self.old)
            self._restart(self._running, self.old)
        except InstallError as error:
            self.say(f"the old release is current again, but: {error}")
            return f"{self.old.name} is current again and does not run either"
        return f"{self.old.name} is current again{' and runs' if self._running and self.machine.live else ''}"


def links(machine: Machine, release: Release, asked: Container[str]) -> tuple[Link, ...]:
    """Return those links that this release has something for; an optional one only if asked for, or there already."""
    there = (one for one in LINKS if at(machine, f"{release.path}/{one.to}").exists())
    return tuple(one for one in there if not one.optional or one.path in asked or says(machine, one.path))


def state(machine: Machine, unit: str) -> str:
    """Return a unit's state as systemd calls it; nothing where no systemd runs."""
    if not machine.live:
        return ""
    return machine.run(("systemctl", "show", "--property=ActiveState", "--value", unit)).output.strip()


def _process(machine: Machine, unit: str) -> str:
    return machine.run(("systemctl", "show", "--property=MainPID", "--value", unit)).output.strip()
