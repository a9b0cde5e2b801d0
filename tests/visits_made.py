"""Visits for the tests of the record layer: strategies for any visit, and plain ones by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from hypothesis import strategies as st

from edge.messages import (
    LABELS,
    Bounds,
    Box,
    ChipRead,
    EvidenceSettings,
    Grey,
    KeyFrame,
    Label,
    Motion,
    MotionWhy,
    Needs,
    Observation,
    Patch,
    Quality,
    QualityWhy,
    Resident,
    Residents,
    Rules,
    Scores,
    Verdict,
    VerdictKind,
    Visit,
)

STARTED = datetime(2026, 3, 1, 4, 5, 6, 789, tzinfo=UTC)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TIMES_NS = st.integers(0, 10**15)
VISIT_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", fullmatch=True)
BOXES = st.builds(Box)
SCORES = st.builds(
    Scores,
    probabilities=st.tuples(*[st.floats(0.0, 1.0)] * len(LABELS)),
    embedding=st.lists(FINITE, max_size=4).map(tuple),
)
RULES = st.builds(
    Rules,
    evidence=st.builds(
        EvidenceSettings,
        priors=st.lists(FINITE, max_size=6).map(tuple),
        llr_cap=FINITE,
        prey_llr_cap=FINITE,
        discount_floor=FINITE,
        discount_scale=FINITE,
    ),
    bounds=st.builds(Bounds, admit=FINITE, refuse=FINITE, prey=FINITE),
    residents=st.builds(Residents),
    blind_after_s=FINITE,
)


def _grey(height: int, width: int) -> st.SearchStrategy[Grey]:
    size = height * width
    return st.binary(min_size=size, max_size=size).map(lambda b: np.frombuffer(b, np.uint8).reshape(height, width))


def _observations(height: int, width: int, residents: int) -> st.SearchStrategy[Observation]:
    return st.builds(
        Observation,
        at_ns=TIMES_NS,
        motion=st.builds(Motion, box=st.none() | BOXES, area_fraction=FINITE),
        quality=st.builds(Quality, mean=FINITE, contrast=FINITE, sharpness=FINITE),
        patch=st.none() | st.builds(Patch, pixels=_grey(height, width), box=BOXES),
        scores=st.none() | SCORES,
        likeness=st.just(()) | st.tuples(*[FINITE] * residents),
        second=st.none() | SCORES,
    )


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    """Draw any visit that could be: its patches of one size, its numbers finite."""
    height, width = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    rules = draw(RULES)
    observations = st.lists(_observations(height, width, len(rules.residents.cats)), max_size=4).map(tuple)
    key_frames = st.lists(st.builds(KeyFrame, image=_grey(8, 9)), max_size=2).map(tuple)
    return draw(
        st.builds(
            Visit,
            visit_id=VISIT_IDS,
            started=st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001 - gets its zone here
            duration_s=FINITE,
            observations=observations,
            chips=st.lists(st.builds(ChipRead), max_size=2).map(tuple),
            rules=st.just(rules),
            verdict=st.builds(Verdict, clean_llr=FINITE, prey_llr=FINITE),
            key_frames=key_frames,
            bolt_s=FINITE,
            flap_opened=st.booleans(),
            model_id=st.text(),
            runtime=st.text(),
            config_hash=st.text(),
            owner_label=st.none() | st.sampled_from(Label),
        )
    )


def plain(visit: Visit) -> tuple[object, ...]:
    """Return everything of a visit but the key frames' pixels, as values that compare."""
    seen = [
        (
            entry.seq,
            entry.at_ns,
            entry.motion,
            entry.quality,
            None if entry.patch is None else (entry.patch.pixels.tolist(), entry.patch.box),
            entry.scores,
            entry.likeness,
        )
        for entry in visit.observations
    ]
    pictures = [(entry.why, entry.seq, entry.image.shape) for entry in visit.key_frames]
    names = [name for name in Visit.__slots__ if name not in ("observations", "key_frames")]
    return (*(getattr(visit, name) for name in names), seen, pictures)


def scores(label: Label, probability: float) -> Scores:
    """Return scores with this much for one label and the rest shared evenly."""
    rest = (1.0 - probability) / (len(LABELS) - 1)
    return Scores(tuple(probability if entry is label else rest for entry in LABELS), (1.0, 0.0))


def observation(seq: int, given: Scores | None, height_px: int = 12, width_px: int = 16) -> Observation:
    """Return one frame, 100 ms after the one before; one without scores was too dark."""
    pixels = np.random.default_rng(seq).integers(0, 256, (height_px, width_px), dtype=np.uint8)
    box = Box(1, 2, 30, 40)
    return Observation(
        seq=seq,
        at_ns=seq * 100_000_000,
        motion=Motion(present=True, why=MotionWhy.MOVING, box=box, area_fraction=0.1 + seq / 7),
        quality=Quality(given is not None, QualityWhy.OK if given else QualityWhy.DARK, 90.0, 40.0, 12.5),
        patch=Patch(pixels, box) if given is not None else None,
        scores=given,
    )


def visit_of(
    *given: Scores | None, kind: VerdictKind = VerdictKind.ADMIT, visit_id: str = "20260301T040506-0001"
) -> Visit:
    """Return a visit with these scores, one frame each, decided at its last frame."""
    seen = tuple(observation(seq, entry) for seq, entry in enumerate(given))
    evidence = sum(entry is not None for entry in given)
    return Visit(
        visit_id=visit_id,
        started=STARTED,
        duration_s=len(seen) / 10,
        observations=seen,
        chips=(),
        rules=Rules(
            EvidenceSettings((0.2, 0.2, 0.2, 0.1, 0.2, 0.1), 2.0, 3.0, 0.1, 20.0, 3),
            Bounds(3.9, -2.9, 3.0),
            Residents((Resident("Mia", "276098106543210", Needs.CHIP, prey_check=True),), any_cat=False),
            3.0,
        ),
        verdict=Verdict(kind, "because of the test", None, max(len(seen) - 1, 0) * 100_000_000, evidence, 0.0, 0.0),
        key_frames=(),
        bolt_s=2.5,
        flap_opened=True,
        model_id="factory-1",
        runtime="none 0",
        config_hash="0123456789abcdef",
        owner_label=None,
    )


def with_pictures(visit: Visit, count: int = 2) -> Visit:
    """Return the visit with some key frames of noise, 24 by 32 pixels, colour."""
    image = np.random.default_rng(1).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    return replace(visit, key_frames=tuple(KeyFrame(f"moment {number}", number, image) for number in range(count)))
