"""Writes a bundle: manifest, golden set, reference statistics and card, all from what was measured."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from card import model_card

from edge import bundle
from edge.messages import LABELS, EvidenceSettings

if TYPE_CHECKING:
    from pathlib import Path

    from dataset import Count, Source
    from figures import Fitted
    from measure import Run

    from edge.bundle import DataSet
    from edge.evaluation import Reals
    from edge.features import Recipe
    from edge.messages import Grey, Metric

_EVIDENCE = EvidenceSettings(
    priors=(),  # the product's: what its calibration was fitted to
    llr_cap=3.0,
    prey_llr_cap=2.0,  # under the common budgets no single frame is enough to call it prey
    discount_floor=0.01,  # both as measured by tools/similarity.py
    discount_scale=20.0,
    min_frames=3,
)
_MARGIN_LSB = 2
"""Beyond the largest difference seen between the two runtimes here: other processors round otherwise."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Counts for the card."""

    prey: int
    prey_visits: int
    prey_test: int
    parity_pictures: int
    composed: int


@dataclass(frozen=True, slots=True, eq=False)
class Product:
    """A finished student and what is known of it; ``story`` is one more section of its card."""

    name: str
    version: str
    created: str
    command: str
    model: Path
    recipe: Recipe
    fitted: Fitted
    data_set: DataSet
    sources: tuple[Source, ...]
    counts: tuple[Count, ...]
    metrics: tuple[Metric, ...]
    golden_patches: Grey
    golden_labels: tuple[str, ...]
    golden_runs: tuple[Run, ...]
    reference_patches: Grey
    reference_scores: Reals
    difference_lsb: int
    facts: Facts
    story: str = ""


def write(product: Product, directory: Path) -> None:
    """Write every file of the bundle, the manifest last, and load it as the device would.

    Raises:
        TrustError: what was written is not a bundle.
    """
    directory.mkdir(parents=True)
    shutil.copyfile(product.model, directory / "model.tflite")
    cv2.imwrite(
        str(directory / "golden.png"), np.concatenate(list(product.golden_patches)), [cv2.IMWRITE_PNG_COMPRESSION, 9]
    )
    _write_json(directory / "golden.json", _golden(product))
    _write_json(directory / "reference.json", _reference(product.reference_patches, product.reference_scores))
    (directory / "MODEL_CARD.md").write_text(model_card(product), encoding="utf-8")
    _write_json(directory / bundle.MANIFEST, _manifest(product, directory))
    bundle.golden(bundle.load(directory))


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _golden(product: Product) -> object:
    return {
        "tolerance_lsb": product.difference_lsb + _MARGIN_LSB,
        "labels": list(product.golden_labels),
        "outputs": [
            {"runtime": run.runtime, "logits": run.logits.tolist(), "embedding": run.embedding.tolist()}
            for run in product.golden_runs
        ],
    }


def _reference(patches: Grey, scores: Reals) -> object:
    """Histograms that live frames are compared with: patch statistics in grey levels, and scores per label."""
    means, spreads = patches.mean(axis=(1, 2)), patches.std(axis=(1, 2))
    return {
        "patches": len(patches),
        "mean": _histogram(means, 0, 255, 16),
        "spread": _histogram(spreads, 0, 128, 16),
        "scores": {str(label): _histogram(scores[:, index], 0, 1, 10) for index, label in enumerate(LABELS)},
    }


def _histogram(values: Reals, low: float, high: float, bins: int) -> object:
    counts, edges = np.histogram(values, bins, (low, high))
    return {"edges": [round(float(edge), 6) for edge in edges], "counts": counts.tolist()}


def _manifest(product: Product, directory: Path) -> object:
    run = product.golden_runs[0]
    recipe = product.recipe
    embedding_size = run.embedding.shape[1]
    manifest = bundle.Manifest(
        format=bundle.FORMAT,
        name=product.name,
        version=product.version,
        created=product.created,
        labels=LABELS,
        recipe=recipe,
        input=bundle.InputSpec((1, recipe.height_px, recipe.width_px, 1), *run.input_scale),
        outputs=(
            bundle.OutputSpec("logits", len(LABELS), *run.logit_scale),
            bundle.OutputSpec("embedding", embedding_size, *run.embedding_scale),
        ),
        calibration=product.fitted.calibration,
        evidence=dataclasses.replace(_EVIDENCE, priors=product.fitted.priors),
        data_set=product.data_set,
        metrics=product.metrics,
        runtimes=tuple(run.runtime for run in product.golden_runs),
        files=tuple(_file(directory / name) for name in bundle.FILES),
    )
    return dataclasses.asdict(manifest)


def _file(path: Path) -> bundle.FileSpec:
    content = path.read_bytes()
    return bundle.FileSpec(path.name, hashlib.sha256(content).hexdigest(), len(content))
