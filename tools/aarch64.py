"""The flap's core as aarch64 code: the real wheels and the factory model in an arm64 Debian root, under qemu.

    python tools/aarch64.py [--quick] [--write]

Compares what the same checkout says here and there: the model's golden patches in both runtimes, whole simulated nights
through the daemon, and ``catflap replay`` over films and spool records that were made here. Then it counts instructions
of the Pi's processors, which is the one measure of cost that no other program on this machine disturbs. Ends with
status 1 if anything differs that may not. ``--write`` puts the answers into docs/reliability.md and the counts into
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from arm64_root import BUILD, ROOT, SUITE, MissingError, fetched, program
from arm64_run import CPU, Emulated, Native, Ran, machines
from bench import WATCHED_SCENE, quiet_pictures, scene_frames
from pages import replaced

from edge import bundle

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RUNTIMES = ("litert", "tflite")
CPUS = {"cortex-a53": "Pi 3, Zero 2 W", "cortex-a72": "Pi 4", "cortex-a76": "Pi 5"}
FILMS = (
    "prey_is_refused",
    "opens_for_own_clean_cat",
    "opens_for_own_cat_against_the_light",
    "prey_against_the_light_is_refused",
    "fox_is_refused",
    "overexposed_is_blind",
)
NIGHTS = ("prey_is_refused", "opens_for_own_clean_cat", "unknown_chip_is_refused")
RECORDED = ("prey_is_refused", "opens_for_own_clean_cat", "fox_is_refused", "dark_is_blind_shut")
CORE = ROOT / "tools" / "arm64_core.py"
STEPS = {
    "invoke_litert": "one run of the model, LiteRT",
    "invoke_tflite": "one run of the model, tflite-runtime",
    "idle_tick": "one tick in which nothing moves (LiteRT)",
    "watched_tick": "one tick with something in front of the flap (LiteRT)",
}


class DifferError(Exception):
    """A program failed that had to end well; one line."""


@dataclass(slots=True)
class Answers:
    """What was asked, what came of it, and whether that is as it must be."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    wrong: int = 0

    def say(self, what: str, answer: str, *, right: bool) -> None:
        """Print one line and keep it."""
        self.rows.append((what, answer if right else f"**WRONG** {answer}"))
        self.wrong += not right
        print(f"{'ok' if right else 'WRONG':6} {what}: {answer}", flush=True)


@dataclass(frozen=True, slots=True)
class Bench:
    """Both machines, and a place for what is made for them."""

    here: Native
    there: Emulated
    place: Path

    def both(self, *arguments: str) -> tuple[Ran, Ran]:
        """Run the same on both."""
        return self.here.run(arguments), self.there.run(arguments)


def main() -> int:
    """Ask everything, in turn."""
    parser = argparse.ArgumentParser(description="the flap's core as aarch64 code, under qemu")
    parser.add_argument("--quick", action="store_true", help="one film, one night, one processor")
    parser.add_argument("--write", action="store_true", help="into docs/reliability.md and docs/benchmarks.md")
    arguments = parser.parse_args()
    few = 1 if arguments.quick else None
    answers = Answers()
    try:
        here, there = machines(sys.executable)
        with tempfile.TemporaryDirectory() as place:
            bench = Bench(here, there, Path(place))
            told = _about(bench, answers)
            _core(bench, answers, few)
            counts = _counts(bench, answers, [CPU] if arguments.quick else list(CPUS))
    except (MissingError, DifferError, subprocess.SubprocessError) as error:
        print(f"aarch64: {error}", file=sys.stderr)
        return 1
    if arguments.write:
        _write("docs/reliability.md", _reliability(told, answers))
        _write("docs/benchmarks.md", _benchmarks(told, counts))
    return 1 if answers.wrong else 0


def _core(bench: Bench, answers: Answers, few: int | None) -> None:
    _wheels(answers)
    _floors(bench, answers)
    for runtime in RUNTIMES:
        _golden(bench, answers, runtime)
    _nights(bench, answers, NIGHTS[:few])
    films = [_film(bench, scene) for scene in FILMS[:few]]
    spools = [_spool(bench, scene) for scene in RECORDED[:few]]
    kinds = {
        f"`catflap replay` of {len(films)} films, {RUNTIMES[0]}": [*films, "--runtime", RUNTIMES[0]],
        f"`catflap replay` of {len(films)} films, {RUNTIMES[1]}": [*films, "--runtime", RUNTIMES[1]],
        f"`catflap replay` of the spool records of {len(spools)} nights": spools,
    }
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = pool.map(lambda paths: bench.both("-m", "edge.cli", "replay", "--json", *paths), kinds.values())
        for what, ran in zip(kinds, asked, strict=True):
            _replayed(answers, what, *ran)


# --- what is compared ------------------------------------------------------------------------------------------------


def _about(bench: Bench, answers: Answers) -> str:
    here, there = (json.loads(_well(ran)) for ran in bench.both(str(CORE), "about"))
    qemu = subprocess.run([program("qemu-aarch64"), "--version"], capture_output=True, text=True, check=True)
    version = qemu.stdout.split("version ")[1].split()[0]
    names = [f"{machine}, Python {python}, {libc}, numpy {numpy}" for machine, python, libc, numpy in (here, there)]
    answers.say("machines", f"{names[1]}, beside {names[0]}", right=there[0] == "aarch64")
    model = bundle.load(bundle.factory_directory()).model_id
    return f"{datetime.now(UTC):%Y-%m-%d}; Debian {SUITE} arm64 ({names[1]}), qemu-aarch64 {version}; model {model}"


def _wheels(answers: Answers) -> None:
    for tag in ("py311", "py313"):
        count, wanted = fetched(tag)
        answers.say(f"aarch64 wheels of requirements/runtime-{tag}.txt, by hash", f"{count} of {wanted}",
                    right=count == wanted)  # fmt: skip


def _floors(bench: Bench, answers: Answers) -> None:
    """Import the floors below hardware, then every room, with the lists of tests/test_architecture.py."""
    floors, forbidden = _architecture()
    low = [room for room, floor in floors.items() if floor <= 3]
    loaded = set(json.loads(_well(bench.there.run([str(CORE), "imports", *low]))))
    found = sorted(loaded & set(forbidden))
    answers.say("floors 0 to 3 imported; hardware, network and ML libraries loaded with them",
                f"{len(low)} rooms; {', '.join(found) or 'none'}", right=not found)  # fmt: skip
    everything = bench.there.run([str(CORE), "imports", *floors])
    answers.say("every room imported", f"{len(floors)} rooms", right=everything.status == 0)


def _architecture() -> tuple[dict[str, int], tuple[str, ...]]:
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    values: dict[str, object] = {}
    for node in tree.body:
        target = node.target if isinstance(node, ast.AnnAssign) else getattr(node, "targets", [None])[0]
        if isinstance(target, ast.Name) and target.id in ("FLOORS", "FORBIDDEN_BELOW_4"):
            values[target.id] = ast.literal_eval(node.value)  # type: ignore[attr-defined] # both kinds have one
    floors, forbidden = values["FLOORS"], values["FORBIDDEN_BELOW_4"]
    if not isinstance(floors, dict) or not isinstance(forbidden, tuple):
        raise DifferError("tests/test_architecture.py: FLOORS and FORBIDDEN_BELOW_4 are no longer literals")
    return floors, forbidden


def _golden(bench: Bench, answers: Answers, runtime: str) -> None:
    (name, mine), (_, theirs) = (json.loads(_well(ran)) for ran in bench.both(str(CORE), "golden", runtime))
    golden = bundle.golden(bundle.load(bundle.factory_directory()))
    recorded = next(told for told in golden.outputs if told.runtime == name)
    wanted = np.hstack([np.array(recorded.logits), np.array(recorded.embedding)])
    there = np.array(theirs)
    off = int(np.abs(there - wanted).max())
    apart = np.abs(there - np.array(mine))
    answers.say(
        f"golden patches, {name}",
        f"{len(there)} patches, {there.size} numbers: at most {off} steps from the bundle's (allowed: "
        f"{golden.tolerance_lsb}); {int((apart == 0).sum())} of {there.size} equal to this machine's, "
        f"the others off by at most {int(apart.max())}",
        right=off <= golden.tolerance_lsb,
    )


def _nights(bench: Bench, answers: Answers, scenes: Sequence[str]) -> None:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        alike = sum(pool.map(lambda scene: _alike(bench, scene), scenes))
    answers.say("simulated nights through the daemon (`catflap demo --speed 0`): every line alike",
                f"{alike} of {len(scenes)} ({', '.join(scenes)})", right=alike == len(scenes))  # fmt: skip


def _alike(bench: Bench, scene: str) -> bool:
    arguments = ("-m", "edge.cli", "demo", str(_scene(scene)), "--speed", "0", "--out")
    mine = _well(bench.here.run([*arguments, str(bench.place / "here" / scene)]))
    theirs = _well(bench.there.run([*arguments, str(bench.place / "there" / scene)]))
    return _visits(mine) == _visits(theirs)


def _visits(printed: str) -> list[str]:
    """Return a night's lines without the last three, which say where its files are."""
    return printed.splitlines()[:-3]


def _replayed(answers: Answers, what: str, here: Ran, there: Ran) -> None:
    mine, theirs = ([json.loads(line) for line in ran.output.splitlines()] for ran in (here, there))
    if not mine:
        raise DifferError(f"{what}: nothing was judged: {here.complaint.splitlines()[-1:]}")
    pairs = list(zip(mine, theirs, strict=False))
    verdicts = sum(one["verdict"] == other["verdict"] for one, other in pairs)
    lines = sum(one == other for one, other in pairs)
    bits = [f"; {sum(line['same'] for line in theirs)} to the last bit as recorded"] if "same" in mine[0] else []
    answers.say(what, f"{len(mine)} visits: {verdicts} verdicts alike, {lines} whole lines alike{''.join(bits)}",
                right=verdicts == len(mine) == len(theirs))  # fmt: skip


def _film(bench: Bench, scene: str) -> str:
    out = bench.place / f"{scene}.avi"
    _well(bench.here.run(["-m", "edge.cli", "film", str(_scene(scene)), str(out)]))
    return str(out)


def _spool(bench: Bench, scene: str) -> str:
    out = bench.place / "recorded" / scene
    _well(bench.here.run(["-m", "edge.cli", "demo", str(_scene(scene)), "--speed", "0", "--out", str(out)]))
    return str(out / "spool")


def _scene(name: str) -> Path:
    return ROOT / "tests" / "scenarios" / f"{name}.toml"


def _well(ran: Ran) -> str:
    """Return what a program wrote; raises DifferError where it failed."""
    if ran.status != 0:
        raise DifferError(f"ended with status {ran.status}: {' / '.join(ran.complaint.splitlines()[-3:])}")
    return ran.output


# --- what is counted -------------------------------------------------------------------------------------------------

Counts = dict[str, dict[str, list[int]]]
"""By processor and step: instructions, one number a turn."""


def _counts(bench: Bench, answers: Answers, cpus: Sequence[str]) -> Counts:
    films = BUILD / "films.npz"
    watched = np.stack([frame.grey for frame in scene_frames(WATCHED_SCENE)])
    np.savez(films, idle=np.stack(quiet_pictures()), watched=watched)
    counts = {cpu: _counted(bench, films, cpu) for cpu in cpus}
    for cpu, steps in counts.items():
        told = ", ".join(f"{name} {np.median(steps[name]) / 1e6:.3f} M" for name in STEPS)
        answers.say(f"instructions on {cpu}", told, right=True)
    first, again = counts[CPU], _counted(bench, films, CPU)
    apart = max(abs(float(np.median(first[name]) / np.median(again[name])) - 1) for name in STEPS)
    answers.say("the same count a second time: medians apart", f"{100 * apart:.3f} %", right=apart < 0.01)
    return counts


def _counted(bench: Bench, films: Path, cpu: str) -> dict[str, list[int]]:
    ran = bench.there.run([str(CORE), "cost", str(films)], cpu=cpu, count=True)
    names = json.loads(_well(ran))
    found: dict[str, list[int]] = {}
    for name, (before, now) in zip(names, pairwise((0, *ran.marks)), strict=False):
        found.setdefault(name, []).append(now - before)
    mark = int(np.median(found["mark"]))
    return {name: [count - mark for count in found[name]] for name in STEPS}


# --- the pages -------------------------------------------------------------------------------------------------------


def _write(page: str, text: str) -> None:
    path = ROOT / page
    path.write_text(replaced(path.read_text(encoding="utf-8"), "aarch64", text), encoding="utf-8")
    print(f"{page}: written")


def _reliability(told: str, answers: Answers) -> str:
    rows = "\n".join(f"| {what} | {answer} |" for what, answer in answers.rows)
    return (
        f"{told}.\n\nReal aarch64 code in an emulated processor; the kernel is this machine's. The wheels are those "
        f"of\nthe lock file, by their hashes.\n\n| asked | answer |\n|---|---|\n{rows}"
    )


def _benchmarks(told: str, counts: Counts) -> str:
    head = " | ".join(f"{cpu} ({CPUS[cpu]})" for cpu in counts)
    rows = "\n".join(_row(name, counts) for name in STEPS)
    return (
        f"## Instructions of the Pi's processor\n\n{told}. Made by `make aarch64`.\n\nExecuted aarch64 instructions in "
        "millions, median (95th percentile), counted by a plugin of qemu's user emulation\nat every step of one run. "
        "They are the cost that no other program on the machine disturbs: the same program counts the\nsame again to a "
        "fraction of a percent. They are no time: how many of them a processor finishes in a second depends on\nits "
        f"caches.\n\n| step | {head} |\n|---|{'---|' * len(counts)}\n{rows}"
    )


def _row(name: str, counts: Counts) -> str:
    cells = " | ".join(" ".join(_told(counts[cpu][name])) for cpu in counts)
    return f"| {STEPS[name]} | {cells} |"


def _told(values: Sequence[int]) -> Iterator[str]:
    middle, late = np.percentile(values, (50, 95)) / 1e6
    yield f"{middle:.3f}"
    yield f"({late:.3f})"


if __name__ == "__main__":
    sys.exit(main())
