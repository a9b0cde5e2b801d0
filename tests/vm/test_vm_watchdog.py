"""The machine's own watchdog: what it does when process 1 stands still."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vm.bench import BOLT

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap

RUNTIME_S = 20
"""The shipped drop-in has 14 s, which is what a Pi's counter can hold; a busy host needs a little more."""
RESET_S = 120.0
"""Until the kernel is dead. A Pi's board starts it again then, and here the bench does: user-mode Linux that restarts
itself from within a timer sometimes dies of it."""
DROP_IN = f"[Manager]\nRuntimeWatchdogSec={RUNTIME_S}\nRebootWatchdogSec=60\n"


def test_a_frozen_process_1(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """When process 1 is frozen the watchdog ends the kernel; started anew the flap is back, the slots count a reset."""
    before, boot = int(flap.slots()["resets"]), flap.slots()["run"]["boot"]
    flap.machine.expect(
        f"mkdir -p /etc/systemd/system.conf.d; printf '{DROP_IN}' > /etc/systemd/system.conf.d/zz-bench.conf"
    )
    flap.machine.expect("modprobe softdog soft_panic=1 && systemctl daemon-reexec", 120.0)
    flap.machine.await_true("grep --quiet --line-regexp active /sys/class/watchdog/watchdog0/state")
    flap.machine.expect("sync; (sleep 1; echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze) > /dev/null 2>&1 &")
    frozen_s = time.monotonic()
    flap.machine.await_end(RESET_S)
    ended_s = time.monotonic() - frozen_s
    flap.machine.start()
    flap.machine.wait()
    flap.wait_ready()
    after = flap.slots()
    assert before + 1 == int(after["resets"])
    assert boot != after["run"]["boot"]
    assert 0 == flap.line(BOLT)
    record_property("measured", f"ended after {ended_s:.0f} s, and back")
