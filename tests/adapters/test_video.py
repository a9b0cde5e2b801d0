"""Video sources beyond their contract: recordings with bad parts, and the live thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from stand_ins import NS, PATIENCE_S, StepCapture, clock_at_1000_s

from edge.adapters import video
from edge.adapters.video import RecordedCamera, VideoCamera, is_live, open_video
from edge.config import CameraConfig
from edge.errors import HardwareError, InputError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = CameraConfig(kind="video", width_px=160, height_px=120, fps=10.0)


def picture(level: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Return a plain colour picture."""
    return np.full((240, 320, 3), level, np.uint8)


def film(path: Path, code: str, count: int, fps: float) -> Path:
    """Write a video whose pictures grow lighter."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (320, 240))
    for number in range(count):
        writer.write(picture(12 * number))
    writer.release()
    return path


def recorded(path: Path, start_ns: int = 0) -> RecordedCamera:
    """Open a recording."""
    return RecordedCamera(replace(CONFIG, source=str(path)), start_ns)


def all_of(camera: RecordedCamera) -> list[tuple[int, int]]:
    """Return time and mean level of every frame."""
    frames: list[tuple[int, int]] = []
    while True:
        try:
            frame = camera.newest(0.0)
        except EOFError:
            return frames
        assert frame is not None
        frames.append((frame.captured_ns, round(float(frame.grey.mean()))))


@pytest.mark.parametrize(("name", "code"), [("a.avi", "MJPG"), ("a.mp4", "mp4v")])
def test_a_film_gives_every_picture_at_its_own_rate(tmp_path: Path, name: str, code: str) -> None:
    """Nothing is dropped, and time goes by the file's own frame rate."""
    frames = all_of(recorded(film(tmp_path / name, code, 6, 20.0), start_ns=5 * NS))
    assert [5 * NS + number * NS // 20 for number in range(6)] == [at_ns for at_ns, _ in frames]
    assert [12 * number for number in range(6)] == pytest.approx([level for _, level in frames], abs=4)


def test_a_folder_goes_by_name_and_counts_numbers_as_numbers(tmp_path: Path) -> None:
    """frame_2 comes before frame_10, at the configured rate."""
    for number in (10, 2, 1):
        cv2.imwrite(str(tmp_path / f"frame_{number}.png"), picture(10 * number))
    assert [(0, 10), (NS // 10, 20), (NS // 5, 100)] == all_of(recorded(tmp_path))


def test_the_still_is_the_original(tmp_path: Path) -> None:
    """The picture for people is the file's, unscaled."""
    original = np.random.default_rng(3).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), original)
    camera = recorded(tmp_path)
    camera.newest(0.0)
    still = camera.still()
    assert still is not None
    assert np.array_equal(original, still)


def test_bad_files_of_a_folder_are_named_and_skipped(tmp_path: Path) -> None:
    """The good pictures come without a gap in time; each bad one is listed with its reason."""
    cv2.imwrite(str(tmp_path / "a.png"), picture(10))
    cv2.imwrite(str(tmp_path / "c.jpg"), picture(200))
    (tmp_path / "b.jpg").write_bytes((tmp_path / "c.jpg").read_bytes()[:-100])
    (tmp_path / "d.txt").write_text("a note")
    camera = recorded(tmp_path)
    frames = all_of(camera)
    assert [(0, 10), (NS // 10, 200)] == frames
    assert [("b.jpg", "is truncated or damaged"), ("d.txt", "is not a JPEG or PNG picture")] == [
        (skipped.path.name, skipped.why) for skipped in camera.skipped
    ]


def test_the_files_beside_a_data_sets_pictures_are_not_bad(tmp_path: Path) -> None:
    """metadata.jsonl and its like belong to the imagefolder form."""
    cv2.imwrite(str(tmp_path / "a.png"), picture(10))
    (tmp_path / "metadata.jsonl").write_text("{}\n")
    (tmp_path / ".hidden").write_text("")
    camera = recorded(tmp_path)
    all_of(camera)
    assert () == camera.skipped


def test_a_film_that_is_cut_off_is_named(tmp_path: Path) -> None:
    """A video that holds fewer pictures than it announces gives those it has and says so."""
    path = film(tmp_path / "a.avi", "MJPG", 20, 10.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    camera = recorded(path)
    count = len(all_of(camera))
    assert 0 < count < 20
    assert [f"ends after {count} of 20 pictures"] == [skipped.why for skipped in camera.skipped]


def test_a_whole_film_has_nothing_skipped(tmp_path: Path) -> None:
    """The count that a header announces is not held against a video that is whole."""
    camera = recorded(film(tmp_path / "a.mp4", "mp4v", 20, 10.0))
    all_of(camera)
    assert () == camera.skipped


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    """A missing path, an empty folder and a foreign file are one sentence each."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "foreign.mp4").write_bytes(bytes(range(256)) * 20)
    for name, why in (("none", "no such file"), ("empty", "holds no files"), ("foreign.mp4", "is not a video")):
        with pytest.raises(InputError, match=why):
            recorded(tmp_path / name)


def test_opening_what_cannot_be_opened_writes_nothing_to_stderr(tmp_path: Path) -> None:
    """OpenCV and its FFmpeg keep quiet; seen in a process of its own, since FFmpeg takes its log level only once."""
    (tmp_path / "foreign.mp4").write_bytes(bytes(range(256)) * 20)
    script = f"""
from edge.adapters.video import open_video
from edge.config import CameraConfig
from edge.errors import CatflapError
from stand_ins import clock_at_1000_s
for source in ({str(tmp_path / "foreign.mp4")!r}, "/dev/video-none", "/dev/null", "rtsp://127.0.0.1:9/1"):
    try:
        open_video(CameraConfig(kind="video", source=source), clock_at_1000_s())
    except CatflapError:
        print("refused")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert ("refused\n" * 4, "") == (done.stdout, done.stderr)


@pytest.mark.parametrize(
    ("source", "live"),
    [("/dev/video0", True), ("rtsp://10.0.0.5/1", True), ("night.mp4", False), ("/srv/pictures", False)],
)
def test_a_source_is_live_or_recorded(source: str, *, live: bool) -> None:
    """Devices and addresses are live, files and folders are recordings."""
    assert live == is_live(source)


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    """A missing device is a HardwareError with its name."""
    with pytest.raises(HardwareError, match=r"^camera\.source /dev/video-none: there is no such device"):
        open_video(replace(CONFIG, source="/dev/video-none"), clock_at_1000_s())


def test_a_password_in_an_address_is_not_told() -> None:
    """An address that cannot be opened is named without user and password."""
    with pytest.raises(HardwareError) as caught:
        open_video(replace(CONFIG, source="rtsp://me:secret@127.0.0.1:9/1"), clock_at_1000_s())
    assert str(caught.value).startswith("camera.source rtsp://127.0.0.1:9/1: cannot be opened")


class Live:
    """A live camera at 10 frames per second over a capture that is stepped."""

    def __init__(self) -> None:
        """Open it with one picture."""
        self.clock, self.capture = clock_at_1000_s(), StepCapture()
        self.capture.put(picture(1))
        self.camera = VideoCamera(CONFIG, self.clock, lambda _: self.capture)

    def feed(self, *levels: int, interval_s: float = 0.1) -> None:
        """Let pictures arrive and the thread deal with each of them."""
        for level in levels:
            self.clock.wait(interval_s)
            self.capture.put(picture(level))
            assert self.capture.idle.wait(PATIENCE_S)

    def level(self) -> int | None:
        """Return the mean level of the newest frame."""
        frame = self.camera.newest(PATIENCE_S)
        return None if frame is None else round(float(frame.grey.mean()))


@pytest.fixture
def live() -> Live:
    """A live camera that is open."""
    return Live()


def test_opening_without_a_picture_fails() -> None:
    """A device that opens and gives nothing, as an unplugged one does, is not open."""
    capture = StepCapture()
    capture.put(None)
    with pytest.raises(HardwareError, match="gives no picture"):
        VideoCamera(CONFIG, clock_at_1000_s(), lambda _: capture)
    assert True is capture.released


@pytest.mark.parametrize("comes", [True, False])
def test_a_source_that_opens_slowly_does_not_hold_the_loop(comes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening is waited for OPEN_WAIT_S at most; until picture or failure come it is as a camera without frames."""
    monkeypatch.setattr(video, "OPEN_WAIT_S", 0.0)
    capture, opens = StepCapture(), threading.Event()
    capture.put(picture(7) if comes else None)

    def opener(_: CameraConfig) -> StepCapture:
        assert opens.wait(PATIENCE_S)
        return capture

    camera = VideoCamera(CONFIG, clock_at_1000_s(), opener)
    assert None is camera.newest(0.0)
    opens.set()
    if comes:
        frame = camera.newest(PATIENCE_S)
        assert frame is not None
        capture.put(None)
    else:
        with pytest.raises(HardwareError, match="gives no picture"):
            camera.newest(PATIENCE_S)
    camera.close()


def test_only_the_newest_picture_is_kept(live: Live) -> None:
    """Pictures nobody asked for are dropped, never queued."""
    live.feed(50, 100, 150)
    level, after = live.level(), live.camera.newest(0.0)
    live.capture.put(None)
    live.camera.close()
    assert (150, None) == (level, after)


def test_pictures_that_come_too_soon_are_not_decoded(live: Live) -> None:
    """A source faster than the configured rate costs no decoding for what nobody looks at."""
    live.feed(*range(50, 90), interval_s=0.025)
    decoded = live.capture.decoded
    live.capture.put(None)
    live.camera.close()
    assert 1 + 40 // 3 == decoded


def test_the_end_frees_the_device(live: Live) -> None:
    """When the source ends, the thread ends, frees the device, and what follows is a HardwareError."""
    live.camera.newest(PATIENCE_S)
    live.capture.put(None)
    with pytest.raises(HardwareError, match="ended or the device is gone"):
        live.camera.newest(PATIENCE_S)
    live.camera.close()
    assert (True, False) == (live.capture.released, "camera" in [thread.name for thread in threading.enumerate()])


def test_a_picture_on_its_way_is_not_given_after_closing(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that arrives while the camera closes, as a real device's does, is no frame any more."""
    monkeypatch.setattr(video, "CLOSE_WAIT_S", 0.0)
    live.camera.newest(PATIENCE_S)
    live.camera.close()
    live.clock.wait(0.1)
    live.capture.put(picture(50))
    live.camera._thread.join(PATIENCE_S)
    with pytest.raises(HardwareError, match="is closed"):
        live.camera.newest(0.0)
