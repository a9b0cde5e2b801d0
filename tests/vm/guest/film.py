"""Show a film to the V4L2 device that the daemon takes for its camera (v4l2loopback), in the film's own time.

While nobody asks, it shows the beginning of the first film, in which nobody is there, over and over. Whoever writes
a film's name into /run/bench/show sees it once; /run/bench/shown then has its name. Standard library only.
"""

from __future__ import annotations

import fcntl
import functools
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEVICE = "/dev/video0"
FILMS = Path("/usr/local/lib/bench/films")
RUN = Path("/run/bench")
WIDTH_PX, HEIGHT_PX = 320, 240
INTERVAL_S = 0.1
QUIET_FRAMES = 30
"""Nobody is there in the first three seconds of any film."""

# linux/videodev2.h
VIDIOC_S_FMT = 0xC0D05605
VIDEO_OUTPUT = 2
FIELD_NONE = 1
COLORSPACE_SRGB = 8
YUYV = struct.unpack("<I", b"YUYV")[0]


def main() -> None:
    """Show for ever."""
    device = _open()
    picture = bytearray(b"\x80" * (2 * WIDTH_PX * HEIGHT_PX))  # every second byte is colour, and there is none
    due_s, never = time.monotonic(), threading.Event()
    for grey in _frames():
        picture[0::2] = grey
        os.write(device, picture)
        _ready()
        due_s = max(due_s + INTERVAL_S, time.monotonic())
        never.wait(max(0.0, due_s - time.monotonic()))


@functools.cache
def _ready() -> None:
    """Tell systemd, once, that there is a picture: before it nobody can open the device."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])


def _open() -> int:
    device = os.open(DEVICE, os.O_RDWR)
    size = 2 * WIDTH_PX * HEIGHT_PX
    pixels = (WIDTH_PX, HEIGHT_PX, YUYV, FIELD_NONE, 2 * WIDTH_PX, size, COLORSPACE_SRGB)
    fcntl.ioctl(device, VIDIOC_S_FMT, bytearray(struct.pack("<II7I172x", VIDEO_OUTPUT, 0, *pixels)))
    return device


def _frames() -> Iterator[bytes]:
    films = {path.stem: _film(path) for path in sorted(FILMS.iterdir())}
    quiet = next(iter(films.values()))[:QUIET_FRAMES]
    show = RUN / "show"
    while True:
        for number in range(QUIET_FRAMES):
            yield quiet[number]
            if show.exists():
                name = show.read_text(encoding="ascii").strip()
                show.unlink()
                yield from films[name]
                (RUN / "shown").write_text(name, encoding="ascii")


def _film(path: Path) -> list[bytes]:
    data, size = path.read_bytes(), WIDTH_PX * HEIGHT_PX
    return [data[at : at + size] for at in range(0, len(data), size)]


if __name__ == "__main__":
    main()
