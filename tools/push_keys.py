"""The owner's keys: made at first use, kept in files that are named after them, asked for when they are needed.

Root and targets keys are *offline*: encrypted with a passphrase (PKCS #8), in a directory that may be a stick in a
drawer. The daily key signs snapshot and timestamp, which say what is new and until when; it lies beside the repository
unencrypted, so that signing afresh needs nobody. Stolen, it can withhold a model for a time, never put one in place.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from getpass import getpass
from typing import TYPE_CHECKING, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner

from edge.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MIN_PASSPHRASE = 16
"""Characters. `cryptography` derives a file's key by 2048 rounds of PBKDF2 only: the passphrase carries the weight."""

ID_DIGITS = 12
"""Of a key's id, in its file's name."""


class KeyRole(StrEnum):
    """What a key is for. The timestamp's signs the snapshot too."""

    ROOT = "root"
    TARGETS = "targets"
    TIMESTAMP = "timestamp"


OFFLINE = (KeyRole.ROOT, KeyRole.TARGETS)


class Asker(Protocol):
    """Whoever knows the passphrases."""

    def new(self, what: str) -> str:
        """Return a passphrase for a key that is being made; raises InputError where there is none."""

    def known(self, what: str) -> str:
        """Return the passphrase of a key that is there; raises InputError where there is none."""


class Terminal:
    """Asks at the terminal; a passphrase typed once is tried for every key."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._typed: str | None = None

    def new(self, what: str) -> str:
        """Ask twice, once for all keys made in one go."""
        if self._typed is None:
            typed = _read(f"A passphrase for {what} ({MIN_PASSPHRASE} characters or more): ")
            if _read("The same again: ") != typed:
                raise InputError("the two passphrases differ; nothing was made")
            self._typed = typed
        return self._typed

    def known(self, what: str) -> str:
        """Ask once for all keys."""
        if self._typed is None:
            self._typed = _read(f"Passphrase of {what}: ")
        return self._typed


@dataclass(frozen=True, slots=True)
class PassphraseFile:
    """Reads the first line of a file, for machines that push by themselves."""

    path: Path

    def new(self, what: str) -> str:
        """Return the line."""
        return self.known(what)

    def known(self, what: str) -> str:
        """Return the line; raises InputError where the file cannot be read."""
        try:
            return self.path.read_text(encoding="utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as error:
            raise InputError(f"{self.path}: holds no passphrase for {what}: {error}") from error


@dataclass(frozen=True, slots=True)
class Keyring:
    """The directories of the private keys, and who knows the passphrases."""

    offline: Path
    daily: Path
    asker: Asker

    def make(self, role: KeyRole) -> CryptoSigner:
        """Make a key and write it, readable by its owner only; it counts once the root names it.

        Raises:
            InputError: the passphrase is too short, or the directory cannot be written.
        """
        private = Ed25519PrivateKey.generate()
        signer = CryptoSigner(private)
        path = self.path(role, signer.public_key.keyid)
        how = BestAvailableEncryption(self._new(role)) if role in OFFLINE else NoEncryption()
        _write_secret(path, private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))
        return signer

    def load(self, role: KeyRole, key_ids: Iterable[str]) -> CryptoSigner:
        """Return the signer for ``role`` whose key is one of ``key_ids``, as the root names them.

        Raises:
            InputError: no such key is here, or the passphrase does not open it.
        """
        wanted = [(key_id, self.path(role, key_id)) for key_id in key_ids]
        there = [(key_id, path) for key_id, path in wanted if path.exists()]
        if not there:
            names = ", ".join(path.name for _, path in wanted)
            option = "; where is the offline directory? --offline DIR" if role in OFFLINE else ""
            raise InputError(f"{self._directory(role)}: the {role} key ({names}) is not here{option}")
        key_id, path = there[0]
        signer = CryptoSigner(self._private(role, path))
        if signer.public_key.keyid != key_id:
            raise InputError(f"{path}: is not the key that its name says; take it from the backup")
        return signer

    def has(self, role: KeyRole, key_id: str) -> bool:
        """Return whether this key's file is here."""
        return self.path(role, key_id).exists()

    def path(self, role: KeyRole, key_id: str) -> Path:
        """Return where a key lies, or would."""
        return self._directory(role) / f"{role}-{key_id[:ID_DIGITS]}.pem"

    def remove(self, role: KeyRole, key_id: str) -> None:
        """Remove the private half of a key that counts no more."""
        self.path(role, key_id).unlink(missing_ok=True)

    def _directory(self, role: KeyRole) -> Path:
        return self.offline if role in OFFLINE else self.daily

    def _new(self, role: KeyRole) -> bytes:
        passphrase = self.asker.new("the root and targets keys" if role in OFFLINE else f"the {role} key")
        if len(passphrase) < MIN_PASSPHRASE:
            raise InputError(
                f"the passphrase has {len(passphrase)} characters; {MIN_PASSPHRASE} or more, such as six words"
            )
        return passphrase.encode()

    def _private(self, role: KeyRole, path: Path) -> Ed25519PrivateKey:
        passphrase = self.asker.known(f"the {role} key").encode() if role in OFFLINE else None
        try:
            private = load_pem_private_key(path.read_bytes(), passphrase)
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: the passphrase does not open it, or it is no private key") from error
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise InputError(f"{path}: is not an Ed25519 key")
        return private


def _read(prompt: str) -> str:
    if not _has_terminal():
        raise InputError("there is no terminal to ask for the passphrase at; say --passphrase-file FILE")
    return getpass(prompt)


def _has_terminal() -> bool:
    """Return whether getpass would find a person."""
    try:
        os.close(os.open(os.ctermid(), os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _write_secret(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
