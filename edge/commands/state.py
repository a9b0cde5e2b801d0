"""``catflap spool`` and ``catflap config``: what is stored, what is set. Floor 9."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from edge import config
from edge.files import DiskFiles
from edge.spool import Reason, Spool

if TYPE_CHECKING:
    import argparse


def spool(arguments: argparse.Namespace) -> int:
    """List what waits to be labelled; what the spool had to drop, and why, goes to standard error."""
    wanted = config.load(arguments.config)
    stored = Spool(Path(wanted.state.directory) / "spool", wanted.spool, DiskFiles())
    for entry in stored.list():
        row = dataclasses.asdict(entry)
        print(json.dumps(row, default=str) if arguments.json else "  ".join(str(value) for value in row.values()))
    dropped = {str(reason): stored.counts.of(reason) for reason in Reason if stored.counts.of(reason)}
    print(f"dropped so far: {dropped or 'nothing'}", file=sys.stderr)
    return 0


def configuration(arguments: argparse.Namespace) -> int:
    """Check the configuration, or show every value with its bounds."""
    wanted = config.load(arguments.config)
    if arguments.what == "check":
        print(f"{arguments.config}: good ({wanted.digest()})")
        return 0
    for key, value, allowed, meaning in config.describe(wanted):
        print(f"{key} = {value!r}    # {meaning}; {allowed}")
    return 0
