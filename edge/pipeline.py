"""One tick over the ports: frame, gate, quality, features, score, policy, flap, record. Floor 4.

It owns the order and decides nothing: what is there, what is evidence, what it comes to and what the coil may do are
each decided on a lower floor. One tick does not wait for anything but the next frame.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from edge import features, scoring
from edge.door import CLOSED_STATES, OPEN_STATES, Bolt, DoorState
from edge.entry import Entry, EntryParts, EntrySettings
from edge.errors import HardwareError
from edge.messages import (
    CommandKind,
    KeyFrame,
    Motion,
    MotionWhy,
    Observation,
    Quality,
    QualityWhy,
    Reply,
    SensorReading,
    Status,
    VerdictKind,
)
from edge.owner import Owner, Powers
from edge.policy import VisitJudge, blind_admits
from edge.visits import OpenVisit, visit_id_of

if TYPE_CHECKING:
    from edge.coil import CoilGuard
    from edge.door import Door
    from edge.drift import Reference
    from edge.housekeeper import HouseKeeper
    from edge.keeper import CameraKeeper, ReaderKeeper
    from edge.messages import Frame, Grey, Patch, Scores, Verdict, Visit
    from edge.ports import Clock, Control, Flap, Heartbeat, Indicator, Interpreter, Lamp, Record, Sensors
    from edge.quality import QualityJudge
    from edge.visits import Provenance

CHIP_MEMORY_NS = 5_000_000_000
"""A chip read this long before its cat came into view still belongs to the visit."""

STOP_PATIENCE_NS = 10_000_000_000
"""How long a stop waits for an open flap before it lets go of the bolt: longer than a cat takes."""

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


@dataclass(frozen=True, slots=True)
class Judging:
    """By what a visit is judged, the same for all its frames: a model, whom it knows by their looks, and the rules.

    ``second`` watches over the model where a challenger decides (``Rules.second``). ``on_blind`` stands in for the
    owner's own choice where there is no model at all; None: the owner's holds. ``reference`` is what drift is held
    against; None: nothing is.
    """

    model: Model
    recogniser: Recogniser
    provenance: Provenance
    second: Model | None = None
    on_blind: str | None = None
    reference: Reference | None = None


class Models(Protocol):
    """Which model decides. It may change from one visit to the next, never within one."""

    @property
    def champion(self) -> Judging:
        """What decides where nothing is on trial at the door."""

    @property
    def drift(self) -> str | None:
        """What is no longer as the champion was made for, in one line; None where all is."""

    def judging(self, visit_id: str) -> Judging:
        """Return by what a visit that begins now is judged."""

    def finished(self, visit: Visit) -> None:
        """Hear of a visit that has ended."""

    def idle(self, now_ns: int) -> None:
        """Do one small piece of what waits: nobody is there, and the bolt rests."""

    def obey(self, kind: CommandKind) -> Reply:
        """Take the owner's word on the models, as ``edge.owner.Models`` has it."""

    def labelled(self) -> None:
        """Hear that the owner has said of a visit what it was."""


class OneModel:
    """One model for ever: what a replay judges by, and a flap whose configuration names a bundle."""

    def __init__(self, judging: Judging) -> None:
        """Take it."""
        self.champion = judging
        self.drift: str | None = None  # a replay is no place, and has no time, to drift in

    def judging(self, visit_id: str) -> Judging:  # noqa: ARG002 - all visits are judged alike
        """Return the one there is."""
        return self.champion

    def finished(self, visit: Visit) -> None:
        """Forget it: nothing is compared."""

    def idle(self, now_ns: int) -> None:
        """Do nothing."""

    def obey(self, kind: CommandKind) -> Reply:
        """Refuse: there are no slots."""
        return Reply(ok=False, says=f"{kind}: model.bundle names one bundle; there are no slots to choose from")

    def labelled(self) -> None:
        """Nothing is compared, so no label decides anything."""


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
    bolt_delay_s: float = 0.5


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
    models: Models
    door: Door
    coil: CoilGuard
    house: HouseKeeper
    control: Control


class Pipeline:
    """The loop's body. Call ``tick`` for ever; call ``stop`` once at the end."""

    def __init__(self, parts: Parts, wishes: Wishes) -> None:
        """Begin with nothing in sight."""
        self._parts = parts
        self._wishes = wishes
        self._judging = parts.models.champion
        self._model_lost = False
        self._visit: OpenVisit | None = None
        self._serial = 0
        self._chips: deque[tuple[int, str]] = deque(maxlen=8)
        self._reader_lost = False
        self._camera_lost = False
        self._pins_lost = False
        self._frame: Frame | None = None
        self._opening: KeyFrame | None = None
        self._told_refused: OpenVisit | None = None
        self._entry = Entry(
            EntryParts(parts.door, parts.coil, parts.flap, parts.indicator, parts.record),
            EntrySettings(wishes.lock_kind, wishes.lease_s, wishes.bolt_delay_s),
        )
        powers = Powers(self._entry, parts.house, parts.models)
        self._owner = Owner(parts.control, powers, parts.record, self._status)
        self._last_verdict: Verdict | None = None
        self._last_ns, self._door_was = parts.clock.monotonic_ns(), self._entry.state

    @property
    def door_state(self) -> DoorState:
        """Where the door stands."""
        return self._entry.state

    def tick(self) -> None:
        """Turn once.

        Raises:
            EOFError: a recorded source has ended.
        """
        frame = self._parts.camera.newest(self._wishes.wait_s, may_reopen=not self._entry.open)
        now_ns = self._parts.clock.monotonic_ns()
        self._frame = frame
        if self._visit is not None and now_ns - self._last_ns > self._wishes.quiet_s * 1e9:
            self._end_visit(self._visit, self._last_ns)  # the loop stood still: nobody knows who came meanwhile
        self._follow_camera()
        self._owner.hear(now_ns)
        reading = self._read_pins()
        chips = self._poll_chips()
        motion, quality = self._look(frame)
        self._attend(motion, quality, reading, chips, now_ns)
        if self._visit is not None:
            self._watch(self._visit, frame, motion, quality, now_ns)
        self._move_door(reading, (motion, quality), now_ns)
        self._close_visit_when_over(now_ns)
        if self._visit is None and not self._entry.open:
            self._parts.models.idle(now_ns)
        self._last_ns, self._door_was = now_ns, self._entry.state
        self._parts.heartbeat.beat()

    def stop(self) -> None:
        """Rest the bolt, as soon as the flap lets it, and keep the visit that was going on."""
        now_ns = self._rest_bolt()
        if self._visit is not None:
            self._end_visit(self._visit, now_ns)

    def close(self) -> None:
        """Release control, camera and chip reader; the pins belong to whoever opened them."""
        self._parts.control.close()
        self._parts.camera.close()
        if self._parts.chip_reader is not None:
            self._parts.chip_reader.close()

    def _rest_bolt(self) -> int:
        """Let the bolt go; while it would fall on an open flap, hold it for as long as coil and patience allow.

        Returns:
            The moment it was let go.
        """
        clock = self._parts.clock
        begun_ns = now_ns = clock.monotonic_ns()
        self._entry.drive(now_ns, closing=True)
        while self._entry.held and now_ns - begun_ns < STOP_PATIENCE_NS:
            clock.wait(self._wishes.lease_s / 4)
            now_ns = clock.monotonic_ns()
            self._entry.feel(self._read_pins(), somebody=False, seeing=False, now_ns=now_ns)
            self._entry.drive(now_ns, closing=True)
        return now_ns

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
        started = self._parts.clock.wall()
        self._judging = self._parts.models.judging(visit_id_of(started, self._serial))
        visit = OpenVisit(started, now_ns, self._serial, VisitJudge(self._judging.provenance.rules))
        for read_ns, chip in self._chips:
            if now_ns - read_ns <= CHIP_MEMORY_NS:
                visit.read_chip(chip, now_ns)
        self._chips.clear()
        return visit

    def _watch(self, visit: OpenVisit, frame: Frame | None, motion: Motion, quality: Quality, now_ns: int) -> None:
        """Make an observation of this tick, unless nothing is in sight and nothing is wrong."""
        if quality.ok and not motion.present:
            return
        patch, scores, second = None, None, None
        if frame is not None and quality.ok:
            patch = features.extract(frame.grey, motion.box or features.whole(frame.grey), self._judging.model.recipe)
            scores, second = self._score(patch)
            quality = quality if scores is not None else replace(quality, ok=False, why=QualityWhy.FAILED)
        seq = frame.seq if frame is not None else NO_FRAME_SEQ
        likeness = () if scores is None else self._judging.recogniser.likeness(scores)
        observation = Observation(seq, visit.at_ns(now_ns), motion, quality, patch, scores, likeness, second)
        visit.observe(observation, self._parts.camera.still)

    def _score(self, patch: Patch) -> tuple[Scores | None, Scores | None]:
        """Ask the model, and the one that watches over it; where either fails the frame is no evidence.

        That is named once, until it works again.
        """
        model, second = self._judging.model, self._judging.second
        try:
            said = model.score(patch), None if second is None else second.score(patch)
        except HardwareError as error:
            if not self._model_lost:
                self._parts.record.event("model_failed", str(error))
            self._model_lost = True
            return None, None
        self._model_lost = False
        return said

    def _close_visit_when_over(self, now_ns: int) -> None:
        visit = self._visit
        if visit is None:
            return
        quiet = now_ns - visit.last_presence_ns >= self._wishes.quiet_s * 1e9
        if (quiet and not self._entry.open) or visit.full:
            self._end_visit(visit, now_ns)

    def _end_visit(self, visit: OpenVisit, now_ns: int) -> None:
        self._visit = None
        finished = visit.close(now_ns, self._judging.provenance)
        if finished.verdict.kind is VerdictKind.REFUSE_PREY and not visit.obeyed:
            # The prey waited for a cat that may bring it in to be known, in vain: the hold-off begins all the same.
            self._entry.prey(now_ns)
        self._last_verdict = finished.verdict
        self._parts.record.visit(finished)
        self._parts.models.finished(finished)

    # --- the door --------------------------------------------------------------------------------------------------

    def _move_door(self, reading: SensorReading, sight: tuple[Motion, Quality], now_ns: int) -> None:
        entry, was_open = self._entry, self._entry.open
        self._feel(reading, sight, now_ns)
        entry.pass_time(now_ns)
        entry.heed(self._parts.house.closure(now_ns), now_ns, said=self._parts.house.take_said())
        entry.blind(blinded=self._blind, now_ns=now_ns)
        another_turn = self._another_turn()
        if not another_turn:
            self._obey_verdict(now_ns)
        if was_open and self._visit is not None:
            self._visit.bolt_ns += now_ns - self._last_ns
        entry.drive(now_ns)
        self._picture_alarms(now_ns)
        if (another_turn or (was_open and not entry.open)) and self._visit is not None:
            self._end_visit(self._visit, now_ns)

    def _another_turn(self) -> bool:
        """Whether whoever is there is judged anew: nobody comes in on another's verdict, or on his chip.

        So it is when the door has shut behind somebody, when the house opens again, and when a fault is cleared.
        """
        before, after = self._door_was, self._entry.state
        shut = before in OPEN_STATES and after not in OPEN_STATES
        return shut or (before in CLOSED_STATES and after not in CLOSED_STATES)

    def _feel(self, reading: SensorReading, sight: tuple[Motion, Quality], now_ns: int) -> None:
        """Hand the pins to the door, with what the camera, or the PIR where it sees nothing, says of the outside."""
        motion, quality = sight
        somebody = motion.present or (not quality.ok and bool(reading.pir))
        opened = self._entry.feel(reading, somebody=somebody, seeing=quality.ok, now_ns=now_ns)
        if opened and self._entry.bolt is Bolt.SHUT and not somebody:
            self._parts.house.went_out(now_ns)
        if opened and self._visit is not None:
            self._visit.flap_opened = True
            self._opening = self._picture("forced_entry") if self._entry.bolt is Bolt.SHUT else None

    @property
    def _blind(self) -> bool:
        visit = self._visit
        return self._camera_lost or (visit is not None and visit.judge.final is None and visit.judge.blind)

    def _obey_verdict(self, now_ns: int) -> None:
        visit = self._visit
        if visit is None:
            return
        final = visit.judge.final
        if final is None:
            self._admit_unseen(visit, now_ns)
        elif not visit.obeyed and final.kind is VerdictKind.ADMIT:
            self._admit(visit, final, now_ns)
        elif not visit.obeyed:
            visit.obeyed = True
            self._entry.prey(now_ns)

    def _admit(self, visit: OpenVisit, verdict: Verdict, now_ns: int) -> None:
        """Let in whom the house does not refuse; one who had to wait for that is judged anew."""
        if self._refused_by_house(visit, verdict.resident, now_ns):
            return
        if visit is self._told_refused:
            self._end_visit(visit, now_ns)
            return
        visit.obeyed = True
        self._entry.admit(now_ns)
        self._let_in(verdict.resident, now_ns)

    def _admit_unseen(self, visit: OpenVisit, now_ns: int) -> None:
        """Do what the owner chose for when nothing can be seen; one who had to wait for the house is known anew."""
        resident, choice = visit.judge.resident, self._judging.on_blind or self._wishes.on_blind
        asked = self._entry.state is DoorState.BLIND and visit.judge.blind and blind_admits(choice, resident)
        if asked and not visit.obeyed_blind and not self._refused_by_house(visit, resident, now_ns):
            if visit is self._told_refused:
                self._end_visit(visit, now_ns)
                return
            visit.obeyed_blind = True
            self._parts.record.event("blind_admitted", f"on_blind = {choice}")
            self._entry.admit_unseen(now_ns)
            self._let_in(resident, now_ns)

    def _refused_by_house(self, visit: OpenVisit, resident: str | None, now_ns: int) -> bool:
        why = self._parts.house.refuses(resident, now_ns)
        if why is not None and visit is not self._told_refused:
            self._told_refused = visit
            self._parts.record.event("refused_by_rules", why)
        return why is not None

    def _let_in(self, resident: str | None, now_ns: int) -> None:
        if self._parts.door.open:  # not in a hold-off, nor where the bolt only waits for the last one's flap
            self._parts.house.let_in(resident, now_ns)

    def _status(self, now_ns: int) -> Status:
        """Say how the door is, to whoever asks."""
        parts, refusal = self._parts, self._parts.coil.refusal
        return Status(
            door=self._entry.state,
            mode=parts.house.mode,
            panic=parts.house.panic,
            fault=self._entry.fault,
            coil_refusal=None if refusal is None else str(refusal),
            heat_share=parts.coil.heat_share(now_ns),
            camera_lost=parts.camera.why_lost if parts.camera.lost else None,
            model_id=parts.models.champion.provenance.model_id,
            last_verdict=self._last_verdict,
            drift=parts.models.drift,
        )

    def _picture_alarms(self, now_ns: int) -> None:
        """Put a picture of every alarm into the visit, and begin one where there is none."""
        for why in self._entry.take_alarms():
            picture = self._opening if why == "forced_entry" else self._picture(why)
            if picture is not None:
                self._visit = self._visit or self._begin(now_ns)
                self._visit.keep_picture(picture)

    def _picture(self, why: str) -> KeyFrame | None:
        """Return the large picture of this tick, the small one where there is no large one, or None."""
        if self._frame is None:
            return None
        still = self._parts.camera.still()
        return KeyFrame(why, self._frame.seq, self._frame.grey if still is None else still)
