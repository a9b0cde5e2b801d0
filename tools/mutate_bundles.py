"""Throw damaged models and manifests at the flap's update check, and count what comes of it.

    python tools/mutate_bundles.py --count 10000 --write docs/push.md        (make mutants)

Each mutant is a bundle of which a few bytes were damaged: of the manifest, anywhere in the model, or in the model's
structure (tables, offsets, shapes, indices of buffers and operators), where its weights, scales and names are not. It
is put to these, one after the other:

as it came
    against its hashes and against the id that was signed for it, as the update service does first, and as the daemon
    does before it loads anything. Nothing may pass.
made to agree
    with the manifest's hashes set right, as whoever damages a model on purpose would. That changes the manifest, and
    so the id: nobody has signed it, and nothing may pass.
as if signed
    what a careless maker's own keys would let through, in a child process under the service's own limits. Here a child
    may die, which is what it is for. One whose answers to the golden patches are all within the tolerance is not a
    broken model as far as anybody can tell; it is what it was but for some last bits, and is counted as that.
in the daemon
    what came through that, loaded and asked in another child as the daemon loads it. No such child may die.
without any check
    the damaged model straight into the runtime, to see what the checks and the child are for.

One in four goes to tflite-runtime where that is installed, the others to LiteRT. A child is forked with the libraries
loaded already, and the golden set is cut to one patch: minutes, not hours.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import select
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from pages import replaced

from edge import assembly, bundle
from edge.bundle import FILES, MANIFEST, factory_directory
from edge.codec import to_json
from edge.config import parse
from edge.errors import CatflapError, TrustError
from edge.messages import Box, Patch
from edge.trying import DeviceBudget, Tried, examine, limit, verdict

if TYPE_CHECKING:
    from collections.abc import Callable

PATCHES = 1
BUDGET = DeviceBudget(latency_p95_ms=1000.0, rss_bytes=10**9, cpu_s=20, wall_s=30.0)
NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
"""What lengths, offsets and indices are damaged to: the ends of their ranges."""
MODULES = {"litert": "ai_edge_litert.interpreter", "tflite": "tflite_runtime.interpreter"}
Entries = dict[str, bytes]


class Kind(StrEnum):
    """What of a bundle is damaged."""

    MANIFEST = "manifest"
    MODEL = "model, anywhere"
    STRUCTURE = "model, its structure"


@dataclass(slots=True)
class Row:
    """What came of the mutants of one kind on one runtime."""

    kind: Kind
    runtime: str
    mutants: int = 0
    accepted: int = 0
    refused: int = 0
    killed: Counter[str] = field(default_factory=Counter)
    equivalent: int = 0
    daemon_deaths: int = 0
    raw: int = 0
    raw_killed: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Counts:
    """All rows. A death of this process, which stands for the service, ends the run without figures."""

    rows: tuple[Row, ...]

    def total(self, name: str) -> int:
        """The sum of one figure."""
        return sum(getattr(row, name) for row in self.rows)

    def killed(self, name: str) -> int:
        """The sum of one count of signals."""
        return sum(getattr(row, name).total() for row in self.rows)

    @property
    def good(self) -> bool:
        """Whether nothing was accepted and no daemon died."""
        return self.total("accepted") == self.total("daemon_deaths") == 0

    def page(self, took_s: float) -> str:
        """The figures, for docs/push.md."""
        mutants, equivalent = self.total("mutants"), self.total("equivalent")
        deaths, died, raw = self.total("daemon_deaths"), self.killed("killed"), self.killed("raw_killed")
        said = (
            f"{mutants} mutants: **{self.total('accepted')} accepted**, as they came or made to agree; **0 deaths of "
            f"the update service**, **{deaths} of the daemon**. Of the children that try a bundle {died} died; without "
            f"any check the runtime killed {raw} of {self.total('raw')} processes. With 95 % confidence: accepted "
            f"{_most(self.total('accepted'), mutants)}; daemon died {_most(deaths, equivalent)}."
        )
        header = (
            "| damaged | runtime | mutants | accepted | refused by the child | killed the child | answers as before "
            "| then daemon died | killed a process without checks |"
        )
        where = (
            f"{datetime.now(UTC):%Y-%m-%d}, Linux {platform.release()} {platform.machine()}, Python "
            f"{platform.python_version()}, {_versions()}; {took_s / 60:.0f} minutes."
        )
        rows = [_line(row) for row in self.rows if row.mutants]
        return "\n".join([said, "", header, "|---|---|--:|--:|--:|--:|--:|--:|--:|", *rows, "", where])


def _line(row: Row) -> str:
    raw = f"{_signals(row.raw_killed)} of {row.raw}" if row.raw else ""
    return (
        f"| {row.kind} | {row.runtime} | {row.mutants} | {row.accepted} | {row.refused} | {_signals(row.killed)} "
        f"| {row.equivalent} | {row.daemon_deaths} | {raw} |"
    )


def _signals(counts: Counter[str]) -> str:
    by = ", ".join(f"{count} {name}" for name, count in sorted(counts.items()))
    return f"{counts.total()} ({by})" if by else "0"


def _most(hits: int, of: int) -> str:
    """What none of so many leaves open: the rule of three."""
    return f"{hits} of {of}" if hits or not of else f"0 of {of}: at most {3 / of:.2%}"


def _versions() -> str:
    found = (name for name in ("ai-edge-litert", "tflite-runtime") if importlib.util.find_spec(name.replace("-", "_")))
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in found)


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


def structure(model: bytes) -> tuple[int, ...]:
    """Return the places in a model that are neither weights nor scales nor names: what leads a reader around in it."""
    taken = bytearray(len(model))

    def take(table: Any, slot: int, item_bytes: int) -> None:  # noqa: ANN401 - flatbuffers has no types
        offset = table._tab.Offset(slot)  # noqa: SLF001 - the generated code has no other way to say where a vector lies
        if offset:
            begin, length = table._tab.Vector(offset), table._tab.VectorLen(offset) * item_bytes  # noqa: SLF001 - as above
            taken[begin : begin + length] = b"\1" * length

    root = schema.Model.GetRootAs(model, 0)
    for number in range(root.BuffersLength()):
        buffer = root.Buffers(number)
        take(buffer, 4, 1)
        if buffer.Offset() > 1:
            taken[buffer.Offset() : buffer.Offset() + buffer.Size()] = b"\1" * buffer.Size()
    graph = root.Subgraphs(0)
    for number in range(graph.TensorsLength()):
        tensor = graph.Tensors(number)
        take(tensor, 10, 1)
        scales = tensor.Quantization()
        for slot, item_bytes in ((4, 4), (6, 4), (8, 4), (10, 8)) if scales is not None else ():
            take(scales, slot, item_bytes)
    return tuple(place for place, mark in enumerate(taken) if not mark)


def restructured(model: bytes, places: tuple[int, ...], chance: random.Random) -> bytes:
    """Return a model with one to three small damages of its structure; it differs, and is as long."""
    changed = bytearray(model)
    while changed == model:
        for _ in range(chance.randint(1, 3)):
            at, how = chance.choice(places), chance.randrange(4)
            if how == 0:
                changed[at] ^= 1 << chance.randrange(8)
            elif how == 1:
                changed[at] = chance.randrange(256)
            else:
                size = 2 if how == 2 else 4  # vtables have numbers of two bytes, everything else of four
                at = min(at - at % size, len(model) - size)
                changed[at : at + size] = (chance.choice(NUMBERS) % 256**size).to_bytes(size, "little")
    return bytes(changed)


def in_child(act: Callable[[], Tried]) -> Tried:
    """Do something in a fork of this process, under the limits that the service sets."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - measured where it cannot be seen
        _as_child(act, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as answers:
        ready, _, _ = select.select([answers], [], [], BUDGET.wall_s)
        if not ready:
            os.kill(child, signal.SIGKILL)
        output = answers.read(65_536)
    return verdict(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), output)


def _as_child(act: Callable[[], Tried], writer: int) -> None:
    status = 1
    try:
        faulthandler.disable()  # a death is counted here, not described
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        limit(BUDGET)
        os.write(writer, to_json(act()))
        status = 0
    finally:
        os._exit(status)


def tried(directory: Path, runtime: str) -> Tried:
    """Try a bundle as the update service does."""
    return in_child(lambda: examine(directory, replace(BUDGET, runtime=runtime)))


def in_daemon(directory: Path, runtime: str) -> Tried:
    """Load a bundle piece by piece as the running daemon does, and let it judge its own golden patches."""
    config = parse(
        {"model": {"runtime": runtime}, "pins": {"bolt": 17}, "door": {"identity": "any_cat"}}, "the mutants"
    )

    def act() -> Tried:
        try:
            loaded = bundle.load(directory)
            for judging in assembly.prepared(config, loaded, ()):
                if judging is None:
                    continue
                for pixels in bundle.golden(loaded).patches:
                    judging.model.score(Patch(pixels, Box(0, 0, pixels.shape[1], pixels.shape[0])))
        except CatflapError as error:
            return Tried(ok=False, why=str(error))
        return Tried(ok=True, why="it judges")

    return in_child(act)


def unchecked(model: bytes, runtime: str) -> Tried:
    """Load a model, and ask it once, as a program does that checks nothing."""

    def act() -> Tried:
        try:
            interpreter = importlib.import_module(MODULES[runtime]).Interpreter(model_content=model, num_threads=1)
            interpreter.allocate_tensors()
            about = interpreter.get_input_details()[0]
            interpreter.set_tensor(about["index"], np.zeros(about["shape"], about["dtype"]))
            interpreter.invoke()
        except (ValueError, RuntimeError, IndexError, TypeError, MemoryError, SystemError, OverflowError) as error:
            return Tried(ok=False, why=f"{type(error).__name__}")
        return Tried(ok=True, why="it runs")

    return in_child(act)


def run(count: int, seed: int, place: Path) -> Counts:
    """Make and try ``count`` mutants in the directory ``place``, the three kinds in turn."""
    honest, chance = base(), random.Random(seed)  # noqa: S311 - damage, not secrets
    places = structure(honest["model.tflite"])
    _write(place, honest)
    signed_id = bundle.load(place).model_id
    runtimes = [name for name, module in MODULES.items() if importlib.util.find_spec(module.partition(".")[0])]
    for name in runtimes:
        importlib.import_module(MODULES[name])
    rows = {(kind, runtime): Row(kind, runtime) for kind in Kind for runtime in runtimes}
    for number in range(count):
        kind, runtime = list(Kind)[number % 3], runtimes[-1 if number // 3 % 4 == 0 else 0]
        mutant = honest | _damaged(kind, honest, places, chance)
        _try(mutant, signed_id, place, rows[kind, runtime])
        if sys.stderr.isatty() and number % 100 == 0:
            print(f"\r{number}/{count}", end="", file=sys.stderr)
    return Counts(tuple(rows.values()))


def _damaged(kind: Kind, honest: Entries, places: tuple[int, ...], chance: random.Random) -> Entries:
    if kind is Kind.MANIFEST:
        return {MANIFEST: mutated(honest[MANIFEST], chance)}
    model = honest["model.tflite"]
    return {"model.tflite": mutated(model, chance) if kind is Kind.MODEL else restructured(model, places, chance)}


def _try(mutant: Entries, signed_id: str, place: Path, row: Row) -> None:
    row.mutants += 1
    _write(place, mutant)
    accepted = passes(place, signed_id)
    if row.kind is not Kind.MANIFEST:
        _write(place, agreeing(mutant))
        accepted = accepted or passes(place, signed_id)
        said = unchecked(mutant["model.tflite"], row.runtime)
        row.raw += 1
        row.raw_killed.update([signal.Signals(said.signal).name] if said.signal else [])
    row.accepted += accepted
    said = tried(place, row.runtime)
    row.killed.update([signal.Signals(said.signal).name] if said.signal else [])
    row.refused += not said.ok and not said.signal
    if said.ok:
        row.equivalent += 1
        row.daemon_deaths += in_daemon(place, row.runtime).signal != 0


def _write(place: Path, entries: Entries) -> None:
    for name, data in entries.items():
        (place / name).write_bytes(data)


def main() -> int:
    """Print the figures; 1 where anything was accepted or would have ended a daemon."""
    parser = argparse.ArgumentParser(description="Try damaged bundles on the update check.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--write", type=Path, metavar="PAGE", help="also write them into this page")
    arguments = parser.parse_args()
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory() as place:
        counts = run(arguments.count, arguments.seed, Path(place))
    page = counts.page(time.monotonic() - begun_s)
    print(page)
    if arguments.write is not None:
        text = replaced(arguments.write.read_text(encoding="utf-8"), "mutants", page)
        arguments.write.write_text(text, encoding="utf-8")
    return 0 if counts.good else 1


if __name__ == "__main__":
    sys.exit(main())
