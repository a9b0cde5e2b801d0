"""A second release of the flap over the first, back again, and one that does not work."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from vm import image
from vm.machine import SHARE

if TYPE_CHECKING:
    from pathlib import Path

    from vm.bench import Flap

INSTALL_S = 900.0
CURRENT = "readlink -f /opt/catflap/current"


@pytest.fixture(scope="module")
def releases(share: Path) -> str:
    """Put a next release, a broken one after it, and the wheels where the machine finds them."""
    image.stage(share / "next", "0.2.0")
    broken = image.stage(share / "broken", "0.3.0") / "edge" / "daemon.py"
    text = broken.read_text(encoding="utf-8")
    broken.write_text(text.replace("self._heartbeat.ready()", 'raise RuntimeError("broken")'), encoding="utf-8")
    shutil.copytree(image.wheels(), share / "wheels")
    return SHARE


def _install(flap: Flap, folder: str, *options: str) -> int:
    """Run the installer of a folder in the machine and return its exit status."""
    words = " ".join(("--any-machine", "--wheels", f"{SHARE}/wheels", *options))
    ran = flap.machine.run(f"python3 {SHARE}/{folder}/catflap/tools/install.py {words}", INSTALL_S)
    print(ran.output)
    return ran.status


def test_an_upgrade(flap: Flap, releases: str) -> None:
    """An upgrade switches to the new release, keeps configuration and journal, and the daemon is READY from it."""
    del releases
    before = flap.machine.expect("sha256sum /etc/catflap/catflap.toml")
    rows = int(flap.machine.expect(flap.count("events")))
    assert 0 == _install(flap, "next")
    flap.wait_ready()
    assert "/0.2.0-" in flap.machine.expect(CURRENT)
    assert "catflap 0.2.0" == flap.machine.expect("catflap --version")
    assert before == flap.machine.expect("sha256sum /etc/catflap/catflap.toml")
    assert int(flap.machine.expect(flap.count("events"))) > rows


def test_a_broken_upgrade(flap: Flap) -> None:
    """A release whose daemon does not become READY is taken back by the installer; the old one runs."""
    assert 0 != _install(flap, "broken")
    flap.wait_ready()
    assert "/0.2.0-" in flap.machine.expect(CURRENT)


def test_a_way_back(flap: Flap) -> None:
    """`--back` switches to the release before, and the daemon is READY from it."""
    assert 0 == _install(flap, "next", "--back")
    flap.wait_ready()
    assert "/0.2.0-" not in flap.machine.expect(CURRENT)
