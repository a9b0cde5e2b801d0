"""``catflap link``: the network process. Floor 9."""

from __future__ import annotations

import os
import random
import signal
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from edge import config
from edge.adapters.clock import SystemClock
from edge.adapters.logs import set_up
from edge.adapters.systemd import SystemdHeartbeat
from edge.files import DiskFiles
from edge.inbox import UMASK, Inbox
from edge.link import Host, Link, access_from, open_store

if TYPE_CHECKING:
    import argparse


def link(arguments: argparse.Namespace) -> int:
    """Poll until killed.

    Raises:
        ConfigError: one line: the configuration, or the credential, is not what it may be.
    """
    wanted = config.load(arguments.config)
    set_up(wanted.log.format, wanted.log.level)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as SIGTERM is: see edge.link.service
    os.umask(UMASK)
    access = access_from(os.environ)
    store = open_store(wanted.link.models, access) if wanted.link.models else None
    inbox = Inbox(Path(wanted.state.directory) / "incoming", DiskFiles())
    with closing(SystemdHeartbeat()) as heartbeat:
        host = Host(SystemClock(), heartbeat, random.SystemRandom(), structlog.get_logger("catflap-link"))
        Link(store, inbox, wanted.link.poll_every_s, host).run()
    return 0
