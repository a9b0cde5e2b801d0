"""The chip reader: frames among noise, and a real serial line."""

from __future__ import annotations

import itertools
import os
import tty
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.adapters.rfid import FRAME_BYTES, LARGEST_CARD, LARGEST_COUNTRY, FrameParser, SerialChipReader
from edge.config import ChipConfig
from edge.errors import HardwareError

if TYPE_CHECKING:
    from collections.abc import Iterator

# From the WL-134's data sheet: "on the tag shows 900250000023921", and the module's output for it.
SHEET = bytes.fromhex("02 31373141393235334133 34383330 30 31 30303030303030303030 07 F8 03")


def frame(country: int, card: int) -> bytes:
    """Build a frame as the data sheet describes it."""
    digits = f"{card:010X}"[::-1] + f"{country:04X}"[::-1] + "01" + "0" * 10
    body = digits.encode()
    total = reduce(xor, body)
    return b"\x02" + body + bytes((total, total ^ 0xFF)) + b"\x03"


def chip(country: int, card: int) -> str:
    """Return the 15 digits of a transponder."""
    return f"{country:03d}{card:012d}"


identities = st.tuples(st.integers(0, LARGEST_COUNTRY), st.integers(0, LARGEST_CARD))


def test_the_data_sheets_own_frame() -> None:
    """The published example reads as the number printed on its tag."""
    assert ("900250000023921",) == FrameParser().feed(SHEET)


@given(identities)
def test_every_identity_survives(identity: tuple[int, int]) -> None:
    """All countries and card numbers of ISO 11784 come out as 15 digits."""
    (read,) = FrameParser().feed(frame(*identity))
    assert (15, chip(*identity)) == (len(read), read)


@given(identity=identities, cuts=st.lists(st.integers(1, FRAME_BYTES - 1), max_size=5))
def test_a_frame_may_come_in_pieces(identity: tuple[int, int], cuts: list[int]) -> None:
    """However the line cuts a frame, it is read once, with its last piece."""
    parser, data = FrameParser(), frame(*identity)
    edges = [0, *sorted(set(cuts)), FRAME_BYTES]
    read = [parser.feed(data[start:end]) for start, end in itertools.pairwise(edges)]
    assert [()] * (len(read) - 1) + [(chip(*identity),)] == read


noise = st.binary(max_size=80)
tricky = st.lists(st.sampled_from([b"\x02", b"\x03", b"0", b"A", SHEET[:20], SHEET[10:], b"\xff"]), max_size=8)


@given(identity=identities, before=st.one_of(noise, tricky.map(b"".join)), after=noise, size=st.integers(1, 200))
def test_a_frame_is_found_in_any_noise(identity: tuple[int, int], before: bytes, after: bytes, size: int) -> None:
    """Noise before or after, even pieces of other frames, neither hides a chip nor makes one up."""
    parser, data = FrameParser(), before + frame(*identity) + after
    read = [found for start in range(0, len(data), size) for found in parser.feed(data[start : start + size])]
    assert [chip(*identity)] == read


@given(identity=identities, at=st.integers(0, FRAME_BYTES - 1), bit=st.integers(0, 7))
def test_one_wrong_bit_is_never_a_chip(identity: tuple[int, int], at: int, bit: int) -> None:
    """A frame with any one bit flipped is not read."""
    data = bytearray(frame(*identity))
    data[at] ^= 1 << bit
    assert () == FrameParser().feed(bytes(data))


def test_a_wrong_checksum_is_counted() -> None:
    """A damaged frame is counted once, however the bytes after it come."""
    parser = FrameParser()
    bad = SHEET[:5] + b"7" + SHEET[6:]
    read = [parser.feed(bad), parser.feed(b""), parser.feed(SHEET)]
    assert ([(), (), ("900250000023921",)], 1) == (read, parser.bad_frames)


@pytest.mark.parametrize(("country", "card"), [(LARGEST_COUNTRY + 1, 5), (5, LARGEST_CARD + 1)])
def test_numbers_that_iso_does_not_know_are_damaged(country: int, card: int) -> None:
    """A frame whose checksum fits but whose numbers cannot be is counted as bad."""
    parser = FrameParser()
    assert ((), 1) == (parser.feed(frame(country, card)), parser.bad_frames)


def test_a_chip_is_told_once_a_poll() -> None:
    """A reader repeats itself while the cat stands there; each chip comes once, in the order in which they came."""
    data = frame(900, 1) + frame(900, 2) + frame(900, 1)
    assert (chip(900, 1), chip(900, 2)) == FrameParser().feed(data)


@given(st.lists(st.binary(max_size=300), max_size=30))
def test_noise_without_end_is_not_kept(pieces: list[bytes]) -> None:
    """Less than one frame is ever remembered."""
    parser = FrameParser()
    for piece in pieces:
        parser.feed(piece)
    assert len(parser._pending) < FRAME_BYTES


class Line:
    """A pseudo-terminal: the test holds the module's end, the reader opens the other by its name."""

    def __init__(self) -> None:
        """Open both ends, raw."""
        self.module, self._other = os.openpty()
        tty.setraw(self._other)
        self.config = ChipConfig(kind="serial", port=os.ttyname(self._other), baud=9600)

    def send(self, data: bytes) -> None:
        """Let the module speak."""
        os.write(self.module, data)

    def unplug(self) -> None:
        """Let the module's end go away."""
        for end in (self.module, self._other):
            if end >= 0:
                os.close(end)
        self.module = self._other = -1


@pytest.fixture
def line() -> Iterator[Line]:
    """A serial line with a module at its other end."""
    opened = Line()
    yield opened
    opened.unplug()


def test_a_poll_does_not_wait(line: Line) -> None:
    """Nothing on the line is nothing read, at once."""
    reader = SerialChipReader(line.config)
    read = reader.poll()
    reader.close()
    assert () == read


def test_real_bytes_on_a_real_line(line: Line) -> None:
    """A frame that comes in two pieces over the line is read when it is whole."""
    reader = SerialChipReader(line.config)
    line.send(b"\xff\x02noise" + SHEET[:12])
    first = reader.poll()
    line.send(SHEET[12:])
    second = reader.poll()
    reader.close()
    assert ((), ("900250000023921",), 0) == (first, second, reader.bad_frames)


def test_a_reader_that_is_unplugged_is_a_failure(line: Line) -> None:
    """A line whose other end is gone is a HardwareError with the port's name."""
    reader = SerialChipReader(line.config)
    line.unplug()
    with pytest.raises(HardwareError, match=rf"^chip\.port {line.config.port}: the reader is gone"):
        reader.poll()
    reader.close()


def test_a_port_that_is_not_there_is_one_sentence() -> None:
    """A missing port is a HardwareError that names it."""
    with pytest.raises(HardwareError, match=r"^chip\.port /dev/none: cannot be opened"):
        SerialChipReader(ChipConfig(kind="serial", port="/dev/none"))


def test_closing_twice_is_closing_once(line: Line) -> None:
    """A closed reader may be closed again, and says that it is closed when it is asked."""
    reader = SerialChipReader(line.config)
    reader.close()
    reader.close()
    with pytest.raises(HardwareError, match="is closed"):
        reader.poll()
