"""From push to "on trial" over a real sshd on this machine, seconds per stage, as JSON lines.

    python tools/bench_push.py [--repeats 5] [--write docs/push.md]

Each repeat is a new flap and a new owner. The stages: signing (pack the bundle, sign targets, snapshot, timestamp),
asking the flap where it stands, sending (connect, send, the inbox filled and synced), the update service's start (the
thread that stands in for the path unit looks a hundred times a second), its work (verify, try in the child, install,
begin the trial), and the answer on its way back.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

import push_ssh
from loopback_flap import HOST, LoopbackFlap, loopback_flap, machine
from pages import replaced
from push_keys import Keyring, PassphraseFile
from push_repository import Repository
from push_ssh import Wire
from push_tar import pack, ustar

from edge.answers import ANSWER
from edge.bundle import factory_directory
from edge.errors import CatflapError, InputError
from edge.inbox import METADATA, TIMESTAMP, Said

WAIT_S = 120.0


def main(arguments: list[str]) -> int:
    """Measure; 0 done, 2 where there is no sshd."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="how often; 5")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the figures between the page's marks")
    options = parser.parse_args(arguments)
    try:
        runs = [_run() for _ in range(options.repeats)]
    except CatflapError as error:
        print(f"bench_push: {error}", file=sys.stderr)
        return 2
    rows = [_row(stage, [run[stage] for run in runs]) for stage in runs[0]]
    for row in rows:
        print(json.dumps(row))
    if options.write is not None:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(page, "bench-push", _table(rows, len(runs))), encoding="utf-8")
    return 0


def _row(stage: str, times_s: list[float]) -> dict[str, str | float]:
    figures = {"median_s": statistics.median(times_s), "least_s": min(times_s), "most_s": max(times_s)}
    return {"stage": stage, **{name: round(value, 2) for name, value in figures.items()}}


def _table(rows: list[dict[str, str | float]], runs: int) -> str:
    lines = [f"{runs} runs; {machine()}.", "", "| stage | median, s | least | most |", "|---|--:|--:|--:|"]
    lines += [f"| {row['stage']} | {row['median_s']} | {row['least_s']} | {row['most_s']} |" for row in rows]
    return "\n".join(lines)


def _run() -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-push-") as name:
        root = Path(name)
        with loopback_flap(root / "flap") as flap:
            return _push(flap, root)


def _push(flap: LoopbackFlap, root: Path) -> dict[str, float]:
    words = root / "words"
    words.write_text("six plain words in a row\n", encoding="utf-8")
    repository = Repository(root / "repository", Keyring(root / "offline", root / "daily", PassphraseFile(words)))
    repository.create()
    wire = Wire(root / "ssh", getuser(), flap.root / "ssh_config")
    push_ssh.adopt(wire, HOST, repository.root_bytes(), again=False)

    begin_s = time.monotonic()
    bundle = pack(factory_directory())
    repository.publish(bundle, step_back=True)  # the factory's own version is where a flap begins
    data = ustar(repository.files().items())
    signed_s = time.monotonic()
    push_ssh.status(wire, HOST)
    asked_s = time.monotonic()
    reply = push_ssh.push(wire, HOST, data, WAIT_S, lambda _: None)
    end_s = time.monotonic()
    if reply.said is not Said.ON_TRIAL:
        raise InputError(f"the flap says {reply.said}: {reply.why}")
    inbox = flap.state / "incoming"
    arrived_s, answered_s = _on_monotonic(inbox / METADATA / TIMESTAMP), _on_monotonic(inbox / ANSWER)
    return {
        "signing": signed_s - begin_s,
        "asking where it stands": asked_s - signed_s,
        "sending": arrived_s - asked_s,
        "update service starts": flap.began_s[0] - arrived_s,
        "verify, try, install": answered_s - flap.began_s[0],
        "answer": end_s - answered_s,
        "push to on trial": end_s - begin_s,
    }


def _on_monotonic(path: Path) -> float:
    """Return when a file was put in place, by this machine's monotonic clock."""
    ago_s = datetime.now(UTC).timestamp() - path.stat().st_ctime
    return time.monotonic() - ago_s


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
