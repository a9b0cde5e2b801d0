"""Draw the simulated night as one picture: a key frame of each visit, with what the flap made of it.

python tools/night_picture.py docs/night.png [SCENE]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.adapters.logs import set_up
from edge.assembly import Host
from edge.daemon import Daemon, StopFlag, Stores
from edge.messages import VerdictKind

if TYPE_CHECKING:
    from edge.canonical import VisitSummary
    from edge.messages import Image, KeyFrame, Visit

COLUMNS = 4
WIDTH_PX, HEIGHT_PX, CAPTION_PX = 320, 240, 40
COLOURS = {VerdictKind.ADMIT: (80, 200, 80), VerdictKind.REFUSE_PREY: (80, 80, 230)}
BEST_FIRST = ("decision", "strongest_prey", "first", "unseen")


def tile(visit: Visit, line: VisitSummary) -> Image:
    """Return a visit's most telling key frame with its caption below, blue-green-red."""
    sheet = np.full((HEIGHT_PX + CAPTION_PX, WIDTH_PX, 3), 24, np.uint8)
    frame = most_telling(visit.key_frames)
    if frame is not None:
        picture = cv2.resize(frame.image, (WIDTH_PX, HEIGHT_PX), interpolation=cv2.INTER_AREA)
        sheet[:HEIGHT_PX] = picture if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    head = f"{visit.started:%H:%M:%S}  {line.verdict}  {line.resident or ''}"
    write(sheet, head, HEIGHT_PX + 16, COLOURS.get(line.verdict, (220, 220, 220)))
    write(sheet, line.because, HEIGHT_PX + 33, (160, 160, 160))
    return sheet


def most_telling(frames: tuple[KeyFrame, ...]) -> KeyFrame | None:
    """Return the key frame of the greatest moment there is."""
    return min(frames, key=lambda frame: BEST_FIRST.index(frame.why), default=None)


def write(sheet: Image, text: str, y: int, colour: tuple[int, int, int]) -> None:
    """Write a line of the caption."""
    cv2.putText(sheet, text, (6, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, colour, 1, cv2.LINE_AA)


def main(arguments: list[str]) -> int:
    """Play the scene and write the picture."""
    tiles: list[Image] = []
    set_up("json", "error")
    with tempfile.TemporaryDirectory() as place:
        scene = simulation.find_scene(arguments[1] if len(arguments) > 1 else "night")
        stage = simulation.stage(scene, Path(place), None)
        stores = Stores(stage.files, lambda visit, line: tiles.append(tile(visit, line)))
        Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())
    tiles += [np.full_like(tiles[0], 24)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[start : start + COLUMNS]) for start in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(arguments[0], np.vstack(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
