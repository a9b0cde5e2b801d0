"""What a bundle makes of pictures and visits: asked through the parts that the flap scores and judges with.

Each bundle brings its own recipe, calibration and evidence settings, so two of them are asked in their own ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from frame_scores import frames_of
from visit_verdicts import judged

from edge import assembly, bundle
from edge.features import extract

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dataset import Sample
    from frame_scores import Frames
    from visit_verdicts import Verdicts

    from edge.assembly import LoadedModel
    from edge.evaluation import Reals
    from edge.messages import Metric


@dataclass(frozen=True, slots=True)
class Subject:
    """Which bundle, in which runtime; ``sha256`` is its manifest's, which covers all the rest."""

    name: str
    version: str
    sha256: str
    runtime: str


@dataclass(frozen=True, slots=True, eq=False)
class OpenBundle:
    """A verified bundle in its runtime, and the figures of its own manifest."""

    subject: Subject
    metrics: tuple[Metric, ...]
    loaded: LoadedModel


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """One bundle's word on the pictures and visits of a data set."""

    subject: Subject
    metrics: tuple[Metric, ...]
    frames: Frames
    verdicts: Verdicts


def opened(name: str) -> OpenBundle:
    """Verify and load a bundle: ``factory``, or a directory.

    Raises:
        TrustError: the bundle is not what its manifest says, or not there.
        HardwareError: no runtime is installed, or it refuses the model.
    """
    verified, loaded = bundle.load(assembly.bundle_directory(name)), assembly.load_model(name, "auto", threads=1)
    manifest = verified.manifest
    subject = Subject(manifest.name, manifest.version, verified.manifest_sha256, loaded.runtime)
    return OpenBundle(subject, manifest.metrics, loaded)


def judge(asked: OpenBundle, folder: Path, samples: Sequence[Sample]) -> Judged:
    """Score every picture and replay every visit of these samples of an imagefolder.

    Raises:
        HardwareError: the runtime failed.
    """
    frames = frames_of(samples, _probabilities(asked.loaded, samples))
    return Judged(asked.subject, asked.metrics, frames, judged(folder, samples, asked.loaded))


def _probabilities(loaded: LoadedModel, samples: Sequence[Sample]) -> Reals:
    """Return calibrated probabilities, (count, labels), of the pictures cut as the device would cut them."""
    patches = (extract(sample.grey, sample.box, loaded.model.recipe) for sample in samples)
    return np.array([loaded.model.score(patch).probabilities for patch in patches])
