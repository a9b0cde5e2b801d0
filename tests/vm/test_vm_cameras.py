"""The camera port's contract, inside, on the kernel's own video drivers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from vm import image
from vm.bench import INSIDE, PYTHON
from vm.machine import SHARE

if TYPE_CHECKING:
    from collections.abc import Callable

    from vm.bench import Flap

TESTS = Path(__file__).resolve().parents[1]
CONTRACT_S = 560.0
CHOSEN = {
    "opencv_on_vivid": "opencv_on_vivid",
    "picamera2_on_vimc": "picamera2_on_vimc and not lost",
}
"""Which parts of the contract: libcamera 0.3.2 itself aborts the process when its test camera is taken away
(an assertion in PipelineHandler::stop), and a process that has died has its bolt at rest."""


@pytest.fixture(scope="module")
def contract(share: Path) -> str:
    """Put the contract, what it leans on, and pytest where the machine finds them."""
    shutil.copytree(image.testing(), share / "testing")
    for name in ("conftest.py", "stand_ins.py", "contracts/test_cameras.py"):
        (share / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TESTS / name, share / "tests" / name)
    return f"{SHARE}/tests/contracts/test_cameras.py"


@pytest.mark.parametrize("camera", CHOSEN)
def test_the_contract(camera: str, flap: Flap, contract: str, record_property: Callable[[str, object], None]) -> None:
    """OpenCV on vivid, and the real picamera2 on libcamera's vimc, keep the camera port's contract."""
    places = f"PYTHONPATH={SHARE}/testing:{INSIDE}:{SHARE}/tests CATFLAP_CAMERAS=cameras:{camera}"
    words = f"-p no:cacheprovider --rootdir {SHARE}/tests -q -k '{CHOSEN[camera]}' {contract}"
    flap.machine.expect("systemctl stop catflap film", 120.0)  # the camera under test shall have the processor
    try:
        ran = flap.machine.run(f"cd /run && {places} {PYTHON} -m pytest {words}", CONTRACT_S)
    finally:
        flap.machine.expect("systemctl start film catflap", 240.0)
    assert 0 == ran.status, ran.output[-4000:]
    counted = re.search(r"(\d+) passed", ran.output)
    record_property("measured", f"{camera}: {counted[0] if counted else 'nothing'}")
