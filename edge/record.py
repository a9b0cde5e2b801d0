"""A visit as files and back: ``visit.json``, ``patches.png`` and a few key frames. Floor 2.

Everything a verdict was derived from is kept exactly: numbers as text that reads back as the same float, the model's
inputs losslessly. Only the key frames, which are for people, lose detail as JPEG. A record is read as if it came from a
stranger: sizes are bounded before anything is decoded, hashes are checked, keys and types must be those written here.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge.codec import from_json, to_json
from edge.errors import InputError
from edge.messages import (
    LABELS,
    Box,
    ChipRead,
    Grey,
    Image,
    KeyFrame,
    Label,
    Motion,
    Needs,
    Observation,
    Patch,
    Quality,
    Rules,
    Scores,
    Verdict,
    Visit,
)

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2
"""Since 2 each resident has its rules and each observation its likeness; records of format 1 are read as well."""
VISIT_FILE = "visit.json"
PATCHES_FILE = "patches.png"
JPEG_QUALITY = 85

MAX_VISIT_BYTES = 16 * 2**20
MAX_PICTURE_BYTES = 64 * 2**20
MAX_PATCHES_PIXELS = 64 * 2**20  # all patches of a visit together: more than ten times the longest visit
MAX_PATCHES_ROWS = 2**20  # what OpenCV reads at most
MAX_KEY_FRAME_PIXELS = 2**25  # an 8K picture

_VISIT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_KEY_FRAME_FILE = re.compile(r"\d{2,4}_[a-z0-9_]{1,32}\.jpg")
_PNG_HEAD = struct.Struct(">8s4x4sIIBB")  # signature, IHDR: width, height, bit depth, colour type (PNG, section 11.2.1)
_JPEG_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOFn (ITU-T T.81, table B.1)


@dataclass(frozen=True, slots=True)
class RecordFile:
    """One file of a record."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Stack:
    """``patches.png``: ``count`` patches of the same size, grey, the first on top."""

    sha256: str
    count: int
    width_px: int
    height_px: int


@dataclass(frozen=True, slots=True)
class _Picture:
    """One key frame."""

    file: str
    sha256: str
    why: str
    seq: int


@dataclass(frozen=True, slots=True)
class _Cut:
    """Which patch of the stack, counted from 0 at the top, and what it was cut from."""

    row: int
    box: Box


@dataclass(frozen=True, slots=True)
class _Seen:
    """An observation, with its patch's place in the stack instead of the pixels."""

    seq: int
    at_ns: int
    motion: Motion
    quality: Quality
    patch: _Cut | None
    scores: Scores | None
    likeness: tuple[float, ...]
    second: Scores | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    """``visit.json``, key by key. ``labels`` is the order of the probabilities, ``rule`` why it was kept."""

    format: int
    visit_id: str
    started: str
    duration_s: float
    rule: str
    rules: Rules
    verdict: Verdict
    owner_label: Label | None
    model_id: str
    runtime: str
    config_hash: str
    bolt_s: float
    flap_opened: bool
    chips: tuple[ChipRead, ...]
    labels: tuple[Label, ...]
    patches: _Stack | None
    key_frames: tuple[_Picture, ...]
    observations: tuple[_Seen, ...]


def is_visit_id(text: str) -> bool:
    """Return whether a visit may be called so: its id becomes a directory's name."""
    return _VISIT_ID.fullmatch(text) is not None


def write_record(visit: Visit, rule: str) -> tuple[RecordFile, ...]:
    """Return the files of a visit's record, ``visit.json`` first; ``rule`` says why it is kept.

    Raises:
        InputError: the visit cannot be recorded: its id is no file name, its patches differ in size or are too many,
            a picture is none, or a number is not finite.
    """
    if not is_visit_id(visit.visit_id):
        raise InputError(f"visit {visit.visit_id!r}: an id is 1 to 64 letters, digits or _.- and begins with no sign")
    patches = [entry.patch.pixels for entry in visit.observations if entry.patch is not None]
    stack_file = _stack_file(patches)
    pictures = [_picture_file(number, entry) for number, entry in enumerate(visit.key_frames)]
    document = _document(visit, rule, _stack(patches, stack_file), _pictures(visit.key_frames, pictures))
    stacked = [] if stack_file is None else [stack_file]
    return (RecordFile(VISIT_FILE, to_json(document)), *stacked, *pictures)


def read_record(directory: Path) -> Visit:
    """Return the visit ``write_record`` wrote; its key frames as JPEG left them.

    Raises:
        InputError: one line: what is missing, truncated, oversized, foreign or not what its hash says.
    """
    path = directory / VISIT_FILE
    document = from_json(_Document, _read(path, MAX_VISIT_BYTES), path, _upgraded)
    _check(document, path)
    patches = _read_patches(directory / PATCHES_FILE, document.patches)
    residents = len(document.rules.residents.cats)
    return Visit(
        visit_id=document.visit_id,
        started=_started(document, path),
        duration_s=document.duration_s,
        observations=tuple(_observation(entry, patches, residents, path) for entry in document.observations),
        chips=document.chips,
        rules=document.rules,
        verdict=document.verdict,
        key_frames=tuple(_read_key_frame(directory, entry) for entry in document.key_frames),
        bolt_s=document.bolt_s,
        flap_opened=document.flap_opened,
        model_id=document.model_id,
        runtime=document.runtime,
        config_hash=document.config_hash,
        owner_label=document.owner_label,
    )


def _document(visit: Visit, rule: str, stack: _Stack | None, pictures: tuple[_Picture, ...]) -> _Document:
    return _Document(
        format=FORMAT,
        visit_id=visit.visit_id,
        started=visit.started.astimezone(UTC).isoformat(),
        duration_s=visit.duration_s,
        rule=rule,
        rules=visit.rules,
        verdict=visit.verdict,
        owner_label=visit.owner_label,
        model_id=visit.model_id,
        runtime=visit.runtime,
        config_hash=visit.config_hash,
        bolt_s=visit.bolt_s,
        flap_opened=visit.flap_opened,
        chips=visit.chips,
        labels=LABELS,
        patches=stack,
        key_frames=pictures,
        observations=_seen(visit.observations),
    )


def _seen(observations: tuple[Observation, ...]) -> tuple[_Seen, ...]:
    seen, row = [], 0
    for entry in observations:
        cut = None
        if entry.patch is not None:
            cut, row = _Cut(row, entry.patch.box), row + 1
        told = (entry.motion, entry.quality, cut, entry.scores, entry.likeness, entry.second)
        seen.append(_Seen(entry.seq, entry.at_ns, *told))
    return tuple(seen)


def _upgraded(document: Any) -> object:  # noqa: ANN401 - JSON that was not looked at yet
    """Bring a document of format 1 to today's form: there a chip made a resident, and nobody was known by its looks."""
    if not isinstance(document, dict) or document.get("format") != 1:
        return document
    residents = document["rules"]["residents"]
    cats = [
        {"name": name, "chip": chip, "needs": Needs.CHIP, "prey_check": True} for chip, name in residents["by_chip"]
    ]
    document["rules"]["residents"] = {"cats": cats, "any_cat": residents["any_cat"]}
    document["observations"] = [{**entry, "likeness": []} for entry in document["observations"]]
    return {**document, "format": FORMAT}


def _stack_file(patches: list[Grey]) -> RecordFile | None:
    if not patches:
        return None
    if len({pixels.shape for pixels in patches}) > 1:
        raise InputError("a visit's patches must all have the size its model takes; these differ")
    height, width = patches[0].shape
    _check_size(len(patches), width, height, "the visit's patches")
    return RecordFile(PATCHES_FILE, _encode(".png", np.vstack(patches), []))


def _stack(patches: list[Grey], file: RecordFile | None) -> _Stack | None:
    if file is None:
        return None
    height, width = patches[0].shape
    return _Stack(_sha256(file.data), len(patches), width, height)


def _check_size(count: int, width_px: int, height_px: int, what: str) -> None:
    rows = count * height_px
    if min(count, width_px, height_px) < 1 or rows > MAX_PATCHES_ROWS or rows * width_px > MAX_PATCHES_PIXELS:
        raise InputError(
            f"{what}: {count} of {width_px} x {height_px} pixels is not from 1 to"
            f" {MAX_PATCHES_ROWS} rows and {MAX_PATCHES_PIXELS} pixels in all"
        )


def _picture_file(number: int, key_frame: KeyFrame) -> RecordFile:
    why = re.sub(r"[^a-z0-9_]", "_", key_frame.why.lower())[:32] or "_"
    data = _encode(".jpg", key_frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return RecordFile(f"{number:02d}_{why}.jpg", data)


def _pictures(key_frames: tuple[KeyFrame, ...], files: list[RecordFile]) -> tuple[_Picture, ...]:
    pairs = zip(key_frames, files, strict=True)
    return tuple(_Picture(file.name, _sha256(file.data), entry.why, entry.seq) for entry, file in pairs)


def _encode(suffix: str, image: Image, options: list[int]) -> bytes:
    try:
        return cv2.imencode(suffix, image, options)[1].tobytes()
    except cv2.error as error:
        raise InputError(f"an image of shape {image.shape} cannot be written as {suffix}") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _read(path: Path, limit_bytes: int) -> bytes:
    try:
        if not path.is_file():
            raise InputError(f"{path}: is missing, or is no file")
        with path.open("rb") as file:
            data = file.read(limit_bytes + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > limit_bytes:
        raise InputError(f"{path}: is larger than the {limit_bytes} bytes such a file may have")
    return data


def _read_hashed(path: Path, sha256: str) -> bytes:
    data = _read(path, MAX_PICTURE_BYTES)
    if _sha256(data) != sha256:
        raise InputError(f"{path}: is not the file {VISIT_FILE} was written with (its SHA-256 differs)")
    return data


def _check(document: _Document, path: Path) -> None:
    if document.format != FORMAT:
        raise InputError(f"{path}: format {document.format} is not {FORMAT}, the one this version reads")
    if not is_visit_id(document.visit_id):
        raise InputError(f"{path}: visit_id: {document.visit_id!r} is no visit's name")
    if document.labels != LABELS:
        raise InputError(f"{path}: labels: must be {', '.join(LABELS)}, in this order")


def _started(document: _Document, path: Path) -> datetime:
    try:
        started = datetime.fromisoformat(document.started)
    except ValueError as error:
        raise InputError(f"{path}: started: {document.started!r} is no ISO 8601 date and time") from error
    if started.utcoffset() is None:
        raise InputError(f"{path}: started: {document.started!r} must say its offset from UTC")
    return started.astimezone(UTC)


def _read_patches(path: Path, stack: _Stack | None) -> tuple[Grey, ...]:
    """Return the patches, uint8, (height, width) each, in the order they were seen."""
    if stack is None:
        return ()
    data = _read_hashed(path, stack.sha256)
    _check_size(stack.count, stack.width_px, stack.height_px, str(path))
    rows = stack.count * stack.height_px
    head = _PNG_HEAD.unpack_from(data.ljust(_PNG_HEAD.size, b"\0"))
    if head != (b"\x89PNG\r\n\x1a\n", b"IHDR", stack.width_px, rows, 8, 0):
        raise InputError(f"{path}: is no grey 8-bit PNG of {stack.width_px} x {rows} pixels")
    return tuple(np.vsplit(_decode(data, path), stack.count))


def _read_key_frame(directory: Path, picture: _Picture) -> KeyFrame:
    if not _KEY_FRAME_FILE.fullmatch(picture.file):
        raise InputError(f"{directory / VISIT_FILE}: key_frames: {picture.file!r} is no key frame's name")
    path = directory / picture.file
    data = _read_hashed(path, picture.sha256)
    if not 0 < _jpeg_pixels(data) <= MAX_KEY_FRAME_PIXELS:
        raise InputError(f"{path}: is no JPEG of 1 to {MAX_KEY_FRAME_PIXELS} pixels")
    return KeyFrame(picture.why, picture.seq, _decode(data, path))


def _jpeg_pixels(data: bytes) -> int:
    """Return width times height as the frame header says (ITU-T T.81, B.2.2), without decoding; 0 if there is none."""
    at = 2
    while data[:2] == b"\xff\xd8" and at + 9 <= len(data) and data[at] == 0xFF:
        if data[at + 1] in _JPEG_FRAME_MARKERS:
            return int.from_bytes(data[at + 5 : at + 7], "big") * int.from_bytes(data[at + 7 : at + 9], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return 0


def _decode(data: bytes, path: Path) -> Image:
    """Return uint8 pixels, (height, width) or (height, width, 3)."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    # A cut-off or damaged image makes OpenCV return None, whatever its stub says.
    if not isinstance(image, np.ndarray):
        raise InputError(f"{path}: cannot be decoded")
    return image.astype(np.uint8, copy=False)


def _observation(seen: _Seen, patches: tuple[Grey, ...], residents: int, path: Path) -> Observation:
    patch = None
    if seen.patch is not None:
        if not 0 <= seen.patch.row < len(patches):
            raise InputError(
                f"{path}: observations: row {seen.patch.row} of {PATCHES_FILE} is not from 0 to {len(patches)}"
            )
        patch = Patch(patches[seen.patch.row], seen.patch.box)
    for scores in (seen.scores, seen.second):
        if scores is not None and len(scores.probabilities) != len(LABELS):
            raise InputError(f"{path}: observations: {len(scores.probabilities)} probabilities are not {len(LABELS)}")
    if len(seen.likeness) not in (0, residents):
        raise InputError(f"{path}: observations: {len(seen.likeness)} likenesses are neither 0 nor {residents}")
    told = (seen.motion, seen.quality, patch, seen.scores, seen.likeness, seen.second)
    return Observation(seen.seq, seen.at_ns, *told)
