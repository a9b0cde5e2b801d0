"""What may not get in, counted: the named tests of every word of the project's list, from pytest's own report.

    pytest -m "attack or conformance" --junitxml=FILE && python tools/attacks.py FILE [--write docs/push.md]

A test says by its mark to which words it belongs (``pytest.mark.attack``, ``pytest.mark.conformance``);
tests/conftest.py puts the marks into the report. Exit status: 0 every word has tests and all passed, 1 otherwise.
"""

from __future__ import annotations

import argparse
import platform
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pages import replaced

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FINDING = 1
LIST = (
    "tampered by one bit", "truncated", "appended",
    "unsigned", "wrong key", "below threshold", "duplicate key id", "revoked and rotated keys", "development key",
    "rollback", "fast-forward and its recovery", "freeze", "mix-and-match of bundle parts", "partial bundle",
    "wrong device", "wrong runtime", "wrong recipe", "wrong label order",
    "endless data", "slow data",
    "names", "symlinks", "hard links", "device nodes", "decompression bombs",
    "clock at 1970", "clock in 2100", "clock stepping during the update",
    "two pushes at once", "push during inference", "stolen push account",
)  # fmt: skip
"""The attacks that must have tests, by the words of the project's own list, which has the specification's in it."""
GROUPS = (
    "basic", "expiration", "download", "keys", "quoting", "rollback", "static repositories", "delegation graphs",
    "key rotations",
)  # fmt: skip
"""Those of the public conformance suite for clients of TUF."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test: its name, how it ended (``passed``, ``failed``, ``skipped``), and the marks that it carries."""

    name: str
    outcome: str
    marks: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Every test of one run, and the day of it."""

    day: str
    cases: tuple[Case, ...]

    def counts(self, kind: str, word: str) -> Counter[str]:
        """Return how the tests of one word ended."""
        return Counter(case.outcome for case in self.cases if (kind, word) in case.marks)


def read(path: Path) -> Report:
    """Read what pytest wrote with ``--junitxml``."""
    suite = ET.parse(path).getroot().find("testsuite")  # noqa: S314 - pytest wrote it a moment ago
    if suite is None:
        raise ValueError(f"{path}: has no testsuite")
    return Report(suite.get("timestamp", "")[:10], tuple(_case(element) for element in suite.iter("testcase")))


def _case(element: ET.Element) -> Case:
    ended = {"failure": "failed", "error": "failed", "skipped": "skipped"}
    outcome = next((ended[child.tag] for child in element if child.tag in ended), "passed")
    marks = tuple((entry.get("name", ""), entry.get("value", "")) for entry in element.iter("property"))
    return Case(element.get("name", ""), outcome, marks)


def missing(report: Report) -> list[str]:
    """Return what keeps the list from being done: words without a test, tests that did not pass, unknown words."""
    known = {("attack", word) for word in LIST} | {("conformance", word) for word in GROUPS}
    found = {mark for case in report.cases for mark in case.marks if mark[0] in ("attack", "conformance")}
    empty = [f"{word}: no test" for kind, word in sorted(known) if not report.counts(kind, word)["passed"]]
    strange = [f"{word}: is no word of the list" for _, word in sorted(found - known)]
    return empty + strange + [f"{case.name}: failed" for case in report.cases if case.outcome == "failed"]


def page(report: Report) -> str:
    """Return the marked part: both tables, with what they were counted on."""
    attacks, cases = _total(report, "attack", LIST), _total(report, "conformance", GROUPS)
    on = f"Python {platform.python_version()}, python-tuf {version('tuf')}"
    lines = [
        f"{attacks} named tests of attacks, {cases} of conformance; counted on {report.day} by pytest's report ({on}).",
        "",
        *_table("attack", report, "attack", LIST),
        "",
        *_table("conformance group", report, "conformance", GROUPS),
    ]
    return "\n".join(lines)


def _table(title: str, report: Report, kind: str, words: Iterable[str]) -> list[str]:
    rows = [f"| {title} | tests | passed | failed | skipped |", "|---|--:|--:|--:|--:|"]
    for word in words:
        ended = report.counts(kind, word)
        shown = (ended.total(), ended["passed"], ended["failed"], ended["skipped"])
        rows.append(f"| {word} | {' | '.join(map(str, shown))} |")
    return rows


def _total(report: Report, kind: str, words: Iterable[str]) -> str:
    ended = sum((report.counts(kind, word) for word in words), Counter[str]())
    return f"{ended.total()} ({ended['passed']} passed)"


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or write them into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path, metavar="FILE", help="what pytest wrote with --junitxml")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put them between the page's marks")
    options = parser.parse_args(arguments)
    report = read(options.report)
    text = page(report)
    if options.write is not None:
        here = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(here, "attacks", text), encoding="utf-8")
    print(text)
    for line in missing(report):
        print(f"attacks: {line}", file=sys.stderr)
    return FINDING if missing(report) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
