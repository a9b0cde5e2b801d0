"""Check an imagefolder before anything is learnt from it; show a person the labels that a model doubts most.

    python tools/check_data.py DIR
    python tools/check_data.py DIR --suspects 40 --sheet suspects.png

Every finding is one line: where, what is wrong, what to do. Exit 0: none; 1: findings; 2: not an imagefolder at all.
Suspects are no findings: a model that is sure and wrong looks the same as a label that is wrong, so a person decides.
A model doubts pictures that it has learnt from less than it should.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
from dataset import PARTIAL, DataSetError, allowed_by, parts
from rows import CARD_FIELDS, UNLABELLED

from edge.adapters.images import read_image
from edge.assembly import load_model
from edge.errors import CatflapError, InputError
from edge.features import extract, whole
from edge.messages import LABELS, Label
from edge.replay import grey_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from edge.messages import Grey, Image, Scores

Reals = npt.NDArray[np.float32]

# Measured on the 6,500 development photographs, over the pairs that lie in different parts. The hash alone cannot tell:
# a camera that never moves, and one cat, give pairs of *different* nights in `tunnel` at every distance (94 at 0, 502
# at 1, 1,193 at 2, 7,932 at 6; 21,157 up to 6). Of the 37 other pairs up to 6 a person calls six one picture (the same
# file, recompressed, with noise, with a word written on it); they lie at 0 to 5, two different stop signs lie at 3.
# So the hash proposes, generously, and the picture's own detail decides: how alike the Laplacians of the two at 32x24
# pixels are, -1..1. The six have 0.949 to 1, the stop signs 0.70, the rest at most 0.12; of the 21,157 pairs of
# different nights two have more than 0.94 (0.951 and 0.958), and a person has to look at those.
MAX_DISTANCE_BITS = 6
MIN_DETAIL = 0.94
DETAIL_SIZE_PX = (32, 24)
BLOCK = 512  # pictures compared with all others at a time: 512 rows of 6,500 distances are 13 MB

COLUMNS, TILE_WIDTH_PX, TILE_HEIGHT_PX, CAPTION_PX = 4, 320, 240, 56


class Kind(StrEnum):
    """What a finding is about."""

    ROW = "row"  # a line that is no row
    MISSING = "missing"
    OUTSIDE = "outside"
    UNREADABLE = "unreadable"
    TWICE = "twice"  # two rows for one file
    LABEL = "label"
    CARD = "card"  # a field that a model's card needs
    NO_VISITS = "no_visits"
    EMPTY_CLASS = "empty_class"
    HOMES = "homes"  # one visit in several homes
    COPY = "copy"  # the same bytes in several parts
    NEAR_COPY = "near_copy"
    CONTRADICTION = "contradiction"  # the same bytes under labels that exclude each other


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. The three texts are one line each."""

    kind: Kind
    where: str
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Row:
    """One line of ``metadata.jsonl``, counted from 1; ``visit`` and ``taken`` are empty where it names none.

    ``lacks`` are the fields of ``CARD_FIELDS`` that it leaves out.
    """

    line: int
    file_name: str
    label: str
    home: str
    visit: str
    taken: str
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What is kept of a picture that could be read.

    ``bits`` are the 64 of its difference hash as -1 and 1, ``detail`` is its Laplacian, flattened, of unit length.
    """

    row: Row
    part: str
    sha256: str
    bits: Reals
    detail: Reals


@dataclass(frozen=True, slots=True)
class Suspect:
    """A picture whose label the model doubts: the ``probability`` it gives the label, 0..1, and its own word."""

    file_name: str
    label: str
    probability: float
    said: Label
    said_probability: float


def main(arguments: list[str]) -> int:
    """Run; see above for the exit status."""
    options = _parser().parse_args(arguments)
    try:
        findings = check(options.folder)
        suspects = rank(options.folder, options.bundle)[: options.suspects] if options.suspects else ()
    except (DataSetError, CatflapError) as error:
        print(f"check_data: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(json.dumps(dataclasses.asdict(finding)) if options.json else line_of(finding))
    for suspect in suspects:
        print(json.dumps({"kind": "suspect", **dataclasses.asdict(suspect)}) if options.json else caption(suspect))
    if suspects and not cv2.imwrite(str(options.sheet), contact_sheet(options.folder, suspects)):
        print(f"check_data: {options.sheet}: cannot be written; name a place with --sheet", file=sys.stderr)
        return 2
    return 1 if findings else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR", help="an imagefolder with metadata.jsonl")
    parser.add_argument("--json", action="store_true", help="one object a line")
    parser.add_argument("--suspects", type=at_least_one, metavar="N", help="rank the N labels the model doubts most")
    parser.add_argument("--bundle", default="factory", help="whose model is asked: factory, or a directory")
    parser.add_argument("--sheet", type=Path, default=Path("suspects.png"), metavar="FILE", help="their contact sheet")
    return parser


def at_least_one(text: str) -> int:
    """Return a number from the command line; raises ValueError, of which argparse makes a sentence."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def line_of(finding: Finding) -> str:
    """Return a finding for people."""
    return f"{finding.where}: {finding.what}; {finding.remedy}"


def check(folder: Path) -> tuple[Finding, ...]:
    """Return everything that is wrong with an imagefolder; reads every picture once.

    Raises:
        DataSetError: ``metadata.jsonl`` cannot be read.
    """
    rows, torn = read_rows(folder)
    looks, unusable = look(folder, rows)
    return (
        *torn,
        *_wrong_labels(rows),
        *_cards(rows),
        *_empty_classes(rows),
        *_visits(rows),
        *_twice(folder, rows),
        *unusable,
        *_copies(looks),
        *_near_copies(looks),
    )


def read_rows(folder: Path) -> tuple[tuple[Row, ...], tuple[Finding, ...]]:
    """Return the rows of ``metadata.jsonl``, and a finding for each line that is none.

    Raises:
        DataSetError: it cannot be read.
    """
    path = folder / "metadata.jsonl"
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise DataSetError(f"{path}: cannot be read ({error}); DIR must be an imagefolder") from error
    read = [_row(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    return tuple(row for row in read if isinstance(row, Row)), tuple(row for row in read if isinstance(row, Finding))


def _row(number: int, line: bytes) -> Row | Finding:
    where = f"metadata.jsonl:{number}"
    try:
        table = json.loads(line)
    except (ValueError, RecursionError):
        return Finding(Kind.ROW, where, "is not JSON", "write one object a line")
    if not isinstance(table, dict):
        return Finding(Kind.ROW, where, "is not an object", "write one object a line")
    for key in ("file_name", "label", "home"):
        if not isinstance(table.get(key), str) or not table[key]:
            return Finding(Kind.ROW, where, f"has no {key}", "name it, as text")
    visit, taken = (str(table.get(key) or "") for key in ("visit", "taken"))
    lacks = tuple(key for key in CARD_FIELDS if not isinstance(table.get(key), str) or not table[key])
    return Row(number, table["file_name"], table["label"], table["home"], visit, taken, lacks)


def inside(folder: Path, file_name: str) -> Path | None:
    """Return where a picture lies, links followed; None if that is not in the folder."""
    try:
        path = (folder / file_name).resolve()
    except (OSError, ValueError, RuntimeError):  # a name with a null byte in it, or links in a ring
        return None
    return path if path.is_relative_to(folder.resolve()) else None


def _shown(name: str) -> str:
    """Return a file's name such that it stays on one line."""
    return name if name.isprintable() else repr(name)


def _wrong_labels(rows: Sequence[Row]) -> Iterator[Finding]:
    allowed = [*LABELS, *PARTIAL, UNLABELLED]
    for row in rows:
        if row.label not in allowed:
            what = f"label {row.label!r} is not one of {', '.join(allowed)}"
            yield Finding(Kind.LABEL, _shown(row.file_name), what, "correct the label or remove the row")


def _cards(rows: Sequence[Row]) -> Iterator[Finding]:
    for row in rows:
        for key in row.lacks:
            remedy = "name it: the model's card has to account for every picture"
            yield Finding(Kind.CARD, f"metadata.jsonl:{row.line}", f"has no {key}", remedy)


def _empty_classes(rows: Sequence[Row]) -> Iterator[Finding]:
    there = {row.label for row in rows}
    for label in LABELS:
        if label not in there:
            yield Finding(Kind.EMPTY_CLASS, label, "no picture has this label", "add some: it cannot be learnt")


def _visits(rows: Sequence[Row]) -> Iterator[Finding]:
    if not any(row.visit for row in rows):
        remedy = "name the visit of each: frames of one visit must not be split"
        yield Finding(Kind.NO_VISITS, "metadata.jsonl", "no row names a visit", remedy)
        return
    homes: dict[str, set[str]] = {}
    for row in rows:
        if row.visit:
            homes.setdefault(row.visit, set()).add(row.home)
        else:
            yield Finding(Kind.ROW, _shown(row.file_name), "names no visit", "name it: a picture alone is a visit too")
    for visit, mine in sorted(homes.items()):
        if len(mine) > 1:
            what = f"this visit is of several homes: {', '.join(map(_shown, sorted(mine)))}"
            yield Finding(Kind.HOMES, _shown(visit), what, "give each home's visits their own names")


def _twice(folder: Path, rows: Sequence[Row]) -> Iterator[Finding]:
    first: dict[Path, Row] = {}
    for row in rows:
        path = inside(folder, row.file_name)
        if path is None:
            continue
        if (before := first.setdefault(path, row)) is not row:
            what = f"lines {before.line} and {row.line} are of this one file"
            yield Finding(Kind.TWICE, _shown(row.file_name), what, "keep one of them")


def look(folder: Path, rows: Sequence[Row]) -> tuple[tuple[Look, ...], tuple[Finding, ...]]:
    """Read every picture; return what is to be compared, one a file, and a finding for each that cannot be read."""
    split, seen = parts((row.home, row.visit, row.taken) for row in rows), dict[Path, Look | Finding]()
    lost: list[Finding] = []
    for row in rows:
        path = inside(folder, row.file_name)
        if path is None:
            remedy = "move it into the folder and name it from there"
            lost.append(Finding(Kind.OUTSIDE, _shown(row.file_name), "lies outside the folder", remedy))
        elif path not in seen:
            seen[path] = _look(path, row, split[row.home, row.visit])
    found = seen.values()
    lost += [each for each in found if isinstance(each, Finding)]
    return tuple(each for each in found if isinstance(each, Look)), tuple(lost)


def _look(path: Path, row: Row, part: str) -> Look | Finding:
    where = _shown(row.file_name)
    if not path.exists():
        return Finding(Kind.MISSING, where, "is not there", "fetch it or remove its row")
    try:
        grey, digest = grey_of(read_image(path)), hashlib.sha256(path.read_bytes()).hexdigest()
    except InputError as error:
        why = _shown(str(error).removeprefix(f"{path}: "))
        return Finding(Kind.UNREADABLE, where, why, "replace it by a whole JPEG or PNG, or remove its row")
    return Look(row, part, digest, difference_hash(grey), detail(grey))


def difference_hash(grey: Grey) -> Reals:
    """Return 64 times -1 or 1: where a picture of 9x8 pixels grows brighter to the right.

    Source: Krawetz, "Kind of Like That", hackerfactor.com, 2013. The distance of two is (64 - their product) / 2.
    """
    small = cv2.resize(grey, (9, 8), interpolation=cv2.INTER_AREA).astype(np.int16)
    return np.where(np.diff(small, axis=1) > 0, np.float32(1), np.float32(-1)).ravel()


def detail(grey: Grey) -> Reals:
    """Return a picture's Laplacian at 32x24 pixels, flattened, mean 0 and length 1; all 0 where it is even."""
    small = cv2.resize(grey, DETAIL_SIZE_PX, interpolation=cv2.INTER_AREA)
    edges = cv2.Laplacian(small, cv2.CV_32F).ravel()
    edges = edges - edges.mean()
    length = np.float32(np.linalg.norm(edges))
    unit: Reals = (edges / max(length, np.float32(1e-6))).astype(np.float32)
    return unit


def _copies(looks: Sequence[Look]) -> Iterator[Finding]:
    alike: dict[str, list[Look]] = {}
    for each in looks:
        alike.setdefault(each.sha256, []).append(each)
    for group in alike.values():
        names = ", ".join(_shown(each.row.file_name) for each in group)
        if len(found := sorted({each.part for each in group})) > 1:
            what = f"one picture in several parts ({', '.join(found)})"
            yield Finding(Kind.COPY, names, what, "keep one, or give them one visit")
        if len(group) > 1 and not _compatible(each.row.label for each in group):
            labels = ", ".join(sorted({each.row.label for each in group}))
            yield Finding(Kind.CONTRADICTION, names, f"one picture under several labels ({labels})", "correct one")


def _compatible(labels: Iterable[str]) -> bool:
    """Whether some class is left open by all of these labels; unknown ones are another finding."""
    known = [allowed_by(label, "") for label in labels if label in [*LABELS, *PARTIAL]]
    return not known or bool(frozenset.intersection(*known))


def _near_copies(looks: Sequence[Look]) -> Iterator[Finding]:
    for one, other, bits in near_pairs(looks):
        a, b = looks[one], looks[other]
        if a.sha256 != b.sha256:
            names = f"{_shown(a.row.file_name)}, {_shown(b.row.file_name)}"
            what = f"nearly one picture ({bits} of 64 bits differ) in several parts ({a.part}, {b.part})"
            yield Finding(Kind.NEAR_COPY, names, what, "look at both; if they are one, keep one or give them one visit")


def near_pairs(looks: Sequence[Look], block: int = BLOCK) -> Iterator[tuple[int, int, int]]:
    """Yield (place, later place, distance in bits) of all near copies in different parts, block by block."""
    if not looks:
        return
    bits, details = np.stack([each.bits for each in looks]), np.stack([each.detail for each in looks])
    part = np.array([each.part for each in looks])
    for start in range(0, len(looks), block):
        stop = min(start + block, len(looks))
        apart = (64 - bits[start:stop] @ bits[start:].T) / 2
        one, other = np.nonzero((apart <= MAX_DISTANCE_BITS) & (part[start:stop, None] != part[None, start:]))
        once = one < other  # each pair of the block's own square comes up twice
        one, other = one[once], other[once]
        same = np.einsum("ij,ij->i", details[start + one], details[start + other]) >= MIN_DETAIL
        for a, b in zip(one[same].tolist(), other[same].tolist(), strict=True):
            yield start + a, start + b, round(float(apart[a, b]))


def rank(folder: Path, bundle: str) -> tuple[Suspect, ...]:
    """Return every picture with a known label that can be read, the one whose label the model doubts most first.

    Raises:
        DataSetError: ``metadata.jsonl`` cannot be read.
        TrustError: the bundle is not what its manifest says.
        HardwareError: no runtime is installed.
    """
    model = load_model(bundle, "auto", 1).model
    suspects = []
    for row in read_rows(folder)[0]:
        path = inside(folder, row.file_name)
        if path is None or row.label not in [*LABELS, *PARTIAL]:
            continue
        try:
            grey = grey_of(read_image(path))
        except InputError:
            continue  # check has named it
        suspects.append(suspect(row, model.score(extract(grey, whole(grey), model.recipe))))
    return tuple(sorted(suspects, key=lambda each: (each.probability, each.file_name)))


def suspect(row: Row, scores: Scores) -> Suspect:
    """Return what the model makes of a row: of a label that leaves classes open it counts the sum."""
    shares = dict(zip(LABELS, scores.probabilities, strict=True))
    said = max(shares, key=lambda label: shares[label])
    mine = sum(shares[label] for label in allowed_by(row.label, row.file_name))
    return Suspect(row.file_name, row.label, mine, said, shares[said])


def caption(suspect: Suspect) -> str:
    """Return a suspect for people."""
    return (
        f"{_shown(suspect.file_name)}: label {suspect.label} ({suspect.probability:.4f}), "
        f"the model says {suspect.said} ({suspect.said_probability:.3f}); look"
    )


def contact_sheet(folder: Path, suspects: Sequence[Suspect]) -> Image:
    """Return the pictures with their captions below, four in a row, blue-green-red."""
    tiles = [_tile(folder, each) for each in suspects]
    tiles += [np.full_like(tiles[0], 24)] * (-len(tiles) % COLUMNS)
    return np.vstack([np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)])


def _tile(folder: Path, suspect: Suspect) -> Image:
    sheet = np.full((TILE_HEIGHT_PX + CAPTION_PX, TILE_WIDTH_PX, 3), 24, np.uint8)
    picture = read_image(folder / suspect.file_name)
    share = min(TILE_WIDTH_PX / picture.shape[1], TILE_HEIGHT_PX / picture.shape[0])
    size = (max(int(picture.shape[1] * share), 1), max(int(picture.shape[0] * share), 1))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    sheet[: size[1], : size[0]] = small if small.ndim == 3 else small[:, :, None]
    lines = (
        _shown(suspect.file_name)[-52:],  # the end of a long name tells more than its beginning
        f"label: {suspect.label} {suspect.probability:.4f}",
        f"model: {suspect.said} {suspect.said_probability:.3f}",
    )
    for number, text in enumerate(lines):
        place = (4, TILE_HEIGHT_PX + 15 + 17 * number)
        cv2.putText(sheet, text, place, cv2.FONT_HERSHEY_SIMPLEX, 0.36, (220, 220, 220), 1, cv2.LINE_AA)
    return sheet


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
