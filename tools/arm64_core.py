"""What is asked of the flap's core on both machines, this one and the emulated Pi's; one JSON line on stdout.

    python tools/arm64_core.py about
    python tools/arm64_core.py imports ROOM...
    python tools/arm64_core.py golden RUNTIME
    python tools/arm64_core.py cost FILMS.npz

``cost`` marks its steps with getpgid(2), by which ``insn_count.c`` writes down how many instructions there were so far,
and prints what stood between each mark and the one before.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Pixels = npt.NDArray[np.uint8]

INVOKES = 20
IDLE_TICKS = 100
SETTLED_TICKS = 100
WATCHED_TICKS = 40
SETTLED_CALLS = 10


def about() -> object:
    """Name the machine, its Python and the C library."""
    return [platform.machine(), platform.python_version(), " ".join(platform.libc_ver()), np.__version__]


def imports(*rooms: str) -> object:
    """Import rooms of ``edge`` and return the top names of everything that is loaded then."""
    for room in rooms:
        importlib.import_module(f"edge.{room}")
    return sorted({name.partition(".")[0] for name in sys.modules})


def golden(runtime: str) -> object:
    """Return the runtime's name and version and every number it says of the factory model's golden patches."""
    from edge import bundle  # noqa: PLC0415 - `imports` must load nothing of the house by itself
    from edge.adapters.tflite import open_interpreter  # noqa: PLC0415 - as above

    loaded = bundle.load(bundle.factory_directory())
    told = bundle.golden(loaded)
    interpreter = open_interpreter(loaded, runtime, 1)
    runs = [interpreter.invoke(_tensor(patch)) for patch in told.patches]
    return [interpreter.runtime, [[int(number) for output in run for number in output.ravel()] for run in runs]]


def cost(films: str) -> object:
    """Go through runs of the bare model, idle ticks and watched ticks; return the name of each step, in order."""
    from edge import bundle  # noqa: PLC0415 - as above
    from edge.adapters.tflite import open_interpreter  # noqa: PLC0415 - as above

    steps = Steps()
    for _ in range(INVOKES):
        steps.done("mark")
    loaded = bundle.load(bundle.factory_directory())
    tensor = _tensor(bundle.golden(loaded).patches[0])
    for runtime in ("litert", "tflite"):
        interpreter = open_interpreter(loaded, runtime, 1)
        interpreter.invoke(tensor)
        steps.done("open")
        for _ in range(INVOKES):
            interpreter.invoke(tensor)
            steps.done(f"invoke_{runtime}")
    _ticks(steps, np.load(films))
    return steps.names


class Steps:
    """The names of the steps so far; each ends with a mark."""

    def __init__(self) -> None:
        """Begin with what it took to get here."""
        self.names: list[str] = []
        self.done("start")

    def done(self, name: str) -> None:
        """End a step."""
        self.names.append(name)
        os.getpgid(0)


def _ticks(steps: Steps, films: dict[str, Pixels]) -> None:
    """Tick over the idle film, then over the watched one from where the model has settled to work."""
    from bench import rig  # noqa: PLC0415 - as above

    from edge.messages import Frame  # noqa: PLC0415 - as above

    quiet, busy = (rig([Frame(at, 0, grey) for at, grey in enumerate(films[name])]) for name in ("idle", "watched"))
    for _ in range(SETTLED_TICKS):
        quiet.tick()
    while busy.counter.calls < SETTLED_CALLS:
        busy.tick()
    before = quiet.counter.calls, busy.counter.calls
    steps.done("settle")
    _each(steps, "idle_tick", IDLE_TICKS, quiet.tick)
    _each(steps, "watched_tick", WATCHED_TICKS, busy.tick)
    made = quiet.counter.calls - before[0], busy.counter.calls - before[1]
    if made != (0, WATCHED_TICKS):
        raise SystemExit(f"arm64_core: the model ran in {made[0]} idle and {made[1]} of {WATCHED_TICKS} watched ticks")


def _each(steps: Steps, name: str, times: int, act: Callable[[], object]) -> None:
    for _ in range(times):
        act()
        steps.done(name)


def _tensor(pixels: Pixels) -> npt.NDArray[np.int8]:
    from edge.features import tensor  # noqa: PLC0415 - as above
    from edge.messages import Box, Patch  # noqa: PLC0415 - as above

    height, width = pixels.shape
    return tensor(Patch(pixels, Box(0, 0, width, height)))


ASKED: dict[str, Callable[..., object]] = {"about": about, "imports": imports, "golden": golden, "cost": cost}


def main() -> int:
    """Answer what was asked."""
    print(json.dumps(ASKED[sys.argv[1]](*sys.argv[2:])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
