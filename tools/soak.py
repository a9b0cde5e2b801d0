"""A thousand simulated nights: does anything grow? Plays on from where it stopped, an hour at a time, then tells.

Each life of the daemon is a process of its own (``soak_life.py``) over the same journal, spool and slots, and ends as
it was drawn: told to stop, or killed in the middle of a night. ``nights.jsonl`` has one line for each night.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from pages import replaced
from soak_figures import MIB, broken, rows
from soak_life import NIGHTS, STATE, Sample
from soak_page import LifeEnd, journal_size, page

LIVES = "lives.jsonl"
STOP_S = 120.0
"""A life that is told to stop ends within a tick, and the tick of a loaded machine within this."""

GOAL = 1000


class SoakError(Exception):
    """A life ended as none should: one line."""


def samples(home: Path) -> list[Sample]:
    """Return what was measured so far; a line that a kill left half written is no night."""
    told = []
    for line in _lines(home / NIGHTS):
        with suppress(ValueError):
            told.append(Sample(**json.loads(line)))
    return told


def ends(home: Path) -> list[LifeEnd]:
    """Return how the lives ended so far."""
    return [LifeEnd(**json.loads(line)) for line in _lines(home / LIVES)]


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def play(home: Path, seed: int, goal: int, until_s: float) -> None:
    """Live one life after another until there are ``goal`` nights, the monotonic clock shows ``until_s``, or SIGINT.

    Raises:
        SoakError: a life ended as none should.
    """
    home.mkdir(parents=True, exist_ok=True)
    end = ""
    while end != "stopped" and (done := len(before := samples(home))) < goal and time.monotonic() < until_s:
        number = max([0, *(one.life for one in before), *(one.life for one in ends(home))]) + 1
        began_s = time.monotonic()
        end = _live(home, [f"--seed={seed}", f"--life={number}", f"--first={done}", f"--most={goal - done}"], until_s)
        ended = LifeEnd(number, end, round(time.monotonic() - began_s, 1))
        with (home / LIVES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(ended)) + "\n")
        told = samples(home)
        last = told[-1].rss_bytes / MIB if told else 0.0
        print(f"life {number}: {end} after {ended.took_s:.0f} s; {len(told)} nights, {last:.1f} MiB", flush=True)


def _live(home: Path, drawn: list[str], until_s: float) -> str:
    """Live one life; return how it ended."""
    said = home / "life.err"
    with said.open("w", encoding="utf-8") as err:
        program = Path(__file__).with_name("soak_life.py")
        child = subprocess.Popen([sys.executable, str(program), str(home), *drawn], stderr=err)
        try:
            stopped = _ended_late(child, until_s)
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
    if child.returncode == -signal.SIGKILL:
        return "cut"
    if stopped and child.returncode in (0, -signal.SIGTERM):  # the latter: it had not begun to listen yet
        return "stopped"
    if child.returncode != 0:
        last = (said.read_text(encoding="utf-8").strip().splitlines() or ["nothing was said"])[-1]
        raise SoakError(f"{' '.join(drawn)}: exit status {child.returncode}: {last} (all of it: {said})")
    return "finished"


def _ended_late(child: subprocess.Popen[bytes], until_s: float) -> bool:
    """Wait for a life; tell it to stop at ``until_s`` or SIGINT, and return whether that had to be said."""
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        child.wait(max(0.0, until_s - time.monotonic()))
        return False
    child.terminate()
    child.wait(STOP_S)
    return True


def main() -> int:
    """Play on and tell; exit status 1 where a bound was passed, 2 where a life ended as none should."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--home", type=Path, default=Path("build/soak"), help="where it goes on from and leaves it")
    parser.add_argument("--hours", type=float, default=24.0, help="play no longer than this")
    parser.add_argument("--nights", type=int, default=GOAL, help="play until there are so many in all")
    parser.add_argument("--seed", type=int, default=6, help="what the nights are drawn from")
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the figures between the marks in this file")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        play(options.home, options.seed, options.nights, time.monotonic() + options.hours * 3600)
    except SoakError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    told = samples(options.home)
    if not told:
        print("soak: no night was finished; give it more time", file=sys.stderr)
        return 2
    part = page(told, ends(options.home), journal_size(options.home / STATE / "journal.sqlite"))
    print(part)
    if options.write is not None:
        text = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(text, "soak", part), encoding="utf-8")
    return 1 if broken(rows(told)) else 0


if __name__ == "__main__":
    sys.exit(main())
