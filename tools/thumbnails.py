"""Small copies of pictures, to be laid into a page that has to stand alone."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import cv2

from edge.adapters.images import read_image
from edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

WIDTH_PX, HEIGHT_PX = 240, 180
_QUALITY = 72


def thumbnail(path: Path) -> str | None:
    """Return a picture, made to fit, as a ``data:`` address; None for a file that cannot be shown."""
    try:
        picture = read_image(path)
    except InputError:
        return None
    share = min(WIDTH_PX / picture.shape[1], HEIGHT_PX / picture.shape[0], 1.0)
    size = (max(round(picture.shape[1] * share), 1), max(round(picture.shape[0] * share), 1))
    _, encoded = cv2.imencode(
        ".jpg", cv2.resize(picture, size, interpolation=cv2.INTER_AREA), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
