"""`/api/users`, `/api/account`: who may log in, as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import APIRouter, Request
from starlette.responses import Response

from dashboard import users
from dashboard.admin.models import NewPassword, NewUser, OwnPassword, User, UserChange, Users
from dashboard.admin.own_password import change_own_password
from dashboard.guard import Manager, Person
from dashboard.services import services_of
from dashboard.users import UserError
from database.connection import Connection
from database.repositories import users as user_rows
from database.repositories.users import UserRow
from web.problems import ProblemError

router = APIRouter(prefix="/api")


@contextmanager
def refusals() -> Iterator[None]:
    """What cannot be done, as an answer: 422."""
    try:
        yield
    except UserError as error:
        raise ProblemError(422, "refused", error.sentence, values=error.values) from None


async def known_user(connection: Connection, user_id: int) -> UserRow:
    """Raises ProblemError, 404."""
    row = await user_rows.get(connection, user_id) if 0 < user_id < 2**63 else None
    if row is None:
        raise ProblemError(404, "unknown_user", "There is no such user.")
    return row


@router.get("/users", summary="List users", response_model=Users)
async def list_users(request: Request, _: Manager) -> Users:
    """All users by login, with what they may see."""
    async with services_of(request).database() as connection:
        rows = await user_rows.list_all(connection)
    return Users(items=[User.of(row) for row in rows])


@router.post("/users", summary="Add a user", status_code=201, response_model=User, responses={422: {}})
async def add_user(request: Request, identity: Manager, body: NewUser) -> User:
    """A new login; nobody but who sends it knows the password. Viewers without `projects` see all."""
    async with services_of(request).database() as connection:
        with refusals():
            user_id = await users.add(
                connection, body.login, body.password, body.role, body.projects, actor=identity.actor
            )
        return User.of(await known_user(connection, user_id))


@router.get("/users/{user_id}", summary="Read a user", response_model=User)
async def read_user(request: Request, _: Manager, user_id: int) -> User:
    """One user with what it may see."""
    async with services_of(request).database() as connection:
        return User.of(await known_user(connection, user_id))


@router.put("/users/{user_id}", summary="Change a user's rights", response_model=User, responses={422: {}})
async def change_user(request: Request, identity: Manager, user_id: int, body: UserChange) -> User:
    """Role, projects, and whether it may log in; they count at once, in open streams too.

    Nobody takes their own rights away, and the last admin stays.
    """
    if body.role is None and "projects" in body.model_fields_set:
        raise ProblemError(422, "refused", "Send the role with the projects.")
    async with services_of(request).database() as connection:
        row = await known_user(connection, user_id)
        with refusals():
            if body.role is not None:
                await users.set_rights(
                    connection, row.login, body.role, body.projects, actor=identity.actor, by=identity.user_id
                )
            if body.is_enabled is not None:
                await users.set_enabled(
                    connection, row.login, is_enabled=body.is_enabled, actor=identity.actor, by=identity.user_id
                )
        return User.of(await known_user(connection, user_id))


@router.put("/users/{user_id}/password", summary="Set a user's password", status_code=204, responses={422: {}})
async def set_password(request: Request, identity: Manager, user_id: int, body: NewPassword) -> Response:
    """The user is logged out everywhere, and a lockout ends. One's own is changed at `/api/account/password`."""
    async with services_of(request).database() as connection:
        row = await known_user(connection, user_id)
        if user_id == identity.user_id:
            raise ProblemError(422, "refused", "Change your own password on your account page.")
        with refusals():
            await users.set_password(connection, row.login, body.password, actor=identity.actor)
    return Response(status_code=204)


@router.post("/users/{user_id}/unlock", summary="End a user's lockout", status_code=204)
async def unlock_user(request: Request, identity: Manager, user_id: int) -> Response:
    """Let a user log in again at once who has mistyped the password too often."""
    async with services_of(request).database() as connection:
        row = await known_user(connection, user_id)
        with refusals():
            await users.unlock(connection, row.login, actor=identity.actor)
    return Response(status_code=204)


@router.put(
    "/account/password", summary="Change one's own password", status_code=204,
    responses={422: {}, 429: {}},
)  # fmt: skip
async def set_own_password(request: Request, identity: Person, body: OwnPassword) -> Response:
    """All sessions end, this one too: log in again. A wrong current password is 403, and counts as a failed login."""
    services = services_of(request)
    async with services.database(is_login=True) as connection:
        with refusals():
            await change_own_password(services, connection, identity, body.current, body.password)
    return Response(status_code=204)
