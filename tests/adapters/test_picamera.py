"""The Pi's camera beyond its contract: streams, buffers on loan, and what picamera2 may do to us."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pytest
from stand_ins import NS, PiCamera, PiLibrary, clock_at_1000_s

from edge.adapters.picamera import PicameraCamera
from edge.config import CameraConfig
from edge.errors import HardwareError

CONFIG = CameraConfig(width_px=160, height_px=120, still_width_px=320, still_height_px=240, fps=8.0)


def opened(config: CameraConfig = CONFIG) -> tuple[PicameraCamera, PiCamera]:
    """Return the adapter and the camera behind it."""
    library = PiLibrary()
    camera = PicameraCamera(config, clock_at_1000_s(), library)
    assert library.camera is not None
    return camera, library.camera


def test_both_streams_come_from_one_configuration() -> None:
    """The small picture is YUV420, the large one blue-green-red, at the configured sizes and frame rate."""
    _, hardware = opened()
    config = hardware.config
    assert {"size": (160, 120), "format": "YUV420"} == config["lores"]
    assert {"size": (320, 240), "format": "RGB888"} == config["main"]
    assert {"FrameDurationLimits": (125_000, 125_000)} == config["controls"]


def test_grey_is_the_luma_plane_without_its_padding() -> None:
    """Neither the chroma below nor the padding at the end of the rows gets into the picture."""
    camera, hardware = opened()
    hardware.expose(7 * NS, level=40, padding_px=32)
    frame = camera.newest(0.0)
    assert frame is not None
    assert {40} == set(np.unique(frame.grey))


def test_the_time_is_the_sensors() -> None:
    """captured_ns is SensorTimestamp as it stands."""
    camera, hardware = opened()
    hardware.expose(123_456_789)
    frame = camera.newest(0.0)
    assert frame is not None
    assert 123_456_789 == frame.captured_ns


def test_a_time_from_the_future_is_refused() -> None:
    """A stamp ahead of the monotonic clock is on another clock, and would make stale frames look fresh."""
    camera, hardware = opened()
    hardware.expose(1002 * NS)
    with pytest.raises(HardwareError, match="monotonic"):
        camera.newest(0.0)


def test_a_request_is_held_until_the_next_and_then_given_back() -> None:
    """Two requests are never on loan at once, and none is given back twice."""
    camera, hardware = opened()
    requests = []
    for second in (1, 2, 3):
        requests.append(hardware.expose(second * NS))
        camera.newest(0.0)
    held = [request.released for request in requests]
    camera.close()
    assert ([1, 1, 0], [1, 1, 1]) == (held, [request.released for request in requests])


def test_the_still_is_copied_only_when_asked_for() -> None:
    """Before the first frame, and after close, there is no still."""
    camera, hardware = opened()
    before = camera.still()
    hardware.expose(NS)
    camera.newest(0.0)
    during = camera.still()
    camera.close()
    assert (None, (240, 320, 3), None) == (before, None if during is None else during.shape, camera.still())


def test_a_hanging_camera_is_asked_once() -> None:
    """However often nothing comes, one job waits in picamera2."""
    camera, hardware = opened()
    for _ in range(5):
        camera.newest(0.0)
    assert 1 == hardware.jobs


def test_closing_a_hanging_camera_cancels_its_job() -> None:
    """Close does not wait for a frame that never comes."""
    camera, hardware = opened()
    camera.newest(0.0)
    camera.close()
    assert True is hardware.closed


def test_a_camera_that_is_not_there_is_one_sentence() -> None:
    """No camera connected is a HardwareError that says so."""
    with pytest.raises(HardwareError, match=r"^camera: .*not found"):
        PicameraCamera(CONFIG, clock_at_1000_s(), PiLibrary(missing=True))


def test_a_missing_library_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without picamera2 the error names the key and what to install."""
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(HardwareError, match=r"^camera\.kind: .*python3-picamera2"):
        PicameraCamera(CONFIG, clock_at_1000_s())


def test_another_size_than_asked_is_refused() -> None:
    """Picamera2 silently rounds odd sizes down; a picture of another size is refused, and the camera closed."""
    library = PiLibrary()
    with pytest.raises(HardwareError, match=r"160x120 for .* of 161x120"):
        PicameraCamera(replace(CONFIG, width_px=161), clock_at_1000_s(), library)
    assert library.camera is not None
    assert True is library.camera.closed


def test_a_frame_that_cannot_be_read_is_a_failure() -> None:
    """Whatever picamera2 raises while a frame is taken apart is a HardwareError, and close still works."""
    camera, hardware = opened()
    request = hardware.expose(NS)
    del request.arrays["lores"]
    with pytest.raises(HardwareError):
        camera.newest(0.0)
    camera.close()
    assert True is hardware.closed
