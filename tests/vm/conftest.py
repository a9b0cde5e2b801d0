"""The bench's machines, and the page that its results go to.

Nothing here is collected by `make test`: `make vm-test` sets CATFLAP_VM. One machine for each file of tests; a test
leaves it with the daemon running, and prints one line.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vm import image, page
from vm.bench import Flap
from vm.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

SHORT = "CATFLAP_VM_SHORT" in os.environ
LONG_ONLY = [
    "test_vm_cameras.py",
    "test_vm_clock.py",
    "test_vm_disk.py",
    "test_vm_push.py",
    "test_vm_upgrade.py",
    "test_vm_watchdog.py",
]
"""The short form is one boot, the pins, two visits, and the three ends of the daemon."""
collect_ignore_glob = ["test_*.py"] if "CATFLAP_VM" not in os.environ else LONG_ONLY if SHORT else []

HERE = Path(__file__).resolve().parent
RESULTS = page.Results()


@pytest.fixture(scope="session")
def root_image() -> Path:
    """Build the disk, or find it."""
    return image.root_image()


@pytest.fixture(scope="session")
def share(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the folder that every machine shares with the host."""
    folder = tmp_path_factory.mktemp("share")
    shutil.copytree(HERE / "inside", folder / "inside")
    return folder


@pytest.fixture(scope="module")
def machine(root_image: Path, share: Path) -> Iterator[Machine]:
    """Start a machine and wait for it."""
    with Machine(root_image, share=share) as started:
        started.wait()
        yield started


@pytest.fixture
def flap(machine: Machine) -> Flap:
    """Return the flap on it, READY."""
    found = Flap(machine)
    found.wait_ready()
    RESULTS.note_versions(machine)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note what became of each test, and its time with its machine's."""
    report = yield
    RESULTS.note(item, report)
    flap = getattr(item, "funcargs", {}).get("flap")
    if report.failed and isinstance(flap, Flap):
        report.sections.append(("the daemon's last words", flap.last_words()))
    return report


def pytest_sessionfinish() -> None:
    """Write the page where it was asked for."""
    wanted = os.environ.get("CATFLAP_VM_PAGE")
    if wanted:
        RESULTS.write(Path(wanted), short=SHORT)
