"""The watchdog's time against every wait in the loop, each taken from where it is kept."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

from unit_files import ROOT, service

from edge import config, daemon, journal, rest
from edge.adapters import guard, video
from edge.assembly import wishes
from edge.files import LOCK_POLL_S
from edge.pipeline import STOP_PATIENCE_NS

WATCHDOG_S = service("catflap").seconds("WatchdogSec")


def _bound(section: type[Any], key: str, which: str) -> Any:  # noqa: ANN401 - numbers of either kind
    """Return the lowest or the highest value that the configuration allows."""
    return next(entry.metadata[which] for entry in dataclasses.fields(section) if entry.name == key)


def longest_frame_wait_s() -> float:
    """Return the longest wait for a frame that any configuration makes."""
    slow = config.CameraConfig(fps=_bound(config.CameraConfig, "fps", "low"))
    lock = config.LockConfig(lease_s=_bound(config.LockConfig, "lease_s", "high"))
    return wishes(config.Config(camera=slow, lock=lock)).wait_s


def waits_s() -> dict[str, float]:
    """Return everything that one tick may wait for, in seconds, as if all of it came together."""
    return {
        "a frame, or the pause while the camera is away": longest_frame_wait_s(),
        "a camera that is opened anew": video.OPEN_WAIT_S,
        "the camera's thread, when a camera that hangs is closed": video.CLOSE_WAIT_S,
        "the journal, held by another process: once, then not again": journal.BUSY_MS / 1000,
        "the slots, held by another process: the step ends with it": daemon.SLOTS_WAIT_S + LOCK_POLL_S,
        "the guard's line, a command and one more": 2 * guard.WRITE_S,
    }


def test_all_waits_of_a_tick_together_are_half_of_the_watchdogs_time() -> None:
    """Were everything to go wrong within one tick, the heartbeat would still come before half of WatchdogSec."""
    assert (True, 10.0) == (sum(waits_s().values()) < WATCHDOG_S / 2, WATCHDOG_S)


def test_what_the_loop_talks_to_is_never_waited_for() -> None:
    """Serial lines are read, and sockets used, without waiting: where a line is opened its timeout is written as 0."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "edge" / "adapters").glob("*.py"))]
    lines = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    found = [
        {word.arg: ast.unparse(word.value) for word in node.keywords}
        for node in lines
        if ast.unparse(node.func) == "serial.Serial"
    ]
    assert [("0", "WRITE_S"), ("0", "")] == [(each["timeout"], each.get("write_timeout", "")) for each in found]
    for name in ("control.py", "systemd.py"):
        tree = ast.parse((ROOT / "edge" / "adapters" / name).read_text(encoding="utf-8"))
        calls = [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Call)]
        opened = sum("socket.socket(" in call and call.startswith("socket.socket(") for call in calls)
        assert (True, []) == (
            sum(".setblocking(False)" in call for call in calls) >= opened,
            [call for call in calls if ".settimeout(" in call],
        )


def test_a_wait_that_is_new_is_counted() -> None:
    """Every constant of the daemon's modules that is named as a wait is in the sum, or known not to be in a tick."""
    outside = {
        ("slots/store.py", "WAIT_S"),  # of other processes; the loop gives SLOTS_WAIT_S
        ("adapters/video.py", "OPEN_TIMEOUT_S"),  # in the camera's thread
        ("adapters/control_client.py", "PATIENCE_S"),  # of `catflap door`
        ("adapters/guard.py", "ANSWER_S"),  # counted, not waited for
        ("adapters/guard.py", "GREETING_S"),  # before READY
    }
    counted = {
        ("adapters/video.py", "OPEN_WAIT_S"), ("adapters/video.py", "CLOSE_WAIT_S"), ("daemon.py", "SLOTS_WAIT_S"),
        ("journal.py", "BUSY_MS"), ("adapters/guard.py", "WRITE_S"),
    }  # fmt: skip
    ends = ("WAIT_S", "TIMEOUT_S", "PATIENCE_S", "BUSY_MS", "ANSWER_S", "GREETING_S", "WRITE_S")
    named = set()
    others = {"rest.py", "inbox.py", "commands/receive.py"}
    for path in sorted((ROOT / "edge").rglob("*.py")):
        where = str(path.relative_to(ROOT / "edge"))
        if where in others or where.startswith("link/"):
            continue
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                named |= {(where, node.targets[0].id)} if node.targets[0].id.endswith(ends) else set()
    assert outside | counted == named


def test_a_stop_is_given_the_time_it_takes() -> None:
    """An open flap is waited for, camera and journal are closed, and only then would systemd kill."""
    orderly_s = STOP_PATIENCE_NS / 1e9 + video.CLOSE_WAIT_S + journal.BUSY_MS / 1000 + daemon.SLOTS_WAIT_S
    assert orderly_s + 5.0 < service("catflap").seconds("TimeoutStopSec")


def test_the_rest_is_given_the_time_it_takes() -> None:
    """`catflap rest` waits for an open flap, and for pinctrl until that fails once: within the time systemd gives."""
    looks = rest.HOLD_S / rest.LOOK_EVERY_S
    worst_s = rest.HOLD_S + rest.PINCTRL_S + (looks + 2) * 0.5  # each call slow, the last one hung
    assert worst_s < service("catflap").seconds("TimeoutStopSec")


def test_a_hung_loop_is_killed_without_asking() -> None:
    """Only the main process may feed the watchdog, and a process that is stopped is not sent what it cannot hear."""
    unit = service("catflap")
    assert ("notify", "main", "SIGKILL") == tuple(unit.one(key) for key in ("Type", "NotifyAccess", "WatchdogSignal"))
