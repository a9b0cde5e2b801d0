"""A bundle is tried in a process of its own before it may lie in a slot: what kills that process kills nothing else.

Floor 6. ``try_bundle`` starts ``python -m edge.trying``, which limits itself (setrlimit(2)) and then does everything
the daemon would do with the bundle: hashes, operators, tensors, a warm-up, the golden patches on *this* interpreter,
calibrated scores, time and memory. Its one line of output is believed only if it is the line that is expected: a
process that was killed, ran too long or printed anything else has refused the bundle.

This keeps a broken model from the daemon, not a hostile one from the process that tries it: whose model it is was
decided before, by signatures, and what a process may reach is the unit's business.
"""

from __future__ import annotations

import contextlib
import math
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

import numpy as np

import edge
from edge import bundle
from edge.adapters.operators import operators
from edge.adapters.tflite import open_interpreter
from edge.codec import from_json, to_json
from edge.errors import CatflapError, HardwareError, InputError, TrustError
from edge.features import tensor
from edge.messages import Box, Patch
from edge.scoring import calibrated

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from edge.bundle import Bundle, Golden, GoldenOutputs
    from edge.messages import Grey
    from edge.ports import Interpreter

WARM_UP_RUNS = 3
MAX_OUTPUT_BYTES = 65_536
_MB = 1_000_000
_Outputs: TypeAlias = "tuple[npt.NDArray[np.int8], ...]"


@dataclass(frozen=True, slots=True)
class DeviceBudget:
    """What a model may cost, and the process that finds that out.

    Attributes:
        latency_p95_ms: processor time of one run, 95th percentile. Not the wall's: the daemon and its visitors go on
            meanwhile. At five looks a second the frames that open the door (``EvidenceSettings.min_frames`` and a few
            that are discounted) fit into the second or two for which a cat stands before it. ``make bench`` prints
            what the model that ships takes (score), a small share of that, so that a far slower board still does.
        rss_bytes: resident memory of the process, runtime and libraries included. A Zero 2 W has 512 MB; 64 are the
            camera's, the system and SSH have about 120, and the daemon, which goes on meanwhile, at most 90 (``make
            bench``, resident): of the 240 left this takes two thirds at most, and the rest is the disk's cache.
        data_bytes: hard limit of what it may allocate (RLIMIT_DATA).
        address_bytes: hard limit of its address space (RLIMIT_AS); libraries are mapped, not resident.
        cpu_s: hard limit of processor time; a Zero 2 W needs four seconds for the imports alone.
        wall_s: after so long it is killed, whatever it does.
        runtime: as ``[model] runtime``.
        threads: as ``[model] threads``.
    """

    latency_p95_ms: float = 200.0
    rss_bytes: int = 160 * _MB
    data_bytes: int = 384 * _MB
    address_bytes: int = 1536 * _MB
    cpu_s: int = 60
    wall_s: float = 120.0
    runtime: str = "auto"
    threads: int = 1


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it. The figures are 0 where it did not get so far.

    Attributes:
        ok: whether the bundle may be used here.
        why: one line; with ``ok`` what it was tried on.
        latency_p95_ms: processor time of one run.
        rss_bytes: the most the process held.
        difference_lsb: the largest difference from the golden outputs, in steps of the int8 outputs.
        signal: what killed the process; 0: it ended by itself.
    """

    ok: bool
    why: str
    latency_p95_ms: float = 0.0
    rss_bytes: int = 0
    difference_lsb: int = 0
    signal: int = 0


# --- in the service --------------------------------------------------------------------------------------------------


def try_bundle(directory: Path, budget: DeviceBudget) -> Tried:
    """Try a bundle in a child process; whatever happens to the child is in what is returned.

    Raises:
        OSError: no process could be started.
    """
    command = [sys.executable, "-P", "-m", "edge.trying", str(directory), to_json(budget).decode()]
    # Its output goes to a file that RLIMIT_FSIZE bounds, so that printing without end fills nothing.
    with tempfile.TemporaryFile() as out:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
        try:
            child.wait(budget.wall_s)
        except subprocess.TimeoutExpired:
            return Tried(ok=False, why=f"trying it took longer than {budget.wall_s:g} s", signal=signal.SIGKILL)
        finally:
            _end(child)
        return verdict(child.returncode, _read(out))


def verdict(returncode: int, output: bytes) -> Tried:
    """Say what a child that ended so, having written that, found: anything but the one expected line is a refusal."""
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return Tried(ok=False, why=f"the process that tried it was killed by {name}", signal=-returncode)
    if returncode != 0:
        return Tried(ok=False, why=f"the process that tried it ended with status {returncode}")
    try:
        return from_json(Tried, output.splitlines()[-1] if output else b"", Path("the trial's answer"))
    except InputError as error:
        return Tried(ok=False, why=f"the process that tried it gave no answer: {error}")


def _environment() -> dict[str, str]:
    """Return the child's environment: where the house is, and one thread for libraries that would start one a core."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    house = str(Path(edge.__file__).resolve().parent.parent)
    return {**kept, "PYTHONPATH": house, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child with everything it may have started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _read(out: IO[bytes]) -> bytes:
    out.seek(0)
    return out.read(MAX_OUTPUT_BYTES)


# --- in the child ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Measured:
    """What was measured so far; kept apart so that a refusal can still say it."""

    times_ms: list[float] = field(default_factory=list)
    difference_lsb: int = 0

    @property
    def latency_p95_ms(self) -> float:
        """The 95th percentile of the runs after the warm-up."""
        return float(np.percentile(self.times_ms, 95)) if self.times_ms else 0.0


def examine(directory: Path, budget: DeviceBudget) -> Tried:
    """Do with a bundle everything the daemon would, in this very process, and say what came of it."""
    measured = Measured()
    try:
        says = _examined(directory, budget, measured)
    except CatflapError as error:
        return _tried(measured, ok=False, why=str(error))
    except MemoryError:
        return _tried(measured, ok=False, why=f"needs more than the {budget.data_bytes // _MB} MB it may allocate")
    except (RuntimeError, OSError, ValueError, OverflowError) as error:
        # This is what the process is for: whatever a runtime, a decoder or the arithmetic says no with is a refusal.
        return _tried(measured, ok=False, why=f"cannot be used: {type(error).__name__}: {error}")
    return _tried(measured, ok=True, why=says)


def limit(budget: DeviceBudget) -> None:
    """Bound this process for good: memory, processor time, files, and no core dump; and let everybody else go first."""
    for what, most in (
        (resource.RLIMIT_AS, budget.address_bytes),
        (resource.RLIMIT_DATA, budget.data_bytes),
        (resource.RLIMIT_CPU, budget.cpu_s),
        (resource.RLIMIT_FSIZE, MAX_OUTPUT_BYTES),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        _soft, hard = resource.getrlimit(what)
        bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (bound, bound))
    os.nice(19)


def difference_lsb(outputs: Iterator[_Outputs], told: GoldenOutputs) -> int:
    """Return the largest difference, in int8 steps, between outputs patch by patch and what was recorded."""
    worst = 0
    for at, both in enumerate(outputs):
        for output, wanted in zip(both, (told.logits[at], told.embedding[at]), strict=True):
            expected = np.array(wanted)
            if output.size != expected.size:
                raise TrustError(f"golden.json: patch {at}: has {expected.size} numbers; the model says {output.size}")
            worst = max(worst, int(np.abs(output.astype(int).ravel() - expected).max()))
    return worst


def _examined(directory: Path, budget: DeviceBudget, measured: Measured) -> str:
    loaded = bundle.load(directory)
    golden = bundle.golden(loaded)
    bundle.reference(loaded)
    found = operators(loaded.model)
    interpreter = open_interpreter(loaded, budget.runtime, budget.threads)
    told = _told(golden, interpreter.runtime)
    runs = _runs(loaded, golden, interpreter, measured)
    measured.difference_lsb = difference_lsb(runs, told)
    if measured.difference_lsb > golden.tolerance_lsb:
        most = golden.tolerance_lsb
        raise TrustError(
            f"golden patches: off by {measured.difference_lsb} on {interpreter.runtime}; at most {most} is allowed"
        )
    _within(budget, measured)
    return f"{interpreter.runtime}, {len(golden.labels)} golden patches, operators {', '.join(found)}"


def _told(golden: Golden, runtime: str) -> GoldenOutputs:
    """Return what was recorded on this runtime: the very version, or another version of the same one.

    Raises:
        TrustError: nothing was; a model nobody ever ran on it is not tried on a cat first.
    """
    if not golden.labels:
        raise TrustError("golden.json: has no patches to try it on")
    same = [told for told in golden.outputs if _package(told.runtime) == _package(runtime)]
    if not same:
        known = ", ".join(told.runtime for told in golden.outputs) or "none"
        raise TrustError(f"golden.json: says nothing of {runtime}, which runs here; it was verified on {known}")
    return next((told for told in same if told.runtime == runtime), same[0])


def _package(runtime: str) -> str:
    return runtime.partition(" ")[0]


def _runs(loaded: Bundle, golden: Golden, interpreter: Interpreter, measured: Measured) -> Iterator[_Outputs]:
    """Warm up, then run every golden patch, timing each run and looking at what the daemon would make of it."""
    for _ in range(WARM_UP_RUNS):
        interpreter.invoke(_tensor(golden.patches[0]))
    for pixels in golden.patches:
        begun_ns = time.process_time_ns()
        outputs = interpreter.invoke(_tensor(pixels))
        measured.times_ms.append((time.process_time_ns() - begun_ns) / 1e6)
        _refuse_no_number(loaded, outputs)
        yield outputs


def _tensor(pixels: Grey) -> npt.NDArray[np.int8]:
    height, width = pixels.shape
    return tensor(Patch(pixels, Box(0, 0, width, height)))


def _refuse_no_number(loaded: Bundle, outputs: _Outputs) -> None:
    """Check that the calibrated scores of one run are numbers, and shares.

    Raises:
        TrustError: they are not.
    """
    manifest = loaded.manifest
    scores = calibrated(
        outputs[0].ravel(),
        outputs[1].ravel(),
        manifest.logits.quantisation,
        manifest.embedding.quantisation,
        manifest.calibration,
    )
    shares, embedding = scores.probabilities, scores.embedding
    if not all(map(math.isfinite, (*shares, *embedding))) or abs(math.fsum(shares) - 1) > 1e-6:
        raise TrustError("calibrated scores: are not finite shares that sum to 1")


def _within(budget: DeviceBudget, measured: Measured) -> None:
    if measured.latency_p95_ms > budget.latency_p95_ms:
        raise TrustError(
            f"one run takes {measured.latency_p95_ms:.1f} ms (95th percentile); at most {budget.latency_p95_ms:g} ms"
        )
    if peak_rss_bytes() > budget.rss_bytes:
        raise TrustError(f"needs {peak_rss_bytes() // _MB} MB of memory; at most {budget.rss_bytes // _MB} MB")


def peak_rss_bytes() -> int:
    """Return the most this program has held; of this program only (getrusage also counts who started it)."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise HardwareError("/proc/self/status: has no VmHWM: this kernel does not say how much memory is used")


def _tried(measured: Measured, *, ok: bool, why: str) -> Tried:
    line = " ".join(why.split())[:1000]
    return Tried(ok, line, measured.latency_p95_ms, peak_rss_bytes(), measured.difference_lsb)


def main() -> int:
    """Try the bundle that the first argument names within the budget of the second, and print the result."""
    budget = from_json(DeviceBudget, sys.argv[2].encode(), Path("the budget"))
    limit(budget)
    print(to_json(examine(Path(sys.argv[1]), budget)).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
