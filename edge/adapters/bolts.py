"""Several bolts as one flap: drawn one after the other through the interlock. Floor 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.coil import Interlock, PowerBudget
from edge.errors import HardwareError
from edge.messages import REST, BoltAction

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.config import LockConfig
    from edge.messages import FlapCommand
    from edge.ports import Clock, Flap


class SequencedFlap:
    """Coils that together hold one entry; implements ``ports.Flap``.

    Every command goes to every coil, as far as the interlock lets it: rest at once and first, power one coil after the
    other. All of them are of one kind, and none has power for longer than the first, so the one ``CoilGuard`` that
    stands before this flap bounds the heat of each. The entry is open when the last bolt is drawn, and shut to entry
    when the first has fallen.
    """

    def __init__(self, coils: Sequence[Flap], interlock: Interlock, clock: Clock) -> None:
        """Take coils at rest, in the order in which they are drawn."""
        self._coils = tuple(coils)
        self._interlock = interlock
        self._clock = clock

    def apply(self, command: FlapCommand) -> None:
        """Send every coil what the interlock grants it of the command.

        Raises:
            HardwareError: a pin cannot be driven; every coil that still can be is at rest then.
        """
        granted = self._interlock.grant((command,) * len(self._coils), self._clock.monotonic_ns())
        ordered = sorted(zip(granted, self._coils, strict=True), key=lambda pair: pair[0].action is BoltAction.ENERGISE)
        try:
            for part, coil in ordered:
                coil.apply(part)
        except HardwareError:
            self._rest()
            raise

    def powered(self) -> bool:
        """Return whether any coil has power; every lease that has run out is ended."""
        answers = [coil.powered() for coil in self._coils]
        return any(answers)

    def close(self) -> None:
        """Rest every coil and release its pin."""
        for coil in self._coils:
            coil.close()

    def _rest(self) -> None:
        """Rest what can be rested; what cannot has been named already, and its lease is not renewed."""
        self._interlock.grant((REST,) * len(self._coils), self._clock.monotonic_ns())
        for coil in self._coils:
            try:
                coil.apply(REST)
            except HardwareError:
                continue


def bolt_flap(coils: Sequence[Flap], lock: LockConfig, clock: Clock) -> Flap:
    """Return the flap that one coil is, or that several are through an interlock of the owner's supply."""
    if len(coils) == 1:
        return coils[0]
    budget = PowerBudget(lock.supply_w, (lock.coil_w,) * len(coils))
    return SequencedFlap(coils, Interlock(budget, lock.bolt_delay_s), clock)
