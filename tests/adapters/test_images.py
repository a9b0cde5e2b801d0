"""Reading pictures that somebody else made."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.adapters.images import MAX_FILE_BYTES, decode_image, read_image
from edge.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

COLOUR = np.random.default_rng(1).integers(0, 255, (24, 32, 3), dtype=np.uint8)


def encoded(suffix: str, image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = COLOUR) -> bytes:
    """Return a picture as a file of that kind."""
    return bytes(cv2.imencode(suffix, image)[1])


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def bomb() -> bytes:
    """Return a small PNG that claims to be 60,000 pixels square."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_colour_and_grey_come_as_they_are(tmp_path: Path, suffix: str) -> None:
    """A colour picture has three planes, a grey one has one."""
    (tmp_path / f"c{suffix}").write_bytes(encoded(suffix))
    (tmp_path / f"g{suffix}").write_bytes(encoded(suffix, COLOUR[:, :, 0]))
    shapes = [read_image(tmp_path / f"{name}{suffix}").shape for name in "cg"]
    assert [(24, 32, 3), (24, 32)] == shapes


def test_a_png_is_read_exactly() -> None:
    """What was written without loss is read without loss."""
    assert np.array_equal(COLOUR, decode_image(encoded(".png"), "x"))


def test_sixteen_bits_become_eight() -> None:
    """Everything behind this reader is uint8."""
    deep = cv2.imencode(".png", np.full((4, 4), 0x8000, np.uint16))[1].tobytes()
    assert (np.dtype(np.uint8), 0x80) == (decode_image(deep, "x").dtype, decode_image(deep, "x")[0, 0])


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"MZ\x90 not a picture at all", "is not a JPEG or PNG picture"),
        (b"GIF89a" + bytes(50), "is not a JPEG or PNG picture"),
        (encoded(".bmp"), "is not a JPEG or PNG picture"),
        (encoded(".png")[:-20], "is truncated or damaged"),
        (encoded(".png").replace(b"IDAT", b"IDAX"), "is truncated or damaged"),
        (encoded(".jpg")[:-200], "is truncated or damaged"),
        (encoded(".jpg")[:20], "is truncated or damaged"),
        (bomb(), "60000x60000 pixels are more than the 64 million allowed"),
    ],
)
def test_what_is_no_whole_picture_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """Foreign, truncated, damaged and monstrous files are one line with the file's name and the reason."""
    path = tmp_path / "x.png"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_image(path)
    assert f"{path}: {why}" == str(caught.value)


def test_refusing_writes_nothing_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """What is wrong with a torn file is said once, by us, and not by the decoders."""
    for number, content in enumerate((encoded(".png")[:-20], encoded(".jpg")[:-200], bomb())):
        path = tmp_path / f"{number}.jpg"
        path.write_bytes(content)
        with pytest.raises(InputError):
            read_image(path)
    assert ("", "") == tuple(capfd.readouterr())


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    """The size is looked at before a byte is taken into memory."""
    path = tmp_path / "large.jpg"
    path.touch()
    os.truncate(path, MAX_FILE_BYTES + 1)
    with pytest.raises(InputError, match="bytes are more than"):
        read_image(path)


def test_what_is_not_a_file_is_refused(tmp_path: Path) -> None:
    """A pipe would make the reader wait for ever, a folder is no picture, and nothing is nothing."""
    os.mkfifo(tmp_path / "pipe")
    for name, why in (("pipe", "is not a file"), (".", "is not a file"), ("none", "No such file")):
        with pytest.raises(InputError, match=why):
            read_image(tmp_path / name)


@settings(max_examples=200)
@given(
    suffix=st.sampled_from([".png", ".jpg"]),
    start=st.integers(0, 2000),
    junk=st.binary(max_size=40),
    keep=st.integers(0, 3000),
)
def test_a_mutated_picture_is_read_or_refused(suffix: str, start: int, junk: bytes, keep: int) -> None:
    """Whatever bytes come, there is a picture of uint8 or one InputError, and nothing else."""
    data = encoded(suffix)
    data = (data[:start] + junk + data[start + len(junk) :])[:keep]
    with contextlib.suppress(InputError):
        assert np.dtype(np.uint8) == decode_image(data, "x").dtype
