"""Random events against the real loop: door, coil's guard and interlock together, watched by a checker of its own.

    make door-events        or        python tools/door_events.py --events 1000000 --seed 1 --write docs/door.md

Cats with and without an empty mouth, a chip or anything to be seen; flaps that move, stick and are read wrongly;
buttons, words, curfews, locks; pins, bolts, cameras, models that fail; a loop that hangs, dies and starts again with
the heat it kept. Only pictures are left out: gate, quality and model are told what there is. The checker believes
nothing that the loop says: it stands at the pins, keeps its own clock, heat and leases, and knows who is really there.

One JSON line; exit status 1 when anything was broken.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, cast

import numpy as np
from pages import replaced

from edge.adapters.absent import AbsentHeartbeat, AbsentIndicator, AbsentLamp
from edge.adapters.bolts import SequencedFlap
from edge.adapters.clock import SimClock
from edge.adapters.sim import mechanics
from edge.coil import CoilGuard, Interlock, PowerBudget, heat_after
from edge.config import LockConfig
from edge.door import Door, DoorState, DoorTimes
from edge.errors import HardwareError
from edge.features import Recipe
from edge.hours import Curfew, span_of
from edge.house import HouseRules, HouseState, Lasting, OnBadClock
from edge.housekeeper import LOOK_NS, HouseKeeper
from edge.identity import Recogniser
from edge.keeper import CameraKeeper, ReaderKeeper
from edge.messages import (
    LABELS,
    BoltAction,
    Box,
    Command,
    CommandKind,
    EvidenceSettings,
    FlapCommand,
    Frame,
    Label,
    Mode,
    Motion,
    MotionWhy,
    Needs,
    Quality,
    QualityWhy,
    Request,
    Resident,
    Residents,
    Rules,
    Scores,
    SensorReading,
)
from edge.pipeline import Judging, Model, OneModel, Parts, Pipeline, Wishes
from edge.policy import Budgets, wald_bounds
from edge.visits import Provenance
from edge.walltime import WallWatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edge.messages import Grey, Patch, Reply, Visit
    from edge.quality import QualityJudge

NS = 1_000_000_000
TICK_S = 0.1
OURS, STRANGE = "276098100000001", "276098100000002"
LOCK = LockConfig(lease_s=0.5, max_on_s=7.0, min_rest_s=1.0, heat_budget_s=12.0, duty=0.05, bolt_delay_s=0.3)
BUDGET = PowerBudget(24.0, (12.0, 12.0))
TIMES = DoorTimes(open_s=6.0, hold_off_s=30.0)
MIN_FRAMES = 3
LICENCE_NS = 8 * NS
"""How long evidence or a button may still open the bolt: 6 s of open_s, and two of ticks."""
EVIDENCE_NS = 2 * NS
"""How long evidence outlasts its cat: a visit ends 1.5 s after the last of it was seen, and may wait for the house."""
PROCESSES = 2
"""So many storms pass side by side, each with a seed of its own."""
TINY_NS = 5_000_000
"""What the guard may stop short of a limit, and what whole nanoseconds may add up to."""

CURFEW_BEGINS_H, CURFEW_ENDS_H = 22, 6
GRANT_S = 10.0
HOUSE = HouseRules(
    mode=Mode.IN_AND_OUT,
    curfew=Curfew(span_of(f"{CURFEW_BEGINS_H}:00-0{CURFEW_ENDS_H}:00"), tuple(range(7)), 0),
    on_bad_clock=OnBadClock.KEEP_HOURS,
    hours=(("Mimi", ()),),
)

RULES = Rules(
    evidence=EvidenceSettings(
        priors=(1 / 6,) * 6,
        llr_cap=3.0,
        prey_llr_cap=3.0,
        discount_floor=0.5,
        discount_scale=10.0,
        min_frames=MIN_FRAMES,
    ),
    bounds=wald_bounds(Budgets(0.02, 0.05)),
    residents=Residents((Resident("Mimi", OURS, Needs.CHIP, prey_check=True),), any_cat=False),
    blind_after_s=3.0,
)


class Breach(StrEnum):
    """What must never happen."""

    LEASE = "leases outliving their silence"
    CAP = "caps exceeded"
    HEAT = "heat budgets exceeded"
    EXIT = "states in which exit is gated"
    SHUT = "bolts closed on an open flap"
    EVIDENCE = "admissions without positive evidence"
    SUPPLY = "coils switched on together"


@dataclass
class Place:
    """What is really there, and what is broken."""

    clock: SimClock
    visitor: Label | None = None
    chip: str = ""
    flap_open: bool = False
    button: bool = False
    warm: bool = False
    dark: bool = False
    camera_lost: bool = False
    camera_up: bool = False  # whether it gave a picture in the last tick: reopening takes its time
    model_dead: bool = False
    pins_dead: bool = False
    bolt_pin_dead: bool = False
    bolt_stuck: bool = False
    panic: bool = False
    mode: Mode = Mode.IN_AND_OUT
    granted_until_ns: int = 0
    heat_s: float = 0.0
    heat_ns: int = 0
    lasting: Lasting = field(default_factory=Lasting)
    told: Counter[str] = field(default_factory=Counter)

    def lets_in(self, now_ns: int) -> bool:
        """Return whether the house's rules let our cat in; a grant counts to its end, used or not."""
        hour = self.clock.wall().hour
        open_now = self.mode in (Mode.IN_AND_OUT, Mode.IN_ONLY) and CURFEW_ENDS_H <= hour < CURFEW_BEGINS_H
        return not self.panic and (open_now or now_ns < self.granted_until_ns)

    @property
    def seen(self) -> bool:
        """Whether the loop can have evidence now."""
        return self.camera_up and not (self.dark or self.camera_lost or self.model_dead)


class Coil:
    """One coil as it really is: its pin honours leases, and its heat is counted here and nowhere else."""

    def __init__(self) -> None:
        """Start cold, without power."""
        self.on_ns: int | None = None
        self.lease_end_ns = 0
        self.heat_ns = 0.0
        self.asked = False  # whether the last command was for power, however long ago
        self._at_ns = 0
        self.longest_ns = 0

    def pass_time(self, now_ns: int) -> None:
        """Heat and cool, and let a lease that has run out end."""
        passed_ns = now_ns - self._at_ns
        powered_ns = 0 if self.on_ns is None else max(0, min(now_ns, self.lease_end_ns) - self._at_ns)
        self.heat_ns = _cooled(self.heat_ns + powered_ns, passed_ns - powered_ns)
        self._at_ns = now_ns
        if self.on_ns is not None:
            self.longest_ns = max(self.longest_ns, min(now_ns, self.lease_end_ns) - self.on_ns)
            if now_ns >= self.lease_end_ns:
                self.on_ns = None

    def take(self, command: FlapCommand, now_ns: int) -> None:
        """Follow a command."""
        self.asked = command.action is BoltAction.ENERGISE
        if command.action is BoltAction.REST:
            self.on_ns = None
            return
        self.on_ns = now_ns if self.on_ns is None else self.on_ns
        self.lease_end_ns = now_ns + round(command.lease_s * NS)


class Belief:
    """What the one guard of both coils has to believe: an order is power from when it is given, and so is silence."""

    def __init__(self, heat_ns: float, now_ns: int) -> None:
        """Start at rest, with the heat that was kept."""
        self._heat_ns, self._at_ns = heat_ns, now_ns
        self._on_ns: int | None = None
        self.spent = False

    def take(self, command: FlapCommand, now_ns: int) -> None:
        """Note an order, and whether cap or heat forbade to go on by then."""
        passed_ns = now_ns - self._at_ns
        powered_ns = 0 if self._on_ns is None else passed_ns
        self._heat_ns, self._at_ns = _cooled(self._heat_ns + powered_ns, passed_ns - powered_ns), now_ns
        run_ns = 0 if self._on_ns is None else now_ns - self._on_ns
        full = self._heat_ns >= LOCK.heat_budget_s * NS - TINY_NS
        self.spent = full or run_ns >= LOCK.max_on_s * NS - TINY_NS
        if command.action is BoltAction.REST:
            self._on_ns = None
        else:
            self._on_ns = now_ns if self._on_ns is None else self._on_ns


def _cooled(heat_ns: float, rest_ns: float) -> float:
    return max(0.0, heat_ns - rest_ns * LOCK.duty / (1 - LOCK.duty))


def _since(then_ns: int | None, now_ns: int) -> float:
    return math.inf if then_ns is None else now_ns - then_ns


class Checker:
    """Stands at the pins and holds every command against what is really there."""

    def __init__(self, place: Place) -> None:
        """Start with cold coils."""
        self.place = place
        self.belief = Belief(0.0, place.clock.monotonic_ns())
        self.coils = (Coil(), Coil())
        self.bolts = tuple(mechanics.Bolt(LOCK.kind, 0.15) for _ in self.coils)
        self.panel = mechanics.Panel()
        self.breaches: Counter[Breach] = Counter()
        self.openings = self.licences = 0
        self._licence_ns: int | None = None
        self._evidence_ns: int | None = None
        self._open_ns: int | None = None  # when the rules last let our cat in; the loop looks at the clock each second
        self._told_open = False
        self._frames = 0
        self._chip = ""
        self._switched_ns: int | None = None

    def forget(self) -> None:
        """Begin with a loop that was told nothing yet, and pins that were driven low when they were opened."""
        self._told_open = False
        for coil in self.coils:
            coil.asked = False

    def told(self, reading: SensorReading) -> None:
        """Note what the loop was told of the flap."""
        if reading.flap_open is not None:
            self._told_open = reading.flap_open

    def command(self, which: int, command: FlapCommand, now_ns: int) -> None:
        """Judge a command as it reaches the pin."""
        coil = self.coils[which]
        coil.pass_time(now_ns)
        energise, was_asked = command.action is BoltAction.ENERGISE, coil.asked
        if energise and not 0 < command.lease_s <= LOCK.lease_s:
            self.breaches[Breach.LEASE] += 1
        if energise and not was_asked:
            self._switched_on(which, now_ns)
        falls = coil.on_ns is not None and not energise
        if falls and self._told_open and not self.belief.spent and not self.place.bolt_pin_dead:
            self.breaches[Breach.SHUT] += 1
        coil.take(command, now_ns)
        self.bolts[which].apply(command, now_ns)

    def _switched_on(self, which: int, now_ns: int) -> None:
        if self._switched_ns is not None and now_ns - self._switched_ns < LOCK.bolt_delay_s * NS:
            self.breaches[Breach.SUPPLY] += 1
        self._switched_ns = now_ns
        if which == 0:
            self.openings += 1
            if self._licence_ns is None or now_ns - self._licence_ns > LICENCE_NS:
                self.breaches[Breach.EVIDENCE] += 1

    def look(self, now_ns: int) -> None:
        """Hold coils, bolts and panel against their bounds after a tick."""
        for coil, bolt in zip(self.coils, self.bolts, strict=True):
            coil.pass_time(now_ns)
            bolt.settle(now_ns)
            self.breaches[Breach.CAP] += coil.longest_ns > LOCK.max_on_s * NS + TINY_NS
            self.breaches[Breach.HEAT] += coil.heat_ns > LOCK.heat_budget_s * NS + TINY_NS
            self.breaches[Breach.LEASE] += coil.on_ns is not None and now_ns >= coil.lease_end_ns
            coil.longest_ns = 0
        self.breaches[Breach.EXIT] += not mechanics.gives_way(self.bolts, self.panel, inwards=False)

    def see(self, now_ns: int) -> None:
        """Count the evidence that the world gives, before the loop turns."""
        place = self.place
        if place.visitor is None:
            self._frames, self._chip = 0, ""
        else:
            self._chip = self._chip or place.chip
            clear = place.visitor is Label.CAT_CLEAR and place.seen
            self._frames += clear
            if self._chip == OURS and ((clear and self._frames >= MIN_FRAMES) or not place.seen):
                self._evidence_ns = now_ns
        if place.lets_in(now_ns):
            self._open_ns = now_ns
        if _since(self._evidence_ns, now_ns) <= EVIDENCE_NS and _since(self._open_ns, now_ns) <= LOOK_NS:
            self.license(now_ns)

    def license(self, now_ns: int) -> None:
        """Say that the bolt may open now: by evidence, by the owner's choice for the unseen, or by a person."""
        self.licences += 1
        self._licence_ns = now_ns

    def revoke(self) -> None:
        """Say that from now on nobody is let in but by a person."""
        self._licence_ns = self._open_ns = None


# --- the hardware that the loop is given ---------------------------------------------------------------------------


class Pin:
    """The flap's pin."""

    def __init__(self, which: int, checker: Checker) -> None:
        """Stand before one coil."""
        self._which, self._checker = which, checker

    def apply(self, command: FlapCommand) -> None:
        """Hand the command to the checker, or be dead."""
        if self._checker.place.bolt_pin_dead and command.action is BoltAction.ENERGISE:
            raise HardwareError("the pin is dead")
        self._checker.command(self._which, command, self._checker.place.clock.monotonic_ns())

    def powered(self) -> bool:
        """Return whether the coil really has power."""
        return self._checker.coils[self._which].on_ns is not None

    def close(self) -> None:
        """Leave the pin as it is: the lease ends it."""


class Overheard:
    """The flap, with the checker listening to what the loop orders of it."""

    def __init__(self, inner: SequencedFlap, checker: Checker) -> None:
        """Stand before the flap."""
        self._inner, self._checker = inner, checker

    def apply(self, command: FlapCommand) -> None:
        """Note the order and pass it on."""
        self._checker.belief.take(command, self._checker.place.clock.monotonic_ns())
        self._inner.apply(command)

    def powered(self) -> bool:
        """Return whether a coil has power."""
        return self._inner.powered()

    def close(self) -> None:
        """Close the flap."""
        self._inner.close()


class Eyes:
    """Camera, gate, quality judge, model and chip reader in one: they are told what there is."""

    recipe = Recipe(8, 8, 0.1, 0.2, 2.0)
    settled = False

    def __init__(self, place: Place) -> None:
        """Look at the place."""
        self._place = place
        self._seq = 0
        rng = np.random.default_rng(1)
        self._greys: list[Grey] = [rng.integers(0, 255, (12, 12), np.uint8) for _ in range(7)]

    def newest(self, timeout_s: float) -> Frame:
        """Return the next frame, a tick later."""
        self._place.clock.advance(timeout_s)
        self._place.camera_up = not self._place.camera_lost
        if self._place.camera_lost:
            raise HardwareError("the camera is gone")
        self._seq += 1
        return Frame(self._seq, self._place.clock.monotonic_ns(), self._greys[self._seq % 7])

    def still(self) -> None:
        """Have no picture."""

    def open(self) -> Eyes:
        """Open it anew."""
        if self._place.camera_lost:
            raise HardwareError("the camera is gone")
        return self

    def see(self, grey: Grey, lamp_level: float) -> Motion:
        """Return whether somebody is there."""
        del grey, lamp_level
        there = self._place.visitor is not None and not self._place.dark
        box = Box(1, 1, 8, 8) if there else None
        return Motion(there, MotionWhy.MOVING if there else MotionWhy.STILL, box, 0.3 if there else 0.0)

    def judge(self, frame: Frame, motion: Motion) -> Quality:
        """Return whether there is light."""
        del frame, motion
        return Quality(not self._place.dark, QualityWhy.DARK if self._place.dark else QualityWhy.OK, 90.0, 40.0, 1.0)

    watch_idle = judge

    def forget(self) -> None:
        """Nothing was learnt."""

    def score(self, patch: Patch) -> Scores:
        """Return what is there."""
        del patch
        if self._place.model_dead:
            raise HardwareError("the runtime is dead")
        return Scores(tuple(0.95 if label is self._place.visitor else 0.01 for label in LABELS), (1.0,))

    def poll(self) -> tuple[str, ...]:
        """Return the chip of whoever is there."""
        return (self._place.chip,) if self._place.visitor is not None and self._place.chip else ()

    def close(self) -> None:
        """Nothing to release."""


class Pins:
    """The input pins."""

    def __init__(self, checker: Checker) -> None:
        """Look at the place, and at the checker's bolts."""
        self._checker = checker
        self._drawn = False

    def read(self) -> SensorReading:
        """Return what the sensors say."""
        place = self._checker.place
        if place.pins_dead:
            raise HardwareError("the chip is gone")
        if not place.bolt_stuck:
            self._drawn = all(bolt.open for bolt in self._checker.bolts)
        reading = SensorReading(place.warm, place.flap_open, place.button, self._drawn)
        self._checker.told(reading)
        return reading

    def close(self) -> None:
        """Nothing to release."""


class Memory:
    """The record: forgets visits, keeps the heat, counts what was told."""

    def __init__(self, place: Place) -> None:
        """Write into the place."""
        self._place = place

    def visit(self, visit: Visit) -> None:
        """Count it."""
        self._place.told[f"visit {visit.verdict.kind}"] += 1

    def event(self, kind: str, detail: str) -> None:
        """Count it."""
        del detail
        self._place.told[str(kind)] += 1

    def house(self, mode: Mode | None, *, panic: bool) -> None:
        """Keep it."""
        self._place.lasting = Lasting(mode, panic)

    def label(self, visit_id: str, label: Label) -> str | None:
        """Count it."""
        del visit_id
        self._place.told[f"label {label}"] += 1
        return None

    def heat(self, heat_s: float) -> None:
        """Keep it."""
        self._place.heat_s, self._place.heat_ns = heat_s, self._place.clock.monotonic_ns()


class Said:
    """What the owner says, as the control socket would hand it over."""

    def __init__(self) -> None:
        """Begin in silence."""
        self._waiting: list[Request] = []

    def say(self, *commands: Command) -> None:
        """Say it; the loop hears it at its next turn."""
        self._waiting += [Request(0, command) for command in commands]

    def poll(self) -> tuple[Request, ...]:
        """Return what was said."""
        said, self._waiting = tuple(self._waiting), []
        return said

    def answer(self, request: Request, reply: Reply) -> None:
        """Hear nothing of it: the checker believes nothing that the loop says."""

    def close(self) -> None:
        """Nothing to hang up."""


# --- the storm -----------------------------------------------------------------------------------------------------

VISITORS = (
    (Label.CAT_CLEAR, OURS),
    (Label.CAT_CLEAR, OURS),
    (Label.CAT_CLEAR, STRANGE),
    (Label.CAT_CLEAR, ""),
    (Label.CAT_PREY, OURS),
    (Label.CAT_HIDDEN, OURS),
    (Label.OTHER_ANIMAL, ""),
    (Label.PERSON, ""),
    (Label.EMPTY, ""),
)
SWITCHES = ("warm", "dark", "camera_lost", "model_dead", "pins_dead", "bolt_pin_dead", "bolt_stuck")


@dataclass(frozen=True)
class Report:
    """What a storm came to."""

    events: Counter[str]
    ticks: int
    states: Counter[str]
    transitions: Counter[str]
    told: Counter[str]
    breaches: dict[str, int]
    openings: int

    def line(self) -> str:
        """Return it as one JSON object."""
        return json.dumps(
            {
                "events": sum(self.events.values()),
                "ticks": self.ticks,
                "openings": self.openings,
                "breaches": self.breaches,
                "by_event": dict(sorted(self.events.items())),
                "ticks_by_state": dict(sorted(self.states.items())),
                "transitions": dict(sorted(self.transitions.items())),
                "told": dict(sorted(self.told.items())),
            }
        )

    def page(self, seed: int) -> str:
        """Return it for people."""
        count, restarts = sum(self.events.values()), self.events["restart"]
        seeds = f"Seeds {seed} to {seed + PROCESSES - 1}"
        events, openings = f"{count:,} events in {self.ticks:,} ticks", f"{self.openings:,} openings"
        head = f"{seeds}: {events}, {openings}, {restarts:,} restarts."
        broken = ["| must never happen | happened |", "|---|---|"]
        broken += [f"| {name} | {number} |" for name, number in self.breaches.items()]
        stayed = ["| state | ticks in it | times it was come to |", "|---|---|---|"]
        for state in DoorState:
            come = sum(number for name, number in self.transitions.items() if name.endswith(f"> {state}"))
            stayed.append(f"| `{state}` | {self.states[state]:,} | {come:,} |")
        told = ", ".join(f"{name} {number:,}" for name, number in sorted(self.told.items()))
        return "\n".join([head, "", *broken, "", *stayed, "", f"Told meanwhile: {told}."])


class Storm:
    """Random events, one after the other; each is followed by a tick or a few."""

    EVENTS: ClassVar[dict[str, int]] = {
        "visitor": 8,
        "flap": 24,
        "button": 3,
        "word": 3,
        "house": 3,
        "switch": 6,
        "mend": 8,
        "hang": 3,
        "clock_step": 1,
        "restart": 1,
        "quiet": 1,
    }
    """The methods that are events, and how often each comes."""

    def __init__(self, seed: int, guard: type[CoilGuard] = CoilGuard) -> None:
        """Begin a flap; ``guard`` is the coil's, and may be a broken one to see that the checker sees it."""
        self._rng = random.Random(seed)  # noqa: S311 - a storm that can be repeated, not a secret
        self._guard = guard
        self.place = Place(SimClock(datetime(2026, 11, 21, 21, 0, tzinfo=UTC)))
        self.checker = Checker(self.place)
        self._events: Counter[str] = Counter()
        self._states: Counter[str] = Counter()
        self._transitions: Counter[str] = Counter()
        self._ticks = 0
        self._owner = Said()
        self._loop = self._start(0.0)

    def run(self, events: int) -> Report:
        """Let that many events happen.

        Raises:
            IllegalEventError: the loop told the door something that means nothing.
        """
        for name in self._rng.choices(list(self.EVENTS), list(self.EVENTS.values()), k=events):
            self._events[name] += 1
            getattr(self, name)()
            self.turn(self._rng.choice((1, 1, 1, 1, 3)))
        breaches = {str(breach): self.checker.breaches[breach] for breach in Breach}
        return Report(
            self._events, self._ticks, self._states, self._transitions, self.place.told, breaches, self.checker.openings
        )

    def turn(self, ticks: int) -> None:
        """Let the loop turn, and the checker look before and after."""
        for _ in range(ticks):
            before = self._loop.door_state
            now_ns = self.place.clock.monotonic_ns()
            self.checker.see(now_ns)
            self._loop.tick()
            self.checker.look(self.place.clock.monotonic_ns())
            after = self._loop.door_state
            self._ticks += 1
            self._states[after] += 1
            if after is not before:
                self._transitions[f"{before} > {after}"] += 1

    def _start(self, heat_s: float) -> Pipeline:
        place, clock, eyes = self.place, self.place.clock, Eyes(self.place)
        place.camera_up = False
        lost, place.camera_lost = place.camera_lost, False  # a daemon that finds no camera does not start
        flap = SequencedFlap(
            tuple(Pin(which, self.checker) for which in (0, 1)), Interlock(BUDGET, LOCK.bolt_delay_s), clock
        )
        record, watch = Memory(place), WallWatch(UTC)
        provenance = Provenance("storm", "none", "none", RULES)
        parts = Parts(
            clock=clock,
            camera=CameraKeeper(eyes.open, clock, 2.0),
            flap=Overheard(flap, self.checker),
            sensors=Pins(self.checker),
            lamp=AbsentLamp(),
            indicator=AbsentIndicator(),
            chip_reader=ReaderKeeper(lambda: eyes, clock),
            heartbeat=AbsentHeartbeat(),
            record=record,
            gate=eyes,
            quality=cast("QualityJudge", eyes),
            models=OneModel(Judging(cast("Model", eyes), Recogniser((), None), provenance)),
            door=Door(TIMES),
            coil=self._guard(LOCK, heat_s, clock.monotonic_ns()),
            house=HouseKeeper(HOUSE, watch, clock, record, HouseState(place.lasting)),
            control=self._owner,
        )
        wishes = Wishes("chip", 1.5, LOCK.kind, LOCK.lease_s, TICK_S, bolt_delay_s=2 * LOCK.bolt_delay_s)
        place.camera_lost = lost
        return Pipeline(parts, wishes)

    # --- what happens ------------------------------------------------------------------------------------------

    def visitor(self) -> None:
        """Somebody comes, or goes; the next one comes when the visit of the last is over."""
        if self.place.visitor is None:
            self.place.visitor, self.place.chip = self._rng.choice(VISITORS)
            self.turn(self._rng.choice((2, 8, 20)))
        else:
            self.place.visitor, self.place.chip = None, ""
            self.turn(16)

    def flap(self) -> None:
        """The flap moves, by whom and which way ever."""
        self.place.flap_open = not self.place.flap_open

    def button(self) -> None:
        """Somebody presses the button; where the pins are dead the loop does not hear it."""
        self.place.button = True
        self.checker.license(self.place.clock.monotonic_ns())
        self.turn(2)
        self.place.button = False

    def word(self) -> None:
        """The owner says something; what takes entry away ends every licence, and a panic lock every other word's."""
        place, now_ns = self.place, self.place.clock.monotonic_ns()
        kind = self._rng.choice(tuple(CommandKind))
        mode = self._rng.choice(tuple(Mode)) if kind is CommandKind.MODE else None
        self._owner.say(Command(kind, mode, "", GRANT_S if kind is CommandKind.LET_IN else 0.0))
        if kind is CommandKind.UNLOCK and not place.panic:
            self.checker.license(now_ns)
        elif kind is CommandKind.LET_IN and not place.panic:
            place.granted_until_ns = now_ns + int((GRANT_S + 1) * NS)
        elif kind is CommandKind.LOCK:
            place.panic, place.granted_until_ns = True, 0
            self.checker.revoke()
        elif kind is CommandKind.UNLOCK_PANIC:
            place.panic = False
        place.mode = mode or place.mode
        if mode in (Mode.OUT_ONLY, Mode.LOCKED):
            self.checker.revoke()

    def house(self) -> None:
        """The hours change: it is another time of the day."""
        self.place.clock.step_wall(3600.0 * self._rng.randrange(1, 24))

    def switch(self) -> None:
        """Something breaks, or works again."""
        name = self._rng.choice(SWITCHES)
        setattr(self.place, name, not getattr(self.place, name))

    def mend(self) -> None:
        """Everything works again, and somebody says so."""
        for name in SWITCHES:
            setattr(self.place, name, False)
        place = self.place
        place.panic, place.mode = False, Mode.IN_AND_OUT
        place.clock.step_wall(3600.0 * (12 - place.clock.wall().hour))
        kinds = (CommandKind.CLEAR, CommandKind.UNLOCK_PANIC)
        self._owner.say(*(Command(kind) for kind in kinds), Command(CommandKind.MODE, Mode.IN_AND_OUT))

    def hang(self) -> None:
        """The loop stands still."""
        self.place.clock.advance(self._rng.choice((0.3, 0.6, 2.0, 12.0)))
        self.checker.look(self.place.clock.monotonic_ns())

    def clock_step(self) -> None:
        """Somebody sets the clock."""
        self.place.clock.step_wall(self._rng.choice((-86400.0, -3600.0, 3600.0, 86400.0)))

    def restart(self) -> None:
        """The daemon ends, in order or not, and starts again with the heat that it kept."""
        if self._rng.random() < 0.5:
            self._loop.stop()
        self.place.clock.advance(self._rng.choice((1.0, 5.0, 60.0)))
        now_ns = self.place.clock.monotonic_ns()
        self.checker.look(now_ns)
        heat_s = heat_after(self.place.heat_s, (now_ns - self.place.heat_ns) / NS, LOCK)
        self.checker.belief = Belief(heat_s * NS, now_ns)
        self.checker.forget()
        self._loop = self._start(heat_s)

    def quiet(self) -> None:
        """Nothing, for a while."""
        self.turn(self._rng.choice((20, 60)))


def _storm(seed: int, events: int) -> Report:
    return Storm(seed).run(events)


def together(reports: Sequence[Report]) -> Report:
    """Return several storms as one."""
    breaches = {str(breach): sum(report.breaches[breach] for report in reports) for breach in Breach}
    sums: dict[str, Counter[str]] = {name: Counter() for name in ("events", "states", "transitions", "told")}
    for name, total in sums.items():
        for report in reports:
            total.update(getattr(report, name))
    ticks, openings = sum(report.ticks for report in reports), sum(report.openings for report in reports)
    return Report(sums["events"], ticks, sums["states"], sums["transitions"], sums["told"], breaches, openings)


def main() -> int:
    """Let a storm pass and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures between the marks in this file")
    options = parser.parse_args()
    share = -(-options.events // PROCESSES)
    with ProcessPoolExecutor(PROCESSES) as pool:
        report = together(list(pool.map(_storm, range(options.seed, options.seed + PROCESSES), [share] * PROCESSES)))
    print(report.line())
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(page, "events", report.page(options.seed)), encoding="utf-8")
    missing = {str(state) for state in DoorState} - set(report.states)
    if missing:
        print(f"states that were never reached: {', '.join(sorted(missing))}", file=sys.stderr)
    return 1 if any(report.breaches.values()) or missing else 0


if __name__ == "__main__":
    sys.exit(main())
