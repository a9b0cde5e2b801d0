"""One visit while it lasts: its observations, chips, key frames and the judge. Floor 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.messages import ChipRead, KeyFrame, Label, Visit

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from edge.messages import Image, Observation, Rules, Verdict
    from edge.policy import VisitJudge

MAX_OBSERVATIONS = 300
"""A longer visit is closed and continued as a new one, so that memory and a spool record stay bounded."""

PREY_WORTH_A_PICTURE = 0.3
PREY_STEP = 0.1


@dataclass(frozen=True, slots=True)
class Provenance:
    """Under which model, runtime and rules a visit is judged."""

    model_id: str
    runtime: str
    config_hash: str
    rules: Rules


def visit_id_of(started: datetime, serial: int) -> str:
    """Return a visit's id, which sorts by time; ``serial`` tells visits apart that begin within one second."""
    return f"{started:%Y%m%dT%H%M%S}-{serial:04d}"


class OpenVisit:
    """A visit that is going on. Times are monotonic nanoseconds; inside the record they count from the start."""

    def __init__(self, started: datetime, started_ns: int, serial: int, judge: VisitJudge) -> None:
        """Begin; ``serial`` as in ``visit_id_of``."""
        self.visit_id = visit_id_of(started, serial)
        self.judge = judge
        self.last_presence_ns = started_ns
        self.flap_opened = False
        self.bolt_ns = 0
        self.obeyed = False  # whether the door has been told of the final verdict
        self.obeyed_blind = False  # whether the door has been told that the visit is let in unseen
        self._started = started
        self._started_ns = started_ns
        self._observations: list[Observation] = []
        self._chips: list[ChipRead] = []
        self._pictures: dict[str, KeyFrame] = {}
        self._strongest_prey = PREY_WORTH_A_PICTURE
        self._decided = False

    def at_ns(self, now_ns: int) -> int:
        """Return a moment as the record counts it."""
        return now_ns - self._started_ns

    @property
    def full(self) -> bool:
        """Whether the visit holds as many observations as one visit may."""
        return len(self._observations) >= MAX_OBSERVATIONS

    def read_chip(self, chip: str, now_ns: int) -> None:
        """Take a chip reading; the same chip read again in one visit is one reading."""
        if any(entry.chip == chip for entry in self._chips):
            return
        at_ns = self.at_ns(now_ns)
        self._chips.append(ChipRead(chip, at_ns))
        self.judge.chip(chip, at_ns)

    def observe(self, observation: Observation, still: Callable[[], Image | None]) -> None:
        """Take one observation; ``still`` is asked for the large picture only where it is kept."""
        self._observations.append(observation)
        self.judge.frame(observation)
        why = self._picture_worth_keeping(observation)
        if why is not None:
            picture = still()
            if picture is not None:
                self._pictures[why] = KeyFrame(why, observation.seq, picture)

    def keep_picture(self, picture: KeyFrame) -> None:
        """Keep a picture of something that happened at the door; the first of each name."""
        self._pictures.setdefault(picture.why, picture)

    def close(self, now_ns: int, provenance: Provenance) -> Visit:
        """End the visit and return its whole record."""
        return Visit(
            visit_id=self.visit_id,
            started=self._started,
            duration_s=self.at_ns(now_ns) / 1e9,
            observations=tuple(self._observations),
            chips=tuple(self._chips),
            rules=provenance.rules,
            verdict=self.judge.verdict(),
            key_frames=tuple(self._pictures.values()),
            bolt_s=self.bolt_ns / 1e9,
            flap_opened=self.flap_opened,
            model_id=provenance.model_id,
            runtime=provenance.runtime,
            config_hash=provenance.config_hash,
            owner_label=None,
        )

    def _picture_worth_keeping(self, observation: Observation) -> str | None:
        if observation.scores is None:
            return "unseen" if "unseen" not in self._pictures and not observation.quality.ok else None
        if self.judge.final is not None and not self._decided:
            self._decided = True
            return "decision"
        prey = observation.scores.of(Label.CAT_PREY)
        if prey >= self._strongest_prey:
            self._strongest_prey = prey + PREY_STEP
            return "strongest_prey"
        return "first" if "first" not in self._pictures else None


def replayed(observations: tuple[Observation, ...], chips: tuple[ChipRead, ...], judge: VisitJudge) -> Verdict:
    """Judge a recorded visit again from its observations and chips, in the order of time.

    A chip read at the same nanosecond as a frame was taken before it, as the loop does.
    """
    waiting = sorted(chips, key=lambda entry: entry.at_ns)
    for observation in observations:
        while waiting and waiting[0].at_ns <= observation.at_ns:
            entry = waiting.pop(0)
            judge.chip(entry.chip, entry.at_ns)
        judge.frame(observation)
    for entry in waiting:
        judge.chip(entry.chip, entry.at_ns)
    return judge.verdict()
