"""Where an installed flap lies: every path that the installer touches, and what stands there.

All that belongs to one version lies in its release directory, units and account rules included; the system's own
directories hold links that lead through ``/opt/catflap/current``. So one rename of that link changes the whole flap
from one version to another, and whatever cuts it short leaves the one or the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent
"""The checkout that is installed."""

HOME = "/opt/catflap"
RELEASES = f"{HOME}/releases"
CURRENT = f"{HOME}/current"
PREVIOUS = f"{HOME}/previous"
SHARE = "share/catflap"
"""In a release: the factory's bundle, units, account rules, the boot fragment and the example configuration."""

CONFIG = "/etc/catflap/catflap.toml"
STATE = "/var/lib/catflap"
BOOT_FILE = "/boot/firmware/catflap.txt"
BOOT_CONFIG = "/boot/firmware/config.txt"
BOOT_LINE = "include catflap.txt"

DAEMON = "catflap.service"
SERVICES = (DAEMON, "catflap-link.service", "catflap-update.path")
"""What runs, in the order of starting. The update service is started by its path unit."""
AT_BOOT = (*SERVICES, "catflap-update.service")
"""What every boot starts: multi-user.target wants it. The update service looks for what came before the power went."""
UNITS = (*SERVICES, "catflap-update.service", "catflap-later.service")
JOURNAL_IN_MEMORY = "/etc/systemd/journald.conf.d/catflap.conf"


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the system that leads to what ``to`` names within the current release."""

    path: str
    to: str
    optional: bool = False

    @property
    def target(self) -> str:
        """What the link says."""
        return f"{CURRENT}/{self.to}"


def _link(path: str, part: str, *, optional: bool = False) -> Link:
    return Link(path, f"{SHARE}/systemd/{part}", optional)


LINKS = (
    Link("/usr/local/bin/catflap", "bin/catflap"),
    Link("/usr/local/bin/catflap-update", "bin/catflap-update"),
    *(_link(f"/etc/systemd/system/{unit}", unit) for unit in UNITS),
    *(_link(f"/etc/systemd/system/multi-user.target.wants/{unit}", unit) for unit in AT_BOOT),
    _link("/etc/systemd/system.conf.d/catflap.conf", "drop-ins/system.conf.d/catflap.conf"),
    _link(JOURNAL_IN_MEMORY, "drop-ins/journald.conf.d/catflap.conf", optional=True),
    _link("/etc/sysusers.d/catflap.conf", "catflap.sysusers"),
    _link("/etc/tmpfiles.d/catflap.conf", "catflap.tmpfiles"),
    _link("/etc/ssh/sshd_config.d/catflap.conf", "sshd_catflap.conf"),
)

CONTENTS = {
    "edge": "the program",
    "models/factory": "the bundle that ships",
    "requirements": "what it needs, with hashes",
    "systemd": "units, accounts, directories, what sshd lets in",
    "firmware/boot": "the pins before there is software",
    "docs/catflap.toml": "the example configuration",
    "pyproject.toml": "",
    "README.md": "",
    "LICENSE": "",
}
"""What of the checkout goes into a release; its hash names the release."""

PACKAGES = ("python3-venv", "openssh-server")
"""Debian packages that every flap needs, on Bookworm and Trixie alike; libstdc++6 comes with apt itself."""
PI_PACKAGES = ("python3-picamera2", "python3-lgpio")
"""Only in Raspberry Pi's archive, under these names on both; the first brings libcamera and python3-libcamera."""
PI_MARK = "/etc/rpi-issue"
"""What Raspberry Pi OS has and Debian has not."""

ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow")

TOUCHED = (
    (f"{HOME}/", "the releases, this one and the one before, and the two links that name them"),
    *((link.path, f"link to {link.target}{'; only with --volatile-journal' * link.optional}") for link in LINKS),
    (CONFIG, "your configuration: the example, if there is none; never overwritten"),
    ("/etc/catflap/", "directories and rights only, by systemd-tmpfiles"),
    (BOOT_FILE, "the pins before there is software, read by one line of config.txt"),
    (BOOT_CONFIG, f"only with --boot-line: gets the line {BOOT_LINE!r}"),
    (f"{STATE}/", "directories only, by systemd-tmpfiles"),
    *((f"/etc/{name}", "the accounts catflap, catflap-link, catflap-push, by systemd-sysusers")
      for name in ACCOUNT_FILES),
)  # fmt: skip
"""(path, what for): all that the installer and the tools it calls write. A path that ends in / is a whole directory."""
