"""A bundle is tried by doing with it what the daemon would, in a process that may die of it."""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from flap_made import FACTORY, bundle_of

from edge.adapters.operators import operators
from edge.bundle import factory_directory
from edge.errors import TrustError
from edge.trying import DeviceBudget, Tried, examine, try_bundle, verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BUDGET = DeviceBudget(latency_p95_ms=10_000.0, rss_bytes=10**12)
"""Times and memory of a busy machine with a test in it decide nothing here."""


def _written(directory: Path, entries: dict[str, bytes]) -> Path:
    directory.mkdir()
    for name, data in entries.items():
        (directory / name).write_bytes(data)
    return directory


def _golden(change: Callable[[dict[str, Any]], None]) -> bytes:
    table = json.loads(FACTORY["golden.json"])
    change(table)
    return json.dumps(table).encode()


def test_the_factory_bundle_passes_in_a_process_of_its_own() -> None:
    """The bundle that ships is what everything else is measured against: within every budget, and bit for bit."""
    tried = try_bundle(factory_directory(), DeviceBudget(latency_p95_ms=10_000.0))
    assert (True, 0, 0) == (tried.ok, tried.difference_lsb, tried.signal)
    assert tried.latency_p95_ms > 0
    assert 10**7 < tried.rss_bytes <= DeviceBudget().rss_bytes


@pytest.mark.parametrize(
    ("runtime", "package"),
    [
        ("litert", "ai-edge-litert"),
        ("auto", "ai-edge-litert"),
        pytest.param(
            "tflite", "tflite-runtime", marks=pytest.mark.skipif(sys.version_info >= (3, 12), reason="no wheel")
        ),
    ],
)
def test_both_runtimes_are_tried_as_configured(runtime: str, package: str) -> None:
    """It is tried on the runtime that will run it, and is bit for bit what was recorded on that one."""
    tried = examine(factory_directory(), replace(BUDGET, runtime=runtime))
    assert (True, 0, package) == (tried.ok, tried.difference_lsb, tried.why.split()[0])


def _off(table: dict[str, Any]) -> None:
    for told in table["outputs"]:
        told["logits"][3][0] += table["tolerance_lsb"] + 1


def _elsewhere(table: dict[str, Any]) -> None:
    for told in table["outputs"]:
        told["runtime"] = "another-runtime 1.0"


def _empty(table: dict[str, Any]) -> None:
    table["outputs"] = []


def _short(table: dict[str, Any]) -> None:
    for told in table["outputs"]:
        told["embedding"][0] = told["embedding"][0][:-1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_off, "at most 5 is allowed"),
        pytest.param(_elsewhere, "says nothing of ai-edge-litert", marks=pytest.mark.attack("wrong runtime")),
        (_empty, "says nothing of ai-edge-litert"),
        (_short, "the model says 32"),
    ],
)
def test_golden_answers_must_come_out_here(tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str) -> None:
    """Off by more than the tolerance, unknown to this runtime, or not as many numbers: refused."""
    entries = bundle_of("0.4.0", golden_json=_golden(change))
    tried = examine(_written(tmp_path / "bundle", entries), BUDGET)
    assert not tried.ok
    assert says in tried.why


@pytest.mark.parametrize(
    ("budget", "says"),
    [
        (DeviceBudget(latency_p95_ms=1e-6, rss_bytes=10**12), "one run takes"),
        (DeviceBudget(latency_p95_ms=1e6, rss_bytes=1), "of memory; at most"),
    ],
)
def test_a_model_over_the_device_s_budget_is_refused(budget: DeviceBudget, says: str) -> None:
    """Right answers that come too late, or cost too much memory, are no answers."""
    tried = examine(factory_directory(), budget)
    assert (False, True) == (tried.ok, says in tried.why)
    assert tried.latency_p95_ms > 0


def test_scores_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    """A calibration that is finite itself may still make infinities of what the model says."""

    def hot(manifest: dict[str, Any]) -> None:
        manifest["calibration"]["temperature"] = 1e-320
        manifest["calibration"]["bias"] = [1e308] * 6

    tried = examine(_written(tmp_path / "bundle", bundle_of("0.4.0", hot)), BUDGET)
    assert not tried.ok


@pytest.mark.parametrize("size", [0, 1, 7, 8, 100, 5000])
def test_a_model_that_is_none_is_refused_before_a_runtime_sees_it(size: int) -> None:
    """Cut off anywhere in its table, or no TFLite file at all: one line."""
    with pytest.raises(TrustError, match=r"model\.tflite"):
        operators(FACTORY["model.tflite"][:size])


def test_a_model_with_an_operator_that_is_not_allowed_is_refused() -> None:
    """The table of operators is looked at before any of them runs: one that branches is refused by its name."""
    model = FACTORY["model.tflite"]
    code = schema.Model.GetRootAs(model, 0).OperatorCodes(0)
    at = code._tab.Pos + code._tab.Offset(4)
    changed = model[:at] + bytes([schema.BuiltinOperator.WHILE]) + model[at + 1 :]
    with pytest.raises(TrustError, match="asks for WHILE; allowed are ADD"):
        operators(changed)


@pytest.mark.parametrize(
    ("code", "output", "says"),
    [
        (-signal.SIGSEGV, b"", "killed by SIGSEGV"),
        (-signal.SIGKILL, b'{"ok": true, "why": ""}', "killed by SIGKILL"),
        (1, b'{"ok": true, "why": ""}', "ended with status 1"),
        (0, b"", "gave no answer"),
        (0, b'{"ok": 1, "why": ""}', "gave no answer"),
        (0, b'{"ok": true}', "gave no answer"),
        (0, b"[" * 60_000, "gave no answer"),
    ],
)
def test_only_the_expected_line_of_a_process_that_ended_well_is_believed(code: int, output: bytes, says: str) -> None:
    """However a child ends and whatever it prints, the service has a refusal in one line."""
    tried = verdict(code, output)
    assert (False, True, max(0, -code)) == (tried.ok, says in tried.why, tried.signal)


def test_a_child_that_takes_too_long_is_ended() -> None:
    """Time is the parent's to keep: a child over it is killed, and that is its answer."""
    tried = try_bundle(factory_directory(), DeviceBudget(wall_s=0.01))
    assert Tried(ok=False, why="trying it took longer than 0.01 s", signal=signal.SIGKILL) == tried


def test_a_child_with_too_little_memory_refuses_or_dies_alone() -> None:
    """A limit that not even the libraries fit into ends the child, not the service."""
    tried = try_bundle(factory_directory(), DeviceBudget(address_bytes=1_000_000, data_bytes=1_000_000))
    assert not tried.ok
