"""The machine's own watchdog: what it does when process 1 stands still."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vm.bench import BOLT, READY_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap

RUNTIME_S = 20
"""The shipped drop-in has 14 s, which is what a Pi's counter can hold; a busy host needs a little more."""
DROP_IN = f"[Manager]\nRuntimeWatchdogSec={RUNTIME_S}\nRebootWatchdogSec=60\n"


def test_a_frozen_process_1(flap: Flap, record_property: Callable[[str, object], None]) -> None:
    """When process 1 is frozen the watchdog resets the machine, the flap comes back, and the slots count the reset."""
    before, boot = int(flap.slots()["resets"]), flap.slots()["run"]["boot"]
    flap.machine.expect(
        f"mkdir -p /etc/systemd/system.conf.d; printf '{DROP_IN}' > /etc/systemd/system.conf.d/zz-bench.conf"
    )
    flap.machine.expect("modprobe softdog && systemctl daemon-reexec", 120.0)
    flap.machine.await_true("grep --quiet --line-regexp active /sys/class/watchdog/watchdog0/state")
    flap.machine.expect("sync; (sleep 1; echo 1 > /sys/fs/cgroup/init.scope/cgroup.freeze) > /dev/null 2>&1 &")
    flap.machine.wait(READY_S)
    flap.wait_ready()
    after = flap.slots()
    assert before + 1 == int(after["resets"])
    assert boot != after["run"]["boot"]
    assert 0 == flap.line(BOLT)
    record_property("measured", "reset and back")
