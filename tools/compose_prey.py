"""Put prey, and harmless things that look like it, to the mouths of clear cats, with the truth written beside.

python tools/compose_prey.py --data DIR --out DIR [--count N] [--seed S]

Reads an imagefolder and takes from it the clear cats of ``tunnel`` that belong to the training part, so that nothing a
model is calibrated or tested on comes back in disguise. Writes another imagefolder and ``sheet.png`` to look at.

What is pasted has the brightness, the noise and the softness of edges measured round the mouth: a model shall learn
shapes, not where a picture was sharper. Harmless things go through the same hands, so that a trace of pasting, were
there one, would say nothing about prey.
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
import numpy.typing as npt
from dataset import DataSetError, part_of
from prey_shapes import LEAST_LENGTH_PX, Kind, Layer, draw

from edge.messages import Box, Grey, Label

Mask: TypeAlias = npt.NDArray[np.bool_]
Row: TypeAlias = dict[str, str]
"""One line of ``metadata.jsonl``; only its strings are used."""

HOME = "tunnel"


@dataclass(frozen=True, slots=True)
class Mouth:
    """Where a cat's mouth is, in pixels. ``scale_px`` is the height of its head without the ears."""

    x_px: float
    y_px: float
    facing_left: bool
    scale_px: float
    backlit: bool


@dataclass(frozen=True, slots=True, eq=False)
class Composed:
    """One composed picture, uint8, shaped as the original, which it is outside of ``box``."""

    grey: Grey
    kind: Kind
    label: Label
    box: Box


class NoPlaceError(Exception):
    """Nothing of the thing would be seen in this picture; its text is one sentence."""


# --- finding the mouth of a silhouette --------------------------------------------------------------------------------

_LEAST_CONTRAST = 50.0  # grey levels between silhouette and light
_LEAST_SEPARATION = 0.8  # of all variance that lies between dark and light (Otsu); even noise has 0.75
_DARK_SHARE = (0.1, 0.75)
_SIDE_FREE = 0.1  # of the picture's width: the light that must be left before the nose
_TOP = 0.2  # of the picture's height: above it no nose is looked for
_DROP = 0.09  # of the picture's width: how far the outline falls back under the chin
_HEAD_LONG = 0.6  # where the head is as high as it gets, behind the nose, in its own heights


def find_mouth(grey: Grey) -> Mouth | None:
    """Find the mouth of a back-lit head that comes in from one side, or say None where that is not certain.

    ``grey`` is uint8, (height, width). Front-lit pictures give None: their mouth must be known from elsewhere.
    """
    dark = _silhouette(grey)
    if dark is None:
        return None
    facing_left = bool(dark[:, -1].any())
    profile = _Profile(dark[:, ::-1] if facing_left else dark)
    found = profile.mouth()
    if found is None:
        return None
    x, y, scale = found
    return Mouth(grey.shape[1] - 1 - x if facing_left else x, y, facing_left, scale, backlit=True)


def _dark(grey: Grey) -> tuple[Mask, float, float]:
    """Return what is dark, and how well dark and light are told apart: grey levels, and share of the variance."""
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.5)
    limit, _ = cv2.threshold(smooth, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    dark = smooth <= limit
    if not 0 < np.count_nonzero(dark) < dark.size:
        return dark, 0.0, 0.0
    low, high = float(smooth[dark].mean()), float(smooth[~dark].mean())
    share = float(dark.mean())
    between = share * (1 - share) * (high - low) ** 2
    return dark, high - low, between / max(float(smooth.var()), 1e-9)


def _silhouette(grey: Grey) -> Mask | None:
    """Return the largest dark thing without whiskers and sills, if it comes in from exactly one side."""
    dark, contrast, separation = _dark(grey)
    share = float(dark.mean())
    if contrast < _LEAST_CONTRAST or separation < _LEAST_SEPARATION or not _DARK_SHARE[0] < share < _DARK_SHARE[1]:
        return None
    dark[dark.mean(axis=1) > 0.97] = False  # the tunnel's sill and lintel go from side to side
    opened = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    _, names, facts, _ = cv2.connectedComponentsWithStats(opened)
    if len(facts) < 2:
        return None
    largest = int(np.argmax(facts[1:, cv2.CC_STAT_AREA])) + 1
    only: Mask = names == largest
    if float(only.mean()) < _DARK_SHARE[0] or only[:, 0].any() == only[:, -1].any():
        return None
    return only


class _Profile:
    """The outline of a silhouette that looks to the right, row by row."""

    def __init__(self, dark: Mask) -> None:
        """Take the foremost dark pixel of each row, -1 where there is none."""
        self._dark = dark
        self._height, self._width = dark.shape
        self._front = np.where(dark.any(axis=1), self._width - 1 - np.argmax(dark[:, ::-1], axis=1), -1)

    def mouth(self) -> tuple[float, float, float] | None:
        """Return x, y and the head's height, all in pixels."""
        chin = self._chin()
        if chin is None:
            return None
        top = round(_TOP * self._height)
        nose = top + int(np.argmax(self._front[top:chin]))
        nose_x = int(self._front[nose])
        head = self._head(nose, nose_x)
        if head is None or not self._is_muzzle(nose, nose_x, chin, head):
            return None
        return nose_x - 0.14 * head, nose + 0.55 * (chin - nose), head

    def _chin(self) -> int | None:
        """Return the first row under the nose in which the outline has fallen back.

        From the top, because a paw may reach further forward than the nose; but not from its very top, where ears and
        the tunnel's lintel are.
        """
        low = self._front[round(_TOP * self._height) :]
        fallen = np.flatnonzero(np.maximum.accumulate(low) - low > _DROP * self._width)
        return self._height - len(low) + int(fallen[0]) if len(fallen) else None

    def _head(self, nose: int, nose_x: int) -> float | None:
        """Return the head's height: its thickness where it lies about half a head's length behind the nose."""
        for x in range(nose_x, -1, -1):
            column = self._dark[:, x]
            if not column[nose]:
                return None
            above, below = np.flatnonzero(~column[:nose]), np.flatnonzero(~column[nose:])
            if not len(below):
                return None
            top = int(above[-1]) + 1 if len(above) else 0
            thick = nose + int(below[0]) - top
            if nose_x - x >= _HEAD_LONG * thick:
                return float(thick)
        return None

    def _is_muzzle(self, nose: int, nose_x: int, chin: int, head: float) -> bool:
        """Whether this looks like a muzzle: of a head's size, pointed, with light before and below it."""
        if not (0.25 * self._height < head < 0.85 * self._height and _TOP + 0.03 < nose / self._height < 0.7):
            return False
        if self._width - 1 - nose_x < _SIDE_FREE * self._width or not 0.1 * head < chin - nose < 0.45 * head:
            return False
        brow = max(nose - round(0.5 * head), 0)
        if nose_x - int(self._front[brow]) < 0.02 * head:  # a wall, or a head that comes straight at the camera
            return False
        left, bottom = max(round(nose_x - 0.3 * head), 0), round(chin + 0.12 * head)
        return bottom < self._height and float(self._dark[chin + 2 : bottom, left:nose_x].mean()) < 0.1


# --- measuring the neighbourhood --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the scene is like round a mouth.

    ``level`` is the brightness of the animal, grey levels, one a pixel of the whole picture; ``edge_px`` the standard
    deviation of the blur of its edges; ``noise`` a block of the camera's noise, grey levels of mean 0, (24, 24);
    ``fine`` the strength of the fine texture, grey levels, standard deviation.
    """

    level: Layer
    edge_px: float
    noise: Layer
    fine: float


_BLOCK_PX = 24
_FINE_PX = 1.5  # what a Gaussian of this standard deviation takes away counts as fine


def surroundings(grey: Grey, mouth: Mouth) -> Surroundings:
    """Measure the animal round its mouth."""
    real = grey.astype(np.float32)
    rows, columns = _window(mouth, 1.0)
    on_animal = _animal(grey, mouth)
    level = _level(real, mouth, on_animal)
    detail = real - cv2.GaussianBlur(real, (0, 0), _FINE_PX)
    on_here = on_animal[rows, columns]
    fine = float(detail[rows, columns][on_here].std()) if on_here.any() else 0.0
    return Surroundings(level, edge_blur_px(grey[rows, columns]), _noise_block(real, on_animal, (rows, columns)), fine)


def _window(mouth: Mouth, reach: float) -> tuple[slice, slice]:
    """Return rows and columns within ``reach`` heads of the mouth, at least one block."""
    far = max(reach * mouth.scale_px, _BLOCK_PX)
    top, left = max(round(mouth.y_px - far), 0), max(round(mouth.x_px - far), 0)
    return slice(top, max(round(mouth.y_px + far), 1)), slice(left, max(round(mouth.x_px + far), 1))


def _animal(grey: Grey, mouth: Mouth) -> Mask:
    """Return where the animal is: the inside of the silhouette, or a head's breadth behind a front-lit mouth."""
    if mouth.backlit:
        inside = cv2.erode(_dark(grey)[0].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    else:
        behind = mouth.x_px + (0.3 if mouth.facing_left else -0.3) * mouth.scale_px
        disc = np.zeros(grey.shape, np.uint8)
        cv2.circle(
            disc, (round(behind), round(mouth.y_px - 0.1 * mouth.scale_px)), round(0.35 * mouth.scale_px), (1,), -1
        )
        inside = disc > 0
    return inside if inside.any() else np.ones(grey.shape, np.bool_)


def _level(real: Layer, mouth: Mouth, on_animal: Mask) -> Layer:
    """Return how bright the animal would be at each pixel, carried on smoothly from where it is seen.

    So a silhouette keeps the scene's black with its haze, and a front-lit head the fall-off of the lamp.
    """
    spread = (0.25 if mouth.backlit else 0.5) * mouth.scale_px
    weight = on_animal.astype(np.float32)
    seen = cv2.GaussianBlur(weight, (0, 0), spread)
    carried = cv2.GaussianBlur(real * weight, (0, 0), spread) / np.maximum(seen, 1e-6)
    far = np.float32(np.median(real[on_animal]))  # where nothing of it is near
    return np.where(seen > 1e-3, carried, far).astype(np.float32)


def edge_blur_px(grey: Grey) -> float:
    """Return the blur of the clearest edges in a picture: the standard deviation of their profile, 0.4 to 4 px.

    A blurred step of height h has the slope h / (sqrt(2 pi) blur); both are read where the slope is greatest, and what
    the measuring itself blurs is taken off.
    """
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), _BEFORE_PX)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)) / 8
    ground = np.ones((13, 13), np.uint8)
    height = cv2.dilate(smooth, ground) - cv2.erode(smooth, ground)
    steep = slope >= 0.85 * np.quantile(slope, 0.997)  # the middle of edges, not their flanks
    blur = float(np.median(height[steep])) / (np.sqrt(2 * np.pi) * max(float(np.median(slope[steep])), 1e-3))
    return float(np.clip(np.sqrt(max(blur**2 - _BEFORE_PX**2 - _SOBEL_PX**2, 0.0)), 0.4, 4.0))


_BEFORE_PX = 0.8
_DRAWN_PX = 0.35  # how soft the edges of a drawn shape are already
_SOBEL_PX = 0.58  # a central difference is a mean over two pixels


def _noise_block(real: Layer, on_animal: Mask, window: tuple[slice, slice]) -> Layer:
    """Return the noise of the flattest block of the animal near the mouth, or of the picture if it shows too little."""
    noise = real - cv2.GaussianBlur(real, (0, 0), 2.0)
    coarse = cv2.GaussianBlur(real, (0, 0), 3.0)
    near = np.zeros(real.shape, np.bool_)
    near[window] = True
    best: tuple[float, Layer] | None = None
    for where in (on_animal & near, on_animal, np.ones(real.shape, np.bool_)):
        for top in range(0, real.shape[0] - _BLOCK_PX + 1, _BLOCK_PX // 3):
            for left in range(0, real.shape[1] - _BLOCK_PX + 1, _BLOCK_PX // 3):
                block = np.s_[top : top + _BLOCK_PX, left : left + _BLOCK_PX]
                if where[block].all():
                    uneven = float(coarse[block].std())
                    best = (uneven, noise[block]) if best is None or uneven < best[0] else best
        if best is not None:
            break
    if best is None:  # smaller than a block: no noise rather than wrong noise
        return np.zeros((_BLOCK_PX, _BLOCK_PX), np.float32)
    return best[1] - np.float32(best[1].mean())


def _noise(block: Layer, shape: tuple[int, int], rng: np.random.Generator) -> Layer:
    """Lay out the block's noise over a shape, each tile mirrored and rolled anew, so that its grain is the scene's."""
    down, across = -(-shape[0] // _BLOCK_PX), -(-shape[1] // _BLOCK_PX)
    rows = []
    for _ in range(down):
        tiles = []
        for _ in range(across):
            tile = np.roll(block, tuple(rng.integers(0, _BLOCK_PX, 2)), (0, 1))
            tiles.append(tile[:: rng.choice((-1, 1)), :: rng.choice((-1, 1))])
        rows.append(np.hstack(tiles))
    laid: Layer = np.vstack(rows)[: shape[0], : shape[1]]
    return laid


# --- composing --------------------------------------------------------------------------------------------------------

SIZES = {  # of the head's height
    Kind.MOUSE: (0.4, 0.75),
    Kind.VOLE: (0.45, 0.75),
    Kind.BIRD: (0.55, 0.95),
    Kind.FROG: (0.35, 0.65),
    Kind.LIZARD: (0.4, 0.75),
    Kind.BELL: (0.13, 0.2),
    Kind.TAG: (0.15, 0.25),
    Kind.LEAF: (0.25, 0.6),
    Kind.TONGUE: (0.12, 0.19),
    Kind.TOY: (0.35, 0.6),
}
_TRIES = 12
_SEEN = {Kind.BELL: 0.006, Kind.TAG: 0.006, Kind.TONGUE: 0.003, Kind.LEAF: 0.008}
_SMALL = frozenset({Kind.MOUSE, Kind.VOLE, Kind.LIZARD})  # these disappear behind the teeth
_PREY_SEEN = 0.014  # of a head squared: a tail and a foot, which is all that some real pictures show


def compose(grey: Grey, mouth: Mouth, kind: Kind, rng: np.random.Generator) -> Composed:
    """Put one thing of a kind where such a thing would be; its label says whether it is prey.

    Raises:
        NoPlaceError: after a dozen poses nothing of it is to be seen.
    """
    around = surroundings(grey, mouth)
    shows = np.ones(grey.shape, np.bool_) if not mouth.backlit else ~_dark(grey)[0]
    least_px = _SEEN.get(kind, _PREY_SEEN) * mouth.scale_px**2
    for _ in range(_TRIES):
        cover = _cover(grey, mouth, kind, around.edge_px, rng)
        if cover is not None and float(cover.alpha[shows[cover.window]].sum()) >= least_px:
            label = Label.CAT_CLEAR if kind.harmless else Label.CAT_PREY
            return Composed(_pasted(grey, cover, around, mouth.backlit, rng), kind, label, cover.box)
    raise NoPlaceError(f"a {kind} would not be seen at ({mouth.x_px:.0f}, {mouth.y_px:.0f})")


@dataclass(frozen=True, slots=True, eq=False)
class _Cover:
    """A shape on the picture: cover and shade, as blurred as the scene, on ``window``'s rows and columns."""

    alpha: Layer
    shade: Layer
    window: tuple[slice, slice]

    @property
    def box(self) -> Box:
        rows, columns = self.window
        return Box(columns.start, rows.start, columns.stop - columns.start, rows.stop - rows.start)


def _cover(grey: Grey, mouth: Mouth, kind: Kind, blur_px: float, rng: np.random.Generator) -> _Cover | None:
    """Draw one in a new pose; None where there is no place for it in the picture."""
    length = max(mouth.scale_px * rng.uniform(*SIZES[kind]), LEAST_LENGTH_PX)
    spot = _grip(grey, mouth, kind, rng)
    if spot is None:
        return None
    shape = draw(kind, length, rng, mouth.facing_left)
    blur_px = float(np.sqrt(max(blur_px**2 - _DRAWN_PX**2, 0.1)))
    border = int(np.ceil(3 * blur_px))
    sharp = cv2.copyMakeBorder(shape.alpha, border, border, border, border, cv2.BORDER_CONSTANT)
    shade = cv2.copyMakeBorder(shape.shade, border, border, border, border, cv2.BORDER_REPLICATE)
    soft = cv2.GaussianBlur(sharp, (0, 0), blur_px)
    shade = cv2.GaussianBlur(shade * sharp, (0, 0), blur_px) / np.maximum(soft, 1e-3)
    soft[soft < 1 / 255] = 0
    left, top = round(spot[0] - shape.grip_x_px) - border, round(spot[1] - shape.grip_y_px) - border
    return _cut(soft.astype(np.float32), shade.astype(np.float32), (top, left), grey.shape)


def _cut(alpha: Layer, shade: Layer, corner: tuple[int, int], shape: tuple[int, ...]) -> _Cover | None:
    """Cut layers, whose first pixel lies at ``corner`` (row, column), to what covers and lies on the picture."""
    top, left = corner
    x, y, width, height = cv2.boundingRect((alpha > 0).astype(np.uint8))
    rows = slice(max(top + y, 0), min(top + y + height, shape[0]))
    columns = slice(max(left + x, 0), min(left + x + width, shape[1]))
    if rows.start >= rows.stop or columns.start >= columns.stop:
        return None
    part = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return _Cover(alpha[part], shade[part], (rows, columns))


def _grip(grey: Grey, mouth: Mouth, kind: Kind, rng: np.random.Generator) -> tuple[float, float] | None:
    """Return the pixel where a thing is held: at the throat what a collar holds and half the leaves, else by teeth."""
    ahead = -1.0 if mouth.facing_left else 1.0
    head = mouth.scale_px
    if kind in {Kind.BELL, Kind.TAG} or (kind is Kind.LEAF and rng.random() < 0.5):
        return _throat(grey, mouth, mouth.x_px - ahead * head * rng.uniform(0.3, 0.8))
    if kind is Kind.TONGUE:
        return mouth.x_px + ahead * head * rng.uniform(0.0, 0.08), mouth.y_px + head * rng.uniform(0.0, 0.08)
    back = rng.uniform(0.0, 0.3) if kind in _SMALL and rng.random() < 0.6 else 0.0  # only tail and feet hang out
    x = mouth.x_px + ahead * head * (rng.uniform(-0.08, 0.08) - back)
    return x, mouth.y_px + head * (rng.uniform(-0.04, 0.1) - 0.5 * back)


def _throat(grey: Grey, mouth: Mouth, x_px: float) -> tuple[float, float] | None:
    """Return the underside of head or neck at a column; None where it is not seen."""
    column, row = round(x_px), round(mouth.y_px)
    if not (0 <= column < grey.shape[1] and 0 <= row < grey.shape[0]):
        return None
    if not mouth.backlit:
        return x_px, mouth.y_px + 0.3 * mouth.scale_px
    dark = _dark(grey)[0][row:, column]
    if not dark[0] or dark.all():
        return None
    return x_px, mouth.y_px + int(np.argmin(dark)) - 0.02 * mouth.scale_px


def _pasted(grey: Grey, cover: _Cover, around: Surroundings, backlit: bool, rng: np.random.Generator) -> Grey:
    """Return the picture with the shape in it: black as the cat against the light, else in the lamp's own light."""
    level = around.level[cover.window]
    look = level if backlit else _furred(cover, level, around) * np.float32(rng.uniform(0.85, 1.15))
    look = look + _noise(around.noise, (level.shape[0], level.shape[1]), rng)
    alpha = cover.alpha * _light(grey, around.edge_px)[cover.window] if backlit else cover.alpha
    mixed = np.clip(np.rint(grey[cover.window] * (1 - alpha) + look * alpha), 0, 255)
    out = grey.copy()
    out[cover.window] = np.where(alpha > 0, mixed, grey[cover.window]).astype(np.uint8)
    return out


def _light(grey: Grey, edge_px: float) -> Layer:
    """Return 0 well inside the silhouette and 1 in the light: what is black already, a thing before it changes not.

    Without this a thing would show on the cat as a patch wherever haze makes the cat's own black uneven. The change
    from one to the other is slow, and lies behind the soft edge, which would otherwise shine through as a line.
    """
    deep = round(2 * (3 * edge_px + 8)) + 1
    inside = cv2.erode(_dark(grey)[0].astype(np.uint8), np.ones((deep, deep), np.uint8)).astype(np.float32)
    return (1 - cv2.GaussianBlur(inside, (0, 0), 4.0)).astype(np.float32)


def _furred(cover: _Cover, level: Layer, around: Surroundings) -> Layer:
    """Return form and fur in the animal's light, the fur as strong as what is fine about the animal's own."""
    lit = level * cover.shade
    form = cv2.GaussianBlur(lit, (0, 0), _FINE_PX)
    fur = lit - form
    noise = float((around.noise - cv2.GaussianBlur(around.noise, (0, 0), _FINE_PX)).std())
    wanted = np.sqrt(max(around.fine**2 - noise**2, 0.0))
    there = float(fur[cover.alpha > 0.5].std()) if (cover.alpha > 0.5).any() else 0.0
    furred: Layer = (form + fur * min(wanted / max(there, 1e-3), 8.0)).astype(np.float32)
    return furred


# --- the command ------------------------------------------------------------------------------------------------------

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
        rows = training_cats(options.data)
        cats = _with_mouths(options.data, rows)
        print(f"{len(cats)} mouths found in {len(rows)} clear cats of {HOME}'s training part")
        _write(options.out, cats, options.count, np.random.default_rng(options.seed))
    except DataSetError as error:
        print(f"compose_prey: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"compose_prey: {error.filename}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


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
        learnt = [row for row in cats if part_of(HOME, row["visit"], first[row["visit"]]) == "train"]
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
