"""Which model decides, which is tried, and which takes over: two slots to fill, the factory's below both. Floor 4."""

from edge.slots.moves import MAX_EXCUSES, MAX_RESETS, rank
from edge.slots.report import SlotRow, SlotsReport, Standing, slots_report
from edge.slots.shelf import POINTER
from edge.slots.store import MODELS, Slots
from edge.slots.words import (
    Champion,
    Run,
    SlotName,
    SlotRecord,
    SlotRefusedError,
    SlotsState,
    Start,
    ThrownOut,
    Transition,
    TransitionKind,
    Trial,
    TrialKind,
)

__all__ = [
    "MAX_EXCUSES", "MAX_RESETS", "MODELS", "POINTER", "Champion", "Run", "SlotName", "SlotRecord", "SlotRefusedError",
    "SlotRow", "Slots", "SlotsReport", "SlotsState", "Standing", "Start", "ThrownOut", "Transition", "TransitionKind",
    "Trial", "TrialKind", "rank", "slots_report",
]  # fmt: skip
