"""What ``catflap model list`` and ``show`` say of the slots, as values. Part of floor 4."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.errors import TrustError
from edge.slots.words import SlotName, SlotsState, ThrownOut, Transition, Trial

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from edge.bundle import Bundle
    from edge.slots.store import Slots

CARD = "MODEL_CARD.md"


class Standing(StrEnum):
    """What a slot is for at the moment."""

    CHAMPION = "champion"
    PREVIOUS = "previous"
    ON_TRIAL = "on_trial"
    WAITING = "waiting"  # installed, its trial not begun
    FALLBACK = "fallback"  # the factory's, while others come before it
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One slot.

    Attributes:
        slot: which.
        standing: what it is for.
        running: whether it is the bundle that decides, which is not the champion's where that one is damaged.
        model_id: name, version and hash, as installed; empty where there is none.
        version: of it.
        sha256: of its manifest.
        since: when it was installed, UTC as the flap's clock had it; empty for the factory's, which came with it all.
        key_ids: the keys whose signatures were verified; none for the factory's.
        why: the sender's reason.
        card: its model card; None where there is no bundle.
        complaint: what is wrong with it; None: verified just now.
        trial: its trial, where it is on one.
        figures: the trial's figures, one line each, as the caller gave them for this manifest's hash.
        bundle: the bundle as it was verified for this row.
    """

    slot: SlotName
    standing: Standing
    running: bool
    model_id: str
    version: str
    sha256: str
    since: str
    key_ids: tuple[str, ...]
    why: str
    card: Path | None
    complaint: str | None
    trial: Trial | None
    figures: tuple[str, ...]
    bundle: Bundle | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class SlotsReport:
    """All slots, factory first; ``alarms`` as ``Slots.champion`` raises them, ``history`` oldest first."""

    rows: tuple[SlotRow, ...]
    alarms: tuple[str, ...]
    thrown_out: ThrownOut | None
    history: tuple[Transition, ...]


def slots_report(slots: Slots, figures: Mapping[str, tuple[str, ...]] | None = None) -> SlotsReport:
    """Look into every slot and say what is there; nothing is changed.

    Args:
        slots: which.
        figures: the figures of trials, by the SHA-256 of the candidate's manifest.

    Raises:
        OSError: the pointer cannot be read.
    """
    state, champion = slots.state(), slots.champion()
    rows = tuple(_row(slots, state, slot, champion.slot, figures or {}) for slot in SlotName)
    return SlotsReport(rows, champion.alarms, state.thrown_out, state.history)


def _row(
    slots: Slots, state: SlotsState, slot: SlotName, running: SlotName | None, figures: Mapping[str, tuple[str, ...]]
) -> SlotRow:
    record, standing = state.record(slot), _standing(state, slot)
    bundle, complaint = _looked_at(slots, slot) if standing is not Standing.EMPTY else (None, None)
    said = (record.model_id, record.version, record.sha256) if record is not None else _of(bundle)
    return SlotRow(
        slot,
        standing,
        slot is running,
        *said,
        since=record.since if record is not None else "",
        key_ids=record.key_ids if record is not None else (),
        why=record.why if record is not None else "",
        card=slots.bundle_directory(slot) / CARD if bundle is not None else None,
        complaint=complaint,
        trial=state.trial if standing is Standing.ON_TRIAL else None,
        figures=figures.get(said[2], ()),
        bundle=bundle,
    )


def _standing(state: SlotsState, slot: SlotName) -> Standing:
    if slot is state.champion:
        return Standing.CHAMPION
    if slot is state.previous:
        return Standing.PREVIOUS
    if slot is SlotName.FACTORY:
        return Standing.FALLBACK
    if slot is state.candidate:
        return Standing.ON_TRIAL if state.trial is not None else Standing.WAITING
    return Standing.EMPTY


def _of(bundle: Bundle | None) -> tuple[str, str, str]:
    return ("", "", "") if bundle is None else (bundle.model_id, bundle.manifest.version, bundle.manifest_sha256)


def _looked_at(slots: Slots, slot: SlotName) -> tuple[Bundle | None, str | None]:
    try:
        return slots.verified(slot), None
    except (TrustError, OSError) as error:
        return None, str(error)
