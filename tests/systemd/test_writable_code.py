"""MemoryDenyWriteExecute: the model runs where memory that can be written never becomes code."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import ctypes, mmap, sys
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN: prctl(2), Linux 6.3
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except OSError:
    pass
else:
    sys.exit("it is allowed")
from edge.bundle import factory_directory
from edge.trying import DeviceBudget, examine
tried = examine(factory_directory(), DeviceBudget(runtime=sys.argv[1], latency_p95_ms=1e6, rss_bytes=10**12))
from edge.adapters.clock import SystemClock
SystemClock().synchronised()
print(tried.ok, tried.why)
"""


@pytest.mark.parametrize("runtime", ["litert", "tflite"])
def test_the_factory_model_needs_no_writable_code(runtime: str) -> None:
    """With the kernel refusing such memory, either runtime loads the model and gives the golden answers."""
    done = subprocess.run([sys.executable, "-c", CODE, runtime], capture_output=True, text=True, check=False)
    if done.returncode == 77:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    if "is not installed" in done.stdout or "install tflite" in done.stdout:
        pytest.skip(done.stdout.strip())
    assert ("True", 0) == (done.stdout.split(" ")[0], done.returncode), done.stdout + done.stderr
