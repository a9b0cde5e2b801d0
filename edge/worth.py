"""Which visits are worth a label. Floor 2, pure.

The rules are asked in the order of ``Rule``, from the most to the least useful; the first that applies is the one
that is stored, and a full spool drops from the other end.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from edge.messages import ALARMS, Label, VerdictKind

if TYPE_CHECKING:
    from edge.messages import Visit

LOW_CONFIDENCE = 0.6
"""Below this mean probability of each frame's own best label the model was guessing, whatever the sum came to."""

NEAR_SHARE = 0.75
"""A threshold that was not crossed counts as near from this share of it on."""

_RARE = (Label.CAT_PREY, Label.OTHER_ANIMAL, Label.PERSON)
_CATS = (Label.CAT_HIDDEN, Label.CAT_CLEAR, Label.CAT_PREY)

_AGREES: dict[Label, tuple[VerdictKind, ...]] = {
    Label.EMPTY: (VerdictKind.REFUSE_OTHER, VerdictKind.UNSURE, VerdictKind.BLIND),
    Label.CAT_HIDDEN: (VerdictKind.UNSURE, VerdictKind.REFUSE_STRANGER),
    Label.CAT_CLEAR: (VerdictKind.ADMIT, VerdictKind.REFUSE_STRANGER),
    Label.CAT_PREY: (VerdictKind.REFUSE_PREY,),
    Label.OTHER_ANIMAL: (VerdictKind.REFUSE_OTHER,),
    Label.PERSON: (VerdictKind.REFUSE_OTHER,),
}
"""Which verdicts say the same as the owner's label; any other verdict contradicts it."""


class Rule(StrEnum):
    """Why a visit is kept, most useful first."""

    ALARM = "alarm"  # a picture of forced entry, of tailgating, of a bolt that failed
    DISAGREEMENT = "disagreement"  # the evidence says one thing, the chip or the owner another
    RARE_CLASS = "rare_class"  # prey, another animal or a person decided it
    NEAR_THRESHOLD = "near_threshold"  # it nearly came out otherwise
    LOW_CONFIDENCE = "low_confidence"  # unsure, or the frames were
    RANDOM = "random"  # a small share of the rest, so that the data set is not only the hard ones
    BLIND = "blind"  # nothing to label, but a picture of why nothing was seen


@dataclass(frozen=True, slots=True)
class Worth:
    """The rule that chose a visit, and how useful its label is, 0..1: by rule first, then by strength of the case."""

    rule: Rule
    usefulness: float


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The bounds of the sequential test the visit was judged with, natural logarithms, both above 0."""

    admit_llr: float
    prey_llr: float


def worth(visit: Visit, thresholds: Thresholds, random_share: float, draw: float) -> Worth | None:
    """Return why a visit is worth a label and how much, or None.

    Args:
        visit: a finished visit.
        thresholds: what its evidence was held against.
        random_share: 0..1, share of the confident visits that is kept all the same.
        draw: 0 ≤ draw < 1, the visit's own from ``draw_of``.
    """
    blind = visit.verdict.kind is VerdictKind.BLIND
    strengths = {
        Rule.ALARM: _alarm(visit),
        Rule.DISAGREEMENT: _disagreement(visit),
        Rule.RARE_CLASS: _rare_class(visit),
        Rule.NEAR_THRESHOLD: _near_threshold(visit, thresholds),
        Rule.LOW_CONFIDENCE: _low_confidence(visit),
        Rule.RANDOM: 0.0 if _seen(visit) and draw < random_share else None,
        Rule.BLIND: 0.0 if blind else None,
    }
    for rule in Rule:
        strength = strengths[rule]
        if strength is not None:
            return Worth(rule, _usefulness(rule, strength))
    return None


def draw_of(visit_id: str, key: str) -> float:
    """Return a visit's own number, uniform in 0 ≤ draw < 1, the same at every replay.

    ``key`` (the configuration's hash serves) keeps flaps that share visit ids from keeping the same ones.
    """
    digest = hashlib.blake2b(
        visit_id.encode(), key=key.encode()[: hashlib.blake2b.MAX_KEY_SIZE], digest_size=6
    ).digest()
    return int.from_bytes(digest, "big") / 2**48


def _usefulness(rule: Rule, strength: float) -> float:
    rank = len(Rule) - 1 - list(Rule).index(rule)
    return (rank + min(max(strength, 0.0), 1.0)) / len(Rule)


def _seen(visit: Visit) -> bool:
    return any(entry.scores is not None for entry in visit.observations)


def _confidence(visit: Visit) -> float:
    """Return the mean over the frames of evidence of each frame's highest probability; 0 without evidence."""
    best = [max(entry.scores.probabilities) for entry in visit.observations if entry.scores is not None]
    return sum(best) / len(best) if best else 0.0


def _alarm(visit: Visit) -> float | None:
    """Return whether something happened at the door; all of it is as urgent."""
    return 1.0 if any(picture.why in ALARMS for picture in visit.key_frames) else None


def _disagreement(visit: Visit) -> float | None:
    # The surer the model was, the more there is to learn from its being contradicted.
    contradicted = _against_owner(visit) or _against_chip(visit)
    return _confidence(visit) if contradicted else None


def _against_owner(visit: Visit) -> bool:
    return visit.owner_label is not None and visit.verdict.kind not in _AGREES[visit.owner_label]


def _against_chip(visit: Visit) -> bool:
    """Return whether a chip was read, which only a cat carries, where the frames show none."""
    return bool(visit.chips) and visit.top_label() not in (*_CATS, None)


def _rare_class(visit: Visit) -> float | None:
    rare = visit.verdict.kind is VerdictKind.REFUSE_PREY or visit.top_label() in _RARE
    return 1.0 - _confidence(visit) if rare else None


def _near_threshold(visit: Visit, thresholds: Thresholds) -> float | None:
    """Return how near the nearest bound came that was *not* crossed.

    A sequential test stops just past the bound it crosses, so being near that one says nothing.
    """
    shares = (visit.verdict.clean_llr / thresholds.admit_llr, visit.verdict.prey_llr / thresholds.prey_llr)
    near = [share for share in shares if NEAR_SHARE <= share < 1.0]
    return max(near) if near else None


def _low_confidence(visit: Visit) -> float | None:
    if not _seen(visit):
        return None
    confidence = _confidence(visit)
    doubtful = visit.verdict.kind is VerdictKind.UNSURE or confidence < LOW_CONFIDENCE
    return 1.0 - confidence if doubtful else None
