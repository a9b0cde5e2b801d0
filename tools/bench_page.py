"""Turn what ``tools/bench.py`` printed into docs/benchmarks.md. No figure on that page is typed by hand.

``make benchmarks`` runs both: ``bench.py > lines`` and ``bench_page.py docs/benchmarks.md < lines``. The part of the
page between the marks ``aarch64`` is ``tools/aarch64.py``'s and stays as it was.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from string import Template
from typing import Any

from pages import part, replaced

KEPT = "aarch64"

_PAGE = Template("""\
# Benchmarks

$machine, $cores cores, $system, Python $python, $date; model $model in $runtime, one thread. Made by `make benchmarks`
from the JSON lines that `make bench` prints. Nobody has run this on a Raspberry Pi yet: milliseconds of this machine
say nothing about a Pi, ratios say something.

| figure | value | unit | bound |
|---|---|---|---|
$rows

- `watched_tick` is one tick of the loop with something in front of the flap, all of it: motion, quality, features,
  model, policy, record. It is measured in turn with `bare_invoke` of the same model in the same process, and
  `watched_tick_over_bare_invoke` is the ratio pair by pair. What is written to disk when a visit ends is not in it.
- `stage_*` are the parts by themselves, each called on the same frames again and again: warmer caches than in the loop.
- `idle_tick_cpu` is processor time of a tick in which nothing moves, for a 320x240 picture.
- `start_to_ready`, `resident` and `sigterm_to_exit` are of the simulated daemon as a process of its own, which draws
  its own pictures as well; the signal comes in the middle of a visit.
- `memory_growth` is the slope of a line through resident memory over the last three quarters of that many ticks of the
  simulated daemon, with `first` and `last` as (tick, MB).
- `admit_*` and `refuse_prey_*` count from the first frame that could be evidence to the verdict that moves or holds the
  bolt, over all scenes; milliseconds of simulated time.
- `coil_off_after_*` is from the death of the real daemon, with the coil on, to its bolt's level being low: killed with
  SIGKILL, stopped with SIGSTOP, or hung in a native call that keeps the interpreter. `without_guard` the daemon drives
  a pin that keeps its level when nobody drives it, and what takes it low is a stand-in for systemd: `WatchdogSec=10`,
  SIGKILL, and `ExecStopPost=` as a process of its own, which the bound grants half a second. `with_guard` the coil
  hangs on the guard, a process of its own at the end of a serial line, and the bound is the lease and one tick.
  `watchdog_killed` counts the trials in which it was the watchdog that ended the daemon before the pin was low, and
  `stand_in_late_s` is by how much the stand-in itself was late at most: this machine had other work to do.

<!-- aarch64: begin -->
<!-- aarch64: end -->
""")


def page(lines: list[str]) -> str:
    """Return the page; raises KeyError where the run lacks a part the heading needs."""
    figures = [json.loads(line) for line in lines]
    machine = next(figure for figure in figures if figure["figure"] == "machine")
    bare = next(figure for figure in figures if figure["figure"] == "bare_invoke")
    return _PAGE.substitute(
        {key: machine[key] for key in ("cores", "system", "python", "date")},
        machine=machine["value"],
        model=bare["model"],
        runtime=bare["runtime"],
        rows="\n".join(_row(figure) for figure in figures if figure is not machine),
    )


def _row(figure: dict[str, Any]) -> str:
    value, unit = figure.pop("value"), figure.pop("unit")
    told = ", ".join(f"{name} {share}" for name, share in value.items()) if isinstance(value, dict) else str(value)
    bounds = ", ".join(
        f"{key.removeprefix('bound').lstrip('_')} {figure[key]}".strip()
        for key in figure
        if key.startswith(("bound", "aim"))
    )
    known = {"figure", "model", "runtime"}
    rest = [f"{key} {figure[key]}" for key in figure if key not in known and not key.startswith(("bound", "aim"))]
    return f"| `{figure['figure']}` | {told}{' (' + ', '.join(rest) + ')' if rest else ''} | {unit} | {bounds} |"


def renewed(old: str, lines: list[str]) -> str:
    """Return the page of these lines with the part of the old page that is another tool's.

    Raises:
        ValueError: the old page has no such part.
    """
    return replaced(page(lines), KEPT, part(old, KEPT))


def main() -> None:
    """Write the page of the lines on stdin to the file that is named."""
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text(encoding="utf-8"), sys.stdin.read().splitlines()), encoding="utf-8")


if __name__ == "__main__":
    main()
