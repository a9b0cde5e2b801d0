"""Evidence over a visit: a sequential probability ratio test with the owner's two budgets. Floor 2.

Pure: the same observations and chip readings, in the same order, give the same verdict bit for bit. That is what
``catflap replay`` rests on.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

import cv2

from edge.messages import (
    LABELS,
    Bounds,
    EvidenceSettings,
    Label,
    Observation,
    Patch,
    QualityWhy,
    Rules,
    Scores,
    Verdict,
    VerdictKind,
)

PREY_FRAMES = 3
"""The case for prey is the sum over this many of its strongest frames: enough that one false frame does not lock a cat
out, few enough that clean frames before or after change nothing."""

_TINY = 1e-6  # likelihood shares are kept this far from 0, so that one frame stays one frame


@dataclass(frozen=True, slots=True)
class Budgets:
    """The owner's two error budgets, probabilities per visit."""

    prey_let_in: float
    resident_refused: float


def wald_bounds(budgets: Budgets) -> Bounds:
    """Return Wald's bounds: admit at log((1-b)/a), give up at log(b/(1-a)), call it prey at log((1-a)/b)."""
    wrong, missed = budgets.prey_let_in, budgets.resident_refused
    return Bounds(
        admit=math.log((1 - missed) / wrong),
        refuse=math.log(missed / (1 - wrong)),
        prey=math.log((1 - wrong) / missed),
    )


def blind_admits(on_blind: str, resident: str | None) -> bool:
    """Return whether a visit that cannot be seen is let in, by the owner's choice ``shut``, ``open`` or ``chip``."""
    return on_blind == "open" or (on_blind == "chip" and resident is not None)


def likelihood_shares(scores: Scores, priors: tuple[float, ...]) -> tuple[float, ...]:
    """Return how well each label explains the frame, in the order of ``LABELS``; the shares sum to 1.

    A posterior holds the class shares its calibration was fitted on. Divided by them and brought back to a sum of 1
    it is what the model would say had every label been as common, so that a calibration fitted on other shares
    judges alike (Saerens, Latinne and Decaestecker, "Adjusting the Outputs of a Classifier to New a Priori
    Probabilities", Neural Computation 2002).
    """
    relative = [probability / prior for probability, prior in zip(scores.probabilities, priors, strict=True)]
    total = math.fsum(relative)
    return tuple(value / total for value in relative)


def frame_llrs(scores: Scores, settings: EvidenceSettings) -> tuple[float, float]:
    """Return the log-likelihood ratios one frame adds for *clean cat* and for *prey*, before discount.

    The case for a clean cat is clear mouth against everything that is not a cat with a hidden mouth; a hidden mouth
    says nothing either way, so the frame's weight is what is left of it. The case for prey is prey against clear mouth.
    """
    return _llrs(likelihood_shares(scores, settings.priors), settings)


def _llrs(shares: tuple[float, ...], settings: EvidenceSettings) -> tuple[float, float]:
    empty, hidden, clear, carried, animal, person = (max(share, _TINY) for share in shares)
    clean = (1.0 - hidden) * math.log(clear / ((empty + carried + animal + person) / 4))
    prey = (carried + clear) * math.log(carried / clear)
    return (
        min(max(clean, -settings.llr_cap), settings.llr_cap),
        min(max(prey, 0.0), settings.prey_llr_cap),
    )


def novelty(patch: Patch, before: Patch | None, settings: EvidenceSettings) -> float:
    """Return the weight of a frame, ``discount_floor``..1: how much it differs from the one before it."""
    if before is None:
        return 1.0
    difference = cv2.norm(patch.pixels, before.pixels, cv2.NORM_L1) / patch.pixels.size
    return min(max(difference / settings.discount_scale, settings.discount_floor), 1.0)


class VisitJudge:
    """The test over one visit. Feed it in order; ask for the verdict so far, or for the last word.

    ADMIT and REFUSE_PREY are final: once reached within a visit nothing changes them. The other verdicts stand
    until better evidence comes. The case for a clean cat never sinks below the refusing bound, so that a leaf
    before the cat does not lock it out (a one-sided cumulative sum; Page, "Continuous Inspection Schemes", 1954).
    """

    def __init__(self, rules: Rules) -> None:
        """Start a visit with no evidence."""
        self._settings = rules.evidence
        self._bounds = rules.bounds
        self._residents = rules.residents
        self._blind_after_ns = round(rules.blind_after_s * 1e9)
        self._seen_ns = 0
        self._lost = False
        self._clean = 0.0
        self._prey: list[float] = []
        self._sums = [0.0] * len(Label)
        self._frames = 0
        self._before: Patch | None = None
        self._resident: str | None = None
        self._strange_chip: str | None = None
        self._at_ns = 0
        self._final: Verdict | None = None

    @property
    def final(self) -> Verdict | None:
        """The verdict that nothing in this visit changes any more, or None."""
        return self._final

    @property
    def blind(self) -> bool:
        """Whether the visit cannot be seen now: the camera is lost, or no frame was evidence for too long."""
        return self._lost or self._at_ns - self._seen_ns >= self._blind_after_ns

    @property
    def resident(self) -> str | None:
        """The resident whose chip was read in this visit, or None."""
        return self._resident

    @property
    def evidence_frames(self) -> int:
        """How many frames were believed so far."""
        return self._frames

    def chip(self, chip: str, at_ns: int) -> None:
        """Take a chip reading. A listed chip names the resident; an unlisted one is remembered as a stranger's."""
        name = self._residents.name_of(chip)
        if name is None:
            self._strange_chip = chip
        else:
            self._resident = self._resident or name
        self._at_ns = max(self._at_ns, at_ns)
        self._decide()

    def frame(self, observation: Observation) -> None:
        """Take one observation; one without scores is no evidence and only moves the time."""
        self._at_ns = max(self._at_ns, observation.at_ns)
        self._lost = observation.quality.why is QualityWhy.LOST
        if observation.scores is not None and observation.patch is not None:
            self._seen_ns = self._at_ns
            self._weigh(observation.scores, observation.patch)
        self._decide()

    def verdict(self) -> Verdict:
        """Return the verdict as it stands."""
        return self._final or self._standing()

    def _weigh(self, scores: Scores, patch: Patch) -> None:
        shares = likelihood_shares(scores, self._settings.priors)
        clean, prey = _llrs(shares, self._settings)
        weight = novelty(patch, self._before, self._settings)
        self._before = patch
        self._frames += 1
        self._clean = max(self._clean + weight * clean, self._bounds.refuse)
        for index, share in enumerate(shares):
            self._sums[index] += share
        if prey > 0.0:
            self._keep_prey(weight * prey)

    def _keep_prey(self, evidence: float) -> None:
        heapq.heappush(self._prey, evidence)
        if len(self._prey) > PREY_FRAMES:
            heapq.heappop(self._prey)

    def _prey_llr(self) -> float:
        return math.fsum(self._prey)

    def _decide(self) -> None:
        if self._final is not None:
            return
        if self._prey_llr() >= self._bounds.prey:
            self._final = self._say(VerdictKind.REFUSE_PREY, "prey in the mouth on the strongest frames")
        elif self._may_enter():
            self._final = self._say(VerdictKind.ADMIT, "empty mouth seen, " + self._who())

    def _may_enter(self) -> bool:
        enough = self._frames >= self._settings.min_frames and self._clean >= self._bounds.admit
        # Half-proven prey blocks admission: the clean case must outweigh it by the whole admitting bound.
        outweighed = self._clean - self._prey_llr() >= self._bounds.admit
        return enough and outweighed and self._known()

    def _known(self) -> bool:
        return self._residents.any_cat or self._resident is not None

    def _who(self) -> str:
        return f"chip of {self._resident}" if self._resident else "every cat counts as ours"

    def _standing(self) -> Verdict:
        if self._frames == 0 or self.blind:
            return self._say(VerdictKind.BLIND, "the camera was lost" if self._lost else "no frame was evidence")
        if self._clean >= self._bounds.admit and not self._known():
            return self._say(VerdictKind.REFUSE_STRANGER, self._stranger())
        if self._clean <= self._bounds.refuse:
            return self._refusal()
        return self._say(VerdictKind.UNSURE, "the evidence stayed between the bounds")

    def _stranger(self) -> str:
        return "a chip that is not listed" if self._strange_chip else "a cat, but no chip was read"

    def _refusal(self) -> Verdict:
        label = LABELS[self._sums.index(max(self._sums))]
        if label in (Label.CAT_HIDDEN, Label.CAT_CLEAR, Label.CAT_PREY):
            return self._say(VerdictKind.UNSURE, "a cat, but its mouth was never seen empty")
        what = {Label.EMPTY: "nothing that lives", Label.PERSON: "a person"}.get(label, "another animal")
        return self._say(VerdictKind.REFUSE_OTHER, what)

    def _say(self, kind: VerdictKind, because: str) -> Verdict:
        return Verdict(
            kind=kind,
            because=because,
            resident=self._resident,
            at_ns=self._at_ns,
            evidence_frames=self._frames,
            clean_llr=self._clean,
            prey_llr=self._prey_llr(),
        )
