"""The house's rules over time: the clock watched, the owner's word kept, every change told. Floor 3.

``house`` says what the rules are worth at one moment; this is where the moments, the grants and the panic lock live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge import house
from edge.door import Closure
from edge.hours import Moment
from edge.house import Grant, HouseState, Why
from edge.messages import Mode
from edge.walltime import Trust

if TYPE_CHECKING:
    from edge.house import HouseRules, Permission
    from edge.ports import Clock, Record
    from edge.walltime import WallWatch

LOOK_NS = 1_000_000_000

_SAYS = {
    Why.PANIC: "the panic lock is on",
    Why.MODE: "the door's mode lets nobody in",
    Why.CURFEW: "it is curfew",
    Why.OUT_OF_HOURS: "it is outside this cat's hours",
    Why.NOT_LISTED: "the rules know no such cat",
}


class HouseKeeper:
    """What is allowed now; asked at every tick, with the tick's own time."""

    def __init__(self, rules: HouseRules, watch: WallWatch, clock: Clock, record: Record, state: HouseState) -> None:
        """Start with the state that was kept; a grant never is."""
        self._rules, self._watch, self._clock, self._record = rules, watch, clock, record
        self._state = state
        self._said = False
        self._trust: Trust | None = None
        self._at: Moment | None = None
        self._looked_ns = 0

    @property
    def mode(self) -> Mode:
        """The mode in force."""
        return house.mode_of(self._rules, self._state)

    @property
    def panic(self) -> bool:
        """Whether the panic lock is on."""
        return self._state.lasting.panic

    def closure(self, now_ns: int) -> Closure | None:
        """Return for whom the rules close the door just now."""
        shut = house.closed(self._rules, self._state, self._moment(now_ns))
        if shut is None:
            return None
        return Closure.CURFEW if shut.why is Why.CURFEW else Closure.LOCKED

    def take_said(self) -> bool:
        """Return whether a mode or the panic lock was set since the last call: a lock so said ends what is open."""
        said, self._said = self._said, False
        return said

    def refuses(self, resident: str | None, now_ns: int) -> str | None:
        """Return in one sentence why this one is not let in now, or None where it is."""
        permission = self._permission(resident, now_ns)
        if permission.allowed:
            return None
        until = "" if permission.until is None else f" until {permission.until:%H:%M}"
        return f"{_SAYS[permission.why]}{until}"

    def let_in(self, resident: str | None, now_ns: int) -> None:
        """Use up the grant on which this one was admitted, if there was one; tell what the clock was not asked."""
        permission = self._permission(resident, now_ns)
        if permission.grant is not None:
            self._state = house.grant_used(self._state, permission.grant)
            self._record.event("grant_used", f"for {resident or 'a cat without a name'}")
        elif permission.why is Why.HOURS_IGNORED:
            self._record.event("hours_ignored", f"the clock is {self._watch.trust}, and house.on_bad_clock says so")

    def went_out(self, now_ns: int) -> None:
        """Note that somebody went out, where the owner does not wish it; nothing ever prevents it."""
        if house.leaving_is_noted(self._rules, self._state, self._moment(now_ns)):
            why = f"the mode is {self.mode}" if self.mode in (Mode.IN_ONLY, Mode.LOCKED) else _SAYS[Why.CURFEW]
            self._record.event("out_against_rules", f"{why}; going out is always free")

    # --- the owner's word --------------------------------------------------------------------------------------------

    def lock(self) -> None:
        """Let nobody in until ``lift``, over restarts too."""
        self._said = True
        self._keep(house.with_panic(self._state, on=True))

    def lift(self) -> None:
        """Lift the panic lock."""
        self._keep(house.with_panic(self._state, on=False))

    def set_mode(self, mode: Mode) -> None:
        """Put a mode over the configuration's, over restarts too; the configuration's own gives it its say again."""
        self._said = True
        self._keep(house.with_mode(self._state, None if mode is self._rules.mode else mode))

    def grant(self, who: str | None, for_s: float, now_ns: int) -> None:
        """Let one cat in once, within ``for_s``, whatever the rules say of the hour.

        Raises:
            GrantRefusedError: one line; nothing was changed.
        """
        grant = Grant(who, now_ns + round(for_s * 1e9))
        self._state = house.with_grant(self._rules, self._state, grant, now_ns)

    def _keep(self, state: HouseState) -> None:
        self._state = state
        self._record.house(state.lasting.mode, panic=state.lasting.panic)

    # --- moments -----------------------------------------------------------------------------------------------------

    def _permission(self, resident: str | None, now_ns: int) -> Permission:
        return house.permission(self._rules, self._state, resident, self._moment(now_ns))

    def _moment(self, now_ns: int) -> Moment:
        """Return this tick's moment. The wall clock costs more than all the rules, so it is asked once a second."""
        if self._at is None or not 0 <= now_ns - self._looked_ns < LOOK_NS:
            self._at, self._looked_ns = self._look(now_ns), now_ns
        elif self._at.now_ns != now_ns:
            self._at = Moment(self._at.local, self._at.trusted, now_ns)
        return self._at

    def _look(self, now_ns: int) -> Moment:
        at = self._watch.look(self._clock.wall(), now_ns, synchronised=self._clock.synchronised())
        trust = self._watch.trust
        if trust is not self._trust and (self._trust is not None or trust is not Trust.GOOD):
            kind = "clock_trusted" if trust is Trust.GOOD else "clock_untrusted"
            self._record.event(kind, f"the wall clock is {trust}")
        self._trust = trust
        return at
