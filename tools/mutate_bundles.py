"""Throw damaged models and manifests at the flap's update check, and count what comes of it.

    python tools/mutate_bundles.py --count 10000        (make mutants)

Each mutant is a bundle whose model or manifest was damaged in a few bytes. It is put to the check twice:

as it came
    against its hashes and against the id that was signed for it, as the update service does first. Nothing may pass.
made to agree
    with its hashes set right, as if a careless maker had signed it, in a child process under the service's own
    limits: what a runtime makes of it. Here a child may die, which is what it is for; the service may not. One that
    gives every golden answer within the tolerance is not a broken model as far as anybody can tell, and is counted.

The child is forked with the libraries loaded already, and the golden set is cut to a few patches: minutes, not hours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import select
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2

from edge import bundle
from edge.bundle import FILES, MANIFEST, factory_directory
from edge.codec import to_json
from edge.errors import TrustError
from edge.trying import DeviceBudget, Tried, examine, limit, verdict

PATCHES = 4
BUDGET = DeviceBudget(latency_p95_ms=1000.0, rss_bytes=10**9, cpu_s=20, wall_s=30.0)
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What lengths, offsets and indices are damaged to: the ends of their ranges."""
Entries = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Counts:
    """What came of the mutants. A death of this process, which stands for the service, ends the run without figures."""

    mutants: int
    accepted: int
    killed: dict[str, int]
    refused: int
    equivalent: int

    def lines(self) -> str:
        """The figures, for people."""
        killed = ", ".join(f"{count} by {name}" for name, count in sorted(self.killed.items())) or "none"
        share = sum(self.killed.values()) / self.mutants
        return (
            f"mutants                              {self.mutants}\n"
            f"accepted as they came                {self.accepted}\n"
            "deaths of the service                0 (it lives to print this; the daemon takes no part)\n"
            f"made to agree with their hashes:\n"
            f"  killed the child                   {sum(self.killed.values())} ({share:.1%}; {killed})\n"
            f"  refused by it                      {self.refused}\n"
            f"  every golden answer within bounds  {self.equivalent}"
        )


def base() -> Entries:
    """Return the factory's bundle with the first few of its golden patches."""
    entries = {name: (factory_directory() / name).read_bytes() for name in (MANIFEST, *FILES)}
    whole = bundle.golden(bundle.load(factory_directory()))
    picture = whole.patches[:PATCHES].reshape(-1, whole.patches.shape[2])
    entries["golden.png"] = cv2.imencode(".png", picture)[1].tobytes()
    table = json.loads(entries["golden.json"])
    table["labels"] = table["labels"][:PATCHES]
    for told in table["outputs"]:
        told["logits"], told["embedding"] = told["logits"][:PATCHES], told["embedding"][:PATCHES]
    return agreeing(entries | {"golden.json": json.dumps(table).encode()})


def agreeing(entries: Entries) -> Entries:
    """Return the bundle with a manifest that states the sizes and hashes of its files."""
    manifest = json.loads(entries[MANIFEST])
    for about in manifest["files"]:
        data = entries[about["name"]]
        about |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    return entries | {MANIFEST: json.dumps(manifest).encode()}


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return ``data`` with one to four damages; it differs."""
    changed = bytearray(data)
    while changed == data:
        for _ in range(chance.randint(1, 4)):
            _damage(changed, chance)
    return bytes(changed)


def _damage(data: bytearray, chance: random.Random) -> None:
    """Damage once: half of it in the first or last sixteenth, where a model keeps its tables and not its weights."""
    edge_length = max(1, len(data) // 16)
    near = chance.choice((0, max(0, len(data) - edge_length)))
    at = near + chance.randrange(edge_length) if chance.random() < 0.5 else chance.randrange(max(1, len(data)))
    how = chance.randrange(6)
    if how == 0:
        data[at : at + 1] = bytes([data[min(at, len(data) - 1)] ^ 1 << chance.randrange(8)])
    elif how == 1:
        data[at : at + 1] = bytes([chance.randrange(256)])
    elif how in (2, 3):
        at -= at % 4  # flatbuffers align their numbers
        data[at : at + 4] = chance.choice(NUMBERS).to_bytes(4, "little")
    elif how == 4:
        del data[at : at + chance.randint(1, 16)]
    else:
        data[at:at] = chance.randbytes(chance.randint(1, 16))


def passes(directory: Path, signed_id: str) -> bool:
    """Return whether a bundle passes as it came: its hashes, and the id that was signed for it."""
    try:
        return bundle.load(directory).model_id == signed_id
    except TrustError:
        return False


def in_child(directory: Path) -> Tried:
    """Try a bundle in a fork of this process, under the limits that the service sets."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - measured where it cannot be seen
        _as_child(directory, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        ready, _, _ = select.select([answers], [], [], BUDGET.wall_s)
        if not ready:
            os.kill(child, signal.SIGKILL)
        output = answers.read(65_536)
    return verdict(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output)


def _as_child(directory: Path, writer: int) -> None:
    status = 1
    try:
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        limit(BUDGET)
        os.write(writer, to_json(examine(directory, BUDGET)))
        status = 0
    finally:
        os._exit(status)


def run(count: int, seed: int, place: Path) -> Counts:
    """Make and try ``count`` mutants in the directory ``place``; every third is a manifest, the others are models."""
    honest, chance = base(), random.Random(seed)  # noqa: S311 - damage, not secrets
    _write(place, honest)
    signed_id = bundle.load(place).model_id
    accepted, killed, outcomes = 0, Counter[str](), Counter[bool]()
    for number in range(count):
        name = MANIFEST if number % 3 == 0 else "model.tflite"
        mutant = honest | {name: mutated(honest[name], chance)}
        _write(place, mutant)
        accepted += passes(place, signed_id)
        if name != MANIFEST:
            _write(place, agreeing(mutant))
        tried = in_child(place)
        if tried.signal:
            killed[signal.Signals(tried.signal).name] += 1
        else:
            outcomes[tried.ok] += 1
        if sys.stderr.isatty() and number % 100 == 0:
            print(f"\r{number}/{count}", end="", file=sys.stderr)
    return Counts(count, accepted, dict(killed), outcomes[False], outcomes[True])


def _write(place: Path, entries: Entries) -> None:
    for name, data in entries.items():
        (place / name).write_bytes(data)


def main() -> int:
    """Print the figures; 1 where anything was accepted."""
    parser = argparse.ArgumentParser(description="Try damaged bundles on the update check.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        counts = run(arguments.count, arguments.seed, Path(place))
    print(counts.lines())
    return 1 if counts.accepted else 0


if __name__ == "__main__":
    sys.exit(main())
