"""The data layer's galleries: what each resident looks like, one file a cat, replaced as a whole. Floor 3.

The pictures are kept without loss, so that the next model can be shown them. A file is read as if it came from a
stranger: its size is bounded, each picture's header is looked at before it is decoded, keys and types must fit.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edge.codec import from_json, to_json
from edge.errors import InputError
from edge.files import replace
from edge.identity import Confirmation, Exemplar, Gallery

if TYPE_CHECKING:
    from pathlib import Path

    from edge.files import Files
    from edge.messages import Grey

FORMAT = 1
MAX_FILE_BYTES = 32 * 2**20
"""More than five times the fullest gallery of patches of 96 x 72 pixels."""

MAX_SIDE_PX = 320
"""No recipe cuts larger patches."""

_SUFFIX = ".json"
_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"


@dataclass(frozen=True, slots=True)
class _Picture:
    """An exemplar; ``png`` is a grey 8-bit PNG in base64."""

    png: str
    embedding: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Visit:
    """A confirmed visit."""

    visit_id: str
    pictures: tuple[_Picture, ...]


@dataclass(frozen=True, slots=True)
class _Document:
    """A gallery's file, key by key."""

    format: int
    name: str
    model_id: str
    enrolled: tuple[_Picture, ...]
    confirmed: tuple[_Visit, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What lies in the directory: the galleries that can be read, by name, and a line for each that cannot."""

    galleries: tuple[Gallery, ...]
    broken: tuple[str, ...]


class Galleries:
    """The galleries in one directory. Writing returns when the disk has it; a cut of the power leaves old or new."""

    def __init__(self, directory: Path, files: Files) -> None:
        """Take the directory, which need not be there yet."""
        self._directory = directory
        self._files = files

    def shelf(self) -> Shelf:
        """Return all galleries; one that is damaged is told of, and spoils no other."""
        found: list[Gallery] = []
        broken: list[str] = []
        try:
            paths = self._paths()
        except OSError as error:
            return Shelf((), (str(error),))
        for path in paths:
            try:
                found.append(self._read(path))
            except (InputError, OSError) as error:
                broken.append(str(error))
        return Shelf(tuple(sorted(found, key=lambda gallery: gallery.name)), tuple(broken))

    def load(self, name: str) -> Gallery | None:
        """Return one cat's gallery, or None where it has none.

        Raises:
            InputError: its file is damaged.
            OSError: the disk.
        """
        path = self._path(name)
        return self._read(path) if path in self._paths() else None

    def save(self, gallery: Gallery) -> None:
        """Keep a gallery in place of the one of that name.

        Raises:
            OSError: the disk; the old one stands.
        """
        self._files.make_directory(self._directory)
        self._files.sync_directory(self._directory.parent)
        replace(self._files, self._path(gallery.name), to_json(_document(gallery)))

    def forget(self, name: str) -> bool:
        """Remove a cat's gallery; return whether there was one.

        Raises:
            OSError: the disk.
        """
        path = self._path(name)
        if path not in self._paths():
            return False
        self._files.remove_file(path)
        self._files.sync_directory(self._directory)
        return True

    def _paths(self) -> list[Path]:
        try:
            names = self._files.names(self._directory)
        except FileNotFoundError:
            return []
        return [self._directory / name for name in names if name.endswith(_SUFFIX)]

    def _path(self, name: str) -> Path:
        # A cat's name may hold what a file's may not, and two names may differ in their case alone.
        return self._directory / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}{_SUFFIX}"

    def _read(self, path: Path) -> Gallery:
        size = self._files.size_bytes(path)
        if size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {size} bytes are more than the {MAX_FILE_BYTES} a gallery may have")
        document = from_json(_Document, self._files.read(path), path)
        if document.format != FORMAT:
            raise InputError(f"{path}: format {document.format} is not {FORMAT}, the one this version reads")
        if path != self._path(document.name):
            raise InputError(f"{path}: is not the file of {document.name!r}, of whom it tells")
        return _gallery(document, path)


def _document(gallery: Gallery) -> _Document:
    visits = tuple(_Visit(visit.visit_id, _pictures(visit.exemplars)) for visit in gallery.confirmed)
    return _Document(FORMAT, gallery.name, gallery.model_id, _pictures(gallery.enrolled), visits)


def _pictures(exemplars: tuple[Exemplar, ...]) -> tuple[_Picture, ...]:
    return tuple(_Picture(_encoded(exemplar.patch), exemplar.embedding) for exemplar in exemplars)


def _encoded(patch: Grey) -> str:
    return base64.b64encode(cv2.imencode(".png", patch)[1].tobytes()).decode()


def _gallery(document: _Document, path: Path) -> Gallery:
    confirmed = tuple(Confirmation(visit.visit_id, _exemplars(visit.pictures, path)) for visit in document.confirmed)
    return Gallery(document.name, document.model_id, _exemplars(document.enrolled, path), confirmed)


def _exemplars(pictures: tuple[_Picture, ...], path: Path) -> tuple[Exemplar, ...]:
    return tuple(Exemplar(_decoded(picture.png, path), picture.embedding) for picture in pictures)


def _decoded(text: str, path: Path) -> Grey:
    """Return a patch, uint8 (height, width)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(f"{path}: a picture in it is not base64") from error
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    fits = data.startswith(_PNG_START) and 0 < width <= MAX_SIDE_PX and 0 < height <= MAX_SIDE_PX
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if fits else None
    # OpenCV's types say that an array always comes back; it is None for what cannot be decoded.
    if getattr(image, "shape", None) != (height, width):
        raise InputError(f"{path}: a picture in it is no whole grey PNG of at most {MAX_SIDE_PX} pixels a side")
    return np.asarray(image, np.uint8)
