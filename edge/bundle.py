"""A bundle: the model and everything that belongs to it, verified before anyone loads it. Floor 3.

A bundle is a directory of exactly the files in ``FILES`` and a ``manifest.json`` that states the size and SHA-256 of
each. ``load`` reads every file once, through a descriptor that follows no link, and keeps the bytes it hashed: what was
verified is what runs. Whether the manifest itself may be believed is the updater's question, not this module's.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from edge.codec import from_json
from edge.drift import Reference, reference_of
from edge.errors import InputError, TrustError
from edge.features import Recipe  # noqa: TC001 - the codec reads the hints of Manifest at run time
from edge.identity import IdentitySettings  # noqa: TC001 - as above
from edge.messages import LABELS, EvidenceSettings, Grey, Label, Metric
from edge.scoring import Calibration, Quantisation

Value = TypeVar("Value")

FORMAT = 1
MANIFEST = "manifest.json"
FILES = ("model.tflite", "golden.png", "golden.json", "reference.json", "MODEL_CARD.md")
"""Every file of a bundle but the manifest itself, in the manifest's order."""
MAX_MANIFEST_BYTES = 1_000_000
MAX_FILE_BYTES = 16_000_000
INPUT_SCALE = 1 / 128
INPUT_SCALE_TOLERANCE = 0.005
"""Relative. A step of the input is then off by less than a grey level at either end of the range."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """The model's input: int8, (1, height, width, 1). Its numbers must mean grey level minus 128."""

    shape: tuple[int, ...]
    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One int8 output, (1, size), in the order of the manifest, which is the order of the graph."""

    name: str
    size: int
    scale: float
    zero_point: int

    @property
    def quantisation(self) -> Quantisation:
        """How this output reads as real numbers."""
        return Quantisation(self.scale, self.zero_point)


@dataclass(frozen=True, slots=True)
class DataSet:
    """What the model was made from: the content hash of the photographs, and how many pictures of each kind."""

    sha256: str
    photographs: int
    simulated: int


@dataclass(frozen=True, slots=True)
class FileSpec:
    """What one file of the bundle must be."""

    name: str
    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ``manifest.json`` says, checked. Recipe, calibration and evidence belong to the model and travel with it.

    ``identity`` says what a likeness by this model's embedding is worth; without it nobody has measured that.
    """

    format: int
    name: str
    version: str
    created: str
    labels: tuple[Label, ...]
    recipe: Recipe
    input: InputSpec
    outputs: tuple[OutputSpec, ...]
    calibration: Calibration
    evidence: EvidenceSettings
    data_set: DataSet
    metrics: tuple[Metric, ...]
    runtimes: tuple[str, ...]
    files: tuple[FileSpec, ...]
    identity: IdentitySettings | None = None

    @property
    def logits(self) -> OutputSpec:
        """The first output: one number per label."""
        return self.outputs[0]

    @property
    def embedding(self) -> OutputSpec:
        """The second output: what tells one cat from another."""
        return self.outputs[1]


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """A verified bundle. The byte strings are those whose hashes were compared with the manifest."""

    directory: Path
    manifest: Manifest
    manifest_sha256: str
    model: bytes = field(repr=False)
    golden_patches: bytes = field(repr=False)
    golden_outputs: bytes = field(repr=False)
    reference: bytes = field(repr=False)

    @property
    def model_id(self) -> str:
        """Name, version and eight digits of the manifest's hash, which covers model, recipe and calibration."""
        return f"{self.manifest.name} {self.manifest.version} {self.manifest_sha256[:8]}"


@dataclass(frozen=True, slots=True)
class GoldenOutputs:
    """What one runtime said of every golden patch: logits and embedding per patch, as int8 numbers."""

    runtime: str
    logits: tuple[tuple[int, ...], ...]
    embedding: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class _GoldenFile:
    tolerance_lsb: int
    labels: tuple[str, ...]
    outputs: tuple[GoldenOutputs, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """The golden set: patches, uint8, (count, height, width), and what each runtime says, within ``tolerance_lsb``."""

    patches: Grey
    labels: tuple[str, ...]
    tolerance_lsb: int
    outputs: tuple[GoldenOutputs, ...]


def factory_directory() -> Path:
    """Return the directory of the bundle that ships: in a checkout beside the package, else where the wheel put it."""
    checkout = Path(__file__).resolve().parent.parent / "models" / "factory"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "catflap" / "models" / "factory"


def load(directory: Path) -> Bundle:
    """Read and verify a bundle; nothing of the model is interpreted here.

    Raises:
        TrustError: one line with the file and what was expected of it.
    """
    raw = _read(directory / MANIFEST, MAX_MANIFEST_BYTES)
    manifest = parse(raw, directory / MANIFEST)
    _refuse_strangers(directory)
    model, patches, outputs, reference, _card = (_verified(directory / spec.name, spec) for spec in manifest.files)
    return Bundle(directory, manifest, hashlib.sha256(raw).hexdigest(), model, patches, outputs, reference)


def golden(bundle: Bundle) -> Golden:
    """Decode a bundle's golden set.

    Raises:
        TrustError: the two files do not belong together or to the recipe.
    """
    where = bundle.directory / "golden.json"
    said = _decode(_GoldenFile, bundle.golden_outputs, where)
    recipe, count = bundle.manifest.recipe, len(said.labels)
    image = cv2.imdecode(np.frombuffer(bundle.golden_patches, np.uint8), cv2.IMREAD_GRAYSCALE)
    expected = (recipe.height_px * count, recipe.width_px)
    # OpenCV's types say an array always comes back; it is None for what is not an image.
    shape = getattr(image, "shape", None)
    _require(
        shape == expected, f"{bundle.directory / 'golden.png'}: is {shape}; {count} patches stacked are {expected}"
    )
    for told in said.outputs:
        whole = len(told.logits) == len(told.embedding) == count
        _require(whole, f"{where}: {told.runtime}: must give outputs for each of the {count} patches")
    patches = image.reshape(count, recipe.height_px, recipe.width_px).astype(np.uint8, copy=False)
    return Golden(patches, said.labels, said.tolerance_lsb, said.outputs)


def reference(bundle: Bundle) -> Reference:
    """Decode what live pictures and scores are held against.

    Raises:
        TrustError: it is no such statistics.
    """
    try:
        return reference_of(bundle.reference, bundle.directory / "reference.json")
    except InputError as error:
        raise TrustError(str(error)) from error


def parse(raw: bytes, origin: Path) -> Manifest:
    """Check the text of a manifest that was read from ``origin``.

    Raises:
        TrustError: one line with the key and what was expected.
    """
    manifest = _decode(Manifest, raw, origin)
    _require(
        manifest.format == FORMAT, f"{origin}: format: {manifest.format} is not {FORMAT}, the one this version reads"
    )
    _require(manifest.labels == LABELS, f"{origin}: labels: must be {', '.join(LABELS)}, in this order")
    _require(bool(manifest.name) and bool(manifest.version), f"{origin}: name, version: must not be empty")
    _check_input(manifest, origin)
    _check_outputs(manifest, origin)
    _check_judgement(manifest, origin)
    _check_files(manifest, origin)
    return manifest


def _check_input(manifest: Manifest, origin: Path) -> None:
    recipe, spec = manifest.recipe, manifest.input
    _require(
        32 <= recipe.width_px <= 320 and 32 <= recipe.height_px <= 320, f"{origin}: recipe: sides must be 32 to 320 px"
    )
    _require(0 <= recipe.margin <= 2, f"{origin}: recipe.margin: {recipe.margin} is not 0 to 2")
    _require(
        0 < recipe.min_fraction <= 1,
        f"{origin}: recipe.min_fraction: {recipe.min_fraction} is not above 0 and at most 1",
    )
    _require(1 <= recipe.max_gain <= 64, f"{origin}: recipe.max_gain: {recipe.max_gain} is not 1 to 64")
    expected = (1, recipe.height_px, recipe.width_px, 1)
    _require(spec.shape == expected, f"{origin}: input.shape: {list(spec.shape)} is not the recipe's {list(expected)}")
    near = abs(spec.scale / INPUT_SCALE - 1) <= INPUT_SCALE_TOLERANCE and spec.zero_point == 0
    _require(
        near, f"{origin}: input: scale {spec.scale}, zero point {spec.zero_point} do not mean grey level minus 128"
    )


def _check_outputs(manifest: Manifest, origin: Path) -> None:
    names = tuple(spec.name for spec in manifest.outputs)
    _require(names == ("logits", "embedding"), f"{origin}: outputs: must be logits, embedding, in this order")
    logits, embedding = manifest.outputs
    _require(logits.size == len(LABELS), f"{origin}: outputs: logits: size {logits.size} is not {len(LABELS)}")
    _require(1 <= embedding.size <= 1024, f"{origin}: outputs: embedding: size {embedding.size} is not 1 to 1024")
    for spec in manifest.outputs:
        _require(spec.scale > 0, f"{origin}: outputs: {spec.name}: scale must be above 0")
        _require(-128 <= spec.zero_point <= 127, f"{origin}: outputs: {spec.name}: zero_point is not -128 to 127")


def _check_judgement(manifest: Manifest, origin: Path) -> None:
    calibration, evidence, count = manifest.calibration, manifest.evidence, len(LABELS)
    _require(calibration.temperature > 0, f"{origin}: calibration.temperature: must be above 0")
    _require(len(calibration.bias) == count, f"{origin}: calibration.bias: must have {count} entries")
    shares = evidence.priors
    whole = len(shares) == count and min(shares) > 0 and abs(math.fsum(shares) - 1) < 1e-6
    _require(whole, f"{origin}: evidence.priors: must be {count} shares above 0 that sum to 1")
    _require(
        min(evidence.llr_cap, evidence.prey_llr_cap) > 0, f"{origin}: evidence: llr_cap, prey_llr_cap: must be above 0"
    )
    _require(0 < evidence.discount_floor <= 1, f"{origin}: evidence.discount_floor: is not above 0 and at most 1")
    _require(evidence.discount_scale > 0, f"{origin}: evidence.discount_scale: must be above 0")
    _require(1 <= evidence.min_frames <= 100, f"{origin}: evidence.min_frames: {evidence.min_frames} is not 1 to 100")
    if manifest.identity is not None:
        _require(manifest.identity.slope >= 0, f"{origin}: identity.slope: must be at least 0")
        _require(0 <= manifest.identity.equal_error <= 0.5, f"{origin}: identity.equal_error: is not 0 to 0.5")


def _check_files(manifest: Manifest, origin: Path) -> None:
    names = tuple(spec.name for spec in manifest.files)
    _require(names == FILES, f"{origin}: files: must be {', '.join(FILES)}, in this order")
    for spec in manifest.files:
        digits = len(spec.sha256) == 64 and set(spec.sha256) <= set("0123456789abcdef")
        _require(digits, f"{origin}: files: {spec.name}: sha256 must be 64 hexadecimal digits")
        fits = 1 <= spec.bytes <= MAX_FILE_BYTES
        _require(fits, f"{origin}: files: {spec.name}: {spec.bytes} bytes is not 1 to {MAX_FILE_BYTES}")


def _decode(kind: type[Value], raw: bytes, origin: Path) -> Value:
    try:
        return from_json(kind, raw, origin)
    except InputError as error:
        raise TrustError(str(error)) from error


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise TrustError(otherwise)


def _refuse_strangers(directory: Path) -> None:
    known = {MANIFEST, *FILES}
    for path in sorted(directory.iterdir()):
        _require(path.name in known, f"{path}: does not belong to a bundle; only {', '.join(sorted(known))} do")


def _read(path: Path, max_bytes: int) -> bytes:
    """Read a whole regular file of at most ``max_bytes``, following no link."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise TrustError(f"{path}: must be a plain file that can be read: {error.strerror}") from error
    try:
        status = os.fstat(handle)
        _require(stat.S_ISREG(status.st_mode), f"{path}: must be a plain file")
        _require(status.st_size <= max_bytes, f"{path}: has {status.st_size} bytes; at most {max_bytes} are allowed")
        with open(handle, "rb", closefd=False) as file:
            return file.read(max_bytes + 1)
    finally:
        os.close(handle)


def _verified(path: Path, spec: FileSpec) -> bytes:
    content = _read(path, MAX_FILE_BYTES)
    _require(len(content) == spec.bytes, f"{path}: has {len(content)} bytes; the manifest says {spec.bytes}")
    digest = hashlib.sha256(content).hexdigest()
    _require(digest == spec.sha256, f"{path}: has SHA-256 {digest[:16]}…; the manifest says {spec.sha256[:16]}…")
    return content
