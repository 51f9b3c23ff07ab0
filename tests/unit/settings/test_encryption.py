from __future__ import annotations

import base64
import hashlib
import os
import pickle
import stat
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from database.encryption import EncryptionError, Keyring, Sealed, new_key


@dataclass(frozen=True)
class Variables:
    """The part of the environment that the keyring reads."""

    home: Path
    master_key: str | None = None
    master_keys_previous: str | None = None


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return Keyring.load(Variables(tmp_path, new_key()))


@given(st.text())
def test_every_text_opens_again_as_it_was(plaintext: str) -> None:
    ring = Keyring([os.urandom(32)])
    try:
        sealed = ring.encrypt("shop", "api_key", plaintext)
    except UnicodeEncodeError:
        assert any("\ud800" <= letter <= "\udfff" for letter in plaintext)
        return
    assert ring.decrypt("shop", "api_key", sealed) == plaintext


def test_the_key_id_is_the_start_of_the_keys_sha_256(tmp_path: Path) -> None:
    key = new_key()
    ring = Keyring.load(Variables(tmp_path, key))
    assert ring.current_key_id == hashlib.sha256(base64.b64decode(key)).hexdigest()[:12]
    assert ring.encrypt("shop", "api_key", "secret").key_id == ring.current_key_id


def test_the_same_secret_is_never_encrypted_to_the_same_bytes(keyring: Keyring) -> None:
    sealed = [keyring.encrypt("shop", "api_key", "secret") for _ in range(50)]
    assert len({item.nonce for item in sealed}) == len({item.ciphertext for item in sealed}) == 50
    assert {len(item.nonce) for item in sealed} == {12}


@pytest.mark.parametrize(("project_id", "name"), [("other", "api_key"), ("shop", "other"), ("sho", "papi_key")])
def test_a_sealed_value_moved_to_another_project_or_name_does_not_open(
    keyring: Keyring, project_id: str, name: str
) -> None:
    sealed = keyring.encrypt("shop", "api_key", "secret")
    with pytest.raises(EncryptionError, match="was altered or belongs to another project or name"):
        keyring.decrypt(project_id, name, sealed)


def test_an_altered_value_does_not_open(keyring: Keyring) -> None:
    sealed = keyring.encrypt("shop", "api_key", "secret")
    altered = bytes([sealed.ciphertext[0] ^ 1]) + sealed.ciphertext[1:]
    for broken in (
        replace(sealed, ciphertext=altered),
        replace(sealed, ciphertext=b""),
        replace(sealed, nonce=bytes(12)),
    ):
        with pytest.raises(
            EncryptionError, match=f"Credential api_key of project shop .* key {sealed.key_id}"
        ) as caught:
            keyring.decrypt("shop", "api_key", broken)
        assert "secret" not in str(caught.value)


def test_an_unknown_key_is_named_with_the_variable_that_wants_it(keyring: Keyring, tmp_path: Path) -> None:
    sealed = Keyring([os.urandom(32)]).encrypt("shop", "api_key", "secret")
    with pytest.raises(EncryptionError, match=f"{sealed.key_id}.*CRM_ELT_MASTER_KEYS_PREVIOUS"):
        keyring.decrypt("shop", "api_key", sealed)
    with pytest.raises(EncryptionError, match=f"{sealed.key_id}.*master.key.*CRM_ELT_MASTER_KEY"):
        Keyring.load(Variables(tmp_path / "home")).decrypt("shop", "api_key", sealed)


def test_previous_keys_decrypt_and_the_current_one_encrypts(tmp_path: Path) -> None:
    old, older, new = new_key(), new_key(), new_key()
    sealed = [Keyring.load(Variables(tmp_path, key)).encrypt("shop", "api_key", "secret") for key in (old, older)]
    ring = Keyring.load(Variables(tmp_path, new, f"{old}, {older},"))
    assert [ring.decrypt("shop", "api_key", item) for item in sealed] == ["secret", "secret"]
    assert ring.encrypt("shop", "api_key", "secret").key_id == ring.key_ids[0]
    assert len(ring.key_ids) == 3


@pytest.mark.parametrize(
    ("current", "previous", "message"),
    [
        ("not base64!", None, "CRM_ELT_MASTER_KEY is not base64"),
        (base64.b64encode(bytes(16)).decode(), None, "CRM_ELT_MASTER_KEY has 16 bytes: expected 32"),
        (base64.b64encode(bytes(32)).decode(), "x,y", "CRM_ELT_MASTER_KEYS_PREVIOUS, key 1"),
        (None, base64.b64encode(bytes(32)).decode(), "CRM_ELT_MASTER_KEYS_PREVIOUS is set without CRM_ELT_MASTER_KEY"),
    ],
)
def test_a_wrong_variable_is_named_and_its_value_not_shown(
    tmp_path: Path, current: str | None, previous: str | None, message: str
) -> None:
    with pytest.raises(EncryptionError) as caught:
        Keyring.load(Variables(tmp_path, current, previous))
    assert str(caught.value).startswith(message)
    assert "not base64!" not in str(caught.value)
    assert not list(tmp_path.iterdir()), "a wrong variable must not be answered by making a key file"


def test_without_a_variable_a_key_file_is_made_once_with_one_warning(tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    with capture_logs() as logs:
        first = Keyring.load(Variables(home))
        second = Keyring.load(Variables(home))
    assert [entry["event"] for entry in logs] == ["master_key_created"]
    assert first.key_ids == second.key_ids
    file = home / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text().strip() not in str(logs)
    assert second.decrypt("shop", "api_key", first.encrypt("shop", "api_key", "secret")) == "secret"


def test_processes_that_make_the_key_file_at_once_agree_on_one_key(tmp_path: Path) -> None:
    barrier = threading.Barrier(8)
    rings: list[Keyring] = []

    def load() -> None:
        barrier.wait()
        rings.append(Keyring.load(Variables(tmp_path)))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({ring.current_key_id for ring in rings}) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["master.key"]


def test_a_key_file_that_others_may_read_is_warned_of(tmp_path: Path) -> None:
    Keyring.load(Variables(tmp_path))
    (tmp_path / "master.key").chmod(0o644)
    with capture_logs() as logs:
        Keyring.load(Variables(tmp_path)).encrypt("shop", "api_key", "secret")
    assert {entry["event"] for entry in logs} == {"master_key_file_readable_by_others"}


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "is empty"), (b"\n\n", "is empty"), (b"rubbish\n", "Line 1 of"), (b"\xff\xfe", "cannot be read")],
)
def test_a_damaged_key_file_is_named_and_left_alone(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(EncryptionError, match=message):
        Keyring.load(Variables(tmp_path))
    assert file.read_bytes() == content


def test_a_running_process_follows_a_rotation_of_the_file(tmp_path: Path) -> None:
    running = Keyring.load(Variables(tmp_path))
    before = running.encrypt("shop", "api_key", "secret")

    rotated = Keyring.rotate_file(tmp_path)

    assert rotated.key_ids[1:] == (before.key_id,)
    assert running.decrypt("shop", "api_key", rotated.encrypt("shop", "api_key", "secret")) == "secret"
    assert running.encrypt("shop", "api_key", "secret").key_id == rotated.current_key_id
    assert running.decrypt("shop", "api_key", before) == "secret"
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600


def test_dropping_keeps_the_current_key_and_those_in_use(tmp_path: Path) -> None:
    first = Keyring.load(Variables(tmp_path)).current_key_id
    second = Keyring.rotate_file(tmp_path).current_key_id
    third = Keyring.rotate_file(tmp_path).current_key_id
    assert Keyring.drop_previous(tmp_path, {first}) == (second,)
    assert Keyring.load(Variables(tmp_path)).key_ids == (third, first)
    assert Keyring.drop_previous(tmp_path, set()) == (first,)
    assert Keyring.drop_previous(tmp_path, set()) == ()


def test_keys_and_ciphertexts_are_in_no_representation(keyring: Keyring) -> None:
    key = os.urandom(32)
    ring = Keyring([key])
    assert repr(ring) == f"Keyring(current={ring.current_key_id}, previous=[])"
    assert "ciphertext" not in repr(Sealed("0" * 12, bytes(12), b"x"))
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(keyring)


def test_a_key_of_another_length_makes_no_keyring() -> None:
    with pytest.raises(EncryptionError, match="must have 32 bytes, not 31"):
        Keyring([bytes(31)])
    with pytest.raises(EncryptionError, match="at least one key"):
        Keyring([])
