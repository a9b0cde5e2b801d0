"""Build the disk that the machines of the bench start from: Debian with systemd, and the project installed on it.

    python -m vm.image          in the folder tests; `make vm-test` does it when it is due

Three steps, each kept in build/vm under the hash of what it was made from: a Debian root by mmdebstrap; a disk of it
with the bench's own units, the kernel's modules and what a Pi has from its apt; and a copy of that on which the
project's installer has run, inside the running machine, as on a Pi. None of it needs root on the host.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from vm.kernel import check_programs, find
from vm.machine import BUILD, SHARE, Machine

from edge.adapters.sim.film import film_scene
from edge.adapters.video import RecordedCamera
from edge.config import CameraConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PARTS = re.compile(
    r"(edge|models/factory|requirements|systemd|firmware/boot|tools/(install|push)\w*\.py|docs/catflap\.toml)(/|$)"
    r"|(pyproject\.toml|README\.md|LICENSE)$"
)
"""What of the project a flap is installed from, and pushed to with."""
SUITE = "bookworm"
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "kmod", "procps", "iproute2", "e2fsprogs", "adduser", "sudo", "acl"),
    *("python3", "python3-venv", "openssh-server", "openssh-client", "gpiod", "v4l-utils", "sqlite3"),
    *("python3-jsonschema", "python3-libarchive-c", "python3-numpy", "python3-piexif", "python3-pil", "python3-prctl"),
    *("python3-tqdm",),
)
BACKPORTS = ("python3-libcamera", "libcamera-ipa")
"""A Pi has libcamera 0.3 or newer; Debian has it here."""
LEFT_OUT = ("man", "doc", "locale", "info")
SILENCED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("e2scrub_reap.service", "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-timesyncd.service"),
)
"""Units that have nothing to do here, or would speak where the bench speaks."""
DISK_BYTES = 2_500_000_000
PYTHON = "/usr/local/lib/python3.11/dist-packages"
LIBCAMERA = "/usr/lib/x86_64-linux-gnu/python3.11/site-packages"
"""Where the backport puts it, off the path of Debian's Python."""
GLIBC_MINOR = 36
"""Bookworm has glibc 2.36; wheels for any older one run there."""
WHEELS = BUILD / "wheels"
PLACES = {
    "60-pi.rules": "etc/udev/rules.d",
    "bench.conf": "etc/systemd/system/catflap.service.d",
    "catflap.toml": "etc/catflap",
}
"""Where the bench's other files go."""
GPIO_GID = 986
"""Raspberry Pi OS has the group from the beginning, so that its udev rule finds it."""
TESTING = frozenset({"hypothesis", "iniconfig", "packaging", "pluggy", "pygments", "pytest", "sortedcontainers"})
INSTALL = f"python3 {SHARE}/catflap/tools/install.py --any-machine --wheels {SHARE}/wheels"
INSTALL_S = 900.0


def root_image() -> Path:
    """Return the disk with the project installed; built where what it is made from has changed."""
    project = _files_key(_project_files(), "project")
    return _made(BUILD / "root.img", f"{_bench_key()} {project}", _install)


def bench_image() -> Path:
    """Return the disk without the project."""
    return _made(BUILD / "bench.img", _bench_key(), _disk)


def stage(folder: Path, version: str = "") -> Path:
    """Copy the project's own files into a folder that a machine can share, as a person would unpack it on a Pi.

    ``version`` takes the place of the project's own, for the test of an upgrade.
    """
    source = folder / "catflap"
    for path in _project_files():
        target = source / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    if version:
        project = source / "edge" / "__init__.py"
        text = project.read_text(encoding="utf-8")
        project.write_text(
            re.sub(r'^__version__ = ".*"', f'__version__ = "{version}"', text, flags=re.MULTILINE), encoding="utf-8"
        )
    return source


def wheels() -> Path:
    """Return the folder of what the lock file for Python 3.11 names: a machine has no network."""
    lock = ROOT / "requirements" / "runtime-py311.txt"
    return _made(WHEELS, _files_key([lock], "wheels"), lambda folder: _fetch_wheels(lock, folder))


def testing() -> Path:
    """Return a folder with pytest and what it needs, as the development's lock file has them."""
    lock = ROOT / "requirements" / "dev-py311.txt"
    return _made(BUILD / "testing", _files_key([lock], "testing"), lambda folder: _fetch_testing(lock, folder))


def _made(path: Path, key: str, make: Callable[[Path], None]) -> Path:
    """Return ``path``, made anew unless it was made from just this; a half-made one never bears the name."""
    note = path.with_name(f"{path.name}.key")
    if path.exists() and note.exists() and note.read_text(encoding="ascii") == key:
        return path
    print(f"making {path.relative_to(ROOT)}", file=sys.stderr)
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(f"{path.name}.half")
    _remove(half)
    make(half)
    _remove(path)
    half.rename(path)
    note.write_text(key, encoding="ascii")
    return path


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _files_key(paths: Iterable[Path], what: str) -> str:
    digest = hashlib.sha256(what.encode())
    for path in sorted(paths):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _project_files() -> list[Path]:
    """Return what a release is made from."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and PARTS.match(str(path.relative_to(ROOT)))]


def _bench_key() -> str:
    guest = [path for part in ("guest", "scenes") for path in (HERE / part).rglob("*") if path.is_file()]
    guest = [path for path in guest if path.suffix != ".pyc"]
    modules = sorted((BUILD / "modules").rglob("*.ko"))
    return _files_key([find(), *modules, *guest, HERE / "image.py", HERE / "pi-packages.txt"], "bench")


def _base() -> Path:
    key = hashlib.sha256(" ".join((SUITE, *PACKAGES, *BACKPORTS, *LEFT_OUT)).encode()).hexdigest()[:16]
    return _made(BUILD / "debian.tar", key, _debian)


def _debian(tar: Path) -> None:
    """Let mmdebstrap fill a tar, with the backports of whichever mirror it chose."""
    check_programs("mmdebstrap")
    lines = f"sed -n 's/^\\(deb .*\\) {SUITE} main.*/\\1 {SUITE}-backports main/p' /etc/apt/sources.list"
    install = f"apt-get install --yes --no-install-recommends -t {SUITE}-backports {' '.join(BACKPORTS)}"
    hook = f"{lines} > /etc/apt/sources.list.d/backports.list && apt-get update && {install}"
    without = [f"--dpkgopt=path-exclude=/usr/share/{what}/*" for what in LEFT_OUT]
    options = [*without, f"--include={','.join(PACKAGES)}", f'--customize-hook=chroot "$1" sh -c "{hook}"']
    _run(["mmdebstrap", "--quiet", "--variant=minbase", "--format=tar", *options, SUITE, str(tar)])


def _disk(image: Path) -> None:
    """Lay the Debian root and the bench's own files into an ext4 file system; fakeroot keeps whose they are."""
    check_programs("mkfs.ext4", "depmod", *(() if os.geteuid() == 0 else ("fakeroot",)))
    over = image.with_name("over")
    _remove(over)
    _bench_files(over)
    tree = image.with_name("tree")
    _remove(tree)
    size = f"{DISK_BYTES // 1024}k"
    script = f"""
mkdir {tree}; tar -xf {_base()} -C {tree} --exclude ./dev/*
cp -r --no-preserve=ownership {over}/. {tree}/
depmod -b {tree} "$(ls {tree}/usr/lib/modules)"
echo gpio:x:{GPIO_GID}: >> {tree}/etc/group
mkfs.ext4 -q -F -L root -d {tree} {image} {size}
"""
    plain = ["/bin/bash", "-euc", script]
    _run(plain if os.geteuid() == 0 else ["fakeroot", *plain])
    _remove(over)
    _remove(tree)


def _bench_files(over: Path) -> None:
    """Lay out what comes over the Debian root."""
    packages = over / PYTHON.lstrip("/")
    packages.mkdir(parents=True)
    names = ["--no-deps", "--require-hashes", "--no-compile", "--target", str(packages)]
    _pip("install", *names, "--requirement", str(HERE / "pi-packages.txt"))
    shutil.copytree(HERE / "guest" / "stubs", packages, dirs_exist_ok=True)
    (packages / "libcamera-backport.pth").write_text(f"{LIBCAMERA}\n", encoding="ascii")
    shutil.copytree(BUILD / "modules", over / "usr" / "lib" / "modules")
    units, bench = over / "etc" / "systemd" / "system", over / "usr" / "local" / "lib" / "bench"
    for folder, kind in ((units, "service"), (bench, "py")):
        folder.mkdir(parents=True)
        for path in (HERE / "guest").glob(f"*.{kind}"):
            shutil.copy(path, folder)
    _enable(units)
    for name, place in PLACES.items():
        (over / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "guest" / name, over / place)
    _films(bench / "films")
    (over / "etc" / "hostname").write_text("flap\n", encoding="ascii")
    (over / "etc" / "hosts").write_text("127.0.0.1 localhost flap\n", encoding="ascii")
    (over / "etc" / "machine-id").write_text(f"{hashlib.sha256(b'bench').hexdigest()[:32]}\n", encoding="ascii")


def _films(folder: Path) -> None:
    """Render what the camera of the bench will see, as raw grey pictures one after the other."""
    folder.mkdir()
    for scene in sorted((HERE / "scenes").glob("*.toml")):
        film = folder / f"{scene.stem}.avi"
        film_scene(scene, film)
        config = CameraConfig(kind="video", source=str(film))
        camera = RecordedCamera(config)
        with (folder / f"{scene.stem}.grey").open("wb") as raw, contextlib.suppress(EOFError):
            while (frame := camera.newest(0.0)) is not None:
                raw.write(frame.grey.tobytes())
        film.unlink()


def _enable(units: Path) -> None:
    """Do what `systemctl enable` and `mask` do: the host need not have them."""
    for unit in list(units.glob("*.service")):
        for target in re.findall(r"^WantedBy=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
            wants = units / f"{target}.wants"
            wants.mkdir(exist_ok=True)
            (wants / unit.name).symlink_to(f"../{unit.name}")
    for name in SILENCED:
        (units / name).symlink_to("/dev/null")


def _install(image: Path) -> None:
    """Copy the bench's disk, start a machine on the copy, run the installer there, and shut it down."""
    subprocess.run(["cp", "--sparse=always", bench_image(), image], check=True)
    share = BUILD / "share"
    _remove(share)
    stage(share)
    shutil.copytree(wheels(), share / "wheels")
    with Machine(image, writable=True, share=share) as machine:
        machine.wait()
        print(machine.expect(INSTALL, INSTALL_S), file=sys.stderr)
        machine.power_off()
    _remove(share)


def _fetch_wheels(lock: Path, folder: Path) -> None:
    """Download, for the image's Python whichever runs here: pip goes by its own Python where a line has a marker."""
    folder.mkdir(parents=True)
    plain = folder / "lock.txt"
    plain.write_text(re.sub(r' ; python_version < "3.12"', "", lock.read_text(encoding="utf-8")), encoding="utf-8")
    _pip("download", "--no-deps", "--require-hashes", "--dest", str(folder), "--requirement", str(plain))


def _fetch_testing(lock: Path, folder: Path) -> None:
    blocks = re.split(r"^(?=[a-z])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)
    chosen = folder.with_name("testing.txt")
    chosen.write_text("".join(block for block in blocks if block.split("==")[0] in TESTING), encoding="utf-8")
    _pip("install", "--no-deps", "--require-hashes", "--target", str(folder), "--requirement", str(chosen))
    chosen.unlink()


def _pip(verb: str, *words: str) -> None:
    names = ("2014", "2010", "1", *(f"_2_{minor}" for minor in range(5, GLIBC_MINOR + 1)))
    platforms = [f"--platform=manylinux{name}_x86_64" for name in names]
    target = ["--python-version=3.11", "--implementation=cp", "--abi=cp311", "--abi=abi3", "--abi=none", *platforms]
    _run([sys.executable, "-m", "pip", verb, "--quiet", "--only-binary=:all:", *target, *words])


def _run(command: list[str]) -> None:
    """Run a program; its last line is the error's where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True)
    if done.returncode != 0:
        said = done.stdout.strip().splitlines()
        raise SystemExit(
            f"{Path(command[0]).name}: exits with {done.returncode}: {said[-1] if said else 'says nothing'}"
        )


if __name__ == "__main__":
    print(root_image())
