"""FDX-B transponders from a reader module on a serial line. Floor 5.

The frame is that of the WL-134 and its many copies: 30 bytes at 9600 baud, 8 data bits, no parity, as their data sheet
prints it and as ESPHome's ``wl_134`` component reads it:

====== ===== ===========================================================
offset bytes what
====== ===== ===========================================================
0      1     0x02
1      10    card number, hexadecimal digits, least significant first
11     4     country code, the same
15     1     data block follows: ``0`` or ``1``
16     1     animal: ``0`` or ``1``
17     10    reserved
27     1     all of bytes 1 to 26, exclusive-or
28     1     the same with every bit inverted
29     1     0x03
====== ===== ===========================================================

The data sheet's own example is in the tests. ISO 11784 gives the card number 38 bits and the country 10 bits of which
999 is the largest used; a frame outside that is taken as damaged. Not verified here: a module in the hand. Some
sellers list two stop bits; a receiver set for one reads those too.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import xor
from typing import TYPE_CHECKING, Any

from edge.errors import HardwareError

if TYPE_CHECKING:
    from edge.config import ChipConfig

FRAME_BYTES = 30
LARGEST_CARD = 2**38 - 1
LARGEST_COUNTRY = 999
POLL_BYTES = 4096
"""Taken from the line in one poll at most: more than four seconds at 9600 baud, so that noise cannot hold the loop."""

_FRAME = re.compile(rb"\x02(.{26})(.)(.)\x03", re.DOTALL)
_DIGITS = re.compile(rb"[0-9A-Fa-f]{14}[01]{2}[0-9A-Fa-f]{10}")


class FrameParser:
    """Finds frames in whatever bytes come, in pieces of any length; pure."""

    def __init__(self) -> None:
        """Start with an empty line."""
        self._pending = b""
        self.bad_frames = 0
        """Stretches of the length of a frame, with its first and last byte, that are none: a damaged reading."""

    def feed(self, data: bytes) -> tuple[str, ...]:
        """Return the chips whose frames ended within ``data``, in order, each once; 15 digits, country code first.

        After a stretch that is no frame the search goes on at the very next byte, so a frame behind noise is found
        even where the noise looked like the beginning of one.
        """
        line, at = self._pending + data, 0
        chips: dict[str, None] = {}
        while (match := _FRAME.search(line, at)) is not None:
            chip = _chip(*match.groups())
            at = match.start() + 1 if chip is None else match.end()
            if chip is None:
                self.bad_frames += 1
            else:
                chips[chip] = None
        self._pending = line[max(at, len(line) - FRAME_BYTES + 1) :]
        return tuple(chips)


def _chip(body: bytes, check: bytes, inverted: bytes) -> str | None:
    total = reduce(xor, body)
    if _DIGITS.fullmatch(body) is None or total != check[0] or total ^ 0xFF != inverted[0]:
        return None
    card, country = _number(body[:10]), _number(body[10:14])
    if card > LARGEST_CARD or country > LARGEST_COUNTRY:
        return None
    return f"{country:03d}{card:012d}"


def _number(digits: bytes) -> int:
    return int(digits[::-1], 16)


class SerialChipReader:
    """A reader on a serial line; implements ``ports.ChipReader``."""

    def __init__(self, config: ChipConfig) -> None:
        """Open ``chip.port`` at ``chip.baud``, for this process alone.

        Raises:
            HardwareError: the line cannot be opened.
        """
        import serial  # noqa: PLC0415 - hardware libraries load in constructors only

        self._name = f"chip.port {config.port}"
        self._failures: tuple[type[Exception], ...] = (serial.SerialException, OSError)
        self._parser = FrameParser()
        try:
            self._line: Any = serial.Serial(config.port, config.baud, timeout=0, exclusive=True)
        except (*self._failures, ValueError) as error:
            raise HardwareError(f"{self._name}: cannot be opened: {error}") from error

    @property
    def bad_frames(self) -> int:
        """How many damaged frames have come since the line was opened."""
        return self._parser.bad_frames

    def poll(self) -> tuple[str, ...]:
        """Return the chips read since the last call, each once."""
        if not self._line.is_open:
            raise HardwareError(f"{self._name}: is closed")
        try:
            data = self._line.read(POLL_BYTES)
        except self._failures as error:
            raise HardwareError(f"{self._name}: the reader is gone: {error}") from error
        return self._parser.feed(data)

    def close(self) -> None:
        """Release the line."""
        self._line.close()
