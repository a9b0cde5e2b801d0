"""``catflap run`` and ``catflap doctor``: on the device. Floor 9."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from edge import assembly, config
from edge.adapters.clock import SystemClock
from edge.adapters.systemd import SystemdHeartbeat
from edge.daemon import Daemon, StopFlag, Stores, prepare_logs
from edge.doctor import Level, examine

if TYPE_CHECKING:
    import argparse

FINDING = 1


def run(arguments: argparse.Namespace) -> int:
    """Run the daemon until it is told to stop."""
    wanted = config.load(arguments.config)
    prepare_logs(wanted)
    stop = StopFlag()
    stop.listen()
    host = assembly.Host(SystemClock(), SystemdHeartbeat())
    Daemon(wanted, assembly.open_devices(wanted, host.clock), host, Stores()).run(stop)
    return 0


def doctor(arguments: argparse.Namespace) -> int:
    """Say what is wrong and what to do."""
    findings = examine(config.load(arguments.config))
    for finding in findings:
        print(json.dumps(dataclasses.asdict(finding)) if arguments.json else finding.line())
    return FINDING if any(finding.level is Level.ERROR for finding in findings) else 0
