"""``catflap run`` and ``catflap doctor``: on the device. Floor 9."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING

from edge import assembly, config
from edge.adapters.clock import SystemClock
from edge.adapters.systemd import SystemdHeartbeat
from edge.daemon import Daemon, StopFlag, Stores, prepare_logs
from edge.doctor import Finding, Level, Places, examine, real_openers, worst

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
    wanted, clock = config.load(arguments.config), SystemClock()
    findings = examine(wanted, clock, real_openers(wanted, clock), Places())
    for finding in findings:
        print(json.dumps(dataclasses.asdict(finding)) if arguments.json else _line(finding))
    return FINDING if worst(findings) is Level.ERROR else 0


def _line(finding: Finding) -> str:
    mark = "ok" if finding.ok else str(finding.level)
    return f"{mark:8}{finding.what:12}  {finding.says}" + (f"\n{'':22}-> {finding.do}" if finding.do else "")
