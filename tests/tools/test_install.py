"""The installer, on a machine that answers as a Pi does: what it touches, and what is left when any step fails."""

from __future__ import annotations

import contextlib
import errno
import itertools
import shutil
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import install
import pytest
from install_machine import InstallError, Ran, at, says
from install_places import (
    BOOT_CONFIG,
    BOOT_FILE,
    BOOT_LINE,
    CONFIG,
    CURRENT,
    HOME,
    JOURNAL_IN_MEMORY,
    LINKS,
    PI_MARK,
    PREVIOUS,
    RELEASES,
    SERVICES,
    SOURCE,
    STATE,
    TOUCHED,
    UNITS,
)
from install_release import named
from install_switch import links

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

DAEMON = SERVICES[0]


class Cut(OSError):  # noqa: N818 - it stands for a plug that is pulled
    """The power went."""


@dataclass
class Disk:
    """Breaks at the ``breaks_at``-th change of a file system below ``root``: once, or from there on, as for a plug."""

    root: str = "/nowhere"
    breaks_at: int = sys.maxsize
    for_good: bool = False
    calls: int = 0

    def hook(self, event: str, arguments: tuple[object, ...]) -> None:
        """See every change that Python is about to make (PEP 578)."""
        if event not in CHANGES or not str(arguments[0]).startswith(self.root):
            return
        if event == "open" and not (isinstance(arguments[1], str) and "w" in arguments[1]):
            return
        self.calls += 1
        if self.calls == self.breaks_at or (self.for_good and self.calls > self.breaks_at):
            raise Cut(errno.EIO, "Input/output error", str(arguments[0]))

    @property
    def dead(self) -> bool:
        """Whether nothing works any more."""
        return self.for_good and self.calls >= self.breaks_at


CHANGES = frozenset({"os.rename", "os.symlink", "os.remove", "os.mkdir", "os.chmod", "open"})
DISK = Disk()
sys.addaudithook(DISK.hook)
"""An audit hook cannot be taken away again; this one does nothing but in the tests that arm it."""


@pytest.fixture
def disk() -> Iterator[Disk]:
    """The disk, which is whole before and after."""
    DISK.root, DISK.breaks_at, DISK.for_good, DISK.calls = "/nowhere", sys.maxsize, False, 0
    yield DISK
    DISK.root, DISK.breaks_at, DISK.for_good = "/nowhere", sys.maxsize, False


@dataclass
class Pi:
    """A machine in a directory: its commands do to its files and services what the real ones do."""

    root: Path
    live: bool = True
    fails_at: int = sys.maxsize
    python: str = "3 11"
    lacks: frozenset[str] = frozenset()
    bad: str = ""
    """What is written in the program of a release whose daemon does not live."""
    lives_s: int = 0
    """How long that one lives; 0: it does not even start."""
    commands: list[tuple[str, ...]] = field(default_factory=list)
    running: dict[str, str] = field(default_factory=dict)
    """Each service that runs, and of which release."""
    seconds: int = 0

    def run(self, command: Sequence[str]) -> Ran:
        """Answer a command."""
        if DISK.dead:
            raise Cut(errno.EIO, "Input/output error")
        self.commands.append(tuple(command))
        if len(self.commands) == self.fails_at:
            return Ran(1, "this one fails")
        name = Path(command[0]).name
        return self.__getattribute__(f"_{name.replace('-', '_')}")(tuple(command))  # type: ignore[no-any-return] # one of those below

    def pause(self, seconds: float) -> None:
        """Let the time pass in which a daemon dies."""
        self.seconds += int(seconds)
        if self.seconds >= self.lives_s and self._is_bad():
            self.running.pop(DAEMON, None)

    def sync(self) -> None:
        """Nothing here outlives the test."""

    def _is_bad(self) -> bool:
        return bool(self.bad) and self.bad in at(self, f"{says(self, CURRENT)}/bin/catflap").read_text()

    def _python3(self, command: tuple[str, ...]) -> Ran:
        if "venv" in command:
            (at(self, command[-1]) / "bin").mkdir(parents=True)
        elif "--no-deps" in command:
            for program in ("catflap", "catflap-update"):
                shutil.copyfile(at(self, f"{command[-1]}/edge/__init__.py"), at(self, command[0]).with_name(program))
        return Ran(0, f"{self.python}\n")

    def _catflap(self, command: tuple[str, ...]) -> Ran:
        return Ran(0 if at(self, command[0]).exists() else 127, "catflap\n")

    def _dpkg_query(self, command: tuple[str, ...]) -> Ran:
        return Ran(0, "not-installed" if command[-1] in self.lacks else "installed")

    def _systemctl(self, command: tuple[str, ...]) -> Ran:
        verb, units = command[1], [word for word in command[2:] if word in UNITS]
        if verb == "restart":
            return self._restart(units[0])
        if verb == "stop":
            self.running = {unit: what for unit, what in self.running.items() if unit not in units}
        if verb == "show":
            wanted = "active" if units[0] in self.running else "inactive"
            return Ran(0, wanted if "ActiveState" in command[2] else "1")
        return Ran(0, "")

    def _restart(self, unit: str) -> Ran:
        self.running.pop(unit, None)
        self.seconds = 0
        if self.lives_s == 0 and self._is_bad():
            return Ran(1, "Job for catflap.service failed")
        self.running[unit] = says(self, CURRENT) or ""
        return Ran(0, "")

    def _systemd_sysusers(self, command: tuple[str, ...]) -> Ran:
        return Ran(0 if at(self, command[-1]).exists() else 1, "")

    _systemd_tmpfiles = _sshd = _systemd_sysusers


@pytest.fixture
def pi(tmp_path: Path) -> Pi:
    """A Raspberry Pi OS whose owner has written a configuration."""
    machine = Pi(tmp_path / "pi")
    for folder in ("etc/catflap", "boot/firmware", "usr/local/bin", "etc/systemd/system", "var/lib/catflap/spool"):
        (machine.root / folder).mkdir(parents=True)
    at(machine, PI_MARK).write_text("Raspberry Pi reference\n")
    at(machine, CONFIG).write_text("[camera]\nkind = 'mine'\n")
    at(machine, BOOT_CONFIG).write_text("# my own\n[all]\n")
    at(machine, f"{STATE}/spool/picture.png").write_bytes(b"a mouse")
    return machine


@pytest.fixture
def checkout(tmp_path: Path) -> Callable[[str], install.Wishes]:
    """Make a checkout whose program holds the given word, and the wish to install it."""

    def make(word: str) -> install.Wishes:
        place = tmp_path / "checkout" / word
        if not place.exists():
            for part in ("systemd", "firmware/boot", "docs/catflap.toml", "requirements/runtime-py311.txt"):
                here, there = SOURCE / part, place / part
                there.parent.mkdir(parents=True, exist_ok=True)
                (shutil.copytree if here.is_dir() else shutil.copyfile)(here, there)
            for name in ("models/factory/manifest.json", "pyproject.toml", "README.md", "LICENSE", "edge/__init__.py"):
                (place / name).parent.mkdir(parents=True, exist_ok=True)
                (place / name).write_text(f'__version__ = "1.0"\n# {word}\n')
            if word == "one":  # an old version that has fewer units
                (place / "systemd/catflap-later.service").unlink()
                shutil.rmtree(place / "systemd/drop-ins")
        return install.Wishes(source=place, euid=0, hardware="aarch64")

    return make


def _tree(root: Path) -> dict[str, bytes | str]:
    """What every file below ``root`` holds, and what every link says."""
    return {
        f"/{path.relative_to(root)}": str(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def _daemon_of(pi: Pi) -> str:
    """Which word the running daemon's program holds."""
    program = at(pi, f"{pi.running[DAEMON]}/bin/catflap").read_text()
    return program.splitlines()[1].removeprefix("# ")


def test_what_is_installed_is_current_and_runs(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """After a first installation every link leads to a file, and every service runs from the release."""
    assert 0 == install.install(pi, checkout("two"))
    wanted = [one for one in LINKS if not one.optional]
    assert [] == [one for one in wanted if not at(pi, one.target.replace(CURRENT, says(pi, CURRENT) or "")).exists()]
    assert ("two", set(SERVICES)) == (_daemon_of(pi), set(pi.running))


def test_a_second_run_changes_nothing_and_says_so(
    pi: Pi, checkout: Callable[[str], install.Wishes], capsys: pytest.CaptureFixture[str]
) -> None:
    """The same checkout again: not a file is other, no service is restarted, and one line says it."""
    install.install(pi, checkout("one"))
    before, count = _tree(pi.root), len(pi.commands)
    capsys.readouterr()
    assert 0 == install.install(pi, checkout("one"))
    changing = [command for command in pi.commands[count:] if "systemctl" in command or "venv" in command]
    assert (before, [], True) == (_tree(pi.root), changing, "nothing was changed" in capsys.readouterr().out)


def test_only_listed_paths_are_touched(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """Installing, upgrading, going back and removing change no file but those that --paths prints."""
    before = _tree(pi.root)
    for word in ("one", "two", "three"):
        install.install(pi, checkout(word))
        after = _tree(pi.root)
        changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        listed = tuple(path for path, _ in TOUCHED)
        assert set() == {path for path in changed if not path.startswith(listed)}
    install.go_back(pi, checkout("three"))
    install.uninstall(pi, checkout("three"))
    assert before == _tree(pi.root)


def test_removing_leaves_pictures_and_configuration(
    pi: Pi, checkout: Callable[[str], install.Wishes], capsys: pytest.CaptureFixture[str]
) -> None:
    """After `make uninstall` nothing runs, the program is gone, and what is the owner's is there and is named."""
    install.install(pi, checkout("one"))
    assert 0 == install.uninstall(pi, checkout("one"))
    assert ({}, False, True) == (pi.running, at(pi, HOME).exists(), at(pi, f"{STATE}/spool/picture.png").exists())
    said = capsys.readouterr().out
    assert [True, True] == [f"left: {STATE}" in said, CONFIG in said]


def test_the_owners_configuration_is_never_overwritten(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """What stands in /etc/catflap/catflap.toml stands there after an installation."""
    install.install(pi, checkout("one"))
    assert "kind = 'mine'" in at(pi, CONFIG).read_text()


def test_with_the_example_configuration_nothing_is_started(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """Where the example was put in place, its pins are nobody's yet: the owner edits it, then starts."""
    at(pi, CONFIG).unlink()
    assert 0 == install.install(pi, checkout("one"))
    assert ({}, True) == (pi.running, at(pi, CONFIG).exists())


def test_an_upgrade_keeps_this_release_and_the_one_before(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """Three versions one after the other: two releases are left, the last one runs."""
    for word in ("one", "two", "three"):
        install.install(pi, checkout(word))
    left = {f"{RELEASES}/{place.name}" for place in at(pi, RELEASES).iterdir()}
    assert ({says(pi, CURRENT), says(pi, PREVIOUS)}, "three") == (left, _daemon_of(pi))


def test_a_failed_upgrade_leaves_no_third_release(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """What could not run is removed again: a release is a third of a gigabyte of the owner's card."""
    install.install(pi, checkout("one"))
    pi.bad, pi.lives_s = "two", 0
    with pytest.raises(InstallError):
        install.install(pi, checkout("two"))
    assert {says(pi, CURRENT)} == {f"{RELEASES}/{place.name}" for place in at(pi, RELEASES).iterdir()}


def test_going_back_and_forth(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """RELEASE=previous switches to the release before, and said again to this one."""
    for word in ("one", "two"):
        install.install(pi, checkout(word))
    assert ["one", "two"] == [(install.go_back(pi, checkout("two")), _daemon_of(pi))[1] for _ in range(2)]


def test_without_a_release_before_there_is_no_way_back(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """RELEASE=previous after a first installation is refused, and nothing stops."""
    install.install(pi, checkout("one"))
    with pytest.raises(InstallError, match="no release before"):
        install.go_back(pi, checkout("one"))
    assert "one" == _daemon_of(pi)


def test_a_service_that_was_stopped_stays_so(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """An upgrade starts nothing that its owner had stopped."""
    install.install(pi, checkout("one"))
    del pi.running["catflap-link.service"]
    install.install(pi, checkout("two"))
    assert {DAEMON, "catflap-update.path"} == set(pi.running)


@pytest.mark.parametrize("lives_s", [0, 1, 14])
def test_a_release_that_does_not_stay_up_is_switched_back(
    pi: Pi, checkout: Callable[[str], install.Wishes], lives_s: int
) -> None:
    """A daemon that does not start, or dies within the time that it is watched: the old release runs again."""
    install.install(pi, checkout("one"))
    pi.bad, pi.lives_s = "two", lives_s
    with pytest.raises(InstallError, match=r"catflap\.service of 1\.0-.* does not .* is current again"):
        install.install(pi, checkout("two"))
    assert ("one", set(SERVICES)) == (_daemon_of(pi), set(pi.running))
    pi.bad = ""
    install.install(pi, checkout("two"))
    assert "two" == _daemon_of(pi)


def test_a_first_installation_that_does_not_run_stays_to_be_looked_at(
    pi: Pi, checkout: Callable[[str], install.Wishes]
) -> None:
    """With nothing to go back to the release stays, so that `catflap doctor` can say what is wrong; the status is 1."""
    pi.bad = "one"
    assert (1, True) == (install.install(pi, checkout("one")), says(pi, CURRENT) is not None)


def test_whichever_command_fails_the_old_version_runs_on(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """For each command of an upgrade that fails, one after the other: the old release is whole, current and running."""
    install.install(pi, checkout("one"))
    old = _tree(pi.root)
    for number in itertools.count(1):
        pi.fails_at = len(pi.commands) + number
        try:
            install.install(pi, checkout("two"))
        except InstallError:
            now = _tree(pi.root)
            assert ("one", old) == (_daemon_of(pi), {path: now.get(path) for path in old})
            assert set(SERVICES) == set(pi.running)
        else:
            if len(pi.commands) < pi.fails_at:
                break
            install.go_back(pi, checkout("one"))
    assert number > 20


def _upgraded(pi: Pi, wishes: install.Wishes, disk: Disk, breaks_at: int, *, for_good: bool) -> bool:
    """Upgrade with a disk that breaks at a change; say whether it did."""
    disk.root, disk.calls, disk.breaks_at, disk.for_good = str(pi.root), 0, breaks_at, for_good
    with contextlib.suppress(OSError, InstallError):
        install.install(pi, wishes)
    broke = disk.calls >= breaks_at
    disk.root, disk.breaks_at, disk.for_good = "/nowhere", sys.maxsize, False
    return broke


@pytest.mark.parametrize("for_good", [False, True], ids=["fails once", "power cut"])
@pytest.mark.parametrize("built", [False, True], ids=["while it builds", "while it switches"])
def test_wherever_the_disk_fails_one_version_is_whole(
    pi: Pi, checkout: Callable[[str], install.Wishes], disk: Disk, *, built: bool, for_good: bool
) -> None:
    """For each change of the disk in an upgrade that fails, or is the last: the current release is whole, old or new.

    All of its links are there, and the same command again ends with the new one.
    """
    install.install(pi, checkout("one"))
    if built:
        pi.fails_at = 1 + next(n for n, said in enumerate(pi.commands) if "--version" in said) + len(pi.commands)
        with pytest.raises(InstallError):
            install.install(pi, checkout("two"))
    kept = shutil.copytree(pi.root, pi.root.with_name("kept"), symlinks=True)
    numbers = itertools.count(1) if built else iter((1, 2, 15, 30))
    seen = 0
    for number in numbers:
        if not _upgraded(pi, checkout("two"), disk, number, for_good=for_good):
            break
        seen += 1
        current = named(pi, CURRENT)
        assert current is not None, f"change {number}"
        assert [] == [one.path for one in links(pi, current, ()) if says(pi, one.path) != one.target]
        install.install(pi, checkout("two"))
        assert "two" == _daemon_of(pi)
        shutil.rmtree(pi.root)
        shutil.copytree(kept, pi.root, symlinks=True)
        pi.running = dict.fromkeys(SERVICES, says(pi, CURRENT) or "")
    assert seen >= (8 if built else 4)


def test_config_txt_is_its_owners(
    pi: Pi, checkout: Callable[[str], install.Wishes], capsys: pytest.CaptureFixture[str]
) -> None:
    """The boot fragment is placed, the one line is printed, and config.txt is as it was."""
    install.install(pi, checkout("one"))
    placed = at(pi, BOOT_FILE).read_bytes() == (SOURCE / "firmware/boot/config.txt.fragment").read_bytes()
    assert (True, "# my own\n[all]\n") == (placed, at(pi, BOOT_CONFIG).read_text())
    assert BOOT_LINE in capsys.readouterr().out


def test_the_line_is_added_if_asked_for_and_only_once(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """--boot-line writes the line under [all], and not again; what stood in config.txt stands there still."""
    at(pi, BOOT_CONFIG).write_text("# my own\n[pi4]\ninclude catflap.txt\n")
    wishes = checkout("one")
    asked = install.Wishes(boot_line=True, source=wishes.source, euid=0, hardware="aarch64")
    for _ in range(2):
        install.install(pi, asked)
    assert "# my own\n[pi4]\ninclude catflap.txt\n\n[all]\ninclude catflap.txt\n" == at(pi, BOOT_CONFIG).read_text()


def test_the_log_goes_to_memory_only_if_asked(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """The journal's drop-in is linked with --volatile-journal, and stays through the next upgrade without."""
    install.install(pi, checkout("two"))
    without = says(pi, JOURNAL_IN_MEMORY)
    asked = install.Wishes(volatile_journal=True, source=checkout("two").source, euid=0, hardware="aarch64")
    install.install(pi, asked)
    install.install(pi, checkout("three"))
    assert (None, True) == (without, says(pi, JOURNAL_IN_MEMORY) is not None)


@pytest.mark.parametrize(
    ("pi_is", "wishes", "why"),
    [
        ({}, {"euid": 1000}, "must be run by root"),
        ({}, {"hardware": "x86_64"}, "this is x86_64"),
        ({"python": "3 12"}, {}, r"python3 is 3\.12; the requirements are locked for 3\.11 or 3\.13"),
        ({"lacks": frozenset({"python3-picamera2"})}, {}, "python3-picamera2; say: sudo make apt"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_done(
    pi: Pi,
    checkout: Callable[[str], install.Wishes],
    pi_is: dict[str, str],
    wishes: dict[str, int],
    why: str,
) -> None:
    """No root, another machine, another Python, a package that is not there: one line, and not a file is touched."""
    before = _tree(pi.root)
    for name, value in pi_is.items():
        setattr(pi, name, value)
    asked = {"euid": 0, "hardware": "aarch64", **wishes}
    with pytest.raises(InstallError, match=why):
        install.install(pi, install.Wishes(source=checkout("one").source, **asked))  # type: ignore[arg-type] # by name
    assert before == _tree(pi.root)


def test_a_file_of_somebody_elses_is_not_replaced(pi: Pi, checkout: Callable[[str], install.Wishes]) -> None:
    """An sshd_config.d/catflap.conf written by hand stops the installation before it begins, with its name."""
    place = at(pi, "/etc/ssh/sshd_config.d/catflap.conf")
    place.parent.mkdir(parents=True)
    place.write_text("Match User me\n")
    with pytest.raises(InstallError, match=r"sshd_config\.d/catflap\.conf: is there and is not this installer's"):
        install.install(pi, checkout("one"))
    assert ("Match User me\n", False) == (place.read_text(), at(pi, HOME).exists())


def test_picamera2_is_raspberry_pi_oss_alone(pi: Pi) -> None:
    """On plain Debian the list of packages names only what Debian has."""
    assert "python3-picamera2" in install.packages(pi)
    at(pi, PI_MARK).unlink()
    assert ("python3-venv", "openssh-server") == install.packages(pi)


def test_every_part_that_a_link_leads_to_is_in_the_checkout() -> None:
    """What the links below share/catflap name is what systemd/ holds."""
    parts = [one.to.removeprefix("share/catflap/") for one in LINKS if one.to.startswith("share/")]
    assert [] == [part for part in parts if not (SOURCE / part).is_file()]


def test_the_page_names_every_path() -> None:
    """docs/install.md names each path that is touched."""
    page = (SOURCE / "docs" / "install.md").read_text(encoding="utf-8")
    assert [] == [path for path, _ in TOUCHED if f"`{path}`" not in page]


def test_the_paths_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """--paths prints one line for each path, with its reason, and touches nothing."""
    assert 0 == install.main(["--paths"])
    assert [path for path, _ in TOUCHED] == [row.split("\t")[0] for row in capsys.readouterr().out.splitlines()]


def test_the_wheel_brings_the_factorys_bundle_to_where_it_is_looked_for() -> None:
    """Without a checkout the bundle lies below the environment, where edge.bundle.factory_directory looks."""
    told = tomllib.loads((SOURCE / "pyproject.toml").read_text())["tool"]["setuptools"]["data-files"]
    assert {"share/catflap/models/factory": ["models/factory/*"]} == told
