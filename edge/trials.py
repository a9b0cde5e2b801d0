"""The trial of a new model: two models on the same visits, and what is to become of the new one. Floor 3.

Pure: a tally in, figures and a decision with its reason out. Until it has shown otherwise a candidate is taken to be
worse: what is not proved within its visits is rolled back, and a doubt about prey is never settled in its favour.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from edge import evaluation
from edge.messages import LABELS, Label, Metric, VerdictKind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_PAIRS = 1000
"""Visits that a tally remembers, the newest; months of them, and well under a megabyte."""


class Outcome(StrEnum):
    """What a verdict means at the door: in this two models agree or not, whatever words they have for it."""

    OPENS = "opens"
    PREY = "prey"  # stays shut, and for a while for everybody
    SHUT = "shut"


class Arm(StrEnum):
    """Whose verdict moved the bolt."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"


class Stage(StrEnum):
    """How far a trial has come."""

    SHADOW = "shadow"  # the candidate only scores what the champion has decided
    AB = "ab"  # it decides a share of the visits, watched over by the champion


class Step(StrEnum):
    """What is to become of a candidate."""

    GO_ON = "go_on"
    PROMOTE = "promote"  # of a shadow trial: the gate is passed
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do, and why in one line."""

    step: Step
    because: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One visit, judged by both models.

    The means are the mean probabilities over the frames that were scored, in the order of ``LABELS``. The times are
    medians over the patches that were timed, in milliseconds; None where none was. ``label`` is the owner's.
    """

    visit: str
    champion: VerdictKind
    candidate: VerdictKind
    arm: Arm
    champion_mean: tuple[float, ...]
    candidate_mean: tuple[float, ...]
    champion_ms: float | None
    candidate_ms: float | None
    label: Label | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """All that a trial has shown so far. ``failure`` says how the candidate failed to score, ``alarm`` what drifted."""

    pairs: tuple[Pair, ...] = ()
    failure: str | None = None
    alarm: str | None = None

    def with_pair(self, pair: Pair) -> Tally:
        """Return the tally with one visit more; the same visit again replaces the old one, the oldest go first."""
        others = tuple(entry for entry in self.pairs if entry.visit != pair.visit)
        return replace(self, pairs=(*others, pair)[-MAX_PAIRS:])

    def with_labels(self, labels: Mapping[str, Label]) -> Tally:
        """Return the tally with the owner's labels, by visit, as far as they are known by now."""
        return replace(
            self, pairs=tuple(replace(entry, label=labels.get(entry.visit, entry.label)) for entry in self.pairs)
        )

    def of(self, arm: Arm) -> tuple[Pair, ...]:
        """Return the visits that one of the two decided."""
        return tuple(pair for pair in self.pairs if pair.arm is arm)


@dataclass(frozen=True, slots=True)
class Gates:
    """The thresholds of a trial and the counts below which nothing is concluded.

    ``agree`` and ``agree_bad`` are the shares of visits with the same outcome that a good candidate has at least and a
    bad one at most. ``better`` and ``worse`` are the shares of the labelled visits that *one* of the two put right
    which the candidate has where it is better or worse: 2 to 1. ``alpha`` is the chance of throwing out a good
    candidate, and ``beta`` that of passing a bad one, of each sequential test by itself.
    """

    min_visits: int = 30  # before the gate may let a candidate pass
    max_visits: int = 300  # after these, what has not passed is rolled back
    min_prey: int = 2  # visits with prey, by the champion's word or the owner's, before the gate may let it pass
    max_released_share: float = 0.02  # of all visits: prey to the champion and let in by the candidate, unless labelled
    max_released: int = 2  # more of these end a trial at once
    agree: float = 0.90
    agree_bad: float = 0.70
    better: float = 2 / 3
    worse: float = 1 / 3
    alpha: float = 0.01
    beta: float = 0.01
    paired_p: float = 0.05  # McNemar's p below which more losses than gains are no chance
    min_labelled: int = 20  # labelled visits before calibration is compared
    max_calibration_loss: float = 0.05  # expected calibration error of the candidate less the champion's
    max_latency_ms: float = 100.0  # the candidate's 95th percentile: a tick at ten frames a second
    max_latency_ratio: float = 2.0  # of the champion's, timed beside it …
    latency_grain_ms: float = 5.0  # … but for differences that are this small
    min_timed: int = 10  # visits with times of both before latency is compared
    ab_visits: int = 60  # visits decided by the challenger, after which a test that found no loss ends


@dataclass(frozen=True, slots=True)
class Figures:
    """What a tally comes to. Shares are 0..1, times milliseconds; None where there was not enough to say."""

    visits: int
    challenged: int  # of them decided by the challenger
    labelled: int
    prey: int
    agreement: Metric | None
    released: tuple[str, ...]  # visits: prey to the champion, let in by the candidate, and not labelled as clear
    better: int
    worse: int
    paired_p: float
    champion_calibration: float | None
    candidate_calibration: float | None
    champion_ms: float | None  # 95th percentile over visits
    candidate_ms: float | None


# --- what a verdict is worth ---------------------------------------------------------------------------------------


def outcome(kind: VerdictKind) -> Outcome:
    """Return what a verdict means at the door."""
    return {VerdictKind.ADMIT: Outcome.OPENS, VerdictKind.REFUSE_PREY: Outcome.PREY}.get(kind, Outcome.SHUT)


def is_right(kind: VerdictKind, label: Label | None) -> bool | None:
    """Return whether a verdict was right of a visit that the owner labelled so; None where the label does not say.

    A cat with an empty mouth that is nobody's of ours was judged right by its mouth: who it is, is not the trial's.
    """
    match label:
        case Label.CAT_CLEAR:
            return kind in (VerdictKind.ADMIT, VerdictKind.REFUSE_STRANGER)
        case Label.CAT_PREY:
            return kind is not VerdictKind.ADMIT
        case Label.EMPTY | Label.OTHER_ANIMAL | Label.PERSON:
            return kind not in (VerdictKind.ADMIT, VerdictKind.REFUSE_PREY)
    return None


def agrees(pair: Pair) -> bool:
    """Return whether the two came to the same; the owner's label outweighs the champion's word."""
    was, now = is_right(pair.champion, pair.label), is_right(pair.candidate, pair.label)
    if was is not None and now is not None and was != now:
        return now
    return outcome(pair.champion) is outcome(pair.candidate)


def released(pair: Pair) -> bool:
    """Return whether the candidate lets in what was prey to the champion, with no label that says it was none."""
    prey = outcome(pair.champion) is Outcome.PREY or pair.label is Label.CAT_PREY
    return prey and outcome(pair.candidate) is Outcome.OPENS and pair.label is not Label.CAT_CLEAR


def figures(tally: Tally) -> Figures:
    """Return what a tally comes to."""
    pairs = tally.pairs
    judged = [(was, now) for was, now in map(_rights, pairs) if was is not None and now is not None]
    test = _mcnemar(judged)
    hits = sum(agrees(pair) for pair in pairs)
    labelled = [pair for pair in pairs if pair.label is not None]
    timed = [pair for pair in pairs if pair.champion_ms is not None and pair.candidate_ms is not None]
    return Figures(
        visits=len(pairs),
        challenged=len(tally.of(Arm.CHALLENGER)),
        labelled=len(judged),
        prey=sum(outcome(pair.champion) is Outcome.PREY or pair.label is Label.CAT_PREY for pair in pairs),
        agreement=evaluation.wilson("agreement", hits, len(pairs)) if pairs else None,
        released=tuple(pair.visit for pair in pairs if released(pair)),
        better=test.better,
        worse=test.worse,
        paired_p=test.p,
        champion_calibration=_calibration([(pair.champion_mean, pair.label) for pair in labelled]),
        candidate_calibration=_calibration([(pair.candidate_mean, pair.label) for pair in labelled]),
        champion_ms=_percentile_95([pair.champion_ms for pair in timed]),
        candidate_ms=_percentile_95([pair.candidate_ms for pair in timed]),
    )


def _rights(pair: Pair) -> tuple[bool | None, bool | None]:
    return is_right(pair.champion, pair.label), is_right(pair.candidate, pair.label)


def _mcnemar(judged: Sequence[tuple[bool, bool]]) -> evaluation.PairedTest:
    if not judged:
        return evaluation.PairedTest(0, 0, 1.0)
    before, after = np.array(judged, np.bool_).T
    return evaluation.mcnemar(before, after)


def _calibration(items: Sequence[tuple[tuple[float, ...], Label | None]]) -> float | None:
    """Return the expected calibration error over labelled visits, one item a visit."""
    known = [(mean, label) for mean, label in items if mean and label is not None]
    if not known:
        return None
    probabilities = np.array([mean for mean, _ in known], np.float64)
    truth = np.array([LABELS.index(label) for _, label in known])
    return evaluation.calibration_error(probabilities, probabilities.argmax(axis=1) == truth)


def _percentile_95(times_ms: Sequence[float | None]) -> float | None:
    known = [value for value in times_ms if value is not None]
    return float(np.percentile(known, 95)) if known else None


# --- sequential tests ----------------------------------------------------------------------------------------------


def sprt(hits: int, misses: int, good: float, bad: float) -> float:
    """Return the log-likelihood ratio of ``good`` against ``bad`` as the share of hits, natural logarithm.

    Source: Wald, "Sequential Analysis", Wiley 1947, chapter 5 (testing the mean of a binomial distribution).
    """
    return hits * math.log(good / bad) + misses * math.log((1 - good) / (1 - bad))


def found(llr: float, gates: Gates) -> bool | None:
    """Return whether a sequential test has found a candidate good (True) or bad (False); None: it goes on.

    Wald's bounds hold at whatever moment one looks, so a test may be looked at after every visit.
    """
    if llr <= math.log(gates.alpha / (1 - gates.beta)):
        return False
    return True if llr >= math.log((1 - gates.alpha) / gates.beta) else None


def agreement_found(tally: Tally, gates: Gates) -> bool | None:
    """Return what the sequential test of agreement has found."""
    hits = sum(agrees(pair) for pair in tally.pairs)
    return found(sprt(hits, len(tally.pairs) - hits, gates.agree, gates.agree_bad), gates)


def paired_found(told: Figures, gates: Gates) -> bool | None:
    """Return what the sequential test of the labelled visits that one of the two put right and not the other found.

    Such visits alone tell two models apart; the others say the same of both (Wald 1947, chapter 6, "double
    dichotomies", the sequential form of McNemar's test).
    """
    return found(sprt(told.better, told.worse, gates.better, gates.worse), gates)


# --- the decision --------------------------------------------------------------------------------------------------


def decide(tally: Tally, stage: Stage, gates: Gates) -> Decision:
    """Return what is to become of the candidate."""
    told = figures(tally)
    why = _worse(tally, told, gates)
    if why is not None:
        return Decision(Step.ROLL_BACK, why)
    return _gate(tally, told, gates) if stage is Stage.SHADOW else _ended(told, gates)


def _worse(tally: Tally, told: Figures, gates: Gates) -> str | None:
    """Return why the candidate goes at once, whatever the stage; None where nothing speaks against it."""
    if tally.failure is not None:
        return f"it failed: {tally.failure}"
    if tally.alarm is not None:
        return f"drift alarm: {tally.alarm}"
    if len(told.released) > gates.max_released:
        return (
            f"it would have let in {len(told.released)} visits that were prey to the champion: {_some(told.released)}"
        )
    if agreement_found(tally, gates) is False:
        return f"it agrees with the champion on {_share(told.agreement)} of {told.visits} visits only"
    if paired_found(told, gates) is False:
        return f"worse on labelled visits: {told.worse} lost, {told.better} gained"
    return None


def _gate(tally: Tally, told: Figures, gates: Gates) -> Decision:
    """Let a shadowed candidate pass, or say what it waits for; what it cannot make good any more rolls it back."""
    lost = told.worse > told.better and told.paired_p < gates.paired_p
    if lost and told.visits >= gates.min_visits:
        return Decision(Step.ROLL_BACK, f"worse on labelled visits: {_paired(told)}")
    waits = _waits_for(tally, told, gates)
    if waits is None:
        return Decision(Step.PROMOTE, summary(told))
    if told.visits >= gates.max_visits and not waits.startswith(_RARE):
        return Decision(Step.ROLL_BACK, f"not proved within {told.visits} visits: {waits}")
    return Decision(Step.GO_ON, waits)


_RARE = "too little prey"


def _waits_for(tally: Tally, told: Figures, gates: Gates) -> str | None:
    """Return the first thing that keeps a candidate from passing the gate, or None. What is rare comes last."""
    if told.visits < gates.min_visits:
        return f"{told.visits} of {gates.min_visits} visits"
    if agreement_found(tally, gates) is None:
        return f"agreement of {_share(told.agreement)} is between good and bad"
    if len(told.released) > gates.max_released_share * told.visits:
        return f"let in what was prey to the champion and nobody has labelled: {_some(told.released)}"
    return _calibration_loss(told, gates) or _too_slow(told, gates) or _too_little_prey(told, gates)


def _too_little_prey(told: Figures, gates: Gates) -> str | None:
    """A candidate that was never shown prey has shown nothing; it waits, or the owner's word promotes it."""
    return f"{_RARE}: {told.prey} of {gates.min_prey} visits with it" if told.prey < gates.min_prey else None


def _calibration_loss(told: Figures, gates: Gates) -> str | None:
    was, now = told.champion_calibration, told.candidate_calibration
    if was is None or now is None or told.labelled < gates.min_labelled:
        return None
    loss = now - was
    return f"calibration error {now:.3f} against {was:.3f}" if loss > gates.max_calibration_loss else None


def _too_slow(told: Figures, gates: Gates) -> str | None:
    was, now = told.champion_ms, told.candidate_ms
    if was is None or now is None or told.visits < gates.min_timed:
        return None
    most = min(gates.max_latency_ms, max(gates.max_latency_ratio * was, was + gates.latency_grain_ms))
    return f"one patch takes {now:.1f} ms, more than {most:.1f} ms" if now > most else None


def _ended(told: Figures, gates: Gates) -> Decision:
    """End a test at the door: the sequential test found it better, or found no loss in all its visits."""
    if paired_found(told, gates):
        return Decision(Step.PROMOTE, f"better on labelled visits: {_paired(told)}")
    if told.challenged < gates.ab_visits:
        return Decision(Step.GO_ON, f"{told.challenged} of {gates.ab_visits} visits decided by the challenger")
    return Decision(Step.PROMOTE, f"no loss in {told.challenged} visits at the door; {summary(told)}")


def summary(told: Figures) -> str:
    """Return the figures in one line for people."""
    parts = [f"{told.visits} visits, {told.prey} with prey", f"agreement {_share(told.agreement)}"]
    parts += [f"{len(told.released)} prey released", f"labelled {_paired(told)}"]
    if told.champion_calibration is not None and told.candidate_calibration is not None:
        parts.append(f"calibration error {told.candidate_calibration:.3f} against {told.champion_calibration:.3f}")
    if told.champion_ms is not None and told.candidate_ms is not None:
        parts.append(f"{told.candidate_ms:.1f} ms a patch against {told.champion_ms:.1f}")
    return "; ".join(parts)


def _paired(told: Figures) -> str:
    return f"{told.better} gained, {told.worse} lost of {told.labelled} (p {told.paired_p:.3f})"


def _share(metric: Metric | None) -> str:
    return "nothing" if metric is None else f"{metric.value:.0%}"


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:3]) + (" …" if len(names) > 3 else "")


# --- who decides ---------------------------------------------------------------------------------------------------


def arm_of(visit_id: str, secret: bytes, share: float) -> Arm:
    """Return who decides a visit: the challenger a ``share`` (0..1) of them, by a hash that is keyed per flap.

    The same visit is always the same arm's; whoever does not know the secret can neither foresee nor choose it.
    """
    digest = hmac.digest(secret, visit_id.encode(), hashlib.sha256)
    drawn = int.from_bytes(digest[:8]) / 2**64
    return Arm.CHALLENGER if drawn < share else Arm.CHAMPION
