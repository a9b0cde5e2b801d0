"""What `tests/tuf_client` runs: `edge.updater.DeviceUpdater`, as the flap uses it, with an HTTP fetcher before it."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from edge.adapters.tuf_fetch import HttpFetcher
from edge.errors import CatflapError
from edge.files import DiskFiles
from edge.updater import DeviceUpdater, Source, bind

if TYPE_CHECKING:
    from collections.abc import Sequence

LIMIT_S = 60.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the three commands: 0 where all of it was done, 1 where any of it was not."""
    asked = _parser().parse_args(arguments)
    try:
        _run(asked)
    except (CatflapError, OSError) as error:
        print(f"tuf_client: {error}", file=sys.stderr)
        return 1
    return 0


def _run(asked: argparse.Namespace) -> None:
    files = DiskFiles()
    if asked.command == "init":
        bind(asked.metadata_dir, asked.trusted_root.read_bytes(), files)
        return
    source = Source(asked.metadata_url, asked.target_base_url or "")
    fetcher = HttpFetcher(LIMIT_S)
    with DeviceUpdater(asked.metadata_dir, source, fetcher, files, lambda: datetime.now(UTC)) as updater:
        updater.refresh()
        if asked.command == "download":
            updater.download(asked.target_name, asked.target_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tuf_client")
    parser.add_argument("--metadata-dir", type=Path, required=True)
    parser.add_argument("--metadata-url")
    parser.add_argument("--target-name")
    parser.add_argument("--target-base-url")
    parser.add_argument("--target-dir", type=Path)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("init").add_argument("trusted_root", type=Path)
    commands.add_parser("refresh")
    commands.add_parser("download")
    return parser


if __name__ == "__main__":
    sys.exit(main())
