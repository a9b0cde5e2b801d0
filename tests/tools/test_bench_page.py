"""The page of benchmarks says what the bench printed."""

from __future__ import annotations

import json

from bench_page import page, renewed
from pages import part, replaced

LINES = [
    {"figure": "machine", "value": "A CPU", "unit": "", "cores": 2, "python": "3.11", "system": "Linux", "date": "d"},
    {"figure": "bare_invoke", "value": {"p50": 1.5, "p95": 2.0}, "unit": "us", "runtime": "r 1", "model": "m 2"},
    {"figure": "resident", "value": 61.5, "unit": "MB", "bound": 90, "aim": 60},
    {"figure": "ticks", "value": 1, "unit": "us", "bound_p50": 1.5, "ticks": 7},
]


def test_every_figure_has_its_row() -> None:
    """Percentiles, bounds and counts stand in the table as they were measured; the machine stands above it."""
    text = page([json.dumps(line) for line in LINES])
    assert "A CPU, 2 cores, Linux, Python 3.11, d; model m 2 in r 1" in text
    assert [True, True, True] == [
        row in text
        for row in (
            "| `bare_invoke` | p50 1.5, p95 2.0 | us |  |",
            "| `resident` | 61.5 | MB | 90, aim 60 |",
            "| `ticks` | 1 (ticks 7) | us | p50 1.5 |",
        )
    ]


def test_a_new_page_keeps_what_another_tool_wrote() -> None:
    """The part between the marks survives `make benchmarks` as it was."""
    old = replaced(page([json.dumps(line) for line in LINES]), "aarch64", "| counted | 7 |")
    new = renewed(old, [json.dumps(line).replace('"d"', '"later"') for line in LINES])
    assert ("| counted | 7 |", True) == (part(new, "aarch64"), "Python 3.11, later;" in new)
