"""The pages tell the truth, as far as a test can see."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from test_architecture import FLOORS

from edge import config, walltime
from edge.bundle import factory_directory, load
from edge.cli import _parser
from edge.house import MAX_GRANT_S, OnBadClock
from edge.messages import CommandKind, Mode, VerdictKind

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("models/*/*.md")])
TRACKED = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    gone = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert [] == gone


def test_the_example_configuration_is_one() -> None:
    """docs/catflap.toml is accepted as it stands."""
    assert "Mimi" == config.load(ROOT / "docs" / "catflap.toml").cat[0].name


def test_what_the_example_configuration_suggests_is_allowed() -> None:
    """With every key that is commented out put in, docs/catflap.toml is a configuration too."""
    text = (ROOT / "docs" / "catflap.toml").read_text(encoding="utf-8")
    full = config.parse(tomllib.loads(re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)), "docs/catflap.toml")
    assert ("22:00-06:00", 2) == (str(full.house.curfew), len(full.cat[0].hours))


def test_the_rules_page_names_what_there_is() -> None:
    """docs/rules.md has a row for every mode, its example is a configuration, and it names every key of the house."""
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    example = tomllib.loads(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0])
    config.parse({"pins": {"bolt": 17}, "chip": {"kind": "serial"}, **example}, "docs/rules.md")
    keys = {entry.name for entry in dataclasses.fields(config.HouseConfig)}
    assert (list(Mode), keys) == (re.findall(r"^\| `(\w+)` \| [an]", text, re.MULTILINE), set(example["house"]))
    named = set(re.findall(r"`(\w+)`", text))
    assert set() == named - keys - set(Mode) - {entry.name for kind in (config.CatConfig, config.DoorConfig)
                                                for entry in dataclasses.fields(kind)}  # fmt: skip
    assert [] == [word for word in OnBadClock if f'- `"{word}"`: ' not in text]


def test_the_rules_page_says_how_each_thing_is_commanded() -> None:
    """docs/rules.md names the command line of every word that changes something."""
    text = " ".join((ROOT / "docs" / "rules.md").read_text(encoding="utf-8").split())
    of_models = (CommandKind.PROMOTE, CommandKind.ROLLBACK, CommandKind.LABEL)  # no rules of the house
    said = set(CommandKind) - {CommandKind.STATUS, *of_models}
    words = [f"`catflap door {kind.replace('_', '-')}" for kind in sorted(said)]
    assert [] == [word for word in words if word not in text]


def test_the_rules_page_tells_the_figures_there_are() -> None:
    """How long a grant lasts at most, and when a clock is believed, is what the code does."""
    text = " ".join((ROOT / "docs" / "rules.md").read_text(encoding="utf-8").split())
    said = [
        f"it is not before {walltime.BUILT_IN}, nor for two minutes after a jump of more than a minute",
        "after the time it was given, an hour at most",
    ]
    assert ([], 120, 60, 3600) == (
        [words for words in said if words not in text],
        walltime.SETTLE_S,
        walltime.STEP_S,
        MAX_GRANT_S,
    )


def test_every_verdict_is_explained() -> None:
    """The README's table has a row for every verdict there is."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [] == [kind for kind in VerdictKind if f"\n| `{kind}` |" not in text]


def test_the_figures_are_those_of_the_model_that_ships() -> None:
    """The README's figures on photographs and the benchmarks name the factory bundle's model; else they are old."""
    shipped = load(factory_directory()).model_id
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/benchmarks.md")]
    assert [True, True] == [shipped in page for page in pages]


def test_the_floors_in_the_plan_are_the_floors_in_the_test() -> None:
    """The table of docs/design.md and the architecture test name the same rooms on the same floors."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    table = text[text.index("| floor | module") :].split("\n\n")[0]
    named = {
        room.rstrip("/"): int(floor)
        for floor, rooms in re.findall(r"^\| (\d+) \| ([^|]+) \|", table, re.MULTILINE)
        for room in re.findall(r"`([a-z]+/?)`", rooms)
    }
    assert FLOORS == named


def test_the_commands_in_the_plan_are_the_commands_there_are() -> None:
    """docs/design.md lists every subcommand, and no other."""
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^catflap (\w+)", text, re.MULTILINE))
    subcommands = next(iter(_parser()._subparsers._group_actions)).choices  # type: ignore[union-attr] # argparse's own
    assert listed == set(subcommands or ())


@pytest.mark.parametrize("name", [name for name in TRACKED if Path(name).suffix in {".txt", ".in", ".toml", ".py"}])
def test_no_file_names_a_package_host(name: str) -> None:
    """Whoever installs decides where from: no file names an index."""
    text = (ROOT / name).read_text(encoding="utf-8")
    hosts = ("pypi" + ".org", "python" + "hosted", "--index" + "-url http", "piw" + "heels")
    assert [] == [host for host in hosts if host in text]
