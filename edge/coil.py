"""What coils may do, whatever was asked of them: lease, hard cap, heat, and how many at once, as pure logic. Floor 2.

A solenoid that is held too long burns, and whoever decides about cats is not to be trusted with that. Every command
passes through ``CoilGuard.command`` on its way to the pin and comes out as it was, shortened, or as rest. The same
holds for both kinds of lock: power that unlocks and power that locks heat the coil alike.

Heat is a leaky bucket: one second more per second with power, ``duty / (1 - duty)`` seconds less per second without,
so that at a share of ``duty`` with power the level stays where it is. ``duty == 1`` is a coil made to be powered
for ever; it stores no heat.

What cannot be known counts as power. A pin keeps its level while the loop hangs, so the time between two commands is
counted as power even when the lease ran out in between; where the hardware cut the power first, the guard is stricter
than it need be, never the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.messages import REST, BoltAction, FlapCommand

if TYPE_CHECKING:
    from edge.config import LockConfig
    from edge.messages import BootMoment

RESUME_SHARE = 0.8
"""A coil that was too hot may be powered again below this share of its budget: room for one opening, no chatter."""

SHORTEST_LEASE_S = 0.001
"""What is left of cap or budget below this is not worth a click."""

NS = 1_000_000_000


class CoilRefusal(StrEnum):
    """Why power was refused."""

    LEASE = "lease"  # the command carried no time for which it holds
    CAP = "cap"  # powered for max_on_s without a rest
    REST = "rest"  # not yet rested for min_rest_s after the cap
    HEAT = "heat"  # the bucket is full, or was and has not cooled enough


@dataclass(frozen=True, slots=True)
class CoilState:
    """The coil as it is known at ``at_ns``; every ``_ns`` is on the clock the guard was started with.

    ``powered`` is what was last sent to the pin, ``since_ns`` when that began; ``lease_end_ns`` ends it unless renewed.
    """

    heat_s: float
    at_ns: int
    powered: bool
    since_ns: int
    lease_end_ns: int
    rest_until_ns: int
    cooling: bool


class CoilGuard:
    """Turns wishes into what may be sent to the pin, and says why when it refuses."""

    def __init__(self, settings: LockConfig, heat_s: float, now_ns: int) -> None:
        """Start with a coil at rest that holds ``heat_s`` seconds of heat (``heat_after`` ages a stored value)."""
        self._settings = settings
        heat_s = heat_after(heat_s, 0.0, settings)
        self._state = CoilState(
            heat_s=heat_s,
            at_ns=now_ns,
            powered=False,
            since_ns=now_ns,
            lease_end_ns=now_ns,
            rest_until_ns=now_ns,
            cooling=self._hot(heat_s),
        )
        self._refusal: CoilRefusal | None = None

    @property
    def refusal(self) -> CoilRefusal | None:
        """Why the last command was turned into rest; None when it was not, or when rest was what was asked."""
        return self._refusal

    @property
    def state(self) -> CoilState:
        """What is known as of the last command."""
        return self._state

    def command(self, wanted: FlapCommand, now_ns: int) -> FlapCommand:
        """Return what may be sent to the pin now: ``wanted``, the same with a shorter lease, or rest."""
        state = self._advanced(now_ns)
        self._refusal = None if wanted.action is BoltAction.REST else self._reason(state, wanted)
        if wanted.action is BoltAction.REST or self._refusal is not None:
            self._state = self._rested(state)
            return REST
        granted_s = self._left_s(state, wanted)
        since_ns = state.since_ns if state.powered else state.at_ns
        self._state = replace(state, powered=True, since_ns=since_ns, lease_end_ns=state.at_ns + int(granted_s * NS))
        return FlapCommand(BoltAction.ENERGISE, granted_s)

    def powered(self, now_ns: int) -> bool:
        """Return whether the coil ought to have power at ``now_ns``: a lease that has run out counts as no."""
        return self._state.powered and now_ns < self._state.lease_end_ns

    def heat_s(self, now_ns: int) -> float:
        """Return the heat the coil holds at ``now_ns``, in seconds with power; never negative."""
        return self._advanced(now_ns).heat_s

    def heat_share(self, now_ns: int) -> float:
        """Return the heat the coil holds as a share of its budget, 0..1."""
        return min(1.0, self.heat_s(now_ns) / self._settings.heat_budget_s)

    def worst_heat_s(self, now_ns: int) -> float:
        """Return what to keep of the heat while the coil has power, so that a death within the run forgets none.

        It is the most the coil can hold when the run ends, by cap or by budget, and on top what ``heat_after`` takes
        off for the time of the run itself, as if that were rest: whoever ages it from now on is never below the truth.
        """
        settings = self._settings
        if settings.duty >= 1:
            return 0.0
        state = self._advanced(now_ns)
        left_s = min(settings.max_on_s - self._on_s(state), settings.heat_budget_s - state.heat_s)
        return state.heat_s + max(0.0, left_s) / (1 - settings.duty)

    def _advanced(self, now_ns: int) -> CoilState:
        state = self._state
        now_ns = max(now_ns, state.at_ns)
        passed_s = (now_ns - state.at_ns) / NS
        if state.powered:
            heat_s = state.heat_s + (0.0 if self._settings.duty >= 1 else passed_s)
        else:
            heat_s = heat_after(state.heat_s, passed_s, self._settings)
        cooling = self._hot(heat_s) or (state.cooling and heat_s > RESUME_SHARE * self._settings.heat_budget_s)
        # Written out: this runs every tick, and replace() costs three times as much.
        return CoilState(
            heat_s=heat_s,
            at_ns=now_ns,
            powered=state.powered,
            since_ns=state.since_ns,
            lease_end_ns=state.lease_end_ns,
            rest_until_ns=state.rest_until_ns,
            cooling=cooling,
        )

    def _hot(self, heat_s: float) -> bool:
        return heat_s > self._settings.heat_budget_s - SHORTEST_LEASE_S

    def _reason(self, state: CoilState, wanted: FlapCommand) -> CoilRefusal | None:
        if not wanted.lease_s >= SHORTEST_LEASE_S:  # written so that a lease that is no number is refused too
            return CoilRefusal.LEASE
        if self._cap_reached(state):
            return CoilRefusal.CAP
        if not state.powered and state.at_ns < state.rest_until_ns:
            return CoilRefusal.REST
        return CoilRefusal.HEAT if state.cooling else None

    def _cap_reached(self, state: CoilState) -> bool:
        return state.powered and self._on_s(state) > self._settings.max_on_s - SHORTEST_LEASE_S

    def _on_s(self, state: CoilState) -> float:
        return (state.at_ns - state.since_ns) / NS if state.powered else 0.0

    def _left_s(self, state: CoilState, wanted: FlapCommand) -> float:
        settings = self._settings
        heat_left_s = settings.max_on_s if settings.duty >= 1 else settings.heat_budget_s - state.heat_s
        return min(wanted.lease_s, settings.lease_s, settings.max_on_s - self._on_s(state), heat_left_s)

    def _rested(self, state: CoilState) -> CoilState:
        if not state.powered:
            return state
        rest_ns = int(self._settings.min_rest_s * NS) if self._cap_reached(state) else 0
        return replace(
            state, powered=False, since_ns=state.at_ns, lease_end_ns=state.at_ns, rest_until_ns=state.at_ns + rest_ns
        )


def heat_after(heat_s: float, rest_s: float, settings: LockConfig) -> float:
    """Return what is left of ``heat_s`` after ``rest_s`` seconds without power; a negative ``rest_s`` cools nothing."""
    if settings.duty >= 1:
        return 0.0
    return max(0.0, heat_s - max(0.0, rest_s) * settings.duty / (1 - settings.duty))


def surely_passed_s(kept: BootMoment, now: BootMoment) -> float:
    """Return the seconds that have passed for certain since ``kept``; never negative, and the wall clock has no say.

    Within one boot its own clock tells. From an earlier boot it is at least the time since this one; for how long the
    machine was off before it nobody knows, because a Pi has no clock that runs on. Where a boot has no name, which of
    the two holds is not known, and nothing is certain.
    """
    if not kept.boot_id or not now.boot_id:
        return 0.0
    passed_ns = now.since_ns - kept.since_ns if now.boot_id == kept.boot_id else now.since_ns
    return max(0, passed_ns) / NS


@dataclass(frozen=True, slots=True)
class PowerBudget:
    """What the supply can give, and what each coil takes of it, in watts."""

    supply_w: float
    coils_w: tuple[float, ...]

    def allows(self, powered: frozenset[int]) -> bool:
        """Return whether the supply can power these coils, named by their place in ``coils_w``, at once."""
        return sum(self.coils_w[place] for place in powered) <= self.supply_w


class Interlock:
    """Lets several coils have power one after the other, and at once only as far as the supply allows.

    Two coils never switch on within ``stagger_s`` of each other, because switching on is when a supply dips. As in
    ``CoilGuard`` what cannot be known counts as power: a coil has it from the command that gave it to the one that
    took it away, whether or not its lease has run out in between.
    """

    def __init__(self, budget: PowerBudget, stagger_s: float) -> None:
        """Start with every coil at rest."""
        self._budget = budget
        self._stagger_ns = round(stagger_s * NS)
        self._powered: frozenset[int] = frozenset()
        self._switched_ns: int | None = None

    def grant(self, wanted: tuple[FlapCommand, ...], now_ns: int) -> tuple[FlapCommand, ...]:
        """Return what each coil is sent now, in the order of ``PowerBudget.coils_w``: what was wanted, or rest.

        A coil that has power keeps it before another gets any; among the others the first in order comes first.
        """
        asking = [place for place, command in enumerate(wanted) if command.action is BoltAction.ENERGISE]
        self._powered &= frozenset(asking)
        for place in asking:
            if place not in self._powered and self._may_switch(place, now_ns):
                self._powered |= {place}
                self._switched_ns = now_ns
        return tuple(command if place in self._powered else REST for place, command in enumerate(wanted))

    def _may_switch(self, place: int, now_ns: int) -> bool:
        staggered = self._switched_ns is None or now_ns - self._switched_ns >= self._stagger_ns
        return staggered and self._budget.allows(self._powered | {place})
