"""The unit files: systemd takes them, they keep to their bounds, and they agree with the code and with one another."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from install_check import MOST_EXPOSED
from unit_files import ROOT, SERVICES, UNITS, service, unit

from edge import config
from edge.cli import DEFAULT_CONFIG, PUSH_KEYS, _parser
from edge.inbox import METADATA, TIMESTAMP
from edge.slots import MODELS
from edge.trying import DeviceBudget
from edge.update import DEFAULT_CONFIG as UPDATE_CONFIG

BIN = "/opt/catflap/current/bin"
ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
needs_sysusers = pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is missing")
needs_sshd = pytest.mark.skipif(shutil.which("sshd", path="/usr/sbin:/usr/bin") is None, reason="sshd is missing")


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


@needs_analyze
def test_systemd_takes_every_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say: no key is misspelt or unknown, no value is wrong."""
    for path in (*UNITS.glob("*.service"), *UNITS.glob("*.path")):
        text = re.sub(rf"=([-+!]?){BIN}/\S+", r"=\1/bin/true", path.read_text(encoding="utf-8"))
        (tmp_path / path.name).write_text(text, encoding="utf-8")
    done = _analyze("verify", "--man=no", "--recursive-errors=no", *map(str, sorted(tmp_path.iterdir())))
    ours = [line for line in (done.stdout + done.stderr).splitlines() if "catflap" in line]
    assert (0, []) == (done.returncode, ours)


@needs_analyze
@pytest.mark.parametrize("name", SERVICES)
def test_a_sandbox_leaves_no_more_than_is_needed(name: str) -> None:
    """`systemd-analyze security` stays below the service's bound."""
    done = _analyze(
        "security", "--offline=true", f"--threshold={round(MOST_EXPOSED[name] * 10)}", str(UNITS / f"{name}.service")
    )
    assert (0, "") == (done.returncode, done.stderr)


def _exposure(path: Path) -> str:
    said = re.search(r"exposure level for \S+: ([\d.]+)", _analyze("security", "--offline=true", str(path)).stdout)
    assert said is not None
    return said[1]


@needs_analyze
def test_the_network_camera_costs_what_its_file_says(tmp_path: Path) -> None:
    """The drop-in for an IP camera names the daemon's exposure with it and without it, as systemd computes them."""
    drop_in = UNITS / "drop-ins" / "catflap.service.d" / "ip-camera.conf"
    base = tmp_path / "catflap.service"
    shutil.copy(UNITS / "catflap.service", base)
    before = _exposure(base)
    base.write_text(base.read_text(encoding="utf-8") + drop_in.read_text(encoding="utf-8"), encoding="utf-8")
    assert f"says {_exposure(base)} instead of {before}." in " ".join(drop_in.read_text(encoding="utf-8").split("\n# "))


def test_the_network_camera_gets_one_address_and_nothing_else() -> None:
    """The drop-in allows one address; the daemon's own unit allows none, and the packet filter stays on."""
    extra = unit("drop-ins/catflap.service.d/ip-camera.conf")
    daemon = service("catflap")
    assert (1, 0, "any") == (
        len(extra.all("IPAddressAllow")),
        len(daemon.all("IPAddressAllow")),
        daemon.one("IPAddressDeny"),
    )
    assert {"PrivateNetwork", "RestrictAddressFamilies", "IPAddressAllow"} == {key for _, key, _ in extra.lines}


def _programs() -> list[tuple[str, str]]:
    keys = ("ExecStart", "ExecStartPre", "ExecStopPost", "ExecCondition")
    return [
        (path.name, value.lstrip("-+!:"))
        for path in sorted(UNITS.glob("*.service"))
        for section, key, value in unit(path.name).lines
        if section == "Service" and key in keys
    ]


@pytest.mark.parametrize("command", sorted({command for _, command in _programs()}))
def test_every_program_exists(command: str) -> None:
    """What a unit starts is an entry point of the package with a subcommand it has, or a program of every Debian."""
    program, *arguments = command.split()
    if not program.startswith(BIN):
        assert program in {"/usr/bin/sleep", "/bin/sh"}
        return
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
    assert Path(program).name in scripts
    if Path(program).name == "catflap":
        subcommands = next(iter(_parser()._subparsers._group_actions)).choices  # type: ignore[union-attr] # argparse's
        if arguments == ["link"] and not (ROOT / "edge" / "link").exists():
            pytest.skip("catflap link is not there yet")
        assert arguments[0] in set(subcommands or ())


def test_only_the_programs_that_are_installed_are_started() -> None:
    """Every program of ours is started below the link that an upgrade switches, and by nobody who is root."""
    for name in SERVICES:
        users = service(name).all("User") + service(name).all("DynamicUser")
        assert ([], 1) == ([value for value in users if value == "root"], len(users))
    ours = [command for _, command in _programs() if "catflap" in command.split()[0]]
    assert ours == [command for command in ours if command.startswith(f"{BIN}/catflap")]


def _accounts() -> set[str]:
    lines = (UNITS / "catflap.sysusers").read_text(encoding="utf-8").splitlines()
    return {line.split()[1] for line in lines if line.startswith(("u ", "g "))}


def test_the_accounts_are_made() -> None:
    """Every user and group that a unit or a directory names is made by sysusers, or is on every Debian."""
    used = {value for name in SERVICES for key in ("User", "Group") for value in service(name).all(key)}
    used |= {
        group for name in SERVICES for value in service(name).all("SupplementaryGroups") for group in value.split()
    }
    lines = [line.split() for line in _tmpfiles() if not line.startswith("a+")]
    used |= {field for line in lines for field in line[3:5]}
    used |= set(re.findall(r"\b[ug]:([a-z-]+):", "\n".join(_tmpfiles())))
    assert set() == used - _accounts() - {"root", "video", "dialout"}


def _tmpfiles() -> list[str]:
    lines = (UNITS / "catflap.tmpfiles").read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_the_paths_are_the_codes_own() -> None:
    """Units, tmpfiles, the configuration's defaults and the code mean the same directories and files."""
    defaults = config.Config()
    daemon, update = service("catflap"), service("catflap-update")
    made = {line.split()[1] for line in _tmpfiles()}
    state = Path(defaults.state.directory)
    assert ("/var/lib/catflap", "catflap") == (str(state), daemon.one("StateDirectory"))
    assert Path(defaults.control.path).parent == Path("/run") / daemon.one("RuntimeDirectory")
    assert {DEFAULT_CONFIG, UPDATE_CONFIG} == {Path("/etc") / daemon.one("ConfigurationDirectory") / "catflap.toml"}
    assert PUSH_KEYS.parent == DEFAULT_CONFIG.parent
    assert {str(state), str(state / "incoming"), str(state / MODELS), str(state / "trust"), str(DEFAULT_CONFIG)} <= made
    commit = state / "incoming" / METADATA / TIMESTAMP
    assert [str(commit), f"!{state / 'incoming' / 'answer.json'}"] == update.all("ConditionPathExists")
    assert str(commit.parent) == unit("catflap-update.path").one("PathChanged")
    assert (str(state), [f"-{state / 'incoming'}"]) == (
        update.one("ReadWritePaths"),
        service("catflap-link").all("ReadWritePaths"),
    )


def test_only_the_daemon_owns_the_state() -> None:
    """StateDirectory= changes owners recursively: one unit has it, and directory and unit say the same of it."""
    assert ["catflap"] == [name for name in SERVICES if service(name).all("StateDirectory")]
    (line,) = (line.split() for line in _tmpfiles() if line.startswith("d  /var/lib/catflap "))
    assert [service("catflap").one("StateDirectoryMode"), "catflap", "catflap"] == line[2:5]


def test_lgpio_finds_a_place_for_its_pipe() -> None:
    """The daemon's current directory, and what lgpio asks for by LG_WD, is its own directory in /run."""
    daemon = service("catflap")
    where = f"/run/{daemon.one('RuntimeDirectory')}"
    assert (where, f"LG_WD={where}") == (daemon.one("WorkingDirectory"), daemon.one("Environment"))


def test_the_update_service_has_time_and_room_for_a_trial() -> None:
    """A trial that uses all it may is ended by itself, and not by the unit around it."""
    budget, update = DeviceBudget(), service("catflap-update")
    assert budget.wall_s < update.seconds("TimeoutStartSec")
    assert budget.data_bytes <= int(update.one("MemoryMax").removesuffix("M")) * 2**20


def test_a_daemon_that_cannot_start_is_left_alone_for_a_while() -> None:
    """Six quick failures fall within the interval, the pause is longer than it, and nothing ever reboots."""
    daemon, later = service("catflap"), service("catflap-later")
    quick_s = int(daemon.one("StartLimitBurst")) * daemon.seconds("RestartSec")
    pause_s = float(later.one("ExecStart").split()[1])
    assert quick_s < daemon.seconds("StartLimitIntervalSec") < pause_s
    assert ("catflap-later.service", "catflap.service") == (daemon.one("OnFailure"), later.one("OnSuccess"))
    actions = {service(name).one(key) for name in SERVICES[:3] for key in ("StartLimitAction", "FailureAction")}
    assert {"none"} == actions


@needs_sysusers
def test_accounts_and_directories_can_be_made(tmp_path: Path) -> None:
    """In an empty root systemd-sysusers and systemd-tmpfiles make everything, and a second time they change nothing."""
    (tmp_path / "etc").mkdir()
    subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", UNITS / "catflap.sysusers"], check=True, capture_output=True
    )
    rows = [line.split(":") for line in (tmp_path / "etc" / "passwd").read_text(encoding="ascii").splitlines()]
    number = {row[0]: row[2] for row in rows}
    assert {"catflap", "catflap-link", "catflap-push"} == set(number)
    shadow = (tmp_path / "etc" / "shadow").read_text(encoding="ascii").splitlines()
    assert ["!*"] * 3 == [line.split(":")[1] for line in shadow]
    if Path("/proc/self/uid_map").read_text(encoding="ascii").split()[1] != "0" or not _may_chown(tmp_path):
        pytest.skip("owners can be set by root only")
    text = "\n".join(_tmpfiles()) + "\n"
    for name, uid in number.items():  # access lists are read with the accounts of the machine, not of the root
        text = re.sub(rf"\b([ug]):{name}:", rf"\1:{uid}:", text)
    (tmp_path / "catflap.conf").write_text(text, encoding="utf-8")
    command = ["systemd-tmpfiles", f"--root={tmp_path}", "--create", str(tmp_path / "catflap.conf")]
    done = [subprocess.run(command, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [(0, ""), (0, "")] == [(one.returncode, one.stderr) for one in done]
    inbox = (tmp_path / "var/lib/catflap/incoming").stat()
    assert (0o2770, int(number["catflap"])) == (inbox.st_mode & 0o7777, inbox.st_uid)


def _may_chown(directory: Path) -> bool:
    try:
        shutil.chown(directory, 0)
    except PermissionError:
        return False
    return True


@needs_sshd
def test_the_push_account_may_do_one_thing(tmp_path: Path) -> None:
    """For the push account the file means keys only, one command and no forwarding; for others it means nothing."""
    key = tmp_path / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True, stdin=subprocess.DEVNULL)
    conf = tmp_path / "sshd.conf"
    conf.write_text(f"HostKey {key}\n" + (UNITS / "sshd_catflap.conf").read_text(encoding="utf-8"), encoding="utf-8")
    told = {}
    for user in ("catflap-push", "pi"):
        asked = ["/usr/sbin/sshd", "-T", "-f", str(conf), "-C", f"user={user},host=flap,addr=192.0.2.1"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False)
        if "privilege separation" in said.stderr:
            pytest.skip("sshd needs /run/sshd")
        told[user] = dict(line.split(" ", 1) for line in said.stdout.splitlines() if " " in line)
    push, person = told["catflap-push"], told["pi"]
    keys = ("authorizedkeysfile", "forcecommand", "passwordauthentication", "disableforwarding", "permittty")
    assert [str(PUSH_KEYS), "/usr/local/bin/catflap receive", "no", "yes", "no"] == [push[key] for key in keys]
    assert ("none", "yes") == (person["forcecommand"], person["passwordauthentication"])


def test_the_hardware_watchdog_fits_the_chip() -> None:
    """bcm2835_wdt counts to 15 s; the Pi's own is fed within that, and longer than a daemon is given."""
    manager = unit("drop-ins/system.conf.d/catflap.conf")
    assert service("catflap").seconds("WatchdogSec") < manager.seconds("RuntimeWatchdogSec") < 15.0
    assert manager.seconds("RebootWatchdogSec") < 15.0


@pytest.mark.parametrize(
    "path", sorted(UNITS.rglob("catflap*")) + sorted(UNITS.rglob("*.conf")), ids=lambda path: path.name
)
def test_every_file_says_what_it_is_and_where_it_goes(path: Path) -> None:
    """A file begins with a comment that says what it is for, and where it is installed."""
    if path.is_dir():
        return
    head = path.read_text(encoding="utf-8").split("\n\n[")[0]
    assert (True, True) == (head.startswith("# "), "nstall" in head)
