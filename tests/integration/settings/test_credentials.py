from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import anyio
import psycopg
import pytest

from database.connection import Connection, connect
from database.encryption import EncryptionError, Keyring, new_key
from database.repositories import audit, credentials

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Variables:
    home: Path
    master_key: str | None = None
    master_keys_previous: str | None = None


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    async with await connect(database_url) as connection:
        for project_id in ("almond", "print-shop"):
            await connection.execute(
                "insert into config.projects (project_id, name, crm, timezone) values (%s, 'x', 'keycrm', 'UTC')",
                [project_id],
            )
        yield connection


async def _key_ids(connection: Connection) -> set[str]:
    return {
        info.key_id for project in ("almond", "print-shop") for info in await credentials.describe(connection, project)
    }


async def test_storing_sets_the_given_credentials_and_leaves_the_others(
    connection: Connection, keyring: Keyring
) -> None:
    await credentials.store(connection, keyring, "almond", {"user_token": "u", "partner_token": "п🔑"})
    await credentials.store(connection, keyring, "almond", {"user_token": "u2"})
    assert await credentials.load(connection, keyring, "almond") == {"user_token": "u2", "partner_token": "п🔑"}
    await credentials.remove(connection, "almond", ["user_token", "not there"])
    assert await credentials.load(connection, keyring, "almond") == {"partner_token": "п🔑"}
    assert await credentials.load(connection, keyring, "print-shop") == {}


async def test_the_table_holds_no_plain_text(connection: Connection, keyring: Keyring) -> None:
    await credentials.store(connection, keyring, "almond", {"user_token": "plain-text"})
    cursor = await connection.execute("select c::text as row, ciphertext from config.credentials c")
    (row,) = await cursor.fetchall()
    assert b"plain-text" not in row["ciphertext"]
    assert b"plain-text".hex() not in row["row"]


async def test_a_row_copied_to_another_project_does_not_open(connection: Connection, keyring: Keyring) -> None:
    await credentials.store(connection, keyring, "almond", {"user_token": "u"})
    await connection.execute(
        """
        insert into config.credentials (project_id, name, key_id, nonce, ciphertext)
        select 'print-shop', name, key_id, nonce, ciphertext from config.credentials
        """
    )
    with pytest.raises(EncryptionError, match="of project print-shop does not open"):
        await credentials.load(connection, keyring, "print-shop")


async def test_the_key_file_is_rotated_while_a_process_goes_on(connection: Connection, tmp_path: Path) -> None:
    running = Keyring.load(Variables(tmp_path))
    old = running.current_key_id
    await credentials.store(connection, running, "almond", {"user_token": "u", "webhook.secret": "w"})
    await credentials.store(connection, running, "print-shop", {"api_key": "k"})
    before = await credentials.describe(connection, "almond")

    rotated = Keyring.rotate_file(tmp_path)
    assert await credentials.rotate(connection, rotated, actor="test") == 3
    assert await _key_ids(connection) == {rotated.current_key_id} != {old}
    assert await credentials.drop_unused_keys(connection, tmp_path) == (old,)

    assert Keyring.load(Variables(tmp_path)).key_ids == (rotated.current_key_id,)
    assert await credentials.load(connection, running, "almond") == {"user_token": "u", "webhook.secret": "w"}
    await credentials.store(connection, running, "almond", {"user_token": "u2"})
    assert await _key_ids(connection) == {rotated.current_key_id}
    after = await credentials.describe(connection, "print-shop")
    assert after[0].updated_at < (await credentials.describe(connection, "almond"))[0].updated_at
    assert before[1].updated_at == (await credentials.describe(connection, "almond"))[1].updated_at
    assert await credentials.rotate(connection, rotated) == 0


async def test_a_rotation_is_audited_by_project_with_key_ids_alone(connection: Connection, tmp_path: Path) -> None:
    first, second = new_key(), new_key()
    old = Keyring.load(Variables(tmp_path, first))
    await credentials.store(connection, old, "almond", {"user_token": "u"})
    new = Keyring.load(Variables(tmp_path, second, first))
    await credentials.rotate(connection, new, actor="test")
    (entry,) = await audit.entries(connection, project_id="almond")
    assert (entry.actor, entry.action, entry.object) == ("test", "rotated", "credentials")
    assert (entry.before, entry.after) == ({"user_token": old.current_key_id}, {"user_token": new.current_key_id})


async def test_a_rotation_stopped_by_one_project_keeps_the_projects_before_it_and_goes_on_later(
    connection: Connection, tmp_path: Path
) -> None:
    first, lost, new = new_key(), new_key(), new_key()
    await credentials.store(connection, Keyring.load(Variables(tmp_path, first)), "almond", {"user_token": "u"})
    await credentials.store(connection, Keyring.load(Variables(tmp_path, lost)), "print-shop", {"api_key": "k"})

    with pytest.raises(EncryptionError, match=r"api_key of project print-shop .* CRM_ELT_MASTER_KEYS_PREVIOUS"):
        await credentials.rotate(connection, Keyring.load(Variables(tmp_path, new, first)))

    keyring = Keyring.load(Variables(tmp_path, new, lost))
    assert await credentials.load(connection, keyring, "almond") == {"user_token": "u"}
    assert await credentials.rotate(connection, keyring) == 1
    assert await _key_ids(connection) == {keyring.current_key_id}


async def test_a_key_that_is_still_needed_is_not_dropped(connection: Connection, tmp_path: Path) -> None:
    old = Keyring.load(Variables(tmp_path))
    await credentials.store(connection, old, "almond", {"user_token": "u"})
    Keyring.rotate_file(tmp_path)
    assert await credentials.drop_unused_keys(connection, tmp_path) == ()
    assert await credentials.load(connection, Keyring.load(Variables(tmp_path)), "almond") == {"user_token": "u"}


async def test_dropping_keys_waits_for_whoever_is_storing_with_them(
    connection: Connection, database_url: str, tmp_path: Path
) -> None:
    running = Keyring.load(Variables(tmp_path))
    rotated: list[Keyring] = []
    dropped: list[tuple[str, ...]] = []
    async with await connect(database_url) as other, await connect(database_url) as watch:

        async def drop() -> None:
            dropped.append(await credentials.drop_unused_keys(other, tmp_path))

        async with anyio.create_task_group() as group, connection.transaction():
            await credentials.store(connection, running, "almond", {"user_token": "u"})
            rotated.append(Keyring.rotate_file(tmp_path))
            group.start_soon(drop)
            with anyio.fail_after(20):
                while not await _waits_for_lock(watch):  # noqa: ASYNC110  an event in PostgreSQL
                    await anyio.sleep(0.01)
            assert dropped == []
    assert dropped == [()], "the key of the credential committed meanwhile stays"
    assert await credentials.load(connection, rotated[0], "almond") == {"user_token": "u"}


async def _waits_for_lock(connection: psycopg.AsyncConnection[psycopg.rows.DictRow]) -> bool:
    cursor = await connection.execute(
        "select exists (select from pg_locks where locktype = 'advisory' and not granted)"
    )
    row = await cursor.fetchone()
    return bool(row and row["exists"])


async def test_the_audit_log_is_read_in_pages_newest_first(connection: Connection) -> None:
    for number in range(5):
        project = "almond" if number % 2 else None
        await audit.record(
            connection, actor="a", action="changed", project_id=project, object=f"o{number}", after=number
        )
    page = await audit.entries(connection, limit=2)
    assert [entry.object for entry in page] == ["o4", "o3"]
    page = await audit.entries(connection, before_id=page[-1].audit_id)
    assert [(entry.object, entry.before, entry.after) for entry in page] == [
        ("o2", None, 2),
        ("o1", None, 1),
        ("o0", None, 0),
    ]
    assert [entry.object for entry in await audit.entries(connection, project_id="almond")] == ["o3", "o1"]
