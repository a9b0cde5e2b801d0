"""What each step makes of the slots' pointer. Part of floor 4, pure: what is in the slots, and the time, are passed in.

A chain of failures only ever leads down: candidate, champion, previous, factory, rules only. Every failure takes one of
them out of the pointer, and nothing but an install puts one in, so however often the flap is reset, no bundle comes
back to be tried again, and two cannot take turns.
"""

from __future__ import annotations

import re
from dataclasses import replace

from edge.errors import TrustError
from edge.slots.words import (
    FILLED,
    Run,
    SlotName,
    SlotRecord,
    SlotRefusedError,
    SlotsState,
    ThrownOut,
    Transition,
    TransitionKind,
    Trial,
    TrialKind,
)

MAX_RESETS = 3
"""So many starts in a row that never settle cost a champion its place. One on probation has one attempt."""

MAX_EXCUSES = 2
"""So many resets of the machine (power cuts) a candidate survives, each of a run that had settled."""

MAX_HISTORY = 50
"""Transitions that the pointer remembers; the journal has them all."""

_VERSION = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?(?:\+home\.(\d{1,6}))?")
_BASE = 10**6


def rank(version: str) -> int:
    """Return a number that orders versions: up to three numbers with dots, ``+home.N`` for one adapted to a home.

    Raises:
        TrustError: it is no such version.
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise TrustError(f"version {version!r}: is not MAJOR.MINOR.PATCH, with +home.N where it was adapted to a home")
    value = 0
    for digits in found.groups():
        value = value * _BASE + int(digits or 0)
    return value


def spare(state: SlotsState) -> SlotName:
    """Return the slot that the next bundle goes into: the candidate's, an empty one, or the previous champion's."""
    free = [slot for slot in FILLED if slot != state.champion]
    return min(free, key=lambda slot: (slot != state.candidate, slot == state.previous))


def check_version(state: SlotsState, record: SlotRecord, floor: int) -> None:
    """Check that a bundle does not go back, neither below what was ever in a slot nor below ``floor``, the factory's.

    The very bytes of the highest version may come again: an install that was cut off is done once more.

    Raises:
        TrustError: it goes back, is another bundle under a version that was used, or was thrown out before.
    """
    out = state.thrown_out
    if out is not None and out.record.sha256 == record.sha256:
        raise TrustError(f"{record.model_id}: was thrown out on {out.at}: {out.why}; a step back must be signed for")
    highest = max(state.highest_version, floor)
    again = record.sha256 == state.highest_sha256 and rank(record.version) == highest
    if rank(record.version) <= highest and not again:
        raise TrustError(
            f"{record.model_id}: version {record.version} is not above {version_of(highest)}, the highest that was"
            " ever here; a step back must be signed for"
        )


def version_of(number: int) -> str:
    """Return the version that ``rank`` makes this number of."""
    parts = []
    for _ in range(4):
        number, part = divmod(number, _BASE)
        parts.append(part)
    home, patch, minor, major = parts
    return f"{major}.{minor}.{patch}" + (f"+home.{home}" if home else "")


def installed(state: SlotsState, record: SlotRecord) -> SlotsState:
    """Put a candidate into the slot that its record names; what was there, and a trial of it, are no more."""
    out, others = state.thrown_out, tuple(other for other in state.records if other.slot != record.slot)
    after = replace(
        state,
        previous=None if state.previous == record.slot else state.previous,
        trial=None if state.trial is not None and state.trial.slot == record.slot else state.trial,
        records=(*others, record),
        thrown_out=None if out is not None and out.record.sha256 == record.sha256 else out,
    )
    if rank(record.version) >= state.highest_version:
        after = replace(after, highest_version=rank(record.version), highest_sha256=record.sha256)
    return _noted(after, TransitionKind.INSTALLED, record, record.since, record.why)


def trial_begun(state: SlotsState, kind: TrialKind, share: float, at: str) -> SlotsState:
    """Begin a trial of the candidate, or go on from one kind to the next.

    Raises:
        SlotRefusedError: there is no candidate, or the share is not one of this kind.
    """
    record = state.record(state.candidate)
    if record is None:
        raise SlotRefusedError("there is no candidate in any slot: install one first")
    if not (0 < share < 1 if kind is TrialKind.AB else share == 0):
        raise SlotRefusedError(f"share: {share} is not above 0 and below 1 for a trial of kind ab, 0 for a shadow")
    attempts = state.trial.attempts if state.trial is not None else 0
    after = replace(state, trial=Trial(record.slot, kind, at, share, attempts))
    why = f"{kind}, {share:.0%} of the visits" if share else str(kind)
    return _noted(after, TransitionKind.TRIAL_BEGUN, record, at, why)


def promoted(state: SlotsState, why: str, at: str, judged: str | None) -> SlotsState:
    """Make the bundle on trial the champion, on probation until it settles; the champion becomes the previous.

    Raises:
        SlotRefusedError: none is on trial, or another than was judged.
    """
    record = state.record(state.trial.slot) if state.trial is not None else None
    if record is None:
        raise SlotRefusedError("nothing is on trial")
    if judged not in (None, record.sha256):
        raise SlotRefusedError(f"{record.model_id} is on trial, not the bundle that was judged")
    run = None if state.run is None else replace(state.run, settled=False)
    after = replace(state, champion=record.slot, previous=state.champion, trial=None, resets=0, probation=True, run=run)
    return _noted(after, TransitionKind.PROMOTED, record, at, why)


def rolled_back(state: SlotsState, why: str, at: str, judged: str | None) -> SlotsState:
    """Throw the bundle on trial out; where none is, or where the champion was judged, the champion gives way.

    Raises:
        SlotRefusedError: there is neither candidate nor a champion of its own, or another than was judged.
    """
    candidate, champion = state.record(state.candidate), state.record(state.champion)
    if candidate is not None and judged in (None, candidate.sha256):
        return candidate_out(state, why, at)
    if champion is not None and judged in (None, champion.sha256):
        return champion_back(state, why, at)
    if judged is not None and (candidate is not None or champion is not None):
        raise SlotRefusedError("the bundle that was judged is neither on trial nor champion")
    raise SlotRefusedError("the factory's bundle is champion and nothing is on trial: there is nothing to roll back")


def candidate_out(state: SlotsState, why: str, at: str) -> SlotsState:
    """Throw the candidate out, which must be there."""
    record = _there(state, state.candidate)
    kept = tuple(other for other in state.records if other is not record)
    after = replace(state, trial=None, records=kept, thrown_out=ThrownOut(record, at, why))
    return _noted(after, TransitionKind.THROWN_OUT, record, at, why)


def champion_back(state: SlotsState, why: str, at: str) -> SlotsState:
    """Let the previous bundle or the factory's take the place of the champion, which must not be the factory's.

    A trial begins anew as a shadow: what it showed was shown against another champion.
    """
    record = _there(state, state.champion)
    trial = state.trial
    after = replace(
        state,
        champion=state.previous or SlotName.FACTORY,
        previous=None,
        trial=None if trial is None else Trial(trial.slot, TrialKind.SHADOW, at, 0.0, trial.attempts),
        records=tuple(other for other in state.records if other is not record),
        resets=0,
        probation=False,
        thrown_out=ThrownOut(record, at, why),
    )
    return _noted(after, TransitionKind.ROLLED_BACK, record, at, why)


def started(state: SlotsState, boot: str, at: str) -> SlotsState:
    """Take a start of the daemon: a last run that did not end in order is held against the newest bundle that ran.

    A daemon that died while the kernel lived on was killed, crashed or was shot by its watchdog. Where the kernel is
    new as well, the power may have gone: that is held against a candidate only if the run had not settled.
    """
    last = state.run
    if last is not None:
        state = _blamed(state, last, at, died=last.boot == boot)
    return replace(state, run=Run(boot, settled=False))


def settled(state: SlotsState) -> SlotsState:
    """Take that the run has gone well for long enough."""
    run = None if state.run is None else replace(state.run, settled=True)
    return replace(state, run=run, resets=0, probation=False)


def stopped(state: SlotsState) -> SlotsState:
    """Take that the daemon ends in order: nothing is held against anybody at the next start."""
    return replace(state, run=None)


def lost(state: SlotsState, why: str, at: str) -> SlotsState:
    """Note that the pointer could not be read and was begun anew."""
    nobody = SlotRecord(SlotName.FACTORY, "", "", "", at, (), "")
    return _noted(state, TransitionKind.LOST, nobody, at, why)


def _blamed(state: SlotsState, last: Run, at: str, *, died: bool) -> SlotsState:
    how = "the daemon died" if died else "the machine was reset"
    if state.trial is not None:
        if died or not last.settled or state.trial.attempts >= MAX_EXCUSES:
            return candidate_out(state, f"{how} during its trial", at)
        return replace(state, trial=replace(state.trial, attempts=state.trial.attempts + 1))
    if last.settled:
        return state
    state = replace(state, resets=min(state.resets + 1, MAX_RESETS))
    if state.champion is SlotName.FACTORY or state.resets < (1 if state.probation else MAX_RESETS):
        return state
    times = "before it had settled once" if state.probation else f"{MAX_RESETS} times in a row"
    return champion_back(state, f"{how} {times}", at)


def _there(state: SlotsState, slot: SlotName | None) -> SlotRecord:
    record = state.record(slot)
    if record is None:
        raise SlotRefusedError(f"slot {slot}: is empty")
    return record


def _noted(state: SlotsState, kind: TransitionKind, record: SlotRecord, at: str, why: str) -> SlotsState:
    sequence = state.history[-1].sequence + 1 if state.history else state.journalled + 1
    entry = Transition(sequence, kind, at, record.slot, record.model_id, state.champion, why)
    return replace(state, history=(*state.history, entry)[-MAX_HISTORY:])
