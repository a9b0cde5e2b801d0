"""Put prey, and harmless things that look like it, to the mouths of clear cats, with the truth written beside.

    python tools/compose_prey.py --data DIR --out DIR [--count N] [--seed S]

Reads an imagefolder and takes from it the clear cats of ``tunnel`` that belong to the training part, so that nothing a
model is calibrated or tested on comes back in disguise. Writes another imagefolder and ``sheet.png`` to look at.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
from dataset import DataSetError, parts
from mouths import Mouth, find_mouth
from prey_paste import Composed, NoPlaceError, compose
from prey_shapes import Kind

from edge.messages import Grey, Label

Row: TypeAlias = dict[str, str]
"""One line of ``metadata.jsonl``; only its strings are used."""

HOME = "tunnel"

SHARES = {
    Kind.MOUSE: 0.28,
    Kind.VOLE: 0.12,
    Kind.BIRD: 0.12,
    Kind.FROG: 0.04,
    Kind.LIZARD: 0.04,
    Kind.BELL: 0.08,
    Kind.TAG: 0.08,
    Kind.LEAF: 0.08,
    Kind.TONGUE: 0.08,
    Kind.TOY: 0.08,
}
"""How often each kind is composed. What houses' cats bring is mostly mice and birds; of the harmless nobody counted."""

_TRIES_A_PICTURE = 20
_SHEET = (6, 48)  # columns, and pictures at most


@dataclass(frozen=True, slots=True, eq=False)
class _Cat:
    """A clear cat whose mouth was found, with its line of metadata."""

    row: Row
    grey: Grey
    mouth: Mouth


def main(arguments: list[str]) -> int:
    """Run; 0 done, 2 refused."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="an imagefolder with metadata.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="a folder that is new or empty")
    parser.add_argument("--count", type=int, default=400, help="pictures to compose")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        _refuse(options.out, options.count, options.seed)
        found, cats = compose_all(options.data, options.out, options.count, options.seed)
        print(f"{found} mouths found in {cats} clear cats of {HOME}'s training part")
    except DataSetError as error:
        print(f"compose_prey: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"compose_prey: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def compose_all(data: Path, out: Path, count: int, seed: int) -> tuple[int, int]:
    """Compose ``count`` pictures into ``out``; return in how many clear cats a mouth was found, and of how many.

    Raises:
        DataSetError: the pictures cannot be read, or show no mouth.
        OSError: one cannot be written.
    """
    rows = training_cats(data)
    cats = _with_mouths(data, rows)
    _write(out, cats, count, np.random.default_rng(seed))
    return len(cats), len(rows)


def _refuse(out: Path, count: int, seed: int) -> None:
    if count < 1 or seed < 0:
        raise DataSetError(f"--count {count} --seed {seed}: count must be at least 1 and seed at least 0")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataSetError(f"{out}: is there and not an empty folder; name another --out")


def training_cats(data: Path) -> list[Row]:
    """Return the lines of the clear cats that may be learnt from, each dated as its whole visit.

    The date is what tells the parts of ``tunnel`` apart: with its visit's, a composed picture stays in that part
    wherever it is read, alone or among others.

    Raises:
        DataSetError: ``metadata.jsonl`` cannot be read, or a line lacks what is needed.
    """
    path = data / "metadata.jsonl"
    try:
        rows: list[Row] = [json.loads(line) for line in path.read_bytes().splitlines()]
        first: dict[str, str] = {}
        for row in rows:
            first[row["visit"]] = min(row.get("taken", ""), first.get(row["visit"], "~"))
        cats = [row for row in rows if row["home"] == HOME and row["label"] == Label.CAT_CLEAR]
        split = parts((row["home"], row["visit"], row.get("taken", "")) for row in rows)
        learnt = [row for row in cats if split[HOME, row["visit"]] == "train"]
        return [{key: row[key] for key in _KEPT} | {"taken": first[row["visit"]]} for row in learnt]
    except OSError as error:
        raise DataSetError(f"{path}: {error.strerror}; --data must be an imagefolder") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataSetError(f"{path}: a line is broken ({type(error).__name__}: {error})") from error


_KEPT = ("file_name", "home", "visit", "source", "licence", "licence_clear")


def _with_mouths(data: Path, rows: list[Row]) -> list[_Cat]:
    cats = []
    for row in rows:
        content = (data / row["file_name"]).read_bytes() or b"-"  # of nothing at all OpenCV makes an exception
        grey = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        if getattr(grey, "ndim", 0) != 2:
            raise DataSetError(f"{data / row['file_name']}: is not a picture")
        mouth = find_mouth(grey.astype(np.uint8, copy=False))
        if mouth is not None:
            cats.append(_Cat(row, grey.astype(np.uint8, copy=False), mouth))
    if not cats:
        raise DataSetError(f"{data}: no mouth was found in {len(rows)} clear cats of {HOME}'s training part")
    return cats


def _write(out: Path, cats: list[_Cat], count: int, rng: np.random.Generator) -> None:
    lines: list[str] = []
    sheet: list[Grey] = []
    for number in range(count):
        cat, composed = _one(cats, rng)
        name = f"{composed.label}/{number:05d}_{composed.kind}.png"
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        _save(out / name, composed.grey)
        lines.append(json.dumps(_truth(name, cat, composed)))
        if len(sheet) < _SHEET[1]:
            sheet.append(_tile(composed))
    (out / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sheet += [np.zeros_like(sheet[0])] * (-len(sheet) % _SHEET[0])
    _save(
        out / "sheet.png", np.vstack([np.hstack(sheet[at : at + _SHEET[0]]) for at in range(0, len(sheet), _SHEET[0])])
    )


def _one(cats: list[_Cat], rng: np.random.Generator) -> tuple[_Cat, Composed]:
    """Compose one of a random kind on a random cat, another cat where the thing has no place."""
    kind = list(SHARES)[rng.choice(len(SHARES), p=list(SHARES.values()))]
    for _ in range(_TRIES_A_PICTURE):
        cat = cats[rng.integers(0, len(cats))]
        try:
            return cat, compose(cat.grey, cat.mouth, kind, rng)
        except NoPlaceError as error:
            said = str(error)
    raise DataSetError(f"on none of {_TRIES_A_PICTURE} cats tried {said}")


def _truth(name: str, cat: _Cat, composed: Composed) -> dict[str, object]:
    """Return a line of metadata: the original's, with what was put in."""
    height, width = composed.grey.shape
    box, row = composed.box, cat.row
    truth = {"file_name": name, "label": composed.label, "sublabel": composed.kind, "composed_from": row["file_name"]}
    at = {"box": [box.x, box.y, box.width, box.height], "width": width, "height": height}
    return {**row, **truth, **at, "modality": "IR", "composed": True}


def _save(path: Path, grey: Grey) -> None:
    path.write_bytes(cv2.imencode(".png", grey)[1].tobytes())


def _tile(composed: Composed) -> Grey:
    """Return a picture for the contact sheet, 320 x 240, with what was put in written on it."""
    tile = cv2.resize(composed.grey, (320, 240), interpolation=cv2.INTER_AREA)
    cv2.putText(
        tile, f"{composed.kind} {composed.label}", (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (160,), 1, cv2.LINE_AA
    )
    return tile.astype(np.uint8, copy=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
