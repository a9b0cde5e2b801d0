"""One tick over the ports: frame, gate, quality, features, score, policy, flap, record. Floor 4.

It owns the order and decides nothing: what is there, what is evidence, what it comes to and what the coil may do are
each decided on a lower floor. One tick does not wait for anything but the next frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from edge import features, scoring
from edge.door import DoorEvent, DoorState, command_for
from edge.errors import HardwareError
from edge.messages import (
    REST,
    BoltAction,
    Motion,
    MotionWhy,
    Observation,
    Quality,
    QualityWhy,
    SensorReading,
    VerdictKind,
)
from edge.policy import VisitJudge, blind_admits
from edge.visits import OpenVisit

if TYPE_CHECKING:
    from edge.coil import CoilGuard, CoilRefusal
    from edge.door import Door
    from edge.keeper import CameraKeeper, ReaderKeeper
    from edge.messages import Frame, Grey, Patch, Scores
    from edge.ports import Clock, Flap, Heartbeat, Indicator, Interpreter, Lamp, Record, Sensors
    from edge.quality import QualityJudge
    from edge.visits import Provenance

CHIP_MEMORY_NS = 5_000_000_000
"""A chip read this long before its cat came into view still belongs to the visit."""

NO_FRAME_SEQ = -1
"""The number of the frame of an observation that had none."""

_NO_MOTION = Motion(present=False, why=MotionWhy.STILL, box=None, area_fraction=0.0)
_LATE = Quality(ok=False, why=QualityWhy.LATE, mean=0.0, contrast=0.0, sharpness=0.0)
_LOST = replace(_LATE, why=QualityWhy.LOST)


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded model with everything that travels with it."""

    interpreter: Interpreter
    recipe: features.Recipe
    logits: scoring.Quantisation
    embedding: scoring.Quantisation
    calibration: scoring.Calibration

    def score(self, patch: Patch) -> Scores:
        """Run the model on one patch.

        Raises:
            HardwareError: the runtime failed.
        """
        logits, embedding = self.interpreter.invoke(features.tensor(patch))
        return scoring.calibrated(logits, embedding, self.logits, self.embedding, self.calibration)


class Recogniser(Protocol):
    """What tells the residents from strangers by their looks."""

    def likeness(self, scores: Scores) -> tuple[float, ...]:
        """Return a log-likelihood ratio per listed resident, in their order; empty where nobody is known by camera."""


class Gate(Protocol):
    """What tells whether somebody is there: the gate, or in a replay of stills one that is always open."""

    def see(self, grey: Grey, lamp_level: float) -> Motion:
        """Judge one frame."""

    def forget(self) -> None:
        """Drop what was learnt."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the owner wants of the loop, taken from the configuration."""

    on_blind: str
    quiet_s: float
    lock_kind: str
    lease_s: float
    wait_s: float  # the longest a tick waits for a frame


@dataclass(frozen=True, slots=True)
class Parts:
    """The ports and the parts of lower floors that one loop is made of. ``chip_reader`` may be None."""

    clock: Clock
    camera: CameraKeeper
    flap: Flap
    sensors: Sensors
    lamp: Lamp
    indicator: Indicator
    chip_reader: ReaderKeeper | None
    heartbeat: Heartbeat
    record: Record
    gate: Gate
    quality: QualityJudge
    model: Model
    recogniser: Recogniser
    door: Door
    coil: CoilGuard


class Pipeline:
    """The loop's body. Call ``tick`` for ever; call ``stop`` once at the end."""

    def __init__(self, parts: Parts, wishes: Wishes, provenance: Provenance) -> None:
        """Begin with nothing in sight."""
        self._parts = parts
        self._wishes = wishes
        self._provenance = provenance
        self._visit: OpenVisit | None = None
        self._serial = 0
        self._chips: deque[tuple[int, str]] = deque(maxlen=8)
        self._reader_lost = False
        self._camera_lost = False
        self._pins_lost = False
        self._flap_open = False
        self._button = False
        self._powered = False
        self._refusal: CoilRefusal | None = None
        self._last_ns = parts.clock.monotonic_ns()

    @property
    def door_state(self) -> DoorState:
        """Where the door stands."""
        return self._parts.door.state

    def tick(self) -> None:
        """Turn once.

        Raises:
            EOFError: a recorded source has ended.
        """
        frame = self._parts.camera.newest(self._wishes.wait_s, may_reopen=not self._parts.door.open)
        now_ns = self._parts.clock.monotonic_ns()
        self._follow_camera()
        reading = self._read_pins()
        chips = self._poll_chips()
        motion, quality = self._look(frame)
        self._attend(motion, quality, reading, chips, now_ns)
        if self._visit is not None:
            self._watch(self._visit, frame, motion, quality, now_ns)
        self._move_door(reading, now_ns)
        self._close_visit_when_over(now_ns)
        self._last_ns = now_ns
        self._parts.heartbeat.beat()

    def stop(self) -> None:
        """Rest the bolt and keep the visit that was going on."""
        now_ns = self._parts.clock.monotonic_ns()
        self._drive(rest=True, now_ns=now_ns)
        if self._visit is not None:
            self._end_visit(self._visit, now_ns)

    def close(self) -> None:
        """Release camera and chip reader; the pins belong to whoever opened them."""
        self._parts.camera.close()
        if self._parts.chip_reader is not None:
            self._parts.chip_reader.close()

    # --- see -------------------------------------------------------------------------------------------------------

    def _follow_camera(self) -> None:
        """Name the camera's comings and goings, and forget what was learnt before it went."""
        camera = self._parts.camera
        if camera.lost != self._camera_lost:
            self._camera_lost = camera.lost
            self._parts.record.event("camera_lost" if camera.lost else "camera_back", camera.why_lost)
        if camera.take_reopened():
            self._parts.gate.forget()
            self._parts.quality.forget()

    def _look(self, frame: Frame | None) -> tuple[Motion, Quality]:
        if frame is None:
            return _NO_MOTION, _LOST if self._parts.camera.lost else _LATE
        motion = self._parts.gate.see(frame.grey, self._parts.lamp.level())
        if not motion.present:
            return motion, self._parts.quality.watch_idle(frame, motion)
        quality = self._parts.quality.judge(frame, motion)
        if self._parts.quality.settled:
            self._parts.gate.forget()
            self._parts.quality.forget()
            self._parts.record.event("camera_moved", "the view changed for good; its background is learnt anew")
        return motion, quality

    def _read_pins(self) -> SensorReading:
        """Read the pins; pins that cannot be read say nothing, and that is named once."""
        try:
            reading = self._parts.sensors.read()
        except HardwareError as error:
            if not self._pins_lost:
                self._parts.record.event("pins_lost", str(error))
            self._pins_lost = True
            return SensorReading(pir=None, flap_open=None, button=None)
        self._pins_lost = False
        return reading

    def _poll_chips(self) -> tuple[str, ...]:
        reader = self._parts.chip_reader
        if reader is None:
            return ()
        chips = reader.poll()
        if reader.lost != self._reader_lost:
            self._reader_lost = reader.lost
            self._parts.record.event("chip_reader_lost" if reader.lost else "chip_reader_back", reader.why_lost)
        return chips

    # --- the visit -------------------------------------------------------------------------------------------------

    def _attend(
        self, motion: Motion, quality: Quality, reading: SensorReading, chips: tuple[str, ...], now_ns: int
    ) -> None:
        """Open a visit when somebody comes, and hand it the chips that were read."""
        unseen = not quality.ok and (bool(chips) or bool(reading.pir))
        if motion.present or unseen:
            self._present(now_ns)
        for chip in chips:
            if self._visit is None:
                self._chips.append((now_ns, chip))
            else:
                self._visit.read_chip(chip, now_ns)

    def _present(self, now_ns: int) -> None:
        if self._visit is None:
            self._visit = self._begin(now_ns)
        self._visit.last_presence_ns = now_ns

    def _begin(self, now_ns: int) -> OpenVisit:
        self._serial += 1
        judge = VisitJudge(self._provenance.rules)
        visit = OpenVisit(self._parts.clock.wall(), now_ns, self._serial, judge)
        for read_ns, chip in self._chips:
            if now_ns - read_ns <= CHIP_MEMORY_NS:
                visit.read_chip(chip, now_ns)
        self._chips.clear()
        return visit

    def _watch(self, visit: OpenVisit, frame: Frame | None, motion: Motion, quality: Quality, now_ns: int) -> None:
        """Make an observation of this tick, unless nothing is in sight and nothing is wrong."""
        if quality.ok and not motion.present:
            return
        patch, scores = None, None
        if frame is not None and quality.ok:
            patch, scores, quality = self._score(frame, motion, quality)
        seq = frame.seq if frame is not None else NO_FRAME_SEQ
        likeness = () if scores is None else self._parts.recogniser.likeness(scores)
        observation = Observation(seq, visit.at_ns(now_ns), motion, quality, patch, scores, likeness)
        visit.observe(observation, self._parts.camera.still)

    def _score(self, frame: Frame, motion: Motion, quality: Quality) -> tuple[Patch, Scores | None, Quality]:
        """Cut the patch and ask the model; a runtime that fails makes the frame no evidence, and says so."""
        patch = features.extract(frame.grey, motion.box or features.whole(frame.grey), self._parts.model.recipe)
        try:
            return patch, self._parts.model.score(patch), quality
        except HardwareError as error:
            self._parts.record.event("model_failed", str(error))
            return patch, None, replace(quality, ok=False, why=QualityWhy.FAILED)

    def _close_visit_when_over(self, now_ns: int) -> None:
        visit = self._visit
        if visit is None:
            return
        quiet = now_ns - visit.last_presence_ns >= self._wishes.quiet_s * 1e9
        if (quiet and not self._parts.door.open) or visit.full:
            self._end_visit(visit, now_ns)

    def _end_visit(self, visit: OpenVisit, now_ns: int) -> None:
        self._visit = None
        finished = visit.close(now_ns, self._provenance)
        if finished.verdict.kind is VerdictKind.REFUSE_PREY and not visit.obeyed:
            # The prey waited for a cat that may bring it in to be known, in vain: the hold-off begins all the same.
            self._parts.door.happen(DoorEvent.PREY, now_ns)
        self._parts.record.visit(finished)

    # --- the door --------------------------------------------------------------------------------------------------

    def _move_door(self, reading: SensorReading, now_ns: int) -> None:
        door, was_open = self._parts.door, self._parts.door.open
        self._feel(reading, now_ns)
        self._obey_verdict(now_ns)
        if door.state in (DoorState.ADMITTED, DoorState.OVERRIDE, DoorState.HOLD_OFF):
            door.pass_time(now_ns)
        if was_open and self._visit is not None:
            self._visit.bolt_ns += now_ns - self._last_ns
        self._drive(rest=False, now_ns=now_ns)
        if was_open and not door.open and self._visit is not None:
            # Whoever is there now is judged anew: nobody follows in on another's verdict, or on his chip.
            self._end_visit(self._visit, now_ns)

    def _feel(self, reading: SensorReading, now_ns: int) -> None:
        """Turn the pins' edges into events."""
        door = self._parts.door
        flap_open, button = bool(reading.flap_open), bool(reading.button)
        if flap_open != self._flap_open:
            door.happen(DoorEvent.FLAP_OPENED if flap_open else DoorEvent.FLAP_CLOSED, now_ns)
            if flap_open and self._visit is not None:
                self._visit.flap_opened = True
        if button and not self._button:
            door.happen(DoorEvent.BUTTON, now_ns)
            self._parts.record.event("override", "the button was pressed")
        self._flap_open, self._button = flap_open, button

    def _obey_verdict(self, now_ns: int) -> None:
        if self._visit is None:
            return
        judge, door = self._visit.judge, self._parts.door
        final = judge.final
        if final is not None and not self._visit.obeyed:
            self._visit.obeyed = True
            door.happen(DoorEvent.ADMIT if final.kind is VerdictKind.ADMIT else DoorEvent.PREY, now_ns)
        elif final is None and judge.blind and blind_admits(self._wishes.on_blind, judge.resident):
            self._admit_blind(self._visit, now_ns)

    def _admit_blind(self, visit: OpenVisit, now_ns: int) -> None:
        if not visit.obeyed_blind:
            visit.obeyed_blind = True
            self._parts.record.event("blind_admitted", f"on_blind = {self._wishes.on_blind}")
            self._parts.door.happen(DoorEvent.ADMIT, now_ns)

    def _drive(self, *, rest: bool, now_ns: int) -> None:
        """Send the coil what the door wants, as far as the coil's own guard allows it."""
        parts = self._parts
        fault = parts.door.state is DoorState.FAULT
        wanted = command_for(entry_open=parts.door.open, lock_kind=self._wishes.lock_kind, lease_s=self._wishes.lease_s)
        allowed = parts.coil.command(REST if rest or fault else wanted, now_ns)
        self._note_refusal()
        try:
            parts.flap.apply(allowed)
        except HardwareError as error:
            self._latch_fault(str(error), now_ns)
        self._follow_power(powered=allowed.action is BoltAction.ENERGISE, now_ns=now_ns)

    def _note_refusal(self) -> None:
        refusal = self._parts.coil.refusal
        if refusal is not None and refusal is not self._refusal:
            self._parts.record.event("coil_refused", f"the coil was not powered: {refusal}")
        self._refusal = refusal

    def _latch_fault(self, why: str, now_ns: int) -> None:
        if self._parts.door.state is not DoorState.FAULT:
            self._parts.door.happen(DoorEvent.FAULT, now_ns)
            self._parts.record.event("bolt_fault", why)

    def _follow_power(self, *, powered: bool, now_ns: int) -> None:
        """Show and keep what changes with the coil's power."""
        if powered == self._powered:
            return
        self._powered = powered
        self._parts.indicator.show(powered)
        if not powered:
            self._parts.record.heat(self._parts.coil.heat_s(now_ns))
