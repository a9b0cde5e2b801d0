"""The data layer's bounded, durable buffer of visits worth a label. Floor 3."""

from edge.spool.store import Spool
from edge.spool.words import Counts, Dropped, Entry, Outcome, Reason, Stored

__all__ = ["Counts", "Dropped", "Entry", "Outcome", "Reason", "Spool", "Stored"]
