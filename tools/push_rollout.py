"""One bundle to many flaps: side by side, each failing alone, in stages where the owner wants to see first."""

from __future__ import annotations

import itertools
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import push_ssh
from push_progress import Bar
from push_ssh import UnreachableError

from edge.errors import InputError
from edge.inbox import Said

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from push_flaps import Flaps
    from push_ssh import Wire

    from edge.inbox import Held, Reply, Standing

AT_ONCE = 8
"""Flaps that are spoken to side by side."""


class Outcome(StrEnum):
    """How one flap stands to one bundle."""

    PROMOTED = "promoted"
    ON_TRIAL = "on trial"
    ACCEPTED = "accepted"
    REFUSED = "refused"
    ROLLED_BACK = "rolled back"
    SILENT = "no answer yet"
    BUSY = "busy"
    FAILED = "failed"
    WITHOUT = "not pushed"


GOOD = (Outcome.PROMOTED, Outcome.ON_TRIAL, Outcome.ACCEPTED)
BAD = (Outcome.REFUSED, Outcome.ROLLED_BACK)
"""What speaks against the bundle, and stops a roll-out."""

_SAID = {
    Said.ACCEPTED: Outcome.ACCEPTED,
    Said.ON_TRIAL: Outcome.ON_TRIAL,
    Said.REFUSED: Outcome.REFUSED,
    Said.SILENT: Outcome.SILENT,
    Said.BUSY: Outcome.BUSY,
}


@dataclass(frozen=True, slots=True)
class Row:
    """One flap in the table."""

    host: str
    outcome: Outcome
    champion: str
    why: str


@dataclass(frozen=True, slots=True, eq=False)
class Push:
    """What is pushed: the manifest's hash, the model's id, the inbox as a tar; ``roots`` may have been bound to."""

    sha256: str
    model_id: str
    data: bytes
    roots: frozenset[str]
    wait_s: float
    again: bool = False


class Rollout:
    """Pushes one bundle through one wire, and writes the book."""

    def __init__(self, wire: Wire, flaps: Flaps, pushed: Push) -> None:
        """Touch nothing yet."""
        self._wire = wire
        self._flaps = flaps
        self._push = pushed

    def push(self, hosts: Sequence[str], title: str = "push") -> tuple[Row, ...]:
        """Push to all of them side by side; one row each, in their order."""
        if not hosts:
            return ()
        bar = Bar(title, len(hosts), len(self._push.data))

        def one(host: str) -> Row:
            try:
                return self._one(host, bar.sent)
            finally:
                bar.answered()

        try:
            return _side_by_side(hosts, one)
        finally:
            bar.close()

    def look(self, hosts: Sequence[str]) -> tuple[Row, ...]:
        """Ask how each stands to the bundle, and push nothing."""
        return _side_by_side(hosts, self._seen)

    def staged(
        self,
        hosts: Sequence[str],
        shares: Sequence[float],
        settle_s: float,
        sleep: Callable[[float], None] = time.sleep,
        every_s: float = 10.0,
    ) -> tuple[tuple[Row, ...], str]:
        """Push stage after stage; return the rows and, where it stopped before the end, why.

        A stage is through when every flap of it that could be reached has promoted the bundle. One that refuses it or
        rolls back stops everything. ``settle_s`` is how long to wait for a trial's end here; said again later, the
        roll-out goes on where it stopped.
        """
        rows: dict[str, Row] = {}
        for number, stage in enumerate(stages_of(hosts, shares), start=1):
            title = f"stage {number} of {len(shares)}" if len(shares) > 1 else "push"
            rows |= {row.host: row for row in self.push([host for host in stage if host not in rows], title)}
            until = time.monotonic() + settle_s
            while (why := _stops(tuple(rows[host] for host in stage))) and why.waits and time.monotonic() < until:
                sleep(every_s)
                rows |= {row.host: row for row in self.look(stage)}
            if why and (why.bad or number < len(shares)):
                left = tuple(Row(host, Outcome.WITHOUT, "", "") for host in hosts if host not in rows)
                return (*rows.values(), *left), f"stage {number} of {len(shares)}: {why.text}"
        return tuple(rows.values()), ""

    def _one(self, host: str, sent: Callable[[int], None]) -> Row:
        before = self._seen(host)
        stays = before.outcome in (Outcome.PROMOTED, Outcome.ON_TRIAL, Outcome.FAILED)
        if stays or (before.outcome is Outcome.ROLLED_BACK and not self._push.again):
            sent(len(self._push.data))
            return before
        try:
            reply = push_ssh.push(self._wire, host, self._push.data, self._push.wait_s, sent)
        except UnreachableError as error:
            return Row(host, Outcome.FAILED, "", str(error))
        self._flaps.note(
            push_ssh.bare(host),
            pushed=self._push.sha256,
            model_id=self._push.model_id,
            said=reply.said,
            at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        )
        return Row(host, _SAID.get(reply.said, Outcome.FAILED), _champion(reply.standing), reply.why)

    def _seen(self, host: str) -> Row:
        """Return how a flap stands to the bundle; nothing is sent to it but the question."""
        try:
            reply = push_ssh.status(self._wire, host)
            return self._judged(host, reply)
        except UnreachableError as error:
            return Row(host, Outcome.FAILED, "", str(error))

    def _judged(self, host: str, reply: Reply) -> Row:
        now = reply.standing
        if now is None:
            return Row(host, Outcome.FAILED, "", reply.why)
        champion, sha256 = _champion(now), self._push.sha256
        if now.root not in self._push.roots:
            bound = f"is bound to root {now.root}, which is not yours" if now.root else "is bound to nobody"
            return Row(host, Outcome.FAILED, champion, f"{bound}; push_model.py --adopt {host}")
        if _is(now.champion, sha256):
            return Row(host, Outcome.PROMOTED, champion, "nothing to do: it decides there already")
        if _is(now.trial, sha256):
            return Row(host, Outcome.ON_TRIAL, champion, f"nothing to do: on trial since {_since(now.trial)}")
        if _is(now.thrown_out, sha256):
            return Row(host, Outcome.ROLLED_BACK, champion, now.why)
        return Row(host, Outcome.WITHOUT, champion, "")


@dataclass(frozen=True, slots=True)
class _Stop:
    text: str
    bad: bool
    waits: bool


def stages_of(hosts: Sequence[str], shares: Sequence[float]) -> tuple[tuple[str, ...], ...]:
    """Return the flaps that have the bundle after each stage: a share of all, rounded up, in the order given."""
    return tuple(tuple(hosts[: math.ceil(share * len(hosts) - 1e-9)]) for share in shares)


def shares_of(text: str) -> tuple[float, ...]:
    """Read ``5%,50%,100%``.

    Raises:
        InputError: it is not rising percentages that end with 100%.
    """
    wrong = InputError(f"--stage {text}: is not rising percentages that end with 100%, such as 5%,50%,100%")
    words = [word.strip() for word in text.split(",")]
    if not all(word.endswith("%") and word[:-1].isdigit() for word in words):
        raise wrong
    shares = tuple(int(word[:-1]) / 100 for word in words)
    if shares[-1] != 1.0 or shares[0] <= 0 or any(a >= b for a, b in itertools.pairwise(shares)):
        raise wrong
    return shares


def table(rows: Sequence[Row]) -> str:
    """Return one line a flap and a line that counts."""
    wide = max((len(row.host) for row in rows), default=4)
    lines = [f"{row.host:{wide}}  {row.outcome:13}  {row.champion or '-':28}  {row.why}".rstrip() for row in rows]
    counts = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count)
    return "\n".join((f"{'flap':{wide}}  {'outcome':13}  {'champion':28}  why", *lines, f"{len(rows)} flaps: {told}"))


def _stops(rows: Sequence[Row]) -> _Stop | None:
    """Return why the stage of these rows is not through, or None where it is."""
    bad = [row for row in rows if row.outcome in BAD]
    if bad:
        return _Stop(f"{bad[0].host} {bad[0].outcome}: {bad[0].why}; stopped", bad=True, waits=False)
    reached = [row for row in rows if row.outcome is not Outcome.FAILED]
    if not reached:
        return _Stop("none of its flaps could be reached; stopped", bad=False, waits=False)
    open_ = sum(row.outcome is not Outcome.PROMOTED for row in reached)
    if not open_:
        return None
    text = f"{open_} of {len(reached)} not decided yet; say the same again later and it goes on"
    return _Stop(text, bad=False, waits=True)


def _side_by_side(hosts: Sequence[str], each: Callable[[str], Row]) -> tuple[Row, ...]:
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return tuple(pool.map(each, hosts))


def _champion(now: Standing | None) -> str:
    if now is None:
        return ""
    return "factory" if now.champion is None else now.champion.model_id


def _is(held: Held | None, sha256: str) -> bool:
    return held is not None and held.sha256 == sha256


def _since(held: Held | None) -> str:
    return "" if held is None else held.since
