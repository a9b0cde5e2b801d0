"""Plain tars that come out the same every time, and a bundle as one signed target."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edge.bundle import FILES, MANIFEST, load
from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from edge.bundle import Bundle

KIND = "catflap-bundle"
HARDWARE = "catflap-1"
MAX_NAME = 90


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A bundle as it travels: ``path`` is the target's name, ``data`` its tar; ``sha256`` is of the manifest."""

    path: str
    data: bytes
    model_id: str
    version: str
    sha256: str
    runtimes: tuple[str, ...]

    def custom(self, *, step_back: bool) -> dict[str, object]:
        """Return what is signed beside the target's hash. ``step_back`` permits a lower version than before."""
        said: dict[str, object] = {
            "kind": KIND,
            "model_id": self.model_id,
            "version": self.version,
            "hardware": HARDWARE,
            "runtimes": list(self.runtimes),
        }
        return {**said, "step_back": True} if step_back else said


def ustar(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a POSIX ustar archive: sorted, no times, no owners, so that the same files make the same bytes.

    Raises:
        InputError: a name does not fit into it.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(entries):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.mtime = len(data), 0o644, 0
            try:
                tar.addfile(info, io.BytesIO(data))
            except ValueError as error:
                raise InputError(f"{name}: is too long a name to travel") from error
    return buffer.getvalue()


def pack(directory: Path) -> Packed:
    """Verify a bundle and pack it.

    Raises:
        TrustError: it is not a bundle, or damaged.
        InputError: it has no name that can travel.
    """
    loaded = load(directory)
    manifest = loaded.manifest
    path = f"{manifest.name}-{manifest.version}.tar"
    if not set(path) <= set("abcdefghijklmnopqrstuvwxyz0123456789._+-") or len(path) > MAX_NAME:
        raise InputError(f"{path}: a bundle's name is of a-z, 0-9, '.', '_', '+', '-', at most {MAX_NAME} in all")
    data = ustar((name, _content(loaded, name)) for name in (MANIFEST, *FILES))
    return Packed(path, data, loaded.model_id, manifest.version, loaded.manifest_sha256, manifest.runtimes)


def manifest_sha256(data: bytes) -> str:
    """Return the hash of the manifest in a bundle that ``pack`` made."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        found = tar.extractfile(MANIFEST)
        return hashlib.sha256(b"" if found is None else found.read()).hexdigest()


def _content(bundle: Bundle, name: str) -> bytes:
    """Return one file of a bundle: the bytes that were verified, and for manifest and card those on the disk.

    The manifest's hash was taken a moment ago and the device compares it again, so a change in between is caught.
    """
    verified = {
        "model.tflite": bundle.model,
        "golden.png": bundle.golden_patches,
        "golden.json": bundle.golden_outputs,
        "reference.json": bundle.reference,
    }
    found = verified.get(name)
    return (bundle.directory / name).read_bytes() if found is None else found
