"""What flap and bolt say of themselves: a bolt that does not follow, forced entry, tailgating. Floor 2.

Pure: readings in, findings out; time is monotonic nanoseconds that the caller passes. Nothing here moves the door: a
finding is for people, but for a bolt that does not follow, which the pipeline makes a fault.

The bolt gates entry only, so a flap that opens while it is shut is, as a rule, somebody going out. It is called forced
entry only with positive evidence of the direction: the camera saw somebody outside just before, and nobody just after.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NS = 1_000_000_000

BEFORE_NS = NS
"""Somebody seen outside this long before the flap opened was there when it opened."""

GONE_NS = NS // 2
"""Nobody seen outside for this long after the flap closed: whoever was there went in."""

JUDGED_NS = 3 * NS // 2
"""An opening is judged by what is seen until this long after the flap has closed."""

PASSAGE_NS = 7 * NS // 10
"""A cat takes longer than this through a flap; what moves it for less was a nudge."""

TWO_NS = 5 * NS // 2
"""Somebody who is still outside this long after the flap opened is not the one who opened it: that one is inside."""

LONG_NS = 6 * NS
"""A flap that is open for longer than this lets two through, whatever the camera sees of it."""

AGAIN_NS = NS
"""A flap that opens again this soon after the entry was open may have met a bolt that was still on its way."""

STUCK_NS = 60 * NS
"""A flap that is open for longer than this is not held by an animal."""


class FindingKind(StrEnum):
    """What was found; also the kind of the journal's event."""

    EXIT = "exit"
    FORCED_ENTRY = "forced_entry"
    TAILGATING = "tailgating"
    FLAP_STUCK = "flap_stuck"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that people should know, in one sentence."""

    kind: FindingKind
    detail: str


@dataclass(frozen=True, slots=True)
class Look:
    """What one tick knows of the flap: ``flap_open`` None where no reed switch is wired or it cannot be read.

    ``somebody`` outside, by the camera or, where it sees nothing, by the PIR; ``seeing`` is whether the camera is to be
    believed; ``entry_open`` whether the bolt is ordered open.
    """

    flap_open: bool | None
    entry_open: bool
    somebody: bool
    seeing: bool


@dataclass(slots=True)
class _Opening:
    """One opening of the flap, from the edge of the reed switch until it has been judged."""

    opened_ns: int
    past_bolt: bool  # the entry was open, or had just been
    again: bool  # the second in one opening of the entry
    outside_before: bool
    closed_ns: int | None = None
    tailgated: bool = False
    stuck: bool = False


class OpeningWatch:
    """Follows the flap and names what an opening was."""

    def __init__(self) -> None:
        """Start with a flap that hangs straight."""
        self._opening: _Opening | None = None
        self._somebody_ns: int | None = None
        self._entry_ns: int | None = None  # when the entry was last seen open
        self._passed_ns: int | None = None  # when a flap that had opened with the entry last closed

    @property
    def opened(self) -> bool:
        """Whether the flap is open."""
        return self._opening is not None and self._opening.closed_ns is None

    def look(self, look: Look, now_ns: int) -> tuple[Finding, ...]:
        """Take one tick and return what it makes certain, as a rule nothing."""
        found: list[Finding] = []
        if look.flap_open and not self.opened:
            found += self._finish(look, now_ns)
            self._opening = self._begin(now_ns)
        if look.entry_open:
            self._entry_ns = now_ns
        if look.flap_open is False and self._opening is not None and self._opening.closed_ns is None:
            found += self._close(self._opening, look, now_ns)
        if look.somebody:
            self._somebody_ns = now_ns
        if self._opening is not None:
            found += self._follow(self._opening, look, now_ns)
        return tuple(found)

    def _begin(self, now_ns: int) -> _Opening:
        past_bolt = _within(self._entry_ns, now_ns, AGAIN_NS)
        return _Opening(
            opened_ns=now_ns,
            past_bolt=past_bolt,
            again=past_bolt and _within(self._passed_ns, now_ns, AGAIN_NS),
            outside_before=_within(self._somebody_ns, now_ns, BEFORE_NS),
        )

    def _close(self, opening: _Opening, look: Look, now_ns: int) -> list[Finding]:
        opening.closed_ns = now_ns
        if not opening.past_bolt:
            return []
        passed = now_ns - opening.opened_ns >= PASSAGE_NS
        if passed:
            self._passed_ns = now_ns
        if passed and opening.outside_before and look.somebody and look.seeing:
            return self._tailgating(opening, "somebody was still outside when the flap closed behind the one let in")
        return []

    def _follow(self, opening: _Opening, look: Look, now_ns: int) -> list[Finding]:
        if opening.closed_ns is None:
            return self._follow_open(opening, look, now_ns)
        judged = now_ns - opening.closed_ns >= JUDGED_NS
        if judged or self._gone(opening, look, now_ns):
            return self._finish(look, now_ns)
        return []

    def _follow_open(self, opening: _Opening, look: Look, now_ns: int) -> list[Finding]:
        open_ns = now_ns - opening.opened_ns
        if open_ns >= STUCK_NS and not opening.stuck:
            opening.stuck = True
            why = "something holds it, or the wire of its reed switch is cut"
            return [Finding(FindingKind.FLAP_STUCK, f"the flap has been open for {open_ns / NS:.0f} s: {why}")]
        if opening.again:
            return self._tailgating(opening, "the flap opened again before the bolt had shut")
        watched = look.somebody and look.seeing and opening.outside_before
        if opening.past_bolt and watched and TWO_NS <= open_ns < STUCK_NS:
            return self._tailgating(opening, f"somebody was still outside {open_ns / NS:.1f} s after the flap opened")
        if opening.past_bolt and LONG_NS <= open_ns < STUCK_NS:
            return self._tailgating(opening, f"the flap stayed open for {open_ns / NS:.1f} s, long enough for two")
        return []

    def _tailgating(self, opening: _Opening, why: str) -> list[Finding]:
        if opening.tailgated:
            return []
        opening.tailgated = True
        return [Finding(FindingKind.TAILGATING, why)]

    def _finish(self, look: Look, now_ns: int) -> list[Finding]:
        """Say what an opening was that met a bolt that was shut; one that did not was an entry, and the visit's."""
        opening, self._opening = self._opening, None
        if opening is None or opening.past_bolt:
            return []
        if opening.outside_before and self._gone(opening, look, now_ns):
            return [Finding(FindingKind.FORCED_ENTRY, "somebody was outside before the flap opened, nobody after")]
        return [Finding(FindingKind.EXIT, "the flap opened past a bolt that is shut to entry")]

    def _gone(self, opening: _Opening, look: Look, now_ns: int) -> bool:
        if opening.closed_ns is None or not look.seeing or look.somebody:
            return False
        last_ns = max(opening.closed_ns, self._somebody_ns or 0)
        return now_ns - last_ns >= GONE_NS


def _within(then_ns: int | None, now_ns: int, limit_ns: int) -> bool:
    return then_ns is not None and now_ns - then_ns <= limit_ns


class BoltWatch:
    """Holds the bolt's own sensor against the orders it was given."""

    def __init__(self, delay_s: float, lease_s: float) -> None:
        """Allow the bolt ``delay_s`` seconds to follow; an order not renewed within ``lease_s`` has ended by itself."""
        self._delay_ns = round(delay_s * NS)
        self._lease_ns = round(lease_s * NS)
        self._ordered_open: bool | None = None
        self._since_ns = 0
        self._looked_ns = 0

    def look(self, *, ordered_open: bool, drawn: bool | None, flap_open: bool, now_ns: int) -> str | None:
        """Return in one sentence that the bolt has not followed for longer than its delay, or None.

        A bolt that was ordered shut and cannot be, because the flap stands open over it, is not to blame. Nor is one
        whose order had ended because the loop itself stood still.
        """
        stood_still = now_ns - self._looked_ns > self._lease_ns
        excused = flap_open and not ordered_open
        if ordered_open is not self._ordered_open or drawn in (None, ordered_open) or excused or stood_still:
            self._since_ns = now_ns
        self._ordered_open, self._looked_ns = ordered_open, now_ns
        if now_ns - self._since_ns <= self._delay_ns:
            return None
        told, does = ("open", "shut") if ordered_open else ("shut", "drawn back")
        return f"the bolt was ordered {told} and its sensor says {does} after {(now_ns - self._since_ns) / NS:.1f} s"
