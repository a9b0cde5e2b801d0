"""The slots on the disk: every step is one rename of one pointer, and the power may go at any instant. Part of floor 4.

Two processes use it: the updater installs and begins trials, the daemon starts, settles, promotes and rolls back. Each
step takes the lock, reads the pointer anew, and keeps nothing in memory.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from edge import bundle as bundles
from edge.errors import InputError, TrustError
from edge.slots import moves
from edge.slots.shelf import Shelf
from edge.slots.words import (
    FILLED,
    NOTHING_FILLED,
    Champion,
    SlotName,
    SlotRecord,
    SlotRefusedError,
    SlotsState,
    Start,
    Transition,
    TrialKind,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from edge.bundle import Bundle
    from edge.files import Files

MODELS = "models"
"""Where the slots lie in the state directory."""

WAIT_S = 5.0
"""How long a step waits for another process to end its own; an install on a slow card takes about two seconds."""


class Slots:
    """The slots in one directory, ``<state>/models``.

    Every method that changes something returns when it lasts, and raises OSError when the disk would not: then either
    the old state stands or the new one does, and the next step clears away what is left. BlockingIOError: another
    process was not done within ``wait_s``.
    """

    def __init__(  # noqa: PLR0913 - two that every caller gives; the rest is for tests and for a loop that cannot wait
        self,
        directory: Path,
        files: Files,
        *,
        factory: Path | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        load: Callable[[Path], Bundle] = bundles.load,
        wait_s: float = WAIT_S,
    ) -> None:
        """Touch nothing yet.

        Args:
            directory: ``<state>/models``; it need not be there.
            files: the disk.
            factory: the bundle that ships, only ever read.
            now: the wall clock in UTC, for ``since`` only.
            load: reads and verifies a bundle.
            wait_s: how long to wait for another process.
        """
        self._factory = bundles.factory_directory() if factory is None else factory
        self._shelf = Shelf(directory, files)
        self._now = now
        self._load = load
        self._wait_s = wait_s

    # What there is.

    def state(self) -> SlotsState:
        """Return the pointer; one that is damaged counts as one that names nothing.

        Raises:
            OSError: it cannot be read.
        """
        try:
            return self._shelf.read()
        except InputError as error:
            return moves.lost(self._nothing_known(), str(error), self._at())

    def spare(self) -> SlotName:
        """Return the slot that the next bundle would go into; raises OSError."""
        return moves.spare(self._healed(self.state()))

    def bundle_directory(self, slot: SlotName) -> Path:
        """Return where the bundle of a slot lies, whether or not there is one."""
        return self._factory if slot is SlotName.FACTORY else self._shelf.path(slot)

    def verified(self, slot: SlotName) -> Bundle:
        """Return the bundle in a slot, verified, and known to be the one that was put there.

        Raises:
            TrustError: there is none, it is damaged, or it is another.
            OSError: the disk.
        """
        return self._verified(self.state(), slot)

    def champion(self) -> Champion:
        """Return the bundle to run: the champion's, else the previous, else the factory's, else rules only.

        It raises nothing and writes nothing: what it could not use is an alarm.
        """
        alarms: list[str] = []
        try:
            state = self.state()
        except OSError as error:
            state, alarms = NOTHING_FILLED, [f"the pointer cannot be read: {error}"]
        if state.champion is SlotName.FACTORY and state.resets >= moves.MAX_RESETS:
            why = f"{moves.MAX_RESETS} starts in a row did not settle, the last with the factory's bundle"
            return Champion(None, None, (*alarms, f"rules only: {why}"))
        for slot in dict.fromkeys((state.champion, state.previous or SlotName.FACTORY, SlotName.FACTORY)):
            try:
                return Champion(slot, self._verified(state, slot), tuple(alarms))
            except (TrustError, OSError) as error:
                alarms.append(f"slot {slot} is not usable: {error}")
        return Champion(None, None, (*alarms, "rules only: no slot holds a usable bundle"))

    def unwritten(self) -> tuple[Transition, ...]:
        """Return the transitions that are not in the journal yet, whichever process made them; raises OSError."""
        return self.state().unwritten

    # What changes it.

    def install(self, source: Path, record: SlotRecord, *, step_back: bool = False) -> Transition:
        """Put a bundle into the spare slot as the candidate; whatever candidate there was is no more.

        Args:
            source: the bundle's directory; it is verified, copied, and the copy verified again.
            record: what the signatures say of it; ``slot`` and ``since`` are filled in here.
            step_back: whether the owner has signed that this version is meant to be older, or tried once more.

        Raises:
            TrustError: it is not what its manifest or the record says, or goes back without ``step_back``.
            SlotRefusedError: it is champion or on trial already, or the disk has no room for it.
            OSError: the disk.
        """
        _same(self._load(source), record)
        with self._held() as found:
            state = self._healed(found)
            _refuse_again(state, record)
            if not step_back:
                moves.check_version(state, record, self._factory_rank())
            self._shelf.tidy(found)
            placed = replace(record, slot=moves.spare(state), since=self._at())
            if not self._holds(state, placed):
                _same(self._load(self._shelf.stage(source)), record)
                self._shelf.swap_in(placed.slot)
            return self._keep(moves.installed(state, placed))[-1]

    def begin_trial(self, kind: TrialKind, share: float = 0.0) -> Transition:
        """Begin a trial of the candidate, or go on from a shadow to deciding a ``share`` of the visits, 0..1.

        Raises:
            TrustError: the candidate is not what was installed.
            SlotRefusedError: there is no candidate, or the share does not fit the kind.
            OSError: the disk.
        """
        with self._held() as state:
            after = moves.trial_begun(state, kind, share, self._at())
            self._verified(after, after.candidate or SlotName.FACTORY)
            return self._keep(after)[-1]

    def promote(self, why: str, *, judged: str | None = None) -> Transition:
        """Make the bundle on trial the champion. It is on probation until the next ``settled``.

        Args:
            why: the reason, in one line.
            judged: the manifest's SHA-256 of the bundle that the reason is about: another one is not promoted for it.

        Raises:
            TrustError: the bundle is not what was installed.
            SlotRefusedError: none is on trial, or another than was judged.
            OSError: the disk.
        """
        with self._held() as state:
            after = moves.promoted(state, why, self._at(), judged)
            self._verified(after, after.champion)
            return self._keep(after)[-1]

    def roll_back(self, why: str, *, judged: str | None = None) -> Transition:
        """Throw the candidate out; without one, or where the champion was judged, go back to the bundle before it.

        Args:
            why: the reason, in one line.
            judged: the manifest's SHA-256 of the bundle that the reason is about.

        Raises:
            SlotRefusedError: there is nothing to roll back, or another bundle was judged.
            OSError: the disk.
        """
        with self._held() as state:
            return self._keep(moves.rolled_back(state, why, self._at(), judged))[-1]

    def started(self, boot: str = "") -> Start:
        """Count a start of the daemon, before any model is loaded, and hold the last run against whom it must be.

        ``boot`` tells one run of the kernel from the next (``/proc/sys/kernel/random/boot_id``); where it is always
        the same, no power cut is excused. It raises nothing: a start that cannot be counted is one without a trial.
        """
        try:
            with self._held() as state:
                after = moves.started(state, boot, self._at())
                if after.trial is not None:
                    after = self._sound_trial(after)
                self._keep(after)
        except OSError as error:
            return Start((), None, f"the start could not be counted, so that nothing is on trial in it: {error}")
        return Start(after.unwritten, after.trial, None)

    def settled(self) -> None:
        """Take that the daemon has run well for ten minutes or more since its start and since the last transition."""
        with self._held() as state:
            after = moves.settled(state)
            if after != state:
                self._keep(after)

    def stopped(self) -> None:
        """Take that the daemon ends in order, so that its end is held against nobody; raises OSError."""
        with self._held() as state:
            self._keep(moves.stopped(state))

    def written(self, sequence: int) -> None:
        """Take that the journal has the transitions up to this number; raises OSError."""
        with self._held() as state:
            self._keep(replace(state, journalled=max(state.journalled, sequence)))

    # How.

    @contextmanager
    def _held(self) -> Iterator[SlotsState]:
        """Hold the lock over one step; what a cut left of the step before is put right first."""
        with self._shelf.locked(self._wait_s):
            state = self.state()
            self._shelf.restore(state)
            yield state

    def _keep(self, state: SlotsState) -> tuple[Transition, ...]:
        self._shelf.write(state)
        with suppress(OSError):  # the step is done; what it leaves behind is removed by the next one that can
            self._shelf.tidy(state)
        return state.history

    def _at(self) -> str:
        return self._now().astimezone(UTC).isoformat(timespec="seconds")

    def _verified(self, state: SlotsState, slot: SlotName) -> Bundle:
        record = state.record(slot)
        if record is None and slot is not SlotName.FACTORY:
            raise TrustError(f"slot {slot}: is empty")
        loaded = self._load(self.bundle_directory(slot))
        if record is not None:
            _same(loaded, record)
        return loaded

    def _holds(self, state: SlotsState, record: SlotRecord) -> bool:
        """Return whether the very bundle lies in its slot already, put there by an install that went no further."""
        there = state.record(record.slot)
        if there is None or there.sha256 != record.sha256:
            return False
        try:
            self._verified(state, record.slot)
        except TrustError:
            return False
        return True

    def _healed(self, state: SlotsState) -> SlotsState:
        """Return the state without champions that are damaged: the slot in use is not the one to be filled."""
        while state.champion is not SlotName.FACTORY:
            try:
                self._verified(state, state.champion)
            except TrustError as error:
                state = moves.champion_back(state, str(error), self._at())
            else:
                break
        return state

    def _sound_trial(self, state: SlotsState) -> SlotsState:
        try:
            self._verified(state, state.candidate or SlotName.FACTORY)
        except TrustError as error:
            return moves.candidate_out(state, str(error), self._at())
        return state

    def _factory_rank(self) -> int:
        """Return the factory bundle's version as a number; a broken one bounds nothing."""
        try:
            return moves.rank(self._load(self._factory).manifest.version)
        except TrustError:
            return 0

    def _nothing_known(self) -> SlotsState:
        """Return the state of slots whose pointer is damaged: versions still do not go back below what lies there."""
        ranks = [0]
        for slot in FILLED:
            with suppress(TrustError):
                ranks.append(moves.rank(self._load(self._shelf.path(slot)).manifest.version))
        return replace(NOTHING_FILLED, highest_version=max(ranks))


def _same(bundle: Bundle, record: SlotRecord) -> None:
    """Check that a verified bundle is the one that a record is about.

    Raises:
        TrustError: it is not.
    """
    for what, is_, says in (
        ("manifest's SHA-256", bundle.manifest_sha256, record.sha256),
        ("version", bundle.manifest.version, record.version),
        ("model", bundle.model_id, record.model_id),
    ):
        if is_ != says:
            raise TrustError(f"{bundle.directory}: {what}: is {is_}; the record of the slot says {says}")


def _refuse_again(state: SlotsState, record: SlotRecord) -> None:
    there = next((known for known in state.records if known.sha256 == record.sha256), None)
    if there is None:
        return
    if there.slot is state.champion:
        raise SlotRefusedError(f"{record.model_id}: is champion already, in slot {there.slot}")
    if state.trial is not None and there.slot is state.trial.slot:
        raise SlotRefusedError(f"{record.model_id}: is on trial already, in slot {there.slot}")
