"""The words of the house: frozen values that pass between floors. Floor 0: imports nothing of the house.

Units are in the names: ``_ns`` monotonic nanoseconds, ``_s`` seconds, ``_px`` pixels. All images are uint8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from datetime import datetime

Grey: TypeAlias = npt.NDArray[np.uint8]
"""A grey picture, shape (height, width), uint8."""

Image: TypeAlias = npt.NDArray[np.uint8]
"""A picture for people: (height, width) grey or (height, width, 3) blue-green-red, uint8."""


class Label(StrEnum):
    """What the model can say of one patch. The order is fixed; the manifest repeats it."""

    EMPTY = "empty"
    CAT_HIDDEN = "cat_hidden"
    CAT_CLEAR = "cat_clear"
    CAT_PREY = "cat_prey"
    OTHER_ANIMAL = "other_animal"
    PERSON = "person"


LABELS: tuple[Label, ...] = tuple(Label)
_PLACE = {label: place for place, label in enumerate(LABELS)}


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in a grey picture, in pixels; ``x``, ``y`` is its upper left corner."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture as the camera port gives it: the newest there is.

    ``seq`` counts the frames of this opening of the camera; ``captured_ns`` is on the port's monotonic clock.
    """

    seq: int
    captured_ns: int
    grey: Grey


class MotionWhy(StrEnum):
    """Why the gate is open or shut."""

    LEARNING = "learning"  # the background is still being learnt
    STILL = "still"
    LAMP = "lamp"  # the whole picture changed with the lamp or the light
    SPECKS = "specks"  # rain, insects, noise: too small or too short
    MOVING = "moving"


@dataclass(frozen=True, slots=True)
class Motion:
    """The gate's answer for one frame: is anything there, and where. ``box`` is None while the gate is shut."""

    present: bool
    why: MotionWhy
    box: Box | None
    area_fraction: float  # of the picture that differs from the background, 0..1


class QualityWhy(StrEnum):
    """Why a frame is evidence or is not."""

    OK = "ok"
    DARK = "dark"
    BLOWN = "blown"
    BLURRED = "blurred"
    FROZEN = "frozen"
    MOVED = "moved"  # the camera, not the cat
    LATE = "late"  # no new frame came in time for this tick
    LOST = "lost"  # there is no camera: it hangs or is gone
    FAILED = "failed"  # the frame is good, the model's runtime failed on it


@dataclass(frozen=True, slots=True)
class Quality:
    """Whether one frame may be believed. ``mean`` and ``contrast`` are grey levels, ``sharpness`` has no unit."""

    ok: bool
    why: QualityWhy
    mean: float
    contrast: float
    sharpness: float


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The model's exact input before the sign flip: uint8, (recipe height, recipe width); ``box`` is its crop."""

    pixels: Grey
    box: Box


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities in the order of ``LABELS`` (they sum to 1) and the unit-length embedding."""

    probabilities: tuple[float, ...]
    embedding: tuple[float, ...]

    def of(self, label: Label) -> float:
        """Return the probability of one label, 0..1."""
        return self.probabilities[_PLACE[label]]

    @property
    def cat(self) -> float:
        """The probability that it is a cat, whatever its mouth, 0..1."""
        return math.fsum(self.of(label) for label in (Label.CAT_HIDDEN, Label.CAT_CLEAR, Label.CAT_PREY))

    def top(self) -> Label:
        """Return the most probable label."""
        return LABELS[self.probabilities.index(max(self.probabilities))]


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One watched frame of a visit. ``at_ns`` counts from the visit's first frame.

    ``patch`` and ``scores`` are None for a frame that is no evidence: ``quality.why`` says why. ``likeness`` is, for
    each listed resident in their order, the log-likelihood ratio of this frame's embedding between that resident and a
    stranger; empty where the camera knows nobody. ``second`` is what a second model said of the same patch, where one
    watches over the first (``Rules.second``).
    """

    seq: int
    at_ns: int
    motion: Motion
    quality: Quality
    patch: Patch | None
    scores: Scores | None
    likeness: tuple[float, ...] = ()
    second: Scores | None = None


class VerdictKind(StrEnum):
    """What a visit came to."""

    ADMIT = "admit"
    REFUSE_PREY = "refuse_prey"
    REFUSE_STRANGER = "refuse_stranger"
    REFUSE_OTHER = "refuse_other"
    UNSURE = "unsure"
    BLIND = "blind"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A judgement over a visit so far, with its reason.

    ``at_ns`` counts from the visit's first frame; ``evidence_frames`` is how many frames were believed by then;
    ``clean_llr`` and ``prey_llr`` are the two accumulated log-likelihood ratios (natural logarithm).
    """

    kind: VerdictKind
    because: str
    resident: str | None
    at_ns: int
    evidence_frames: int
    clean_llr: float
    prey_llr: float


class Mode(StrEnum):
    """The four modes of a pet door, as far as a door can have them whose exit is always free."""

    IN_AND_OUT = "in_and_out"
    IN_ONLY = "in_only"  # entry as in in_and_out; whoever goes out all the same is noted
    OUT_ONLY = "out_only"  # nobody in
    LOCKED = "locked"  # nobody in, and whoever goes out all the same is noted


class CommandKind(StrEnum):
    """What the owner can say to the running daemon."""

    STATUS = "status"
    UNLOCK = "unlock"  # open once, now, as the button does
    LOCK = "lock"  # the panic lock: nobody comes in until it is lifted
    UNLOCK_PANIC = "unlock_panic"  # lift it
    MODE = "mode"
    LET_IN = "let_in"  # let one cat in, once, whatever the rules say of the hour
    CLEAR = "clear"  # clear the latched fault
    PROMOTE = "promote"  # make the model on trial the champion
    ROLLBACK = "rollback"  # end the trial, or, without one, go back to the model before
    LABEL = "label"  # what a finished visit was, by somebody who knows


LET_IN_LOW_S = 10.0
LET_IN_USUAL_S = 300.0
LET_IN_HIGH_S = 3600.0
"""How long a "let him in now" waits for its cat: at least, when nothing is said, and at most."""


@dataclass(frozen=True, slots=True)
class Command:
    """The owner's word, checked.

    ``mode`` belongs to MODE and is None otherwise; ``cat`` (empty: no name was given) and ``for_s`` (how long it
    waits for the cat, LET_IN_LOW_S..LET_IN_HIGH_S) belong to LET_IN; ``visit`` and ``label`` belong to LABEL.
    """

    kind: CommandKind
    mode: Mode | None = None
    cat: str = ""
    for_s: float = 0.0
    visit: str = ""
    label: Label | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A command and who is to hear its reply: ``client`` is a number of the control's own. Equal only to itself."""

    client: int
    command: Command


@dataclass(frozen=True, slots=True)
class Status:
    """How the door is.

    ``door`` is the word of its state and ``coil_refusal`` that of the coil's last refusal. ``fault`` and
    ``camera_lost`` say why, ``drift`` what is no longer as the model was made for. None: nothing to say. ``heat_share``
    is the coil's heat as a share of its budget, 0..1.
    """

    door: str
    mode: Mode
    panic: bool
    fault: str | None
    coil_refusal: str | None
    heat_share: float
    camera_lost: str | None
    model_id: str
    last_verdict: Verdict | None
    drift: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What became of a command: done or refused, one line for people, and the status where it was asked for."""

    ok: bool
    says: str
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class ChipRead:
    """One reading of a transponder, ISO 11784: 15 digits, country code first. ``at_ns`` as in Observation."""

    chip: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class BootMoment:
    """A moment on a clock that nobody can set: nanoseconds since the kernel's boot, and the name of that boot.

    Moments of two boots cannot be compared. An empty ``boot_id`` is a boot whose name is not known: never the same as
    another.
    """

    boot_id: str
    since_ns: int


class BoltAction(StrEnum):
    """What the coil is asked to do. Rest is the state without power; the lock's kind says what that means."""

    REST = "rest"
    ENERGISE = "energise"


@dataclass(frozen=True, slots=True)
class FlapCommand:
    """A command to the coil. Anything but rest is a lease: unless renewed within ``lease_s`` the coil rests."""

    action: BoltAction
    lease_s: float


REST = FlapCommand(BoltAction.REST, 0.0)


@dataclass(frozen=True, slots=True)
class SensorReading:
    """The pins as they are now. None: no such sensor is configured."""

    pir: bool | None
    flap_open: bool | None
    button: bool | None
    bolt_drawn: bool | None = None  # whether the bolt itself says that it is drawn back


ALARMS = ("bolt_fault", "forced_entry", "tailgating")
"""Journal events at the door that come with a picture; its key frame bears the same name."""


@dataclass(frozen=True, slots=True, eq=False)
class KeyFrame:
    """A picture for people. ``why`` names the moment: first, decision, strongest_prey, unseen, or one of ``ALARMS``."""

    why: str
    seq: int
    image: Image


@dataclass(frozen=True, slots=True)
class EvidenceSettings:
    """What the model's maker says about turning its scores into evidence; travels in the signed manifest.

    ``priors`` are the class shares the calibration was fitted on, in the order of ``LABELS``: dividing them out turns
    a posterior into a likelihood ratio. One frame adds at most ``llr_cap`` to the case for a clean cat and at most
    ``prey_llr_cap`` to the case for prey. A frame that looks like the one before it counts less: its weight is the mean
    absolute difference of the two patches divided by ``discount_scale`` grey levels, kept within ``discount_floor``..1.
    Fewer than ``min_frames`` frames of evidence never open the door.
    """

    priors: tuple[float, ...]
    llr_cap: float
    prey_llr_cap: float
    discount_floor: float
    discount_scale: float
    min_frames: int


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured figure with its 95 % interval; ``count`` is the number of pictures or visits behind it."""

    name: str
    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """The thresholds of the sequential test, natural logarithms.

    Source: Wald, "Sequential Tests of Statistical Hypotheses", 1945.
    """

    admit: float
    refuse: float
    prey: float


class Needs(StrEnum):
    """By what a resident must be known before it is let in."""

    CHIP = "chip"
    CAMERA = "camera"
    EITHER = "either"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Resident:
    """A cat that lives here. ``chip`` is empty where none is listed; without ``prey_check`` its prey is let in."""

    name: str
    chip: str
    needs: Needs
    prey_check: bool


@dataclass(frozen=True, slots=True)
class Residents:
    """Who is ours: the listed cats; ``any_cat`` takes every cat for ours and needs neither chip nor likeness."""

    cats: tuple[Resident, ...]
    any_cat: bool

    def name_of(self, chip: str) -> str | None:
        """Return the resident that carries this chip, or None for a chip nobody listed."""
        return next((cat.name for cat in self.cats if cat.chip == chip), None)


@dataclass(frozen=True, slots=True)
class Rules:
    """Everything a visit is judged by: the model's settings, the owner's bounds, who is ours, when it is blind.

    ``second`` are the settings of a second model whose case for prey refuses as well, None where there is none: a
    challenger's visit is judged so, with the champion for the second, and can only be stricter on prey.
    """

    evidence: EvidenceSettings
    bounds: Bounds
    residents: Residents
    blind_after_s: float
    second: EvidenceSettings | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """A finished visit: everything the record is made of.

    ``visit_id`` sorts by time; ``started`` is wall time in UTC; ``bolt_s`` is how long the bolt was open for it;
    ``rules``, ``config_hash`` and ``model_id`` say by what it was judged, so that it can be judged again.
    """

    visit_id: str
    started: datetime
    duration_s: float
    observations: tuple[Observation, ...]
    chips: tuple[ChipRead, ...]
    rules: Rules
    verdict: Verdict
    key_frames: tuple[KeyFrame, ...]
    bolt_s: float
    flap_opened: bool
    model_id: str
    runtime: str
    config_hash: str
    owner_label: Label | None

    def top_label(self) -> Label | None:
        """Return the label with the greatest summed probability over the frames of evidence; None without evidence."""
        seen = [entry.scores.probabilities for entry in self.observations if entry.scores is not None]
        sums = [math.fsum(column) for column in zip(*seen, strict=True)]
        return LABELS[sums.index(max(sums))] if sums else None
