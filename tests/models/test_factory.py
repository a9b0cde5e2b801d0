"""The bundle that ships: what it says of itself holds in both runtimes, here and now."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from dataset import COARSE, coarse, read_photographs

from edge.adapters.tflite import open_interpreter
from edge.bundle import Bundle, Golden, factory_directory, golden, load
from edge.features import Recipe, extract, tensor
from edge.messages import LABELS, Box, Label, Patch
from edge.scoring import calibrated

RUNTIMES = ["litert", pytest.param("tflite", marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="no wheel"))]


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """The bundle that ships."""
    return load(factory_directory())


@pytest.fixture(scope="module")
def kept(bundle: Bundle) -> Golden:
    """Its golden set."""
    return golden(bundle)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_golden_patches_give_the_golden_outputs(bundle: Bundle, kept: Golden, runtime: str) -> None:
    """Every golden patch gives the outputs on record, within the stated tolerance, in each runtime."""
    interpreter = open_interpreter(bundle, runtime, 1)
    name = interpreter.runtime.split(" ", maxsplit=1)[0]
    told = next(outputs for outputs in kept.outputs if outputs.runtime.startswith(name))
    whole = Box(0, 0, 1, 1)
    for patch, logits, embedding in zip(kept.patches, told.logits, told.embedding, strict=True):
        said = interpreter.invoke(tensor(Patch(patch, whole)))
        difference = max(
            np.abs(a.astype(int) - np.array(b)).max() for a, b in zip(said, (logits, embedding), strict=True)
        )
        assert kept.tolerance_lsb >= difference


def test_golden_outputs_tell_the_labels_apart(kept: Golden) -> None:
    """The golden set would notice a model that always says the same."""
    assert len(set(kept.outputs[0].logits)) > len(kept.labels) // 2
    assert set(LABELS) == set(kept.labels)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_no_tensor_is_left_in_float(bundle: Bundle, runtime: str) -> None:
    """int8 throughout; int32 for biases and shapes; nothing else."""
    interpreter = open_interpreter(bundle, runtime, 1)
    types = {detail["dtype"] for detail in interpreter._interpreter.get_tensor_details()}
    assert set() == types - {np.int8, np.int32}


def test_the_model_fits_every_pi(bundle: Bundle) -> None:
    """At most 1.2 MB; how long it takes is a benchmark's matter."""
    assert len(bundle.model) <= 1_200_000


def test_an_owner_can_go_on_from_it(bundle: Bundle) -> None:
    """Beside the bundle lie the float student, cut as the manifest says, and the teacher that tools/adapt.py needs."""
    training = factory_directory().with_name("factory.training")
    design = json.loads((training / "design.json").read_text(encoding="utf-8"))
    assert bundle.manifest.recipe == Recipe(**design["recipe"])
    assert [True, True] == [(training / name).stat().st_size > 1_000_000 for name in ("student.pt", "teacher.pt")]


def test_the_card_says_what_it_was_trained_on() -> None:
    """Header, every home with its licence, the figures and the limits are there, and nothing was left unfilled."""
    card = (factory_directory() / "MODEL_CARD.md").read_text(encoding="utf-8")
    header = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    assert header is not None
    for key in ("license", "library_name", "pipeline_tag", "tags", "metrics", "model_name", "version", "date"):
        assert f"\n{key}:" in f"\n{header.group(1)}"
    for home in ("tunnel", "feral", "dogcat", "raccoon", "caltech101", "dlcmouse", "sim"):
        assert f"\n| {home} |" in card
    for heading in ("Intended use", "What it was trained on", "Figures", "Limits"):
        assert f"\n## {heading}\n" in card
    assert "$" not in card


def test_the_card_and_the_manifest_give_the_same_figures(bundle: Bundle) -> None:
    """Every figure of the manifest stands in the card as it is."""
    card = (factory_directory() / "MODEL_CARD.md").read_text(encoding="utf-8")
    for metric in bundle.manifest.metrics:
        assert (
            f"| {metric.name} | {metric.value:.3f} | {metric.low:.3f} to {metric.high:.3f} | {metric.count} |" in card
        )


def test_every_interval_holds_its_value(bundle: Bundle) -> None:
    """A figure lies within its interval, and the figures the issue asks for are all there."""
    names = {metric.name for metric in bundle.manifest.metrics}
    later = {f"tunnel_later_{name}" for name in ("accuracy", "majority", "balanced_accuracy", "prey_auc")}
    other = {"unseen_accuracy", "unseen_majority", "sim_accuracy", "int8_float_agreement", "litert_tflite_agreement"}
    assert set() == (later | other) - names
    for metric in bundle.manifest.metrics:
        assert metric.low <= metric.value <= metric.high


@pytest.mark.parametrize("home", ["unseen", "unseen_tunnel"])
def test_the_student_beats_the_majority_class_on_homes_it_has_not_seen(bundle: Bundle, home: str) -> None:
    """By its manifest: mean recall of the classes, with its interval, above what always naming one class reaches."""
    figures = {metric.name: metric for metric in bundle.manifest.metrics}
    assert figures[f"{home}_balanced_accuracy"].low > figures[f"{home}_balanced_majority"].value


@pytest.mark.photographs
def test_the_card_tells_the_truth_about_later_months(bundle: Bundle) -> None:
    """Recomputed on the real photographs: accuracy over five coarse classes, in visits after all it learnt from."""
    folder = Path(os.environ.get("CATFLAP_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not (folder / "metadata.jsonl").exists():
        pytest.skip("photographs: no metadata.jsonl in CATFLAP_DATA or ../shared/data")
    interpreter, manifest = open_interpreter(bundle, "litert", 1), bundle.manifest
    scales = manifest.logits.quantisation, manifest.embedding.quantisation
    hits = []
    for sample in read_photographs(folder).samples:
        if (sample.home, sample.part) != ("tunnel", "test"):
            continue
        logits, embedding = interpreter.invoke(tensor(extract(sample.grey, sample.box, manifest.recipe)))
        scores = calibrated(logits, embedding, *scales, manifest.calibration)
        shares = dict.fromkeys(COARSE, 0.0)
        for label in Label:
            shares[coarse(label)] += scores.of(label)
        hits.append(max(shares, key=lambda name: shares[name]) == sample.coarse)
    told = next(metric for metric in manifest.metrics if metric.name == "tunnel_later_accuracy")
    # Another processor may round a few pictures to the other side.
    assert told.count == len(hits)
    assert pytest.approx(told.value, abs=0.005) == sum(hits) / len(hits)
