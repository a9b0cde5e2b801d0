"""Measure the flap on this machine, one JSON line a figure.

    python tools/bench.py [--ticks 1000000] [--only stages,idle,process,verdict,deaths,growth]

Nothing here passes or fails: the bounds that were set stand beside the figures, and docs/benchmarks.md says which
machine they were taken on. Compare ratios, not milliseconds: machines are noisy. Pairs that are compared are measured
in turn, in one process.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import bench_deaths
import numpy as np
import numpy.typing as npt

from edge import assembly, features, simulation
from edge.adapters.absent import AbsentFlap, AbsentHeartbeat, AbsentIndicator, AbsentLamp, AbsentRecord, AbsentSensors
from edge.adapters.clock import SimClock
from edge.adapters.logs import set_up
from edge.adapters.sim import load_scene
from edge.assembly import Devices, Host, Memory
from edge.daemon import Daemon, StopFlag, Stores
from edge.gate import Gate, GateSettings
from edge.messages import Frame, Grey, Image, Motion, Observation, Patch, Quality, Scores, VerdictKind
from edge.policy import VisitJudge
from edge.quality import QualityJudge, QualitySettings
from edge.visits import OpenVisit

if TYPE_CHECKING:
    from collections.abc import Callable

    from edge.canonical import VisitSummary
    from edge.ports import Interpreter

Int8: TypeAlias = npt.NDArray[np.int8]

ROOT = Path(__file__).resolve().parent.parent
SCENARIOS = ROOT / "tests" / "scenarios"
WATCHED_SCENE = SCENARIOS / "opens_for_own_clean_cat.toml"
SMALL_SPOOL_BYTES = 20_000_000


def emit(figure: str, value: object, unit: str, **more: object) -> None:
    """Print one figure."""
    print(json.dumps({"figure": figure, "value": value, "unit": unit, **more}), flush=True)


def percentiles(values: list[float]) -> dict[str, float]:
    """Return p50, p95 and p99."""
    return {f"p{share}": round(float(np.percentile(values, share)), 3) for share in (50, 95, 99)}


class Film:
    """A camera that plays the same pictures over and over, each new in time."""

    def __init__(self, frames: list[Frame], clock: SimClock) -> None:
        """Take the pictures of a scene."""
        self._frames = frames
        self._clock = clock
        self._seq = 0

    def newest(self, timeout_s: float) -> Frame:  # noqa: ARG002 - a film keeps nobody waiting
        """Return the next picture at once."""
        self._clock.advance(0.1)
        picture = self._frames[self._seq % len(self._frames)]
        self._seq += 1
        return Frame(self._seq, self._clock.monotonic_ns(), picture.grey)

    def still(self) -> Image | None:
        """Return nothing."""
        return None

    def close(self) -> None:
        """Nothing to release."""


def scene_frames(scene: Path) -> list[Frame]:
    """Return every frame of a scene as its camera shows them to a flap that stays shut."""
    with tempfile.TemporaryDirectory() as place:
        stage = simulation.stage(scene, Path(place), None)
        stage.devices.lamp.set(stage.config.pins.lamp_level)
        camera = stage.devices.open_camera()
        frames: list[Frame] = []
        try:
            while True:
                frame = camera.newest(1.0)
                if frame is not None:
                    frames.append(frame)
        except EOFError:
            return frames


def machine() -> None:
    """Say where and when."""
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    emit(
        "machine",
        model,
        "",
        cores=os.cpu_count(),
        python=platform.python_version(),
        system=platform.platform(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
    )


class CountingInterpreter:
    """The real interpreter, with a count: it tells a watched tick from an idle one."""

    def __init__(self, inner: Interpreter) -> None:
        """Stand before the real one."""
        self._inner = inner
        self.calls = 0

    @property
    def runtime(self) -> str:
        """The real one's."""
        return self._inner.runtime

    def invoke(self, tensor: Int8) -> tuple[Int8, ...]:
        """Count and pass on."""
        self.calls += 1
        return self._inner.invoke(tensor)


@dataclass(frozen=True, slots=True)
class Rig:
    """A loop over a film, with the real model and neither hardware nor disk."""

    tick: Callable[[], None]
    loaded: assembly.LoadedModel
    counter: CountingInterpreter


def rig(frames: list[Frame]) -> Rig:
    """Put a loop together over these pictures."""
    config = simulation.scene_config(load_scene(WATCHED_SCENE), Path())
    loaded = assembly.model_of(config)
    counter = CountingInterpreter(loaded.model.interpreter)
    counted = replace(loaded, model=replace(loaded.model, interpreter=counter))
    clock = SimClock(simulation.NIGHTFALL)
    film = Film(frames, clock)
    devices = Devices(lambda: film, AbsentFlap(), AbsentSensors(), AbsentLamp(), AbsentIndicator(), None)
    models = assembly.one_model(config, counted)
    loop = assembly.pipeline(config, models, devices, Host(clock, AbsentHeartbeat()), Memory(AbsentRecord(), 0.0))
    return Rig(loop.tick, loaded, counter)


def timed_us(act: Callable[[], object]) -> float:
    """Return how long one call took."""
    begun = time.perf_counter_ns()
    act()
    return (time.perf_counter_ns() - begun) / 1000.0


def stages(_: argparse.Namespace) -> None:
    """Measure watched ticks against the bare invoke of the same model, in turn, and each stage by itself."""
    frames = scene_frames(WATCHED_SCENE)
    bench = rig(frames)
    seen = watched(frames, bench.loaded)
    tensor = features.tensor(seen[0].patch)
    interpreter = bench.loaded.model.interpreter
    ticks, bare = [], []
    for _turn in range(12 * len(frames)):
        before = bench.counter.calls
        took, alone = timed_us(bench.tick), timed_us(lambda: interpreter.invoke(tensor))
        if bench.counter.calls > before:
            ticks.append(took)
            bare.append(alone)
    ratios = [took / alone for took, alone in zip(ticks, bare, strict=True)]
    emit("bare_invoke", percentiles(bare), "us", runtime=bench.loaded.runtime, model=bench.loaded.model_id)
    emit("watched_tick", percentiles(ticks), "us", ticks=len(ticks))
    emit("watched_tick_over_bare_invoke", percentiles(ratios), "ratio", bound_p50=1.5)
    for name, values in each_stage(seen, bench.loaded).items():
        emit(f"stage_{name}", percentiles(values), "us")


@dataclass(frozen=True, slots=True)
class Seen:
    """A frame that reached the model, with what the stages before it said."""

    frame: Frame
    motion: Motion
    quality: Quality
    patch: Patch
    scores: Scores


def watched(frames: list[Frame], loaded: assembly.LoadedModel) -> list[Seen]:
    """Return the frames of a scene that pass gate and quality, scored."""
    gate, quality = Gate(GateSettings(0.012, 3)), QualityJudge(QualitySettings())
    found = []
    for frame in frames:
        motion = gate.see(frame.grey, 1.0)
        good = quality.judge(frame, motion)
        if motion.box is None or not good.ok:
            continue
        patch = features.extract(frame.grey, motion.box, loaded.model.recipe)
        found.append(Seen(frame, motion, good, patch, loaded.model.score(patch)))
    return found


def each_stage(seen: list[Seen], loaded: assembly.LoadedModel) -> dict[str, list[float]]:
    """Return the microseconds each stage took for each frame, several times over."""
    config = simulation.scene_config(load_scene(WATCHED_SCENE), Path())
    gate, quality = Gate(GateSettings(0.012, 3)), QualityJudge(QualitySettings())
    rules, model = assembly.rules(config, loaded.evidence), loaded.model
    took: dict[str, list[float]] = {name: [] for name in ("gate", "quality", "features", "model", "policy", "record")}
    for _turn in range(8):
        judge = VisitJudge(rules)
        visit = OpenVisit(simulation.NIGHTFALL, 0, 1, VisitJudge(rules))
        for index, entry in enumerate(seen):
            grey, box = entry.frame.grey, entry.motion.box or features.whole(entry.frame.grey)
            told = Observation(index, index * 100_000_000, entry.motion, entry.quality, entry.patch, entry.scores)
            took["gate"].append(timed_us(partial(gate.see, grey, 1.0)))
            took["quality"].append(timed_us(partial(quality.judge, entry.frame, entry.motion)))
            took["features"].append(timed_us(partial(features.extract, grey, box, model.recipe)))
            took["model"].append(timed_us(partial(model.score, entry.patch)))
            took["policy"].append(timed_us(partial(judge.frame, told)))
            took["record"].append(timed_us(partial(visit.observe, told, no_picture)))
    return took


def no_picture() -> None:
    """Return no large picture."""


def quiet_pictures() -> list[Grey]:
    """Return pictures of a wall in which nothing moves but the noise, (240, 320)."""
    rng = np.random.default_rng(1)
    wall = rng.integers(60, 120, (240, 320)).astype(np.float32)
    return [np.clip(wall + rng.normal(0, 2, wall.shape), 0, 255).astype(np.uint8) for _ in range(50)]


def idle(_: argparse.Namespace) -> None:
    """Measure the CPU time of ticks in which nothing moves, for a 320x240 picture."""
    bench = rig([Frame(index, 0, grey) for index, grey in enumerate(quiet_pictures())])
    for _turn in range(100):
        bench.tick()
    costs = []
    for _turn in range(40):
        begun = time.process_time_ns()
        for _inner in range(100):
            bench.tick()
        costs.append((time.process_time_ns() - begun) / 100 / 1000.0)
    emit("idle_tick_cpu", percentiles(costs), "us", bound=300, model_calls=bench.counter.calls)


def process(_: argparse.Namespace) -> None:
    """Measure the simulated daemon as a process of its own: time to READY, memory, and SIGTERM to its end."""
    with tempfile.TemporaryDirectory() as place:
        address = str(Path(place) / "notify")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        listener.bind(address)
        starts = [started(listener, address, place) for _turn in range(5)]
        listener.close()
    emit("start_to_ready", percentiles([life.ready_s for life in starts]), "s", bound=1.5)
    emit("resident", max(life.resident_mb for life in starts), "MB", bound=90, aim=60)
    emit("sigterm_to_exit", percentiles([life.exit_s for life in starts]), "s", bound=2)


@dataclass(frozen=True, slots=True)
class Life:
    """One daemon from start to end."""

    ready_s: float
    resident_mb: float
    exit_s: float


def started(listener: socket.socket, address: str, place: str) -> Life:
    """Start a daemon, wait for READY, let it run for two seconds, and stop it in the middle of a visit."""
    environment = {**os.environ, "NOTIFY_SOCKET": address}
    begun = time.monotonic()
    command = [sys.executable, "-m", "edge.cli", "run", "--simulate", str(WATCHED_SCENE)]
    with subprocess.Popen(command, cwd=place, env={**environment, "PYTHONPATH": str(ROOT)}, stderr=-3) as child:
        listener.settimeout(30)
        while b"READY=1" not in listener.recv(4096):
            pass
        ready = time.monotonic() - begun
        until = time.monotonic() + 2
        while time.monotonic() < until:
            listener.recv(4096)
        resident = resident_mb(child.pid)
        asked = time.monotonic()
        child.terminate()
        child.wait()
        ended = time.monotonic() - asked
    return Life(ready, resident, ended)


def resident_mb(pid: int) -> float:
    """Return what a process holds in memory, in MB of 2**20 bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def growth(arguments: argparse.Namespace) -> None:
    """Run the simulated daemon for many ticks and fit a line to its memory.

    The spool is small: its list of records grows until it is full, and what happens after that is the question.
    """
    with tempfile.TemporaryDirectory() as place:
        stage = simulation.stage(WATCHED_SCENE, Path(place), None, endless=True)
        config = replace(stage.config, spool=replace(stage.config.spool, max_bytes=SMALL_SPOOL_BYTES))
        daemon = Daemon(config, stage.devices, Host(stage.clock, AbsentHeartbeat()), Stores(stage.files))
        points = []
        for turn in range(arguments.ticks):
            daemon.pipeline.tick()
            if turn % (arguments.ticks // 20) == 0 and turn:
                gc.collect()
                points.append((turn, resident_mb(os.getpid())))
        stop = StopFlag()
        stop.set()
        daemon.run(stop)
    late = points[len(points) // 4 :]
    slope = float(np.polyfit([turn for turn, _ in late], [mb for _, mb in late], 1)[0]) * 1e6
    emit("memory_growth", round(slope, 3), "MB per 1e6 ticks", ticks=arguments.ticks, first=late[0], last=late[-1])


def verdict(_: argparse.Namespace) -> None:
    """Measure, over every scene, frames and milliseconds from the first frame that could be evidence to the bolt."""
    lines: list[VisitSummary] = []
    scenes = sorted(SCENARIOS.glob("*.toml"))
    for scene in scenes:
        with tempfile.TemporaryDirectory() as place:
            stage = simulation.stage(scene, Path(place), None)
            stores = Stores(stage.files, lambda _visit, line: lines.append(line))
            Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), stores).run(StopFlag())
    for kind in (VerdictKind.ADMIT, VerdictKind.REFUSE_PREY):
        decided = [line for line in lines if line.verdict is kind]
        frames = [float(line.frames_to_verdict) for line in decided]
        took = [line.ms_to_verdict for line in decided if line.ms_to_verdict is not None]
        emit(f"{kind}_frames", percentiles(frames), "frames", visits=len(decided), scenes=len(scenes))
        emit(f"{kind}_time", percentiles(took), "ms (simulated time, 10 frames a second)", visits=len(decided))


def deaths(arguments: argparse.Namespace) -> None:
    """Measure how long the coil keeps its power when the daemon is killed, stopped or hung, each several times."""
    for line in bench_deaths.lines(arguments.deaths):
        emit(line.pop("figure"), line.pop("value"), line.pop("unit"), **line)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "stages": stages,
    "idle": idle,
    "process": process,
    "verdict": verdict,
    "deaths": deaths,
    "growth": growth,
}


def main() -> int:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description="measure the flap on this machine")
    parser.add_argument("--ticks", type=int, default=1_000_000, help="how long the memory is watched")
    parser.add_argument("--deaths", type=int, default=5, help="how often the daemon dies in each way")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    set_up("json", "error")
    machine()
    for name in arguments.only.split(","):
        PARTS[name](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
