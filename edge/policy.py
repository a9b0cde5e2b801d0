"""Evidence over a visit: a sequential probability ratio test with the owner's two budgets. Floor 2.

Pure: the same observations and chip readings, in the same order, give the same verdict bit for bit. That is what
``catflap replay`` rests on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2

from edge.messages import (
    LABELS,
    Bounds,
    EvidenceSettings,
    Label,
    Needs,
    Observation,
    Patch,
    QualityWhy,
    Resident,
    Rules,
    Scores,
    Verdict,
    VerdictKind,
)

PREY_FADE = 0.75
"""Most that one new look at an empty mouth takes from the case for prey, a natural logarithm.

Prey sticks out of the mouth in some frames and not in others, so an empty mouth says little against prey just seen;
but where nothing is ever forgotten, a long visit of a harmless cat must end as prey. With 0.75, and one frame adding at
most 2, the exponential of what a frame adds has a mean of at most 1 over clean frames, for scores that are normal with
equal spread, however far apart: what Ville's inequality asks for.
"""

NOISE_GREY = 3.0
"""Mean absolute difference, in grey levels, of two patches of a scene that stands still: noise alone, at night. The
lowest twentieth of consecutive frames of cats lies near it, in the simulated world and in the tunnel."""

CHIP_LLR = 16 * math.log(2)
"""What a chip's number is worth: its telegram carries a checksum of 16 bits (ISO 11784/11785, FDX-B)."""

LIKENESS_FRAMES = 3
"""Frames of full weight after which a visit's mean likeness is believed as it is; fewer say less in proportion."""

_CAT_SHARE = 0.5  # a frame with less probability of a cat says nothing about whose it is
_PREY_SEEN = "prey in the mouth on the strongest frames"

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

    The case for a clean cat is a clear mouth against the best of what is neither that nor a hidden mouth: against the
    best, because the budget holds for prey and for a hand each by itself, and their mean would flatter the one that is
    there by what the others lack (as in Wasserman, Ramdas and Balakrishnan, "Universal Inference", 2020). A hidden
    mouth says nothing either way, so the frame's weight is what is left of it. The case for prey is prey against clear
    mouth; a frame takes at most ``PREY_FADE`` from it.
    """
    return _llrs(likelihood_shares(scores, settings.priors), settings)


def _llrs(shares: tuple[float, ...], settings: EvidenceSettings) -> tuple[float, float]:
    empty, hidden, clear, carried, animal, person = (max(share, _TINY) for share in shares)
    clean = (1.0 - hidden) * math.log(clear / max(empty, carried, animal, person))
    prey = (carried + clear) * math.log(carried / clear)
    return (
        min(max(clean, -settings.llr_cap), settings.llr_cap),
        min(max(prey, -PREY_FADE), settings.prey_llr_cap),
    )


def novelty(patch: Patch, before: Patch | None, settings: EvidenceSettings) -> float:
    """Return the weight of a frame, ``discount_floor``..1: how much it differs from the one before it.

    Two looks that have nothing to do with each other differ by ``discount_scale`` grey levels, and what changes little
    by little differs by that times the root of 1 - r, r being the correlation of one frame with the next; the camera's
    noise comes on top, as the squares add up. A long run of frames so correlated says as much as the share
    (1 - r) / (1 + r) of it would if its frames were independent (Bartlett, "Some Aspects of the Time-Correlation
    Problem", Journal of the Royal Statistical Society, 1935).
    """
    if before is None:
        return 1.0
    difference = cv2.norm(patch.pixels, before.pixels, cv2.NORM_L1) / patch.pixels.size
    apart = min(max(difference**2 - NOISE_GREY**2, 0.0) / settings.discount_scale**2, 1.0)  # 1 - r
    return max(apart / (2.0 - apart), settings.discount_floor)


def _spending(index: int) -> float:
    """Return the logarithm of the share of an error budget that the ``index``-th try may spend; all shares sum to 1.

    A budget is of the whole visit and the test is tried more than once in it: shares of 1/2, 1/6, 1/12 … keep the
    sum within the budget however many tries there are.
    """
    return -math.log(index * (index + 1))


class VisitJudge:
    """The test over one visit. Feed it in order; ask for the verdict so far, or for the last word.

    ADMIT and REFUSE_PREY are final: once reached within a visit nothing changes them. The other verdicts stand
    until better evidence comes. Both cases are cumulative sums that begin anew (Page, "Continuous Inspection Schemes",
    1954), so that a leaf before the cat does not lock it out and clean frames before the prey do not weigh against
    it. Whatever begins anew is tried again, so each try has but a share of the budget (``_spending``):

    - The case for a clean cat may begin with every frame. One that begins with the n-th begins so much lower, which
      makes the sum the logarithm of a part of a mixture over all beginnings, and a wrong admission in the whole visit
      as rare as the budget asks (Ville's inequality; Shin, Ramdas and Rinaldo, "E-detectors", 2022).
    - The case for prey begins with a frame that looks like prey and ends when it has faded to nothing. What it must
      reach rises with the number of beginnings, never with the number of clean frames.

    Where the rules name a second model, its case for prey is kept beside the first's: either proves it, and admission
    must outweigh both. The second model can only refuse.
    """

    def __init__(self, rules: Rules) -> None:
        """Start a visit with no evidence."""
        self._settings = rules.evidence
        self._bounds = rules.bounds
        self._residents = rules.residents
        self._blind_after_ns = round(rules.blind_after_s * 1e9)
        self._seen_ns = 0
        self._lost = False
        self._clean = _spending(1)
        self._prey = _PreyCase(rules.bounds.prey)
        self._second = rules.second
        self._second_prey = _PreyCase(rules.bounds.prey)
        self._sums = [0.0] * len(Label)
        self._frames = 0
        self._before: Patch | None = None
        self._resident: str | None = None
        self._recognition = Recognition(rules)
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
        self._resident = self._resident or self._residents.name_of(chip)
        self._recognition.chip(chip)
        self._at_ns = max(self._at_ns, at_ns)
        self._decide()

    def frame(self, observation: Observation) -> None:
        """Take one observation; one without scores is no evidence and only moves the time."""
        self._at_ns = max(self._at_ns, observation.at_ns)
        self._lost = observation.quality.why is QualityWhy.LOST
        if observation.scores is not None and observation.patch is not None:
            self._seen_ns = self._at_ns
            weight = novelty(observation.patch, self._before, self._settings)
            self._before = observation.patch
            shares = likelihood_shares(observation.scores, self._settings.priors)
            self._recognition.frame(shares, observation.likeness, weight)
            self._weigh(shares, weight)
            if observation.second is not None and self._second is not None:
                self._second_prey.add(weight * frame_llrs(observation.second, self._second)[1])
        self._decide()

    def verdict(self) -> Verdict:
        """Return the verdict as it stands."""
        return self._final or self._standing()

    def _weigh(self, shares: tuple[float, ...], weight: float) -> None:
        clean, prey = _llrs(shares, self._settings)
        self._frames += 1
        self._clean = max(self._clean, _spending(self._frames)) + weight * clean
        self._prey.add(weight * prey)
        for index, share in enumerate(shares):
            self._sums[index] += share

    @property
    def _proven(self) -> bool:
        return self._prey.proven or self._second_prey.proven

    @property
    def _most_prey(self) -> float:
        return max(self._prey.most, self._second_prey.most)

    def _decide(self) -> None:
        if self._final is not None:
            return
        if self._recognition.excused and self._recognition.cat_llr >= self._bounds.admit:
            if self._frames >= self._settings.min_frames:
                self._final = self._say(VerdictKind.ADMIT, f"a cat, {self._who()}; its prey is not checked")
        elif self._proven and (self.blind or not self._recognition.may_be_excused):
            self._final = self._say(VerdictKind.REFUSE_PREY, _PREY_SEEN)
        elif self._may_enter():
            self._final = self._say(VerdictKind.ADMIT, "empty mouth seen, " + self._who())

    def _may_enter(self) -> bool:
        enough = self._frames >= self._settings.min_frames and self._clean >= self._bounds.admit
        # Half-proven prey blocks admission, and fading does not lift that: the clean case must outweigh the strongest
        # case for prey there was in this visit by the whole admitting bound.
        outweighed = self._clean - self._most_prey >= self._bounds.admit
        return enough and outweighed and self._known()

    def _known(self) -> bool:
        return self._residents.any_cat or self._recognition.known is not None

    def _who(self) -> str:
        known = self._recognition.known
        return self._recognition.how(known) if known else "every cat counts as ours"

    def _standing(self) -> Verdict:
        if self._frames == 0 or self.blind:
            return self._say(VerdictKind.BLIND, "the camera was lost" if self._lost else "no frame was evidence")
        if self._proven:
            return self._say(VerdictKind.REFUSE_PREY, f"{_PREY_SEEN}, and nobody known who may bring it in")
        if self._clean >= self._bounds.admit and not self._known():
            return self._say(VerdictKind.REFUSE_STRANGER, self._recognition.stranger())
        if self._clean <= self._bounds.refuse:
            return self._refusal()
        return self._say(VerdictKind.UNSURE, "the evidence stayed between the bounds")

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
            resident=self._recognition.named,
            at_ns=self._at_ns,
            evidence_frames=self._frames,
            clean_llr=self._clean,
            prey_llr=self._most_prey,
        )


class _PreyCase:
    """One model's case for prey in a visit; ``VisitJudge`` says how it is tried."""

    def __init__(self, bound: float) -> None:
        self._bound = bound
        self._sum = 0.0
        self._tries = 0
        self.most = 0.0
        self.proven = False  # once proven it stays so, also while it is open whether this cat may bring it in

    def add(self, evidence: float) -> None:
        if self._sum == 0.0 and evidence > 0.0:
            self._tries += 1
        self._sum = max(self._sum + evidence, 0.0)
        self.most = max(self.most, self._sum)
        self.proven = self.proven or (self._tries > 0 and self._sum + _spending(self._tries) >= self._bound)


class Recognition:
    """Whose visit it is: chips and likenesses of one visit, fused as log-likelihood ratios against *a stranger*.

    A chip is worth ``CHIP_LLR`` for the cat that carries it and as much against every other cat while its own was not
    read. The camera's word is the mean over the frames that show a cat, discounted for alikeness, and never worth more
    than a chip: a stranger's chip outweighs any likeness. Nobody is known by default.
    """

    def __init__(self, rules: Rules) -> None:
        """Start with nobody known."""
        self._cats = rules.residents.cats
        self._any_cat = rules.residents.any_cat
        self._llr_cap = rules.evidence.llr_cap
        self._by_chip = rules.bounds.admit
        # Each cat that may be known by its looks is one more chance for a stranger to look like one (Bonferroni).
        looked_for = sum(cat.needs is not Needs.CHIP for cat in self._cats)
        self._by_camera = rules.bounds.admit + math.log(max(looked_for, 1))
        self._refuse = rules.bounds.refuse
        self._chips: list[str] = []
        self._likeness = [0.0] * len(self._cats)
        self._weight = 0.0
        self.cat_llr = 0.0  # the case for a cat of any mouth against everything that is none

    def chip(self, chip: str) -> None:
        """Take a chip reading."""
        self._chips.append(chip)

    def frame(self, shares: tuple[float, ...], likeness: tuple[float, ...], weight: float) -> None:
        """Take one believed frame's ``likelihood_shares``; ``likeness`` is in the residents' order, or empty."""
        _empty, hidden, clear, carried, _animal, _person = shares
        cat = hidden + clear + carried
        self.cat_llr = max(self.cat_llr + weight * _cat_llr(cat, self._llr_cap), self._refuse)
        if cat <= _CAT_SHARE or not likeness:
            return
        self._weight += weight
        self._likeness = [old + weight * new for old, new in zip(self._likeness, likeness, strict=True)]

    @property
    def known(self) -> Resident | None:
        """The resident that is known by what it needs, or None. Of several the best known, then the first read."""
        known = [cat for cat in self._cats if self._is_known(cat)]
        return max(known, key=lambda cat: (self._fused(cat), -self._turn(cat)), default=None)

    @property
    def named(self) -> str | None:
        """Who is known, or else whose chip was read though that is not all it needs, or None."""
        cat = self.known or self._carrier()
        return None if cat is None else cat.name

    @property
    def excused(self) -> bool:
        """Whether everyone who is known here may bring prey in."""
        known = [cat for cat in self._cats if self._is_known(cat)]
        return bool(known) and not any(cat.prey_check for cat in known)

    @property
    def may_be_excused(self) -> bool:
        """Whether nobody is known yet and somebody who may bring prey in could still be."""
        return not self._any_cat and self.known is None and not all(cat.prey_check for cat in self._cats)

    def how(self, cat: Resident) -> str:
        """Return by what a known resident is known, in words."""
        by_chip, by_camera = self._chip_llr(cat) > 0, self._camera_llr(cat) >= self._by_camera
        words = {(True, True): "chip and likeness", (True, False): "chip", (False, True): "likeness"}
        return f"{words.get((by_chip, by_camera), 'chip and likeness')} of {cat.name}"

    def stranger(self) -> str:
        """Return why nobody is known, in words."""
        carrier = self._carrier()
        if carrier is not None:
            return f"chip of {carrier.name}, but it needs {carrier.needs} and the camera does not know it"
        alike = next((cat for cat in self._cats if self._camera_llr(cat) >= self._by_camera), None)
        if self._chips:
            return "a chip that is not listed" + (f" outweighs the likeness to {alike.name}" if alike else "")
        if alike is not None:
            return f"it looks like {alike.name}, but no chip was read and it needs {alike.needs}"
        return "a cat, but no chip was read" + (", and it looks like none of ours" if self._weight else "")

    def _carrier(self) -> Resident | None:
        return next((cat for chip in self._chips for cat in self._cats if cat.chip == chip), None)

    def _is_known(self, cat: Resident) -> bool:
        chip, camera = self._chip_llr(cat), self._camera_llr(cat)
        if cat.needs is Needs.CHIP:
            return chip > 0
        if cat.needs is Needs.BOTH:
            return chip > 0 and camera >= self._by_camera
        if cat.needs is Needs.CAMERA:
            return camera >= self._by_camera and self._fused(cat) >= self._by_camera
        return self._fused(cat) >= (self._by_chip if chip > 0 else self._by_camera)

    def _fused(self, cat: Resident) -> float:
        chip, camera = self._chip_llr(cat), self._camera_llr(cat)
        # A cat that has licked herself bald looks like nobody: her looks do not speak against her own chip.
        return chip + (max(camera, 0.0) if chip > 0 else camera)

    def _turn(self, cat: Resident) -> int:
        return self._chips.index(cat.chip) if cat.chip in self._chips else len(self._chips)

    def _chip_llr(self, cat: Resident) -> float:
        if not self._chips:
            return 0.0
        return CHIP_LLR if cat.chip in self._chips else -CHIP_LLR

    def _camera_llr(self, cat: Resident) -> float:
        mean = self._likeness[self._cats.index(cat)] / max(self._weight, LIKENESS_FRAMES)
        return min(max(mean, -CHIP_LLR), CHIP_LLR)


def _cat_llr(cat: float, llr_cap: float) -> float:
    """Return the log-likelihood ratio of *a cat*, any of three labels, against what is none, any of three others."""
    ratio = math.log(max(cat, _TINY) / max(1.0 - cat, _TINY))
    return min(max(ratio, -llr_cap), llr_cap)
