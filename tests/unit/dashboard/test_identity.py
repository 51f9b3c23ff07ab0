from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest

from dashboard.guard import admin
from dashboard.identity import Identity
from dashboard.main import create_app
from database.environment import ConfigurationError, Environment, load_environment
from database.repositories.users import Role
from web.problems import ProblemError


def identity(role: Role = "viewer", projects: set[str] | None = None) -> Identity:
    names = None if projects is None else frozenset(projects)
    return Identity(1, "ann", role, names, UUID(int=1), "cookie", datetime(2026, 1, 1, tzinfo=UTC))


def test_what_is_visible_is_what_is_wanted_and_allowed() -> None:
    assert identity().visible(None) is None
    assert identity().visible(["a"]) == {"a"}
    assert identity(projects={"a", "b"}).visible(None) == {"a", "b"}
    assert identity(projects={"a", "b"}).visible(["b", "c"]) == {"b"}
    assert identity(projects=set()).visible(None) == set()
    assert [identity(projects={"a"}).may_see(name) for name in ("a", "b")] == [True, False]


@pytest.mark.anyio
async def test_only_admins_pass_where_only_admins_may() -> None:
    assert (await admin(identity("admin"))).is_admin
    with pytest.raises(ProblemError) as refused:
        await admin(identity("viewer"))
    assert (refused.value.status, refused.value.code) == (403, "admins_only")


@pytest.mark.anyio
async def test_pages_of_other_sites_may_call_only_where_the_settings_name_them() -> None:
    app = create_app(Environment(dashboard_origins="https://vms.example.com"))  # type: ignore[arg-type]
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://dashboard") as client:
        for origin, allowed in (("https://vms.example.com", "https://vms.example.com"), ("https://evil.example", None)):
            headers = {
                "origin": origin, "access-control-request-method": "POST",
                "access-control-request-headers": "authorization,x-requested-with,x-signalr-user-agent",
            }  # fmt: skip
            answer = await client.options("/hubs/keycrm/negotiate", headers=headers)
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert (answer.status_code == 200) == (allowed is not None)


def test_origins_are_read_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_ELT_DASHBOARD_ORIGINS", "https://vms.example.com, http://localhost:5173")
    assert load_environment().dashboard_origins == ("https://vms.example.com", "http://localhost:5173")
    monkeypatch.setenv("CRM_ELT_DASHBOARD_ORIGINS", "")
    assert load_environment().dashboard_origins == ()
    monkeypatch.setenv("CRM_ELT_DASHBOARD_ORIGINS", "https://vms.example.com/app")
    with pytest.raises(ConfigurationError, match="CRM_ELT_DASHBOARD_ORIGINS: expected origins like"):
        load_environment()
