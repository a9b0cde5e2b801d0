"""The world: time passes in steps of one frame, actors live, bolt and panel move, and the camera sees it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edge.adapters.sim.agents import Agent
from edge.adapters.sim.backdrop import HEIGHT_PX, WIDTH_PX, Backdrop, Lighting, backdrop
from edge.adapters.sim.mechanics import Bolt, Panel, gives_way
from edge.adapters.sim.photos import Album
from edge.adapters.sim.render import Actor, Insect, Lens, Patch, Picture, Renderer, Shot, Smear, with_noise
from edge.adapters.sim.scene import What
from edge.adapters.sim.twins import SimCamera, SimChipReader, SimFlap, SimIndicator, SimLamp, SimSensors
from edge.messages import Box, Label, SensorReading

if TYPE_CHECKING:
    from edge.adapters.clock import SimClock
    from edge.adapters.sim.scene import EventPlan, Scene
    from edge.messages import FlapCommand

_PIR_LAG_S = 0.3
_PIR_HOLDS_S = 2.0
_READER_PERIOD_S = 0.25
_INRUSH_NS = 50_000_000  # a coil that switches on dips the supply for about this long
_LOG_LENGTH = 2000
_PHOTO_NOISE = 0.4  # a photograph has noise of its own; this much tells its repetitions apart


@dataclass(frozen=True, slots=True)
class Happening:
    """One dated event of the world; ``at_s`` counts from the world's beginning."""

    at_s: float
    what: str
    who: str


@dataclass(frozen=True, slots=True)
class Truth:
    """What really is in the last picture: the largest actor's label, tight box and name; ``empty`` has neither."""

    label: Label
    box: Box | None
    who: str | None


_NOBODY = Truth(Label.EMPTY, None, None)
_WHOLE = Box(0, 0, WIDTH_PX, HEIGHT_PX)


class World:
    """A scene that lives on a simulated clock. ``camera`` opens a camera; the other twins are there from the start."""

    def __init__(self, scene: Scene, clock: SimClock) -> None:
        """Begin the scene at the clock's present moment."""
        self.scene = scene
        self.clock = clock
        kind = str(scene.config.get("lock", {}).get("kind", "power_to_unlock"))
        second = int(scene.config.get("pins", {}).get("bolt2", -1)) >= 0
        self.bolts = tuple(Bolt(kind, scene.bolt_delay_s) for _ in range(2 if second else 1))
        self.panel = Panel()
        self.flaps = tuple(SimFlap(self, bolt) for bolt in self.bolts)
        self.sensors = SimSensors(self)
        self.lamp = SimLamp()
        self.indicator = SimIndicator()
        self.chip_reader = SimChipReader(self)
        self.inside: set[str] = set()
        self.step_s = 1.0 / scene.fps
        self._step_ns = round(1e9 / scene.fps)
        self._start_ns = clock.monotonic_ns()
        self._steps = 0
        self._cycle_s = 0.0
        self._bolt_was = [(bolt.open, bolt.current) for bolt in self.bolts]
        self._settled_ns = -1
        self._switched_ns: int | None = None
        self._log: deque[Happening] = deque(maxlen=_LOG_LENGTH)
        self._plans = {what: tuple(event for event in scene.events if event.what is what) for what in What}
        self._rng = np.random.default_rng((scene.seed, 3))
        self._renderer = Renderer(backdrop(scene.seed, scene.light))
        self._album = Album(scene)
        self._heard: list[str] = []
        self._warm_s = 0.0
        self._pir_until_s = -1.0
        self._truth = _NOBODY
        self._begin()

    def camera(self) -> SimCamera:
        """Open a camera on this world.

        Raises:
            HardwareError: it is lost just now.
        """
        return SimCamera(self)

    # --- what a test or a person may ask -----------------------------------------------------------------------

    @property
    def bolt(self) -> Bolt:
        """The first bolt; most flaps have no other."""
        return self.bolts[0]

    @property
    def flap(self) -> SimFlap:
        """The first bolt's coil."""
        return self.flaps[0]

    @property
    def backdrop(self) -> Backdrop:
        """The place."""
        return self._renderer.backdrop

    @property
    def bolt_openings(self) -> int:
        """How often the bolt really opened."""
        return self.bolt.openings

    @property
    def log(self) -> tuple[Happening, ...]:
        """What happened, oldest first; the last two thousand."""
        return tuple(self._log)

    @property
    def over(self) -> bool:
        """Whether the scene has ended."""
        return not self.scene.endless and self._now_s() >= self.scene.duration_s

    @property
    def disk_full(self) -> bool:
        """Whether the scene has the disk full just now; whoever composes the daemon makes it so."""
        return self.happens(What.DISK_FULL)

    def truth(self) -> Truth:
        """Return what really is in the last picture."""
        return self._truth

    def happens(self, what: What) -> bool:
        """Return whether an event of the scene is going on."""
        return self._event(what) is not None

    # --- time ----------------------------------------------------------------------------------------------------

    def until_next_frame_s(self) -> float:
        """Return how long it is to the next frame's instant, more than zero."""
        passed_ns = self.clock.monotonic_ns() - self._start_ns
        return (self._step_ns - passed_ns % self._step_ns) / 1e9

    def catch_up(self) -> None:
        """Live every step that the clock has passed."""
        now_ns = self.clock.monotonic_ns()
        while self._start_ns + (self._steps + 1) * self._step_ns <= now_ns:
            self._steps += 1
            self._step()
        if now_ns != self._settled_ns:  # else nothing can have moved since: the loop asks several times a tick
            self._settle_bolts(now_ns)

    def _now_s(self) -> float:
        return (self.clock.monotonic_ns() - self._start_ns) / 1e9

    @property
    def _scene_s(self) -> float:
        """Return the moment of the scene, from 0 to its duration."""
        return self._steps * self._step_ns / 1e9 - self._cycle_s

    def _begin(self) -> None:
        """Set the scene, at first and at every repetition."""
        scene = self.scene
        self.inside.clear()
        self.inside.update(scene.inside, (plan.name for plan in scene.actors if plan.side == "inside"))
        self._waiting = deque(sorted(scene.actors, key=lambda plan: plan.arrives_s))
        self._agents: list[Agent] = []
        self._steps_due = deque(
            sorted((event for event in scene.events if event.what is What.CLOCK_STEP), key=lambda event: event.at_s)
        )

    def _step(self) -> None:
        if self._scene_s >= self.scene.duration_s:
            if not self.scene.endless:
                return
            self._cycle_s += self.scene.duration_s
            self._begin()
        self._settle_bolts(self._start_ns + self._steps * self._step_ns)
        while self._waiting and self._waiting[0].arrives_s <= self._scene_s:
            self._agents.append(Agent(self._waiting.popleft(), self, self.scene.seed))
        while self._steps_due and self._steps_due[0].at_s <= self._scene_s:
            self.clock.step_wall(self._steps_due.popleft().seconds)
        self.clock.set_synchronised(not self.happens(What.CLOCK_UNSYNCHRONISED))
        if self._agents:
            self._agents = [agent for agent in self._agents if agent.tick()]
            self._hear_chips()
        self._feel_warmth()
        self.panel.swing(self.step_s)

    def _settle_bolts(self, now_ns: int) -> None:
        self._settled_ns = now_ns
        pressed, keyed = self.happens(What.BUTTON), self.happens(What.KEY)
        stuck = self.happens(What.BOLT_STICKS)
        for place, bolt in enumerate(self.bolts):
            was_open, had_current = self._bolt_was[place]
            bolt.handle(pressed=pressed, keyed=keyed, stuck=stuck, now_ns=now_ns)
            if bolt.open != was_open:
                self.note("bolt_opens" if bolt.open else "bolt_shuts", str(place + 1))
            if bolt.current and not had_current:
                self._draw_current(place, now_ns)
            self._bolt_was[place] = (bolt.open, bolt.current)

    def _draw_current(self, place: int, now_ns: int) -> None:
        """Note that the supply dips too far: two coils were switched on at once."""
        if self._switched_ns is not None and now_ns - self._switched_ns < _INRUSH_NS:
            self.note("brown_out", str(place + 1))
        self._switched_ns = now_ns

    # --- what agents do (edge.adapters.sim.agents.Site) ---------------------------------------------------------

    def note(self, what: str, who: str) -> None:
        """Write down that something happened."""
        self._log.append(Happening(self._steps * self._step_ns / 1e9, what, who))

    def may_pass(self, who: str) -> bool:
        """Return whether the flap gives way: the bolt is open, or the panel still swings; one at a time."""
        crowded = any(
            agent.present and agent.plan.name != who and agent.nose_px > self.backdrop.wall_px + 2
            for agent in self._agents
        )
        return not crowded and gives_way(self.bolts, self.panel, inwards=True)

    def may_leave(self) -> bool:
        """Return whether the flap gives way to a push from inside."""
        return gives_way(self.bolts, self.panel, inwards=False)

    def push_flap(self, *, inwards: bool) -> None:
        """Hold the flap open for this step."""
        self.panel.push(inwards)

    def rattle_flap(self) -> None:
        """Bump the flap against its bolt for this step."""
        self.panel.rattle()

    def change_house(self, who: str, *, inside: bool) -> None:
        """Say that somebody is in the house now, or has left it."""
        (self.inside.add if inside else self.inside.discard)(who)
        self.note("enters" if inside else "goes_out", who)

    def leader(self, name: str) -> Agent | None:
        """Return who is called so and still out here and not on its way off, or None."""
        return next(
            (one for one in self._agents if one.plan.name == name and one.present and not one.leaving),
            None,
        )

    # --- what the twins ask ----------------------------------------------------------------------------------------

    def drive(self, bolt: Bolt, command: FlapCommand) -> None:
        """Give a coil a command."""
        bolt.apply(command, self.clock.monotonic_ns())
        self._settle_bolts(self.clock.monotonic_ns())

    def reading(self) -> SensorReading:
        """Return the pins as they are now."""
        warm = self._scene_s <= self._pir_until_s or self.happens(What.PIR_FALSE) or self.happens(What.SUN)
        return SensorReading(
            pir=warm,
            flap_open=self.panel.reed_open or self.happens(What.REED_CUT),
            button=self.happens(What.BUTTON),
            bolt_drawn=all(bolt.open for bolt in self.bolts),
        )

    def take_chips(self) -> tuple[str, ...]:
        """Return the chips heard since the last call."""
        heard, self._heard = tuple(self._heard), []
        return heard

    def picture(self) -> Picture:
        """Draw the present moment, and remember the truth about it."""
        photo = self._album.shown(self._scene_s)
        if photo is not None:
            self._truth = Truth(photo.label, None if photo.who is None else _WHOLE, photo.who)
            return Picture(with_noise(photo.grey, Shot(noise=self._noise, noise_level=_PHOTO_NOISE)), ())
        drawn = [(agent, actor) for agent in self._agents if (actor := agent.drawn()) is not None]
        picture = self._renderer.render(self._shot(tuple(actor for _, actor in drawn)))
        self._truth = _largest(picture, tuple(agent.plan.name for agent, _ in drawn))
        return picture

    # --- how it looks ----------------------------------------------------------------------------------------------

    @property
    def _noise(self) -> int:
        return self._steps + self.scene.seed * 1_000_003

    def _event(self, what: What) -> EventPlan | None:
        """Return the event of a kind that is going on, or None."""
        plans = self._plans[what]
        if not plans:
            return None
        now_s = self._now_s() - self._cycle_s
        return next((event for event in plans if event.at_s <= now_s < event.at_s + event.for_s), None)

    def _level(self, what: What, otherwise: float) -> float:
        event = self._event(what)
        return otherwise if event is None else event.level

    def _shot(self, actors: tuple[Actor, ...]) -> Shot:
        if not self.scene.events:
            return Shot(Lighting(self.lamp.level()), actors, self.panel.angle_rad, self._insects(), noise=self._noise)
        return Shot(
            lighting=self._lighting(),
            actors=actors,
            flap_rad=self.panel.angle_rad,
            insects=self._insects(),
            rain=round(120 * self._level(What.RAIN, 0.0)),
            wind=self._level(What.WIND, 0.0),
            patches=self._patches(),
            lens=self._lens(),
            noise=self._noise,
        )

    def _lighting(self) -> Lighting:
        lamp = 0.0 if self.happens(What.LAMP_FAILS) else self.lamp.level() * self._level(What.LAMP_STEP, 1.0)
        gain = 1.0 + 10.0 * self._level(What.OVEREXPOSED, 0.0)
        return Lighting(lamp, self._level(What.DAYLIGHT, Lighting().ambient), gain)

    def _lens(self) -> Lens:
        smear = Smear.WEB if self.happens(What.LENS_WEB) else Smear.NONE
        smear = Smear.DROPS if self.happens(What.LENS_DROPS) else smear
        knock = self._level(What.CAMERA_KNOCKED, 0.0)
        return Lens(68 * knock, 24 * knock, 0.16 * knock, smear=smear, smear_seed=self.scene.seed)

    def _patches(self) -> tuple[Patch, ...]:
        patches = []
        for what, pace_px_s, gain in ((What.SUN, 6.0, 1.2), (What.SHADOW, 70.0, -0.6)):
            event = self._event(what)
            if event is not None:
                passed_s = self._now_s() - self._cycle_s - event.at_s
                strength = min(passed_s / 3.0, 1.0) if what is What.SUN else 1.0
                patches.append(Patch(pace_px_s * passed_s - 20, 70, 110, 130, 1 + gain * strength))
        return tuple(patches)

    def _insects(self) -> tuple[Insect, ...]:
        flying = tuple(insect for agent in self._agents for insect in agent.insects())
        if not self.happens(What.INSECTS):
            return flying
        rng = np.random.default_rng((self.scene.seed, self._steps))
        if rng.random() > 2 * self._level(What.INSECTS, 0.5):
            return flying
        x, y, dx, dy = rng.uniform(0, WIDTH_PX), rng.uniform(0, HEIGHT_PX), *rng.normal(0, 18, 2)
        return (*flying, Insect(float(x), float(y), float(x + dx), float(y + dy), float(rng.uniform(2, 8))))

    # --- who is heard and felt ---------------------------------------------------------------------------------------

    def _hear_chips(self) -> None:
        period = max(1, round(_READER_PERIOD_S / self.step_s))
        if self._steps % period:
            return
        for agent in self._agents:
            missed = self._rng.random() < agent.plan.chip_miss
            if agent.in_chip_range and agent.near_s > agent.plan.chip_deaf_s and not missed:
                self._heard.append(agent.plan.chip)

    def _feel_warmth(self) -> None:
        """The PIR sensor wakes a little late and holds on a little long."""
        warm = any(agent.warm for agent in self._agents)
        self._warm_s = self._warm_s + self.step_s if warm else 0.0
        if self._warm_s >= _PIR_LAG_S:
            self._pir_until_s = self._scene_s + _PIR_HOLDS_S


def _largest(picture: Picture, names: tuple[str, ...]) -> Truth:
    best, area = _NOBODY, 0
    for subject, name in zip(picture.subjects, names, strict=True):
        if subject.label is Label.EMPTY or subject.box is None:
            continue
        if subject.box.width * subject.box.height > area:
            best, area = Truth(subject.label, subject.box, name), subject.box.width * subject.box.height
    return best
