"""What the update service says of what lies in the inbox: one small file, read by whoever pushed it. Floor 2."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ANSWER = "answer.json"
"""Its name, in the inbox."""


class AnswerStatus(StrEnum):
    """What became of a push."""

    ACCEPTED = "accepted"  # there was nothing to do: the flap has this bundle already
    ON_TRIAL = "on_trial"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer. ``timestamp`` is the version of the repository's timestamp it is about, 0 where none was believed.

    ``at`` is the time the update went by: the system's clock, or the latest signed time where that is later.
    """

    status: AnswerStatus
    why: str
    model_id: str = ""
    timestamp: int = 0
    at: str = ""
