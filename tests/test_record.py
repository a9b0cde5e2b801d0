"""The record: what was written is what is read, and what was not written by us is refused in one line."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from visits_made import observation, plain, scores, visit_of, visits, with_pictures

from edge.errors import InputError
from edge.messages import Box, KeyFrame, Label, Patch
from edge.record import MAX_VISIT_BYTES, read_record, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.messages import Visit

CLEAR = scores(Label.CAT_CLEAR, 0.9)
VISIT = with_pictures(visit_of(CLEAR, None, CLEAR))
WIDE = Patch(np.broadcast_to(np.uint8(0), (9000, 8000)), Box(0, 0, 1, 1))


def written(visit: Visit, directory: Path) -> Path:
    """Write a visit's record into a directory of its own."""
    directory.mkdir(parents=True)
    for file in write_record(visit, "random"):
        (directory / file.name).write_bytes(file.data)
    return directory


@given(visit=visits())
@settings(max_examples=60)
def test_reading_returns_everything_that_was_written(visit: Visit) -> None:
    """A visit read from its record equals the visit in every number and every pixel of every patch."""
    with tempfile.TemporaryDirectory() as directory:
        assert plain(visit) == plain(read_record(written(visit, Path(directory) / "r")))


def test_the_longest_visit_fits_a_record(tmp_path: Path) -> None:
    """Three hundred full-size patches are stacked into one lossless picture and come back bit for bit."""
    seen = tuple(observation(seq, CLEAR, 120, 160) for seq in range(300))
    visit = replace(visit_of(), observations=seen)
    directory = written(visit, tmp_path / "r")
    stacked = cv2.imread(str(directory / "patches.png"), cv2.IMREAD_UNCHANGED)
    assert (300 * 120, 160) == stacked.shape
    assert plain(visit) == plain(read_record(directory))


def test_each_observation_names_its_row() -> None:
    """A frame without a patch takes no row of the stack, the next one with a patch takes the next."""
    document = json.loads(write_record(VISIT, "random")[0].data)
    rows = [entry["patch"] and entry["patch"]["row"] for entry in document["observations"]]
    assert [0, None, 1] == rows


def test_a_visit_without_evidence_has_no_stack(tmp_path: Path) -> None:
    """Where no frame had a patch there is no patches.png, and the record is whole without it."""
    visit = visit_of(None, None)
    directory = written(visit, tmp_path / "r")
    assert ["visit.json"] == [path.name for path in directory.iterdir()]
    assert plain(visit) == plain(read_record(directory))


def test_key_frames_are_numbered_jpegs_named_for_their_moment(tmp_path: Path) -> None:
    """A key frame's file says its number and its moment, and holds nearly the same picture."""
    image = np.full((24, 32, 3), 77, np.uint8)
    visit = replace(visit_of(CLEAR), key_frames=(KeyFrame("first", 0, image), KeyFrame("../Prey!", 4, image)))
    directory = written(visit, tmp_path / "r")
    assert ["00_first.jpg", "01____prey_.jpg"] == sorted(path.name for path in directory.glob("*.jpg"))
    read = read_record(directory).key_frames[1]
    assert ("../Prey!", 4) == (read.why, read.seq)
    assert int(np.abs(read.image.astype(int) - image).max()) <= 2


def test_a_record_of_the_first_format_is_still_read(tmp_path: Path) -> None:
    """Before residents had rules, a chip made one and nobody was known by its looks: such a record reads so."""
    directory = written(VISIT, tmp_path / "r")
    document = json.loads((directory / "visit.json").read_text())
    document["format"] = 1
    document["rules"]["residents"] = {"by_chip": [["276098106543210", "Mia"]], "any_cat": False}
    for entry in document["observations"]:
        del entry["likeness"]
    (directory / "visit.json").write_text(json.dumps(document))
    assert plain(VISIT) == plain(read_record(directory))


@pytest.mark.parametrize(
    ("visit", "complaint"),
    [
        (visit_of(visit_id="../up"), "id"),
        (visit_of(visit_id=""), "id"),
        (visit_of(visit_id="a" * 65), "id"),
        (replace(visit_of(), bolt_s=float("nan")), "not finite"),
        (replace(visit_of(), observations=(observation(0, CLEAR), observation(1, CLEAR, 3, 3))), "differ"),
        (replace(visit_of(), observations=(replace(observation(0, CLEAR), patch=WIDE),)), "pixels"),
        (replace(visit_of(), key_frames=(KeyFrame("first", 0, np.zeros((0, 0), np.uint8)),)), "cannot be written"),
    ],
)
def test_what_cannot_be_recorded_is_refused(visit: Visit, complaint: str) -> None:
    """A visit that could not be read back is refused when it is written, with the cause."""
    with pytest.raises(InputError, match=complaint):
        write_record(visit, "random")


def edited(**changes: object) -> Callable[[Path], None]:
    """Return a damage: these keys of visit.json set to these values."""

    def damage(directory: Path) -> None:
        path = directory / "visit.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return damage


def edited_at(*keys: str | int, value: object) -> Callable[[Path], None]:
    """Return a damage: one value deep in visit.json replaced."""

    def damage(directory: Path) -> None:
        path = directory / "visit.json"
        document: Any = json.loads(path.read_text())
        table = document
        for key in keys[:-1]:
            table = table[key]
        table[keys[-1]] = value
        path.write_text(json.dumps(document))

    return damage


def rewritten(name: str, change: Callable[[bytes], bytes], *keys: str | int) -> Callable[[Path], None]:
    """Return a damage: a file changed, and with ``keys`` its hash in visit.json made to match."""

    def damage(directory: Path) -> None:
        import hashlib  # noqa: PLC0415 - one liar's tool

        data = change((directory / name).read_bytes())
        (directory / name).write_bytes(data)
        if keys:
            edited_at(*keys, value=hashlib.sha256(data).hexdigest())(directory)

    return damage


def removed(name: str) -> Callable[[Path], None]:
    """Return a damage: a file gone."""
    return lambda directory: (directory / name).unlink()


def half(data: bytes) -> bytes:
    """Cut a file off in the middle."""
    return data[: len(data) // 2]


def bomb(data: bytes) -> bytes:
    """Say in a PNG's header that it is forty thousand pixels wide and high."""
    return data[:16] + (40000).to_bytes(4, "big") * 2 + data[24:]


def huge(data: bytes) -> bytes:
    """Say in a JPEG's frame header that it is 65535 pixels wide and high."""
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + b"\xff\xff\xff\xff" + data[at + 9 :]


DAMAGES = {
    "no visit.json": (removed("visit.json"), "missing"),
    "no patches": (removed("patches.png"), "missing"),
    "no picture": (removed("00_moment_0.jpg"), "missing"),
    "visit.json cut off": (rewritten("visit.json", half), "not JSON"),
    "visit.json binary": (rewritten("visit.json", lambda _: b"\xff\xfe\x00"), "not JSON"),
    "visit.json nested": (rewritten("visit.json", lambda _: b"[" * 100_000), "not JSON"),
    "visit.json a list": (rewritten("visit.json", lambda _: b"[]"), "a table of"),
    "visit.json oversized": (rewritten("visit.json", lambda d: d + b" " * MAX_VISIT_BYTES), "larger"),
    "patches cut off": (rewritten("patches.png", half), "SHA-256"),
    "patches cut off, hash forged": (rewritten("patches.png", half, "patches", "sha256"), "cannot be decoded|no grey"),
    "patches no PNG": (rewritten("patches.png", lambda _: b"GIF89a", "patches", "sha256"), "no grey 8-bit PNG"),
    "patches a bomb": (rewritten("patches.png", bomb, "patches", "sha256"), "no grey 8-bit PNG"),
    "picture foreign": (rewritten("00_moment_0.jpg", lambda _: b"GIF89a"), "SHA-256"),
    "picture no JPEG": (rewritten("00_moment_0.jpg", lambda _: b"GIF89a", "key_frames", 0, "sha256"), "no JPEG"),
    "picture a bomb": (rewritten("00_moment_0.jpg", huge, "key_frames", 0, "sha256"), "no JPEG"),
    "picture elsewhere": (edited_at("key_frames", 0, "file", value="../00_moment_0.jpg"), "no key frame's name"),
    "unknown key": (edited(surprise=1), "a table of"),
    "other format": (edited(format=3), "format 3"),
    "first format, other keys": (edited(format=1), "no form that is known"),
    "id a path": (edited(visit_id="../../etc"), "no visit's name"),
    "other labels": (edited(labels=["empty"]), "in this order"),
    "no date": (edited(started="yesterday"), "ISO 8601"),
    "date without zone": (edited(started="2026-03-01T04:05:06"), "offset"),
    "number as text": (edited(bolt_s="2.5"), "a number"),
    "number too great": (edited(bolt_s=10**400), "a finite number"),
    "flag as number": (edited(flap_opened=1), "true or false"),
    "number as flag": (edited_at("verdict", "at_ns", value=True), "a whole number"),
    "unknown verdict": (edited_at("verdict", "kind", value="maybe"), "one of admit"),
    "verdict a list": (edited_at("verdict", "kind", value=["admit"]), "one of admit"),
    "chips no list": (edited(chips={}), "a list"),
    "residents no list": (edited_at("rules", "residents", "cats", value="Mia"), "a list"),
    "likeness of more": (edited_at("observations", 0, "likeness", value=[1.0, 2.0]), "neither 0 nor 1"),
    "row outside the stack": (edited_at("observations", 0, "patch", "row", value=2), "row 2"),
    "too few probabilities": (edited_at("observations", 0, "scores", "probabilities", value=[1.0]), "probabilities"),
    "stack without patches": (edited_at("patches", "count", value=0), "not from 1"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_or_foreign_record_is_named_in_one_line(name: str, tmp_path: Path) -> None:
    """Whatever is wrong with a record, reading it raises one line that names the file and the cause."""
    damage, complaint = DAMAGES[name]
    directory = written(VISIT, tmp_path / "r")
    damage(directory)
    with pytest.raises(InputError, match=complaint) as raised:
        read_record(directory)
    assert str(directory) in str(raised.value)
    assert 1 == len(str(raised.value).splitlines())
