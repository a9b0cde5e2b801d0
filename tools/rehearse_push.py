"""A roll-out to many flaps behind real sshds on this machine: one cannot be reached, one throws the model out.

    python tools/rehearse_push.py [--flaps 20] [--write docs/push.md]

Each flap has its own sshd, state and update service. What a trial takes days for is done here by the rehearsal: it
promotes, and rolls back, where it says so. Exit status: 0 everything came as it must, 1 something did not, 2 no sshd.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from getpass import getuser
from pathlib import Path
from typing import TYPE_CHECKING

import push_model
from loopback_flap import loopback_flap, machine
from pages import replaced
from push_rollout import Outcome

from edge.bundle import MANIFEST, factory_directory
from edge.errors import CatflapError, InputError
from edge.files import DiskFiles
from edge.slots import MODELS, Slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopback_flap import LoopbackFlap

FINDING, USAGE = 1, 2
LEAST_FLAPS = 10
WAIT_S = 600
STAGES = "5%,50%,100%"
SHOWN = (Outcome.ON_TRIAL, Outcome.PROMOTED, Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.WITHOUT)
DEAD, WORSE = 4, 6
"""Which flap cannot be reached, and which throws the model out, counted from 0; both of the second stage."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of push_model.py: how many rows of each outcome it printed and should have, and how long it took."""

    name: str
    rows: Counter[str]
    expected: Counter[str]
    took_s: float


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The owner's command line, and the flaps."""

    root: Path
    flaps: dict[str, LoopbackFlap]

    def say(self, *words: str) -> str:
        """Run push_model.py; return what it printed."""
        home = self.root / "owner"
        options = ("--home", str(home), "--passphrase-file", str(self.root / "words"), "--account", getuser(),
                   "--ssh-config", str(self.root / "ssh_config"))  # fmt: skip
        out = io.StringIO()
        with redirect_stdout(out), redirect_stderr(out):
            push_model.main([*words, *options])
        return out.getvalue()

    def slots(self, number: int) -> Slots:
        """Return the slots of one flap."""
        return Slots(list(self.flaps.values())[number].state / MODELS, DiskFiles())

    def step(self, name: str, expected: dict[Outcome, int], *words: str) -> Step:
        """Push, and count the rows by the table's last line."""
        begin_s = time.monotonic()
        said = self.say(*words, "--wait", str(WAIT_S))
        took_s = time.monotonic() - begin_s
        last = next((line for line in said.splitlines() if re.match(r"\d+ flaps: ", line)), "")
        rows = Counter({outcome: int(count) for count, outcome in re.findall(r"(\d+) ([a-z ]+?)(?:,|$)", last)})
        print(f"{name}: {last or said}", file=sys.stderr)
        return Step(name, rows, Counter({str(outcome): count for outcome, count in expected.items()}), took_s)


def rehearse(root: Path, count: int) -> list[Step]:
    """Roll a model out to ``count`` flaps.

    Raises:
        InputError: there is no sshd, or a flap could not be adopted.
    """
    (root / "words").write_text("six plain words in a row\n", encoding="utf-8")
    (root / "ssh_config").write_text(f"Include {root}/flap-*/ssh_config\n", encoding="utf-8")
    bundle = _higher(root / "bundle")
    with ExitStack() as living, ExitStack() as dying:
        hosts = [f"flap-{number:02}" for number in range(1, count + 1)]
        stacks = [dying if number == DEAD else living for number in range(count)]
        flaps = {
            host: stack.enter_context(loopback_flap(root / host, host))
            for host, stack in zip(hosts, stacks, strict=True)
        }
        here = Rehearsal(root, flaps)
        said = here.say("--adopt", *hosts)
        if said.count("root at the flap") != count:
            raise InputError(f"not all of {count} flaps were adopted: {said}")
        dying.close()
        return _steps(here, bundle, hosts)


def _steps(here: Rehearsal, bundle: str, hosts: list[str]) -> list[Step]:
    trial, good, back, dead, without = SHOWN
    count, half = len(hosts), len(hosts) // 2
    staged = (bundle, *hosts, "--stage", STAGES)
    steps = [here.step("the first stage", {trial: 1, without: count - 1}, *staged)]
    here.slots(0).promote("by the rehearsal")
    now = {good: 1, trial: half - 2, dead: 1, without: count - half}
    steps.append(here.step("it was promoted: the second stage", now, *staged))
    here.slots(WORSE).roll_back("worse, says the rehearsal")
    now = {good: 1, trial: half - 3, back: 1, dead: 1, without: count - half}
    steps.append(here.step("one rolled back: the roll-out stops", now, *staged))
    now = {good: 1, trial: count - 3, back: 1, dead: 1}
    steps.append(here.step("to all at once", now, bundle, *hosts))
    return steps


def _higher(directory: Path) -> str:
    """Return a copy of the factory's bundle under a version above it."""
    shutil.copytree(factory_directory(), directory)
    table = json.loads((directory / MANIFEST).read_bytes())
    (directory / MANIFEST).write_text(json.dumps({**table, "version": "9.0.0"}), encoding="utf-8")
    return str(directory)


def page(steps: Sequence[Step], count: int) -> str:
    """Return the marked part."""
    wrong = [step.name for step in steps if step.rows != step.expected]
    ended = f"not as they must: {', '.join(wrong)}" if wrong else "every row as it must be"
    head = " | ".join(SHOWN)
    lines = [f"{count} flaps; {ended}; {machine()}.", "", f"| call | {head} | s |", f"|---|{'--:|' * (len(SHOWN) + 1)}"]
    for step in steps:
        cells = " | ".join(str(step.rows[outcome] or "") for outcome in SHOWN)
        lines.append(f"| {step.name} | {cells} | {step.took_s:.0f} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """Rehearse, and print the table or write it into a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--flaps", type=int, default=20, metavar="N", help=f"how many, at least {LEAST_FLAPS}; 20")
    parser.add_argument("--write", type=Path, metavar="PAGE", help="put the table between the page's marks")
    options = parser.parse_args(arguments)
    if options.flaps < LEAST_FLAPS:
        parser.error(f"--flaps: {options.flaps} is fewer than {LEAST_FLAPS}")
    try:
        with tempfile.TemporaryDirectory(prefix="rehearse-") as name:
            steps = rehearse(Path(name), options.flaps)
    except CatflapError as error:
        print(f"rehearse_push: {error}", file=sys.stderr)
        return USAGE
    text = page(steps, options.flaps)
    if options.write is not None:
        here = options.write.read_text(encoding="utf-8")
        options.write.write_text(replaced(here, "rehearse-push", text), encoding="utf-8")
    print(text)
    return 0 if all(step.rows == step.expected for step in steps) else FINDING


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
