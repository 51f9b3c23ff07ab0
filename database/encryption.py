"""Credentials at rest: AES-256-GCM under a master key, several keys at once while keys are rotated.

The keys come from `CRM_ELT_MASTER_KEY` (base64 of 32 bytes) and `CRM_ELT_MASTER_KEYS_PREVIOUS` (comma separated), or,
in development, from the file `master.key` in the home folder: one key a line, the first is the current one.

Rotation with the file: `Keyring.rotate_file(home)`, then `credentials.rotate(connection, keyring)`, then
`credentials.drop_unused_keys(connection, home)`. With the variable the operator moves the old key to
`CRM_ELT_MASTER_KEYS_PREVIOUS`, sets a new one, runs `credentials.rotate` and empties the variable again.
"""

from __future__ import annotations

import base64
import binascii
import fcntl
import hashlib
import os
import secrets
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

CURRENT_VARIABLE = "CRM_ELT_MASTER_KEY"
PREVIOUS_VARIABLE = "CRM_ELT_MASTER_KEYS_PREVIOUS"
FILE_NAME = "master.key"
KEY_BYTES = 32
NONCE_BYTES = 12

log = structlog.get_logger()


class EncryptionError(Exception):
    """A key or a sealed value cannot be used. The message is one sentence, without key material."""


class KeySource(Protocol):
    """What the keyring needs of `database.environment.Environment`."""

    @property
    def home(self) -> Path: ...
    @property
    def master_key(self) -> str | None: ...
    @property
    def master_keys_previous(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted value as it is stored in config.credentials."""

    key_id: str
    nonce: bytes
    ciphertext: bytes = field(repr=False)


def new_key() -> str:
    """A random master key: base64 of 32 bytes."""
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii")


def key_id_of(key: bytes) -> str:
    """Name of a key that may be stored and shown: the first 12 hex digits of its SHA-256."""
    return hashlib.sha256(key).hexdigest()[:12]


class Keyring:
    """The current master key, which encrypts, and the previous ones, which still decrypt.

    A keyring that came from the file follows the file: a process that runs while keys are rotated goes on working.
    """

    def __init__(self, keys: Sequence[bytes], *, path: Path | None = None) -> None:
        if not keys:
            raise EncryptionError("A keyring needs at least one key.")
        for key in keys:
            if len(key) != KEY_BYTES:
                raise EncryptionError(f"A master key must have {KEY_BYTES} bytes, not {len(key)}.")
        self._path = path
        self._seen: tuple[int, int] | None = None  # read again at the first use: the file may change before it
        self._use(keys)

    @classmethod
    def load(cls, environment: KeySource) -> Keyring:
        """The keys of the environment, else of the file in the home folder, which is created if there is none.

        Raises EncryptionError if a key is not base64 of 32 bytes, or only previous keys are set.
        """
        previous = [part.strip() for part in (environment.master_keys_previous or "").split(",") if part.strip()]
        if environment.master_key:
            keys = [_parse_key(environment.master_key, CURRENT_VARIABLE)]
            keys += [_parse_key(text, f"{PREVIOUS_VARIABLE}, key {n}") for n, text in enumerate(previous, start=1)]
            return cls(keys)
        if previous:
            raise EncryptionError(f"{PREVIOUS_VARIABLE} is set without {CURRENT_VARIABLE}: set the current key too.")
        path = environment.home / FILE_NAME
        if not path.exists():
            _create(path)
        return cls(_read(path), path=path)

    @classmethod
    def rotate_file(cls, home: Path) -> Keyring:
        """Put a new current key before those of the file, which stay for decrypting; the file is created if needed."""
        path = home / FILE_NAME
        if not path.exists():
            _create(path)
        with _locked(path):
            keys = [base64.b64decode(new_key()), *_read(path)]
            _replace(path, keys)
        return cls(keys, path=path)

    @classmethod
    def drop_previous(cls, home: Path, in_use: Collection[str]) -> tuple[str, ...]:
        """Remove from the file the previous keys whose id is not `in_use`. Returns the ids of the removed keys."""
        path = home / FILE_NAME
        with _locked(path):
            current, *previous = _read(path)
            kept = [key for key in previous if key_id_of(key) in in_use]
            dropped = tuple(key_id_of(key) for key in previous if key_id_of(key) not in in_use)
            if dropped:
                _replace(path, [current, *kept])
        return dropped

    @property
    def current_key_id(self) -> str:
        self._follow_file()
        return self._current

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, the current one first."""
        self._follow_file()
        return tuple(self._ciphers)

    @property
    def path(self) -> Path | None:
        """The key file, or None if the keys come from the environment."""
        return self._path

    def encrypt(self, project_id: str, name: str, plaintext: str) -> Sealed:
        """Seal a credential with the current key; it opens again for this project and name alone."""
        self._follow_file()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = self._ciphers[self._current].encrypt(nonce, plaintext.encode("utf-8"), _binding(project_id, name))
        return Sealed(self._current, nonce, sealed)

    def decrypt(self, project_id: str, name: str, sealed: Sealed) -> str:
        """Open a credential. Raises EncryptionError if its key is unknown, or it was altered or moved."""
        what = f"Credential {name} of project {project_id}"
        if sealed.key_id not in self._ciphers:
            self._follow_file()
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            if self._path is None:
                where, remedy = f"{CURRENT_VARIABLE} and {PREVIOUS_VARIABLE}", f"add that key to {PREVIOUS_VARIABLE}"
            else:
                where = f"the file {self._path} ({CURRENT_VARIABLE} is not set)"
                remedy = f"add that key to the file as a further line, or set {CURRENT_VARIABLE}"
            raise EncryptionError(
                f"{what} is encrypted with key {sealed.key_id}, which is not among the keys of {where}: {remedy}, "
                "or apply the credential again."
            )
        try:
            return cipher.decrypt(sealed.nonce, sealed.ciphertext, _binding(project_id, name)).decode("utf-8")
        except (InvalidTag, ValueError) as error:
            raise EncryptionError(
                f"{what} does not open with its key {sealed.key_id}: the stored value was altered or belongs to "
                "another project or name; apply the credential again."
            ) from error

    def derived(self, purpose: str) -> dict[str, bytes]:
        """Key id -> 32 bytes for another purpose than credentials, such as signing; the current key's first."""
        self._follow_file()
        return {
            key_id: HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=b"crm-elt " + purpose.encode()).derive(key)
            for key_id, key in self._keys.items()
        }

    def __repr__(self) -> str:
        return f"Keyring(current={self._current}, previous={list(self._ciphers)[1:]})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("A keyring cannot be pickled: it would write keys to where the pickle goes.")

    def _use(self, keys: Sequence[bytes]) -> None:
        self._keys = {key_id_of(key): key for key in keys}
        self._ciphers = {key_id_of(key): AESGCM(key) for key in keys}
        self._current = key_id_of(keys[0])

    def _follow_file(self) -> None:
        if self._path is None:
            return
        stamp = _stamp(self._path)
        if stamp is not None and stamp != self._seen:
            self._use(_read(self._path))
            self._seen = stamp


def _binding(project_id: str, name: str) -> bytes:
    return b"\0".join((b"crm-elt credential", project_id.encode("utf-8"), name.encode("utf-8")))


def _parse_key(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EncryptionError(
            f"{where} is not base64: expected 32 bytes as `openssl rand -base64 32` makes."
        ) from error
    if len(key) != KEY_BYTES:
        raise EncryptionError(
            f"{where} has {len(key)} bytes: expected {KEY_BYTES} in base64, as `openssl rand -base64 32` makes."
        )
    return key


def _read(path: Path) -> list[bytes]:
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except FileNotFoundError as error:
        raise EncryptionError(f"The key file {path} is missing.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EncryptionError(f"The key file {path} cannot be read: {error}.") from error
    keys = [_parse_key(line, f"Line {n} of {path}") for n, line in enumerate(lines, start=1) if line.strip()]
    if not keys:
        raise EncryptionError(f"The key file {path} is empty: expected one key a line, the current one first.")
    if path.stat().st_mode & 0o077:
        log.warning("master_key_file_readable_by_others", path=str(path), advice="chmod 600")
    return keys


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _write_temporary(path, [base64.b64decode(new_key())])
    try:
        os.link(temporary, path)  # fails if another process was first: then its key counts
    except FileExistsError:
        return
    finally:
        temporary.unlink()
    log.warning(
        "master_key_created",
        path=str(path),
        advice=f"keep a copy: credentials cannot be read without it; in production set {CURRENT_VARIABLE}",
    )


def _replace(path: Path, keys: Sequence[bytes]) -> None:
    _write_temporary(path, keys).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_temporary(path: Path, keys: Sequence[bytes]) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.writelines(base64.b64encode(key) + b"\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with (path.parent / f"{FILE_NAME}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(path: Path | None) -> tuple[int, int] | None:
    if path is None:
        return None
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
