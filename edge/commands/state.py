"""``catflap spool`` and ``catflap config``: what is stored, what is set. Floor 9."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

from edge import config
from edge.files import DiskFiles
from edge.spool import Spool

if TYPE_CHECKING:
    import argparse


def spool(arguments: argparse.Namespace) -> int:
    """List what waits to be labelled."""
    wanted = config.load(arguments.config)
    for entry in Spool(Path(wanted.state.directory) / "spool", wanted.spool, DiskFiles()).list():
        row = dataclasses.asdict(entry)
        print(json.dumps(row, default=str) if arguments.json else "  ".join(str(value) for value in row.values()))
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
