"""A bundle is believed to the last byte or not at all."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import bundle
from edge.bundle import FILES, MANIFEST, factory_directory, golden, load
from edge.errors import TrustError
from edge.identity import IdentitySettings
from edge.messages import LABELS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Table = dict[str, Any]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the factory bundle that a test may spoil."""
    return shutil.copytree(factory_directory(), tmp_path / "bundle")


@pytest.fixture(scope="module")
def shared_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy that every example of a property spoils and puts right again."""
    return shutil.copytree(factory_directory(), tmp_path_factory.mktemp("bundles") / "bundle")


def refusal(directory: Path) -> str:
    """What ``load`` says against a bundle: one line."""
    with pytest.raises(TrustError) as caught:
        load(directory)
    text = str(caught.value)
    assert 1 == len(text.splitlines())
    return text


def test_the_factory_bundle_loads_and_names_itself() -> None:
    """The bundle that ships passes its own verification, and its id covers the manifest's hash."""
    loaded = load(factory_directory())
    digest = hashlib.sha256((factory_directory() / MANIFEST).read_bytes()).hexdigest()
    assert f"{loaded.manifest.name} {loaded.manifest.version} {digest[:8]}" == loaded.model_id
    assert tuple(LABELS) == loaded.manifest.labels


def test_the_bytes_that_were_hashed_are_the_bytes_that_run() -> None:
    """The model in the bundle has the hash that the manifest states, without a second look at the disk."""
    loaded = load(factory_directory())
    assert loaded.manifest.files[0].sha256 == hashlib.sha256(loaded.model).hexdigest()


@settings(max_examples=60)
@given(name=st.sampled_from(FILES), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_found(shared_copy: Path, name: str, where: float, bit: int) -> None:
    """One flipped bit in any file is a TrustError that names the file."""
    path = shared_copy / name
    right = path.read_bytes()
    wrong = bytearray(right)
    wrong[int(where * len(wrong))] ^= 1 << bit
    path.write_bytes(wrong)
    try:
        assert name in refusal(shared_copy)
    finally:
        path.write_bytes(right)


@settings(max_examples=40)
@given(name=st.sampled_from(FILES), keep=st.floats(0, 1, exclude_max=True))
def test_any_missing_end_is_found(shared_copy: Path, name: str, keep: float) -> None:
    """A file that was cut off anywhere is a TrustError that names the file and both lengths."""
    path = shared_copy / name
    right = path.read_bytes()
    path.write_bytes(right[: int(keep * len(right))])
    try:
        assert f"the manifest says {len(right)}" in refusal(shared_copy)
    finally:
        path.write_bytes(right)


@settings(max_examples=80)
@given(where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_damaged_manifest_never_ends_in_anything_but_trust_error(shared_copy: Path, where: float, bit: int) -> None:
    """A flipped bit in the manifest is refused, or gives a bundle with another id: never a traceback."""
    path = shared_copy / MANIFEST
    right, known = path.read_bytes(), load(factory_directory()).model_id
    wrong = bytearray(right)
    wrong[int(where * len(wrong))] ^= 1 << bit
    path.write_bytes(wrong)
    try:
        assert known != load(shared_copy).model_id
    except TrustError as error:
        assert MANIFEST in str(error) or any(name in str(error) for name in FILES)  # noqa: PT017 - either answer is right
    finally:
        path.write_bytes(right)


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
def test_a_missing_file_is_named(copied: Path, name: str) -> None:
    """Each file of the bundle must be there."""
    (copied / name).unlink()
    assert name in refusal(copied)


@pytest.mark.parametrize("name", [MANIFEST, *FILES])
def test_a_link_is_refused(copied: Path, name: str) -> None:
    """A file may not be a link, even to the right content: what it leads to can change after the check."""
    (copied / name).unlink()
    (copied / name).symlink_to(factory_directory() / name)
    assert name in refusal(copied)


def test_a_directory_in_the_place_of_a_file_is_refused(copied: Path) -> None:
    """What is no plain file is no file of a bundle."""
    (copied / "golden.png").unlink()
    (copied / "golden.png").mkdir()
    assert "golden.png" in refusal(copied)


def test_a_stranger_is_refused(copied: Path) -> None:
    """A file that the manifest does not know has no business in a bundle."""
    (copied / "run_me.py").write_text("pass", encoding="utf-8")
    assert "run_me.py" in refusal(copied)


def test_an_oversized_manifest_is_refused_before_it_is_read(copied: Path) -> None:
    """A manifest above its limit is refused by its size."""
    (copied / MANIFEST).write_bytes(b" " * (bundle.MAX_MANIFEST_BYTES + 1))
    assert f"at most {bundle.MAX_MANIFEST_BYTES}" in refusal(copied)


def _set(*keys: str | int, to: object) -> Callable[[Table], None]:
    def change(table: Table) -> None:
        place: Any = table
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_set("format", to=2), "format"),
        (_set("surprise", to=1), "table of format, name"),
        (lambda table: table.pop("name"), "table of format, name"),
        (_set("name", to=""), "name"),
        (_set("version", to=1), "version"),
        (lambda table: table["labels"].reverse(), "labels"),
        (_set("labels", 0, to="dog"), "labels"),
        (_set("recipe", "width_px", to=12), "recipe"),
        (_set("recipe", "width_px", to=168), "input.shape"),
        (_set("recipe", "width_px", to=True), "width_px"),
        (_set("recipe", "margin", to=-0.1), "margin"),
        (_set("recipe", "min_fraction", to=0), "min_fraction"),
        (_set("recipe", "max_gain", to=0.5), "max_gain"),
        (_set("input", "shape", to=[1, 96, 128, 3]), "input.shape"),
        (_set("input", "scale", to=1 / 255), "grey level minus 128"),
        (_set("input", "zero_point", to=-128), "grey level minus 128"),
        (lambda table: table["outputs"].reverse(), "outputs"),
        (_set("outputs", 0, "size", to=5), "logits"),
        (_set("outputs", 1, "size", to=0), "embedding"),
        (_set("outputs", 0, "scale", to=0.0), "scale"),
        (_set("outputs", 0, "zero_point", to=128), "zero_point"),
        (_set("calibration", "temperature", to=0), "temperature"),
        (_set("calibration", "bias", to=[0.0]), "bias"),
        (_set("evidence", "priors", to=[0.5, 0.1, 0.1, 0.1, 0.1, 0.2]), "priors"),
        (_set("evidence", "priors", to=[0.0, 0.2, 0.2, 0.2, 0.2, 0.2]), "priors"),
        (_set("evidence", "llr_cap", to=0), "llr_cap"),
        (_set("evidence", "discount_floor", to=1.5), "discount_floor"),
        (_set("evidence", "discount_scale", to=0), "discount_scale"),
        (_set("evidence", "min_frames", to=0), "min_frames"),
        (lambda table: table["files"].pop(), "files"),
        (_set("files", 0, "name", to="../model.tflite"), "files"),
        (_set("files", 0, "sha256", to="abc"), "sha256"),
        (_set("files", 0, "bytes", to=bundle.MAX_FILE_BYTES + 1), "bytes"),
        (_set("metrics", to="good"), "metrics"),
    ],
)
def test_a_manifest_that_means_nothing_is_refused(copied: Path, change: Callable[[Table], None], said: str) -> None:
    """Every value has its bounds; what lies outside is named with the manifest."""
    table = json.loads((copied / MANIFEST).read_text(encoding="utf-8"))
    change(table)
    (copied / MANIFEST).write_text(json.dumps(table), encoding="utf-8")
    text = refusal(copied)
    assert MANIFEST in text
    assert said in text


@pytest.mark.parametrize("raw", [b"", b"[]", b"\xff", b"{", b"[" * 100_000, b'{"format": NaN}'])
def test_what_is_no_manifest_at_all_is_refused(copied: Path, raw: bytes) -> None:
    """Empty, foreign, truncated and deeply nested text: one line, no traceback."""
    (copied / MANIFEST).write_bytes(raw)
    assert MANIFEST in refusal(copied)


def test_the_golden_set_fits_the_recipe() -> None:
    """Golden patches have the recipe's size, and each runtime's word for every one of them is kept."""
    loaded = load(factory_directory())
    kept = golden(loaded)
    recipe = loaded.manifest.recipe
    assert (len(kept.labels), recipe.height_px, recipe.width_px) == kept.patches.shape
    assert loaded.manifest.runtimes == tuple(told.runtime for told in kept.outputs)


def _swapped(copied: Path, name: str, content: bytes) -> None:
    """Exchange a file and make the manifest agree, as a careless maker would."""
    (copied / name).write_bytes(content)
    table = json.loads((copied / MANIFEST).read_text(encoding="utf-8"))
    table["files"][FILES.index(name)] |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (copied / MANIFEST).write_text(json.dumps(table), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("golden.png", b"no picture"),
        ("golden.json", b"{}"),
        ("golden.json", b'{"tolerance_lsb": 1, "labels": ["empty"], "outputs": []}'),
    ],
)
def test_a_golden_set_that_does_not_fit_is_refused(copied: Path, name: str, content: bytes) -> None:
    """Right hashes do not make a golden set: picture, labels and outputs must belong together."""
    _swapped(copied, name, content)
    with pytest.raises(TrustError, match="golden"):
        golden(load(copied))


def test_a_manifest_may_say_what_a_likeness_is_worth() -> None:
    """What was measured of a model travels with it; a bundle made before that has nothing, and nonsense is refused."""
    raw = json.loads((factory_directory() / MANIFEST).read_text())
    raw.pop("identity", None)
    without = bundle.parse(json.dumps(raw).encode(), factory_directory()).identity
    raw["identity"] = {"midpoint": 4.0, "slope": 2.5, "equal_error": 0.02, "visits": 80}
    told = bundle.parse(json.dumps(raw).encode(), factory_directory()).identity
    assert (None, IdentitySettings(4.0, 2.5, 0.02, 80)) == (without, told)
    raw["identity"]["slope"] = -1.0
    with pytest.raises(TrustError, match="slope: must be at least 0"):
        bundle.parse(json.dumps(raw).encode(), factory_directory())
