"""The parts ``cuts`` and ``states`` of docs/reliability.md."""

from __future__ import annotations

import platform
import sqlite3
import subprocess
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cut_orders import DISK_BYTES, Flaw

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

RULE_OF_THREE = 3
"""Nothing in n trials: the rate is at most 3/n, at 95 per cent (Hanley and Lippman-Hand, JAMA 249, 1983)."""

CUTS_NOTE = """\
Each disk goes through its cuts one after the other. Looked for is every acknowledged thing: journal rows, events, heat
and house state, spool records (all their bytes), the slots' pointer and the bundles that it names, the push in the
inbox, its answer, the trusted metadata; and e2fsck must be content. A killed machine loses its memory, never a disk's
cache."""
STATES_NOTE = """\
In each state ext4 is mounted, everything acknowledged before that point of the log is looked for as above, the flap
records one more visit and takes one more push all the way to champion, and e2fsck must be content. Simulated are the
visits (a simulated night's, again and again), the trial of a bundle and the free space. A disk that reorders across a
flush, or that damages what it does not write, is not modelled."""


def cuts_page(lines: Sequence[dict[str, Any]], kernel: Path) -> str:
    """Return the figures of ``power_cuts``."""
    rows = [_cuts_row(flaw, [line for line in lines if line["left_out"] == flaw]) for flaw in Flaw]
    sound = [line for line in lines if line["left_out"] == Flaw.NONE]
    steps = sum((Counter(line["under_way"]) for line in sound), Counter[str]())
    where = ", ".join(f"{step} {count}" for step, count in steps.most_common())
    return "\n".join(
        [
            _made_on(kernel),
            "",
            (
                "| left out on purpose | disks | cuts | while recovering | looked at | acknowledged | items looked for "
                "| broken | at most, of all cuts |"
            ),
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
            *(row for row in rows if row),
            "",
            CUTS_NOTE,
            "",
            f"What was under way when the power went: {where}.",
        ]
    )


def states_page(lines: Sequence[dict[str, Any]], kernel: Path) -> str:
    """Return the figures of ``crash_states``."""
    sound = next(line for line in lines if line["left_out"] == Flaw.NONE)
    steps = ", ".join(f"{step} {count}" for step, count in sound["steps"].items() if count)
    return "\n".join(
        [
            _made_on(kernel),
            "",
            STATES_NOTE,
            "",
            f"The recorded run: {steps}; {sound['acknowledgements']} acknowledgements.",
            "",
            (
                "| left out on purpose | writes | flushes | states | in the middle of a step | writes lost | torn "
                "| items looked for | broken | at most, of all states | what was broken |"
            ),
            "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
            *(_states_row(line) for line in lines),
            "",
            _torn(sound),
        ]
    )


def _torn(sound: dict[str, Any]) -> str:
    """Tell apart the states that the rule asks for, and those that are harder: a write torn between two sectors."""
    torn, broken = sound["states_torn"], sound["broken_torn"]
    whole, left = sound["states"] - torn, sound["value"] - broken
    bound = f" (at most {_bound(left, whole)} of all such states)" if left == 0 else ""
    text = (
        f"Of the flap as it is, {whole:,} states have each write whole or not at all: {left} broken{bound}. "
        f"In the other {torn:,} some write is torn between two sectors of 512 bytes: {broken} broken"
    )
    if not broken or left:
        return f"{text}."
    said = sound["first_broken"][0][1][0]
    return f"{text}, {sound['ext4_torn']} of them in ext4 alone, whose superblock is two sectors long: `{said[:160]}`."


def _cuts_row(flaw: Flaw, lines: Sequence[dict[str, Any]]) -> str:
    if not lines:
        return ""
    names = ("cuts", "recovering", "checks", "acknowledged", "items_looked_for")
    total = {name: sum(line[name] for line in lines) for name in names}
    broken = sum(line["broken_checks"] for line in lines)
    cells = [_left_out(flaw), len(lines), *(total[name] for name in names), broken, _bound(broken, total["cuts"])]
    return _row(cells)


def _states_row(line: dict[str, Any]) -> str:
    what = ", ".join(f"{part} {count}" for part, count in sorted(line["of"].items()))
    names = ("writes", "flushes", "states", "mid_step", "writes_lost", "writes_torn", "items_looked_for", "value")
    return _row(
        [_left_out(line["left_out"]), *(line[name] for name in names), _bound(line["value"], line["states"]), what]
    )


def _left_out(flaw: str) -> str:
    return "nothing: the flap as it is" if flaw == Flaw.NONE else flaw


def _bound(broken: int, trials: int) -> str:
    return f"{RULE_OF_THREE / trials:.2%}" if broken == 0 and trials > 0 else ""


def _row(cells: Sequence[object]) -> str:
    return f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in cells)} |"


def _made_on(kernel: Path) -> str:
    tools = subprocess.run(["mkfs.ext4", "-V"], capture_output=True, text=True, check=True).stderr.split()[1]
    return (
        f"{datetime.now(UTC):%d %B %Y}, on {platform.machine()}: user-mode Linux "
        f"{_said_by(kernel, '--version')}, ext4 of {DISK_BYTES // 2**20} MB (e2fsprogs {tools}), "
        f"SQLite {sqlite3.sqlite_version}, Python {platform.python_version()}."
    )


def _said_by(*command: object) -> str:
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, check=True).stdout.strip()
