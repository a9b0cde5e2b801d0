"""Pictures to learn from, made up."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from dataset import Sample, allowed_by

from edge.messages import Box

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Grey

CARD = {"source": "s", "licence": "l", "licence_clear": "yes"}
"""The fields that a model's card needs."""


def noise(seed: int = 0) -> Grey:
    """A picture of noise, another one for another seed."""
    return np.random.default_rng(seed).integers(0, 256, (120, 160), np.uint8)


def sample(label: str = "cat_clear", home: str = "tunnel", seed: int = 0, **more: Any) -> Sample:  # noqa: ANN401 - fields
    """A picture of noise with its label; ``more`` are other fields."""
    allowed = allowed_by(label, "here")
    made = Sample("a.png", "IR", noise(seed), Box(0, 0, 160, 120), label, allowed, home, "v1", "train", -1)
    return dataclasses.replace(made, **more)


def imagefolder(folder: Path, rows: list[dict[str, Any]]) -> Path:
    """Write an imagefolder with a picture of its own, ``0.png`` and so on, for each row.

    A row is of an empty scene in a visit of its own unless it says otherwise; what it says is None it leaves out.
    """
    lines = []
    for number, row in enumerate(rows):
        mine = {"file_name": f"{number}.png", "label": "empty", "home": "h", "visit": f"v{number}", **CARD, **row}
        lines.append(json.dumps({key: value for key, value in mine.items() if value is not None}))
    folder.mkdir(exist_ok=True)
    for number in range(len(rows)):
        cv2.imwrite(str(folder / f"{number}.png"), noise(number))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
