"""A bundle's one target, a plain tar, back into a directory. Floor 4.

Only what a bundle is made of comes out of it: plain files, under exactly the names that a bundle has, once each, none
longer than such a file may be. So a name that climbs, a link, a device node or a header that promises more than is
there has nowhere to go, and there is nothing to decompress. Headers are read one by one with ``tarfile``'s own parser;
no extension (PAX, GNU) is followed.
"""

from __future__ import annotations

import tarfile
from typing import IO, TYPE_CHECKING

from edge.bundle import FILES, MANIFEST, MAX_FILE_BYTES, MAX_MANIFEST_BYTES
from edge.errors import TrustError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from edge.files import Files

MAX_ARCHIVE_BYTES = 48_000_000
"""As much as a push may bring."""
_BLOCK = tarfile.BLOCKSIZE
_NAMES = (MANIFEST, *FILES)


def unpack(archive: Path, directory: Path, files: Files) -> None:
    """Write the files of a bundle into ``directory``, which is made.

    Raises:
        TrustError: it is not the tar of a bundle; ``directory`` may then hold some of it.
        OSError: the disk.
    """
    files.make_directory(directory)
    found: list[str] = []
    with archive.open("rb") as file:
        for name, size in _members(file, archive.name):
            if name in found:
                raise TrustError(f"{archive.name}: {name}: comes twice")
            files.write(directory / name, _exactly(file, size, archive.name))
            _exactly(file, -size % _BLOCK, archive.name)
            found.append(name)
    missing = [name for name in _NAMES if name not in found]
    if missing:
        raise TrustError(f"{archive.name}: lacks {', '.join(missing)}")
    files.sync_directory(directory)


def _members(file: IO[bytes], where: str) -> Iterator[tuple[str, int]]:
    """Yield name and size of each file, whose content the caller takes before the next."""
    while block := file.read(_BLOCK):
        if len(block) == _BLOCK and not any(block):
            if any(file.read(MAX_ARCHIVE_BYTES)):
                raise TrustError(f"{where}: has data after its end")
            return
        yield _header(block, where)


def _header(block: bytes, where: str) -> tuple[str, int]:
    try:
        info = tarfile.TarInfo.frombuf(block, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise TrustError(f"{where}: is not a plain tar: {error}") from error
    if info.name not in _NAMES:
        raise TrustError(f"{where}: {info.name[:80]!r}: is no file of a bundle; only {', '.join(_NAMES)} are")
    if info.type != tarfile.REGTYPE:
        raise TrustError(f"{where}: {info.name}: is not a plain file")
    most = MAX_MANIFEST_BYTES if info.name == MANIFEST else MAX_FILE_BYTES
    if not 0 <= info.size <= most:
        raise TrustError(f"{where}: {info.name}: has {info.size} bytes; at most {most} are allowed")
    return info.name, info.size


def _exactly(file: IO[bytes], size: int, where: str) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise TrustError(f"{where}: ends in the middle of a file")
    return data
