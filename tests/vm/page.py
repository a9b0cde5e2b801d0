"""What the bench found, as the part ``vm`` of docs/reliability.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pages import replaced

if TYPE_CHECKING:
    from pathlib import Path

    import pytest
    from vm.machine import Machine


@dataclass(slots=True)
class Row:
    """One test: its rule in one sentence, what became of it, and how long it and its machine's start took."""

    rule: str
    outcome: str = "passed"
    seconds: float = 0.0
    measured: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Results:
    """All of them, in order."""

    rows: dict[str, Row] = field(default_factory=dict)
    versions: str = ""

    def note_versions(self, machine: Machine) -> None:
        """Ask a machine, once, what it is made of."""
        if not self.versions:
            asked = 'echo "Debian $(cat /etc/debian_version), $(uname -sr), $(systemctl --version | head -1)"'
            self.versions = machine.expect(asked)

    def note(self, item: pytest.Item, report: pytest.TestReport) -> None:
        """Take pytest's report of one phase of a test; its end is printed as one line."""
        said = (getattr(item, "function", None).__doc__ or item.name).strip().splitlines()[0]
        row = self.rows.setdefault(item.nodeid, Row(said))
        row.seconds += report.duration
        if not report.passed:
            row.outcome = report.outcome
        row.measured = [str(value) for name, value in item.user_properties if name == "measured"]
        if report.when == "teardown":
            told = f" ({'; '.join(row.measured)})" if row.measured else ""
            print(f"\n{row.outcome:8}{row.seconds:6.1f} s  {row.rule}{told}", end="")

    def write(self, page: Path, *, short: bool) -> None:
        """Put them into the page."""
        page.write_text(replaced(page.read_text(encoding="utf-8"), "vm", self.text(short=short)), encoding="utf-8")

    def text(self, *, short: bool) -> str:
        """Return the part as Markdown."""
        good = sum(row.outcome == "passed" for row in self.rows.values())
        form = "the short form" if short else "the long form"
        counted = f"{form}: {good} of {len(self.rows)} passed"
        head = f"{datetime.now(UTC):%Y-%m-%d}, {counted}. User-mode Linux; {self.versions}."
        lines = [head, "", "| what must be so | seconds | |", "|---|--:|---|"]
        lines += [
            f"| {row.rule} | {row.seconds:.0f} | {'; '.join([row.outcome, *row.measured])} |"
            for row in self.rows.values()
        ]
        return "\n".join(lines)
