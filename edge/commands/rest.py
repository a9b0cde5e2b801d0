"""``catflap rest``: takes the power off the bolt when the daemon no longer can. Floor 9."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edge.rest import rest as rest_bolts

if TYPE_CHECKING:
    import argparse

FINDING = 1


def rest(arguments: argparse.Namespace) -> int:
    """Rest the bolt, and say what was done; 1 where it could not be."""
    done = rest_bolts(arguments.config, lambda text: print(f"catflap rest: {text}", flush=True))
    return 0 if done else FINDING
