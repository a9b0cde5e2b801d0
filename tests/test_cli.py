"""The command line: what it prints, and with what status it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from visits_made import scores, visit_of

from edge import bundle
from edge.cli import main
from edge.messages import Label
from edge.record import write_record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SCENES = Path(__file__).parent / "scenarios"
CLEAN_CAT = str(SCENES / "opens_for_own_clean_cat.toml")
WITH_PREY = str(SCENES / "prey_is_refused.toml")  # a rare class is always kept, however sure the model is

Run = tuple[int, list[str], list[str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Return what runs a command in this process and gives status, output lines and error lines."""

    def act(*arguments: str | Path) -> Run:
        capfd.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as stopped:
            status = int(stopped.code or 0)
        said = capfd.readouterr()
        # LiteRT greets on stderr by itself, once a process.
        errors = [line for line in said.err.splitlines() if not line.startswith("INFO: Created TensorFlow Lite")]
        return status, said.out.splitlines(), errors

    return act


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory that a played scene has left behind."""
    out = tmp_path_factory.mktemp("night")
    assert 0 == main(["demo", WITH_PREY, "--speed", "0", "--out", str(out)])
    return out


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """Return a real picture in a file."""
    path = tmp_path / "scene.png"
    cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (240, 320), dtype=np.uint8))
    return path


def test_the_demonstration_tells_the_night_and_leaves_it_behind(run: Callable[..., Run], tmp_path: Path) -> None:
    """One line a visit, a closing table, and a journal, a spool and key frames that one can look at."""
    status, lines, _ = run("demo", WITH_PREY, "--speed", "0", "--out", tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    pictures = list((tmp_path / "spool").glob("*/*.jpg"))
    assert (0, True, {"journal.sqlite", "spool", "catflap.log", "models"}, True) == (
        status,
        any(line.startswith("all") for line in lines),
        left - {"journal.sqlite-wal", "journal.sqlite-shm"},
        len(pictures) > 0,
    )


def test_the_log_has_one_canonical_line_a_visit(night: Path) -> None:
    """Each visit is exactly one JSON line of the log, and its fields are those of the replay."""
    lines = [json.loads(line) for line in (night / "catflap.log").read_text(encoding="utf-8").splitlines()]
    visits = [line for line in lines if line["event"] == "visit"]
    wanted = {"visit", "verdict", "because", "resident", "frames", "frames_to_verdict", "ms_to_verdict", "model"}
    assert (len(visits), True) == (len({line["visit"] for line in visits}), all(wanted <= set(line) for line in visits))


def test_replay_derives_the_stored_verdicts_bit_for_bit(run: Callable[..., Run], night: Path) -> None:
    """Every record of a spool comes out with the same scores and the same verdict, and the status is 0."""
    status, lines, errors = run("replay", night / "spool", "--json")
    same = [json.loads(line)["same"] for line in lines]
    assert (0, [True] * len(list((night / "spool").glob("*/visit.json"))), []) == (status, same, errors)


def test_replay_reports_a_record_that_does_not_come_out(run: Callable[..., Run], night: Path, tmp_path: Path) -> None:
    """A stored verdict that the evidence does not give is a finding: status 1, and the line says same: false."""
    record = next((night / "spool").glob("*/visit.json")).parent
    altered = tmp_path / record.name
    shutil.copytree(record, altered)
    told = json.loads((altered / "visit.json").read_text(encoding="utf-8"))
    told["verdict"]["kind"] = "unsure" if told["verdict"]["kind"] != "unsure" else "blind"
    (altered / "visit.json").write_text(json.dumps(told), encoding="utf-8")
    status, lines, _ = run("replay", altered, "--json")
    assert (1, [False]) == (status, [json.loads(line)["same"] for line in lines])


def test_replay_names_a_record_whose_patches_another_model_was_shown(run: Callable[..., Run], tmp_path: Path) -> None:
    """A model that takes patches of another size cannot judge a record: named, skipped, counted, status 1."""
    for file in write_record(visit_of(scores(Label.CAT_CLEAR, 0.9)), "random"):
        (tmp_path / file.name).write_bytes(file.data)
    status, lines, errors = run("replay", tmp_path)
    assert (1, []) == (status, lines)
    assert f"catflap: skipped: {tmp_path}: its patches are 16x12 pixels" in errors[0]
    assert "name a model that fits with --model" in errors[0]


def test_replay_names_a_path_that_is_not_there(run: Callable[..., Run], tmp_path: Path) -> None:
    """What is missing is named, skipped and counted, and the status is 1."""
    gone = tmp_path / "gone"
    status, _, errors = run("replay", gone)
    assert (1, [f"catflap: skipped: {gone}: there is no such file or folder", "catflap: skipped 1 in all"]) == (
        status,
        errors,
    )


def test_replay_runs_a_folder_and_a_video(run: Callable[..., Run], tmp_path: Path) -> None:
    """A folder of pictures and a video go through the same gate: a body that comes in is a visit."""
    folder, film = tmp_path / "folder", tmp_path / "film.avi"
    folder.mkdir()
    writer = cv2.VideoWriter(str(film), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    for index, frame in enumerate(_coming()):
        cv2.imwrite(str(folder / f"{index:03}.png"), frame)
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    status, lines, errors = run("replay", folder, film, "--json")
    rows = [json.loads(line) for line in lines]
    assert (0, 2, []) == (status, len(rows), errors)
    assert {"visit", "frames", "verdict", "because", "resident", "frames_to_verdict", "ms_to_verdict", "model"} <= set(
        rows[0]
    )


def _coming() -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.uint8]]]:
    """Yield six seconds of noise in which a dark body comes in after the third."""
    rng = np.random.default_rng(2)
    for index in range(60):
        base = np.tile(np.linspace(60, 140, 320), (240, 1))
        base[:, ::20] -= 30
        if index >= 30:
            cv2.ellipse(base, (index * 3 + 40, 150), (50, 35), 0, 0, 360, (15,), -1)
        yield np.clip(base + rng.normal(0, 3, base.shape), 0, 255).astype(np.uint8)


def test_replay_takes_the_visits_of_an_imagefolder(run: Callable[..., Run], picture: Path, tmp_path: Path) -> None:
    """Pictures with a metadata.jsonl are judged visit by visit; one that cannot be read is named and counted."""
    rows = [
        {"file_name": picture.name, "visit": "a", "taken": "2026-01-01T22:00:00"},
        {"file_name": picture.name, "visit": "b", "taken": "2026-01-01T23:00:00"},
        {"file_name": "gone.png", "visit": "b", "taken": "2026-01-01T23:00:01"},
    ]
    (tmp_path / "metadata.jsonl").write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    status, lines, errors = run("replay", tmp_path, "--json")
    assert (1, 2, 2, True) == (status, len(lines), len(errors), "gone.png" in errors[0])


def test_score_prints_one_object_a_picture(run: Callable[..., Run], picture: Path) -> None:
    """A picture's line has quality, a probability for each label, the verdict, the model and the time it took."""
    status, lines, errors = run("score", picture, "--json")
    row = json.loads(lines[0])
    assert (0, [], 6, str(picture)) == (status, errors, len(row["scores"]), row["file"])
    assert {"file", "quality", "scores", "verdict", "resident", "model", "took_ms"} <= set(row)


def _bad_files(folder: Path, picture: Path) -> list[Path]:
    whole = picture.read_bytes()
    contents = {
        "truncated.png": whole[: len(whole) // 2],
        "foreign.jpg": b"%PDF-1.7 this is no picture",
        "empty.png": b"",
        "bomb.png": whole[:16] + (100_000).to_bytes(4, "big") * 2 + whole[24:],
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return [*(folder / name for name in contents), folder / "missing.png", folder]


def test_score_names_skips_and_counts_what_is_no_picture(
    run: Callable[..., Run], picture: Path, tmp_path: Path
) -> None:
    """Truncated, foreign, empty, oversized and missing files are named and counted; the good one is still judged."""
    bad = _bad_files(tmp_path, picture)
    status, lines, errors = run("score", *bad, picture, "--json")
    named = [any(str(path) in line for line in errors) for path in bad]
    assert (1, 1, [True] * len(bad), f"catflap: skipped {len(bad)} in all") == (status, len(lines), named, errors[-1])


def test_replay_names_skips_and_counts_what_is_no_recording(
    run: Callable[..., Run], picture: Path, tmp_path: Path
) -> None:
    """What is no recording is named and counted; never a traceback."""
    film, record = tmp_path / "torn.mp4", tmp_path / "record"
    film.write_bytes(b"\x00\x00\x00\x18ftypmp42" + bytes(100))
    record.mkdir()
    (record / "visit.json").write_text('{"format": 1', encoding="utf-8")
    status, _, errors = run("replay", film, record, tmp_path / "none", "--json")
    assert (1, "catflap: skipped 3 in all") == (status, errors[-1])
    assert picture.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--config", "none.toml"),
        ("doctor", "--config", "none.toml"),
        ("config", "check", "--config", "none.toml"),
        ("demo", "no-such-scene"),
        ("score", "--model", "no-such-bundle", "x.png"),
    ],
)
def test_an_input_that_cannot_be_used_is_one_line_and_status_2(
    run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """What was named and is not there is said in one line, without a traceback, and the status is 2."""
    monkeypatch.chdir(tmp_path)
    status, lines, errors = run(*arguments)
    assert (2, [], 1, True) == (status, lines, len(errors), errors[0].startswith("catflap: "))


@pytest.mark.parametrize("speed", ["fast", "-1", "nan"])
def test_a_speed_that_is_none_is_refused(run: Callable[..., Run], speed: str) -> None:
    """A speed must be a number from 0 to 1000; anything else is a usage error."""
    status, _, errors = run("demo", "--speed", speed)
    assert (2, True) == (status, "--speed" in errors[-1])


def _config(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "catflap.toml"
    path.write_text(text, encoding="utf-8")
    return path


WATCHING = """
[camera]
kind = "video"
source = "{folder}"
[pins]
factory = "{factory}"
bolt = 17
[door]
identity = "any_cat"
[state]
directory = "{state}"
[control]
path = "{state}/control.sock"
"""


def _frames(folder: Path) -> Path:
    folder.mkdir()
    for index, frame in enumerate(_coming()):
        cv2.imwrite(str(folder / f"{index:03}.png"), frame)
    return folder


def test_the_daemon_runs_over_real_files_and_gpiozeros_pins(run: Callable[..., Run], tmp_path: Path) -> None:
    """`catflap run` with a folder for a camera and gpiozero's mock pins ends when the folder does, with status 0."""
    folder = _frames(tmp_path / "frames")
    path = _config(tmp_path, WATCHING.format(folder=folder, factory="mock", state=tmp_path / "state"))
    status, _, errors = run("run", "--config", path)
    events = [json.loads(line)["event"] for line in errors]
    assert (0, "started", True, True) == (status, events[0], "source_ended" in events, "visit" in events)


def test_a_missing_adapter_is_one_sentence_at_start(run: Callable[..., Run], tmp_path: Path) -> None:
    """An adapter that the configuration names and this machine lacks stops the start; nothing falls back."""
    path = _config(tmp_path, "[pins]\nfactory = 'mock'\nbolt = 17\n[door]\nidentity = 'any_cat'\n" + _state(tmp_path))
    status, _, errors = run("run", "--config", path)
    last = errors[-1]
    assert (2, True, True) == (status, last.startswith("catflap: "), "picamera2" in last)


def _state(tmp_path: Path) -> str:
    return f"[state]\ndirectory = '{tmp_path / 'state'}'\n[control]\npath = ''\n"


def test_doctor_finds_what_is_wrong_and_says_what_to_do(run: Callable[..., Run], tmp_path: Path) -> None:
    """A camera that is not there is an error with a remedy, and the status is 1."""
    path = _config(tmp_path, WATCHING.format(folder=tmp_path / "none", factory="mock", state=tmp_path))
    status, lines, _ = run("doctor", "--config", path, "--json")
    camera = next(row for row in map(json.loads, lines) if row["what"] == "camera")
    assert (1, False, True) == (status, camera["ok"], bool(camera["do"]))


def test_config_show_tells_every_value_and_its_bounds(run: Callable[..., Run], tmp_path: Path) -> None:
    """Each value stands with its meaning and what is allowed."""
    path = _config(tmp_path, WATCHING.format(folder="x", factory="mock", state="y"))
    status, lines, _ = run("config", "show", "--config", path)
    assert (0, True) == (
        status,
        "door.open_s = 6.0    # how long the bolt stays open for a cat that may come in; " in str(lines),
    )


def test_spool_list_names_what_waits(run: Callable[..., Run], night: Path, tmp_path: Path) -> None:
    """Each record of the spool is a line with its visit, the rule that chose it and its size."""
    path = _config(tmp_path, WATCHING.format(folder="x", factory="mock", state=night))
    status, lines, errors = run("spool", "list", "--config", path, "--json")
    stored = sorted(entry.parent.name for entry in (night / "spool").glob("*/visit.json"))
    names = sorted(json.loads(line)["visit_id"] for line in lines)
    assert (0, stored, ["dropped so far: nothing"]) == (status, names, errors)


def test_a_model_that_is_not_what_its_manifest_says_is_refused(
    run: Callable[..., Run], picture: Path, tmp_path: Path
) -> None:
    """One flipped byte in the model: refused before it is loaded, in one line that names the file."""
    copy = tmp_path / "bundle"
    shutil.copytree(bundle.factory_directory(), copy)
    data = bytearray((copy / "model.tflite").read_bytes())
    data[len(data) // 2] ^= 1
    (copy / "model.tflite").write_bytes(bytes(data))
    status, lines, errors = run("score", "--model", copy, picture)
    assert (2, [], 1, True) == (status, lines, len(errors), "model.tflite" in errors[0])


def test_sigterm_in_the_middle_of_a_night_ends_well(tmp_path: Path) -> None:
    """SIGTERM ends the simulated daemon with status 0, after READY and beats and with STOPPING said."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(60)
        command = [sys.executable, "-m", "edge.cli", "run", "--simulate", CLEAN_CAT]
        environment = {**os.environ, "NOTIFY_SOCKET": address}
        with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL) as child:
            heard = [listener.recv(4096) for _ in range(30)]
            child.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in heard[-1]:
                heard.append(listener.recv(4096))
            status = child.wait(timeout=60)
    assert (0, b"READY=1", True) == (status, heard[0].strip(), any(b"WATCHDOG=1" in said for said in heard))
