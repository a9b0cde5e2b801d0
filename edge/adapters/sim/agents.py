"""Those who come to the flap, and what they do there, one step of the world at a time."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Protocol

import numpy as np

from edge.adapters.sim.animals import SHOULDER, Head, Posture, Species
from edge.adapters.sim.coats import Coat
from edge.adapters.sim.people import Part
from edge.adapters.sim.prey import HARMLESS, Carries
from edge.adapters.sim.render import Actor, AnimalActor, CatActor, Insect, LeafActor, PersonActor, Stance
from edge.adapters.sim.scene import Act, ActorPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge.adapters.sim.backdrop import Backdrop

_REACH: dict[str, float] = {
    "cat": 1.12,
    Species.FOX: 1.5,
    Species.DOG: 1.42,
    Species.RACCOON: 1.15,
    Species.RAT: 1.55,
    Species.HEDGEHOG: 1.32,
    Species.BIRD: 0.82,
    "person": 1.25,
}
"""How far the nose, or the hand, is before the middle of the body, in the figure's own units."""

_PACE = 1.15  # units a second
_STRIDE = 1.05  # units a step
_CARRIED = 0.22  # units that prey sticks out before the nose
_CHIP_RANGE = 0.8  # units before the wall
_WARM = frozenset({"cat", "person", *Species})


class Site(Protocol):
    """What an agent finds in front of it."""

    @property
    def backdrop(self) -> Backdrop:
        """The place."""

    @property
    def step_s(self) -> float:
        """How long one step of the world is."""

    def note(self, what: str, who: str) -> None:
        """Write down that something happened."""

    def may_pass(self, who: str) -> bool:
        """Return whether the flap gives way to a push from outside."""

    def may_leave(self) -> bool:
        """Return whether the flap gives way to a push from inside."""

    def push_flap(self, *, inwards: bool) -> None:
        """Hold the flap open for this step."""

    def rattle_flap(self) -> None:
        """Bump the flap against its bolt for this step."""

    def change_house(self, who: str, *, inside: bool) -> None:
        """Say that somebody is in the house now, or has left it."""

    def leader(self, name: str) -> Agent | None:
        """Return who is called so and still out here, or None."""


class Agent:
    """One actor while the scene lasts. ``tick`` lets it live one step on."""

    def __init__(self, plan: ActorPlan, site: Site, seed: int) -> None:
        """Put it where it comes from; nothing of it is to be seen before its time."""
        self.plan = plan
        self.present = False
        self.leaving = False
        self.near_s = 0.0
        self._site = site
        # crc32 rather than hash(): the same cat looks the same in every process.
        self._number = zlib.crc32(plan.name.encode())
        self._phase = float(np.random.default_rng((seed, self._number)).uniform(0, 6.28))
        size = SHOULDER[Species(plan.kind)] if plan.kind in tuple(Species) else 1.0
        ceiling = 118.0 if plan.kind == "person" else 1000.0
        self.unit_px = min(site.backdrop.unit_px, ceiling) * size
        self._reach_px = _REACH.get(plan.kind, 0.5) * self.unit_px
        self.x_px = self._out_of_sight
        self._y_px = site.backdrop.ground_px + float(self._number % 5) - 2
        self._mirrored = False
        self._speed_px = 0.0
        self._stride = self._phase
        self._age_s = 0.0
        self._head = Head.PROFILE
        self._rear = False
        self._carries = plan.carries
        self._acts: dict[Act, Callable[[float], Iterator[bool]]] = {
            Act.APPROACH: self._approach,
            Act.LOOK: self._look,
            Act.FACE: self._face,
            Act.TURN: self._turn,
            Act.SNIFF: self._sniff,
            Act.HESITATE: self._hesitate,
            Act.BACK_OUT: self._back_out,
            Act.WAIT: self._stand,
            Act.DROP: self._drop,
            Act.PUSH: self._push,
            Act.FORCE: self._force,
        }
        self._life = self._live()

    @property
    def nose_px(self) -> float:
        """The column of the nose."""
        return self.x_px + (-self._reach_px if self._mirrored else self._reach_px)

    @property
    def warm(self) -> bool:
        """Whether a PIR sensor can feel it."""
        return self.present and self.plan.kind in _WARM

    @property
    def in_chip_range(self) -> bool:
        """Whether its chip is near the reader's antenna."""
        edge = self._site.backdrop.wall_px - _CHIP_RANGE * self.unit_px
        return self.present and bool(self.plan.chip) and not self._mirrored and self.nose_px >= edge

    @property
    def _out_of_sight(self) -> float:
        return -self._reach_px - 0.4 * self.unit_px

    def tick(self) -> bool:
        """Live one step; False when its part is over."""
        self._speed_px = 0.0
        self._age_s += self._site.step_s
        over = next(self._life, None) is None
        self.near_s = self.near_s + self._site.step_s if self.in_chip_range else 0.0
        return not over

    def drawn(self) -> Actor | None:
        """Return it as the renderer takes it, or None for who is away or no figure."""
        if not self.present or self.plan.kind in {"insect", "photos"}:
            return None
        if self.plan.kind == "leaf":
            return self._leaf()
        # A hand is drawn back as it came; it does not turn round.
        mirrored = self._mirrored and (self.plan.kind != "person" or self.plan.part is Part.LEGS)
        stance = Stance(self.x_px, self._y_px, self.unit_px, mirrored, self._speed_px)
        if self.plan.kind == "person":
            return PersonActor(stance, self.plan.part, self._stride * 0.6, 60 + self._number % 90)
        posture = self._posture()
        if self.plan.kind == "cat":
            return CatActor(stance, Coat(self.plan.coat, self._number % 100_000), posture)
        return AnimalActor(stance, Species(self.plan.kind), posture, self._number % 31 - 15)

    def insects(self) -> tuple[Insect, ...]:
        """Return the streak of an insect, or nothing."""
        if not self.present or self.plan.kind != "insect":
            return ()
        at, before = (self._buzz(self._age_s - lag) for lag in (0.0, 0.05))
        return (Insect(before[0], before[1], at[0], at[1], 4.0 + 5.0 * abs(float(np.sin(self._age_s * 2.1)))),)

    # --- figures -----------------------------------------------------------------------------------------------

    def _posture(self) -> Posture:
        sway = float(np.sin(self._age_s * 2.2 + self._phase))
        return Posture(
            stride=self._stride,
            head=self._head,
            nod_rad=0.08 + 0.09 * sway,
            tail=0.5 + 0.4 * float(np.sin(self._age_s * 0.9 + self._phase)),
            crouch=0.15 * (self._number % 4) / 3,
            rear=self._rear,
            carries=self._carries,
            sway_rad=0.2 * float(np.sin(self._age_s * 5 + self._phase)),
        )

    def _leaf(self) -> LeafActor:
        height = abs(float(np.sin(self._age_s * 2.3 + self._phase))) * 50
        unit = 8.0 + self._number % 8
        stance = Stance(self.x_px, self._y_px - height, unit, speed_px=self._speed_px)
        return LeafActor(stance, self._age_s * 4 + self._phase, 90 + self._number % 90)

    def _buzz(self, age_s: float) -> tuple[float, float]:
        turn = age_s * 3.1 + self._phase
        return 150 + 130 * float(np.sin(turn)), 110 + 85 * float(np.sin(turn * 1.7 + 1))

    # --- what it does ------------------------------------------------------------------------------------------

    def _live(self) -> Iterator[bool]:
        self.present = True
        self._site.note("arrives", self.plan.name)
        yield from self._part()
        self.present = False

    def _part(self) -> Iterator[bool]:
        if self.plan.kind == "leaf":
            yield from self._drift(sum(step.seconds for step in self.plan.behaviour))
            return
        if self.plan.kind in {"insect", "photos"}:
            yield from self._stand(sum(step.seconds for step in self.plan.behaviour))
            return
        if self.plan.side == "inside":
            yield from self._come_out()
        for step in self.plan.behaviour if self.plan.side != "inside" else ():
            yield from self._acts[step.act](step.seconds)
            if not self.present:
                return
        yield from self._back_out(0.0)
        self._site.note("leaves", self.plan.name)

    def _walk(self, side: int) -> None:
        pace = _PACE * self._site.backdrop.unit_px * self._site.step_s
        self.x_px += side * pace
        self._stride += pace / (_STRIDE * self.unit_px)
        self._speed_px = side * pace
        self._mirrored = side < 0
        self._head, self._rear = Head.PROFILE, False

    def _walk_to(self, x_px: float) -> Iterator[bool]:
        side = 1 if x_px > self.x_px else -1
        while (x_px - self.x_px) * side > 2:
            if not self._held_up(side):
                self._walk(side)
            yield True
        self._mirrored = False

    def _held_up(self, side: int) -> bool:
        """Return whether it must wait behind the one it follows."""
        leader = self._site.leader(self.plan.follows) if self.plan.follows else None
        return side > 0 and leader is not None and self.nose_px > leader.x_px - 0.8 * leader.unit_px

    def _stand(self, seconds: float) -> Iterator[bool]:
        for _ in range(max(1, round(seconds / self._site.step_s))):
            yield True

    def _pose(self, head: Head, seconds: float, *, rear: bool = False) -> Iterator[bool]:
        self._head, self._rear = head, rear
        yield from self._stand(seconds)
        self._head, self._rear = Head.PROFILE, False

    @property
    def _at_flap_px(self) -> float:
        carried_px = 0.0 if self._carries in HARMLESS else _CARRIED * self.unit_px
        return self._site.backdrop.wall_px - 14 - self._reach_px - carried_px

    def _approach(self, seconds: float) -> Iterator[bool]:
        del seconds
        yield from self._walk_to(self._at_flap_px)

    def _look(self, seconds: float) -> Iterator[bool]:
        yield from self._pose(Head.PROFILE, seconds)

    def _face(self, seconds: float) -> Iterator[bool]:
        yield from self._pose(Head.TOWARDS, seconds)

    def _turn(self, seconds: float) -> Iterator[bool]:
        yield from self._pose(Head.AWAY, seconds / 2)
        yield from self._pose(Head.AWAY, seconds / 2, rear=True)

    def _sniff(self, seconds: float) -> Iterator[bool]:
        yield from self._pose(Head.LOWERED, seconds)

    def _hesitate(self, seconds: float) -> Iterator[bool]:
        yield from self._walk_to(self._at_flap_px - 0.7 * self.unit_px)
        yield from self._pose(Head.AWAY, seconds / 3)
        yield from self._walk_to(self._at_flap_px - 1.0 * self.unit_px)
        yield from self._pose(Head.TOWARDS, seconds / 3)
        yield from self._pose(Head.PROFILE, seconds / 3)

    def _back_out(self, seconds: float) -> Iterator[bool]:
        del seconds
        self.leaving = True
        yield from self._walk_to(self._out_of_sight)
        self.leaving = False

    def _drop(self, seconds: float) -> Iterator[bool]:
        yield from self._pose(Head.LOWERED, seconds)
        self._carries = Carries.NOTHING

    def _push(self, seconds: float) -> Iterator[bool]:
        del seconds
        waited_s = 0.0
        while waited_s < self.plan.patience_s:
            if not self._held_up(1) and self._site.may_pass(self.plan.name):
                yield from self._go_in()
                return
            if waited_s % 1.0 < self._site.step_s:
                self._site.note("bumps", self.plan.name)
                self._site.rattle_flap()
            waited_s += self._site.step_s
            yield True

    def _force(self, seconds: float) -> Iterator[bool]:
        yield from self._stand(seconds)
        self._site.note("forces", self.plan.name)
        yield from self._go_in()

    def _go_in(self) -> Iterator[bool]:
        self._site.note("pushes", self.plan.name)
        while self.x_px < self._site.backdrop.wall_px + 0.9 * self.unit_px:
            self._site.push_flap(inwards=True)
            self._walk(1)
            self._walk(1)  # through the flap it hurries
            yield True
        self.present = False
        self._site.change_house(self.plan.name, inside=True)

    def _come_out(self) -> Iterator[bool]:
        """Go out as soon as the flap gives way; exit is free, so that ought to be at once."""
        self.x_px = self._site.backdrop.wall_px + self._reach_px
        while not self._site.may_leave():
            yield True
        while self.x_px > self._site.backdrop.wall_px - 0.9 * self.unit_px:
            self._site.push_flap(inwards=False)
            self._walk(-1)
            yield True
        self._site.change_house(self.plan.name, inside=False)

    def _drift(self, seconds: float) -> Iterator[bool]:
        self.x_px = -20.0
        pace = (self._site.backdrop.wall_px + 40) / max(seconds, self._site.step_s) * self._site.step_s
        while self.x_px < self._site.backdrop.wall_px + 20:
            self.x_px += pace
            self._speed_px = pace
            yield True
