"""Make the header of a Pi before anything else starts: 28 lines of the kernel's gpio-sim, and a Pi's name.

Note the bolt's level at once, for the test of what it is before the service has begun. Standard library only.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

CHIP = Path("/sys/kernel/config/gpio-sim/header")
LINES = 28
LABEL = "pinctrl-bcm2711"
"""What the Pi 4's pin controller calls itself; lgpio and gpiozero go by it."""
BOLT = 17
RUN = Path("/run/bench")
REVISION = "c03115"
"""Raspberry Pi 4 Model B 4 GB, revision 1.5, in the new style of the Raspberry Pi documentation."""


def main() -> None:
    """Set up the lines and the name."""
    RUN.mkdir(exist_ok=True)
    bank = CHIP / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text(str(LINES), encoding="ascii")
    (bank / "label").write_text(LABEL, encoding="ascii")
    (CHIP / "live").write_text("1", encoding="ascii")
    device = (CHIP / "dev_name").read_text(encoding="ascii").strip()
    chip = (bank / "chip_name").read_text(encoding="ascii").strip()
    lines = Path("/sys/devices/platform") / device / chip
    (RUN / "lines").symlink_to(lines)
    (RUN / "bolt-at-boot").write_text(
        (lines / f"sim_gpio{BOLT}" / "value").read_text(encoding="ascii"), encoding="ascii"
    )
    Path("/dev/serial0").symlink_to("ttyS1")
    pretend_to_be_a_pi()


def pretend_to_be_a_pi() -> None:
    """Lay a processor's description with a Pi's revision over the kernel's own: gpiozero asks for it."""
    described = Path("/proc/cpuinfo").read_text(encoding="ascii")
    (RUN / "cpuinfo").write_text(f"{described}\nHardware\t: BCM2835\nRevision\t: {REVISION}\n", encoding="ascii")
    subprocess.run(["/usr/bin/mount", "--bind", RUN / "cpuinfo", "/proc/cpuinfo"], check=True)


if __name__ == "__main__":
    main()
