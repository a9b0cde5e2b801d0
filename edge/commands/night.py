"""``catflap run --simulate``, ``catflap demo`` and ``catflap film``: in front of a simulated night. Floor 9."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge import simulation
from edge.adapters.absent import AbsentHeartbeat
from edge.adapters.logs import set_up
from edge.adapters.sim.film import film_scene
from edge.adapters.systemd import SystemdHeartbeat
from edge.assembly import Host
from edge.daemon import Daemon, StopFlag, Stores, prepare_logs
from edge.demo import HEAD, Board
from edge.simulation import Stage, find_scene

if TYPE_CHECKING:
    import argparse


def simulate(arguments: argparse.Namespace) -> int:
    """Run the daemon as on the device, in real time and for ever, with twins for hardware."""
    stop = StopFlag()
    stop.listen()
    out = _directory(None)
    out.mkdir(parents=True, exist_ok=True)  # without it the journal cannot be read, and the coil is taken to be hot
    stage = simulation.stage(find_scene(arguments.simulate), out, speed=1.0, endless=True)
    prepare_logs(stage.config)
    Daemon(stage.config, stage.devices, Host(stage.clock, SystemdHeartbeat()), Stores(stage.files)).run(stop)
    return 0


def demo(arguments: argparse.Namespace) -> int:
    """Show a night: one line a visit, a closing table, and where its record lies."""
    out = _directory(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    stage = simulation.stage(find_scene(arguments.scene), out, arguments.speed or None, endless=arguments.forever)
    log_file = out / "catflap.log"
    with log_file.open("a", encoding="utf-8") as log:
        set_up("json", stage.config.log.level, log)
        board = _perform(stage)
    print(f"\n{board.table()}\n\nat home: {', '.join(sorted(stage.world.inside)) or 'nobody'}")
    print(f"journal  {out / 'journal.sqlite'}\nspool    {out / 'spool'}  (key frames lie in it)\nlog      {log_file}")
    return 0


def film(arguments: argparse.Namespace) -> int:
    """Render a scene to a file that one can look at."""
    frames = film_scene(find_scene(arguments.scene), arguments.file)
    print(f"{arguments.file}: {frames} frames")
    return 0


def _perform(stage: Stage) -> Board:
    stop = StopFlag()
    stop.listen()
    board = Board()
    daemon = Daemon(stage.config, stage.devices, Host(stage.clock, AbsentHeartbeat()), Stores(stage.files, board))
    print(f"{stage.scene.title}\n\n{HEAD}")
    daemon.run(stop)
    return board


def _directory(given: Path | None) -> Path:
    """Return a directory of its own for each night, so that no picture of an earlier one is lost."""
    return given or Path("var") / f"night-{datetime.now(UTC):%Y%m%dT%H%M%S}"
