"""Which model decides: the champion of the slots, and the candidate that is on trial against it. Floor 5.

It works only while nobody is there and the bolt rests, one small piece a tick: it loads, scores a patch, or takes one
step of the slots. What it promotes was loaded long ago and has scored the very visits it is promoted for, so that a
promotion is the exchange of one reference between two visits; nothing is loaded for it, and the daemon goes on. What
was thrown out is out of the loop before its slot is emptied, whatever the disk says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from edge import trials
from edge.driftkeeper import DriftKeeper
from edge.errors import HardwareError, TrustError
from edge.messages import CommandKind, QualityWhy, Reply
from edge.shadow import Shadow, Side
from edge.slots import SlotName, SlotRefusedError, TransitionKind, TrialKind
from edge.trialbook import TrialName
from edge.trials import Arm, Stage, Step, Tally

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge.bundle import Bundle
    from edge.messages import Visit
    from edge.pipeline import Judging
    from edge.ports import Clock, Record
    from edge.slots import Slots, SlotsState, Start, Transition
    from edge.trialbook import TrialBook
    from edge.trials import Gates

LOOK_NS = 1_000_000_000
"""How often the slots' pointer is looked at, by its time of change only."""

SETTLE_NS = 600_000_000_000
"""A run, and a champion, that went well for so long has settled: ``edge.slots.Slots.settled``."""

_ENDS = (TransitionKind.PROMOTED, TransitionKind.THROWN_OUT, TransitionKind.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class TrialWishes:
    """What the owner wants of a trial: ``promote`` is ``auto`` or ``owner``, ``ab_share`` 0 for no test at the door."""

    promote: str
    ab_share: float
    gates: Gates


@dataclass(frozen=True, slots=True)
class KeeperParts:
    """What the keeper is made of.

    ``load`` loads a verified bundle piece by piece and yields by what it judges last; it raises TrustError and
    HardwareError. ``without`` is by what visits are judged where no slot has a usable bundle. ``pointer`` is the file
    whose time of change says that another process was at the slots.
    """

    slots: Slots
    pointer: Path
    load: Callable[[Bundle], Iterator[Judging | None]]
    without: Judging
    book: TrialBook
    record: Record
    clock: Clock
    wishes: TrialWishes


class _Place(NamedTuple):
    """A bundle in a slot, by its manifest's hash."""

    slot: SlotName
    sha256: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A bundle that is ready to judge; None: no bundle is, rules only."""

    place: _Place | None
    judging: Judging


@dataclass(frozen=True, slots=True)
class _Loading:
    """A bundle on its way into memory."""

    place: _Place
    pieces: Iterator[Judging | None]


class _Owed(NamedTuple):
    """A step of the slots that is to be taken. ``kind`` ROLLBACK is of whatever has the hash ``judged``."""

    kind: CommandKind | TrialKind
    why: str
    judged: str


class ModelKeeper:
    """``edge.pipeline.Models`` over the slots."""

    def __init__(self, parts: KeeperParts, boot: str) -> None:
        """Count the start, hold the last run against whom it must be, and load the champion.

        ``boot`` tells one run of the kernel from the next.

        Raises:
            HardwareError: the model's runtime is missing.
        """
        self._parts = parts
        self._start: Start = parts.slots.started(boot)
        if self._start.alarm is not None:
            parts.record.event("slots_alarm", self._start.alarm)
        self._champion = self._open_champion()
        self._candidate: _Loaded | None = None
        self._loading: _Loading | None = None
        self._shadow: Shadow | None = None
        self._drift = DriftKeeper(parts.record)
        self._tally = Tally()
        self._stage: Stage | None = None
        self._secret = b""
        self._share = 0.0
        self._refused: _Place | None = None  # thrown out in this run, even if the disk does not know it yet
        self._owed: _Owed | None = None
        self._told_passed = False
        self._state: SlotsState | None = None
        self._seen_ns: int | None = None
        self._disk_failed = False
        self._settled = False
        self._looked_ns = self._changed_ns = parts.clock.monotonic_ns()
        self._guarded(lambda: self._look(self._looked_ns))

    @property
    def champion(self) -> Judging:
        """What decides where nothing is on trial at the door."""
        return self._champion.judging

    @property
    def drift(self) -> str | None:
        """What is no longer as the champion was made for, in one line; None where all is."""
        return self._drift.alarm

    def judging(self, visit_id: str) -> Judging:
        """Return by what a visit that begins now is judged: the champion, or for its share the challenger.

        The challenger is watched over by the champion, whose case for prey refuses as well.
        """
        if self._stage is not Stage.AB or self._candidate is None or not self._secret or self._owed is not None:
            return self.champion
        if trials.arm_of(visit_id, self._secret, self._share) is Arm.CHAMPION:
            return self.champion
        challenger, watching = self._candidate.judging, self.champion
        rules = replace(challenger.provenance.rules, second=watching.provenance.rules.evidence)
        return replace(challenger, provenance=replace(challenger.provenance, rules=rules), second=watching.model)

    def finished(self, visit: Visit) -> None:
        """Let a visit wait for the candidate; a runtime that failed at the door has failed."""
        self._watch_drift(visit)
        if self._shadow is None or self._candidate is None:
            return
        failed = any(entry.quality.why is QualityWhy.FAILED for entry in visit.observations)
        if failed and visit.model_id == self._candidate.judging.provenance.model_id:
            self._tally = replace(self._tally, failure=f"its runtime failed at the door, visit {visit.visit_id}")
            self._decide()
        else:
            self._shadow.take(visit)

    def idle(self, now_ns: int) -> None:
        """Do one small piece of what waits."""
        self._guarded(lambda: self._turn(now_ns))

    def obey(self, kind: CommandKind) -> Reply:
        """Take the owner's word; it is done as soon as nobody is at the flap."""
        subject = self._candidate or (self._champion if kind is CommandKind.ROLLBACK else None)
        if self._loading is not None:
            return Reply(ok=False, says="a model is being loaded; say it again in a moment")
        if subject is None:
            return Reply(ok=False, says="nothing is on trial")
        if subject.place is None or subject.place.slot is SlotName.FACTORY:
            return Reply(
                ok=False, says="nothing is on trial, and below the factory's model there is none to go back to"
            )
        self._owed = _Owed(kind, "by the owner's word", subject.place.sha256)
        becomes = "takes over" if kind is CommandKind.PROMOTE else "goes"
        return Reply(ok=True, says=f"{subject.judging.provenance.model_id} {becomes} as soon as nobody is at the flap")

    def labelled(self) -> None:
        """Hear that the owner has said of a visit what it was: a trial lost by it ends now, not a visit later."""
        if self._shadow is not None:
            self._decide()

    def drifted(self, why: str) -> None:
        """Take an alarm: scores or pictures are no longer what the model was made for.

        It ends a trial, and costs a champion on probation its place. One that has long settled keeps it: what drifts
        under it is the world, and the model before knew no more of that.
        """
        if self._candidate is not None:
            self._tally = replace(self._tally, alarm=why)
            self._decide()
        elif self._state is not None and self._state.probation and self._champion.place is not None:
            self._owed = _Owed(CommandKind.ROLLBACK, f"drift alarm: {why}", self._champion.place.sha256)

    def stopped(self) -> None:
        """Take that the daemon ends in order: its end is held against nobody."""
        self._guarded(self._parts.slots.stopped)

    # --- one piece a tick --------------------------------------------------------------------------------------------

    def _guarded(self, act: Callable[[], None]) -> None:
        """Let a disk that refuses be named once, and asked again at the next look."""
        try:
            act()
        except OSError as error:
            if not self._disk_failed:
                self._parts.record.event("slots_failed", str(error))
            self._disk_failed, self._seen_ns = True, None

    def _turn(self, now_ns: int) -> None:
        due = now_ns - self._looked_ns >= LOOK_NS
        if self._owed is not None and (due or not self._disk_failed):
            self._looked_ns = now_ns
            self._pay(self._owed, now_ns)
        elif due:
            self._look(now_ns)
        elif self._loading is not None:
            self._load_on(self._loading)
        elif self._shadow is not None and self._shadow.busy:
            self._score(self._shadow)

    def _pay(self, owed: _Owed, now_ns: int) -> None:
        """Take a step of the slots; one that they refuse is named, and no more owed."""
        slots = self._parts.slots
        try:
            if owed.kind is CommandKind.PROMOTE:
                slots.promote(owed.why, judged=owed.judged)
            elif owed.kind is CommandKind.ROLLBACK:
                slots.roll_back(owed.why, judged=owed.judged)
            else:
                slots.begin_trial(TrialKind.AB, self._parts.wishes.ab_share)
        except (SlotRefusedError, TrustError) as error:
            self._parts.record.event("model_step_refused", f"{owed.kind}: {error}")
        self._owed = None
        self._look(now_ns)

    def _look(self, now_ns: int) -> None:
        """Follow the slots where another process, or this one, has changed them; settle when it is time."""
        self._looked_ns = now_ns
        if not self._settled and now_ns - self._changed_ns >= SETTLE_NS:
            self._parts.slots.settled()
            self._settled = True
        seen_ns = _changed_ns(self._parts.pointer)
        if seen_ns == self._seen_ns and self._state is not None:
            return
        state = self._parts.slots.state()
        self._follow(state, now_ns)
        self._tell()
        self._state, self._disk_failed = self._parts.slots.state(), False
        self._seen_ns = _changed_ns(self._parts.pointer)

    def _tell(self) -> None:
        """Put every transition into the journal, whichever process made it, and a report of every end."""
        told = self._parts.slots.unwritten()
        for entry in told:
            self._parts.record.event(f"model_{entry.kind}", str(entry))
            if entry.kind in _ENDS:
                self._report(entry)
        if told:
            self._parts.slots.written(told[-1].sequence)

    def _report(self, entry: Transition) -> None:
        now = self._parts.clock.wall()
        name, tally = self._parts.book.last(entry.model_id) or (TrialName(entry.model_id, "", ""), Tally())
        path = self._parts.book.report(now, name, tally, str(entry.kind), entry.why)
        told = trials.summary(trials.figures(tally))
        self._parts.record.event("trial_report", f"{entry.model_id}: {entry.kind}: {entry.why}; {told}; {path.name}")

    # --- following the slots -----------------------------------------------------------------------------------------

    def _follow(self, state: SlotsState, now_ns: int) -> None:
        """Make memory what the pointer says. A champion that was the candidate is here already."""
        champion = self._parts.slots.champion()
        place = _place_of(champion.slot, champion.bundle)
        if place != self._champion.place:
            self._changed(now_ns)
            self._alarm(champion.alarms)
            self._take_champion(place, champion.bundle)
        if self._champion.place == place and self._start.alarm is None:
            self._follow_trial(state, now_ns)

    def _take_champion(self, place: _Place | None, bundle: Bundle | None) -> None:
        candidate, self._shadow = self._candidate, None
        if place is None or bundle is None:
            self._champion = _Loaded(None, self._parts.without)
        elif candidate is not None and candidate.place == place:
            self._champion = candidate
            self._forget_candidate()
        elif self._loading is None or self._loading.place != place:
            self._loading = _Loading(place, self._parts.load(bundle))

    def _follow_trial(self, state: SlotsState, now_ns: int) -> None:
        trial, record = state.trial, state.record(state.trial.slot if state.trial is not None else None)
        if trial is None or record is None:
            if self._candidate is not None or self._stage is not None:
                self._changed(now_ns)
            self._forget_candidate()
            return
        place = _Place(trial.slot, record.sha256)
        if place == self._refused:
            return
        self._share = trial.share
        self._stage = Stage(trial.kind)
        if self._stage is Stage.AB and not self._secret:
            self._secret = self._parts.book.secret()
        if self._candidate is None or self._candidate.place != place:
            self._candidate = self._shadow = None
            self._load_candidate(place)
            self._changed(now_ns)
        elif self._shadow is None:
            self._begin_shadow(self._candidate, state)

    def _load_candidate(self, place: _Place) -> None:
        if self._loading is not None and self._loading.place == place:
            return
        try:
            self._loading = _Loading(place, self._parts.load(self._parts.slots.verified(place.slot)))
        except TrustError as error:
            self._throw_out(place, str(error))

    def _load_on(self, loading: _Loading) -> None:
        """Load one piece; what cannot be loaded goes, whoever it is."""
        try:
            judging = next(loading.pieces)
        except (TrustError, HardwareError) as error:
            self._loading = None
            self._throw_out(loading.place, f"it cannot be loaded: {error}")
            return
        if judging is None:
            return
        self._loading, self._seen_ns = None, None  # look again: what is loaded takes its place by what the pointer says
        if self._is_trial(loading.place):
            self._candidate = _Loaded(loading.place, judging)
            self._require_fit(self._candidate)
        else:
            self._champion = _Loaded(loading.place, judging)

    def _is_trial(self, place: _Place) -> bool:
        state = self._state
        return state is not None and state.trial is not None and state.trial.slot is place.slot

    def _require_fit(self, candidate: _Loaded) -> None:
        """Refuse a candidate that cannot be shown the champion's patches: from a patch no other can be cut."""
        mine, theirs = candidate.judging.model.recipe, self.champion.model.recipe
        fits = (mine.width_px, mine.height_px) == (theirs.width_px, theirs.height_px)
        if not fits and self._champion.place is not None and candidate.place is not None:
            sizes = f"{mine.width_px}x{mine.height_px}, the champion's {theirs.width_px}x{theirs.height_px}"
            self._throw_out(candidate.place, f"its patches are {sizes}: it cannot be shown the same visits")

    def _begin_shadow(self, candidate: _Loaded, state: SlotsState) -> None:
        if self._champion.place is None:
            return  # nothing to compare with: the owner's word promotes it
        self._shadow = Shadow(_side(self.champion), _side(candidate.judging), self._parts.clock)
        self._tally = self._parts.book.tally(self._name(state))
        self._told_passed = False

    def _name(self, state: SlotsState | None) -> TrialName:
        record = None if state is None or state.trial is None else state.record(state.trial.slot)
        champion = self.champion.provenance.model_id
        return TrialName("", "", champion) if record is None else TrialName(record.model_id, record.since, champion)

    def _forget_candidate(self) -> None:
        if self._loading is not None and self._is_trial(self._loading.place):
            self._loading = None
        self._candidate = self._shadow = self._stage = None
        self._drift.forget_tried()
        self._tally = Tally()

    def _changed(self, now_ns: int) -> None:
        self._changed_ns, self._settled = now_ns, False

    # --- comparing ---------------------------------------------------------------------------------------------------

    def _watch_drift(self, visit: Visit) -> None:
        """Hold what the champion decided against what it was made for. With a candidate there, that is the world's."""
        judging = self.champion
        if visit.model_id != judging.provenance.model_id:
            return
        why = self._drift.seen(visit, visit.model_id, judging.reference)
        if why is not None and self._candidate is None:
            self.drifted(why)

    def _watch_tried(self, shadow: Shadow) -> None:
        """Hold what the candidate said of the last visit against what it was made for."""
        if self._candidate is None or shadow.said is None:
            return
        judging, (visit, scores) = self._candidate.judging, shadow.said
        why = self._drift.tried(visit, judging.provenance.model_id, judging.reference, scores)
        if why is not None:
            self.drifted(why)

    def _score(self, shadow: Shadow) -> None:
        """Score one patch of a visit that has ended; with its last one the visit counts."""
        try:
            pair = shadow.step()
        except HardwareError as error:
            self._tally = replace(self._tally, failure=str(error))
            self._decide()
            return
        if pair is not None:
            self._tally = self._tally.with_pair(pair)
            self._parts.book.add(self._parts.clock.wall(), self._name(self._state), pair)
            self._watch_tried(shadow)
            self._decide()

    def _decide(self) -> None:
        candidate, wishes = self._candidate, self._parts.wishes
        if candidate is None or candidate.place is None or self._stage is None:
            return
        self._tally = self._tally.with_labels(self._parts.book.labels(self._name(self._state)))
        decision = trials.decide(self._tally, self._stage, wishes.gates)
        if decision.step is Step.ROLL_BACK:
            self._throw_out(candidate.place, decision.because)
        elif decision.step is Step.PROMOTE:
            self._pass(candidate, candidate.place.sha256, decision.because)

    def _pass(self, candidate: _Loaded, sha256: str, why: str) -> None:
        """Promote what has passed, or try it at the door first, or leave it to the owner."""
        wishes, fits = self._parts.wishes, candidate.judging.model.recipe == self.champion.model.recipe
        tries = self._stage is Stage.SHADOW and wishes.ab_share > 0
        if tries and fits:
            self._owed = _Owed(TrialKind.AB, why, sha256)
        elif wishes.promote == "auto" and not tries:
            self._owed = _Owed(CommandKind.PROMOTE, why, sha256)
        elif not self._told_passed:
            self._told_passed = True
            left = (
                "its patches are cut otherwise than the champion's, so it is not tried at the door; " if tries else ""
            )
            self._parts.record.event("trial_passed", f"{left}`catflap model promote` promotes it: {why}")

    def _throw_out(self, place: _Place, why: str) -> None:
        """Take a bundle out of the loop at once, and out of its slot as soon as the disk lets that be done."""
        self._refused = place
        if self._candidate is not None and self._candidate.place == place:
            self._forget_candidate()
        self._owed = _Owed(CommandKind.ROLLBACK, why, place.sha256)

    # --- the champion at start ---------------------------------------------------------------------------------------

    def _open_champion(self) -> _Loaded:
        """Load the champion; one that its runtime refuses gives way to the one below it, down to rules only."""
        tried: list[_Place] = []
        while True:
            champion = self._parts.slots.champion()
            place = _place_of(champion.slot, champion.bundle)
            self._alarm(champion.alarms)
            if place is None or champion.bundle is None or place in tried:
                return _Loaded(None, self._parts.without)
            tried.append(place)
            try:
                return _Loaded(place, _whole(self._parts.load(champion.bundle)))
            except TrustError as error:
                self._alarm((str(error),))
                self._step_down(place, str(error))

    def _step_down(self, place: _Place, why: str) -> None:
        if place.slot is SlotName.FACTORY:
            return
        try:
            self._parts.slots.roll_back(why, judged=place.sha256)
        except (SlotRefusedError, OSError) as error:
            self._parts.record.event("model_step_refused", f"rollback: {error}")

    def _alarm(self, alarms: tuple[str, ...]) -> None:
        for why in alarms:
            self._parts.record.event("model_alarm", why)


def _whole(pieces: Iterator[Judging | None]) -> Judging:
    """Load a bundle at one go: nobody is waited for before the loop turns.

    Raises:
        TrustError: it yields nothing to judge by.
    """
    for piece in pieces:
        if piece is not None:
            return piece
    raise TrustError("the bundle's loading ended without a model")


def _place_of(slot: SlotName | None, bundle: Bundle | None) -> _Place | None:
    return None if slot is None or bundle is None else _Place(slot, bundle.manifest_sha256)


def _side(judging: Judging) -> Side:
    return Side(judging.provenance.model_id, judging.model, judging.recogniser, judging.provenance.rules)


def _changed_ns(path: Path) -> int | None:
    """Return when a file was last changed; None where there is none."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
