"""Reading pictures that somebody else made, without trusting them. Floor 5.

A file is decoded only after its own headers have said that it is a JPEG or a PNG, whole, and of a size that fits:
OpenCV would open two dozen formats, fill what is missing of a torn picture with grey, and allocate whatever a header
claims. What remains possible is a picture that is damaged inside and whole outside: it decodes with a flaw, and libjpeg
says so on stderr by itself.
"""

from __future__ import annotations

import stat
import zlib
from typing import TYPE_CHECKING, cast

import cv2
import numpy as np

from edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from edge.messages import Image

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_PIXELS = 64_000_000

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_NOT_A_SIZE = frozenset((0xC4, 0xC8, 0xCC))  # in the range of the SOF markers: Huffman tables, reserved, arithmetic


def read_image(path: Path) -> Image:
    """Read a JPEG or PNG file as uint8, (height, width) if it is grey and (height, width, 3) blue-green-red if not.

    Orientation tags are obeyed, transparency is dropped, 16 bits become 8.

    Raises:
        InputError: one line: the file's name and why it cannot be read.
    """
    return decode_image(_read(path), str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decode the bytes of a JPEG or PNG file; ``name`` is for the error's text. As ``read_image``."""
    width, height = _size(data, name)
    if width * height > MAX_PIXELS:
        raise InputError(f"{name}: {width}x{height} pixels are more than the {MAX_PIXELS // 10**6} million allowed")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_ANYCOLOR)
    except cv2.error as error:
        raise InputError(f"{name}: cannot be decoded: {error.err}") from error
    # OpenCV's types say that it returns a picture always; it returns None for what it cannot decode.
    if cast("Image | None", image) is None:
        raise InputError(f"{name}: cannot be decoded: its contents are damaged")
    return cast("Image", image)


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"{path}: is not a file")
        if status.st_size > MAX_FILE_BYTES:
            raise InputError(f"{path}: {status.st_size} bytes are more than the {MAX_FILE_BYTES} allowed")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error


def _size(data: bytes, name: str) -> tuple[int, int]:
    """Return width and height as the headers state them, after checking that the file is whole."""
    if not data:
        raise InputError(f"{name}: is empty")
    if data.startswith(_PNG):
        size = _png_size(data)
    elif data.startswith(_JPEG):
        size = _jpeg_size(data)
    else:
        raise InputError(f"{name}: is not a JPEG or PNG picture")
    if size is None or 0 in size:
        raise InputError(f"{name}: is truncated or damaged")
    return size


def _png_size(data: bytes) -> tuple[int, int] | None:
    """Walk the chunks (PNG specification, section 5), each with its checksum, to the last; None if one is amiss."""
    at, size = len(_PNG), None
    while at + 12 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 8 + length
        if zlib.crc32(data[at + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            return None
        if kind == b"IHDR" and length == 13:
            size = (int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 12 : at + 16], "big"))
        if kind == b"IEND":
            return size
        at = end + 4
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Walk the segments (ITU T.81, annex B) to the frame header; None without one, or without an end after it."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in _NOT_A_SIZE:
            height, width = (int.from_bytes(data[at + skip : at + skip + 2], "big") for skip in (5, 7))
            return (width, height) if data.find(_JPEG_END, at) >= 0 else None
        # A 0xFF may be padded with more of its kind; everything else before the frame carries its length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
